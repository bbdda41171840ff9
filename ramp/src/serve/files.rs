//! Files of a directory of results: which there are, and each by its path.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use ramp_format::directory::RESERVED;
use ramp_format::run_file::read_run;
use ramp_format::study::StudyRecord;

/// Directories below that of a study: runs, and nothing deeper.
const DEPTH: usize = 3;

/// What there is: the answer to `GET /files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResultsIndex {
    /// Whether the study or the run has ended: nothing is written any more.
    pub(crate) ended: bool,
    /// ID of the study or the run; none where there is none yet.
    #[serde(default)]
    pub(crate) results: Option<String>,
    /// All files.
    pub(crate) files: Vec<RemoteFile>,
}

/// A file of a directory of results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteFile {
    /// Its path below the directory.
    pub(crate) path: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// The same for as long as it is the same file, whatever is appended to it.
    pub(crate) id: String,
    /// Its last modification, in nanoseconds since 1970.
    pub(crate) modified_ns: i64,
}

impl ResultsIndex {
    /// What a directory has; nothing where there is none yet.
    pub(crate) fn read(directory: &Path) -> Self {
        let mut files = Vec::new();
        collect(directory, "", DEPTH, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let (results, ended) = match StudyRecord::read(directory) {
            Ok(record) => (Some(record.study), record.end.is_some()),
            Err(_) => read_run(directory).map_or((None, false), |run| (Some(run.run), run.end.is_some())),
        };
        Self { ended, results, files }
    }

    /// Changes whenever something is written.
    pub(crate) fn version(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.files.iter().for_each(|file| (&file.path, file.bytes, file.modified_ns).hash(&mut hasher));
        // A number that every reader of JSON has exactly.
        hasher.finish() >> 12
    }
}

/// Regular files, without those that are being written, the space reserved for them, and the report. Links are not followed: they may lead
/// elsewhere.
fn collect(directory: &Path, prefix: &str, depth: usize, files: &mut Vec<RemoteFile>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
        let path = format!("{prefix}{name}");
        if kind.is_dir() && depth > 0 && path != "report" {
            collect(&entry.path(), &format!("{path}/"), depth - 1, files);
        } else if kind.is_file()
            && is_result(&name)
            && let Ok(file) = entry.metadata()
        {
            let modified_ns = file.mtime().saturating_mul(1_000_000_000).saturating_add(file.mtime_nsec());
            files.push(RemoteFile { path, bytes: file.len(), id: file.ino().to_string(), modified_ns });
        }
    }
}

fn is_result(name: &str) -> bool {
    !name.starts_with('.') && !name.ends_with(".new") && !name.ends_with(".lock") && name != RESERVED
}

/// Opens a file of the index, at a byte, and tells how long it is now.
///
/// # Errors
/// If the path leads elsewhere, or the file cannot be read.
pub(super) fn open(directory: &Path, path: &str, from: u64) -> io::Result<(File, u64)> {
    let relative = Path::new(path);
    if !is_below(relative) || !relative.file_name().and_then(|name| name.to_str()).is_some_and(is_result) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let whole = directory.join(relative);
    // The index has no links: neither the file nor a directory above it.
    let has_links = whole.canonicalize()? != directory.canonicalize()?.join(relative);
    let file = fs::symlink_metadata(&whole)?;
    if has_links || !file.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut file = File::open(&whole)?;
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(from))?;
    Ok((file, bytes))
}

/// Whether a path stays in its directory.
pub(crate) fn is_below(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

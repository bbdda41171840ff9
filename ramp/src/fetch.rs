//! Copy of a directory of results that is still written elsewhere: what has changed is fetched, and what was appended to tables.
//!
//! The state file in the copy says which file each is a copy of. It is written after each file, so that a copy that was interrupted
//! goes on.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::serve::{RemoteFile, ResultsIndex, is_below};

/// Its state, in the copy.
const STATE: &str = ".ramp-fetch.json";

/// A copy.
#[derive(Debug)]
pub(crate) struct ResultsCopy {
    directory: PathBuf,
    state: CopyState,
}

/// What its files are copies of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct CopyState {
    /// ID of the study or the run; none where there was none yet.
    #[serde(default)]
    results: Option<String>,
    /// By path.
    files: BTreeMap<String, CopiedFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CopiedFile {
    id: String,
    modified_ns: i64,
}

/// A file to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) file: RemoteFile,
    /// From this byte on; what the copy has before it stays.
    pub(crate) from: u64,
}

impl ResultsCopy {
    /// Opens a copy, or begins one in a directory that is empty or does not exist.
    ///
    /// # Errors
    /// If the directory has something else.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let file = directory.join(STATE);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
        let state = match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| named(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
                    return Err(io::Error::new(
                        io::ErrorKind::AlreadyExists,
                        format!(
                            "{} is not empty and no copy that was fetched; choose another directory with --out",
                            directory.display()
                        ),
                    ));
                }
                // It is made with its first file: a fetch that fails leaves nothing.
                CopyState::default()
            }
            Err(error) => return Err(named(error)),
        };
        Ok(Self { directory: directory.to_owned(), state })
    }

    /// Whether there is something to report on.
    pub(crate) fn has_results(&self) -> bool {
        ["study.json", "run.json"].iter().any(|file| self.state.files.contains_key(*file))
    }

    /// What has to be fetched.
    ///
    /// # Errors
    /// If it is a copy of something else, or a path leads out of the directory.
    pub(crate) fn missing(&mut self, index: &ResultsIndex) -> io::Result<Vec<Transfer>> {
        if let (Some(own), Some(other)) = (&self.state.results, &index.results)
            && own != other
        {
            let message = format!(
                "{} is a copy of {own}, the server has {other}: choose another directory with --out",
                self.directory.display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        self.state.results = self.state.results.take().or_else(|| index.results.clone());
        let mut transfers = Vec::new();
        for file in &index.files {
            if !is_below(Path::new(&file.path)) || file.path == STATE {
                let message = format!("the server has a file {:?}, which no run has", file.path);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            let path = self.directory.join(&file.path);
            let known = self.state.files.get(&file.path).filter(|known| known.id == file.id);
            let from = match known {
                Some(known) if known.modified_ns == file.modified_ns && has_length(&path, file.bytes) => {
                    continue;
                }
                Some(_) if is_table(&file.path) => {
                    whole_lines(&path).filter(|bytes| *bytes <= file.bytes).unwrap_or(0)
                }
                _ => 0,
            };
            transfers.push(Transfer { file: file.clone(), from });
        }
        Ok(transfers)
    }

    /// A file into which the rest of a transfer is written. A table is written in its place and known from here on, so that it goes on
    /// after an interrupt; anything else replaces the old one as a whole.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn begin(&mut self, transfer: &Transfer) -> io::Result<File> {
        let path = self.written(transfer);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(named)?;
        if is_table(&transfer.file.path) {
            self.note(transfer, 0).map_err(named)?;
        }
        let begin = || {
            let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(&path)?;
            file.set_len(transfer.from)?;
            file.seek(SeekFrom::Start(transfer.from))?;
            Ok(file)
        };
        begin().map_err(named)
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// If that cannot be written.
    pub(crate) fn end(&mut self, transfer: &Transfer) -> io::Result<()> {
        let (written, path) = (self.written(transfer), self.directory.join(&transfer.file.path));
        if written != path {
            fs::rename(written, path)?;
        }
        self.note(transfer, transfer.file.modified_ns)
    }

    fn note(&mut self, transfer: &Transfer, modified_ns: i64) -> io::Result<()> {
        let RemoteFile { path, id, .. } = &transfer.file;
        self.state.files.insert(path.clone(), CopiedFile { id: id.clone(), modified_ns });
        self.save()
    }

    /// Removes what is no longer there: a run that was repeated has another name.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(crate) fn remove_others(&mut self, index: &ResultsIndex) -> io::Result<()> {
        let gone: Vec<String> = self.state.files.keys().cloned().collect();
        for path in gone.into_iter().filter(|path| index.files.iter().all(|file| file.path != *path)) {
            let whole = self.directory.join(&path);
            match fs::remove_file(&whole) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // Its directory, once it is empty.
            let _ = whole.parent().map(fs::remove_dir);
            self.state.files.remove(&path);
        }
        self.save()
    }

    fn written(&self, transfer: &Transfer) -> PathBuf {
        let suffix = if is_table(&transfer.file.path) { "" } else { ".new" };
        self.directory.join(format!("{}{suffix}", transfer.file.path))
    }

    fn save(&self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let (file, new) = (self.directory.join(STATE), self.directory.join(format!("{STATE}.new")));
        let mut out = File::create(&new)?;
        out.write_all(serde_json::to_string(&self.state)?.as_bytes())?;
        fs::rename(&new, &file)
    }
}

/// Tables are appended to; all else is written anew.
fn is_table(path: &str) -> bool {
    path.ends_with(".csv")
}

fn has_length(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() == bytes)
}

/// Bytes up to the end of the last whole line: a row that was cut off may have been removed since.
fn whole_lines(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let mut end = file.metadata().ok()?.len();
    let mut block = vec![0; 4096];
    while end > 0 {
        let begin = end.saturating_sub(block.len() as u64);
        let part = block.get_mut(..usize::try_from(end - begin).ok()?)?;
        file.seek(SeekFrom::Start(begin)).ok()?;
        file.read_exact(part).ok()?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Some(begin + at as u64 + 1);
        }
        end = begin;
    }
    Some(0)
}

#[cfg(test)]
mod tests;

//! Names of datasets: those of their files, with as much of the path as tells them apart.

use std::collections::HashSet;
use std::path::{Ancestors, Path, PathBuf};

use super::Dataset;

/// What a dataset is called: its file's name without the ending.
pub(super) fn name_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Runs of one and the same name get as many of the directories that they are in before it as tell them apart. Paths are absolute.
pub fn tell_apart(data: &mut [Dataset], paths: &[PathBuf]) {
    let mut above: Vec<Ancestors> = paths.iter().map(|path| path.ancestors()).collect();
    for itself in &mut above {
        itself.next();
    }
    let deepest = paths.iter().map(|path| path.components().count()).max().unwrap_or(0);
    for _ in 0..deepest {
        let repeated = repeated_names(data);
        for (one, above) in data.iter_mut().zip(&mut above) {
            let directory = above.next().and_then(Path::file_name);
            if let Some(directory) = directory
                && repeated.contains(&one.name)
            {
                one.name = format!("{}/{}", directory.to_string_lossy(), one.name);
            }
        }
    }
    // A file beside a directory of its name, say.
    let repeated = repeated_names(data);
    for (one, path) in data.iter_mut().zip(paths) {
        if repeated.contains(&one.name) {
            one.name = path.display().to_string();
        }
    }
}

/// Names that more than one of them has.
fn repeated_names(data: &[Dataset]) -> HashSet<String> {
    let mut seen = HashSet::new();
    data.iter().map(|one| &one.name).filter(|name| !seen.insert(*name)).cloned().collect()
}

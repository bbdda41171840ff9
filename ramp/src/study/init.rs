//! The study file that `ramp study init` writes.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::command::CommandError;

/// Two sizes on this machine, without any set-up or privileges.
pub(crate) const STUDY: &str = include_str!("../../../deploy/examples/study-local.yaml");

/// Writes the study file.
///
/// # Errors
/// Where there is one already, or it cannot be written.
pub(crate) fn init(path: &Path) -> Result<(), CommandError> {
    let at = path.display();
    let written = File::create_new(path).and_then(|mut file| file.write_all(STUDY.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CommandError::Input(format!(
            "{at} exists and is not overwritten; name another file, or remove it"
        )),
        _ => CommandError::Failed(format!("{at}: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use ramp_format::study::StudyFile;

    use super::*;

    /// Each key of a study file is in the one that is written, if only in a comment.
    #[test]
    fn the_file_that_is_written_is_a_study_with_every_key_explained() {
        let study = StudyFile::parse(STUDY).unwrap();
        assert_eq!(study.sizes.len(), 2);
        let schema = StudyFile::schema();
        for key in schema["properties"].as_object().unwrap().keys() {
            let is_there = STUDY
                .lines()
                .any(|line| line.trim_start_matches(['#', ':', ' ']).starts_with(&format!("{key}:")));
            assert!(is_there, "{key} is not in the study file");
        }
        // What is commented out is right, too.
        let whole: String = STUDY
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        StudyFile::parse(&whole).unwrap();
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("study.yaml");
        init(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), STUDY);
        assert!(init(&path).unwrap_err().message().contains("exists and is not overwritten"));
        assert!(matches!(init(&directory.path().join("no/x.yaml")), Err(CommandError::Failed(_))));
    }
}

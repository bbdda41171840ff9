//! Whether a run directory can be written, before anything is made.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use workload::quantity::Bytes;

use ramp_format::preflight::Finding;

/// A run of a thousand steps on ten nodes takes a tenth of it.
const ROOM: Bytes = Bytes(500_000_000);

/// What is wrong with a directory that is to be made.
pub(super) fn findings(out: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    if std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        findings.push(Finding::refusal(format!(
            "{} is not empty: name another directory with --out, or go on with its run with --resume",
            out.display()
        )));
    }
    let there = nearest(out);
    if let Err(error) = access(&there, AccessFlags::W_OK) {
        findings.push(Finding::refusal(format!(
            "{} cannot be written to ({error}): name another directory with --out",
            there.display()
        )));
    }
    // Where it cannot be told there is nothing to say.
    if let Ok(status) = statvfs(&there) {
        let room = Bytes(status.blocks_available().saturating_mul(status.fragment_size()));
        findings.extend(too_little(&there, room));
    }
    findings
}

fn too_little(at: &Path, room: Bytes) -> Option<Finding> {
    (room < ROOM).then(|| {
        Finding::warning(format!(
            "{} has room for {}, where {} are expected: rows wait in memory when it is full, and are lost beyond that",
            at.display(),
            room.rounded(),
            ROOM.rounded()
        ))
    })
}

/// The directory itself, or the nearest above it that is there.
fn nearest(path: &Path) -> PathBuf {
    let above = path.ancestors().find(|above| above.is_dir());
    above.filter(|above| !above.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_empty_is_refused_and_one_that_is_not_there_is_not() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(findings(&directory.path().join("not/there")), []);
        std::fs::write(directory.path().join("file"), "").unwrap();
        let found = findings(directory.path());
        assert!(found[0].refuses && found[0].message.contains("is not empty"), "{found:?}");
    }

    #[test]
    fn too_little_room_is_said_with_how_much_there_is() {
        let found = too_little(Path::new("/data"), Bytes(1_000_000)).unwrap();
        assert!(!found.refuses && found.message.starts_with("/data has room for 1.000 MB"), "{found:?}");
        assert_eq!(too_little(Path::new("/data"), ROOM), None);
    }

    #[test]
    fn what_is_said_is_as_written_down() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        let full = findings(directory.path()).swap_remove(0).message;
        let little = too_little(Path::new("/data"), Bytes(1_000_000)).unwrap().message;
        let text = format!("{full}\n{little}").replace(&directory.path().display().to_string(), "/OUT");
        insta::assert_snapshot!("findings", text);
    }
}

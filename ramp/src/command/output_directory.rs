//! Preflight of the run directory: empty, writable, with enough space.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{
    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC,
    TRACEFS_MAGIC, statfs,
};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use workload::quantity::Bytes;

use ramp_format::directory::not_empty;
use ramp_format::preflight::Finding;

/// Space expected: ten times that of a run of a thousand steps on ten nodes.
const SPACE: Bytes = Bytes(500_000_000);

/// File systems that have no files of users.
const VIRTUAL: [FsType; 6] =
    [PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC];

/// Findings on a run directory to be created.
pub(crate) fn findings(out: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    if std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        findings.push(Finding::refusal(not_empty(out)));
    }
    match out.symlink_metadata() {
        Ok(_) if out.is_dir() => {}
        Ok(_) => findings.push(unusable(out, "it exists and is not a directory")),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // Such as a file above it, or a name that is too long.
        Err(error) => findings.push(unusable(out, &error.to_string())),
    }
    let there = nearest(out);
    if let Ok(status) = statfs(&there)
        && VIRTUAL.contains(&status.filesystem_type())
    {
        let what = format!("{} is a file system of the kernel", there.display());
        findings.push(unusable(out, &what));
    }
    if let Err(error) = access(&there, AccessFlags::W_OK) {
        findings.push(Finding::refusal(format!(
            "{} is not writable ({error}): choose another directory with --out",
            there.display()
        )));
    }
    // No finding if it is unknown.
    if let Ok(status) = statvfs(&there) {
        let space = Bytes(status.blocks_available().saturating_mul(status.fragment_size()));
        findings.extend(low_space(&there, space));
        if status.blocks_available() == 0 && status.blocks() > 0 {
            findings.push(unusable(out, "no space left"));
        } else if status.files_available() == 0 && status.files() > 0 {
            findings.push(unusable(out, "no inodes left"));
        }
    }
    findings
}

fn unusable(out: &Path, why: &str) -> Finding {
    Finding::refusal(format!("cannot create {}: {why}; choose another directory with --out", out.display()))
}

fn low_space(at: &Path, space: Bytes) -> Option<Finding> {
    (space < SPACE).then(|| {
        Finding::warning(format!(
            "{} has only {} free, {} recommended: on a full disk rows are kept in memory, and lost beyond a limit",
            at.display(),
            space.rounded(),
            SPACE.rounded()
        ))
    })
}

/// The directory, or its nearest existing parent.
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
    fn low_space_is_a_warning_that_says_how_much_there_is() {
        let found = low_space(Path::new("/data"), Bytes(1_000_000)).unwrap();
        assert!(!found.refuses && found.message.starts_with("/data has only 1.000 MB free"), "{found:?}");
        assert_eq!(low_space(Path::new("/data"), SPACE), None);
    }

    #[test]
    fn what_is_said_is_as_written_down() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        let full = findings(directory.path()).swap_remove(0).message;
        let below = findings(&directory.path().join("file/run")).swap_remove(0).message;
        let little = low_space(Path::new("/data"), Bytes(1_000_000)).unwrap().message;
        let text =
            format!("{full}\n{below}\n{little}").replace(&directory.path().display().to_string(), "/OUT");
        insta::assert_snapshot!("findings", text);
    }
}

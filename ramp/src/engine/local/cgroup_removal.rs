//! Removal of cgroups: kills their processes, and removes the innermost directory first.

use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

/// Directories in a directory, without symbolic links.
pub(super) fn inner(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

/// The error with what failed before it.
pub(super) fn explained(error: &io::Error, what: impl Display) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// The processes in a cgroup and in those inside of it.
pub(super) fn processes(directory: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    // Processes of another PID namespace are shown as 0, which means something else to kill(2).
    let own = text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).map(Pid::from_raw);
    own.chain(inner(directory).iter().flat_map(|inner| processes(inner))).collect()
}

/// How long removal may take: a process with much memory takes a while to exit.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Kills the processes of a cgroup, and removes it with all cgroups inside.
///
/// # Errors
/// Where it is still there after ten seconds, with its path.
pub(super) async fn remove(directory: &Path) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = try_remove(directory) {
        if Instant::now() >= deadline {
            return Err(explained(&error, format_args!("cannot remove {}", directory.display())));
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

fn try_remove(directory: &Path) -> io::Result<()> {
    for pid in processes(directory).into_iter().filter(|pid| *pid != Pid::this()) {
        // It may have ended meanwhile.
        let _ = kill(pid, Signal::SIGKILL);
    }
    remove_all(directory)
}

/// Removes directories, the innermost first. (The files of a cgroup cannot be removed, so `remove_dir_all` fails.)
fn remove_all(directory: &Path) -> io::Result<()> {
    for inner in inner(directory) {
        remove_all(&inner)?;
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_the_cgroups_inside_count_and_those_of_other_namespaces_cannot() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("ramp-1/i");
        fs::create_dir_all(&inside).unwrap();
        fs::write(root.path().join("ramp-1/cgroup.procs"), "7\n0\n").unwrap();
        fs::write(inside.join("cgroup.procs"), "8\n-1\nx\n").unwrap();
        assert_eq!(processes(&root.path().join("ramp-1")), [7, 8].map(Pid::from_raw));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stays_is_told_with_its_path_and_one_that_is_gone_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("ramp-1");
        remove(&directory).await.unwrap();
        fs::create_dir_all(root.path().join("ramp-1/inner")).unwrap();
        remove(&directory).await.unwrap();
        assert!(!directory.exists());
        // A file holds a directory as a process does a cgroup.
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("file"), "").unwrap();
        assert!(remove(&directory).await.unwrap_err().to_string().contains("ramp-1"));
    }
}

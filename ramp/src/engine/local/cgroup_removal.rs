//! Removal of cgroups: their processes ended, the innermost directory first.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

/// Directories in a directory. Links are none.
pub(super) fn inner(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// The processes in a cgroup and in those inside of it.
pub(super) fn processes(directory: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    // Processes of another pid namespace are shown as 0, which to `kill` is something else.
    let own = text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).map(Pid::from_raw);
    own.chain(inner(directory).iter().flat_map(|inner| processes(inner))).collect()
}

/// How long a cgroup may take to be removed: its last process may be on its way out, with much memory.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Ends the processes of a cgroup, and removes it with all that are inside.
///
/// # Errors
/// Where it is still there after ten seconds, with its path.
pub(super) async fn remove(directory: &Path) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = try_remove(directory) {
        if Instant::now() >= deadline {
            let at = directory.display();
            return Err(io::Error::new(error.kind(), format!("{at} cannot be removed: {error}")));
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

fn try_remove(directory: &Path) -> io::Result<()> {
    for pid in processes(directory).into_iter().filter(|pid| *pid != Pid::this()) {
        // One that has ended meanwhile is what is wanted.
        let _ = kill(pid, Signal::SIGKILL);
    }
    remove_all(directory)
}

/// Removes the innermost first. (The files of a cgroup cannot be removed, so `remove_dir_all` does not do.)
fn remove_all(directory: &Path) -> io::Result<()> {
    for inner in inner(directory) {
        remove_all(&inner)?;
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

//! Lock of a study directory: one process runs a study, wherever it is.
//!
//! Processes of one machine see each other by [`crate::live_runs`]; those of other pods and nodes by a lock on a file of the directory
//! (flock(2)), which the kernel releases with the process.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::command::interrupts::unless_interrupted;

/// How often a lock that another process has is asked for.
const EVERY: Duration = Duration::from_secs(1);

/// The lock, held for as long as the value exists.
#[derive(Debug)]
pub(crate) struct StudyLock {
    _file: Option<File>,
}

/// What asking for the lock gives.
pub(crate) enum LockState {
    Held(StudyLock),
    /// By another process.
    Taken,
}

impl StudyLock {
    /// Asks once. Where the file system has no locks, or the directory cannot be written, all is as if it were held: what is written next
    /// says why it cannot be.
    pub(crate) fn take(directory: &Path) -> LockState {
        let locked =
            File::create(directory.join("study.lock")).map_err(TryLockError::Error).and_then(|file| {
                file.try_lock()?;
                Ok(file)
            });
        match locked {
            Ok(file) => LockState::Held(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => LockState::Taken,
            Err(TryLockError::Error(error)) => {
                tracing::debug!("{}: no lock: {error}", directory.display());
                LockState::Held(Self { _file: None })
            }
        }
    }

    /// Waits until no other process has it; none if that is interrupted. `told` is called once, when it has to wait.
    pub(crate) async fn wait(
        directory: &Path,
        interrupts: &watch::Receiver<u32>,
        told: impl FnOnce(),
    ) -> Option<Self> {
        let mut told = Some(told);
        loop {
            match Self::take(directory) {
                LockState::Held(lock) => return Some(lock),
                LockState::Taken => {
                    if let Some(told) = told.take() {
                        told();
                    }
                }
            }
            unless_interrupted(interrupts, sleep(EVERY)).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_process_waits_until_the_first_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let LockState::Held(first) = StudyLock::take(path) else { panic!("free") };
        assert!(matches!(StudyLock::take(path), LockState::Taken));
        let (interrupt, interrupts) = watch::channel(0);
        let told = Cell::new(0);
        let waiting = StudyLock::wait(path, &interrupts, || told.set(told.get() + 1));
        let ending = async {
            sleep(Duration::from_secs(5)).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(waiting, ending);
        assert!(second.is_some() && told.get() == 1);
        interrupt.send_replace(1);
        assert!(StudyLock::wait(path, &interrupts, || ()).await.is_none(), "interrupted");
    }

    #[test]
    fn where_there_is_nothing_to_lock_a_study_is_not_kept_from_running() {
        assert!(matches!(StudyLock::take(Path::new("/proc/none")), LockState::Held(_)));
    }
}

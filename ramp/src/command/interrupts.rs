//! Counter of interrupts: SIGINT, SIGTERM and SIGHUP.

use std::fs;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::warn;

/// Counts the interrupts from now on. SIGHUP is one only where there was none before: a terminal that is closed sends it twice (from
/// the kernel and from the shell), and the second interrupt would leave the instances. Under `nohup` it stays ignored.
pub(crate) fn count() -> watch::Receiver<u32> {
    let (sender, receiver) = watch::channel(0);
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        handle(kind, &sender, |count| count + 1);
    }
    let hangup = SignalKind::hangup();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !is_ignored(&status, hangup.as_raw_value()) {
        handle(hangup, &sender, |count| count.max(1));
    }
    receiver
}

/// What the work gives; none if it is interrupted before.
pub(crate) async fn unless_interrupted<T>(
    interrupts: &watch::Receiver<u32>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut interrupts = interrupts.clone();
    tokio::select! {
        done = work => Some(done),
        Ok(_) = interrupts.wait_for(|count| *count > 0) => None,
    }
}

fn handle(kind: SignalKind, sender: &watch::Sender<u32>, counted: fn(u32) -> u32) {
    let sender = sender.clone();
    match signal(kind) {
        Ok(mut signals) => {
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    sender.send_modify(|count| *count = counted(*count));
                }
            });
        }
        Err(error) => warn!("cannot handle signals: {error}"),
    }
}

/// Whether a signal is ignored, by `SigIgn` of /proc/PID/status (proc_pid_status(5)).
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    u32::try_from(signal - 1).is_ok_and(|bit| mask.checked_shr(bit).unwrap_or_default() & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_ignored_is_known_by_its_bit() {
        let status = "Name:\tramp\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert!(is_ignored(status, 1) && is_ignored(status, 13), "SIGHUP under nohup, SIGPIPE");
        assert!(!is_ignored(status, 2) && !is_ignored(status, 15) && !is_ignored(status, 0));
        assert!(!is_ignored("", 1) && !is_ignored("SigIgn:\tx\n", 1));
    }
}

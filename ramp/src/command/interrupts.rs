//! Counter of interrupts: SIGINT and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::warn;

/// Counts the interrupts from now on.
pub(super) fn count() -> watch::Receiver<u32> {
    let (sender, receiver) = watch::channel(0);
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let sender = sender.clone();
        match signal(kind) {
            Ok(mut signals) => {
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        sender.send_modify(|count| *count += 1);
                    }
                });
            }
            Err(error) => warn!("cannot handle signals: {error}"),
        }
    }
    receiver
}

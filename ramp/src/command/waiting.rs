//! Waits that say what they wait for, on standard error.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, interval_at};

use crate::ui::notice;

/// When a wait is first told.
const FIRST: Duration = Duration::from_secs(3);
/// Between two messages about one wait.
const EVERY: Duration = Duration::from_secs(10);

/// Does `work`, and says that it waits for `what` once that takes a while.
pub(super) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    telling(|seconds| notice(&format!("waiting for {what} ({seconds} s)")), work).await
}

async fn telling<T>(tell: impl Fn(u64), work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let mut ticks = interval_at(began + FIRST, EVERY);
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            value = &mut work => return value,
            _ = ticks.tick() => tell(began.elapsed().as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_told_after_three_seconds_and_then_every_ten() {
        let told = RefCell::new(Vec::new());
        let tell = |seconds| told.borrow_mut().push(seconds);
        telling(tell, sleep(Duration::from_millis(2_900))).await;
        assert!(told.borrow().is_empty());
        telling(tell, sleep(Duration::from_secs(24))).await;
        assert_eq!(*told.borrow(), [3, 13, 23]);
    }
}

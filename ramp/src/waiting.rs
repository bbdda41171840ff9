//! Waits that say what they wait for: after 3 s, and then every 10 s.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// When a wait is first told.
pub(crate) const FIRST: Duration = Duration::from_secs(3);
/// Between two lines about one wait.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// A wait, and when its next line is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    began: Instant,
    next: Instant,
    limit: Option<Duration>,
}

impl Wait {
    /// A wait that begins now.
    pub(crate) fn begin(now: Instant) -> Self {
        Self { began: now, next: now + FIRST, limit: None }
    }

    /// The same with a time limit.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// When the next line is due.
    pub(crate) fn due_at(&self) -> Instant {
        self.next
    }

    /// Whether a line is due. The one after it follows later.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + EVERY;
        }
        is_due
    }

    /// The line that says what is waited for.
    pub(crate) fn line(&self, what: &str, now: Instant) -> String {
        let waited = (now - self.began).as_secs();
        match self.limit {
            Some(limit) => format!("waiting for {what} ({waited} s of at most {:.0} s)", limit.as_secs_f64()),
            None => format!("waiting for {what} ({waited} s)"),
        }
    }
}

/// Does `work`, and tells what it waits for for as long as that takes.
pub(crate) async fn telling<T>(
    mut wait: Wait,
    what: impl Fn() -> String,
    tell: impl Fn(&str),
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        if let Ok(value) = timeout_at(wait.due_at(), &mut work).await {
            return value;
        }
        let now = Instant::now();
        if wait.is_due(now) {
            tell(&wait.line(&what(), now));
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
        let tell = |line: &str| told.borrow_mut().push(line.to_owned());
        let of = |milliseconds| {
            telling(
                Wait::begin(Instant::now()),
                || "x".into(),
                tell,
                sleep(Duration::from_millis(milliseconds)),
            )
        };
        of(2_900).await;
        assert!(told.borrow().is_empty());
        of(24_000).await;
        assert_eq!(*told.borrow(), ["waiting for x (3 s)", "waiting for x (13 s)", "waiting for x (23 s)"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_told_and_a_line_that_comes_late_delays_the_next() {
        let begin = Instant::now();
        let mut wait = Wait::begin(begin).at_most(Duration::from_secs(30));
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(!wait.is_due(at(2)) && wait.is_due(at(7)) && !wait.is_due(at(16)) && wait.is_due(at(17)));
        assert_eq!(wait.line("the pods", at(17)), "waiting for the pods (17 s of at most 30 s)");
    }
}

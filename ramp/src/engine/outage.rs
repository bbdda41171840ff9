//! Outages: gaps in the observation of something, each told once when it begins and once when it ends.

use std::time::SystemTime;

use tokio::time::Instant;

use super::{Event, Events, Notice, NoticeKind};

/// Something observed, and the gap in that, if any.
pub(crate) struct Outage {
    object: String,
    events: Events,
    begun: Option<Instant>,
}

impl Outage {
    /// It is observed, without a gap so far.
    pub(crate) fn of(object: impl Into<String>, events: Events) -> Self {
        Self { object: object.into(), events, begun: None }
    }

    /// Whether there is a gap now.
    pub(crate) fn is_open(&self) -> bool {
        self.begun.is_some()
    }

    /// A gap has begun at that time, which may have passed a while ago. Told once.
    pub(crate) async fn begins(&mut self, since: Instant, reason: &str, message: String) {
        if self.begun.is_none() {
            self.begun = Some(since);
            let at = self.events.clock().now().checked_sub(since.elapsed());
            self.tell(NoticeKind::GapBegins, at, reason, message).await;
        }
    }

    /// A gap, if there is one, has ended. Returns whether there was one.
    pub(crate) async fn ends(&mut self) -> bool {
        let Some(begun) = self.begun.take() else { return false };
        let message = format!("observed again, after {:.1} s", begun.elapsed().as_secs_f64());
        self.tell(NoticeKind::GapEnds, None, "Recovered", message).await;
        true
    }

    async fn tell(&self, kind: NoticeKind, at: Option<SystemTime>, reason: &str, message: String) {
        let notice = Notice { at, ..Notice::new(kind, &self.object, reason, message) };
        self.events.send(Event::Notice(notice)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;

    #[tokio::test(start_paused = true)]
    async fn a_gap_is_told_once_when_it_begins_and_once_when_it_ends() {
        let (events, mut told) = Events::channel(Clock::system());
        let mut gap = Outage::of("api", events);
        assert!(!gap.ends().await);
        let since = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        gap.begins(since, "Timeout", "no answer".into()).await;
        gap.begins(Instant::now(), "Timeout", "no answer".into()).await;
        tokio::time::advance(Duration::from_millis(20_400)).await;
        assert!(gap.ends().await);
        drop(gap);
        let mut notices = Vec::new();
        while let Some((_, Event::Notice(notice))) = told.recv().await {
            notices.push((notice.kind, notice.object, notice.message));
        }
        let expected = [
            (NoticeKind::GapBegins, "api".to_owned(), "no answer".to_owned()),
            (NoticeKind::GapEnds, "api".to_owned(), "observed again, after 25.4 s".to_owned()),
        ];
        assert_eq!(notices, expected);
    }
}

//! How many instances are at work, from their transitions.

use std::collections::HashMap;

use crate::record::PodRow;
use crate::state::State;

/// Instances at work, followed from row to row of `pods.csv`.
#[derive(Default)]
pub(crate) struct AtWork<'d> {
    by_uid: HashMap<&'d str, bool>,
    now: u32,
}

impl<'d> AtWork<'d> {
    /// Goes on by a row.
    pub(crate) fn follow(&mut self, row: &'d PodRow) {
        let is = row.to.parse::<State>().is_ok_and(State::is_at_work);
        let was = self.by_uid.insert(&row.uid, is).unwrap_or(false);
        match (was, is) {
            (false, true) => self.now += 1,
            (true, false) => self.now = self.now.saturating_sub(1),
            _ => {}
        }
    }

    /// How many there are now.
    pub(crate) fn now(&self) -> u32 {
        self.now
    }
}

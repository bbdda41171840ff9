//! Consistency of the state transitions recorded in a run directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::rows;

/// What the transitions of a run come to.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The last state of each instance, by uid.
    pub(crate) last: BTreeMap<String, String>,
    /// How often each state was entered.
    pub(crate) entered: BTreeMap<String, u32>,
}

impl Account {
    pub(crate) fn of(&self, state: &str) -> u32 {
        self.entered.get(state).copied().unwrap_or(0)
    }

    /// Instances that are not gone.
    pub(crate) fn there(&self) -> Vec<&String> {
        self.last.iter().filter(|(_, state)| *state != "gone").map(|(uid, _)| uid).collect()
    }
}

/// Every instance's transitions form a path, in order of time, nothing follows the end, no container ends twice, and the
/// counts in the last row of `steps.csv` are those of the path. Panics where it is not so.
pub(crate) fn audit(directory: &Path) -> Account {
    let mut account = Account::default();
    let mut ended = BTreeSet::new();
    let mut time = String::new();
    let mut at_step = Vec::new();
    for row in rows(directory, "pods.csv") {
        let (uid, from, to) = (&row["uid"], &row["from"], &row["to"]);
        let before = account.last.get(uid).cloned().unwrap_or_default();
        assert_eq!(from, &before, "the path of {uid} is broken: {row:?}");
        assert_ne!(before, "gone", "{uid} has come back: {row:?}");
        assert!(row["time"] >= time, "time goes back: {row:?} after {time}");
        time = row["time"].clone();
        let container = &row["container"];
        assert!(
            container.is_empty() || ended.insert((uid.clone(), container.clone())),
            "counted twice: {row:?}"
        );
        account.last.insert(uid.clone(), to.clone());
        *account.entered.entry(to.clone()).or_default() += 1;
        at_step.push((row["time"].clone(), account.of("evicted"), account.of("oom_killed")));
    }
    for step in rows(directory, "steps.csv") {
        // What was seen until the step's end.
        let until = at_step.iter().rev().find(|(time, ..)| *time <= step["time"]);
        let (evicted, killed) = until.map_or((0, 0), |(_, evicted, killed)| (*evicted, *killed));
        let total = |name: &str| step[name].parse::<u32>().unwrap();
        // Rows within the same millisecond may be on either side.
        assert!(total("evictions_total") <= evicted && total("oom_kills_total") <= killed, "{step:?}");
    }
    account
}

//! Node tracker: last status and sample of each node, their age, and sums that count each kernel once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use workload::quantity::Bytes;

use crate::engine::{Budget, NodeReading, NodeStatus};

/// Older samples are stale. One is due each second; one may be late, and one lost.
pub const FRESH_FOR: Duration = Duration::from_secs(4);

/// Largest drift between two clocks, in seconds per second: unsynchronized clocks drift by about 100 ppm.
const DRIFT: f64 = 500e-6;

/// Interval at which a gap that goes on is reported again.
const REPORT_GAPS_EVERY: Duration = Duration::from_secs(10);

/// The nodes, by name.
#[derive(Clone, Debug, Default)]
pub struct NodeTracker {
    known: BTreeMap<String, TrackedNode>,
    /// Deleted nodes. Their machines may go on sending samples for a while.
    gone: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct TrackedNode {
    status: Option<NodeStatus>,
    latest: Option<Latest>,
    gap_reported: Option<Duration>,
    /// Smallest difference between the time of arrival and the node's time: clock offset plus shortest delay. What a sample took
    /// longer is its age.
    offset: Option<Signed>,
    /// Node time of the last sample.
    taken: Option<SystemTime>,
}

/// Signed difference of two times, in seconds.
type Signed = f64;

/// The last sample of a node.
#[derive(Clone, Debug, PartialEq)]
struct Latest {
    /// Arrival: see [`Moment::passed`](crate::clock::Moment::passed).
    seen: Duration,
    /// Its age on arrival.
    age_then: Duration,
    kernel: String,
    memory: Option<MemoryTotals>,
    budget: Option<Budget>,
}

/// Memory of one or several machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryTotals {
    /// MemTotal.
    pub total: Bytes,
    /// MemFree.
    pub free: Bytes,
    /// MemAvailable.
    pub available: Bytes,
    /// Active.
    pub active: Bytes,
}

/// Sums over all eligible nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Kernels of the nodes; a node that was never sampled counts as one.
    pub kernels: u32,
    /// Kernels whose last sample is fresh.
    pub fresh: u32,
    /// Age of the oldest of the last samples.
    pub oldest: Option<Duration>,
    /// Memory; none unless all samples are fresh.
    pub memory: Option<MemoryTotals>,
    /// Budget of all instances together, if there is one.
    pub budget: Option<Budget>,
}

impl NodeTracker {
    /// Takes the status of a node. Returns it as text if it changed.
    pub fn status(&mut self, status: NodeStatus) -> Option<String> {
        self.gone.remove(&status.name);
        let node = self.known.entry(status.name.clone()).or_default();
        let words = |status: &NodeStatus| {
            let ready = if status.ready { "ready" } else { "not ready" };
            let eligible = if status.eligible { "" } else { "not eligible" };
            let parts = [ready, eligible, &status.conditions];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
        };
        let changed = node.status.as_ref() != Some(&status);
        let said = changed.then(|| words(&status));
        node.status = Some(status);
        said
    }

    /// Removes a deleted node. Returns whether it was known.
    pub fn remove(&mut self, name: &str) -> bool {
        self.gone.insert(name.to_owned());
        self.known.remove(name).is_some()
    }

    /// Takes the names of all existing nodes. Returns those that were deleted.
    pub fn only(&mut self, names: &BTreeSet<String>) -> Vec<String> {
        let missing: Vec<String> = self
            .known
            .iter()
            .filter(|(name, node)| node.status.is_some() && !names.contains(*name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &missing {
            self.remove(name);
        }
        missing
    }

    /// Takes a sample that arrived when this time had passed since the run began. Returns its age on arrival; none if it has no time.
    pub fn sample(&mut self, seen: Duration, sample: &NodeReading) -> Option<Duration> {
        if self.gone.contains(&sample.node) {
            return None;
        }
        let node = self.known.entry(sample.node.clone()).or_default();
        let text = |key: &str| sample.record.get(key).and_then(Value::as_str);
        let taken = text("time").and_then(|time| humantime::parse_rfc3339(time).ok());
        let offset = taken.map(|taken| signed(seen, taken));
        if taken.zip(node.taken).is_some_and(|(now, before)| now < before) {
            // The clock was set back.
            node.offset = None;
        }
        let since = node.latest.as_ref().map_or(0.0, |latest| seen.saturating_sub(latest.seen).as_secs_f64());
        let least = node.offset.map(|least| least + since * DRIFT);
        node.offset = match (least, offset) {
            (Some(least), Some(offset)) => Some(least.min(offset)),
            (least, offset) => least.or(offset),
        };
        node.taken = taken.or(node.taken);
        let late = offset.zip(node.offset).map(|(offset, least)| offset - least);
        let age_then = late.and_then(|late| Duration::try_from_secs_f64(late).ok());
        let bytes = |key: &str| sample.record.get(key).and_then(Value::as_u64).map(Bytes);
        let memory = || {
            Some(MemoryTotals {
                total: bytes("memory_total_bytes")?,
                free: bytes("memory_free_bytes")?,
                available: bytes("memory_available_bytes")?,
                active: bytes("memory_active_bytes")?,
            })
        };
        node.latest = Some(Latest {
            seen,
            age_then: age_then.unwrap_or_default(),
            // Without a boot ID each node counts as a machine.
            kernel: text("boot_id").map_or_else(|| format!("node/{}", sample.node), str::to_owned),
            memory: memory(),
            budget: sample.budget,
        });
        node.gap_reported = None;
        age_then
    }

    /// Gaps to report: nodes whose last sample is stale, with its age.
    pub fn gaps(&mut self, now: Duration) -> Vec<(String, Duration)> {
        let mut gaps = Vec::new();
        for (name, node) in &mut self.known {
            let Some(latest) = &node.latest else { continue };
            let due =
                node.gap_reported.is_none_or(|reported| now.saturating_sub(reported) >= REPORT_GAPS_EVERY);
            if latest.age(now) > FRESH_FOR && due {
                node.gap_reported = Some(now);
                gaps.push((name.clone(), latest.age(now)));
            }
        }
        gaps
    }

    /// Sums over all eligible nodes. One that was never sampled is missing from them, so there is no sum of memory.
    #[must_use]
    pub fn sums(&self, now: Duration) -> Sums {
        let latest = self.kernels(now);
        let fresh: Vec<_> = latest.values().filter(|latest| latest.age(now) <= FRESH_FOR).collect();
        let kernels = latest.len() + self.unsampled().count();
        let all = kernels > 0 && fresh.len() == kernels;
        let memories: Option<Vec<MemoryTotals>> = fresh.iter().map(|latest| latest.memory).collect();
        Sums {
            kernels: kernels.try_into().unwrap_or(u32::MAX),
            fresh: fresh.len().try_into().unwrap_or(u32::MAX),
            oldest: latest.values().map(|latest| latest.age(now)).max(),
            memory: memories
                .filter(|_| all)
                .map(|memories| memories.into_iter().fold(MemoryTotals::default(), MemoryTotals::plus)),
            budget: fresh.iter().find_map(|latest| latest.budget),
        }
    }

    /// Names of eligible nodes that were never sampled.
    pub fn unsampled(&self) -> impl Iterator<Item = &str> {
        let unsampled = self.known.iter().filter(|(_, node)| node.is_eligible() && node.latest.is_none());
        unsampled.map(|(name, _)| name.as_str())
    }

    /// Whether every eligible node was sampled.
    #[must_use]
    pub fn all_sampled(&self) -> bool {
        !self.known.is_empty() && self.unsampled().next().is_none()
    }

    /// Whether each fresh kernel has a sample taken after a time.
    #[must_use]
    pub fn sampled_since(&self, then: Duration, now: Duration) -> bool {
        self.fresh(now)
            .all(|latest| latest.seen.checked_sub(latest.age_then).is_some_and(|taken| taken > then))
    }

    /// Available memory of each fresh kernel, by boot ID.
    #[must_use]
    pub fn available(&self, now: Duration) -> BTreeMap<String, u64> {
        self.fresh(now)
            .filter_map(|latest| Some((latest.kernel.clone(), latest.memory?.available.0)))
            .collect()
    }

    /// Latest sample of each fresh kernel.
    fn fresh(&self, now: Duration) -> impl Iterator<Item = &Latest> {
        self.kernels(now).into_values().filter(move |latest| latest.age(now) <= FRESH_FOR)
    }

    /// Latest sample of each kernel, of any of its eligible nodes.
    fn kernels(&self, now: Duration) -> BTreeMap<&str, &Latest> {
        let mut kernels: BTreeMap<&str, &Latest> = BTreeMap::new();
        let eligible = self.known.values().filter(|node| node.is_eligible());
        for latest in eligible.filter_map(|node| node.latest.as_ref()) {
            let kernel = kernels.entry(&latest.kernel).or_insert(latest);
            if latest.age(now) < kernel.age(now) {
                *kernel = latest;
            }
        }
        kernels
    }

    /// Whether a node is ready, if known.
    #[must_use]
    pub fn is_ready(&self, name: &str) -> Option<bool> {
        Some(self.known.get(name)?.status.as_ref()?.ready)
    }

    /// Whether a node is cordoned.
    #[must_use]
    pub fn is_cordoned(&self, name: &str) -> bool {
        let status = self.known.get(name).and_then(|node| node.status.as_ref());
        status.is_some_and(|status| status.conditions.split(' ').any(|word| word == "unschedulable"))
    }

    /// Boot ID in the last sample of a node.
    #[must_use]
    pub fn kernel_of(&self, name: &str) -> Option<&str> {
        let kernel = &self.known.get(name)?.latest.as_ref()?.kernel;
        (!kernel.starts_with("node/")).then_some(kernel)
    }

    /// Whether instances may be placed on a node, if known.
    #[must_use]
    pub fn is_eligible(&self, name: &str) -> Option<bool> {
        Some(self.known.get(name)?.status.as_ref()?.eligible)
    }

    /// Numbers of eligible nodes that are ready and not ready.
    #[must_use]
    pub fn ready_counts(&self) -> (u32, u32) {
        let known =
            self.known.values().filter_map(|node| node.status.as_ref()).filter(|status| status.eligible);
        known.fold((0, 0), |(ready, not_ready), status| match status.ready {
            true => (ready + 1, not_ready),
            false => (ready, not_ready + 1),
        })
    }
}

impl TrackedNode {
    /// Whether it counts. Without a status nothing excludes it.
    fn is_eligible(&self) -> bool {
        self.status.as_ref().is_none_or(|status| status.eligible)
    }
}

impl Latest {
    fn age(&self, now: Duration) -> Duration {
        self.age_then + now.saturating_sub(self.seen)
    }
}

impl MemoryTotals {
    fn plus(self, other: Self) -> Self {
        let sum = |of: fn(&Self) -> Bytes| Bytes(of(&self).0.saturating_add(of(&other).0));
        Self {
            total: sum(|memory| memory.total),
            free: sum(|memory| memory.free),
            available: sum(|memory| memory.available),
            active: sum(|memory| memory.active),
        }
    }
}

/// Seconds from a node's time, which may be before 1970, to the time since the run began.
fn signed(seen: Duration, taken: SystemTime) -> Signed {
    let taken = match taken.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(error) => -error.duration().as_secs_f64(),
    };
    seen.as_secs_f64() - taken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(1000.0 + seconds)
    }

    fn sample(node: &str, boot_id: Option<&str>, taken: f64, free: u64) -> NodeReading {
        let time = humantime::format_rfc3339_millis(UNIX_EPOCH + at(taken)).to_string();
        let record = json!({
            "time": time, "boot_id": boot_id, "memory_total_bytes": 100, "memory_free_bytes": free,
            "memory_available_bytes": free, "memory_active_bytes": 100 - free,
        });
        NodeReading { node: node.into(), record: record.as_object().unwrap().clone(), budget: None }
    }

    #[test]
    fn nodes_that_share_a_kernel_share_its_memory() {
        let mut nodes = NodeTracker::default();
        nodes.sample(at(1.0), &sample("a", Some("one"), 1.0, 40));
        nodes.sample(at(1.5), &sample("b", Some("one"), 1.5, 39));
        let sums = nodes.sums(at(2.0));
        assert_eq!((sums.kernels, sums.memory.unwrap().free), (1, Bytes(39)), "the youngest sample");
        nodes.sample(at(2.0), &sample("c", Some("two"), 2.0, 7));
        nodes.sample(at(2.0), &sample("d", None, 2.0, 1));
        assert_eq!(nodes.sums(at(2.0)).memory.unwrap().free, Bytes(47));
    }

    #[test]
    fn what_is_stale_is_in_no_sum_and_a_part_is_no_sum() {
        let mut nodes = NodeTracker::default();
        assert_eq!(nodes.sums(at(0.0)), Sums::default(), "nothing is not zero");
        nodes.sample(at(1.0), &sample("a", Some("one"), 1.0, 40));
        nodes.sample(at(9.0), &sample("b", Some("two"), 9.0, 40));
        let sums = nodes.sums(at(9.0));
        assert_eq!((sums.kernels, sums.fresh, sums.memory), (2, 1, None));
        assert_eq!(sums.oldest, Some(Duration::from_secs(8)));
        assert_eq!(nodes.available(at(9.0)).into_iter().collect::<Vec<_>>(), [("two".into(), 40)]);
    }

    #[test]
    fn a_sample_that_arrives_late_is_old_and_clocks_out_of_step_do_not_matter() {
        let mut nodes = NodeTracker::default();
        // This node's clock is 100 s ahead.
        assert_eq!(nodes.sample(at(1.0), &sample("a", Some("one"), 101.0, 40)), Some(Duration::ZERO));
        let age = nodes.sample(at(9.0), &sample("a", Some("one"), 102.0, 40)).unwrap();
        assert!((age.as_secs_f64() - 7.0).abs() < 0.01, "but for what clocks drift: {age:?}");
        assert_eq!(nodes.sums(at(9.0)).fresh, 0);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_sample_stale_for_ever() {
        let mut nodes = NodeTracker::default();
        nodes.sample(at(0.0), &sample("a", Some("one"), 100.0, 40));
        nodes.sample(at(1.0), &sample("a", Some("one"), 1.0, 40));
        assert_eq!(nodes.sums(at(1.0)).fresh, 1, "set back");
        nodes.sample(at(2.0), &sample("a", Some("one"), 62.0, 40));
        nodes.sample(at(3.0), &sample("a", Some("one"), 63.0, 40));
        assert_eq!(nodes.sums(at(3.0)).fresh, 1, "set forward");
    }

    #[test]
    fn samples_that_are_late_for_long_do_not_become_fresh_by_that_and_drift_makes_none_stale() {
        let mut nodes = NodeTracker::default();
        nodes.sample(at(0.0), &sample("late", Some("one"), 0.0, 40));
        nodes.sample(at(0.0), &sample("drifts", Some("two"), 0.0, 40));
        for second in 1..4000 {
            let now = f64::from(second);
            nodes.sample(at(now + 20.0), &sample("late", Some("one"), now, 40));
            nodes.sample(at(now), &sample("drifts", Some("two"), now * (1.0 - 400e-6), 40));
        }
        let sums = nodes.sums(at(3999.0));
        assert_eq!((sums.kernels, sums.fresh), (2, 1));
        assert!(sums.oldest.unwrap() > Duration::from_secs(17), "{sums:?}");
    }

    #[test]
    fn a_node_that_is_gone_is_in_no_sum_although_its_machine_goes_on_telling() {
        let mut nodes = NodeTracker::default();
        let there = NodeStatus::ready("a");
        nodes.status(there.clone());
        nodes.sample(at(1.0), &sample("a", Some("one"), 1.0, 40));
        assert!(nodes.remove("a") && !nodes.remove("a"));
        nodes.sample(at(2.0), &sample("a", Some("one"), 2.0, 40));
        assert_eq!((nodes.sums(at(60.0)).kernels, nodes.gaps(at(60.0))), (0, vec![]));
        nodes.status(there);
        nodes.sample(at(61.0), &sample("a", Some("one"), 61.0, 40));
        assert_eq!(nodes.sums(at(61.0)).fresh, 1, "it is back");
    }

    #[test]
    fn a_gap_is_told_when_it_begins_and_each_ten_seconds() {
        let mut nodes = NodeTracker::default();
        nodes.sample(at(0.0), &sample("a", None, 0.0, 40));
        let told: Vec<u64> =
            (0..30).filter(|second| !nodes.gaps(at(f64::from(*second as u32))).is_empty()).collect();
        assert_eq!(told, [5, 15, 25]);
        nodes.sample(at(30.0), &sample("a", None, 30.0, 40));
        assert_eq!(nodes.gaps(at(31.0)), []);
    }

    #[test]
    fn a_node_that_the_load_may_not_use_counts_in_no_sum_and_no_rule() {
        let mut nodes = NodeTracker::default();
        let status = |name: &str, ready, eligible| NodeStatus { ready, eligible, ..NodeStatus::ready(name) };
        assert_eq!(nodes.status(status("windows", false, false)).as_deref(), Some("not ready, not eligible"));
        assert!(
            nodes.all_sampled() && nodes.sums(at(0.0)).kernels == 0,
            "there is no eligible node to wait for"
        );
        nodes.status(status("a", true, true));
        nodes.sample(at(1.0), &sample("a", Some("one"), 1.0, 40));
        nodes.sample(at(1.0), &sample("windows", Some("two"), 1.0, 7));
        assert_eq!((nodes.ready_counts(), nodes.all_sampled()), ((1, 0), true));
        let sums = nodes.sums(at(1.0));
        assert_eq!((sums.kernels, sums.fresh, sums.memory.unwrap().free), (1, 1, Bytes(40)));
        assert_eq!(nodes.available(at(1.0)).into_keys().collect::<Vec<_>>(), ["one"]);
        // Cordoned: it has room for no further instance.
        nodes.status(status("a", true, false));
        assert_eq!((nodes.ready_counts(), nodes.sums(at(1.0)).memory), ((0, 0), None));
    }

    #[test]
    fn memory_of_all_nodes_is_not_known_while_one_was_never_sampled() {
        let mut nodes = NodeTracker::default();
        nodes.status(NodeStatus::ready("a"));
        nodes.status(NodeStatus::ready("b"));
        nodes.sample(at(1.0), &sample("a", Some("one"), 1.0, 40));
        let sums = nodes.sums(at(1.0));
        assert_eq!((sums.kernels, sums.fresh, sums.memory), (2, 1, None));
        assert_eq!(nodes.unsampled().collect::<Vec<_>>(), ["b"]);
        nodes.sample(at(1.0), &sample("b", Some("two"), 1.0, 2));
        assert_eq!(nodes.sums(at(1.0)).memory.unwrap().free, Bytes(42));
    }

    #[test]
    fn nodes_that_are_no_longer_listed_are_named() {
        let mut nodes = NodeTracker::default();
        let status = |name: &str, ready| NodeStatus { ready, ..NodeStatus::ready(name) };
        assert_eq!(nodes.status(status("a", true)).as_deref(), Some("ready"));
        assert_eq!(nodes.status(status("a", true)), None);
        assert_eq!(nodes.status(status("a", false)).as_deref(), Some("not ready"));
        nodes.status(status("b", true));
        assert_eq!(nodes.ready_counts(), (1, 1));
        assert_eq!(nodes.only(&BTreeSet::from(["b".into()])), ["a"]);
        assert_eq!((nodes.ready_counts(), nodes.is_ready("b")), ((1, 0), Some(true)));
    }
}

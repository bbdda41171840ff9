//! Memory of the machine as loads see it from inside: under a process runtime that of the node, in a guest its own.

use std::collections::{BTreeMap, HashMap};

use super::components::median;
use super::reported_load::PAGE_TABLES;
use super::{Dataset, ReportRow};

/// The memory that the load of an instance saw while it held all of its own, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenMemory {
    /// Its unique ID.
    pub uid: String,
    /// Its group, in a mixed run.
    pub group: Option<String>,
    /// MemTotal, as last told.
    pub total: f64,
    /// MemTotal − MemAvailable, less the memory that is the load's alone and the page tables of that: median of the later half of its
    /// reports. None where it does not tell.
    pub beyond_load: Option<f64>,
    /// Whether MemTotal is what its node had at some time; none where samples of the node do not tell.
    pub is_of_node: Option<bool>,
}

impl Dataset {
    /// What each load saw before a step (its index) or until scaling down; without those that do not tell.
    #[must_use]
    pub fn seen_memory(&self, before: Option<usize>) -> Vec<SeenMemory> {
        let Some(recorded) = self.recorded() else { return Vec::new() };
        let until = self.until(before);
        let mut by_uid: BTreeMap<&str, Vec<&ReportRow>> = BTreeMap::new();
        for report in &recorded.reports.reports {
            let uid = recorded.reports.uids.get(report.instance as usize);
            if let Some(uid) = uid.filter(|_| report.is_full() && report.elapsed_seconds <= until) {
                by_uid.entry(uid).or_default().push(report);
            }
        }
        let (mut nodes, mut groups) = (HashMap::new(), HashMap::new());
        for row in &recorded.pods {
            nodes.extend(row.node.as_deref().map(|node| (row.uid.as_str(), node)));
            groups.extend(row.group.as_ref().map(|group| (row.uid.as_str(), group)));
        }
        let of_one = |(uid, reports): (&str, Vec<&ReportRow>)| {
            let total = reports.iter().rev().find_map(|report| report.machine_memory_bytes)?;
            let later = reports.get(reports.len() / 2..).unwrap_or_default();
            let beyond: Vec<f64> = later.iter().filter_map(|report| beyond_load(report)).collect();
            Some(SeenMemory {
                uid: uid.to_owned(),
                group: groups.get(uid).map(|group| (*group).clone()),
                total: total as f64,
                beyond_load: (!beyond.is_empty()).then(|| median(beyond.into_iter())),
                is_of_node: nodes.get(uid).and_then(|node| self.has_node_had(node, total)),
            })
        };
        by_uid.into_iter().filter_map(of_one).collect()
    }

    /// Whether the MemTotal of a node was this in some sample; none where no sample tells.
    fn has_node_had(&self, node: &str, total: u64) -> Option<bool> {
        let series = self.nodes.iter().find(|series| series.name == node)?;
        let mut totals = series.samples.iter().filter_map(|sample| sample.memory.total).peekable();
        totals.peek()?;
        Some(totals.any(|known| known == total))
    }
}

/// What is in use of the machine that a load sees, beyond the load.
fn beyond_load(report: &ReportRow) -> Option<f64> {
    let used = report.machine_memory_bytes? as f64 - report.machine_available_bytes? as f64;
    Some(used - report.alone_bytes()? as f64 * (1.0 + PAGE_TABLES))
}

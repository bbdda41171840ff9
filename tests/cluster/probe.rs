//! Reports of the node probes during another test.

use std::time::{Duration, SystemTime};

use humantime::{format_rfc3339_millis, parse_rfc3339};
use serde_json::Value;

use crate::kubectl::{Log, list};
use crate::support::number;

/// A report is due each second.
const LONGEST_SILENCE: Duration = Duration::from_secs(2);
const SELECTOR: &str = "app.kubernetes.io/component=probe";

/// The probes from one time on.
pub(crate) struct Probes {
    /// One a node.
    followed: Vec<Followed>,
}

struct Followed {
    probe: Probe,
    log: Log,
    reports: Vec<Value>,
}

#[derive(PartialEq, Eq, Debug)]
struct Probe {
    pod: String,
    node: String,
    restarts: u64,
}

/// The probes that there are.
fn probes() -> Vec<Probe> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let probe = |pod: Value| Probe {
        pod: text(&pod["metadata"]["name"]),
        node: text(&pod["spec"]["nodeName"]),
        restarts: pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or_default(),
    };
    list(&["pods", "--selector", SELECTOR]).into_iter().map(probe).collect()
}

impl Followed {
    fn from(since: &str, probe: Probe) -> Self {
        Self { log: Log::follow(&probe.pod, &["--since-time", since]), probe, reports: Vec::new() }
    }

    /// Panics where it has fallen silent.
    fn assert_it_went_on(&mut self) {
        let node = &self.probe.node;
        // Limits are told in between, and when they change.
        let is_of_the_node = |record: &Value| record["record"] != "limit";
        self.reports.extend(self.log.arrived().filter(is_of_the_node));
        let times: Vec<f64> = self.reports.iter().map(|report| number(report, "elapsed_seconds")).collect();
        let silence = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(silence <= LONGEST_SILENCE.as_secs_f64(), "{node}: {silence} s without a report");
        let last = self.reports.last().and_then(|report| parse_rfc3339(report["time"].as_str()?).ok());
        let age = last.map(|time| time.elapsed().unwrap_or_default());
        assert!(age.is_some_and(|age| age <= LONGEST_SILENCE), "{node}: the last report is {age:?} old");
    }
}

impl Probes {
    /// Those of all nodes, from now on.
    pub(crate) fn from_now() -> Self {
        let since = format_rfc3339_millis(SystemTime::now()).to_string();
        let followed: Vec<_> = probes().into_iter().map(|probe| Followed::from(&since, probe)).collect();
        assert!(!followed.is_empty(), "no probe runs");
        Self { followed }
    }

    /// Panics where one of them has fallen silent, was started again, or has been replaced.
    pub(crate) fn assert_they_went_on(&mut self) {
        let before: Vec<_> = self.followed.iter().map(|followed| &followed.probe).collect();
        assert_eq!(probes().iter().collect::<Vec<_>>(), before, "the same pods, not started again");
        self.followed.iter_mut().for_each(Followed::assert_it_went_on);
    }

    /// What the one on a node has reported until it was last asked whether it went on.
    pub(crate) fn reports(&self, node: &str) -> &[Value] {
        let followed = self.followed.iter().find(|followed| followed.probe.node == node);
        &followed.unwrap_or_else(|| panic!("no probe on {node}")).reports
    }
}

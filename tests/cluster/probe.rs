//! What the probes on the nodes report while something else happens.

use std::time::{Duration, SystemTime};

use humantime::{format_rfc3339_millis, parse_rfc3339};
use serde_json::Value;

use crate::kubectl::{get, in_namespace};
use crate::support::number;

/// A report is due each second.
const LONGEST_SILENCE: Duration = Duration::from_secs(2);
const SELECTOR: &str = "app.kubernetes.io/component=probe";

/// The probes from one time on.
pub(crate) struct Probes {
    since: SystemTime,
    /// One a node.
    pods: Vec<Probe>,
}

#[derive(PartialEq, Eq, Debug)]
struct Probe {
    pod: String,
    node: String,
    restarts: u64,
}

/// The probes that there are.
fn probes() -> Vec<Probe> {
    let list = get(&["pods", "--selector", SELECTOR]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let probe = |pod: &Value| Probe {
        pod: text(&pod["metadata"]["name"]),
        node: text(&pod["spec"]["nodeName"]),
        restarts: pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or_default(),
    };
    list["items"].as_array().expect("a list").iter().map(probe).collect()
}

impl Probes {
    /// Those of all nodes, from now on.
    pub(crate) fn from_now() -> Self {
        let pods = probes();
        assert!(!pods.is_empty(), "no probe runs");
        Self { since: SystemTime::now(), pods }
    }

    /// The reports of the probe on a node since then.
    pub(crate) fn reports(&self, node: &str) -> Vec<Value> {
        let probe = self.pods.iter().find(|probe| probe.node == node);
        self.reports_of(probe.unwrap_or_else(|| panic!("no probe on {node}")))
    }

    fn reports_of(&self, probe: &Probe) -> Vec<Value> {
        let since = format_rfc3339_millis(self.since).to_string();
        let log = in_namespace(&["logs", "--since-time", &since, &probe.pod]);
        log.lines().map(|line| serde_json::from_str(line).expect("every line is whole")).collect()
    }

    /// Panics where one of them has fallen silent, was started again, or has been replaced.
    pub(crate) fn assert_they_went_on(&self) {
        assert_eq!(probes(), self.pods, "the same pods, not started again");
        for probe in &self.pods {
            let reports = self.reports_of(probe);
            let node = &probe.node;
            let times: Vec<f64> = reports.iter().map(|report| number(report, "elapsed_seconds")).collect();
            let silence = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
            assert!(silence <= LONGEST_SILENCE.as_secs_f64(), "{node}: {silence} s without a report");
            let last = reports.last().and_then(|report| parse_rfc3339(report["time"].as_str()?).ok());
            let age = last.map(|time| time.elapsed().unwrap_or_default());
            assert!(age.is_some_and(|age| age <= LONGEST_SILENCE), "{node}: the last report is {age:?} old");
        }
    }
}

//! The scenarios of runc without a cluster: `podman kube play`.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::manifest::Scenario;
use crate::support::{Records, Running, number, started};

/// A scenario that podman plays, for as long as the value lives.
struct Played<'a> {
    scenario: &'a Scenario,
}

fn podman(args: &[&str]) -> Command {
    let mut command = Command::new("podman");
    // Conmon leaves a file `oom` in the working directory after an OOM kill.
    command.args(args).current_dir(env!("CARGO_TARGET_TMPDIR")).stdin(Stdio::null());
    command
}

impl<'a> Played<'a> {
    fn start(scenario: &'a Scenario) -> Self {
        let played = Self { scenario };
        let output = podman(&["kube", "play"]).arg(&scenario.path).output().expect("podman is installed");
        assert!(output.status.success(), "{}: {}", scenario.name, String::from_utf8_lossy(&output.stderr));
        played
    }

    /// What its container says, from the beginning and on.
    fn log(&self) -> (Running, Records) {
        let output =
            podman(&["ps", "--all", "--format", "{{.Names}}"]).output().expect("podman is installed");
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        // Pods are numbered by some versions.
        let pod = format!("{}-pod-", self.scenario.name);
        let is_it = |name: &&str| name.starts_with(&pod) && name.ends_with("-workload");
        let container = names.lines().find(is_it).unwrap_or_else(|| panic!("{pod} is not among {names}"));
        let mut command = podman(&["logs", "--follow", container]);
        let mut log = started(command.stdout(Stdio::piped())).expect("podman is installed");
        let records = Records::of(&mut log.child);
        (log, records)
    }
}

impl Drop for Played<'_> {
    fn drop(&mut self) {
        // Where it has failed there may be nothing to end.
        let _ = podman(&["kube", "down"]).arg(&self.scenario.path).output();
    }
}

#[test]
#[ignore = "needs podman"]
fn podman_plays_every_scenario_of_runc_as_it_is() {
    for scenario in Scenario::all("runc") {
        let played = Played::start(&scenario);
        let (_log, mut records) = played.log();
        let first = records.next().expect("it says something");
        let limit = scenario.resource_bytes("limits");
        let told = &first["memory_limit_bytes"];
        match limit {
            Some(limit) => assert_eq!(*told, limit, "{}", scenario.name),
            // On v2 there may be one out of sight.
            None => assert!(["unlimited".into(), Value::Null].contains(told), "{}: {told}", scenario.name),
        }
        // Those that take all they can get are on their way with two steps.
        let enough = scenario.memory_bytes().unwrap_or(50_000_000);
        let there = records.wait_for(&scenario.name, Duration::from_secs(60), |report| {
            report["memory_resident_bytes"].as_u64().is_some_and(|bytes| bytes >= enough)
        });
        if scenario.memory_bytes().is_some() {
            let resident = number(&there, "memory_resident_bytes");
            assert!((resident - enough as f64).abs() <= f64::from(64 << 10), "{}: {there}", scenario.name);
        }
    }
}

//! Studies of sizes: the overhead as a line over memory limits, and what podFixed has to be.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kata_studies::{holds, ramp, recorded, report, set_class};

/// 64 MB and 5 % of the limit more.
const SIZES: &str = "engine: simulated\nseed: 7\nwarmup: false\nruntimes: [runc, kata]\nblocks: 2\n\
                     worlds: {kata: {runtime: {memory: 66M, per_limit: 5%}}}\nramp: {to: 5, settle: 5s, hold: 5s}\n\
                     sizes: [{memory: 20M, limits: {memory: 1Gi}}, {memory: 20M, limits: {memory: 128Mi}}, \
                     {memory: 20M, limits: {memory: 512Mi}}]\n";
const FIXED: f64 = 64e6;
const MIB: f64 = 1_048_576.0;

/// As if the pods of kata had a RuntimeClass with this podFixed of memory.
fn with_class(place: &TempDir, mib: u64) {
    let class = json!({
        "name": "kata", "handler": "kata-qemu", "overhead_memory_bytes": mib << 20, "overhead_cpu_cores": 0.25,
        "scheduling": {"nodeSelector": {"kata": "true"}},
    });
    set_class(place, &class);
}

#[test]
fn the_overhead_is_a_line_over_memory_limits_and_pod_fixed_is_that_of_the_largest_size() {
    let place = recorded(SIZES);
    with_class(&place, 160);
    let json = report(&place);
    let found = &json["overhead_by_size"][0];
    assert_eq!((&found["base"], &found["other"]), (&json!("runc"), &json!("kata")));
    assert!(holds(&found["fixed"], FIXED) && holds(&found["per_limit"], 0.05), "{found}");
    assert_eq!(found["fit"]["answer"], "fits", "{found}");
    let size = |name: &str| {
        let sizes = found["sizes"].as_array().unwrap();
        sizes.iter().find(|size| size["name"] == name).unwrap_or_else(|| panic!("{name}: {found}"))
    };
    for (name, source, mib) in [("512Mi", "measured", 512.0), ("2Gi", "extrapolated", 2048.0)] {
        let size = size(name);
        assert!(size["source"] == source && holds(&size["overhead"], FIXED + 0.05 * mib * MIB), "{size}");
    }
    // 64 MB are 61.0 MiB, and 5 % of 1 GiB 51.2.
    let largest = size("1Gi");
    assert_eq!(largest["pod_fixed_in_place"]["answer"], "more_than_used", "{largest}");
    assert_eq!(size("4Gi")["pod_fixed_in_place"]["answer"], "less_than_used");
    let advised = found["pod_fixed"]["as_measured"]["memory_bytes"].as_f64().unwrap() / MIB;
    assert!((112.0..140.0).contains(&advised) && advised.fract() == 0.0, "{advised}");
    let pods = &largest["pods"]["by_memory_requests"];
    assert!(pods["in_place"].as_u64() < pods["as_measured"].as_u64(), "{largest}");

    let manifest = std::fs::read_to_string(place.path().join("out/runtimeclass-kata.yaml")).unwrap();
    let is_comment = |line: &&str| line.starts_with('#');
    let lines: Vec<&str> = manifest.lines().filter(|line| !is_comment(line)).collect();
    let memory = format!("    memory: {advised}Mi");
    let expected = [
        "apiVersion: node.k8s.io/v1",
        "kind: RuntimeClass",
        "metadata:",
        "  name: kata",
        "handler: kata-qemu",
        "overhead:",
        "  podFixed:",
        &memory,
        // As in place: what is known of CPU at rest after so short a dwell is no figure.
        "    cpu: 250m",
        "scheduling: {\"nodeSelector\":{\"kata\":\"true\"}}",
    ];
    assert_eq!(lines, expected);
    let comments: String = manifest.lines().filter(is_comment).collect();
    assert!(
        comments.contains("the peak was not measured") && comments.contains("the largest size"),
        "{manifest}"
    );

    for (assertion, holds) in [
        ("overhead_fixed<=70Mi", true),
        ("overhead_fixed<=50Mi", false),
        ("overhead_per_limit<=6%", true),
        ("overhead_per_limit>0.2", false),
    ] {
        let output = ramp(place.path(), &["report", "study", "--json", "--assert", assertion]);
        assert_eq!(output.status.code(), Some(if holds { 0 } else { 4 }), "{assertion}");
    }
}

#[test]
fn a_pod_fixed_that_is_less_than_is_used_is_told_with_what_nodes_would_be_overcommitted_by() {
    let place = recorded(SIZES);
    with_class(&place, 40);
    let found = report(&place)["overhead_by_size"][0].clone();
    let sentences = found["sentences"].as_array().unwrap();
    let told = sentences.iter().filter_map(Value::as_str).find(|told| told.contains("40Mi")).unwrap();
    assert!(
        told.contains("less than is used at 1Gi") && told.contains("than is reserved for them"),
        "{told}"
    );
}

#[test]
fn without_memory_limits_there_is_no_line_and_a_runtime_that_follows_them_is_refused() {
    let without = SIZES.replace("66M, per_limit: 5%", "66M").replace(", limits: {memory: 1Gi}", "");
    let sizes = "sizes: [{memory: 20M}, {memory: 40M}]\n";
    let at = without.find("sizes: ").unwrap();
    let place = recorded(&format!("{}{sizes}", &without[..at]));
    let found = report(&place)["overhead_by_size"][0].clone();
    let reason = found["reason"].as_str().unwrap();
    assert!(reason.starts_with("no memory limit is set") && found["fixed"].is_null(), "{found}");
    let at = SIZES.find("sizes: ").unwrap();
    std::fs::write(place.path().join("refused.yaml"), format!("{}{sizes}", &SIZES[..at])).unwrap();
    let output = ramp(place.path(), &["study", "run", "refused.yaml", "--out", "refused"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("runtime.per_limit: the container has no memory limit"),
        "{said}"
    );
}

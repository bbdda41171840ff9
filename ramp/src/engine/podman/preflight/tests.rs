use super::*;
use ramp_format::plan::EngineOptions;
use ramp_format::scenario::Scenario;
use workload::quantity::Bytes;

/// As Podman 4.3.1 answers, shortened.
const VERSION: &str = r#"{"Components":[
    {"Name":"Podman Engine","Version":"4.3.1","Details":{"APIVersion":"4.3.1"}},
    {"Name":"OCI Runtime (runc)","Version":"runc version 1.1.5\ncommit: 1","Details":{"Package":"runc_1.1.5"}}],
    "Version":"4.3.1","ApiVersion":"1.41","KernelVersion":"6.1.0"}"#;
const INFO: &str = r#"{"MemoryLimit":true,"CpuCfsQuota":true,"CgroupDriver":"cgroupfs","CgroupVersion":"1","NCPU":2,
    "MemTotal":25276510208,"Name":"vm","KernelVersion":"6.1.0","ContainersRunning":3,"DefaultRuntime":"runc",
    "Runtimes":{"crun":{"path":"/usr/bin/crun"},"runc":{"path":"/usr/bin/runc"}},
    "SecurityOptions":["name=seccomp,profile=default"]}"#;

fn order(runtime: Option<&str>) -> EngineSpec {
    let options = EngineOptions { runtime: runtime.map(str::to_owned), ..EngineOptions::default() };
    EngineSpec { run: "r1".into(), scenario: Scenario::embedded().unwrap(), options }
}

/// The machine of [`INFO`].
fn machine() -> MachineFacts {
    let mut facts = MachineFacts::read();
    facts.start.hostname = "vm".into();
    facts.start.kernel = "6.1.0".into();
    MachineFacts {
        total: Some(Bytes(25_276_510_208)),
        total_available: Some(Bytes(20_000_000_000)),
        // The limit of ramp's own cgroup is not that of the containers.
        available: Some(Bytes(1_000_000)),
        ..facts
    }
}

fn answers() -> EngineAnswers {
    EngineAnswers {
        version: serde_json::from_str(VERSION).unwrap(),
        info: serde_json::from_str(INFO).unwrap(),
        image: Ok(serde_json::from_str(r#"{"Config":{"User":"65532:65532"}}"#).unwrap()),
        containers: Vec::new(),
        kernel_log: true,
        machine: machine(),
    }
}

fn preflight(order: &EngineSpec, answers: &EngineAnswers) -> Preflight {
    check(order, &Readiness::of(&order.scenario), answers)
}

/// The one thing found.
fn found(order: &EngineSpec, answers: &EngineAnswers) -> Finding {
    let [finding] = &preflight(order, answers).findings[..] else {
        panic!("{:?}", preflight(order, answers))
    };
    finding.clone()
}

#[test]
fn a_good_host_has_a_node_and_versions_and_nothing_is_found() {
    let preflight = preflight(&order(None), &answers());
    assert_eq!(preflight.findings, []);
    assert_eq!(preflight.versions["podman"], "4.3.1");
    assert_eq!(preflight.versions["OCI Runtime (runc)"], "runc version 1.1.5");
    assert_eq!((preflight.versions["cgroup"].as_str(), preflight.versions["api"].as_str()), ("v1", "1.41"));
    let [node] = &preflight.nodes[..] else { panic!() };
    assert_eq!((node.name.as_str(), node.eligible, node.pods), ("vm", true, Some(3)));
    assert_eq!(node.allocatable_memory_bytes, Some(25_276_510_208));
    assert_eq!(node.container_runtime.as_deref(), Some("podman://4.3.1"));
}

#[test]
fn free_is_what_is_available_on_this_machine_and_not_known_of_another_one() {
    let free = |answers: &EngineAnswers| {
        let node = preflight(&order(None), answers).nodes.swap_remove(0);
        node.requested_memory_bytes.map(|taken| node.allocatable_memory_bytes.unwrap() - taken)
    };
    assert_eq!(free(&answers()), Some(20_000_000_000));
    type Change = fn(&mut SystemInfo);
    let others: [(Change, &str); 3] = [
        (|info| info.name = Some("docker-desktop".into()), "its hostname is docker-desktop, and vm here"),
        (|info| info.kernel_version = Some("6.8.0".into()), "its kernel is 6.8.0, and 6.1.0 here"),
        (|info| info.mem_total = Some(8_000_000_000), "its memory is 8000000000, and 25276510208 here"),
    ];
    for (change, why) in others {
        let mut other = answers();
        change(&mut other.info);
        assert_eq!(free(&other), None);
        let finding = found(&order(None), &other);
        assert!(!finding.refuses && finding.message.contains(why), "{finding:?}");
    }
}

#[test]
fn an_engine_without_a_log_that_can_be_read_is_refused() {
    let with = |drivers: &[&str]| {
        let mut answers = answers();
        let log = Some(drivers.iter().map(|&driver| driver.to_owned()).collect());
        answers.info.plugins = Some(bollard::models::PluginsInfo { log, ..Default::default() });
        preflight(&order(None), &answers).findings
    };
    // As Podman 4.3.1, Docker 28, and one that tells of none answer.
    assert_eq!(with(&["k8s-file", "none", "passthrough", "journald"]), []);
    assert_eq!(with(&["awslogs", "fluentd", "json-file", "local", "syslog"]), []);
    assert_eq!(with(&[]), []);
    let [finding] = &with(&["none", "journald"])[..] else { panic!() };
    assert!(finding.refuses && finding.message.contains("only none, journald"), "{finding:?}");
}

#[test]
fn an_image_that_is_not_there_is_refused_with_how_to_get_it() {
    let mut answers = answers();
    answers.image = Err(Refusal { status: Some(404), message: String::new(), unreadable: false });
    let finding = found(&order(None), &answers);
    assert!(
        finding.refuses && finding.message.contains("podman build --tag localhost/workload:0.1.0"),
        "{finding:?}"
    );
    answers.image = Err(Refusal { status: None, message: String::new(), unreadable: false });
    assert!(!found(&order(None), &answers).refuses, "not known is not missing");
}

#[test]
fn podman_runs_all_under_one_runtime_and_docker_under_any_that_it_has() {
    assert_eq!(preflight(&order(Some("runc")), &answers()).findings, []);
    assert_eq!(preflight(&order(Some("/usr/bin/runc")), &answers()).findings, []);
    let finding = found(&order(Some("crun")), &answers());
    assert!(
        finding.refuses && finding.message.contains("podman --runtime crun system service"),
        "{finding:?}"
    );
    let mut docker = answers();
    docker.version = serde_json::from_str(r#"{"Components":[{"Name":"Engine","Version":"29"}]}"#).unwrap();
    assert_eq!(preflight(&order(Some("crun")), &docker).findings, []);
    let finding = found(&order(Some("kata")), &docker);
    assert!(finding.refuses && finding.message.contains("the engine has crun, runc"), "{finding:?}");
}

#[test]
fn containers_of_other_runs_are_refused_and_named_and_ones_own_are_not() {
    let listed = |run: &str, name: String| Listed {
        id: name.clone(),
        name,
        run: run.into(),
        uid: None,
        is_running: true,
    };
    let mut answers = answers();
    answers.containers = vec![listed("r1", "mine".into())];
    assert_eq!(preflight(&order(None), &answers).findings, []);
    answers.containers.extend((0..12).map(|number| listed("r0", format!("old-{number}"))));
    let finding = found(&order(None), &answers);
    assert!(finding.refuses && finding.message.contains("old-0, ") && finding.message.contains("and 2 more"));
    assert!(finding.message.contains("ramp clean --engine podman") && !finding.message.contains("mine"));
}

#[test]
fn limits_that_are_not_set_are_warned_of() {
    let mut order = order(None);
    order.scenario.container.memory_limit = Some("1G".parse().unwrap());
    assert_eq!(preflight(&order, &answers()).findings, []);
    let mut rootless = answers();
    rootless.info.security_options = Some(vec!["name=rootless".into()]);
    let finding = found(&order, &rootless);
    assert!(!finding.refuses && finding.message.contains("limits on memory"), "{finding:?}");
    rootless.info.cgroup_version = Some(SystemInfoCgroupVersionEnum::_2);
    assert_eq!(preflight(&order, &rootless).findings, []);
    rootless.info.memory_limit = Some(false);
    assert!(found(&order, &rootless).message.contains("Delegate=yes"));
}

#[test]
fn a_machine_too_small_for_one_and_a_log_that_cannot_be_read_are_found() {
    let mut small = answers();
    small.info.mem_total = Some(400_000_000);
    small.machine.total = Some(Bytes(400_000_000));
    assert!(found(&order(None), &small).refuses);
    let blind = EngineAnswers { kernel_log: false, ..answers() };
    let finding = found(&order(None), &blind);
    assert!(!finding.refuses && finding.message.contains("/dev/kmsg"));
    let root = EngineAnswers { image: Ok(ImageInspect::default()), ..answers() };
    assert!(found(&order(None), &root).message.contains("runAsNonRoot"));
}

#[test]
fn what_is_said_is_as_written_down() {
    let told = |what: &str, order: &EngineSpec, answers: &EngineAnswers| {
        let lines = preflight(order, answers).findings.into_iter().map(|finding| {
            let heading = if finding.refuses { "WRONG" } else { "warning" };
            // A release changes no wording.
            format!("  {heading}: {}\n", finding.message.replace(env!("CARGO_PKG_VERSION"), "VERSION"))
        });
        format!("{what}\n{}", lines.collect::<String>())
    };
    let refusal = |status| Err(Refusal { status, message: "no answer".into(), unreadable: false });
    let mut rootless = answers();
    rootless.info.security_options = Some(vec!["name=rootless".into()]);
    rootless.info.memory_limit = Some(false);
    let mut small = answers();
    small.info.mem_total = Some(400_000_000);
    small.machine.total = Some(Bytes(400_000_000));
    let mut docker = answers();
    docker.version = serde_json::from_str(r#"{"Components":[{"Name":"Engine","Version":"29"}]}"#).unwrap();
    let mut left = answers();
    let listed = |number| Listed {
        id: format!("{number}"),
        name: format!("old-{number}"),
        run: "r0".into(),
        uid: None,
        is_running: true,
    };
    left.containers = (0..12).map(listed).collect();
    let mut limited = order(None);
    limited.scenario.container.memory_limit = Some("1G".parse().unwrap());
    limited.scenario.container.cpu_limit = Some("0.5".parse().unwrap());
    let mut other = answers();
    other.info.name = Some("docker-desktop".into());
    let mut unread = answers();
    let log = Some(vec!["none".to_owned(), "journald".to_owned()]);
    unread.info.plugins = Some(bollard::models::PluginsInfo { log, ..Default::default() });
    let text = [
        told("no image", &order(None), &EngineAnswers { image: refusal(Some(404)), ..answers() }),
        told("the image is not known", &order(None), &EngineAnswers { image: refusal(None), ..answers() }),
        told(
            "an image of root's",
            &order(None),
            &EngineAnswers { image: Ok(ImageInspect::default()), ..answers() },
        ),
        told("another runtime, of Podman", &order(Some("crun")), &answers()),
        told("another runtime, of Docker", &order(Some("kata")), &docker),
        told("limits that are not set", &limited, &rootless),
        told("too small a machine", &order(None), &small),
        told("no kernel log", &order(None), &EngineAnswers { kernel_log: false, ..answers() }),
        told("an earlier run", &order(None), &left),
        told("another machine", &order(None), &other),
        told("no log driver", &order(None), &unread),
    ];
    insta::assert_snapshot!("findings", text.concat());
    insta::assert_snapshot!("not_honoured", preflight(&order(None), &answers()).not_honoured.join("\n"));
}

#[test]
fn containers_of_a_live_run_are_not_to_be_removed() {
    let listed = |run: &str| Listed {
        id: "1".into(),
        name: format!("load-{run}-1"),
        run: run.into(),
        uid: None,
        is_running: true,
    };
    let containers = ["own", "live", "dead", "live"].map(listed);
    let found = about_leftovers("own", &containers, |run| (run == "live").then_some(77));
    let messages: Vec<String> = found.into_iter().map(|finding| finding.message).collect();
    assert_eq!(
        messages,
        [
            "run live is under way (process 77 on this machine): both would share its memory; wait until it has ended",
            "containers of other runs exist: load-dead-1; remove them with `ramp clean --engine podman`",
        ]
    );
}

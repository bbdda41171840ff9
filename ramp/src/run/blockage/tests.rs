use super::*;
use crate::engine::ContainerExit;

const SECOND: Duration = Duration::from_secs(1);

fn status(uid: &str, state: State, reason: &str) -> InstanceStatus {
    InstanceStatus {
        uid: uid.into(),
        name: format!("pod-{uid}"),
        node: None,
        state,
        since: None,
        reason: reason.into(),
        restarts: 0,
        end: None,
        over: false,
        group: None,
    }
}

/// A run of which each second is looked at.
struct Watched {
    tracker: BlockageTracker,
    now: Instant,
    asked: u32,
}

impl Watched {
    fn new(asked: u32) -> Self {
        Self { tracker: BlockageTracker::default(), now: Instant::now(), asked }
    }

    fn see(&mut self, uid: &str, state: State, reason: &str) {
        self.tracker.see(&status(uid, state, reason), true, self.now);
    }

    fn exits(&mut self, uid: &str, container: &str, reason: &str) {
        let end = ContainerExit {
            container: container.into(),
            state: State::Failed,
            at: None,
            reason: reason.into(),
        };
        let status = InstanceStatus { end: Some(end), ..status(uid, State::Failed, reason) };
        self.tracker.see(&status, true, self.now);
    }

    fn look(&mut self) -> Option<Blockage> {
        self.tracker.evaluate(self.asked, self.now)
    }

    /// Seconds for which it is blocked after these seconds.
    fn after(&mut self, seconds: u32) -> u64 {
        let mut lasts = Duration::ZERO;
        for _ in 0..seconds {
            self.now += SECOND;
            lasts = self.look().map_or(Duration::ZERO, |blocked| blocked.lasts(self.now));
        }
        lasts.as_secs()
    }
}

#[test]
fn reasons_that_do_not_pass_by_themselves_block_and_want_of_resources_and_overload_do_not() {
    for (state, reason) in [
        (State::Creating, "ErrImagePull: rpc error: i/o timeout"),
        (State::Creating, "ErrImageNeverPull: not present"),
        (State::Creating, "InvalidImageName"),
        (
            State::Creating,
            "CreateContainerConfigError: container has runAsNonRoot and image will run as root",
        ),
        (State::Creating, "CreateContainerError: secret not found"),
        (State::Creating, "RunContainerError: exec: no such file"),
        (
            State::Unschedulable,
            "Unschedulable: 0/2 nodes are available: 2 node(s) didn't match node selector.",
        ),
        (
            State::Unschedulable,
            "Unschedulable: 0/1 nodes are available: 1 node(s) had taint {a: b}, that the pod didn't tolerate.",
        ),
        (State::Unschedulable, "Unschedulable: persistentvolumeclaim \"x\" not found"),
        (State::Pending, "SchedulingGated"),
        (State::Failed, "StartError, exit 128"),
        (State::Failed, "FailedCreate: no such image: localhost/x"),
        (State::Failed, "could not be started: No such file or directory (os error 2)"),
    ] {
        let mut watched = Watched::new(1);
        watched.see("a", state, reason);
        let blocked = watched.look().unwrap_or_else(|| panic!("{reason}"));
        assert_eq!((blocked.instances, blocked.reason.as_str()), (1, reason));
        assert!(watched.after(30) >= 29, "{reason}");
    }
    for (state, reason) in [
        (State::Creating, ""),
        (State::Creating, "CreateContainerError: context deadline exceeded"),
        (State::Creating, "CreateContainerError: failed to reserve container name: is reserved for x"),
        (
            State::Unschedulable,
            "Unschedulable: 0/2 nodes are available: 1 Insufficient memory, 1 node(s) had taint {a: b}",
        ),
        (
            State::Unschedulable,
            "Unschedulable: 0/1 nodes are available: 1 node(s) had taint {node.kubernetes.io/not-ready: }",
        ),
        (State::Failed, "Error, exit 2"),
        (State::OomKilled, "OOMKilled, exit 137"),
    ] {
        let mut watched = Watched::new(1);
        watched.see("a", state, reason);
        assert_eq!((watched.look(), watched.after(60)), (None, 0), "{reason}");
    }
}

fn limit(node: &str, used: u64) -> LimitRow {
    LimitRow {
        time: ramp_format::time::Time(std::time::UNIX_EPOCH),
        elapsed_seconds: 0.0,
        step: 1,
        node: node.into(),
        sample_time: None,
        boot_id: None,
        resource: "pids".into(),
        scope: "pods".into(),
        limit: Some(100),
        used: Some(used),
        source: "/sys/fs/cgroup/pids/kubepods/pids.max".into(),
    }
}

#[test]
fn a_resource_of_the_node_that_is_exhausted_blocks_and_is_named() {
    for (state, reason, resource) in [
        (
            State::Failed,
            "could not be started: Resource temporarily unavailable (os error 11)",
            "processes (PIDs)",
        ),
        (
            State::Creating,
            "CreateContainerError: fork/exec runc: resource temporarily unavailable",
            "processes (PIDs)",
        ),
        (
            State::Creating,
            "RunContainerError: inotify_init: too many open files",
            "inotify instances or watches",
        ),
        (State::Creating, "CreateContainerError: write /var/lib/x: no space left on device", "disk space"),
    ] {
        let mut watched = Watched::new(1);
        watched.see("a", state, reason);
        let found = watched.look().unwrap_or_else(|| panic!("{reason}"));
        assert_eq!(found.reason, format!("{resource} exhausted: {reason}"));
        assert!(watched.after(30) >= 29, "{reason}");
    }
}

#[test]
fn what_keeps_a_sandbox_from_being_created_is_named_by_the_limits_of_its_node_where_the_message_does_not() {
    let reason =
        "FailedCreatePodSandBox: runc create failed: can't get final child's PID from pipe: EOF: unknown";
    let mut watched = Watched::new(1);
    let at = |node: &str| InstanceStatus { node: Some(node.into()), ..status("a", State::Creating, "") };
    watched.tracker.see(&at("node-0"), true, watched.now);
    let obstacle = Obstacle { instance: Some("pod-a".into()), reason: reason.into() };
    watched.tracker.obstacle(obstacle, watched.now);
    let said = |watched: &mut Watched| watched.look().unwrap().reason;
    assert_eq!(said(&mut watched), reason);
    watched.tracker.limit(&limit("node-1", 95), watched.now);
    watched.tracker.limit(&limit("node-0", 50), watched.now);
    assert_eq!(said(&mut watched), reason, "there is room on its node");
    watched.tracker.limit(&limit("node-0", 95), watched.now);
    assert_eq!(said(&mut watched), format!("processes (PIDs) exhausted: {reason}"));
    assert_eq!(watched.after(31), 31);
    watched.after(20);
    assert_eq!(said(&mut watched), reason, "that was long ago");
}

#[test]
fn while_another_instance_may_still_start_the_run_is_not_blocked() {
    let mut watched = Watched::new(3);
    watched.see("a", State::Creating, "ErrImagePull: not found");
    watched.see("b", State::Creating, "");
    assert_eq!(watched.after(60), 0, "b is being created");
    assert_eq!(watched.look().unwrap().since, None, "it is shown all the same");
    watched.see("b", State::Running, "");
    assert_eq!(watched.after(60), 0, "b takes its memory");
    watched.see("b", State::Ready, "");
    assert_eq!(watched.after(31), 30);
    watched.see("c", State::Ready, "");
    assert_eq!(watched.after(10), 9, "c has come to be ready");
}

#[test]
fn an_image_that_comes_after_a_while_blocks_nothing_any_more() {
    let mut watched = Watched::new(1);
    watched.see("a", State::Creating, "ErrImagePull: not found");
    assert_eq!(watched.after(21), 20);
    watched.see("a", State::Creating, "ImagePullBackOff: Back-off pulling image");
    assert_eq!(watched.after(5), 25, "the kubelet alternates between the two");
    watched.see("a", State::Creating, "");
    assert_eq!((watched.look(), watched.after(60)), (None, 0));
}

#[test]
fn a_crash_loop_before_it_was_ready_blocks_though_it_runs_for_moments() {
    let mut watched = Watched::new(1);
    watched.see("a", State::Running, "");
    watched.exits("a", "c1", "Error, exit 2");
    assert_eq!(watched.look(), None, "once may be a chance");
    watched.see("a", State::Running, "");
    watched.exits("a", "c2", "Error, exit 2");
    let expected = "CrashLoopBackOff: exited 2 times before it was ready: Error, exit 2";
    assert_eq!(watched.look().unwrap().reason, expected);
    watched.after(15);
    watched.see("a", State::Running, "");
    watched.after(3);
    watched.exits("a", "c3", "Error, exit 2");
    assert_eq!(watched.after(13), 31);
    watched.see("a", State::Running, "");
    assert_eq!(watched.after(20), 0, "it runs on");
    watched.see("a", State::Ready, "");
    watched.exits("a", "c4", "Error, exit 2");
    watched.exits("a", "c5", "Error, exit 2");
    assert_eq!((watched.look(), watched.after(60)), (None, 0), "it was ready");
}

#[test]
fn what_is_killed_or_lacks_memory_again_and_again_is_no_crash_loop() {
    for reason in ["Error, exit 137", "Error, exit 3", "Error (exit status 3)"] {
        let mut watched = Watched::new(1);
        for container in ["c1", "c2", "c3"] {
            watched.exits("a", container, reason);
        }
        assert_eq!((watched.look(), watched.after(60)), (None, 0), "{reason}");
    }
}

#[test]
fn instances_that_a_quota_forbids_block_until_they_are_created() {
    let mut watched = Watched::new(4);
    watched.see("a", State::Ready, "");
    watched.see("b", State::Ready, "");
    let reason = "FailedCreate: Error creating: pods is forbidden: exceeded quota: q".to_owned();
    watched.tracker.obstacle(Obstacle { instance: None, reason }, watched.now);
    assert_eq!(watched.after(31), 30);
    assert_eq!(watched.look().unwrap().instances, 2);
    watched.see("c", State::Ready, "");
    watched.see("d", State::Ready, "");
    watched.after(10);
    assert_eq!(watched.look(), None);
}

#[test]
fn a_flood_of_instances_that_nodes_refuse_blocks_though_there_is_always_a_new_one() {
    let mut watched = Watched::new(1);
    let mut lasts = Duration::ZERO;
    for number in 0..400 {
        let uid = number.to_string();
        watched.see(&uid, State::Creating, "");
        watched.look();
        watched.now += SECOND / 10;
        let refused = InstanceStatus { over: true, ..status(&uid, State::Failed, "OutOfcpu: no cpu") };
        watched.tracker.see(&refused, true, watched.now);
        let blocked = watched.look().unwrap();
        assert_eq!((blocked.instances, blocked.reason.as_str()), (1, "OutOfcpu: no cpu"));
        lasts = blocked.lasts(watched.now);
    }
    assert!(lasts >= 39 * SECOND, "{lasts:?}");
    assert_eq!(watched.tracker.members.len(), 0, "those that are over are not kept");
}

#[test]
fn what_the_cluster_tells_of_an_instance_beside_its_status_counts_until_it_runs() {
    let mut watched = Watched::new(1);
    watched.see("a", State::Creating, "");
    let obstacle = |reason: &str| Obstacle { instance: Some("pod-a".into()), reason: reason.into() };
    watched.tracker.obstacle(obstacle("FailedCreatePodSandBox: context deadline exceeded"), watched.now);
    assert_eq!(watched.look(), None, "an overloaded node says so too");
    watched.tracker.obstacle(obstacle("FailedMount: configmap \"x\" not found"), watched.now);
    assert_eq!(watched.look().unwrap().reason, "FailedMount: configmap \"x\" not found");
    watched.see("a", State::Running, "");
    assert_eq!(watched.look(), None);
}

#[test]
fn while_nothing_is_observed_nothing_is_known_to_be_blocked() {
    let mut watched = Watched::new(1);
    watched.see("a", State::Creating, "ErrImagePull: not found");
    assert_eq!(watched.after(21), 20);
    watched.tracker.observed("watch/pods", false);
    assert_eq!(watched.after(60), 0);
    watched.tracker.observed("watch/pods", true);
    assert_eq!(watched.after(11), 10);
    watched.tracker.observed("watch/events", false);
    assert_eq!(watched.after(10), 20, "statuses are observed");
}

#[test]
fn each_kind_of_reason_is_news_once_and_a_long_one_is_shortened() {
    let mut watched = Watched::new(1);
    let mut is_news = |reason: &str| {
        watched.see("a", State::Creating, reason);
        let blocked = watched.look().unwrap();
        watched.tracker.is_news(&blocked)
    };
    assert!(is_news("ErrImagePull: not found"));
    assert!(!is_news("ImagePullBackOff: Back-off"));
    assert!(is_news("CreateContainerConfigError: secret"));
    let long = format!("InvalidImageName: {}", "x".repeat(10_000));
    watched.see("a", State::Creating, &long);
    let reason = watched.look().unwrap().reason;
    assert_eq!(reason.chars().count(), REASON_CHARS.iter().sum::<usize>() + 3);
    let nested = format!("ErrImagePull: failed to pull {}: i/o timeout", "x".repeat(500));
    watched.see("a", State::Creating, &nested);
    let reason = watched.look().unwrap().reason;
    assert!(
        reason.starts_with("ErrImagePull: failed to pull") && reason.ends_with(": i/o timeout"),
        "{reason}"
    );
}

#[test]
fn instances_that_others_no_longer_request_are_blocked_until_someone_requests_them_again() {
    let mut watched = Watched::new(5);
    for uid in ["a", "b"] {
        watched.see(uid, State::Ready, "");
    }
    let rescaled = |instances| Rescaled { instances, by: "replicas changed from 5 to 2 by kubectl".into() };
    watched.tracker.rescaled(rescaled(2), watched.now);
    assert_eq!(watched.after(31), 30);
    let blocked = watched.look().unwrap();
    assert_eq!(blocked.to_string(), "3 instances: ScaledByOthers: replicas changed from 5 to 2 by kubectl");
    watched.tracker.rescaled(rescaled(5), watched.now);
    assert_eq!(watched.look(), None, "put back");
    watched.tracker.rescaled(rescaled(2), watched.now);
    watched.tracker.scaled(watched.now);
    assert_eq!(watched.look().map(|blocked| blocked.instances), Some(3), "seen after the request was made");
    watched.now += SECOND;
    watched.tracker.scaled(watched.now);
    assert_eq!(watched.look(), None, "ramp has set the number since");
    watched.asked = 2;
    watched.tracker.rescaled(rescaled(2), watched.now);
    assert_eq!(watched.look(), None, "as many as are requested");
}

#[test]
fn what_instances_wait_for_without_being_blocked_is_told_once_after_a_while() {
    let mut watched = Watched::new(3);
    watched.see("a", State::Creating, "PodInitializing: init container setup is running");
    watched.see("b", State::Running, "");
    watched.see("c", State::Ready, "");
    let unhealthy = "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 404";
    let obstacle = Obstacle { instance: Some("pod-b".into()), reason: unhealthy.into() };
    watched.tracker.obstacle(obstacle, watched.now);
    watched.now += 29 * SECOND;
    assert_eq!(watched.tracker.waiting(watched.now), None);
    watched.now += SECOND;
    let mut told = Vec::from_iter(watched.tracker.waiting(watched.now));
    told.extend(watched.tracker.waiting(watched.now));
    told.sort();
    assert_eq!(
        told,
        [
            "1 instance not ready, unchanged for 30 s: PodInitializing: init container setup is running"
                .to_owned(),
            format!("1 instance not ready, unchanged for 30 s: {unhealthy}"),
        ]
    );
    assert_eq!((watched.tracker.waiting(watched.now), watched.look()), (None, None));
    watched.see("b", State::Creating, "");
    assert_eq!(watched.look(), None, "a probe that failed does not keep the next container from starting");
}

#[test]
fn want_of_a_resource_is_told_once_and_hides_no_blockage_of_the_same_kind() {
    let mut watched = Watched::new(2);
    watched.see(
        "a",
        State::Unschedulable,
        "Unschedulable: 0/2 nodes are available: 2 Insufficient example.com/gpu.",
    );
    watched.now += 30 * SECOND;
    let told = watched.tracker.waiting(watched.now).unwrap();
    assert!(told.starts_with("1 instance not ready, unchanged for 30 s: Unschedulable: 0/2 nodes"), "{told}");
    assert_eq!((watched.tracker.waiting(watched.now), watched.look()), (None, None));
    watched.see(
        "b",
        State::Unschedulable,
        "Unschedulable: 0/2 nodes are available: 2 node(s) didn't match node selector.",
    );
    let blockage = watched.tracker.evaluate(2, watched.now).unwrap();
    assert!(watched.tracker.is_news(&blockage), "{blockage}");
}

#[test]
fn refusals_of_admission_block_and_a_webhook_that_does_not_answer_in_time_is_waited_for_and_told() {
    let created = |reason: &str| {
        let mut watched = Watched::new(1);
        let obstacle = Obstacle { instance: None, reason: format!("FailedCreate: Error creating: {reason}") };
        watched.tracker.obstacle(obstacle, watched.now);
        let lasts = watched.after(32);
        (lasts, watched.tracker.waiting(watched.now).is_some())
    };
    for refusal in [
        "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false",
        "pods \"a\" is forbidden: exceeded quota: two, requested: pods=1, used: pods=2, limited: pods=2",
        "pods \"a\" is forbidden: maximum memory usage per Container is 20Mi, but limit is 50Mi",
        "admission webhook \"policy\" denied the request: no",
        "Internal error occurred: failed calling webhook \"policy\": dial tcp 10.0.0.1:443: connect: connection refused",
    ] {
        assert_eq!(created(refusal), (31, false), "{refusal}");
    }
    let late = "Internal error occurred: failed calling webhook \"policy\": context deadline exceeded";
    assert_eq!(created(late), (0, true));
}

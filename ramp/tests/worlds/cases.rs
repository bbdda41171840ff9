//! Regression tests: worlds on which reports once made wrong statements.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ramp::engine::simulated::World;
use ramp_format::plan::Pace;
use ramp_format::time::Time;
use ramp_report::analysis::causes::Resource;
use ramp_report::analysis::teardown::Returned;
use ramp_report::dataset::Dataset;
use ramp_report::report::{Report, narrative};
use ramp_report::stats::Quantile;

use crate::experiment::{Shape, StepOutcome, catalogue, run};
use crate::truth::wrong;

const LOAD: &str = "load: {memory: 100M, growth_rate: 200M/s, report_every: 5s, cpu: 0.02}\n";

fn steps(steps: u32) -> Shape {
    Shape { steps, from: 1, down: false, pace: Pace::Ready }
}

/// What a world comes to. Nothing that is said of it is wrong.
fn outcome(world: &str, shape: Shape) -> StepOutcome {
    let outcome = unheld(world, shape);
    assert_eq!(wrong(&outcome), Vec::<String>::new());
    outcome
}

fn unheld(world: &str, shape: Shape) -> StepOutcome {
    let directory = tempfile::tempdir().unwrap();
    run(World::parse(&format!("{LOAD}{world}")).unwrap(), shape, &directory.path().join("run"))
}

/// All sentences on a run, in one.
fn said(outcome: &StepOutcome) -> String {
    let report = Report::of(vec![outcome.data.clone()], None);
    let sections = narrative::sections(&report);
    let sentences = sections.into_iter().flat_map(|section| section.sentences).map(|sentence| sentence.text);
    format!("{}\n{}", narrative::summary(&report), sentences.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_cost_is_within_a_percent_where_steps_take_as_long_as_it_is_from_sample_to_sample() {
    let phases = "phases: {schedule: 10ms, create: {median: 340ms, spread: 0.02}, ready: 150ms}\n";
    let outcome = outcome(&format!("{phases}runtime: {{memory: 5M}}"), steps(20));
    let cost = outcome.found.estimates.marginal_cost.as_ref().unwrap();
    let truth = outcome.truth.marginal_cost_bytes;
    assert!((cost.bytes / truth - 1.0).abs() < 0.01, "{cost:?} where {truth} is true");
    assert!(cost.interval.low <= truth && truth <= cost.interval.high, "{cost:?} where {truth} is true");
}

#[test]
fn instances_that_are_ahead_of_their_schedule_and_report_at_the_last_moment_make_progress() {
    // Each has used twenty seconds' worth of its CPU time when it is full.
    for report_every in ["1s", "5s", "20s"] {
        let load = format!(
            "load: {{memory: 100M, growth_rate: 200M/s, report_every: {report_every}, cpu: 0.02, fill_cpu_per_gb: 4s}}"
        );
        let world = World::parse(&load).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let outcome = run(world, steps(20), &directory.path().join("run"));
        assert_eq!(wrong(&outcome), Vec::<String>::new());
        let course = outcome.found.goodput.as_ref().unwrap();
        assert_eq!(course.steps.iter().map(|at| at.instances).max(), Some(20), "{report_every}");
    }
}

#[test]
fn a_ramp_that_has_all_that_it_asked_for_is_not_saturated_at_any_length_or_pace() {
    let roomy = "nodes: [{count: 2, memory: 128Gi, pods: 500}]";
    for pace in [Pace::Ready, Pace::Every(Duration::from_secs(5)), Pace::None] {
        let outcome = outcome(roomy, Shape { pace, ..steps(90) });
        let verdict = &outcome.found.estimates.saturation;
        assert_eq!((verdict.saturated(), verdict.up_to), (Some(false), Some(90)), "{pace}");
        assert!(said(&outcome).contains("Saturation: not reached up to 90 instances"), "{pace}");
        assert_eq!(outcome.summary.held.count, 90, "{pace}");
    }
}

#[test]
fn where_no_instance_ever_ran_that_is_said_with_the_reason() {
    for (world, reason) in [
        ("events: [{what: image-missing}]", "ErrImagePull"),
        ("nodes: [{count: 2, eligible: false}]", "didn't match node selector"),
    ] {
        let outcome = unheld(world, steps(3));
        let said = said(&outcome);
        assert!(said.contains("no instance ever ran") && said.contains(reason), "{said}");
        assert!(!said.contains("Saturated") && !said.contains("First limit"), "{said}");
        assert_eq!(outcome.found.estimates.saturation.saturated(), None);
    }
}

#[test]
fn memory_per_container_is_what_programs_have_however_active_their_pages_are() {
    let outcome = outcome("runtime: {memory: 0}\nmachine: {noise: 50k, wander: 10k}", steps(8));
    let usage = &outcome.found.estimates.usage;
    for mib in [usage.min.as_ref().unwrap().mib, usage.max.as_ref().unwrap().mib] {
        // Of 100 MB 1.5 MB are files, and 8 MB of active pages are not what it is about.
        assert!((mib - 98.5e6 / f64::from(1 << 20)).abs() < 1.0, "{mib}");
    }
}

#[test]
fn a_full_page_cache_is_no_full_node() {
    let outcome = outcome("nodes: [{count: 1, memory: 4Gi, idle: 500Mi, page_cache: 3500Mi}]", steps(8));
    let free = outcome.data.steps.iter().filter_map(|step| step.memory.free).min();
    assert!(free.unwrap() < 100_000_000, "hardly any memory is free");
    assert_eq!(outcome.found.estimates.saturation.saturated(), Some(false));
    assert_eq!(outcome.summary.why_ended, "all planned steps completed");
}

#[test]
fn what_gave_way_is_what_the_reason_names() {
    for (word, resource) in [
        ("memory", Resource::Memory),
        ("ephemeral-storage", Resource::Disk),
        ("inodes", Resource::Inodes),
        ("pids", Resource::Processes),
    ] {
        let outcome =
            outcome(&format!("events: [{{what: evict, instances: 4, resource: {word}}}]"), steps(12));
        assert_eq!(outcome.found.breaks[0].resource, resource);
        assert!(said(&outcome).contains(&format!("First limit reached: {resource}")));
    }
}

#[test]
fn what_others_do_is_theirs_and_no_property_of_the_cluster() {
    for (event, what, who) in [
        ("{what: preempt, instances: 4, by: default/important}", "preempted", Some("default/important")),
        ("{what: drain, instances: 4, node: node-1}", "removed by a drain", None),
        (
            "{what: scale, instances: 4, to: 1, by: load}",
            "removed by scaling",
            Some("horizontalpodautoscaler/load"),
        ),
        ("{what: scale, instances: 4, to: 1}", "removed by scaling", None),
        ("{what: delete, instances: 4, count: 3}", "3 instances deleted", None),
    ] {
        let outcome = outcome(&format!("events: [{event}]"), steps(8));
        let change = &outcome.found.changed_by_others[0];
        assert!(change.what.contains(what), "{event}: {change:?}");
        assert_eq!(change.who.as_deref(), who, "{event}");
        assert_ne!(outcome.found.estimates.saturation.saturated(), Some(true), "{event}");
        assert_eq!(outcome.found.breaks, [], "{event}");
    }
}

#[test]
fn memory_that_comes_back_slowly_is_waited_for_and_not_called_left_behind() {
    let back = |world: &str| {
        let outcome = outcome(world, steps(8));
        let leak = outcome.found.leak.clone().unwrap();
        (leak.returned(), leak.retained.waited_seconds, leak.retained.steady, said(&outcome))
    };
    let (returned, waited, steady, _) = back("machine: {noise: 50k, wander: 10k, returns_within: 9s}");
    assert_eq!((returned, steady), (Returned::All, Some(true)));
    assert!(waited > 8.0, "{waited}");
    let (returned, waited, steady, said) = back("machine: {noise: 50k, wander: 10k, returns_within: 200s}");
    assert_eq!((returned, steady), (Returned::NotSteady, Some(false)));
    assert!(
        (29.0..32.0).contains(&waited) && said.contains("memory was still returning"),
        "{waited}: {said}"
    );
    let (returned, _, steady, said) = back("machine: {noise: 50k, wander: 10k, keeps: 30M}");
    assert_eq!((returned, steady), (Returned::NotAll, Some(true)), "{said}");
    // While instances end memory falls, which is no measure of what an idle machine does.
    let (returned, waited, steady, said) = back(
        "machine: {noise: 50k, wander: 10k, returns_within: 9s}\nphases: {stop: {median: 10s, spread: 0.5}}",
    );
    assert_eq!((returned, steady), (Returned::All, Some(true)), "{waited}: {said}");
}

#[test]
fn what_is_lost_in_the_very_first_step_counts() {
    let outcome = outcome("nodes: [{count: 2, pods: 3}]", Shape { from: 10, ..steps(3) });
    let saturation = outcome.found.estimates.saturation.saturation.clone().unwrap();
    assert_eq!((saturation.step, saturation.instances, saturation.resource), (1, 10, Some(Resource::Pods)));
    assert_eq!((outcome.found.breaks[0].resource, outcome.found.breaks[0].step), (Resource::Pods, 1));
}

#[test]
fn what_the_api_hides_for_a_while_takes_as_long_as_its_source_says() {
    let world = "phases: {create: 5s}\nevents: [{what: api-hangs, at: 17s, lasts: 15s}]";
    let outcome = outcome(world, Shape { pace: Pace::Every(Duration::from_secs(2)), ..steps(8) });
    let truth =
        outcome.truth.startup_seconds.iter().sum::<f64>() / outcome.truth.startup_seconds.len() as f64;
    for level in outcome.found.latency.as_ref().unwrap() {
        let Quantile::Seconds(median, ..) = level.survival.quantile(0.5) else { panic!("{level:?}") };
        assert!((median - truth).abs() < 1.5, "{median} where {truth} is true");
    }
    assert!(said(&outcome).contains("observed late, while the API or the watch was unavailable"));
}

#[test]
fn what_is_told_late_without_a_gap_is_no_outage_and_what_is_scaled_away_before_it_ran_is_no_riddle() {
    let away = outcome("phases: {create: 40s}\nevents: [{what: scale, at: 15s, to: 0}]", steps(1));
    let said = said(&away);
    assert!(said.contains("no instance ever ran: ScaledByOthers: replicas changed from 1 to 0"), "{said}");
    assert!(said.contains("1 instance removed by scaling (step 1)"), "{said}");
    assert!(!said.contains("while the API or the watch was unavailable"), "{said}");
}

#[test]
fn a_program_that_somebody_killed_is_no_want_of_anything_and_one_that_the_kernel_killed_is() {
    let outcome = outcome("events: [{what: kill, instances: 4}]", steps(8));
    assert!(said(&outcome).contains("An instance was killed by an unknown process"));
    assert_eq!(outcome.found.estimates.saturation.saturated(), Some(false));
    let outcome = self::outcome("events: [{what: oom-kill, instances: 4}]", steps(8));
    assert!(said(&outcome).contains("First limit reached: memory"));
}

#[test]
fn a_figure_that_is_wider_than_itself_is_not_in_the_headline() {
    let others =
        "machine: {others: [{memory: 2G, every: 3s, lasts: 6s}]}\nnodes: [{count: 1, memory: 128Gi}]";
    let outcome = unheld(others, Shape { pace: Pace::None, ..steps(3) });
    let said = said(&outcome);
    assert!(said.lines().next().unwrap().contains("marginal cost: n/a"), "{said}");
    assert!(said.contains("too wide to be of use"), "{said}");
}

#[test]
fn rows_that_a_full_disk_has_lost_are_told_with_their_number() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    run(World::parse(LOAD).unwrap(), steps(8), &path);
    let nodes = fs::read_to_string(path.join("nodes.csv")).unwrap();
    let kept: String = nodes.split_inclusive('\n').take(41).collect();
    fs::write(path.join("nodes.csv"), kept).unwrap();
    fs::write(path.join("run.json.new"), "").unwrap();
    let notes = Dataset::read(&path).unwrap().notes.join("\n");
    assert!(notes.contains("run.json.new exists"), "{notes}");
    assert!(
        notes.contains("nodes.csv ends at 19.") && notes.contains("about 74 samples are missing"),
        "{notes}"
    );
}

#[test]
fn what_an_earlier_run_had_left_and_what_is_in_no_state_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("runc.csv");
    let mut text =
        "Start,Wanted,Running,Creating,Pending,Terminating,Total Active Memory,Total Free Memory\n"
            .to_owned();
    for step in 0..20 {
        let (running, terminating) = (if step > 10 { 10 } else { step }, if step < 3 { 7 } else { 0 });
        text += &format!("{step},{step},{running},0,0,{terminating},1000000,90000000\n");
    }
    fs::write(&file, text).unwrap();
    let notes = Dataset::read(&file).unwrap().notes.join("\n");
    assert!(notes.contains("present at the first step (7 terminating)"), "{notes}");
    assert!(notes.contains("in 8 of 20 steps") && notes.contains("up to 9 (step 19)"), "{notes}");
}

/// Runs in the order A B B A on a machine that takes so much more for itself before each, in MiB. What is said of drift.
fn of_a_machine_that_takes_more_each_time(more: u64) -> (bool, String) {
    let runtimes = [("runc", 0), ("kata", 100), ("kata", 100), ("runc", 0)];
    let (mut begin, mut before) = (1_767_268_800, 0);
    let runs = runtimes.map(|(name, memory)| {
        let idle = 1024 + before;
        let mut world = World::parse(&format!(
            "{LOAD}nodes: [{{count: 1, memory: 4Gi, cores: 64, idle: {idle}Mi}}]\nruntime: {{name: {name}, memory: {memory}Mi}}\n"
        ))
        .unwrap();
        world.begin = Time(std::time::UNIX_EPOCH + Duration::from_secs(begin));
        (begin, before) = (begin + 3600, before + more);
        let directory = tempfile::tempdir().unwrap();
        run(world, steps(40), &directory.path().join("run")).data
    });
    let report = Report::of(runs.into(), None);
    let drift = report.findings.comparisons[0].drift.clone().unwrap();
    assert_eq!((drift.order.as_str(), drift.is_balanced), ("A B B A", true));
    let sections = narrative::sections(&report);
    let mut sentences = sections.iter().flat_map(|section| &section.sentences);
    let said = sentences.find(|sentence| sentence.text.starts_with("Run order A B B A")).unwrap();
    (drift.may_explain(), said.text.clone())
}

#[test]
fn a_machine_that_takes_more_from_run_to_run_may_explain_a_difference() {
    let (may_explain, said) = of_a_machine_that_takes_more_each_time(300);
    assert!(may_explain && said.ends_with("drift may explain the difference."), "{said}");
}

#[test]
fn a_machine_that_stays_as_it_is_does_not_explain_one() {
    let (may_explain, said) = of_a_machine_that_takes_more_each_time(0);
    assert!(!may_explain && said.ends_with("drift does not explain the difference."), "{said}");
    assert!(
        said.contains("up to 32, 32 (A) and 15, 15 (B) instances held all of their memory at once"),
        "{said}"
    );
}

#[test]
fn what_others_made_more_of_ramp_ends_and_that_is_not_called_theirs() {
    let raised = outcome("events: [{what: scale, at: 16s, to: 20, by: hpa}]", steps(12));
    let said = said(&raised);
    assert!(said.contains("20 instances where "), "{said}");
    assert!(said.contains("were requested by horizontalpodautoscaler/hpa"), "{said}");
    assert!(!said.contains("deleted") && !said.contains("removed by"), "{said}");
}

#[test]
fn what_others_made_more_of_while_nothing_was_seen_is_theirs_all_the_same() {
    let world = "events: [{what: api-hangs, at: 14s, lasts: 30s}, {what: scale, at: 25s, to: 30}]";
    let unseen = outcome(world, Shape { from: 5, ..steps(20) });
    let said = said(&unseen);
    assert!(said.contains("30 instances where "), "{said}");
    assert!(!said.contains("deleted") && !said.contains("removed by"), "{said}");
}

#[test]
fn who_changed_something_is_who_did_it_before_and_not_somebody_else_afterwards() {
    let world = "nodes: [{count: 2}]\nevents: [{what: delete, at: 16s, count: 2}, {what: scale, at: 18s, to: 30, by: hpa}]";
    let said = said(&outcome(world, steps(12)));
    assert!(said.contains("2 instances deleted"), "{said}");
}

#[test]
fn one_that_its_controller_has_too_many_is_removed_by_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let world = "events: [{what: evict, instances: 4, resource: memory}]";
    run(World::parse(&format!("{LOAD}{world}")).unwrap(), steps(8), &path);
    let changed = |path: &Path| {
        Report::of(vec![Dataset::read(path).unwrap()], None).findings.runs[0].changed_by_others.clone()
    };
    assert_eq!(changed(&path), []);
    // As kubelets have it now and then: the one that was evicted is at work again, and one that is on no node yet has to go.
    let pods = fs::read_to_string(path.join("pods.csv")).unwrap();
    let evicted = pods.lines().find(|line| line.contains(",ready,evicted,")).unwrap();
    let back = evicted.replacen(",ready,evicted,", ",evicted,running,", 1);
    let waits = evicted.replace("-0004", "-0999").replacen(",ready,evicted,", ",,unschedulable,", 1);
    let goes = waits.replacen(",,unschedulable,", ",unschedulable,terminating,", 1);
    let with = |rows: &[&String]| {
        let rows: String = rows.iter().flat_map(|row| ["\n", row.as_str()]).collect();
        fs::write(path.join("pods.csv"), pods.replacen(evicted, &format!("{evicted}{rows}"), 1)).unwrap();
    };
    with(&[&back, &waits, &goes]);
    assert_eq!(changed(&path), []);
    with(&[&waits, &goes]);
    assert_eq!(changed(&path).len(), 1, "nobody came back, so somebody else removed it");
}

/// Seconds of each row of a table of a run, as they are in its file.
fn elapsed(outcome: &StepOutcome) -> Vec<f64> {
    outcome.data.recorded().unwrap().pods.iter().map(|row| row.elapsed_seconds).collect()
}

#[test]
fn durations_are_right_whenever_the_wall_clock_of_the_recording_machine_is_set() {
    for ahead in ["1h", "-1h", "-3s", "4s"] {
        let world = format!(
            "events: [{{what: clock-set, at: 0s, node: node-1, ahead: -90s}}, {{what: recorder-clock-set, at: 16s, ahead: {ahead}}}]"
        );
        let outcome = outcome(&world, steps(12));
        let elapsed = elapsed(&outcome);
        assert!(elapsed.is_sorted() && *elapsed.last().unwrap() < 200.0, "{ahead}: {elapsed:?}");
        let truth =
            outcome.truth.startup_seconds.iter().sum::<f64>() / outcome.truth.startup_seconds.len() as f64;
        for level in outcome.found.latency.as_ref().unwrap() {
            let Quantile::Seconds(median, ..) = level.survival.quantile(0.5) else { panic!("{level:?}") };
            assert!((median - truth).abs() < 0.5, "{ahead}: {median} where {truth} is true");
        }
        let recorded = outcome.data.recorded().unwrap();
        assert_eq!((recorded.seen_late, &recorded.untimed), (0, &None), "{ahead}");
        let notes = outcome.data.notes.join("\n");
        assert!(notes.contains("the wall clock of the recording machine was set"), "{ahead}: {notes}");
        let of = |object: &str| recorded.events.iter().filter(|event| event.object == object).count();
        assert_eq!(of("clock/ramp"), 1, "{ahead}");
        assert!(of("node/node-1") > 1 && recorded.events.iter().any(|event| event.reason == "ClockApart"));
    }
}

#[test]
fn a_suspension_of_the_recording_machine_is_no_time_of_the_run_and_is_told() {
    let world = "phases: {create: 5s}\nevents: [{what: recorder-suspended, at: 19s, lasts: 30m}]";
    let suspended = outcome(world, Shape { pace: Pace::Every(Duration::from_secs(2)), ..steps(12) });
    let elapsed = elapsed(&suspended);
    assert!(elapsed.is_sorted() && *elapsed.last().unwrap() < 200.0, "{elapsed:?}");
    let truth =
        suspended.truth.startup_seconds.iter().sum::<f64>() / suspended.truth.startup_seconds.len() as f64;
    for level in suspended.found.latency.as_ref().unwrap() {
        let Quantile::Seconds(median, ..) = level.survival.quantile(0.5) else { panic!("{level:?}") };
        assert!((median - truth).abs() < 1.0, "{median} where {truth} is true");
    }
    let notes = suspended.data.notes.join("\n");
    assert!(notes.contains("was suspended for 30m at 19.0 s: nothing was observed"), "{notes}");
}

/// A world of the catalogue, ramped to a thousand at once. Nothing that is said of it is wrong.
fn at_once(name: &str, seed: u64, down: bool) -> StepOutcome {
    let named = catalogue().into_iter().find(|(known, _)| known == name);
    let world = World { seed, ..named.unwrap().1 };
    let directory = tempfile::tempdir().unwrap();
    let shape = Shape { steps: 1000, from: 10, down, pace: Pace::None };
    let outcome = run(world, shape, &directory.path().join("run"));
    assert_eq!(wrong(&outcome), Vec::<String>::new());
    outcome
}

#[test]
fn what_becomes_ready_while_all_are_removed_was_never_held_with_the_others() {
    assert_eq!(at_once("slow-growth", 30, false).summary.held.count, 322);
}

#[test]
fn an_autoscaler_whose_request_the_next_step_overrides_is_named_all_the_same() {
    let outcome = at_once("scaled-by-others", 156, true);
    let change = &outcome.found.changed_by_others[0];
    assert_eq!(change.to_string(), "2 instances requested instead of 261 by horizontalpodautoscaler/load");
}

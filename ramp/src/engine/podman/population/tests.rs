use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use super::*;
use crate::engine::NoticeKind;
use crate::engine::log_poller::last_record;
use ramp_format::scenario::Scenario;

fn now(seconds: u64) -> BothClocks {
    thread_local! {
        static BEGIN: Instant = Instant::now();
    }
    let instant = BEGIN.with(|begin| *begin) + Duration::from_secs(seconds);
    BothClocks { instant, time: time(seconds) }
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_583_800 + seconds)
}

fn text(seconds: u64) -> String {
    humantime::format_rfc3339(time(seconds)).to_string()
}

fn population() -> ContainerPopulation {
    let readiness = Readiness::of(&Scenario::embedded().unwrap());
    ContainerPopulation::new("test", "r1", time(0), "vm".into(), readiness)
}

fn running(id: &str, started: u64) -> InspectedContainer {
    InspectedContainer {
        id: id.into(),
        run: None,
        uid: None,
        doing: ContainerActivity::Running,
        pid: Some(7),
        started: Some(text(started)),
        finished: None,
        exit_status: Some(0),
        oom_killed: false,
        error: String::new(),
    }
}

fn ended(id: &str, started: u64, finished: u64) -> InspectedContainer {
    let finished = Some(time(finished));
    InspectedContainer {
        doing: ContainerActivity::Ended,
        finished,
        exit_status: Some(1),
        pid: None,
        ..running(id, started)
    }
}

fn states(population: &ContainerPopulation) -> Vec<State> {
    population.replicas.iter().map(|(_, replica)| replica.state).collect()
}

/// Takes all jobs that are due, as (number, question).
fn ups(population: &mut ContainerPopulation, at: u64) -> Vec<(u32, u64)> {
    std::iter::from_fn(|| population.operation(now(at)))
        .filter_map(|operation| match operation {
            Operation::Up { number, asked, .. } => Some((number, asked)),
            Operation::Down { .. } => None,
        })
        .collect()
}

fn log() -> KernelLog {
    KernelLog::of_lines(&[])
}

/// `count` at work since second 0, and all events of that taken.
fn at_work(count: u32) -> ContainerPopulation {
    let mut population = population();
    population.replicas.scale(count, now(0));
    for _ in 0..count {
        for (number, asked) in ups(&mut population, 0) {
            population.came(number, asked, Ok(running(&format!("c{number}"), 0)), &mut log(), now(0));
        }
    }
    population.replicas.take_events();
    population
}

fn happening(name: &str, id: &str, what: ContainerEventKind) -> ContainerEvent {
    ContainerEvent { id: id.into(), name: name.into(), what, at: None }
}

fn refusal(status: Option<u16>) -> Refusal {
    Refusal { status, message: "no".into(), unreadable: false }
}

#[test]
fn a_few_are_brought_up_at_once_lowest_number_first() {
    let mut population = population();
    population.replicas.scale(6, now(0));
    assert_eq!(states(&population), [State::Pending; 6]);
    let begun: Vec<u32> = ups(&mut population, 0).into_iter().map(|(number, _)| number).collect();
    assert_eq!(begun, [1, 2, 3, 4]);
    assert_eq!(states(&population)[3..5], [State::Creating, State::Pending]);
    population.came(2, 99, Ok(running("c2", 0)), &mut log(), now(0));
    assert_eq!(ups(&mut population, 0).len(), 1);
    assert_eq!(population.replicas.get(1).unwrap().name, "test-r1-0001");
}

#[test]
fn the_newest_go_first_and_those_not_made_yet_at_once() {
    let mut population = at_work(3);
    population.replicas.scale(4, now(1));
    population.replicas.take_events();
    population.replicas.scale(1, now(1));
    assert_eq!(
        states(&population),
        [State::Ready, State::Terminating, State::Terminating].map(|state| {
            // Nobody has reported yet.
            if state == State::Ready { State::Running } else { state }
        })
    );
    let Some(Operation::Down { number: 3, by_force: false, .. }) = population.operation(now(1)) else {
        panic!()
    };
    population.went(3, Err(refusal(Some(500))), now(1));
    assert!(matches!(population.operation(now(1)), Some(Operation::Down { number: 2, .. })));
    population.went(2, Ok(()), now(1));
    assert!(population.operation(now(1)).is_none(), "what was refused is tried again later");
    assert!(matches!(population.operation(now(2)), Some(Operation::Down { number: 3, .. })));
    population.went(3, Ok(()), now(2));
    population.replicas.scale(2, now(3));
    assert!(population.replicas.get(5).is_some(), "no number is given twice");
}

#[test]
fn one_that_has_ended_is_started_again_at_once_and_then_after_pauses_each_end_told_once() {
    let mut population = at_work(1);
    let look = population.happened(&happening("test-r1-0001", "c1", ContainerEventKind::Died), now(5));
    assert_eq!(look, Some((1, "test-r1-0001".into())));
    let asked = population.ask();
    population.saw(1, asked, &ended("c1", 0, 5), &mut log(), now(5));
    let asked = population.ask();
    population.saw(1, asked, &ended("c1", 0, 5), &mut log(), now(5));
    assert_eq!(population.replicas.take_events().len(), 1, "the same end twice is one");
    assert_eq!(states(&population), [State::Failed]);
    let (_, asked) = ups(&mut population, 5)[0];
    population.came(1, asked, Ok(ended("c1", 5, 6)), &mut log(), now(6));
    let replica = population.replicas.get(1).unwrap();
    assert_eq!((replica.state, replica.restarts), (State::Failed, 1));
    assert!(ups(&mut population, 15).is_empty());
    assert_eq!(ups(&mut population, 16).len(), 1);
}

#[test]
fn an_older_answer_does_not_undo_a_newer_one() {
    let mut population = at_work(1);
    let (older, newer) = (population.ask(), population.ask());
    population.saw(1, newer, &ended("c1", 0, 5), &mut log(), now(5));
    population.saw(1, older, &running("c1", 0), &mut log(), now(5));
    assert_eq!(states(&population), [State::Failed]);
}

#[test]
fn a_refusal_is_a_failure_with_its_reason_and_no_answer_is_not() {
    let mut population = population();
    population.replicas.scale(2, now(0));
    let asked = ups(&mut population, 0);
    population.replicas.take_events();
    for ((number, asked), status) in asked.into_iter().zip([Some(500), None]) {
        let trouble = UpFailure { id: None, word: "FailedCreate", refusal: refusal(status) };
        population.came(number, asked, Err(trouble), &mut log(), now(0));
    }
    assert_eq!(states(&population), [State::Failed, State::Creating]);
    let events = population.replicas.take_events();
    let notices = events
        .iter()
        .filter(|event| matches!(event, Event::Notice(notice) if notice.kind == NoticeKind::Note));
    assert_eq!(notices.count(), 2);
    assert!(ups(&mut population, 0).is_empty());
    assert_eq!(ups(&mut population, 1).len(), 2);
}

#[test]
fn what_a_list_does_not_have_is_gone_and_made_up_for_and_what_it_has_is_taken_over() {
    let mut population = at_work(2);
    let listed = |name: &str, id: &str| Listed {
        id: id.into(),
        name: name.into(),
        run: "r1".into(),
        uid: Some(format!("u-{id}")),
        is_running: true,
    };
    let asked = population.ask();
    let found = [
        (listed("test-r1-0001", "c1"), None),
        (listed("test-r1-0007", "c7"), Some(running("c7", 3))),
        (listed("stranger", "s"), None),
    ];
    population.listed(asked, &found, "was gone when the watch came back", &mut log(), now(4));
    let names: Vec<_> =
        population.replicas.statuses().into_iter().map(|instance_status| instance_status.name).collect();
    assert_eq!(names, ["test-r1-0001", "test-r1-0007"]);
    assert_eq!(population.replicas.get(7).unwrap().uid, "u-c7");
    assert_eq!(population.replicas.adopt(), 2);
    population.replicas.scale(3, now(4));
    assert!(population.replicas.get(8).is_some(), "numbers go on behind the highest");
}

#[test]
fn one_removed_by_someone_else_is_gone_with_that_reason_and_another_comes() {
    let mut population = at_work(1);
    population.happened(&happening("test-r1-0001", "older", ContainerEventKind::Removed), now(1));
    assert_eq!(states(&population), [State::Running], "an earlier container of that name");
    population.happened(&happening("test-r1-0001", "c1", ContainerEventKind::Removed), now(1));
    let events = population.replicas.take_events();
    let Event::Instance(gone) = &events[0] else { panic!() };
    assert_eq!((gone.state, gone.reason.as_str()), (State::Gone, "removed by someone else"));
    assert_eq!(population.replicas.iter().map(|(number, _)| number).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_report_makes_ready_and_one_from_before_the_last_end_does_not() {
    let record = |at: u64| {
        let text = format!(r#"{{"record":"report","phase":"holding","time":"{}"}}"#, text(at));
        last_record(text.as_bytes()).unwrap()
    };
    let mut population = at_work(1);
    population.read("test-r1-0001", record(1));
    assert_eq!((states(&population), population.replicas.take_events().len()), (vec![State::Ready], 2));
    let asked = population.ask();
    population.saw(1, asked, &ended("c1", 0, 5), &mut log(), now(5));
    let (_, asked) = ups(&mut population, 5)[0];
    population.came(1, asked, Ok(running("c1", 6)), &mut log(), now(6));
    population.read("test-r1-0001", record(4));
    assert_eq!(states(&population), [State::Running], "it was another life's");
    population.read("test-r1-0001", record(7));
    assert_eq!(states(&population), [State::Ready]);
}

#[test]
fn what_docker_says_of_memory_is_about_the_life_it_was_said_in() {
    let mut population = at_work(1);
    population.happened(&happening("test-r1-0001", "c1", ContainerEventKind::OutOfMemory), now(4));
    let asked = population.ask();
    population.saw(1, asked, &ended("c1", 0, 5), &mut log(), now(5));
    assert_eq!(states(&population), [State::OomKilled]);
    let (_, asked) = ups(&mut population, 5)[0];
    population.came(1, asked, Ok(ended("c1", 6, 7)), &mut log(), now(7));
    assert_eq!(states(&population), [State::Failed]);
}

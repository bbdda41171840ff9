use super::*;
use proptest::prelude::*;

impl Backing for bool {
    fn exists(&self) -> bool {
        *self
    }
}

fn at(seconds: u64) -> BothClocks {
    thread_local! {
        static BEGIN: Instant = Instant::now();
    }
    let passed = Duration::from_secs(seconds);
    BothClocks { instant: BEGIN.with(|begin| *begin) + passed, time: UNIX_EPOCH + passed }
}

fn replicas(first: State, at_once: usize) -> Replicas<bool> {
    let begun = UNIX_EPOCH + Duration::from_millis(1_500);
    let (prefix, run, node) = ("load".into(), "r1".into(), "here".into());
    Replicas::new(ReplicaSettings { prefix, run, begun, node, first, at_once })
}

fn exit(state: State) -> ContainerExit {
    ContainerExit { container: "c".into(), state, at: None, reason: "why".into() }
}

/// Does all that is due, as an engine does that nothing goes wrong for.
fn act(replicas: &mut Replicas<bool>, now: BothClocks) -> Vec<Action> {
    std::iter::from_fn(|| {
        let action = replicas.next(now)?;
        match action {
            Action::Start(ordinal) => {
                replicas.get_mut(ordinal).unwrap().backing = true;
                replicas.done(ordinal, now);
                replicas.turn(ordinal, State::Running, Some(now.time), "");
            }
            Action::Stop(ordinal) => replicas.gone(ordinal, now.time, ""),
        }
        Some(action)
    })
    .collect()
}

fn states(replicas: &Replicas<bool>) -> Vec<State> {
    replicas.iter().map(|(_, replica)| replica.state).collect()
}

#[test]
fn ids_are_of_one_run_and_one_beginning_and_names_count_up() {
    let mut replicas = replicas(State::Creating, 9);
    replicas.scale(2, at(0));
    let statuses = replicas.statuses();
    assert_eq!((statuses[1].name.as_str(), statuses[1].uid.as_str()), ("load-0002", "r1-0002-1500"));
    assert_eq!((replicas.ordinal("load-0002"), replicas.ordinal("other-0002")), (Some(2), None));
    replicas.scale(1, at(0));
    replicas.scale(2, at(0));
    assert!(replicas.get(3).is_some() && replicas.get(2).is_none(), "no name comes twice");
}

#[test]
fn the_oldest_start_first_and_the_newest_stop_first() {
    let mut replicas = replicas(State::Pending, 2);
    replicas.scale(4, at(0));
    assert_eq!(replicas.next(at(0)), Some(Action::Start(1)));
    assert_eq!(replicas.next(at(0)), Some(Action::Start(2)));
    assert_eq!(replicas.next(at(0)), None, "a few at once");
    assert_eq!(states(&replicas)[1..3], [State::Creating, State::Pending]);
    for ordinal in [1, 2] {
        replicas.get_mut(ordinal).unwrap().backing = true;
        replicas.done(ordinal, at(0));
    }
    act(&mut replicas, at(0));
    replicas.scale(1, at(1));
    assert_eq!(act(&mut replicas, at(1)), [Action::Stop(4), Action::Stop(3), Action::Stop(2)]);
}

#[test]
fn one_that_ends_is_started_again_after_its_back_off() {
    let mut replicas = replicas(State::Creating, 9);
    replicas.scale(1, at(0));
    for (ended, again) in [(1, 1), (2, 12), (13, 33)] {
        act(&mut replicas, at(ended - 1));
        replicas.exited(1, exit(State::Failed), Some(Duration::from_secs(1)), at(ended));
        assert_eq!((states(&replicas), replicas.next_due()), (vec![State::Failed], Some(at(again).instant)));
        assert_eq!(act(&mut replicas, at(again)), [Action::Start(1)]);
    }
}

#[test]
fn one_that_was_evicted_keeps_its_place_until_another_takes_it() {
    let mut replicas = replicas(State::Creating, 9);
    replicas.scale(1, at(0));
    act(&mut replicas, at(0));
    replicas.get_mut(1).unwrap().eviction = Some("no room".into());
    replicas.exited(1, exit(State::Failed), Some(Duration::from_secs(1)), at(1));
    assert_eq!(states(&replicas), [State::Evicted]);
    assert!(act(&mut replicas, at(10)).is_empty(), "there is no room yet");
    assert_eq!(act(&mut replicas, at(11)), [Action::Start(2)]);
    assert_eq!(replicas.statuses().len(), 1);
}

#[test]
fn one_that_was_sent_away_while_it_was_made_is_stopped_then() {
    let mut replicas = replicas(State::Creating, 9);
    replicas.scale(1, at(0));
    assert_eq!(replicas.next(at(0)), Some(Action::Start(1)));
    replicas.scale(0, at(0));
    assert_eq!((states(&replicas), replicas.next(at(0))), (vec![State::Terminating], None));
    replicas.done(1, at(1));
    assert_eq!(replicas.next(at(1)), Some(Action::Stop(1)));
    assert_eq!(replicas.refused(1, at(1)), 1);
    assert_eq!((replicas.next(at(1)), replicas.next(at(2))), (None, Some(Action::Stop(1))));
}

#[derive(Clone, Debug)]
enum Step {
    Scale(u32),
    Next,
    Done(u32),
    Refused(u32),
    Exited(u32),
    Evicted(u32),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..8_u32).prop_map(Step::Scale),
        Just(Step::Next),
        Just(Step::Next),
        (1..12_u32).prop_map(Step::Done),
        (1..12_u32).prop_map(Step::Refused),
        (1..12_u32).prop_map(Step::Exited),
        (1..12_u32).prop_map(Step::Evicted),
        (0..30_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever goes wrong on the way, as many stay as are asked for, and once nothing goes wrong any more they run.
    #[test]
    fn as_many_stay_as_are_wanted_and_all_others_go(steps in proptest::collection::vec(step(), 0..60)) {
        const AT_ONCE: usize = 3;
        let mut replicas = replicas(State::Pending, AT_ONCE);
        let (mut now, mut wanted, mut highest) = (0, 0, 0);
        for step in steps {
            match step {
                Step::Scale(to) => {
                    wanted = to;
                    replicas.scale(to, at(now));
                }
                Step::Next => {
                    let action = replicas.next(at(now));
                    if let Some(Action::Start(ordinal)) = action {
                        prop_assert!(!replicas.get(ordinal).unwrap().leaving);
                    }
                }
                Step::Done(ordinal) if replicas.get(ordinal).is_some_and(|replica| replica.busy) => {
                    if replicas.get(ordinal).unwrap().leaving && replicas.get(ordinal).unwrap().backing {
                        replicas.gone(ordinal, at(now).time, "");
                    } else {
                        replicas.get_mut(ordinal).unwrap().backing = true;
                        replicas.done(ordinal, at(now));
                    }
                }
                Step::Refused(ordinal) if replicas.get(ordinal).is_some_and(|replica| replica.busy) => {
                    replicas.refused(ordinal, at(now));
                }
                Step::Exited(ordinal) | Step::Evicted(ordinal) => {
                    let evicted = matches!(step, Step::Evicted(_));
                    let Some(replica) = replicas.get_mut(ordinal) else { continue };
                    if replica.busy || replica.leaving || !replica.backing {
                        continue;
                    }
                    replica.backing = false;
                    replica.eviction = evicted.then(|| "no room".to_owned());
                    replicas.exited(ordinal, exit(State::Failed), Some(Duration::ZERO), at(now));
                }
                Step::Wait(seconds) => now += seconds,
                Step::Done(_) | Step::Refused(_) => {}
            }
            prop_assert_eq!(replicas.staying().len(), wanted as usize);
            let busy = |leaving| replicas.iter().filter(|(_, one)| one.busy && one.leaving == leaving).count();
            prop_assert!(busy(false) <= AT_ONCE);
            let last = replicas.iter().map(|(ordinal, _)| ordinal).max().unwrap_or(0);
            prop_assert!(replicas.next > last && replicas.next > highest, "no ordinal is given twice");
            highest = highest.max(last);
        }
        // What is under way ends well, and back-offs pass.
        let busy: Vec<u32> = replicas.iter().filter(|(_, one)| one.busy).map(|(ordinal, _)| ordinal).collect();
        for ordinal in busy {
            replicas.get_mut(ordinal).unwrap().backing = true;
            replicas.done(ordinal, at(now));
        }
        while let Some(due) = replicas.next_due() {
            now = now.max((due - at(0).instant).as_secs() + 1);
            act(&mut replicas, at(now));
        }
        prop_assert_eq!(replicas.statuses().len(), wanted as usize);
        prop_assert!(replicas.iter().all(|(_, one)| one.backing && !one.busy && !one.leaving));
    }
}

use proptest::prelude::*;

use super::*;
use crate::engine::ContainerExit;

fn instance_status(uid: &str, state: State) -> InstanceStatus {
    InstanceStatus {
        uid: uid.into(),
        name: format!("pod-{uid}"),
        node: Some("node-0".into()),
        state,
        since: None,
        reason: String::new(),
        restarts: 0,
        end: None,
        over: state == State::Evicted,
        group: None,
    }
}

fn ended(uid: &str, state: State, restarts: u32, container: &str, how: State) -> InstanceStatus {
    let end = ContainerExit {
        container: container.into(),
        state: how,
        at: None,
        reason: "OOMKilled, exit 137".into(),
    };
    InstanceStatus { restarts, end: Some(end), ..instance_status(uid, state) }
}

fn path(transitions: &[Transition]) -> Vec<(Option<State>, State)> {
    transitions.iter().map(|transition| (transition.from, transition.to)).collect()
}

#[test]
fn the_same_sighting_again_changes_nothing() {
    let mut tracker = InstanceTracker::default();
    assert_eq!(path(&tracker.see(&instance_status("a", State::Ready))), [(None, State::Ready)]);
    assert_eq!(tracker.see(&instance_status("a", State::Ready)), []);
    assert_eq!(tracker.counts().of(State::Ready), 1);
}

#[test]
fn an_oom_kill_is_counted_once_while_it_is_seen_dead_waiting_and_at_work_again() {
    let mut tracker = InstanceTracker::default();
    tracker.see(&instance_status("a", State::Ready));
    let dead = ended("a", State::OomKilled, 0, "c1", State::OomKilled);
    assert_eq!(path(&tracker.see(&dead)), [(Some(State::Ready), State::OomKilled)]);
    assert_eq!(tracker.see(&dead), []);
    let again = ended("a", State::Running, 1, "c1", State::OomKilled);
    assert_eq!(path(&tracker.see(&again)), [(Some(State::OomKilled), State::Running)]);
    assert_eq!(tracker.totals().oom_kills, 1);
}

#[test]
fn an_end_that_was_over_before_anybody_looked_is_counted_as_well() {
    let mut tracker = InstanceTracker::default();
    tracker.see(&instance_status("a", State::Ready));
    let again = ended("a", State::Ready, 1, "c1", State::OomKilled);
    assert_eq!(
        path(&tracker.see(&again)),
        [(Some(State::Ready), State::OomKilled), (Some(State::OomKilled), State::Ready)]
    );
    let twice_more = ended("a", State::Ready, 3, "c3", State::OomKilled);
    let transitions = tracker.see(&twice_more);
    assert_eq!(transitions[0].reason, "OOMKilled, exit 137 (1 ends before it not seen)");
    assert_eq!(tracker.totals().oom_kills, 2);
}

#[test]
fn an_earlier_end_that_is_told_after_a_later_one_is_not_counted_again() {
    let mut tracker = InstanceTracker::default();
    for container in ["c1", "c2", "c1", "c2"] {
        tracker.see(&ended("a", State::Failed, 1, container, State::Failed));
    }
    assert_eq!(tracker.totals().failures, 2);
    tracker.see(&ended("a", State::Ready, 2, "c2", State::Failed));
    assert_eq!(tracker.see(&ended("a", State::Failed, 1, "c1", State::Failed)), [], "it is at work again");
    assert_eq!((tracker.totals().failures, tracker.counts().of(State::Ready)), (2, 1));
}

#[test]
fn an_eviction_is_counted_once_where_the_oom_kill_before_it_is_reported_later() {
    let mut tracker = InstanceTracker::default();
    tracker.see(&instance_status("a", State::Ready));
    tracker.see(&instance_status("a", State::Evicted));
    let late = InstanceStatus { over: true, ..ended("a", State::Evicted, 0, "c1", State::OomKilled) };
    let told = tracker.see(&late);
    assert_eq!(path(&told), [(Some(State::Evicted), State::OomKilled)]);
    assert_eq!(tracker.see(&late), []);
    assert_eq!((tracker.totals().evictions, tracker.totals().oom_kills), (1, 1));
    let mut resumed = InstanceTracker::default();
    resumed.see(&instance_status("a", State::Evicted));
    told.iter().for_each(|row| resumed.replay(row));
    assert_eq!((resumed.see(&late), resumed.in_place()), (Vec::new(), tracker.in_place()));
}

#[test]
fn what_was_told_to_end_and_does_is_no_failure() {
    let mut tracker = InstanceTracker::default();
    tracker.see(&instance_status("a", State::Ready));
    let told = ended("a", State::Terminating, 0, "c1", State::Failed);
    assert_eq!(path(&tracker.see(&told)), [(Some(State::Ready), State::Terminating)]);
    let gone = ended("a", State::Gone, 0, "c1", State::Failed);
    assert_eq!(path(&tracker.see(&gone)), [(Some(State::Terminating), State::Gone)]);
    assert_eq!(tracker.totals().failures, 0);
}

#[test]
fn what_is_missing_when_all_are_listed_is_gone_and_does_not_come_back() {
    let mut tracker = InstanceTracker::default();
    tracker.see_all(&[instance_status("a", State::Ready), instance_status("b", State::Creating)]);
    let transitions = tracker.see_all(&[instance_status("b", State::Ready)]);
    assert_eq!(
        path(&transitions),
        [(Some(State::Ready), State::Gone), (Some(State::Creating), State::Ready)]
    );
    assert_eq!(tracker.see(&instance_status("a", State::Ready)), [], "an old sighting");
    assert_eq!((tracker.there(), tracker.totals().gone), (1, 1));
    assert_eq!(tracker.see(&instance_status("c", State::Gone)), [], "never seen");
}

#[test]
fn a_step_is_settled_once_each_has_its_memory_or_has_ended_and_the_evicted_have_been_replaced() {
    let mut tracker = InstanceTracker::default();
    assert!(tracker.is_settled(0));
    tracker.see(&instance_status("a", State::Ready));
    assert!(tracker.is_settled(1) && !tracker.is_settled(2));
    tracker.see(&instance_status("b", State::Running));
    assert!(!tracker.is_settled(2) && !tracker.is_settled(1));
    tracker.see(&instance_status("b", State::Evicted));
    assert!(!tracker.is_settled(2), "another one will take its place");
    tracker.see(&instance_status("c", State::Unschedulable));
    assert!(tracker.is_settled(2));
    assert_eq!((tracker.in_place(), tracker.there()), (2, 3));
}

#[test]
fn a_ledger_read_from_its_own_rows_goes_on_as_if_nothing_had_happened() {
    let statuses = [
        instance_status("a", State::Ready),
        ended("a", State::OomKilled, 0, "c1", State::OomKilled),
        ended("a", State::Ready, 1, "c1", State::OomKilled),
        instance_status("b", State::Evicted),
        instance_status("c", State::Gone),
    ];
    let mut tracker = InstanceTracker::default();
    let rows: Vec<Transition> =
        statuses.iter().flat_map(|instance_status| tracker.see(instance_status)).collect();
    let mut resumed = InstanceTracker::default();
    rows.iter().for_each(|row| resumed.replay(row));
    assert_eq!((resumed.counts(), resumed.totals()), (tracker.counts(), tracker.totals()));
    assert_eq!(resumed.see(&statuses[2]), [], "the end of c1 has been counted");
}

proptest! {
    #[test]
    fn every_instance_s_transitions_form_a_path(
        steps in prop::collection::vec((0..4_u8, 0..State::ALL.len(), 0..3_u32, any::<bool>()), 0..200)
    ) {
        let mut tracker = InstanceTracker::default();
        let mut last: HashMap<String, State> = HashMap::new();
        let mut counted: HashSet<(String, String)> = HashSet::new();
        for (uid, state, container, all) in steps {
            let state = State::ALL[state];
            let seen = ended(&uid.to_string(), state, container, &container.to_string(), State::OomKilled);
            let transitions = if all { tracker.see_all(&[seen]) } else { tracker.see(&seen) };
            for transition in transitions {
                prop_assert_eq!(transition.from, last.get(&transition.uid).copied());
                prop_assert_ne!(transition.from, Some(State::Gone));
                last.insert(transition.uid.clone(), transition.to);
                if let Some(container) = transition.container {
                    counted.insert((transition.uid, container));
                }
            }
        }
        let there = last.values().filter(|state| **state != State::Gone).count();
        prop_assert_eq!(tracker.there() as usize, there);
        let by_state: u32 = State::ALL.iter().map(|state| tracker.counts().of(*state)).sum();
        prop_assert_eq!(by_state as usize, there);
    }
}

/// What was said of an instance at one moment.
fn any_sighting() -> impl Strategy<Value = InstanceStatus> {
    let states = proptest::sample::select(State::ALL.to_vec());
    let nodes = proptest::sample::select(vec![None, Some("node-0"), Some("node-1")]);
    (0..4_u8, states, nodes, any::<bool>()).prop_map(|(uid, state, node, over)| InstanceStatus {
        node: node.map(str::to_owned),
        over,
        ..instance_status(&uid.to_string(), state)
    })
}

proptest! {
    #[test]
    fn what_is_kept_of_all_is_what_counting_them_gives(statuses in proptest::collection::vec(any_sighting(), 0..60)) {
        let mut tracker = InstanceTracker::default();
        for instance_status in &statuses {
            tracker.see(instance_status);
        }
        let mut counted = PopulationCounts::default();
        for entry in tracker.instances.values() {
            counted.change(entry, 1);
        }
        tracker.places.at_work.retain(|_, count| *count > 0);
        prop_assert_eq!(&tracker.places, &counted);
        let of = |state| tracker.instances.values().filter(|entry| entry.state == state).count() as u32;
        prop_assert!(State::ALL.iter().all(|state| tracker.counts().of(*state) == of(*state)));
    }
}

#[test]
fn of_instances_that_are_gone_a_bounded_number_is_remembered() {
    let mut tracker = InstanceTracker::default();
    let flood = u32::try_from(GONE_REMEMBERED).unwrap() + 1000;
    for number in 0..flood {
        let uid = number.to_string();
        tracker.see(&InstanceStatus { over: true, ..instance_status(&uid, State::Failed) });
        tracker.see(&instance_status(&uid, State::Gone));
    }
    assert_eq!((tracker.gone.uids.len(), tracker.gone.order.len()), (GONE_REMEMBERED, GONE_REMEMBERED));
    assert_eq!((tracker.there(), tracker.totals().failures, tracker.totals().gone), (0, flood, flood));
    assert_eq!(tracker.see(&instance_status(&(flood - 1).to_string(), State::Running)), [], "seen late");
}

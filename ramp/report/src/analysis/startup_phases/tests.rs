use super::*;

fn took(times: &[(f64, bool)]) -> StartupPhases {
    let instance = |(seconds, ended): &(f64, bool)| {
        let mut took = [None; StartupPhase::ALL.len()];
        took[StartupPhase::Sandbox.at()] = Some(Duration { seconds: *seconds, ended: *ended });
        InstancePhases { group: None, at_work: 0, took, unknown: [None; StartupPhase::ALL.len()] }
    };
    let facts =
        |phase| PhaseFacts { phase, from: CREATED, clock: "", resolution_seconds: 0.0, missing: None };
    StartupPhases {
        phases: StartupPhase::ALL.into_iter().map(facts).collect(),
        instances: times.iter().map(instance).collect(),
        full: 1,
        clocks: BTreeMap::new(),
    }
}

#[test]
fn a_mean_is_none_where_too_many_instances_did_not_come_to_the_end_of_the_phase() {
    let mean = |times: &[(f64, bool)]| took(times).mean(StartupPhase::Sandbox, None);
    let ended: Vec<(f64, bool)> = (0..20).map(|at| (1.0 + f64::from(at % 2), true)).collect();
    assert_eq!(mean(&ended), Ok(1.5));
    assert_eq!(mean(&[(-0.02, true), (0.0, true)]), Ok(-0.01), "told later than it was, by the resolution");
    let one_not = [&ended[..], &[(60.0, false)]].concat();
    assert!(
        (mean(&one_not).unwrap() - (30.0 + 60.0) / 21.0).abs() < 1e-9,
        "up to the time that it was watched"
    );
    let many_not = [&ended[..], &[(60.0, false); 5]].concat();
    assert_eq!(
        mean(&many_not).unwrap_err().0,
        "5 of 25 instances were not seen to come to its end (sandbox ready)"
    );
    assert_eq!(mean(&[]).unwrap_err().0, "no instance came to it");
}

#[test]
fn a_phase_that_is_known_of_few_instances_is_none_of_the_run() {
    let mut found = took(&[(1.0, true); 3]);
    let mut unknown = found.instances[0].clone();
    unknown.took[StartupPhase::Sandbox.at()] = None;
    unknown.unknown[StartupPhase::Sandbox.at()] = Some(LATE_EVENT);
    found.instances.extend(vec![unknown.clone(); 3]);
    assert_eq!(found.mean(StartupPhase::Sandbox, None), Ok(1.0));
    found.instances.push(unknown);
    assert_eq!(
        found.mean(StartupPhase::Sandbox, None).unwrap_err().0,
        "known of 3 of 7 instances: the kubelet's event arrived late"
    );
}

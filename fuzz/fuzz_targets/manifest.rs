//! Fuzz target: a manifest is refused with a message, or its load, its needs and its changes can be had without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ramp_format::scenario::Scenario;
use workload::quantity::{Bytes, Cores, MemoryTarget};

fuzz_target!(|text: &str| {
    for refusal in [Bytes::from_manifest(text).err(), Cores::from_manifest(text).err()].into_iter().flatten()
    {
        assert!(!refusal.to_string().is_empty());
    }
    let scenario = match Scenario::parse(text) {
        Ok(scenario) => scenario,
        Err(error) => return assert!(!error.is_empty()),
    };
    let needs = scenario.needs();
    for machine in [None, Some(Bytes(0)), Some(Bytes(u64::MAX))] {
        let memory = needs.memory_on(machine).unwrap_or_default();
        let _ = scenario.fill_seconds(memory);
    }
    let _ = (scenario.unknown_settings(), scenario.command_line().is_ok());
    let five = MemoryTarget::Bytes(Bytes(5_000_000));
    if let Ok(changed) = scenario.with_memory(five) {
        assert_eq!(changed.load().map(|load| load.memory), Ok(five), "{text}");
        // As it is read back from a run directory.
        let again = Scenario::of(changed.manifest.clone()).expect("it was a scenario");
        assert_eq!((&again.container, again.needs()), (&changed.container, changed.needs()), "{text}");
    }
});

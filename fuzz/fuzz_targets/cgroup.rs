//! Fuzz target: no content of `/proc/self/cgroup` and `/proc/self/mountinfo` leads outside of the cgroup mount. The input is
//! both files, separated by a zero byte.
#![no_main]

use std::path::Component;

use libfuzzer_sys::fuzz_target;
use workload::host::Hierarchy;

fuzz_target!(|text: &str| {
    let (membership, mounts) = text.split_once('\0').unwrap_or((text, text));
    let found = ["memory", "cpu", "cpuset"].map(|controller| Hierarchy::find(controller, membership, mounts));
    for hierarchy in found.into_iter().chain([Hierarchy::unified(membership, mounts)]).flatten() {
        let Some(outermost) = hierarchy.levels.last() else { panic!("no level: {hierarchy:?}") };
        for level in &hierarchy.levels {
            let Ok(below) = level.directory.strip_prefix(&outermost.directory) else {
                panic!("{level:?} is not below {outermost:?}");
            };
            assert!(below.components().all(|part| matches!(part, Component::Normal(_))), "{level:?}");
        }
    }
});

use super::*;
use crate::quantity::Rate;

const MIB: u64 = 1 << 20;

#[test]
fn what_is_held_is_not_taken_for_what_is_asked_for_from_now_on() {
    let host = HostMemory::open(std::path::Path::new("/"));
    let own = host.process.resident_exactly().unwrap().total;
    let target = |more: u64| Bytes(own.0 + 64 * MIB + more);
    let plan = MemoryPlan {
        target: Some(target(0)),
        rate: Rate::Instant,
        step: None,
        fill: Fill::Zero,
        touch_every: None,
        huge_pages: false,
        seed: 1,
        page_size: 4096,
        cpus: 1,
    };
    let load = MemoryLoad::start(plan, host).unwrap();
    load.begin();
    let holding = || load.counters().phase == Phase::Holding;
    for more in (1..=40).map(|step| step * MIB) {
        while !holding() {
            std::thread::yield_now();
        }
        let before = load.counters().populated;
        load.change(target(more));
        // Nobody waits here for the load to notice.
        let after = load.counters();
        assert!(after.phase == Phase::Growing || after.populated > before, "{after:?} right after a change");
    }
    load.end();
}

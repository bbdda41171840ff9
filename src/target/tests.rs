use super::*;
use crate::host::MemorySize;

const LIMITED: Capacity<'_> = Capacity {
    memory_limit: EffectiveLimit {
        limit: Limit::Value(Bytes(1_000)),
        cgroup: Some("/pod"),
        is_certain: true,
    },
    machine_memory: Some(MemorySize { total: Bytes(10_000), available: Some(Bytes(8_000)) }),
    own_memory: Some(Bytes(100)),
    cpu_limit: EffectiveLimit {
        limit: Limit::Value(Cores::from_nano(500_000_000)),
        cgroup: Some("/pod"),
        is_certain: true,
    },
    cpus: 2,
};
const FREE: Capacity<'_> =
    Capacity { memory_limit: EffectiveLimit::UNLIMITED, cpu_limit: EffectiveLimit::UNKNOWN, ..LIMITED };

fn target(memory: &str, cpu: &str, capacity: &Capacity<'_>) -> Target {
    let spec = TargetSpec { memory: memory.parse().unwrap(), cpu: cpu.parse().unwrap() };
    Target::resolve(spec, capacity).unwrap()
}

fn short<'a>(memory: &str, cpu: &str, capacity: &Capacity<'a>) -> Vec<Shortfall<'a>> {
    let spec = TargetSpec { memory: memory.parse().unwrap(), cpu: cpu.parse().unwrap() };
    target(memory, cpu, capacity).shortfalls(spec, capacity)
}

#[test]
fn a_percentage_is_of_the_limit_in_force_else_of_the_machine() {
    let half = target("50%", "50%", &LIMITED);
    assert_eq!(half, Target { memory: Some(Bytes(500)), cpu: Cores::from_nano(250_000_000) });
    let half = target("50%", "50%", &FREE);
    assert_eq!(half, Target { memory: Some(Bytes(5_000)), cpu: Cores::from_whole(1) });
}

#[test]
fn a_percentage_of_the_unknown_is_refused_with_a_way_out() {
    let blind = Capacity { machine_memory: None, ..FREE };
    let spec = TargetSpec { memory: "50%".parse().unwrap(), cpu: CpuTarget::Max };
    let refusal = Target::resolve(spec, &blind).unwrap_err();
    assert!(refusal.to_string().contains("give it in bytes"));
}

#[test]
fn a_limit_that_is_not_told_any_more_has_not_gone() {
    let spec = TargetSpec { memory: "50%".parse().unwrap(), cpu: "50%".parse().unwrap() };
    let unknown = EffectiveLimit::UNKNOWN;
    let untold = Capacity { memory_limit: unknown, cpu_limit: EffectiveLimit::UNKNOWN, ..LIMITED };
    let before = target("50%", "50%", &LIMITED);
    assert_eq!(before.follow(spec, LIMITED.known(), &untold), before);
    let never_known = target("50%", "50%", &untold);
    assert_eq!(never_known.memory, Some(Bytes(5_000)), "of the machine");
    assert_eq!(never_known.follow(spec, untold.known(), &LIMITED), before, "it is told now");
    let lifted_capacity = Capacity { cpu_limit: EffectiveLimit::UNLIMITED, ..FREE };
    let lifted = before.follow(spec, LIMITED.known(), &lifted_capacity);
    assert_eq!(lifted, Target { memory: Some(Bytes(5_000)), cpu: Cores::from_whole(1) });
    // A level that cannot be read any more leaves a bound by those around it, which is not what it was.
    let around = EffectiveLimit { limit: Limit::Value(Bytes(9_000)), cgroup: Some("/"), is_certain: false };
    assert_eq!(before.follow(spec, LIMITED.known(), &Capacity { memory_limit: around, ..LIMITED }), before);
    let tighter = EffectiveLimit { limit: Limit::Value(Bytes(600)), ..around };
    let followed = before.follow(spec, LIMITED.known(), &Capacity { memory_limit: tighter, ..LIMITED });
    assert_eq!(followed.memory, Some(Bytes(300)), "but a tighter bound is one");
    // Never certain, and then not even a bound.
    let bound = Capacity { memory_limit: tighter, ..LIMITED };
    let of_bound = target("50%", "50%", &bound);
    assert_eq!(of_bound.follow(spec, bound.known(), &untold).memory, Some(Bytes(300)), "not of the machine");
    let both = Capacity { memory_limit: unknown, ..LIMITED }.known().or(LIMITED.known());
    assert_eq!(both, LIMITED.known());
}

#[test]
fn shares_of_what_may_be_less_are_told() {
    let spec =
        |memory: &str, cpu: &str| TargetSpec { memory: memory.parse().unwrap(), cpu: cpu.parse().unwrap() };
    let doubts = |memory: &str, cpu: &str, capacity: &Capacity<'_>| {
        target(memory, cpu, capacity).doubts(spec(memory, cpu), capacity)
    };
    let bound = EffectiveLimit { is_certain: false, ..LIMITED.memory_limit };
    let uncertain = Capacity { memory_limit: bound, cpu_limit: EffectiveLimit::UNKNOWN, ..LIMITED };
    assert!(matches!(&doubts("50%", "50%", &uncertain)[..], [Doubt::OfLimit(memory), Doubt::OfMachine(cpu)]
        if memory.contains("500 B, of the limit of 1.000 kB") && cpu.contains("1 cores, of 2 CPUs")));
    let above_machine = EffectiveLimit { limit: Limit::Value(Bytes(11_000)), ..bound };
    let machine = Capacity { memory_limit: above_machine, ..uncertain };
    assert!(
        matches!(&doubts("50%", "0", &machine)[..], [Doubt::OfMachine(text)] if text.contains("5.000 kB, of the 10.00 kB"))
    );
    assert_eq!(doubts("50%", "50%", &LIMITED), []);
    assert_eq!(doubts("500", "max", &uncertain), []);
}

#[test]
fn a_cpuset_that_widens_is_followed_where_it_is_a_share_of_it() {
    let spec = |cpu: &str| TargetSpec { memory: MemoryTarget::Max, cpu: cpu.parse().unwrap() };
    let one = Capacity { cpu_limit: EffectiveLimit::UNLIMITED, cpus: 1, ..LIMITED };
    let four = Capacity { cpus: 4, ..one };
    for (cpu, expected) in [("50%", 2), ("max", 4)] {
        let target = Target::resolve(spec(cpu), &one).unwrap().follow(spec(cpu), one.known(), &four);
        assert_eq!(target.cpu, Cores::from_whole(expected), "{cpu}");
    }
    assert!(!TargetSpec { memory: MemoryTarget::Max, cpu: "1.5".parse().unwrap() }.follows());
}

#[test]
fn more_than_there_is_falls_short_of_each_limit_it_passes() {
    let shortfalls = short("20k", "3", &LIMITED);
    assert!(matches!(
        shortfalls[..],
        [
            Shortfall::MemoryLimit { .. },
            Shortfall::MachineMemory { .. },
            Shortfall::CpuLimit { .. },
            Shortfall::Cpus { .. }
        ]
    ));
    assert!(matches!(short("9k", "0", &FREE)[..], [Shortfall::MachineMemory { machine: Bytes(8_100), .. }]));
    assert!(matches!(short("50", "0", &FREE)[..], [Shortfall::OwnMemory { .. }]));
    assert!(matches!(short("100%", "0", &LIMITED)[..], [Shortfall::MemoryLimit { .. }]));
    assert_eq!(short("0", "0", &LIMITED), []);
    assert_eq!(short("900", "0.5", &LIMITED), []);
}

#[test]
fn max_never_falls_short() {
    assert_eq!(short("max", "max", &LIMITED), []);
}

#[test]
fn what_is_said_of_what_cannot_be_had_is_as_written_down() {
    let mut told = String::new();
    let small = Capacity { own_memory: Some(Bytes(2_000_000)), ..LIMITED };
    let machine = Capacity { memory_limit: EffectiveLimit::UNLIMITED, ..LIMITED };
    for (memory, cpu, capacity) in [
        ("1M", "0.2", small),
        ("999", "0.2", LIMITED),
        ("9k", "0.2", machine),
        ("0", "3", LIMITED),
        ("120%", "200%", LIMITED),
    ] {
        for shortfall in short(memory, cpu, &capacity) {
            told += &format!("--memory {memory} --cpu {cpu}: {shortfall}\n");
        }
    }
    let untold =
        Capacity { memory_limit: EffectiveLimit::UNKNOWN, cpu_limit: EffectiveLimit::UNKNOWN, ..LIMITED };
    let spec = TargetSpec { memory: "50%".parse().unwrap(), cpu: "50%".parse().unwrap() };
    for doubt in Target::resolve(spec, &untold).unwrap().doubts(spec, &untold) {
        let (Doubt::OfLimit(doubt) | Doubt::OfMachine(doubt)) = doubt;
        told += &format!("--memory 50% --cpu 50%: {doubt}\n");
    }
    told += &format!("--memory 50%: {UnknownCapacity}\n");
    insta::assert_snapshot!("shortfalls_and_doubts", told);
}

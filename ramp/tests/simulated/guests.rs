//! Studies of runtimes with guests: what of the overhead is inside of them, and what outside.

use crate::kata_studies::{OUTSIDE, USED, definition, holds, measured, overhead};

const MIB: f64 = 1_048_576.0;

#[test]
fn of_an_overhead_what_is_used_in_guests_and_what_is_outside_are_told_apart() {
    let found = overhead(&definition(7, 2, ""), "kata-qemu", 160);
    let guest = &measured(&found)["guest"];
    assert_eq!(guest["machine"], "guest", "{found}");
    assert_eq!(guest["memory_total_bytes"].as_f64().unwrap(), 1150.0 * MIB);
    let value = |key: &str| guest[key]["value"].as_f64().unwrap();
    assert_eq!(value("limit_and_pod_fixed_less_memory_total"), 34.0 * MIB);
    // Whole pages, of the load, and whole KiB.
    assert!((value("used_beyond_load") - USED).abs() < 8192.0, "{guest}");
    assert!(holds(&guest["outside"], OUTSIDE) && (value("outside") - OUTSIDE).abs() < 2.0 * MIB, "{guest}");
    let sentences = found["sentences"].to_string();
    for told in [
        "Loads of kata see 1150Mi of memory (MemTotal): 34 MiB",
        "less than the limit and podFixed of the pod.",
        "used in the guest beyond the load: 38.1",
        "outside of it: 2",
    ] {
        assert!(sentences.contains(told), "{told}: {sentences}");
    }
}

#[test]
fn a_machine_that_may_be_no_guest_is_not_called_one_and_of_a_sandbox_nothing_is_told() {
    let unknown = overhead(&definition(7, 2, ""), "secure", 100);
    let guest = &measured(&unknown)["guest"];
    assert_eq!(guest["machine"], "unknown");
    assert_eq!(guest["limit_and_pod_fixed_less_memory_total"]["value"].as_f64().unwrap(), -26.0 * MIB);
    let sentences = unknown["sentences"].to_string();
    assert!(!sentences.contains("guest") && sentences.contains("26 MiB"), "{sentences}");
    assert!(sentences.contains("more than the limit and podFixed"), "{sentences}");
    let sandbox = overhead(&definition(7, 2, ""), "runsc", 160);
    let guest = &measured(&sandbox)["guest"];
    assert!(guest["used_beyond_load"]["value"].is_null() && guest["outside"]["value"].is_null(), "{guest}");
    assert!(sandbox["sentences"].to_string().contains("a sandbox has no memory set aside"), "{sandbox}");
    // A process runtime sees its node.
    let of_process = definition(7, 2, "").replace(", guest_memory: 126Mi, guest_used: 40M", "");
    assert!(measured(&overhead(&of_process, "runc", 160)).get("guest").is_none());
}

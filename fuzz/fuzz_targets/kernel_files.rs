//! Fuzz target: the parsers of kernel files return a value or none for any content. The input is a key and a text, separated
//! by a zero byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use workload::host::{Limit, parse};
use workload::quantity::Cores;

fuzz_target!(|input: &str| {
    let (key, text) = input.split_once('\0').unwrap_or(("oom_kill", input));
    if let Some(value) = parse::single_value(text) {
        assert!(!value.is_empty() && !value.contains(char::is_whitespace));
    }
    if let Some(value) = parse::flat_keyed(text, key) {
        assert_eq!(parse::flat_value(text, key).and_then(|value| value.parse().ok()), Some(value));
    }
    if let Some(bytes) = parse::kilobytes(text, key) {
        assert_eq!(bytes % 1024, 0);
    }
    if let Limit::Value((quota, period)) = parse::cpu_max(text) {
        assert_eq!(Cores::from_quota(quota, period).is_none(), period == 0);
    }
    if let Limit::Value(limit) = parse::memory_limit(text) {
        assert!(limit < i64::MAX as u64);
    }
    if let Limit::Value(quota) = parse::cfs_quota(text) {
        assert_eq!(parse::number(text), Some(quota));
    }
    for column in 0..12 {
        let _ = parse::cpu_hundredths(text, column);
        if let Some(load) = parse::load_average(text, column) {
            assert!(load.is_finite() && load >= 0.0);
        }
    }
    let _ = (parse::number(text), parse::colon_keyed(text, key), parse::cpu_count(text));
    let _ = parse::pressure_totals(text);
});

//! Formatting of a study's figures.

use crate::analysis::mib;
use crate::report::format;
use crate::stats::Interval;
use crate::study::figure::StudyUnit;
use crate::study::overhead_by_size::ValueWithInterval;
use ramp_format::plan::EngineKind;
use workload::quantity::Bytes;

/// Width of texts for a terminal.
pub const WIDTH: usize = 100;

/// A value without its unit.
#[must_use]
pub fn number(unit: StudyUnit, value: f64) -> String {
    match unit {
        StudyUnit::Bytes => format::number(mib(value)),
        _ => format::number(value),
    }
}

/// The name of a unit.
#[must_use]
pub fn unit_name(unit: StudyUnit, engine: EngineKind) -> &'static str {
    match unit {
        StudyUnit::Bytes => "MiB",
        StudyUnit::Instances => engine.instances(),
        StudyUnit::Seconds => "s",
        StudyUnit::Cores => "cores",
        StudyUnit::PerSecond => "starts/s",
    }
}

/// A value with its unit.
#[must_use]
pub fn value(unit: StudyUnit, engine: EngineKind, value: f64) -> String {
    let number = number(unit, value);
    let name = if unit == StudyUnit::Instances && number == "1" {
        engine.instance()
    } else {
        unit_name(unit, engine)
    };
    format!("{number} {name}")
}

/// An interval, after its value.
#[must_use]
pub fn interval(unit: StudyUnit, interval: Interval) -> String {
    format!("{} {}", format::confidence(), ends(unit, interval))
}

/// The ends of an interval, with as many digits as tell them apart.
#[must_use]
pub fn ends(unit: StudyUnit, Interval { low, high }: Interval) -> String {
    let [mut from, mut to] = [low, high].map(|end| number(unit, end));
    let scale = |value: f64| if unit == StudyUnit::Bytes { mib(value) } else { value };
    for digits in 3..=6 {
        if from != to || low >= high {
            break;
        }
        [from, to] = [low, high].map(|end| format!("{:.digits$}", scale(end)));
    }
    format!("{from} to {to}")
}

/// A p-value.
#[must_use]
pub fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "< 0.001".into(),
        p if p < 0.2 => format!("= {p:.3}"),
        p => format!("= {p:.2}"),
    }
}

/// A p-value after a word.
#[must_use]
pub fn plain_p(p: f64) -> String {
    p_value(p).trim_start_matches("= ").to_owned()
}

/// Several names or numbers in a sentence.
#[must_use]
pub fn list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// Numbers of blocks in a sentence.
#[must_use]
pub fn blocks(blocks: &[u32]) -> String {
    let word = if blocks.len() == 1 { "block" } else { "blocks" };
    format!("{word} {}", list(&blocks.iter().map(u32::to_string).collect::<Vec<_>>()))
}

/// A time that something lasts: seconds up to two minutes, then minutes, then hours.
#[must_use]
pub fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7200 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A value in MiB, with its interval.
#[must_use]
pub fn mib_with_interval(found: ValueWithInterval) -> String {
    format!("{} ({})", format::mib(found.value), interval(StudyUnit::Bytes, found.interval))
}

/// A number of bytes as manifests have it: whole MiB as `160Mi`.
#[must_use]
pub fn whole_mib(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes > 0 && bytes.is_multiple_of(MIB) {
        format!("{}Mi", bytes / MIB)
    } else {
        Bytes(bytes).to_string()
    }
}

/// The interval behind a value.
#[must_use]
pub fn within(unit: StudyUnit, interval: Interval) -> String {
    format!(" ({})", ends(unit, interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instance_is_one_and_what_is_small_is_not_zero() {
        let of = |number: f64| value(StudyUnit::Instances, EngineKind::Local, number);
        assert_eq!([of(1.0), of(2.0), of(1.5)], ["1 process", "2 processes", "1.50 processes"]);
        let narrow = Interval { low: 38.22 * 1_048_576.0, high: 38.2202 * 1_048_576.0 };
        assert_eq!(interval(StudyUnit::Bytes, narrow), "95% CI 38.2200 to 38.2202");
        assert_eq!([p_value(1e-9), p_value(0.04), p_value(0.125)], ["< 0.001", "= 0.040", "= 0.125"]);
        assert_eq!([duration(90.0), duration(600.0), duration(9000.0)], ["90 s", "10 min", "2 h 30 min"]);
    }
}

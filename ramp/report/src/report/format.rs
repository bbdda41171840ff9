//! Formatting of numbers and text.

use crate::analysis::{Estimate, MarginalCost, Swapped, SwappedPerInstance};
use crate::dataset::Dataset;
use crate::stats::Quantile;

/// So many decimals that there are about four digits; with few that say nothing left out.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 || size.fract() == 0.0 && size >= 1.0 {
        format!("{value:.0}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else if size == 0.0 {
        "0".into()
    } else {
        format!("{value:.3}")
    }
}

/// Bytes in MB, as quantities like 500M have them.
pub(crate) fn mb(bytes: f64) -> String {
    format!("{} MB", number(bytes / 1e6))
}

/// Bytes in MiB.
pub(crate) fn mib(bytes: f64) -> String {
    format!("{} MiB", number(crate::analysis::mib(bytes)))
}

/// A ratio − 1 in percent.
pub(crate) fn percent(ratio: f64) -> String {
    let percent = 100.0 * ratio;
    if percent.abs() >= 100.0 { format!("{percent:.0}%") } else { format!("{percent:.1}%") }
}

/// A share, such as the limit of a rule, in percent.
pub(crate) fn share(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}

/// What an interval is called.
pub(crate) fn confidence() -> String {
    format!("{}% CI", crate::stats::CONFIDENCE_PERCENT)
}

/// Seconds.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 100.0 => format!("{seconds:.0} s"),
        _ if seconds >= 10.0 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.2} s"),
    }
}

/// A quantile that may lie beyond what was watched.
pub(crate) fn quantile(quantile: Quantile) -> String {
    match quantile {
        Quantile::Seconds(at, ..) => seconds(at),
        Quantile::LongerThan(at) => format!("longer than {}", seconds(at)),
    }
}

/// Text wrapped at `width` characters, indented.
pub(crate) fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > width {
            lines.push_str(&format!("{:indent$}{line}\n", ""));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push_str(&format!("{:indent$}{line}\n", ""));
    lines
}

/// What of a cost is swapped out, after it.
pub(crate) fn of_which_swapped(cost: &MarginalCost, swapped: &Estimate<SwappedPerInstance>) -> String {
    let Some(found) = swapped.as_ref().ok().filter(|found| found.matters(cost.bytes)) else {
        return String::new();
    };
    let text = |part: &Swapped| {
        let [low, high] = [part.interval.low, part.interval.high].map(|end| number(end.max(0.0) / 1e6));
        format!("{} ({low} to {high} MB)", mb(part.bytes))
    };
    let (out, compressed) = (text(&found.on_disk), text(&found.compressed));
    match (found.on_disk.bytes > 0.0, found.compressed.bytes > 0.0) {
        (true, true) => format!(", of which {out} is swapped out and {compressed} compressed"),
        (true, false) => format!(", of which {out} is swapped out"),
        (false, _) => format!(", of which {compressed} is compressed"),
    }
}

/// What is measured with each instance, after a figure of one.
pub(crate) fn with_sidecars(data: &Dataset) -> String {
    let names: Vec<String> = data.sidecars().into_iter().map(|sidecar| sidecar.container).collect();
    if names.is_empty() { String::new() } else { format!(", with the memory of {} in it", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_about_four_digits() {
        let all = [0.0, 0.1234, 1.0, 7.891, 128.46, 1277.9].map(number);
        assert_eq!(all, ["0", "0.123", "1", "7.89", "128.5", "1278"]);
        assert_eq!([percent(1.8134), percent(0.0512)], ["181%", "5.1%"]);
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 2, 9), "  one two\n  three\n");
    }
}

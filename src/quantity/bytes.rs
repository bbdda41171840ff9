//! Memory sizes, growth rates, and the value of `--memory`.

use std::fmt;
use std::str::FromStr;

use super::number::{Number, QuantityError};
use super::{MAX, Percent};

/// A size of memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// The suffixes of Kubernetes and what they stand for, the largest first.
const UNITS: [(&str, u64); 13] = [
    ("Ei", 1 << 60),
    ("E", 1_000_000_000_000_000_000),
    ("Pi", 1 << 50),
    ("P", 1_000_000_000_000_000),
    ("Ti", 1 << 40),
    ("T", 1_000_000_000_000),
    ("Gi", 1 << 30),
    ("G", 1_000_000_000),
    ("Mi", 1 << 20),
    ("M", 1_000_000),
    ("Ki", 1 << 10),
    ("k", 1_000),
    ("", 1),
];

const ALLOWED_SIZE: &str =
    "bytes, with k M G T P E for powers of 1000 or Ki Mi Gi Ti Pi Ei for powers of 1024";
const ALLOWED_TARGET: &str = "bytes such as 500M or 500Mi, 80% of the limit in force, or max";
const ALLOWED_RATE: &str = "bytes per second such as 10M/s or 10Mi/s, or instant";
const INSTANT: &str = "instant";

impl Bytes {
    fn parse(text: &str, allowed: &'static str) -> Result<Self, QuantityError> {
        let number = Number::parse(text, allowed)?;
        match UNITS.iter().find(|(suffix, _)| *suffix == number.suffix) {
            Some((_, factor)) => number.scaled(*factor, 1, allowed).map(Self),
            None => Err(wrong_unit(&number, "", allowed)),
        }
    }
}

/// Says what a wrong unit was probably meant to be; `per` follows each guess.
fn wrong_unit(number: &Number<'_>, per: &str, allowed: &'static str) -> QuantityError {
    let (text, suffix) = (number.text, number.suffix);
    let error = QuantityError::new(format!("unknown unit {suffix:?}"), allowed);
    let mut letters = suffix.chars().map(|c| c.to_ascii_lowercase());
    let (first, rest) = (letters.next(), letters.collect::<String>());
    let (decimal, exponent) = match first {
        Some('k') => ("k", 3),
        Some('m') => ("M", 6),
        Some('g') => ("G", 9),
        Some('t') => ("T", 12),
        Some('p') => ("P", 15),
        Some('e') => ("E", 18),
        Some('b') => return error.did_you_mean(format!("{text}{per}")),
        _ => return error,
    };
    let binary = format!("{}i", decimal.to_ascii_uppercase());
    let power = exponent / 3 * 10;
    match rest.as_str() {
        "i" | "ib" | "ibyte" | "ibytes" => error.did_you_mean(format!("{text}{binary}{per} (2^{power})")),
        "" | "b" | "byte" | "bytes" => error
            .did_you_mean(format!("{text}{decimal}{per} (10^{exponent}) or {text}{binary}{per} (2^{power})")),
        _ => error,
    }
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, ALLOWED_SIZE)
    }
}

impl fmt::Display for Bytes {
    /// The shortest exact way to write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().filter(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        let shortest = exact.min_by_key(|(suffix, factor)| {
            let digits = (self.0 / factor).checked_ilog10().unwrap_or(0);
            digits as usize + suffix.len()
        });
        let (suffix, factor) = shortest.unwrap_or(&("", 1));
        write!(f, "{}{suffix}", self.0 / factor)
    }
}

impl Bytes {
    /// For people: in the decimal unit that it reaches, with two or three decimals (`314.57 MB`).
    #[must_use]
    pub fn rounded(self) -> impl fmt::Display {
        Rounded(self.0)
    }
}

struct Rounded(u64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let decimal = UNITS.iter().filter(|(suffix, _)| !suffix.ends_with('i') && !suffix.is_empty());
        let Some((suffix, factor)) = decimal.into_iter().find(|(_, factor)| bytes >= *factor) else {
            return write!(f, "{bytes} B");
        };
        // A few digits are all that is shown.
        let value = bytes as f64 / *factor as f64;
        let decimals = if value < 10.0 { 3 } else { 2 };
        write!(f, "{value:.decimals$} {suffix}B")
    }
}

/// What `--memory` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryTarget {
    /// A resident set of this size.
    Bytes(Bytes),
    /// A share of the effective limit.
    Percent(Percent),
    /// Grow until stopped.
    Max,
}

impl FromStr for MemoryTarget {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            MAX => Ok(Self::Max),
            text if text.ends_with('%') => text.parse().map(Self::Percent),
            text => Bytes::parse(text, ALLOWED_TARGET).map(Self::Bytes),
        }
    }
}

impl fmt::Display for MemoryTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => bytes.fmt(f),
            Self::Percent(percent) => percent.fmt(f),
            Self::Max => f.write_str(MAX),
        }
    }
}

/// How fast memory grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Bytes per second; never zero.
    PerSecond(Bytes),
    /// As fast as the kernel gives pages.
    Instant,
}

impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text == INSTANT {
            return Ok(Self::Instant);
        }
        let Some(size) = text.strip_suffix("/s") else {
            let error = QuantityError::new(format!("{text:?} is not a rate"), ALLOWED_RATE);
            return Err(match Bytes::from_str(text) {
                Ok(_) => error.did_you_mean(format!("{text}/s")),
                Err(_) => error,
            });
        };
        let number = Number::parse(size, ALLOWED_RATE)?;
        match Bytes::parse(size, ALLOWED_RATE) {
            Ok(Bytes(0)) => {
                let error = QuantityError::new("a rate of zero never grows", ALLOWED_RATE);
                Err(error.did_you_mean("--memory 0"))
            }
            Ok(bytes) => Ok(Self::PerSecond(bytes)),
            Err(error) if UNITS.iter().any(|(suffix, _)| *suffix == number.suffix) => Err(error),
            Err(_) => Err(wrong_unit(&number, "/s", ALLOWED_RATE)),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(bytes) => write!(f, "{bytes}/s"),
            Self::Instant => f.write_str(INSTANT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> u64 {
        text.parse::<Bytes>().unwrap().0
    }

    fn refusal<T: FromStr<Err = QuantityError> + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }

    #[test]
    fn units_are_those_of_kubernetes() {
        assert_eq!(bytes("500M"), 500_000_000);
        assert_eq!(bytes("500Mi"), 524_288_000);
        assert_eq!(bytes("1.5Gi"), 1_610_612_736);
        assert_eq!(bytes("5e8"), 500_000_000);
        assert_eq!(bytes("1E"), 1_000_000_000_000_000_000);
        assert_eq!(bytes("1E3"), 1_000);
        assert_eq!(bytes("0.1"), 1, "a fraction of a byte rounds up, as in Kubernetes");
        assert_eq!(bytes("18446744073709551615"), u64::MAX);
    }

    #[test]
    fn a_wrong_unit_is_refused_with_the_right_spelling() {
        let message = refusal::<MemoryTarget>("500MB");
        assert!(message.contains("did you mean 500M (10^6) or 500Mi (2^20)?"), "{message}");
        assert!(refusal::<Bytes>("4KB").contains("did you mean 4k (10^3) or 4Ki (2^10)?"));
        assert!(refusal::<Bytes>("2GiB").contains("did you mean 2Gi (2^30)?"));
        assert!(refusal::<Bytes>("500m").contains("did you mean 500M (10^6)"));
        assert!(refusal::<Bytes>("12 bytes").contains("did you mean 12?"));
        assert!(refusal::<Bytes>("1,5G").contains("did you mean 1.5G?"));
        assert!(refusal::<Rate>("10M").contains("did you mean 10M/s?"));
        assert!(refusal::<Rate>("10MB/s").contains("did you mean 10M/s (10^6) or 10Mi/s (2^20)?"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            " ",
            "NaN",
            "inf",
            "-5M",
            "5.5.5M",
            "M",
            ".",
            "1e999",
            "19E",
            "99999999999999999999999999999999",
        ] {
            assert!(text.parse::<MemoryTarget>().is_err(), "{text:?}");
        }
        assert!(refusal::<Bytes>("-5M").contains("negative"));
        assert!(refusal::<Bytes>("20E").contains("too large"));
        assert!(refusal::<Rate>("0/s").contains("zero"));
    }

    #[test]
    fn a_rounded_size_is_in_the_unit_that_it_reaches() {
        let rounded = |bytes| Bytes(bytes).rounded().to_string();
        assert_eq!(rounded(999), "999 B");
        assert_eq!(rounded(1_500), "1.500 kB");
        assert_eq!(rounded(300 << 20), "314.57 MB");
        assert_eq!(rounded(25_276_502_016), "25.28 GB");
    }

    #[test]
    fn a_size_prints_in_its_shortest_exact_form() {
        for text in ["0", "500M", "500Mi", "1Gi", "1023", "1500k", "18446744073709551615"] {
            assert_eq!(Bytes(bytes(text)).to_string(), text);
        }
    }
}

//! CPU amounts, and the value of `--cpu`.

use std::fmt;
use std::str::FromStr;

use super::number::{Number, QuantityError, write_fraction};
use super::{MAX, Percent};

const NANO_PER_CORE: u64 = 1_000_000_000;
const ALLOWED: &str = "cores such as 0.2 or 200m, 20% of the limit in force, or max";

/// An amount of CPU: CPU time per wall time, in billionths of a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cores {
    nano: u64,
}

impl Cores {
    /// From billionths of a core.
    #[must_use]
    pub const fn from_nano(nano: u64) -> Self {
        Self { nano }
    }

    /// From whole cores.
    #[must_use]
    pub const fn from_whole(count: u64) -> Self {
        Self { nano: count.saturating_mul(NANO_PER_CORE) }
    }

    /// What a quota of `quota` per `period` (any unit, the same for both) allows; `None` for an empty period.
    #[must_use]
    pub fn from_quota(quota: u64, period: u64) -> Option<Self> {
        let nano = (u128::from(quota) * u128::from(NANO_PER_CORE)).checked_div(u128::from(period))?;
        Some(Self { nano: u64::try_from(nano).unwrap_or(u64::MAX) })
    }

    /// Billionths of a core.
    #[must_use]
    pub const fn as_nano(self) -> u64 {
        self.nano
    }

    /// Cores as a floating-point number.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        // Exact below 2^53 billionths: nine million cores.
        self.nano as f64 / NANO_PER_CORE as f64
    }

    /// Whether it is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.nano == 0
    }
}

impl FromStr for Cores {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = Number::parse(text, ALLOWED)?;
        let denominator = match number.suffix {
            "" => 1,
            "m" => 1_000,
            "u" => 1_000_000,
            "n" => NANO_PER_CORE,
            suffix => return Err(wrong_unit(&number, suffix)),
        };
        number.scaled(NANO_PER_CORE, denominator, ALLOWED).map(Self::from_nano)
    }
}

fn wrong_unit(number: &Number<'_>, suffix: &str) -> QuantityError {
    let text = number.text;
    let error = QuantityError::new(format!("unknown unit {suffix:?}"), ALLOWED);
    match suffix.to_ascii_lowercase().as_str() {
        "m" | "mc" | "mcore" | "mcores" | "millicores" => {
            error.did_you_mean(format!("{text}m (thousandths of a core)"))
        }
        "c" | "core" | "cores" | "cpu" | "cpus" | "vcpu" | "vcpus" => error.did_you_mean(text),
        "percent" | "pct" => error.did_you_mean(format!("{text}%")),
        _ => error,
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_fraction(f, self.nano, NANO_PER_CORE)
    }
}

/// What `--cpu` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuTarget {
    /// CPU time per wall time.
    Cores(Cores),
    /// A share of the effective limit.
    Percent(Percent),
    /// Every CPU the process may run on.
    Max,
}

impl FromStr for CpuTarget {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            MAX => Ok(Self::Max),
            text if text.ends_with('%') => text.parse().map(Self::Percent),
            text => text.parse().map(Self::Cores),
        }
    }
}

impl fmt::Display for CpuTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cores(cores) => cores.fmt(f),
            Self::Percent(percent) => percent.fmt(f),
            Self::Max => f.write_str(MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_a_core_has_many_spellings() {
        for text in ["0.2", ".2", "200m", "2e-1", "200000u", "200000000n", " 0.2 "] {
            assert_eq!(text.parse::<Cores>().unwrap(), Cores::from_nano(200_000_000), "{text}");
        }
        assert_eq!(Cores::from_nano(200_000_000).to_string(), "0.2");
        assert_eq!(Cores::from_whole(3).to_string(), "3");
    }

    #[test]
    fn a_wrong_unit_is_refused_with_the_right_spelling() {
        let refusal = |text: &str| text.parse::<CpuTarget>().unwrap_err().to_string();
        assert!(refusal("200M").contains("did you mean 200m (thousandths of a core)?"));
        assert!(refusal("2 cores").contains("did you mean 2?"));
        assert!(refusal("0,2").contains("did you mean 0.2?"));
        assert!(refusal("NaN").contains("does not begin with a number"));
        assert!(refusal("-1").contains("negative"));
        assert!(refusal("1e40").contains("too large"));
    }

    #[test]
    fn a_quota_of_half_a_period_is_half_a_core() {
        assert_eq!(Cores::from_quota(50_000, 100_000), Some(Cores::from_nano(500_000_000)));
        assert_eq!(Cores::from_quota(50_000, 0), None);
    }
}

//! Quantities in the notation of Kubernetes: `500M`, `500Mi`, `0.2`, `200m`, `80%`, `max`.
//!
//! The grammar is that of `k8s.io/apimachinery/pkg/api/resource.Quantity`, without its sign: a decimal
//! number, then a suffix or a decimal exponent. As there, a fraction that the unit cannot express rounds
//! up. Two things differ on purpose: `m` is refused for sizes (500m of memory would be half a byte, and
//! has been mistaken for 500M often enough), and a percentage and `max` are allowed. Quantities of manifests are
//! read by [`Bytes::from_manifest`] and [`Cores::from_manifest`], in Kubernetes' whole grammar.
//!
//! All arithmetic is done in integers, so what is printed parses back to the same value.

mod bytes;
mod cores;
mod manifest;
mod number;

pub use bytes::{Bytes, MemoryTarget, Rate};
pub use cores::{Cores, CpuTarget};
pub use number::QuantityError;

use std::fmt;
use std::str::FromStr;

use number::Number;

/// The word for as much as possible, of memory or CPU.
const MAX: &str = "max";

/// A share of the effective limit, kept in millionths (80 % is 800 000).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    millionths: u64,
}

impl Percent {
    /// From whole percent.
    #[must_use]
    pub const fn from_whole(percent: u32) -> Self {
        // A percent is 10^4 millionths.
        Self { millionths: percent as u64 * 10_000 }
    }

    /// The share of `whole` that this percentage stands for, rounded down.
    #[must_use]
    pub fn of(self, whole: u64) -> u64 {
        let product = u128::from(whole) * u128::from(self.millionths) / 1_000_000;
        u64::try_from(product).unwrap_or(u64::MAX)
    }
}

impl FromStr for Percent {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str = "a percentage such as 80% or 12.5%";
        let number = Number::parse(text, ALLOWED)?;
        if number.suffix != "%" {
            return Err(QuantityError::new(format!("{text:?} is not a percentage"), ALLOWED));
        }
        // A percent is 10^4 millionths.
        let millionths = number.scaled(10_000, 1, ALLOWED)?;
        Ok(Self { millionths })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        number::write_fraction(f, self.millionths, 10_000)?;
        f.write_str("%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percentage_is_taken_of_the_whole() {
        let percent: Percent = "12.5%".parse().unwrap();
        assert_eq!(percent.of(1_000_000_000), 125_000_000);
        assert_eq!(percent.to_string(), "12.5%");
    }

    #[test]
    fn a_percentage_of_a_huge_whole_saturates() {
        let percent: Percent = "200%".parse().unwrap();
        assert_eq!(percent.of(u64::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(value in any::<u64>()) {
            let bytes = Bytes(value);
            prop_assert_eq!(bytes.to_string().parse::<Bytes>().unwrap(), bytes);
            let cores = Cores::from_nano(value);
            prop_assert_eq!(cores.to_string().parse::<Cores>().unwrap(), cores);
            let rate = Rate::PerSecond(Bytes(value.max(1)));
            prop_assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
            let percent = Percent { millionths: value };
            prop_assert_eq!(percent.to_string().parse::<Percent>().unwrap(), percent);
            let target = MemoryTarget::Percent(percent);
            prop_assert_eq!(target.to_string().parse::<MemoryTarget>().unwrap(), target);
            let target = CpuTarget::Cores(cores);
            prop_assert_eq!(target.to_string().parse::<CpuTarget>().unwrap(), target);
        }

        #[test]
        fn no_input_panics_and_every_refusal_says_what_is_allowed(text in "\\PC{0,24}|[0-9.eE+-]{0,24}[kKmMgGiIbB%/s]{0,5}") {
            let refusals = [
                text.parse::<MemoryTarget>().err(),
                text.parse::<CpuTarget>().err(),
                text.parse::<Rate>().err(),
                text.parse::<Bytes>().err(),
            ];
            for refusal in refusals.into_iter().flatten() {
                prop_assert!(refusal.to_string().contains("allowed"), "{refusal}");
            }
        }
    }
}

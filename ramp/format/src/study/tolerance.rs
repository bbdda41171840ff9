//! Tolerance: a precision or a margin, as a share of the figure that it is of or in the figure's own unit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use workload::quantity::Bytes;

use crate::text::scalar;

/// A precision or a margin: `2%`, `5Mi`, or a plain number in the figure's unit (instances, seconds).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// A share of the figure: 0.02 for 2 %.
    Share(f64),
    /// In the unit of the figure: bytes, instances, seconds.
    Absolute(f64),
}

impl Tolerance {
    /// In the unit of a figure of this size.
    #[must_use]
    pub fn of(self, figure: f64) -> f64 {
        match self {
            Self::Share(share) => share * figure.abs(),
            Self::Absolute(amount) => amount,
        }
    }
}

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("{text:?} is neither a percentage such as 2%, nor a size such as 5Mi, nor a number");
        let parsed = match text.strip_suffix('%') {
            Some(percent) => Self::Share(percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0),
            None => match text.parse::<f64>() {
                Ok(amount) => Self::Absolute(amount),
                Err(_) => Self::Absolute(text.parse::<Bytes>().map_err(|_| wrong())?.0 as f64),
            },
        };
        let (Self::Share(amount) | Self::Absolute(amount)) = parsed;
        if amount.is_finite() && amount > 0.0 {
            Ok(parsed)
        } else {
            Err(format!("{text:?} is not more than 0"))
        }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Of 0.07 as a share, 7 and not 7.000000000000001.
            Self::Share(share) => write!(f, "{}%", (share * 1e8).round() / 1e6),
            Self::Absolute(amount) => write!(f, "{amount}"),
        }
    }
}

impl Serialize for Tolerance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tolerance {
    /// Of a text, or of the number that YAML takes some of them for.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = scalar(&value).ok_or_else(|| de::Error::custom("expected an amount such as 2% or 5Mi"))?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sizes_and_plain_numbers_are_amounts() {
        let amount = |text: &str| text.parse::<Tolerance>();
        assert_eq!(amount("2%"), Ok(Tolerance::Share(0.02)));
        assert_eq!(amount("5Mi"), Ok(Tolerance::Absolute(5_242_880.0)));
        assert_eq!(amount("1.5"), Ok(Tolerance::Absolute(1.5)));
        assert_eq!((Tolerance::Share(0.02).of(-300.0), Tolerance::Absolute(3.0).of(300.0)), (6.0, 3.0));
        for wrong in ["", "0", "-2%", "nan", "inf%", "2 %%", "two"] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_amount_reads_as_it_is_written() {
        for text in ["7%", "0.1%", "5242880", "1.5"] {
            assert_eq!(text.parse::<Tolerance>().unwrap().to_string(), text);
        }
    }
}

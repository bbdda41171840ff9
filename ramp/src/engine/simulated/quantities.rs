//! Quantities of a world file: signed ones, and serde of each as text.

use std::time::{Duration, SystemTime};

use ramp_format::time::parse_time;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use workload::quantity::{Bytes, CpuTarget, Rate};

/// A quantity that may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignedQuantity<Q> {
    /// Whether it is less than 0.
    pub is_negative: bool,
    /// Its absolute value.
    pub size: Q,
}

impl SignedQuantity<Bytes> {
    pub(super) fn as_f64(self) -> f64 {
        let bytes = self.size.0 as f64;
        if self.is_negative { -bytes } else { bytes }
    }
}

impl SignedQuantity<Duration> {
    pub(super) fn as_nanos(self) -> i64 {
        let nanos = i64::try_from(self.size.as_nanos()).unwrap_or(i64::MAX);
        if self.is_negative { -nanos } else { nanos }
    }

    /// What a clock shows that is ahead by this.
    pub(super) fn after(self, time: SystemTime) -> SystemTime {
        let shown = if self.is_negative { time.checked_sub(self.size) } else { time.checked_add(self.size) };
        shown.unwrap_or(time)
    }
}

impl<Q: Quantity> Quantity for SignedQuantity<Q> {
    fn text(&self) -> Option<String> {
        let sign = if self.is_negative { "-" } else { "" };
        Some(format!("{sign}{}", self.size.text()?))
    }

    fn of_text(text: &str) -> Result<Self, String> {
        let size = text.strip_prefix('-');
        Ok(Self { is_negative: size.is_some(), size: Q::of_text(size.unwrap_or(text))? })
    }
}

/// A share: `5%`, or 0.05.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share(pub f64);

impl Share {
    /// So much of a number of bytes.
    pub(super) fn of(self, bytes: u64) -> u64 {
        (self.0 * bytes as f64).round() as u64
    }
}

/// A share as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a share, such as 5%")]
enum ShareText {
    Number(f64),
    Text(String),
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ShareText::Number(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = match ShareText::deserialize(deserializer)? {
            ShareText::Number(share) => Some(share),
            ShareText::Text(text) => {
                let percent = text.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok());
                percent.map(|percent| percent / 100.0).or_else(|| text.trim().parse().ok())
            }
        };
        read.map(Self).ok_or_else(|| de::Error::custom("expected a share, such as 5%"))
    }
}

/// A value that a world file has as text.
pub(super) trait Quantity: Sized {
    /// As it is written; none where nothing is.
    fn text(&self) -> Option<String>;

    /// # Errors
    /// What is wrong with the text.
    fn of_text(text: &str) -> Result<Self, String>;
}

macro_rules! quantity {
    ($($type:ty),*) => {$(
        impl Quantity for $type {
            fn text(&self) -> Option<String> {
                Some(self.to_string())
            }

            fn of_text(text: &str) -> Result<Self, String> {
                text.parse::<Self>().map_err(|error| error.to_string())
            }
        }
    )*};
}

quantity!(Bytes, CpuTarget, Rate);

impl Quantity for Duration {
    fn text(&self) -> Option<String> {
        Some(humantime::format_duration(*self).to_string())
    }

    fn of_text(text: &str) -> Result<Self, String> {
        parse_time(text)
    }
}

impl<Q: Quantity> Quantity for Option<Q> {
    fn text(&self) -> Option<String> {
        self.as_ref().and_then(Q::text)
    }

    fn of_text(text: &str) -> Result<Self, String> {
        Q::of_text(text).map(Some)
    }
}

pub(super) fn serialize<S: Serializer>(value: &impl Quantity, serializer: S) -> Result<S::Ok, S::Error> {
    match value.text() {
        Some(text) => serializer.serialize_str(&text),
        None => serializer.serialize_none(),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, Q: Quantity>(deserializer: D) -> Result<Q, D::Error> {
    Q::of_text(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

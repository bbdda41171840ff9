//! Quantities of a world file: signed sizes and times, and serde of each quantity as text.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use ramp_format::time::parse_time;
use serde::{Deserialize, Deserializer, Serializer, de};
use workload::quantity::{Bytes, CpuTarget, Rate};

/// A number of bytes that may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignedBytes(pub i64);

impl FromStr for SignedBytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, negative) = match text.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let bytes: Bytes = digits.parse().map_err(|error| format!("{error}"))?;
        let bytes = i64::try_from(bytes.0).map_err(|_| format!("{text:?} is too large"))?;
        Ok(Self(if negative { -bytes } else { bytes }))
    }
}

impl fmt::Display for SignedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        Bytes(self.0.unsigned_abs()).fmt(f)
    }
}

/// The offset of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedTime {
    /// It is ahead of the time by this.
    Ahead(Duration),
    /// It is behind the time by this.
    Behind(Duration),
}

impl SignedTime {
    /// What a clock with this offset shows.
    pub(super) fn after(self, time: SystemTime) -> SystemTime {
        match self {
            Self::Ahead(by) => time.checked_add(by),
            Self::Behind(by) => time.checked_sub(by),
        }
        .unwrap_or(time)
    }
}

impl FromStr for SignedTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('-') {
            Some(rest) => parse_time(rest).map(Self::Behind),
            None => parse_time(text).map(Self::Ahead),
        }
    }
}

impl fmt::Display for SignedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ahead(by) => humantime::format_duration(*by).fmt(f),
            Self::Behind(by) => write!(f, "-{}", humantime::format_duration(*by)),
        }
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

quantity!(Bytes, CpuTarget, Rate, SignedBytes, SignedTime);

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

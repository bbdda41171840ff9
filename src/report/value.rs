//! Field values, and their form in JSON.

use std::time::{Duration, SystemTime};

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::host::Limit;
use crate::quantity::{Bytes, Cores};

/// A value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Unknown or not applicable.
    Missing,
    /// There is no limit.
    Unlimited,
    /// A whole number.
    Whole(u64),
    /// A number, and its most decimals.
    Decimal(f64, i32),
    /// Words.
    Text(&'a str),
    /// A point in time.
    Time(SystemTime),
    /// Settings by name.
    Settings(&'a [(&'static str, String)]),
}

impl Value<'_> {
    /// The number rounded to its decimals.
    pub(super) fn rounded(number: f64, decimals: i32) -> f64 {
        let scale = 10_f64.powi(decimals);
        (number * scale).round() / scale
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<Bytes> for Value<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes.0)
    }
}

impl From<Duration> for Value<'_> {
    fn from(duration: Duration) -> Self {
        Self::Decimal(duration.as_secs_f64(), 6)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}

impl<'a, T: Into<Value<'a>>> From<Limit<T>> for Value<'a> {
    fn from(limit: Limit<T>) -> Self {
        match limit {
            Limit::Unknown => Self::Missing,
            Limit::Unlimited => Self::Unlimited,
            Limit::Value(value) => value.into(),
        }
    }
}

impl From<Cores> for Value<'_> {
    fn from(cores: Cores) -> Self {
        Self::Decimal(cores.as_f64(), 9)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Missing => serializer.serialize_none(),
            Self::Unlimited => serializer.serialize_str("unlimited"),
            Self::Whole(number) => serializer.serialize_u64(number),
            Self::Decimal(number, decimals) => serializer.serialize_f64(Self::rounded(number, decimals)),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Time(time) => serializer.collect_str(&humantime::format_rfc3339_millis(time)),
            Self::Settings(settings) => {
                let mut map = serializer.serialize_map(Some(settings.len()))?;
                for (name, value) in settings {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

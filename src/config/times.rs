//! Intervals on the command line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A time of at least a millisecond, as humantime writes it: `1s`, `500ms`, `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Duration);

/// Below this, reading the clock takes all of the time.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);
/// A hundred years: nobody means more, and clocks in nanoseconds hold it.
const LONGEST_INTERVAL: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str = "(allowed: a time such as 500ms, 10s or 1h 30m, at least 1ms)";
        match humantime::parse_duration(text.trim()) {
            Ok(Duration::ZERO) => Err(format!("zero is not allowed {ALLOWED}")),
            Ok(time) if time < SHORTEST_INTERVAL => Err(format!("{text:?} is too short {ALLOWED}")),
            Ok(time) if time > LONGEST_INTERVAL => Err(format!("{text:?} is too long {ALLOWED}")),
            Ok(time) => Ok(Self(time)),
            Err(error) => Err(format!("{error} {ALLOWED}")),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without its blanks, so that it stays one word.
        for part in humantime::format_duration(self.0).to_string().split(' ') {
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// How often pages are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TouchEvery {
    /// At least this often.
    Time(Interval),
    /// Never again once they are filled.
    Never,
}

impl TouchEvery {
    /// The time, if there is one.
    #[must_use]
    pub fn time(self) -> Option<Duration> {
        match self {
            Self::Time(Interval(time)) => Some(time),
            Self::Never => None,
        }
    }
}

const NEVER: &str = "never";
/// Pages are looked after at most once in a millisecond.
const SHORTEST_TOUCH: Duration = Duration::from_millis(10);

impl FromStr for TouchEvery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            NEVER => Ok(Self::Never),
            text => match text.parse()? {
                Interval(time) if time < SHORTEST_TOUCH => {
                    Err(format!("{text:?} is too short (allowed: a time of at least 10ms, or {NEVER})"))
                }
                time => Ok(Self::Time(time)),
            },
        }
    }
}

impl fmt::Display for TouchEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => time.fmt(f),
            Self::Never => f.write_str(NEVER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_make_no_sense_are_refused() {
        for text in ["0s", "1us", "5", "-1s", "200years", "", "soon"] {
            let refusal = text.parse::<Interval>().unwrap_err();
            assert!(refusal.contains("allowed: a time such as"), "{text}: {refusal}");
        }
    }
}

//! Exact measurement of the resident set (RSS), and when it is due.

use std::time::Duration;

use tracing::warn;

use crate::clock::monotonic_ns;
use crate::host::{Correction, Process};

/// How far the resident set may drift before it is measured again.
const DRIFT: u64 = 8 << 10;
/// An exact measurement may take this part of the time at most, as it costs 5 ms per 500 MB.
const MEASURE_EVERY: u32 = 200;
const MEASURE_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
const MEASURE_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Measures the resident set; remembers the last exact measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RssMeter {
    last: Option<Measurement>,
}

/// An exact measurement.
#[derive(Clone, Copy, Debug)]
struct Measurement {
    /// What the cheap count was at the same time.
    cheap: u64,
    at_ns: u64,
    took: Duration,
}

impl RssMeter {
    /// The exact resident set in bytes, swapped pages included, and the correction of the cheap count.
    pub(super) fn measure(&mut self, process: &Process) -> Option<(u64, Correction)> {
        let begin_ns = monotonic_ns();
        let exact = process.resident_exactly()?;
        let at_ns = monotonic_ns();
        let cheap = process.resident().unwrap_or(exact);
        let correction = Correction::between(exact, cheap);
        let (exact, cheap) = (exact.held().0, cheap.held().0);
        if exact.abs_diff(cheap) > (1 << 20).max(exact / 200) && self.last.is_none() {
            warn!(
                smaps_rollup_bytes = exact,
                status_bytes = cheap,
                "the kernel's two counts of the resident set disagree; reports use the exact one"
            );
        }
        self.last = Some(Measurement { cheap, at_ns, took: Duration::from_nanos(at_ns - begin_ns) });
        Some((exact, correction))
    }

    /// Whether an exact measurement is due: the cheap count has moved, or the last one is long ago; never so often that
    /// measuring becomes the load.
    pub(super) fn has_drifted(&self, process: &Process, now_ns: u64) -> bool {
        let Some(measured) = self.last else { return true };
        let since = Duration::from_nanos(now_ns.saturating_sub(measured.at_ns));
        let affordable = (measured.took * MEASURE_EVERY).max(MEASURE_AT_MOST_EVERY);
        if since < affordable {
            return false;
        }
        let now = process.resident();
        since > affordable.max(MEASURE_AT_LEAST_EVERY)
            || now.is_some_and(|set| set.held().0.abs_diff(measured.cheap) >= DRIFT)
    }
}

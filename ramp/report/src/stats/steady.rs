//! Steadiness: whether values have stopped changing.

/// Window in which it must not change, in seconds.
pub const STEADY_FOR_SECONDS: f64 = 3.0;
/// A kernel's own programs move by so much without anybody asking.
const STEADY_WITHIN: f64 = 1_048_576.0;

/// How far values went within any [`STEADY_FOR_SECONDS`]: the largest difference. Pairs of seconds and values, in the order of time.
fn widest(values: &[(f64, f64)]) -> f64 {
    let of = |at: usize| {
        let (since, _) = values[at];
        let later = &values[at..];
        range(&later[..later.partition_point(|(seconds, _)| seconds - since <= STEADY_FOR_SECONDS)])
    };
    (0..values.len()).map(of).fold(0.0, f64::max)
}

/// The largest difference between any two values; 0 where there are none.
#[must_use]
pub fn range(values: &[(f64, f64)]) -> f64 {
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, value)| {
        (low.min(*value), high.max(*value))
    });
    (high - low).max(0.0)
}

/// Whether values have stopped changing: within the last [`STEADY_FOR_SECONDS`] they went no farther than they had in `quiet`
/// times, or than a kernel's own programs move them. None where there are too few to tell.
#[must_use]
pub fn is_steady(values: &[(f64, f64)], quiet: &[(f64, f64)]) -> Option<bool> {
    const FEWEST: usize = 3;
    let (end, _) = *values.last()?;
    let (begin, _) = *values.first()?;
    let last = last(values, STEADY_FOR_SECONDS);
    // A sample may come a moment early.
    if end - begin < 0.8 * STEADY_FOR_SECONDS || last.len() < FEWEST {
        return None;
    }
    Some(range(last) <= widest(quiet).max(STEADY_WITHIN))
}

/// Memory that has not come back is too little to matter below this, in bytes, whatever the machine does.
pub const LITTLE_BYTES: f64 = 8.0 * 1_048_576.0;

/// What is too little to matter of memory that has not come back, in bytes: [`LITTLE_BYTES`], and several times what an idle machine does
/// by itself within a few seconds (one that gives back slowly looks steady beside that).
#[must_use]
pub fn matters(quiet: &[(f64, f64)]) -> f64 {
    const TIMES: f64 = 5.0;
    (TIMES * widest(quiet)).max(LITTLE_BYTES)
}

/// The mean of values.
#[must_use]
pub fn mean(values: &[(f64, f64)]) -> f64 {
    values.iter().map(|(_, value)| value).sum::<f64>() / values.len().max(1) as f64
}

/// Values of the last `seconds`.
#[must_use]
pub fn last(values: &[(f64, f64)], seconds: f64) -> &[(f64, f64)] {
    let end = values.last().map_or(0.0, |(at, _)| *at);
    &values[values.partition_point(|(at, _)| end - at > seconds)..]
}

/// Whether values are steady: within the window they stayed within the tolerance.
#[must_use]
pub fn is_steady_for(values: &[(f64, f64)], seconds: f64, quiet: &[(f64, f64)]) -> bool {
    let long = last(values, seconds);
    let (Some((begin, _)), Some((end, _))) = (long.first(), long.last()) else { return false };
    // A sample may come a moment early.
    end - begin >= 0.8 * seconds && range(long) <= matters(quiet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_still_falls_is_not_steady_and_what_moves_no_more_than_before_is() {
        const MIB: f64 = 1_048_576.0;
        let falls: Vec<(f64, f64)> =
            (0..8).map(|at| (f64::from(at), 100.0 * MIB * (-f64::from(at) / 4.0).exp())).collect();
        assert_eq!(is_steady(&falls, &[]), Some(false));
        let waver =
            |by: f64| (0..8).map(|at| (f64::from(at), f64::from(at % 2) * by * MIB)).collect::<Vec<_>>();
        assert_eq!(is_steady(&waver(0.9), &[]), Some(true));
        assert_eq!(is_steady(&waver(30.0), &waver(1.0)), Some(false));
        assert_eq!(is_steady(&waver(30.0), &waver(40.0)), Some(true));
        assert_eq!(is_steady(&falls[..2], &[]), None, "two seconds are too few");
    }
}

//! The slowest starts, and how long starts took.

use crate::analysis::latency::Startup;
use crate::report::format;
use crate::stats::Survival;

/// Instances that are listed.
const MOST: usize = 10;
/// Shares of the instances whose times are told.
const SHARES: [(&str, f64); 3] = [("50%", 0.5), ("90%", 0.9), ("99%", 0.99)];

/// The start of an instance, as a page has it.
#[derive(Clone, Debug)]
pub(crate) struct SlowStart {
    /// What it is called.
    pub name: String,
    /// Its run or runtime.
    pub of: String,
    /// Index of the colour of that.
    pub colour: usize,
    /// Its node.
    pub node: String,
    /// How long it took, or was watched without getting there.
    pub took: String,
    /// Instances that ran when it was made.
    pub at_work: u32,
    seconds: f64,
}

impl SlowStart {
    pub(crate) fn hex(&self) -> &'static str {
        let palette = crate::report::chart::PALETTE;
        palette.get(self.colour % palette.len()).copied().unwrap_or("#7f7f7f")
    }
}

/// The slowest of all, the slowest first. Each comes with the run that it is of, and the index of the colour of that.
pub(crate) fn slowest<'s>(startups: impl Iterator<Item = (String, usize, &'s Startup)>) -> Vec<SlowStart> {
    let start = |(of, colour, startup): (String, usize, &Startup)| SlowStart {
        name: startup.name.clone(),
        of,
        colour,
        node: startup.node.clone(),
        took: match startup.took.ended {
            true => format::seconds(startup.took.seconds),
            false => format!("> {} (not ready when last seen)", format::seconds(startup.took.seconds)),
        },
        at_work: startup.at_work,
        seconds: startup.took.seconds,
    };
    let mut all: Vec<SlowStart> = startups.map(start).collect();
    all.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    all.truncate(MOST);
    all
}

/// Within which time how many of the instances are ready: a share, and its time.
pub(super) fn quantiles(startups: &[Startup]) -> Vec<(&'static str, String)> {
    let took: Vec<_> = startups.iter().map(|startup| startup.took).collect();
    let Some(survival) = Survival::of(&took) else { return Vec::new() };
    SHARES.iter().map(|(name, share)| (*name, format::quantile(survival.quantile(*share)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Duration;

    #[test]
    fn the_slowest_come_first_and_those_that_were_not_ready_are_said_to_take_longer() {
        let startup = |seconds: f64, ended| Startup {
            made_seconds: 0.0,
            at_work: 1,
            took: Duration { seconds, ended },
            group: None,
            name: format!("pod-{seconds}"),
            node: "node-0".into(),
        };
        let all: Vec<Startup> = (1..=20).map(|at| startup(f64::from(at), at % 2 == 0)).collect();
        let found = slowest(all.iter().map(|startup| ("runc".to_owned(), 0, startup)));
        assert_eq!(found.len(), MOST);
        assert_eq!((found[0].name.as_str(), found[0].took.as_str()), ("pod-20", "20.0 s"));
        assert_eq!(found[1].took, "> 19.0 s (not ready when last seen)");
        assert_eq!(quantiles(&[startup(2.0, true), startup(4.0, true)])[0], ("50%", "2.00 s".to_owned()));
    }
}

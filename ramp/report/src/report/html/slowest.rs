//! The starts of all instances: the slowest of them, and how long they took.

use serde_json::{Value, json};

use super::data::short;
use crate::analysis::latency::Startup;
use crate::report::format;
use crate::stats::Survival;

/// Instances that are listed.
const MOST: usize = 10;
/// Instances that the page's script knows: with more of them a page would be larger than 2 MB.
const MOST_KNOWN: usize = 10_000;
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
}

impl SlowStart {
    pub(crate) fn hex(&self) -> &'static str {
        let palette = crate::report::chart::PALETTE;
        palette.get(self.colour % palette.len()).copied().unwrap_or("#7f7f7f")
    }
}

/// The starts of a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartList {
    /// The slowest, the slowest first.
    pub slowest: Vec<SlowStart>,
    /// How many there are in all.
    pub count: usize,
    /// All of them, the slowest first, for the page's script: `of` and `node` of a row are indices.
    pub all: Value,
}

impl StartList {
    /// How many the page has behind the slowest ones; none where those are all.
    pub(crate) fn behind(&self) -> Option<String> {
        let known = self.count.min(MOST_KNOWN);
        match self.count > self.slowest.len() {
            true if known < self.count => Some(format!("the slowest {known} of {} starts", self.count)),
            true => Some(format!("all {known} starts")),
            false => None,
        }
    }
}

/// The starts of instances. Each comes with the run that it is of, and the index of the colour of that.
pub(crate) fn starts<'s>(startups: impl Iterator<Item = (String, usize, &'s Startup)>) -> StartList {
    let mut all: Vec<(String, usize, &Startup)> = startups.collect();
    all.sort_by(|(.., a), (.., b)| b.took.seconds.total_cmp(&a.took.seconds));
    let slow = |(of, colour, startup): &(String, usize, &Startup)| SlowStart {
        name: startup.name.clone(),
        of: of.clone(),
        colour: *colour,
        node: startup.node.clone(),
        took: match startup.took.ended {
            true => format::seconds(startup.took.seconds),
            false => format!("> {} (not ready when last seen)", format::seconds(startup.took.seconds)),
        },
        at_work: startup.at_work,
    };
    let (mut of, mut nodes) = (Vec::new(), Vec::new());
    let row = |(label, _, startup): &(String, usize, &'s Startup)| {
        let took = short(startup.took.seconds);
        let places = (place_of(label, &mut of), place_of(&startup.node, &mut nodes));
        json!([startup.name, places.0, took, u8::from(startup.took.ended), startup.at_work, places.1])
    };
    let rows: Vec<Value> = all.iter().take(MOST_KNOWN).map(row).collect();
    StartList {
        slowest: all.iter().take(MOST).map(slow).collect(),
        count: all.len(),
        all: json!({"of": of, "nodes": nodes, "rows": rows}),
    }
}

/// The index of a name, which is added where it is not there.
fn place_of(name: &str, names: &mut Vec<String>) -> usize {
    names.iter().position(|other| other == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
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
        let list = starts(all.iter().map(|startup| ("runc".to_owned(), 0, startup)));
        assert_eq!((list.count, list.behind().as_deref()), (20, Some("all 20 starts")));
        assert_eq!(list.all["rows"][1], json!(["pod-19", 0, 19, 0, 1, 0]));
        let found = list.slowest;
        assert_eq!(found.len(), MOST);
        assert_eq!((found[0].name.as_str(), found[0].took.as_str()), ("pod-20", "20.0 s"));
        assert_eq!(found[1].took, "> 19.0 s (not ready when last seen)");
        assert_eq!(quantiles(&[startup(2.0, true), startup(4.0, true)])[0], ("50%", "2.00 s".to_owned()));
    }
}

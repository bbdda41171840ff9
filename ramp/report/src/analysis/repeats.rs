//! Groups of repeated runs, and which of them are compared.

use crate::dataset::Dataset;
use ramp_format::plan::EngineKind;
use ramp_format::run_file::RunFile;
use ramp_format::scenario::Scenario;

/// Runs that are repeats of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatGroup {
    /// What it is called: of the one run its name, of more what they have in common.
    pub name: String,
    /// Under which runtime; empty where that is not known.
    pub runtime: String,
    /// Of which scenario; empty where that is not known.
    pub scenario: String,
    /// What each instance was to do. Only groups of the same load are held against each other.
    pub load: String,
    /// What the load was told to do, where the run has it.
    told: Option<String>,
    /// Whether they are mixed runs, which are held against no other: each has its comparison within itself.
    is_mixed: bool,
    /// Indices of its runs.
    pub runs: Vec<usize>,
}

/// Runtimes that a file of the study can be named for.
const RUNTIMES: [&str; 6] = ["runc", "crun", "youki", "kata", "gvisor", "runsc"];
/// Runtimes without a machine or a kernel of their own, the likeliest base first.
const BASES: [&str; 5] = ["runc", "crun", "youki", "default", "processes"];

/// The groups, in the order of their first runs.
#[must_use]
pub fn groups(runs: &[Dataset]) -> Vec<RepeatGroup> {
    let mut groups: Vec<RepeatGroup> = Vec::new();
    for (index, data) in runs.iter().enumerate() {
        let Identity { runtime, scenario, load, told } = identity(data);
        let same = |group: &&mut RepeatGroup| (&group.runtime, &group.load) == (&runtime, &load);
        match groups.iter_mut().find(same) {
            // Two files that tell nothing of themselves are two things.
            Some(group) if !runtime.is_empty() => group.runs.push(index),
            _ => groups.push(RepeatGroup {
                name: data.name.clone(),
                runtime,
                scenario,
                load,
                told,
                is_mixed: !data.mix().is_empty(),
                runs: vec![index],
            }),
        }
    }
    for group in groups.iter_mut().filter(|group| group.runs.len() > 1) {
        let mut words = vec![group.scenario.as_str(), group.runtime.as_str()];
        words.retain(|word| !word.is_empty());
        group.name = format!("{} ({} runs)", words.join(" under "), group.runs.len());
    }
    groups
}

/// Pairs of groups to hold against each other, by index: what is the base, and what is held against it. Each group of a scenario
/// against the one under runc, or else the first; where that gives none, and there are two groups, these.
#[must_use]
pub fn pairs(groups: &[RepeatGroup]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        if group.is_mixed {
            continue;
        }
        let comparable = |other: &RepeatGroup| other.load == group.load && !other.is_mixed;
        let of_scenario: Vec<usize> =
            (0..groups.len()).filter(|other| groups.get(*other).is_some_and(comparable)).collect();
        let base = base_of(groups, &of_scenario);
        pairs.extend(base.filter(|base| *base != index).map(|base| (base, index)));
    }
    // Whatever they are called: who names two wants to know.
    if pairs.is_empty()
        && groups.len() == 2
        && groups.iter().all(|group| !group.is_mixed)
        && different_loads(groups).is_none()
    {
        pairs.extend(base_of(groups, &[0, 1]).map(|base| (base, 1 - base)));
    }
    pairs
}

/// Why two groups are not compared: what their loads were told to do differs, so that a difference is not one of the runtimes.
#[must_use]
pub fn different_loads(groups: &[RepeatGroup]) -> Option<String> {
    let [a, b] = groups else { return None };
    let (told_a, told_b) = (a.told.as_ref()?, b.told.as_ref()?);
    (told_a != told_b)
        .then(|| format!("not compared: {} is of the load {told_a}, {} of {told_b}", a.name, b.name))
}

fn base_of(groups: &[RepeatGroup], among: &[usize]) -> Option<usize> {
    let rank = |index: &usize| {
        let runtime = groups.get(*index).map_or("", |group| group.runtime.as_str());
        BASES.iter().position(|name| *name == runtime).unwrap_or(BASES.len())
    };
    among.iter().min_by_key(|index| rank(index)).copied()
}

/// What a run is of.
struct Identity {
    runtime: String,
    scenario: String,
    load: String,
    told: Option<String>,
}

/// The runtime of a run; of a mixed one all of them.
pub(crate) fn runtime_of(run: &RunFile) -> String {
    let mix = &run.plan.options.mix;
    match run.plan.engine {
        _ if !mix.is_empty() => mix.join(" and "),
        EngineKind::Local => "processes".to_owned(),
        EngineKind::Simulated => run
            .plan
            .options
            .world
            .as_ref()
            .and_then(|world| world.pointer("/runtime/name")?.as_str())
            .unwrap_or("simulated")
            .to_owned(),
        EngineKind::Podman => run.plan.options.runtime.clone().unwrap_or_else(|| "default".into()),
        // What a cluster runs pods by that name no RuntimeClass.
        EngineKind::Kubernetes => {
            run.runtime_class.as_ref().map_or_else(|| "runc".into(), |class| class.name.clone())
        }
    }
}

fn identity(data: &Dataset) -> Identity {
    let Some(recorded) = data.recorded() else { return of_a_name(&data.name) };
    let run = &recorded.run;
    let runtime = runtime_of(run);
    // What each instance was to take: with other arguments it is another load.
    let load = format!("{} {}", run.scenario, told(&run.manifest));
    Identity { runtime, scenario: run.scenario.clone(), load, told: Some(arguments(&run.manifest)) }
}

/// Arguments and environment of the load, by which it is told what to take.
fn told(manifest: &serde_json::Value) -> String {
    let container = container_of_load(manifest);
    format!("{} {} {}", container["command"], container["args"], container["env"])
}

/// The container that is the load; of what is no scenario the first one.
fn container_of_load(manifest: &serde_json::Value) -> serde_json::Value {
    let first = &manifest["spec"]["template"]["spec"]["containers"][0];
    Scenario::of(manifest.clone())
        .map_or_else(|_| first.clone(), |scenario| scenario.container_spec().clone())
}

/// Options of the load that say how it reports and how it gets there, not what it takes in the end.
const BESIDE: [&str; 7] =
    ["--report-every", "--format", "--log", "--listen", "--duration", "--growth-rate", "--growth-step"];

/// The arguments of the load by which it takes what it takes, or its command, as they are typed.
pub(crate) fn arguments(manifest: &serde_json::Value) -> String {
    let container = container_of_load(manifest);
    let words = ["command", "args"].map(|key| container[key].as_array().cloned().unwrap_or_default());
    let words = words.concat();
    let mut told: Vec<String> = Vec::new();
    // Whether the word is the value of an option that does not count.
    let mut is_beside = false;
    for word in words.iter().filter_map(serde_json::Value::as_str) {
        let is_option = word.starts_with("--");
        is_beside = match is_option {
            true => BESIDE.contains(&word.split('=').next().unwrap_or(word)),
            false => is_beside,
        };
        match told.last_mut() {
            _ if is_beside => {}
            // As `--memory=5M` is written, too.
            Some(option) if !is_option && option.starts_with("--") && !option.contains('=') => {
                *option += &format!("={word}");
            }
            _ => told.push(word.to_owned()),
        }
    }
    told.sort();
    told.join(" ")
}

/// What a file of the study is named for: `unlimited-kata`, `kata-2021-06-03`, `data-500M-runc`.
fn of_a_name(name: &str) -> Identity {
    // Whatever directories tell two of one name apart.
    let name = name.rsplit('/').next().unwrap_or(name);
    let words: Vec<String> = name
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let runtime = words.iter().find(|word| RUNTIMES.contains(&word.as_str())).cloned().unwrap_or_default();
    let of_load = |word: &&String| {
        **word != runtime && *word != "data" && !word.chars().all(|letter| letter.is_ascii_digit())
    };
    let load = words.iter().filter(of_load).cloned().collect::<Vec<_>>().join("-");
    Identity { runtime, scenario: load.clone(), load, told: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{data, steps};

    fn named(names: &[&str]) -> Vec<Dataset> {
        let named = |name: &&str| Dataset { name: (*name).to_owned(), ..data(steps(1, |_, _| {})) };
        names.iter().map(named).collect()
    }

    fn compared(names: &[&str]) -> Vec<(String, String)> {
        let groups = groups(&named(names));
        let name = |at: usize| groups[at].name.clone();
        pairs(&groups).into_iter().map(|(base, other)| (name(base), name(other))).collect()
    }

    #[test]
    fn runc_is_what_others_of_the_same_load_are_held_against() {
        let found = compared(&["kata", "limited-kata", "runc", "cpu-runc-50pct", "limited-runc"]);
        assert_eq!(found, [("runc".into(), "kata".into()), ("limited-runc".into(), "limited-kata".into())]);
    }

    #[test]
    fn two_runs_are_held_against_each_other_whatever_they_are_called() {
        assert_eq!(compared(&["before", "after"]), [("before".into(), "after".into())]);
        assert_eq!(compared(&["kata-big", "runc-small"]), [("runc-small".into(), "kata-big".into())]);
        assert_eq!(compared(&["one", "two", "three"]), []);
    }

    #[test]
    fn runs_of_different_loads_are_not_compared_and_those_that_only_report_otherwise_are() {
        let manifest = |args: &[&str]| serde_json::json!({"spec": {"template": {"spec": {"containers": [{"args": args}]}}}});
        let told = |args: &[&str]| arguments(&manifest(args));
        assert_eq!(told(&["--memory", "5M", "--log=warn", "--cpu=1"]), "--cpu=1 --memory=5M");
        assert_eq!(told(&["--cpu=1", "--report-every", "5s", "--memory=5M"]), "--cpu=1 --memory=5M");
        let mut groups = groups(&named(&["a", "b"]));
        assert_eq!(pairs(&groups), [(0, 1)], "of CSV files nobody knows");
        (groups[0].told, groups[1].told) = (Some(told(&["--memory=5M"])), Some(told(&["--memory=6M"])));
        assert_eq!(pairs(&groups), []);
        assert_eq!(
            different_loads(&groups).as_deref(),
            Some("not compared: a is of the load --memory=5M, b of --memory=6M")
        );
        groups[1].told = groups[0].told.clone();
        assert_eq!((pairs(&groups), different_loads(&groups)), (vec![(0, 1)], None));
    }

    #[test]
    fn repeats_are_pooled() {
        let runs = named(&["runc-1", "kata-2", "kata-3", "runc-4"]);
        let found: Vec<_> = groups(&runs).into_iter().map(|group| (group.name, group.runs)).collect();
        assert_eq!(
            found,
            [("runc (2 runs)".to_owned(), vec![0, 3]), ("kata (2 runs)".to_owned(), vec![1, 2])]
        );
    }
}

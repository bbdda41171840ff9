//! The Grafana dashboard: its queries ask for metrics that there are, and its panels fit together.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use workload::report::{Kind, NodeReport, Unit, WorkloadReport};

use crate::kustomization;
use crate::manifest::deploy;

fn dashboard() -> Value {
    let text = std::fs::read_to_string(deploy().join("dashboards/workload.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("{key} of {value} is a list"))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("{value} has no {key}"))
}

/// Panels with data.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "panels").iter().filter(|panel| panel["type"] != "row")
}

/// Names of samples, and whether they are counters.
fn exposed() -> BTreeMap<String, bool> {
    fn of<K: Kind>(prefix: &str) -> impl Iterator<Item = (String, bool)> {
        let numbers = K::FIELDS.iter().filter(|field| !matches!(field.unit, Unit::None | Unit::Time));
        numbers.map(move |field| (format!("{prefix}_{}", field.name), field.name.ends_with("_total")))
    }
    of::<WorkloadReport>("workload").chain(of::<NodeReport>("workload_node")).collect()
}

/// Labels of a scrape by deploy/examples/pod-monitor.yaml, which ramp export has as far as they are of a run.
const LABELS: [&str; 4] = ["namespace", "node", "pod", "runtime"];
/// Words before a list of labels.
const LISTS: [&str; 4] = ["by", "without", "on", "ignoring"];
const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// A word of a query, with what follows it.
#[derive(Debug)]
struct Word<'q> {
    word: &'q str,
    rest: &'q str,
    /// The bracket that it is in, and the word before that.
    within: Option<(char, &'q str)>,
}

/// Words of a query outside of texts.
fn words(query: &str) -> Vec<Word<'_>> {
    let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || "_:$.".contains(letter);
    let (mut words, mut within, mut rest, mut before) = (Vec::new(), Vec::new(), query, "");
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '"' => rest[1..].find('"').expect("a text ends") + 2,
            _ if is_of_word(letter) => rest.find(|letter| !is_of_word(letter)).unwrap_or(rest.len()),
            _ => letter.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        match letter {
            '{' | '(' | '[' => within.push((letter, before)),
            '}' | ')' | ']' => drop(within.pop().expect("brackets match")),
            _ if is_of_word(letter) => {
                words.push(Word { word, rest: after.trim_start(), within: within.last().copied() });
            }
            _ => {}
        }
        if letter != ' ' {
            before = word;
        }
        rest = after;
    }
    assert!(within.is_empty(), "{query}: brackets match");
    words
}

/// Whether a word is a function or an aggregation, by what follows it.
fn is_function(rest: &str) -> bool {
    rest.starts_with('(')
        || LISTS.iter().any(|list| rest.strip_prefix(list).is_some_and(|rest| rest.starts_with([' ', '('])))
}

/// What is wrong with a query.
fn problems(query: &str, exposed: &BTreeMap<String, bool>) -> Vec<String> {
    let mut problems = Vec::new();
    for Word { word, rest, within } in words(query) {
        let is_name = word.starts_with(|letter: char| letter.is_ascii_alphabetic());
        match within {
            Some(('[', _)) => {}
            Some((bracket, before)) if bracket == '{' || LISTS.contains(&before) => {
                if !LABELS.contains(&word) {
                    problems.push(format!("{word} is no label of a scrape"));
                }
            }
            _ if !is_name || is_function(rest) || LISTS.contains(&word) || OPERATORS.contains(&word) => {}
            _ => {
                let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
                let has_range = matchers.map_or(rest, |(_, rest)| rest).starts_with('[');
                match exposed.get(word) {
                    None => problems.push(format!("no program exposes {word}")),
                    Some(true) if !has_range => {
                        problems.push(format!("{word} is a counter, and has no rate"));
                    }
                    Some(false) if has_range => {
                        problems.push(format!("{word} is no counter, and has a rate"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    problems
}

#[test]
fn each_query_asks_for_metrics_and_labels_that_there_are_and_rates_are_of_counters() {
    let (dashboard, exposed) = (dashboard(), exposed());
    let mut metrics = BTreeSet::new();
    for panel in panels(&dashboard) {
        let targets = list(panel, "targets");
        let ids: BTreeSet<&str> = targets.iter().map(|target| text(target, "refId")).collect();
        assert_eq!(ids.len(), targets.len(), "{panel}");
        for query in targets.iter().map(|target| text(target, "expr")) {
            let problems = problems(query, &exposed);
            assert!(problems.is_empty(), "{}: {query}: {problems:?}", text(panel, "title"));
            metrics.extend(
                words(query).into_iter().map(|word| word.word).filter(|word| exposed.contains_key(*word)),
            );
        }
    }
    assert!(metrics.len() > 40, "{metrics:?}");
    for variable in
        list(&dashboard["templating"], "list").iter().filter(|variable| variable["type"] == "query")
    {
        let query = text(&variable["query"], "query");
        let (metric, label) = query.strip_prefix("label_values(").unwrap().split_once(", ").unwrap();
        assert!(exposed.contains_key(metric) && LABELS.contains(&label.trim_end_matches(')')), "{query}");
    }
}

#[test]
fn a_query_for_what_there_is_not_is_found() {
    let cases = [
        ("sum(workload_memory_bytes)", "no program exposes workload_memory_bytes"),
        ("rate(workload_memory_resident_bytes{pod=\"a\"}[5m])", "is no counter, and has a rate"),
        ("sum by (node) (workload_node_oom_kills_total)", "is a counter, and has no rate"),
        ("workload_ready{colour=\"red\"}", "colour is no label"),
        ("sum by (colour, pod) (workload_ready)", "colour is no label"),
        ("workload_phase", "no program exposes workload_phase"),
    ];
    for (query, expected) in cases {
        let problems = problems(query, &exposed());
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{query}: {problems:?}");
    }
    let fine = "topk(10, rate(workload_cpu_used_seconds_total{pod=~\"$pod\"}[$__rate_interval])) * 60";
    assert_eq!(problems(fine, &exposed()), Vec::<String>::new());
}

#[test]
fn panels_are_titled_described_and_measured_and_do_not_overlap() {
    let dashboard = dashboard();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in list(&dashboard, "panels") {
        assert!(
            ids.insert(panel["id"].as_u64().expect("a number")),
            "{} has the id of another",
            panel["title"]
        );
        text(panel, "title");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().expect("a number"));
        assert!(w > 0 && h > 0 && x + w <= 24, "{}", panel["title"]);
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{} overlaps another at {place:?}", panel["title"]);
        }
    }
    for panel in panels(&dashboard) {
        assert!(text(panel, "description").ends_with('.'), "{}", panel["title"]);
        text(&panel["fieldConfig"]["defaults"], "unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
    }
    let source =
        list(&dashboard["templating"], "list").iter().find(|variable| variable["name"] == "datasource");
    assert_eq!(source.expect("a variable")["query"], "prometheus");
}

#[test]
fn the_config_map_has_the_dashboard_and_the_label_that_grafana_looks_for() {
    let kustomization = kustomization("dashboards");
    assert_eq!(kustomization["configMapGenerator"][0]["files"][0], "workload.json");
    assert_eq!(kustomization["generatorOptions"]["labels"]["grafana_dashboard"], "1");
}

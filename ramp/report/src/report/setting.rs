//! What was run where, in a few words: the load, the engine and the nodes.

use std::collections::BTreeSet;

use ramp_format::run_file::RunFile;
use ramp_format::text::count;

/// Different ones that are named.
const MOST: usize = 4;

/// Of the arguments of a load those that say how large it is.
fn size(arguments: &[&str]) -> String {
    let is_size = |argument: &str| ["--memory", "--cpu"].contains(&argument.split('=').next().unwrap_or(""));
    let follows = |at: usize| {
        at > 0 && arguments.get(at - 1).is_some_and(|before| is_size(before) && !before.contains('='))
    };
    let kept = arguments.iter().enumerate().filter(|(at, argument)| is_size(argument) || follows(*at));
    kept.map(|(_, argument)| *argument).collect::<Vec<_>>().join(" ")
}

/// The size of the load, the engine, and the nodes with their kernels and container runtimes, of all runs together.
pub(crate) fn setting<'r>(runs: impl IntoIterator<Item = &'r RunFile>) -> Vec<String> {
    let [mut loads, mut engines, mut nodes, mut software] = [const { BTreeSet::new() }; 4];
    for run in runs {
        let arguments = run.manifest.pointer("/spec/template/spec/containers/0/args");
        let arguments = arguments.and_then(|arguments| arguments.as_array()).into_iter().flatten();
        loads.insert(size(&arguments.filter_map(|argument| argument.as_str()).collect::<Vec<_>>()));
        engines.insert(run.plan.engine.name().to_owned());
        for node in run.nodes.iter().filter(|node| node.not_eligible_because.is_none()) {
            nodes.insert(node.name.clone());
            software.extend(node.kernel.iter().map(|kernel| format!("kernel {kernel}")));
            software.extend(node.container_runtime.clone());
        }
    }
    loads.remove("");
    let listed = |of: BTreeSet<String>| {
        let more = of.len().saturating_sub(MOST);
        let mut all: Vec<String> = of.into_iter().take(MOST).collect();
        all.extend((more > 0).then(|| format!("{more} more")));
        all.join(", ")
    };
    let named = |what: &str, of: BTreeSet<String>| (!of.is_empty()).then(|| format!("{what} {}", listed(of)));
    let number = count(nodes.len() as u64, "node");
    let software = listed(software);
    let on = if software.is_empty() { String::new() } else { format!(" ({software})") };
    let nodes = (!nodes.is_empty()).then(|| format!("{number}{on}"));
    [named("load", loads), named("engine", engines), nodes].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_arguments_the_size_of_the_load_is_told_however_they_are_written() {
        assert_eq!(
            size(&["--memory=32M", "--fill=random", "--cpu", "0.05", "--log=warn"]),
            "--memory=32M --cpu 0.05"
        );
        assert_eq!(size(&["--log=warn"]), "");
    }
}

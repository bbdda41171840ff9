//! RuntimeClass manifests with the overhead that was measured, ready to apply.

use serde_json::Value;

use super::words::{mib_with_interval, whole_mib};
use crate::study::pod_fixed::{PodFixed, SizeVerdict};

/// The name of the file and its text, of each class whose podFixed is known.
#[must_use]
pub fn manifests(all: &[&PodFixed]) -> Vec<(String, String)> {
    let file = |class: &PodFixed| {
        let of_name = all.iter().filter(|other| other.class.name == class.class.name).count();
        // Scenarios of a study may differ in what a runtime takes.
        let scenario = if of_name > 1 { format!("-{}", class.scenario) } else { String::new() };
        format!("runtimeclass-{}{scenario}.yaml", class.class.name)
    };
    all.iter().filter_map(|class| Some((file(class), manifest(class, class.largest()?)))).collect()
}

fn manifest(pod_fixed: &PodFixed, largest: &SizeVerdict) -> String {
    let class = &pod_fixed.class;
    let mut text = format!(
        "# RuntimeClass {} with the overhead that was measured. Pods that exist keep the one that they were admitted with.\n",
        class.name
    );
    for line in comments(pod_fixed, largest) {
        text += &format!("# {line}\n");
    }
    text += &format!(
        "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata:\n  name: {}\nhandler: {}\noverhead:\n  podFixed:\n    memory: {}\n",
        class.name,
        class.handler,
        whole_mib(largest.needed_memory)
    );
    if pod_fixed.milli_cores() > 0 || largest.cpu.is_ok() {
        text += &format!("    cpu: {}m\n", pod_fixed.milli_cores());
    }
    // JSON is YAML.
    match &class.scheduling {
        Some(Value::Object(scheduling)) if !scheduling.is_empty() => {
            text += &format!("scheduling: {}\n", Value::Object(scheduling.clone()));
        }
        _ => {}
    }
    text
}

/// What each number rests on, a line for each.
fn comments(pod_fixed: &PodFixed, largest: &SizeVerdict) -> Vec<String> {
    let base = &pod_fixed.base;
    let mut lines = vec![
        format!(
            "memory: upper end of what a pod of {} takes more than under {base}, in whole MiB",
            largest.name
        ),
        format!("  mean {}", mib_with_interval(largest.mean)),
    ];
    lines.push(match &largest.peak {
        Ok(peak) => format!("  peak {}", mib_with_interval(*peak)),
        Err(why) => format!("  of the mean; {}", why.0),
    });
    if pod_fixed.sizes.len() > 1 {
        lines.push(format!(
            "  {} is the largest size that was measured: larger pods may take more",
            largest.name
        ));
    }
    lines.push(match (&largest.cpu, pod_fixed.milli_cores()) {
        (Ok(_), _) => "cpu: upper end of what a pod takes more at rest, in thousandths of a core".into(),
        (Err(why), 0) => format!("cpu: none, as in place: {}", why.0),
        (Err(why), _) => format!("cpu: as in place: {}", why.0),
    });
    if pod_fixed.class.scheduling.is_none() {
        let name = &pod_fixed.class.name;
        lines.push("scheduling: not recorded by these runs; `kubectl apply` removes what is not in the file it applies:".into());
        lines.push(format!("  copy it from `kubectl get runtimeclass {name} -o yaml`"));
    }
    lines
}

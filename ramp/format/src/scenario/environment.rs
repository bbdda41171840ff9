//! Environment of a container, and the references `$(NAME)` to it, as the kubelet resolves both.

use std::collections::BTreeMap;

use serde_json::Value;
use workload::quantity::{Bytes, Cores};

use super::resources::ContainerResources;
use crate::text::scalar as text;

/// The environment, as far as the manifest determines it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Environment {
    /// Variables whose values are known, in order; the last of a name counts.
    pub known: Vec<(String, String)>,
    /// Variables whose values are not: what each comes from.
    pub unknown: BTreeMap<String, String>,
    /// `envFrom`: the prefix of its variables, and the object with them.
    sources: Vec<(String, String)>,
}

/// A variable.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Variable {
    Known(String),
    /// What its value comes from.
    Unknown(String),
    Unset,
}

impl Environment {
    /// That of a container. `resources` are those of the containers of its pod, by name.
    pub(super) fn of(
        container: &Value,
        resources: &BTreeMap<String, ContainerResources>,
        template: &Value,
    ) -> Self {
        let mut environment = Self::default();
        for source in container["envFrom"].as_array().into_iter().flatten() {
            let prefix = text(&source["prefix"]).unwrap_or_default();
            environment.sources.push((prefix, object_of(source)));
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let Some(name) = text(&variable["name"]) else { continue };
            let own = text(&container["name"]).unwrap_or_default();
            let value = match text(&variable["value"]).filter(|value| !value.is_empty()) {
                Some(value) => environment.expand(&value),
                None if variable["valueFrom"].is_null() => Ok(String::new()),
                None => from(&variable["valueFrom"], &own, resources, template),
            };
            environment.set(name, value);
        }
        environment
    }

    fn set(&mut self, name: String, value: Result<String, String>) {
        self.known.retain(|(known, _)| *known != name);
        self.unknown.remove(&name);
        match value {
            Ok(value) => self.known.push((name, value)),
            Err(source) => drop(self.unknown.insert(name, source)),
        }
    }

    pub(super) fn variable(&self, name: &str) -> Variable {
        if let Some((_, value)) = self.known.iter().find(|(known, _)| known == name) {
            return Variable::Known(value.clone());
        }
        let source = self.sources.iter().rfind(|(prefix, _)| name.starts_with(prefix));
        let source = self.unknown.get(name).or(source.map(|(_, source)| source));
        source.map_or(Variable::Unset, |source| Variable::Unknown(source.clone()))
    }

    /// A text with its references expanded, as `Expand` of Kubernetes' `third_party/forked/golang/expansion`: `$$` is `$`, and
    /// what refers to nothing stays as it is.
    ///
    /// # Errors
    /// The name of a variable whose value is not known, and what it comes from.
    pub(super) fn expand(&self, input: &str) -> Result<String, String> {
        let mut output = String::new();
        let mut rest = input;
        while let Some(at) = rest.find('$') {
            output.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(escaped) = rest.strip_prefix('$') {
                output.push('$');
                rest = escaped;
                continue;
            }
            let Some((name, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
                output.push('$');
                continue;
            };
            match self.variable(name) {
                Variable::Known(value) => output.push_str(&value),
                Variable::Unknown(source) => return Err(format!("{name} comes from {source}")),
                Variable::Unset => output.extend(["$(", name, ")"]),
            }
            rest = after;
        }
        output.push_str(rest);
        Ok(output)
    }
}

/// `ConfigMap "settings"`
fn object_of(source: &Value) -> String {
    let named = |kind: &str, field: &str| {
        let name = text(&source[field]["name"])?;
        let key = text(&source[field]["key"]).map(|key| format!(", key {key:?}")).unwrap_or_default();
        Some(format!("{kind} {name:?}{key}"))
    };
    let found = named("ConfigMap", "configMapRef").or_else(|| named("Secret", "secretRef"));
    let found = found.or_else(|| named("ConfigMap", "configMapKeyRef"));
    found.or_else(|| named("Secret", "secretKeyRef")).unwrap_or_else(|| "outside of the manifest".into())
}

/// The value of `valueFrom`, or what it comes from.
fn from(
    source: &Value,
    own: &str,
    resources: &BTreeMap<String, ContainerResources>,
    template: &Value,
) -> Result<String, String> {
    if let Some(field) = text(&source["fieldRef"]["fieldPath"]) {
        return field_of(&field, template).ok_or_else(|| format!("the pod's {field}"));
    }
    let reference = &source["resourceFieldRef"];
    if let Some(resource) = text(&reference["resource"]) {
        let container = text(&reference["containerName"]).filter(|name| !name.is_empty());
        let container = container.as_deref().unwrap_or(own);
        let amount =
            resources.get(container).and_then(|found| resource_of(&resource, found, &reference["divisor"]));
        return amount.ok_or_else(|| {
            format!("{resource} of container {container:?}, which the manifest does not set")
        });
    }
    Err(object_of(source))
}

/// A label or an annotation of the pod template.
fn field_of(path: &str, template: &Value) -> Option<String> {
    let (of, key) = path.strip_suffix("']")?.split_once("['")?;
    let of = match of {
        "metadata.labels" => "labels",
        "metadata.annotations" => "annotations",
        _ => return None,
    };
    text(&template["metadata"][of][key])
}

/// A request or limit in units of a divisor, rounded up, as `ExtractContainerResourceValue` of Kubernetes. A limit that is not
/// set is that of the node, which is not known; a missing request is 0.
fn resource_of(resource: &str, of: &ContainerResources, divisor: &Value) -> Option<String> {
    let divisor = text(divisor).filter(|divisor| divisor != "0").unwrap_or_else(|| "1".into());
    let (amount, unit) = match resource {
        "limits.memory" => (of.memory_limit?.0, Bytes::from_manifest(&divisor).ok()?.0),
        "requests.memory" => (of.requests().0.unwrap_or_default().0, Bytes::from_manifest(&divisor).ok()?.0),
        "limits.cpu" => milli(of.cpu_limit?, &divisor)?,
        "requests.cpu" => milli(of.requests().1.unwrap_or_default(), &divisor)?,
        _ => return None,
    };
    (unit > 0).then(|| amount.div_ceil(unit).to_string())
}

/// Both in thousandths of a core.
fn milli(cores: Cores, divisor: &str) -> Option<(u64, u64)> {
    let milli = |cores: Cores| cores.as_nano().div_ceil(1_000_000);
    Some((milli(cores), milli(Cores::from_manifest(divisor).ok()?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment(container: &Value) -> Environment {
        let own = ContainerResources::of(container).unwrap();
        let template = json!({"metadata": {"labels": {"size": "70M"}}});
        Environment::of(container, &BTreeMap::from([("load".into(), own)]), &template)
    }

    #[test]
    fn references_are_expanded_as_by_the_kubelet() {
        // From expand_test.go of Kubernetes.
        let env = [("VAR_A", "A"), ("VAR_B", "B"), ("VAR_REF", "$(VAR_A)"), ("VAR_EMPTY", "")];
        let known = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let environment = Environment { known, ..Environment::default() };
        for (input, expected) in [
            ("$(VAR_A)", "A"),
            ("___$(VAR_B)___", "___B___"),
            ("$(VAR_A)$(VAR_B)", "AB"),
            ("$$(VAR_A)", "$(VAR_A)"),
            ("$$$(VAR_A)", "$A"),
            ("$$$$(VAR_A)", "$$(VAR_A)"),
            ("$$", "$"),
            ("$", "$"),
            ("foo$", "foo$"),
            ("$VAR_A", "$VAR_A"),
            ("$(VAR_A", "$(VAR_A"),
            ("$(VAR_A$(VAR_B)", "$(VAR_A$(VAR_B)"),
            ("$(VAR_NONE)", "$(VAR_NONE)"),
            ("$(VAR_REF)", "$(VAR_A)"),
            ("$(VAR_EMPTY)|", "|"),
            ("$()", "$()"),
            ("$(", "$("),
            ("$)(VAR_A)", "$)(VAR_A)"),
            ("$é$(VAR_A)é", "$éAé"),
            ("\n$(VAR_A)", "\nA"),
        ] {
            assert_eq!(environment.expand(input).as_deref(), Ok(expected), "{input}");
        }
    }

    #[test]
    fn a_value_may_refer_to_variables_before_it() {
        let environment = environment(&json!({"name": "load", "env": [
            {"name": "LATER", "value": "$(B)"}, {"name": "A", "value": "5"}, {"name": "B", "value": "$(A)0M"},
            {"name": "A", "value": "7"}, {"name": "NONE"}, {"name": "ON", "value": true}, {"value": "unnamed"}]}));
        let known = |name| environment.variable(name);
        assert_eq!(known("LATER"), Variable::Known("$(B)".into()));
        assert_eq!(known("B"), Variable::Known("50M".into()));
        assert_eq!(known("A"), Variable::Known("7".into()), "the last of a name");
        assert_eq!(known("NONE"), Variable::Known(String::new()));
        assert_eq!(known("ON"), Variable::Known("true".into()));
        assert_eq!(known("OTHER"), Variable::Unset);
    }

    #[test]
    fn what_comes_from_outside_of_the_manifest_is_unknown_with_its_source() {
        let environment = environment(&json!({"name": "load",
            "envFrom": [{"prefix": "WORKLOAD_", "configMapRef": {"name": "settings"}}],
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "B", "value": "$(A)"}, {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "C", "valueFrom": {"fileKeyRef": {}}}, {"name": "WORKLOAD_CPU", "value": "1"},
                {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['size']"}}}]}));
        let unknown = |name| match environment.variable(name) {
            Variable::Unknown(source) => source,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(unknown("A"), "Secret \"s\", key \"k\"");
        assert_eq!(unknown("B"), "A comes from Secret \"s\", key \"k\"");
        assert_eq!(unknown("IP"), "the pod's status.podIP");
        assert_eq!(unknown("C"), "outside of the manifest");
        assert_eq!(unknown("WORKLOAD_MEMORY"), "ConfigMap \"settings\"");
        assert_eq!(
            environment.variable("WORKLOAD_CPU"),
            Variable::Known("1".into()),
            "env wins over envFrom"
        );
        assert_eq!(environment.variable("PATH"), Variable::Unset, "it has another prefix");
        assert_eq!(environment.variable("L"), Variable::Known("70M".into()));
    }

    #[test]
    fn resources_of_the_container_are_known() {
        let field = |resource: &str, divisor: &str| {
            let environment = environment(&json!({"name": "load",
                "resources": {"limits": {"memory": "300Mi", "cpu": "1500m"}, "requests": {"memory": "1"}},
                "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}]}));
            environment.variable("A")
        };
        let known = |text: &str| Variable::Known(text.into());
        assert_eq!(field("limits.memory", "1"), known("314572800"));
        assert_eq!(field("limits.memory", "0"), known("314572800"));
        assert_eq!(field("limits.memory", "1Mi"), known("300"));
        assert_eq!(field("limits.memory", "1Gi"), known("1"), "rounded up");
        assert_eq!(field("requests.memory", "1"), known("1"));
        assert_eq!(field("limits.cpu", "1"), known("2"));
        assert_eq!(field("limits.cpu", "1m"), known("1500"));
        assert_eq!(field("requests.cpu", "1m"), known("1500"), "the limit stands in");
        assert!(matches!(field("limits.ephemeral-storage", "1"), Variable::Unknown(_)));
    }
}

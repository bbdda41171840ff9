//! Shape of a manifest: types of the fields that are read, as Kubernetes has them.

use serde_json::Value;

use crate::text::scalar;

/// Longest name of an object of Kubernetes.
const LONGEST_NAME: usize = 253;

/// Checks the fields of a Deployment that are read. A field of another type would otherwise count as missing: a load without its
/// arguments, or without its limit.
///
/// # Errors
/// The path of the first field that is wrong, what it is, and what was expected.
pub(super) fn check(deployment: &Value) -> Result<(), String> {
    let root = Field { path: String::new(), value: deployment };
    let (metadata, spec) = (root.of("metadata"), root.of("spec"));
    metadata.is_mapping()?;
    spec.is_mapping()?;
    check_name(&metadata.of("name"))?;
    metadata.of("namespace").text()?;
    let template = spec.of("template");
    template.is_mapping()?;
    let pod = template.of("spec");
    pod.is_mapping()?;
    pod.of("runtimeClassName").text()?;
    check_resources(&pod)?;
    for list in ["containers", "initContainers"] {
        pod.of(list).items()?.iter().try_for_each(check_container)?;
    }
    Ok(())
}

fn check_name(name: &Field<'_>) -> Result<(), String> {
    let Some(text) = name.text()? else { return Ok(()) };
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let is_outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text.starts_with(is_outer)
        && text.ends_with(is_outer)
        && text.chars().all(is_inner)
        && text.len() <= LONGEST_NAME
    {
        return Ok(());
    }
    Err(format!(
        "{}: {text:?} cannot be the name of a Deployment (allowed: a-z, 0-9, - and . inside, at most {LONGEST_NAME} characters)",
        name.path
    ))
}

fn check_container(container: &Field<'_>) -> Result<(), String> {
    container.is_mapping()?;
    container.of("name").text()?;
    container.of("image").text()?;
    for words in ["command", "args"] {
        for word in container.of(words).items()? {
            word.text()?.ok_or_else(|| word.found("a string"))?;
        }
    }
    for variable in container.of("env").items()? {
        variable.is_mapping()?;
        let name = variable.of("name");
        let text = name.text()?.filter(|name| !name.is_empty() && !name.contains('='));
        text.ok_or_else(|| name.found("the name of a variable, without ="))?;
        variable.of("value").text()?;
        variable.of("valueFrom").is_mapping()?;
    }
    container.of("envFrom").items()?;
    check_resources(container)
}

fn check_resources(holder: &Field<'_>) -> Result<(), String> {
    let resources = holder.of("resources");
    resources.is_mapping()?;
    for kind in ["requests", "limits"] {
        let amounts = resources.of(kind);
        amounts.is_mapping()?;
        for name in amounts.value.as_object().into_iter().flat_map(|amounts| amounts.keys()) {
            amounts.of(name).text()?;
        }
    }
    Ok(())
}

/// A field, and where it is.
struct Field<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    fn of(&self, key: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{}{dot}{key}", self.path), value: &self.value[key] }
    }

    fn is_mapping(&self) -> Result<(), String> {
        match self.value {
            Value::Null | Value::Object(_) => Ok(()),
            _ => Err(self.found("a mapping")),
        }
    }

    fn items(&self) -> Result<Vec<Field<'a>>, String> {
        match self.value {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => {
                let field = |(index, value)| Field { path: format!("{}[{index}]", self.path), value };
                Ok(items.iter().enumerate().map(field).collect())
            }
            _ => Err(self.found("a list")),
        }
    }

    fn text(&self) -> Result<Option<String>, String> {
        match (self.value, scalar(self.value)) {
            (Value::Null, _) => Ok(None),
            // The operating system ends arguments and variables with it.
            (_, Some(text)) if text.contains('\0') => Err(self.found("a string without NUL characters")),
            (_, Some(text)) => Ok(Some(text)),
            (_, None) => Err(self.found("a string")),
        }
    }

    fn found(&self, expected: &str) -> String {
        let found = match self.value {
            Value::Null => "nothing".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a mapping".to_owned(),
            scalar => scalar.to_string(),
        };
        format!("{}: found {found}, expected {expected}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    const CONTAINER: &str = "spec.template.spec.containers[0]";

    fn refusal(field: &str, value: &str) -> String {
        let mut fields = vec![("name", "w"), ("image", "workload:1"), ("args", "[--memory, 20M]")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let fields: String = fields.iter().map(|(name, value)| format!("      {name}: {value}\n")).collect();
        let fields = fields.trim_start();
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x}}\nspec:\n  template:\n    spec:\n      containers:\n      - {}",
            fields.replace("\n      ", "\n        ")
        );
        Scenario::parse(&text).err().unwrap_or_default()
    }

    #[test]
    fn a_field_of_another_type_is_refused_and_does_not_count_as_missing() {
        for (field, value, at, why) in [
            ("args", "--memory 20M", ".args", "found \"--memory 20M\", expected a list"),
            ("args", "{a: b}", ".args", "found a mapping, expected a list"),
            ("args", "[--memory, null]", ".args[1]", "found nothing, expected a string"),
            ("args", "[[--memory]]", ".args[0]", "found a list, expected a string"),
            ("command", "/workload", ".command", "found \"/workload\", expected a list"),
            ("env", "{M: 20M}", ".env", "found a mapping, expected a list"),
            ("env", "[M=20M]", ".env[0]", "found \"M=20M\", expected a mapping"),
            (
                "env",
                "[{value: 1}]",
                ".env[0].name",
                "found nothing, expected the name of a variable, without =",
            ),
            (
                "env",
                "[{name: A=B}]",
                ".env[0].name",
                "found \"A=B\", expected the name of a variable, without =",
            ),
            (
                "env",
                r#"[{name: A, value: "\0"}]"#,
                ".env[0].value",
                "expected a string without NUL characters",
            ),
            ("resources", "200Mi", ".resources", "found \"200Mi\", expected a mapping"),
            ("resources", "{limits: 200Mi}", ".resources.limits", "found \"200Mi\", expected a mapping"),
            (
                "resources",
                "{limits: {memory: [1]}}",
                ".resources.limits.memory",
                "found a list, expected a string",
            ),
            (
                "resources",
                "{requests: {cpu: {a: 1}}}",
                ".resources.requests.cpu",
                "found a mapping, expected a string",
            ),
        ] {
            let refusal = refusal(field, value);
            let (path, reason) =
                refusal.split_once(": ").unwrap_or_else(|| panic!("{field}: {value}: {refusal:?}"));
            assert_eq!(path, format!("{CONTAINER}{at}"), "{refusal}");
            assert!(reason.contains(why), "{refusal}");
        }
    }

    #[test]
    fn what_kubernetes_takes_is_taken() {
        for (field, value) in [
            ("args", "[--memory, 20000000]"),
            ("args", "null"),
            ("args", "[]"),
            (
                "env",
                "[{name: A}, {name: B, value: null}, {name: C, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]",
            ),
            ("resources", "{limits: {memory: 200Mi, cpu: 1}, requests: {memory: null}}"),
            ("resources", "{}"),
        ] {
            assert_eq!(refusal(field, value), "", "{field}: {value}");
        }
    }

    #[test]
    fn a_name_that_kubernetes_refuses_is_refused() {
        let named =
            |name: &str| check(&serde_json::json!({"metadata": {"name": name}})).err().unwrap_or_default();
        for name in ["X", "a_b", "../a", "-a", "a-", "", &"a".repeat(254)] {
            assert!(named(name).starts_with("metadata.name: "), "{name:?}: {}", named(name));
        }
        for name in ["a", "12", "a-b.c", &"a".repeat(253)] {
            assert_eq!(named(name), "", "{name:?}");
        }
    }
}

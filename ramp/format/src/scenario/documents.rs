//! Documents of a manifest file: the one Deployment among them, and what else there is.

use serde_json::Value;

use crate::text::yaml_error;

/// The Deployment of a file, and the other objects in it.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) deployment: Value,
    /// `Namespace/workload`
    pub(super) others: Vec<String>,
}

/// What is in a `List`, and in lists inside of it, at most this deep.
const DEEPEST_LIST: usize = 8;

/// Parses a file of YAML or JSON.
pub(super) fn parse(text: &str) -> Result<Documents, String> {
    // A byte order mark, as editors on Windows write it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| format!("malformed YAML: {}", yaml_error(&error)))?;
    of(documents)
}

/// The Deployment among parsed documents.
pub(super) fn of(documents: Vec<Value>) -> Result<Documents, String> {
    let mut objects = Vec::new();
    documents.into_iter().for_each(|document| flatten(document, 0, &mut objects));
    let (mut deployments, others): (Vec<Value>, Vec<Value>) = objects.into_iter().partition(is_deployment);
    let names = |objects: &[Value]| objects.iter().map(name).collect::<Vec<_>>();
    match (deployments.pop(), deployments.len()) {
        (Some(deployment), 0) => Ok(Documents { deployment, others: names(&others) }),
        (Some(last), _) => {
            deployments.push(last);
            Err(format!(
                "found {} Deployments: {}; expected one: keep the one to run in a file of its own",
                deployments.len(),
                names(&deployments).join(", ")
            ))
        }
        (None, _) => Err(no_deployment(&others)),
    }
}

/// The objects of a document: those of a list, else itself. A document with nothing in it has none.
fn flatten(document: Value, depth: usize, objects: &mut Vec<Value>) {
    match document {
        Value::Null => {}
        Value::Object(mut list) if depth < DEEPEST_LIST && is_list(list.get("kind")) => {
            if let Some(Value::Array(items)) = list.remove("items") {
                items.into_iter().for_each(|item| flatten(item, depth + 1, objects));
            }
        }
        other => objects.push(other),
    }
}

fn is_list(kind: Option<&Value>) -> bool {
    kind.and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"))
}

fn is_deployment(object: &Value) -> bool {
    object["kind"] == "Deployment" && object["apiVersion"] == "apps/v1"
}

/// `Deployment/web`
fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kind = text(&object["kind"]).unwrap_or_else(|| "an object without a kind".into());
    text(&object["metadata"]["name"]).map_or_else(|| kind.clone(), |name| format!("{kind}/{name}"))
}

fn no_deployment(others: &[Value]) -> String {
    const EXPECTED: &str = "expected a Deployment of apiVersion apps/v1";
    let old = others.iter().find(|object| object["kind"] == "Deployment");
    if let Some(old) = old {
        let version = old["apiVersion"].as_str().unwrap_or("none");
        return format!("{} has apiVersion {version}; {EXPECTED}", name(old));
    }
    if others.is_empty() {
        return format!("the file has no document, or only empty ones; {EXPECTED}");
    }
    let found: Vec<_> = others.iter().map(name).collect();
    format!("found {}; {EXPECTED}", found.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn the_one_deployment_is_found_wherever_it_is() {
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n";
        let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", WEB.replace('\n', "\n  "));
        for text in [
            WEB.to_owned(),
            format!("{namespace}---\n{WEB}"),
            format!("---\n# comments alone\n---\n{WEB}---\n---\n"),
            format!("\u{feff}{WEB}").replace('\n', "\r\n"),
            list,
            format!(
                "{namespace}---\napiVersion: apps/v1\nkind: DeploymentList\nitems:\n- {}",
                WEB.replace('\n', "\n  ")
            ),
            r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}"#.to_owned(),
        ] {
            let found = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(found.deployment["metadata"]["name"], "web", "{text}");
            let is_with_namespace = text.contains("Namespace");
            assert_eq!(found.others, ["Namespace/team"][..usize::from(is_with_namespace)], "{text}");
        }
    }

    #[test]
    fn several_or_none_are_refused_by_name() {
        let two = refusal(&format!("{WEB}---\n{}", WEB.replace("web", "db")));
        assert!(two.starts_with("found 2 Deployments: Deployment/web, Deployment/db; expected one"), "{two}");
        for text in ["", "---\n", "# nothing\n", "null\n---\n~\n"] {
            assert!(
                refusal(text).contains("only empty ones; expected a Deployment"),
                "{text:?}: {}",
                refusal(text)
            );
        }
        let set = refusal(&WEB.replace("Deployment", "StatefulSet"));
        assert_eq!(set, "found StatefulSet/web; expected a Deployment of apiVersion apps/v1");
        let old = refusal(&WEB.replace("apps/v1", "extensions/v1beta1"));
        assert_eq!(
            old,
            "Deployment/web has apiVersion extensions/v1beta1; expected a Deployment of apiVersion apps/v1"
        );
        assert!(refusal("[1, 2]").contains("an object without a kind"));
    }

    #[test]
    fn malformed_yaml_is_refused_with_its_line() {
        for (text, line) in [
            ("a: [\n", "line 1"),
            ("a: 1\nb: 2\na: 3\n", "line 3"),
            ("a:\n\tb: 1\n", "line 2"),
            ("a: 1\nb: *nothing\n", "line 2"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains("malformed YAML") && refusal.contains(line), "{text:?}: {refusal}");
        }
    }

    #[test]
    fn aliases_that_multiply_are_refused_and_take_no_time() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(refusal(&bomb).contains("malformed YAML"));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(refusal(&deep).contains("malformed YAML"));
    }
}

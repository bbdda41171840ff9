//! JSON schema of `ramp report --json`: that of its types, with the figures by the [registry](super::registry).

use serde_json::{Map, Value, json};

use super::figure::{Figure, JsonKey, Scope, Unit};
use super::json::RunsDocument;
use super::registry::FIGURES;

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let mut schema = crate::schema::of_output::<RunsDocument>();
    for figure in FIGURES {
        let (of, is_required) = match figure.scope {
            Scope::Run(_) => ("RunHead", true),
            Scope::Mixed(_) => ("RunHead", false),
            Scope::Comparison(_) => ("ComparisonHead", true),
        };
        add(&mut schema["$defs"][of], figure, is_required);
    }
    schema
}

/// Adds a figure to the schema of the object that it is put into.
fn add(object: &mut Value, figure: &Figure, is_required: bool) {
    match figure.json {
        JsonKey::Within(_) => {}
        JsonKey::Plain(path) | JsonKey::Structure(path, _) => {
            let (around, name) = path.rsplit_once('.').unwrap_or(("", path));
            let around = inner(object, around, is_required);
            let is_structure = matches!(figure.json, JsonKey::Structure(..)) || !figure.is_number();
            let value = match is_structure {
                true => json!({"type": ["object", "array", "null"]}),
                false => number(figure.unit),
            };
            put(around, name, described(figure, value), is_required);
            put(around, "reason", reasons(), false);
        }
        JsonKey::Object(path, parts) => put_object(object, path, figure, parts, is_required),
        JsonKey::Renamed(path, parts, former) => {
            put_object(object, path, figure, parts, is_required);
            put_object(object, former, figure, parts, is_required);
        }
    }
}

fn put_object(object: &mut Value, path: &str, figure: &Figure, parts: &[&str], is_required: bool) {
    let (around, name) = path.rsplit_once('.').unwrap_or(("", path));
    let properties = parts.iter().enumerate().map(|(at, part)| {
        let value = match *part {
            _ if at == 0 => number(figure.unit),
            "low" | "high" => json!({"type": ["number", "null"]}),
            "step" => json!({"type": ["integer", "null"]}),
            _ => json!({}),
        };
        ((*part).to_owned(), value)
    });
    let mut properties: Map<String, Value> = properties.collect();
    properties.insert("reason".into(), json!({"type": "string", "description": "Why it is unavailable."}));
    let value = json!({"type": "object", "properties": properties, "required": parts});
    put(inner(object, around, is_required), name, described(figure, value), is_required);
}

/// The schema of the object at keys with dots between them, made where there is none.
fn inner<'s>(object: &'s mut Value, path: &str, is_required: bool) -> &'s mut Value {
    path.split('.').filter(|key| !key.is_empty()).fold(object, |object, key| {
        if object["properties"].get(key).is_none() {
            put(object, key, json!({"type": "object"}), is_required);
        }
        &mut object["properties"][key]
    })
}

fn put(object: &mut Value, name: &str, schema: Value, is_required: bool) {
    object["properties"][name] = schema;
    let required = &mut object["required"];
    if !required.is_array() {
        *required = json!([]);
    }
    if let Some(required) = required.as_array_mut().filter(|_| is_required)
        && !required.iter().any(|known| known == name)
    {
        required.push(name.into());
    }
}

fn described(figure: &Figure, mut schema: Value) -> Value {
    let unit = match figure.unit {
        Unit::Structure => String::new(),
        unit => format!(" [{}]", unit.name()),
    };
    schema["description"] = format!("{}{unit}", figure.definition).into();
    schema
}

fn number(unit: Unit) -> Value {
    match unit {
        Unit::Count | Unit::Step | Unit::Instances => json!({"type": ["integer", "null"]}),
        Unit::Structure => json!({}),
        _ => json!({"type": ["number", "null"]}),
    }
}

/// Why the figures of an object are unavailable, by their names.
fn reasons() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}, "description": "Why figures are unavailable, by their names."})
}

//! Validation of JSON by a schema, as far as the schemas of ramp use the language: a keyword that is not known here fails. What texts look
//! like (`pattern`, `format`) is left to Python's jsonschema (see `schemas.rs`); the crate of that name takes 80 s of CPU time to build.
#![allow(dead_code, reason = "each test program uses what it needs")]

use serde_json::Value;

/// What is wrong with a document: a line for each place.
pub(crate) fn errors(schema: &Value, document: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    Validator { root: schema, is_strict: false }.check(schema, document, "", &mut errors);
    errors
}

/// The same, where a key that the schema does not know is wrong too, unless its object may have any.
pub(crate) fn errors_with_unknown_keys(schema: &Value, document: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    Validator { root: schema, is_strict: true }.check(schema, document, "", &mut errors);
    errors
}

struct Validator<'s> {
    root: &'s Value,
    is_strict: bool,
}

const IGNORED: [&str; 10] = [
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
    "format",
    "pattern",
    "writeOnly",
    "deprecated",
];

impl Validator<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        let Value::Object(keywords) = schema else {
            assert!(schema.is_boolean(), "{at}: {schema} is no schema");
            if schema == false {
                errors.push(format!("{at}: {value} is not allowed"));
            }
            return;
        };
        for (keyword, argument) in keywords {
            let mut wrong = |what: String| errors.push(format!("{at}: {what}"));
            match keyword.as_str() {
                ignored if IGNORED.contains(&ignored) => {}
                "$ref" => {
                    let path = argument.as_str().and_then(|path| path.strip_prefix('#')).unwrap();
                    self.check(self.root.pointer(path).unwrap(), value, at, errors);
                }
                "type" if is_of_type(argument, value) => {}
                "type" => wrong(format!("{value} is no {argument}")),
                "enum" if argument.as_array().unwrap().contains(value) => {}
                "const" if argument == value => {}
                "enum" | "const" => wrong(format!("{value} is not {argument}")),
                "minimum" if value.as_f64().is_none_or(|number| number >= argument.as_f64().unwrap()) => {}
                "maximum" if value.as_f64().is_none_or(|number| number <= argument.as_f64().unwrap()) => {}
                "minimum" | "maximum" => wrong(format!("{value} is beyond {argument}")),
                "minItems"
                    if value
                        .as_array()
                        .is_none_or(|items| items.len() as u64 >= argument.as_u64().unwrap()) => {}
                "minItems" => wrong(format!("fewer than {argument} items")),
                "required" => {
                    let missing = argument.as_array().unwrap().iter().filter_map(Value::as_str);
                    let missing = missing.filter(|key| value.is_object() && value.get(key).is_none());
                    missing.for_each(|key| wrong(format!("no {key:?}")));
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(argument, item, &format!("{at}/{index}"), errors);
                    }
                }
                "properties" => self.properties(schema, value, at, errors),
                "additionalProperties" => {
                    let known = |key: &String| schema["properties"].get(key).is_some();
                    for (key, value) in value.as_object().into_iter().flatten().filter(|(key, _)| !known(key))
                    {
                        self.check(argument, value, &format!("{at}/{key}"), errors);
                    }
                }
                "anyOf" | "oneOf" => {
                    let each = argument.as_array().unwrap().iter().map(|one| self.errors_of(one, value, at));
                    let each: Vec<Vec<String>> = each.collect();
                    let fitting = each.iter().filter(|errors| errors.is_empty()).count();
                    if fitting == 0 || keyword == "oneOf" && fitting > 1 {
                        errors.push(format!("{at}: {fitting} of {keyword}: {each:?}"));
                    }
                }
                other => panic!("{at}: the keyword {other} is not known: {argument}"),
            }
        }
    }

    fn errors_of(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(schema, value, at, &mut errors);
        errors
    }

    fn properties(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        let Some(object) = value.as_object() else { return };
        // Alternatives may have further keys.
        let is_open =
            ["additionalProperties", "anyOf", "oneOf"].iter().any(|keyword| schema.get(keyword).is_some());
        for (key, value) in object {
            match schema["properties"].get(key) {
                Some(property) => self.check(property, value, &format!("{at}/{key}"), errors),
                None if self.is_strict && !is_open => {
                    errors.push(format!("{at}: the key {key:?} is not known"));
                }
                None => {}
            }
        }
    }
}

fn is_of_type(argument: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("no type {other}"),
    };
    match argument {
        Value::String(name) => is(name),
        names => names.as_array().unwrap().iter().filter_map(Value::as_str).any(is),
    }
}

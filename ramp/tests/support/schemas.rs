//! Documents beside their published schemas.

#[path = "../../report/tests/json_schema/mod.rs"]
mod json_schema;

use ramp_report::schema::SCHEMAS;
use serde_json::Value;

/// Fails where a document is not as its schema says. Keys of the figures of runs may be more than it says.
pub(crate) fn assert_valid(name: &str, document: &Value) {
    let published = SCHEMAS.iter().find(|schema| schema.name == name).unwrap();
    let schema = (published.schema)();
    let errors = match name {
        "report" => json_schema::errors(&schema, document),
        _ => json_schema::errors_with_unknown_keys(&schema, document),
    };
    assert!(errors.is_empty(), "{name}: {}", errors.join("\n"));
}

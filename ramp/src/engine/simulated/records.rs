//! Records of simulated programs.

use serde_json::{Map, Value};

/// The fields of a record.
pub(super) fn object(record: Value) -> Map<String, Value> {
    match record {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

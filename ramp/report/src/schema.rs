//! JSON schemas of what ramp writes and reads, by name: `ramp schema NAME` prints them, docs/schema has them.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use ramp_format::run_file::RunFile;
use ramp_format::study::{StudyFile, StudyRecord};

/// A schema that is published.
#[derive(Clone, Copy, Debug)]
pub struct PublishedSchema {
    /// Its name.
    pub name: &'static str,
    /// What it describes.
    pub describes: &'static str,
    /// The schema.
    pub schema: fn() -> Value,
}

/// All of them.
pub const SCHEMAS: [PublishedSchema; 5] = [
    PublishedSchema {
        name: "run",
        describes: "run.json of a run directory",
        schema: || of_output_read_back::<RunFile>("run.json of ramp"),
    },
    PublishedSchema {
        name: "study",
        describes: "study.json of a study directory",
        schema: || of_output_read_back::<StudyRecord>("study.json of ramp"),
    },
    PublishedSchema { name: "study-file", describes: "study.yaml", schema: StudyFile::schema },
    PublishedSchema {
        name: "report",
        describes: "ramp report --json, of runs",
        schema: crate::report::schema::schema,
    },
    PublishedSchema {
        name: "study-report",
        describes: "ramp study report --json",
        schema: crate::study::report::json::schema,
    },
];

/// The schema of what is written: a key that is always written is required.
pub(crate) fn of_output<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

/// The schema of what is written and read back: a key that older versions did not write is not required.
fn of_output_read_back<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    schema["title"] = title.into();
    schema
}

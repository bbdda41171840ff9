//! `ramp schema`: prints a JSON schema.

use std::process::ExitCode;

use crate::cli::export::SchemaArgs;
use crate::ui::out;
use ramp_report::schema::SCHEMAS;

/// Prints the schema of a name, which the command line has checked.
#[must_use]
pub(crate) fn schema(args: &SchemaArgs) -> ExitCode {
    for schema in SCHEMAS.iter().filter(|schema| schema.name == args.name) {
        out(&format!("{:#}", (schema.schema)()));
    }
    ExitCode::SUCCESS
}

//! Generated documentation: docs/report.md, from the registry of figures in ramp/report.

use crate::generated::{self, GeneratedFile};
use crate::shell::Outcome;

fn files() -> Vec<GeneratedFile> {
    vec![("docs/report.md".into(), ramp_report::report::reference::markdown())]
}

/// Writes the documents that are missing or out of date.
///
/// # Errors
/// Where one cannot be written.
pub(crate) fn write() -> Outcome {
    generated::write(files())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_documents_are_current() {
        generated::assert_current(
            files(),
            "Make changes in ramp/report/src/report, then run `cargo xtask docs`",
        );
    }
}

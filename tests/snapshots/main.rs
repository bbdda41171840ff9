//! Snapshots of every text that `workload` shows.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test -p workload --test snapshots`, and read the diff.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod command_line;
mod log;
mod reports;

/// Holds a text against `snapshots/NAME.snap`. The version is left out: a release changes no wording.
fn hold(name: &str, text: &str) {
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

//! Snapshots of every text that `ramp` shows.
//!
//! After a change of wording: `INSTA_UPDATE=always cargo test -p ramp --test snapshots`, then review the diff.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod action;
mod command_line;
mod history;
mod manifests;
mod places;
mod preflight_summary;
mod recorded;
mod report;
mod session;
mod studies;
#[path = "../support/study_layout.rs"]
mod study_layout;
#[path = "../support/mod.rs"]
mod support;
mod troubleshooting;
mod view;

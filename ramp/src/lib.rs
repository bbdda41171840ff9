//! Library of the program `ramp`: scales a container load past saturation, and records everything.
//!
//! Data flows one way:
//!
//! ```text
//! cli ─► plan ─► preflight ─► run ⇄ engine {local, podman, kubernetes, simulated}
//!                              │ events
//!                              ▼
//!                trackers ─► rows ═══ run directory (ramp-format) ═══ ramp-report
//! ```
//!
//! An [`engine`] observes and acts. The trackers of a [`run`] turn what it observes into state transitions and sums, each counted
//! once, and the event loop writes them as rows. Stop rules decide when the ramp ends. Nothing here computes an estimate:
//! `ramp-report` reads the run directory and knows no engine.

mod backoff;
pub mod cli;
pub mod clock;
pub mod command;
pub mod command_line;
pub mod engine;
mod fetch;
mod live_runs;
pub mod plan;
pub mod preflight;
mod process_id;
pub mod run;
mod serve;
mod study;
pub mod ui;
mod waiting;

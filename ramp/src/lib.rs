//! The library behind the program `ramp`: pushes a population of workloads past saturation, and records everything.
//!
//! Data flows one way:
//!
//! ```text
//! cli ─► plan ─► run ⇄ engine {local, podman, kubernetes, simulated}
//!                 │ events
//!                 ▼
//!               ledger ─► record ═══ run directory ═══ dataset ─► analysis ─► report
//! ```
//!
//! An [`engine`] observes and acts. The [`ledger`] turns sightings into transitions, each counted once. The [`record`]er
//! writes rows as they come. [`run`] decides, by [`stop`] rules, when there is enough. Left of the run directory nothing
//! computes a statistic; right of it nothing knows an engine: a [`dataset`] is what was recorded, [`analysis`] what it says,
//! and a [`report`] how it is told.

mod backoff;
pub mod cli;
pub mod clock;
pub mod command;
pub mod engine;
pub mod plan;
pub mod preflight;
pub mod run;
pub mod ui;

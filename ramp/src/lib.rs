//! The library behind the program `ramp`: pushes a population of workloads past saturation, and records everything.
//!
//! Data flows one way:
//!
//! ```text
//! cli ─► plan ─► run ⇄ engine {local, podman, kubernetes, scripted}
//!                 │ events
//!                 ▼
//!               ledger ─► record ═══ run directory
//! ```
//!
//! An [`engine`] observes and acts. The [`ledger`] turns sightings into transitions, each counted once. The [`record`]er
//! writes rows as they come. [`run`] decides, by [`stop`] rules, when there is enough. Nothing here computes a statistic:
//! that is for whoever reads the run directory.

#[macro_use]
mod text;

pub mod briefing;
pub mod cli;
pub mod clock;
pub mod command;
pub mod engine;
pub mod forecast;
pub mod ledger;
pub mod nodes;
mod pauses;
pub mod plan;
pub mod record;
pub mod run;
pub mod scenario;
pub mod state;
pub mod stop;
pub mod view;

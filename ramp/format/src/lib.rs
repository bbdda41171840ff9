//! The run directory of ramp: its files, their rows, and the data in them. Knows no engine, and computes no estimate.
//!
//! | file | a row per |
//! |---|---|
//! | `run.json` ([`run_file`]) | the run: its plan, what preflight found, what was applied, how it ended |
//! | `steps.csv` ([`rows::StepRow`]) | step |
//! | `nodes.csv` ([`rows::NodeRow`]) | node and sample, and each missing sample |
//! | `pods.csv` ([`rows::PodRow`]) | state transition of an instance |
//! | `workloads.csv` ([`rows::WorkloadRow`]) | report of an instance |
//! | `components.csv` ([`rows::ComponentRow`]) | component of a pod or a node: what it holds |
//! | `limits.csv` ([`rows::LimitRow`]) | limit of a node other than memory and CPU |
//! | `events.csv` ([`rows::EventRow`]) | anything else: events of the cluster, gaps in observation, rules that fired |
//!
//! Times are RFC 3339, UTC, with milliseconds; units are in the names; a missing value is empty. A row is one line.

#[macro_use]
pub mod text;

pub mod directory;
pub mod plan;
pub mod preflight;
pub mod rows;
pub mod run_clock;
pub mod run_file;
pub mod running_count;
pub mod scenario;
pub mod sidecar;
pub mod state;
pub mod stop_rule;
pub mod study;
pub mod table_writer;
pub mod time;
pub mod unreclaimable;

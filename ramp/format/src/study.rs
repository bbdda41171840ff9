//! Study: repeated runs of the same scenarios under several runtimes and sizes. The file that describes it (`study.yaml`), and the record
//! of what was run (`study.json`).
//!
//! A *cell* is one scenario under one runtime in one size. A *block* has one run of each cell, so that whatever is the same for all runs
//! of a block (the state of the cluster, the hour) is the same for all cells. The run is the unit of every comparison.

mod file;
mod record;
mod tolerance;

pub use crate::plan::SearchSettings;
pub use file::{
    Blocks, Cooldown, Limits, Order, RampSettings, Runtimes, Size, StudyFile, StudyScenario, Tolerances,
};
pub use record::{Cell, Decision, RunRecord, RunRecordState, STUDY_FORMAT_VERSION, StudyRecord};
pub use tolerance::Tolerance;

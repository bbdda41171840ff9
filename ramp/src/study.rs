//! Study: blocks of runs that a study file describes, each an ordinary run, one after the other.

pub(crate) mod check;
pub(crate) mod checked_cell;
mod cooldown;
mod definition;
mod durations;
pub(crate) mod dwells;
pub(crate) mod init;
mod lock;
pub(crate) mod plan;
mod progress;
mod recovery;
mod request;
pub(crate) mod runner;
mod schedule;
pub(crate) mod status;

pub(crate) use definition::StudyPlan;

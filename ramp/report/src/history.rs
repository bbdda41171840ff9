//! History: reports as they were saved, the gate that holds one against another, and figures over the runs of months.
//!
//! | module | what |
//! |---|---|
//! | [`recorded`] | a report as data: the figures of what `--json` printed, now or a year ago |
//! | [`figure_name`] | the names, units and aliases of the figures that can be compared |
//! | [`bounds`] | how much worse each figure may be: a file, or the default |
//! | [`gate`] | the judgement: ok, regression, or cannot tell |
//! | [`gate_text`], [`junit`], [`github`] | the same for people, for CI systems, and for GitHub |
//! | [`course`] | change points and outliers of one series of values |
//! | [`timeline`], [`timeline_text`], [`page`] | all series of many reports: as data, for a terminal, and as a page |

pub mod bounds;
pub mod course;
pub mod figure_name;
pub mod gate;
pub mod gate_text;
pub mod github;
pub mod junit;
pub mod page;
pub mod recorded;
pub mod timeline;
pub mod timeline_text;

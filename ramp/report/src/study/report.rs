//! Reports on studies: text, JSON, Markdown and a page.
//!
//! | made by | what |
//! |---|---|
//! | [`overview`] | the study as its report has it: groups of cells, comparisons, runs |
//! | [`answer`] | each comparison, in sentences |
//! | [`overhead`], [`overhead_json`], [`runtime_class`] | overhead by size and podFixed, and the manifest with it |
//! | [`guest_memory`] | overhead inside and outside of guests |
//! | [`cell`] | the figures of each cell, over its runs |
//! | [`findings`] | what limits the study as a whole |
//! | [`mod@notes`] | what helps to read its figures |
//! | [`runs`] | the runs, with their own intervals |
//! | [`terminal`] | what it says, for a terminal |
//! | [`mod@listing`], [`mod@markdown`], [`html`] | all of it, for people |
//! | [`table`], [`missing`] | a row for each cell, and why figures are not available |
//! | [`mod@json`] | all of it, for programs |
//! | [`document`], and those beside it | its types, and those of its schema |
//! | [`components`] | who holds what instances take more |
//! | [`mod@limits`] | which limit of the nodes comes first |
//! | [`untold`] | figures that a study has nothing of |
//! | [`provenance`] | how the study came about, and how much of it is done |
//! | [`naming`] | names of cells and of instances |
//! | [`charts`], `overhead_charts` | the charts, and how they are drawn |
//! | [`assertion`] | whether a figure is what it has to be |
//! | [`mod@reference`] | the documentation of the figures |

pub mod answer;
pub mod assertion;
pub mod cell;
pub mod cell_document;
pub mod charts;
pub mod comparison_document;
pub mod components;
pub mod document;
mod figure_charts;
pub mod findings;
mod glance;
pub mod guest_memory;
pub mod html;
pub mod json;
pub mod limits;
pub mod listing;
pub mod markdown;
pub mod missing;
pub mod naming;
pub mod notes;
pub mod overhead;
mod overhead_charts;
pub mod overhead_document;
pub mod overhead_json;
pub mod overview;
pub mod provenance;
pub mod reference;
pub mod runs;
pub mod runtime_class;
mod startup_charts;
pub mod table;
pub mod terminal;
pub mod untold;
pub mod value_document;
pub mod words;

pub use html::page;
pub use json::json;
pub use listing::listing;
pub use markdown::markdown;
pub use overview::{CellGroup, StudyReport};
pub use terminal::text;

//! Overview of a study: its groups of cells with their comparisons, and its runs.

use super::answer::ComparedReport;
use super::cell::CellReport;
use super::findings;
use super::naming::group_title;
use super::notes;
use super::overhead::{OverheadReport, overheads};
use super::runs::{RunReport, runs};
use crate::study::data::{StudyData, base_of};

/// A study, and what it says.
#[derive(Clone, Debug)]
pub struct StudyReport<'d> {
    /// The study.
    pub data: &'d StudyData,
    /// What limits it as a whole, in sentences.
    pub findings: Vec<String>,
    /// What helps to read its figures, in sentences.
    pub notes: Vec<String>,
    /// Each scenario in each size, in the order of the cells.
    pub groups: Vec<CellGroup>,
    /// Each runtime against its base, over the sizes of a scenario.
    pub overheads: Vec<OverheadReport>,
    /// Its runs, in the order in which they were begun.
    pub runs: Vec<RunReport>,
}

/// The cells of one scenario and size.
#[derive(Clone, Debug)]
pub struct CellGroup {
    /// Scenario and size.
    pub title: String,
    /// Its cells; the first one is the base.
    pub cells: Vec<CellReport>,
    /// Each of the others, compared with the base.
    pub comparisons: Vec<ComparedReport>,
}

impl<'d> StudyReport<'d> {
    /// The report of a study.
    #[must_use]
    pub fn of(data: &'d StudyData) -> Self {
        let cells = &data.cells;
        let bases = (0..cells.len()).filter(|cell| base_of(cells, *cell) == Some(*cell));
        let mut comparisons = data.comparisons();
        let groups = bases.map(|base| {
            let (of_group, rest) =
                std::mem::take(&mut comparisons).into_iter().partition(|compared| compared.base == base);
            comparisons = rest;
            let of_group: Vec<_> = of_group;
            let members = (0..cells.len()).filter(|cell| base_of(cells, *cell) == Some(base));
            CellGroup {
                title: cells.get(base).map_or_else(String::new, |cell| group_title(cells, cell)),
                cells: members.map(|cell| CellReport::of(data, cell)).collect(),
                comparisons: of_group
                    .into_iter()
                    .map(|compared| ComparedReport::of(data, compared))
                    .collect(),
            }
        });
        let groups = groups.collect();
        Self {
            data,
            findings: findings::findings(data),
            notes: notes::notes(data),
            groups,
            overheads: overheads(data),
            runs: runs(data),
        }
    }

    /// All cells, group by group.
    pub fn cells(&self) -> impl Iterator<Item = &CellReport> {
        self.groups.iter().flat_map(|group| &group.cells)
    }

    /// Each comparison in one sentence, the first figure first.
    pub fn comparisons(&self) -> impl Iterator<Item = &ComparedReport> {
        self.groups.iter().flat_map(|group| &group.comparisons)
    }
}

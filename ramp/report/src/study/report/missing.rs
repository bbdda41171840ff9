//! Figures that are not available: each reason once, for all cells that share it.

use super::overview::StudyReport;
use super::untold::is_untold;
use super::words::{blocks, list};
use crate::study::figure::EXTRAPOLATED;
use crate::study::search::HELD_95;
use ramp_format::text::count;

/// Why figures are not available in some runs.
#[derive(Clone, Debug, PartialEq)]
struct Absence {
    /// What the figures are called.
    figures: Vec<&'static str>,
    reason: String,
    /// Each cell, with the blocks of the runs; none where it is all of them.
    cells: Vec<(String, Option<Vec<u32>>)>,
}

/// Reasons of one figure that are told: there may be one for each run.
const MOST: usize = 2;

/// Each reason in a sentence without its full stop.
#[must_use]
pub fn reasons(report: &StudyReport<'_>) -> Vec<String> {
    let cells = report.cells().filter(|cell| cell.runs > 0).count();
    let all = merged(absences(report));
    let before = |at: usize| all.iter().take(at).filter(|other| other.figures == all[at].figures).count();
    let of = |at: usize| all.iter().filter(|other| other.figures == all[at].figures).count();
    let sentence = |(at, absence): (usize, &Absence)| match before(at) {
        number if number < MOST => Some(absence.sentence(cells)),
        MOST => Some(format!(
            "{}: n/a of other runs for {}",
            list_of(&absence.figures),
            count((of(at) - MOST) as u64, "other reason")
        )),
        _ => None,
    };
    all.iter().enumerate().filter_map(sentence).collect()
}

fn absences(report: &StudyReport<'_>) -> Vec<Absence> {
    let mut all: Vec<Absence> = Vec::new();
    for cell in report.cells() {
        let name = super::naming::label_with_size(&report.data.cells, cell.cell);
        for figure in &cell.figures {
            if is_untold(report.data, figure.figure) {
                continue;
            }
            let title = figure.figure.title;
            // Of which a note tells.
            let reasons =
                figure.missing_by_reason().into_iter().filter(|(reason, _)| *reason != EXTRAPOLATED);
            for (reason, blocks) in reasons {
                let blocks = (blocks.len() < figure.runs).then_some(blocks);
                let here = (name.clone(), blocks);
                match all.iter_mut().find(|found| found.figures == [title] && found.reason == reason) {
                    Some(found) => found.cells.push(here),
                    None => all.push(Absence {
                        figures: vec![title],
                        reason: reason.to_owned(),
                        cells: vec![here],
                    }),
                }
            }
        }
        if let Some(Err(why)) = cell.search.as_ref().map(|search| &search.held) {
            match all.iter_mut().find(|found| found.figures == [HELD_95] && found.reason == why.0) {
                Some(found) => found.cells.push((name, None)),
                None => all.push(Absence {
                    figures: vec![HELD_95],
                    reason: why.0.clone(),
                    cells: vec![(name, None)],
                }),
            }
        }
    }
    all
}

/// Those of several figures that have cells and reason in common, together.
fn merged(all: Vec<Absence>) -> Vec<Absence> {
    let mut merged: Vec<Absence> = Vec::new();
    for absence in all {
        let is_same = |other: &&mut Absence| other.reason == absence.reason && other.cells == absence.cells;
        match merged.iter_mut().find(is_same) {
            Some(found) => found.figures.extend(absence.figures),
            None => merged.push(absence),
        }
    }
    merged
}

fn list_of(figures: &[&'static str]) -> String {
    list(&figures.iter().map(|figure| (*figure).to_owned()).collect::<Vec<_>>())
}

impl Absence {
    fn sentence(&self, cells: usize) -> String {
        let figures = list_of(&self.figures);
        let is_everywhere =
            self.cells.len() == cells && self.cells.iter().all(|(_, blocks)| blocks.is_none());
        if is_everywhere {
            return format!("{figures}: n/a: {}", self.reason);
        }
        let cell = |(name, of): &(String, Option<Vec<u32>>)| match of {
            Some(of) => format!("{name} in {}", blocks(of)),
            None => name.clone(),
        };
        let cells: Vec<String> = self.cells.iter().map(cell).collect();
        format!("{figures}: n/a of {}: {}", list(&cells), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absence(figure: &'static str, cells: &[(&str, Option<Vec<u32>>)]) -> Absence {
        let cells = cells.iter().map(|(name, blocks)| ((*name).to_owned(), blocks.clone())).collect();
        Absence { figures: vec![figure], reason: "no samples".into(), cells }
    }

    #[test]
    fn a_reason_stands_once_for_the_figures_and_cells_that_have_it() {
        let both = [("runc", None), ("kata", None)];
        let all = merged(vec![absence("held", &both), absence("startup", &both)]);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0].sentence(2), "held and startup: n/a: no samples");
        assert_eq!(all[0].sentence(3), "held and startup: n/a of runc and kata: no samples");
        let some = absence("held", &[("kata", Some(vec![2, 3]))]);
        assert_eq!(some.sentence(2), "held: n/a of kata in blocks 2 and 3: no samples");
    }
}

//! Dwells of a planned study: whether its runs are idle, and hold instances, for long enough to tell CPU time as precisely as is asked for.

use serde::Serialize;

use super::checked_cell::{CheckedCell, durations};
use super::durations::{RunDurations, rounded};
use super::schedule::BlocksExpected;
use ramp_format::study::{StudyRecord, Tolerance};
use ramp_format::text::count;
use ramp_report::study::data::base_of;
use ramp_report::study::dwell::{ASSUMED_NOISE, CpuGoal, CpuRun, DwellBlocks, DwellNeed, cpu_goals};
use ramp_report::study::planning::amount;
use ramp_report::study::stopping::Stopping;

/// What a figure of CPU time needs, in the cell that needs the most.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PlannedDwell {
    /// Name of the figure.
    pub(crate) figure: &'static str,
    /// Half-width asked for, in its unit.
    pub(crate) asked: f64,
    /// Half-width that is expected with the dwells as they are.
    pub(crate) expected: f64,
    /// Dwells that it needs, in seconds; none where no dwell of up to an hour does.
    pub(crate) dwell_seconds: Option<f64>,
    /// What the study takes with these.
    pub(crate) study_seconds: Option<f64>,
    /// Whether the dwells are long enough as they are.
    pub(crate) is_met: bool,
    /// In a sentence without its full stop.
    pub(crate) text: String,
}

/// Those of all figures of CPU time of which a precision is asked for in their unit. What is a share of a figure is not known before that
/// is; of searches, and of mixed runs, nothing is known.
pub(crate) fn planned_dwells(record: &StudyRecord, checked: &[CheckedCell]) -> Vec<PlannedDwell> {
    let is_compared = (0..record.cells.len()).any(|cell| base_of(&record.cells, cell) != Some(cell));
    let is_search = checked.iter().any(|cell| cell.plan.search.is_some());
    if record.definition.mix || is_search || !is_compared {
        return Vec::new();
    }
    let goals = cpu_goals(&record.definition).into_iter();
    goals.filter_map(|goal| planned_dwell(record, checked, goal)).collect()
}

fn planned_dwell(record: &StudyRecord, checked: &[CheckedCell], goal: CpuGoal) -> Option<PlannedDwell> {
    let Tolerance::Absolute(asked) = goal.tolerance else { return None };
    let blocks = DwellBlocks {
        blocks: BlocksExpected::of(record).number().max(2),
        risk: Stopping::of(&record.definition, goal.figure.name).nominal_risk(),
    };
    let needs =
        checked.iter().map(|cell| (cell, cpu_run(cell).need(goal.kind, asked, blocks, ASSUMED_NOISE)));
    let (cell, need) = needs.max_by(|(_, a), (_, b)| a.expected.total_cmp(&b.expected))?;
    let study_seconds = need.dwell_seconds.and_then(|seconds| study_seconds(record, checked, seconds));
    Some(PlannedDwell {
        figure: goal.figure.name,
        asked,
        expected: need.expected,
        dwell_seconds: need.dwell_seconds,
        study_seconds,
        is_met: need.is_met(),
        text: text(&goal, cell, need, study_seconds, blocks.blocks),
    })
}

/// What a run of a cell tells CPU time by.
fn cpu_run(cell: &CheckedCell) -> CpuRun {
    let plan = &cell.plan;
    let fit = cell.forecast.capacity().map_or(u64::MAX, |capacity| capacity.instances);
    let instances = plan.to.min(u32::try_from(fit).unwrap_or(u32::MAX)).max(1);
    let kernels = cell.eligible_nodes().min(instances);
    let ramp = cell.forecast.seconds_to_saturation.unwrap_or(cell.forecast.seconds);
    CpuRun {
        instances,
        kernels,
        settle_seconds: plan.settle.as_secs_f64(),
        hold_seconds: plan.hold.as_secs_f64(),
        // Nodes are idle while others have their turn.
        starting_seconds: ramp * f64::from(plan.step.min(kernels)) / f64::from(kernels),
    }
}

/// What a study takes whose runs dwell for so long.
fn study_seconds(record: &StudyRecord, checked: &[CheckedCell], dwell_seconds: f64) -> Option<f64> {
    let longer = |cell: &CheckedCell| {
        let more =
            [cell.plan.settle, cell.plan.hold].map(|dwell| (dwell_seconds - dwell.as_secs_f64()).max(0.0));
        Some(cell.seconds + more.iter().sum::<f64>())
    };
    RunDurations { forecast: checked.iter().map(longer).collect(), ..durations(checked) }.whole(record)
}

fn text(goal: &CpuGoal, cell: &CheckedCell, need: DwellNeed, study: Option<f64>, blocks: u32) -> String {
    let of = |value: f64| format!("±{}", amount(value, goal.figure.unit));
    let [settle, hold] = [cell.plan.settle, cell.plan.hold].map(|dwell| dwell.as_secs_f64());
    let (title, asked, expected) = (goal.figure.title, of(need.asked), of(need.expected));
    let with_blocks = count(blocks, "block");
    let has = format!("settle {settle:.0} s and hold {hold:.0} s");
    match need.dwell_seconds {
        _ if need.is_met() => {
            format!(
                "{title} within {asked}: {has} are long enough, about {expected} expected of {with_blocks}"
            )
        }
        Some(dwell) => {
            let takes = study.map_or_else(String::new, |seconds| {
                format!("; the study then takes about {}", rounded(seconds))
            });
            format!(
                "{title} within {asked} needs settle and hold of about {dwell:.0} s each: ramp has {has}, about {expected} expected of \
                 {with_blocks}{takes}{}",
                before_shortage(cell)
            )
        }
        None => format!(
            "{title} within {asked} is told by no dwell of up to an hour: about {expected} expected of {with_blocks}; more instances (to) \
             or more blocks would tell it{}",
            before_shortage(cell)
        ),
    }
}

/// Instances that are held once memory is short tell nothing.
fn before_shortage(cell: &CheckedCell) -> String {
    let short = cell.forecast.capacity().filter(|capacity| capacity.by == "memory in use");
    short
        .filter(|capacity| capacity.instances < u64::from(cell.plan.to))
        .map_or_else(String::new, |capacity| {
            format!("; they count below saturation only (to: at most {})", capacity.instances)
        })
}

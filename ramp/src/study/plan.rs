//! Plan of a study, before its first run: its cells, the order of its runs, and how long they take.

use std::fmt::Write;

use serde_json::{Value, json};

use super::check::findings;
use super::checked_cell::{CheckedCell, durations};
use super::durations::rounded;
use super::dwells::planned_dwells;
use super::schedule::{BlocksExpected, blocks, label, of_block};
use ramp_format::study::{Order, StudyRecord};
use ramp_format::text::count;

/// Blocks whose runs are listed.
const LISTED: u32 = 4;

/// The plan, as text.
pub(crate) fn describe(record: &StudyRecord, checked: &[CheckedCell]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut text, record, checked);
    text
}

fn write_all(text: &mut String, record: &StudyRecord, checked: &[CheckedCell]) -> std::fmt::Result {
    let definition = &record.definition;
    let engine = definition.engine.map_or("", |engine| engine.name());
    writeln!(text, "study        {}, engine {engine}", record.name)?;
    for (at, cell) in checked.iter().enumerate() {
        let heading = if at == 0 { "cells" } else { "" };
        let capacity = match cell.forecast.capacity() {
            Some(capacity) => {
                format!("{} predicted, by {}", count(capacity.instances, "instance"), capacity.by)
            }
            None => "capacity not known".into(),
        };
        let name = label(&record.cells, at);
        writeln!(text, "{heading:<13}{name}: {capacity}; about {} a run", rounded(cell.seconds))?;
    }
    let expected = BlocksExpected::of(record);
    let warm_up = if definition.warmup { "a warm-up, then " } else { "" };
    let (least, most) = definition.blocks.bounds();
    let number = if least == most { blocks(most) } else { format!("{least} to {}", blocks(most)) };
    let runs = count(record.cells.len() as u64, "run");
    writeln!(text, "blocks       {warm_up}{number} of {runs} each")?;
    if definition.seed.is_none() && definition.order == Order::Random {
        writeln!(text, "order        random, drawn when the study begins (seed: N fixes it)")?;
    } else {
        for block in 1..=most.min(LISTED) {
            let heading = if block == 1 { "order" } else { "" };
            let cells: Vec<String> =
                of_block(record, block).into_iter().map(|cell| label(&record.cells, cell)).collect();
            writeln!(text, "{heading:<13}block {block}: {}", cells.join(" · "))?;
        }
    }
    if let Some(seconds) = durations(checked).whole(record) {
        let number = format!("{} block{}", expected.words(), if expected.number() == 1 { "" } else { "s" });
        writeln!(text, "time         about {} for {number}", rounded(seconds))?;
        if let Some(budget) = definition.budget.filter(|budget| budget.as_secs_f64() < seconds) {
            writeln!(
                text,
                "             the budget of {} ends it earlier",
                humantime::format_duration(budget)
            )?;
        }
        writeln!(text, "             by the forecast of each run; once runs have ended, by theirs")?;
    }
    for dwell in planned_dwells(record, checked).iter().filter(|dwell| dwell.is_met) {
        writeln!(text, "dwells       {}", dwell.text)?;
    }
    for (heading, refuses) in [("error", true), ("warning", false)] {
        for finding in findings(record, checked, refuses) {
            writeln!(text, "{heading:<13}{finding}")?;
        }
    }
    Ok(())
}

/// The runs in their order, for JSON. Without a seed those of random blocks have none yet.
pub(crate) fn planned_runs(record: &StudyRecord) -> Vec<Value> {
    let is_drawn = record.definition.seed.is_some() || record.definition.order == Order::Balanced;
    let name = |cell: usize| record.cells[cell].name.as_str();
    let block = |block: u32| {
        let cells: Vec<&str> = of_block(record, block).into_iter().map(name).collect();
        let has_order = is_drawn || block == 0;
        let cells = if has_order { cells } else { (0..record.cells.len()).map(name).collect() };
        json!({"block": block, "order_is_drawn_later": !has_order, "cells": cells})
    };
    let first = u32::from(!record.definition.warmup);
    (first..=BlocksExpected::of(record).number()).map(block).collect()
}

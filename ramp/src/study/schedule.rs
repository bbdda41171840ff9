//! Schedule of a study: its cells, the order of each block, and the next run as a function of `study.json` alone, so that a study that is
//! resumed goes on as one that was never interrupted.

use std::time::{Duration, SystemTime};

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use ramp_format::study::{Cell, Decision, Order, RunRecord, RunRecordState, Size, StudyFile, StudyRecord};
use ramp_format::text::count;

/// Attempts at a run before the study goes on without it.
const ATTEMPTS: usize = 2;
/// Characters of a cell's name: a file name has at most 255.
const NAME_CHARS: usize = 80;
/// Odd, and without a pattern in its bits: 2⁶⁴ ÷ the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a study does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StudyStep {
    /// A run of a cell. Block 0 is the warm-up.
    Run { block: u32, cell: usize },
    /// A decision on the number of blocks, after this one.
    Decide { block: u32 },
    /// The study stops: more runs would fail. It can be resumed.
    Stop { why: String },
    /// The study ends.
    End { why: String },
}

/// The cells of a study: scenarios × sizes × runtimes. `scenarios` are the names of those in the file, in its order.
///
/// # Errors
/// Where two have the same name.
pub(crate) fn cells(
    definition: &StudyFile,
    scenarios: &[String],
    runtimes: &[String],
) -> Result<Vec<Cell>, String> {
    let manifests: Vec<_> =
        definition.scenarios.iter().map(|scenario| scenario.manifest.clone()).chain([None]).collect();
    let sizes: Vec<Option<Size>> = match definition.sizes.as_slice() {
        [] => vec![None],
        sizes => sizes.iter().cloned().map(Some).collect(),
    };
    let groups: Vec<Vec<String>> = match runtimes {
        [] => vec![Vec::new()],
        all if definition.mix => vec![all.to_vec()],
        each => each.iter().map(|runtime| vec![runtime.clone()]).collect(),
    };
    let mut cells: Vec<Cell> = Vec::new();
    for (at, scenario) in scenarios.iter().enumerate() {
        if scenarios.iter().take(at).any(|other| other == scenario) {
            return Err(format!("scenarios: {scenario:?} is there twice; give each a name of its own"));
        }
        for size in &sizes {
            for group in &groups {
                cells.push(Cell {
                    name: String::new(),
                    scenario: scenario.clone(),
                    manifest: manifests.get(at).cloned().flatten(),
                    runtimes: group.clone(),
                    size: size.clone(),
                });
            }
        }
    }
    let names: Vec<String> = (0..cells.len()).map(|cell| file_name(&label(&cells, cell))).collect();
    for (at, name) in names.iter().enumerate() {
        let same = names.iter().take(at).filter(|other| *other == name).count();
        cells[at].name = if same == 0 { name.clone() } else { format!("{name}.{}", same + 1) };
    }
    Ok(cells)
}

/// What distinguishes a cell from the others, for people: `kata, 100M`. Its scenario where there is only one cell.
pub(crate) fn label(cells: &[Cell], cell: usize) -> String {
    let Some(of) = cells.get(cell) else { return String::new() };
    let varies = |differs: fn(&Cell, &Cell) -> bool| cells.iter().any(|other| differs(other, of));
    let mut parts = Vec::new();
    if varies(|a, b| a.scenario != b.scenario) {
        parts.push(of.scenario.clone());
    }
    if varies(|a, b| a.runtimes != b.runtimes) || of.runtimes.len() > 1 {
        parts.push(of.runtimes.join("+"));
    }
    if let Some(size) = of.size.as_ref().filter(|_| varies(|a, b| a.size != b.size)) {
        parts.push(size.label());
    }
    if parts.is_empty() { of.scenario.clone() } else { parts.join(", ") }
}

/// A text as part of the name of a directory, and of a label of Kubernetes.
fn file_name(text: &str) -> String {
    let kept = |letter: char| {
        if letter.is_ascii_alphanumeric() || ['.', '_', '+'].contains(&letter) { letter } else { '-' }
    };
    let mut name = String::new();
    for letter in text.chars().map(kept) {
        if letter != '-' || !name.ends_with('-') {
            name.push(letter);
        }
    }
    name.truncate(NAME_CHARS);
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "cell".into() } else { name.into() }
}

/// A number that is drawn anew for each of these, and always the same for the same ones.
fn drawn(seed: u64, of: &[u64]) -> u64 {
    of.iter().fold(seed, |seed, number| {
        Pcg64Mcg::seed_from_u64(seed ^ number.wrapping_add(1).wrapping_mul(GOLDEN)).random()
    })
}

/// Seed of the simulated cluster of a run; a number that JSON and YAML can have.
pub(crate) fn run_seed(seed: u64, block: u32, cell: usize) -> u64 {
    drawn(seed, &[block.into(), cell as u64]) >> 1
}

/// The cells in the order of a block.
pub(crate) fn order(cells: usize, order: Order, seed: u64, block: u32) -> Vec<usize> {
    let mut all: Vec<usize> = (0..cells).collect();
    match order {
        Order::Random => all.shuffle(&mut Pcg64Mcg::seed_from_u64(drawn(seed, &[block.into()]))),
        Order::Balanced if block.is_multiple_of(2) => all.reverse(),
        Order::Balanced => {}
    }
    all
}

/// The cells of the warm-up: the first of each scenario under each runtime.
pub(crate) fn warm_up(cells: &[Cell]) -> Vec<usize> {
    let is_same = |a: &Cell, b: &Cell| a.scenario == b.scenario && a.runtimes == b.runtimes;
    (0..cells.len()).filter(|at| !cells.iter().take(*at).any(|before| is_same(before, &cells[*at]))).collect()
}

/// The cells of a block in its order; of block 0 those of the warm-up.
pub(crate) fn of_block(record: &StudyRecord, block: u32) -> Vec<usize> {
    match block {
        0 if record.definition.warmup => warm_up(&record.cells),
        0 => Vec::new(),
        block => order(record.cells.len(), record.definition.order, record.seed, block),
    }
}

/// Runs of a cell in a block that have ended in this state.
fn ended<'r>(
    record: &'r StudyRecord,
    block: u32,
    cell: usize,
    state: RunRecordState,
) -> impl Iterator<Item = &'r RunRecord> + 'r {
    record.runs.iter().filter(move |run| run.block == block && run.cell == cell && run.state == state)
}

/// Whether a run of a cell in a block has failed before.
pub(super) fn has_failed(record: &StudyRecord, block: u32, cell: usize) -> bool {
    ended(record, block, cell, RunRecordState::Failed).next().is_some()
}

/// Failed attempts at the run of a cell in a block; none where one has succeeded. In the last block those before the study was resumed do
/// not count: their cause may be gone.
fn failures(record: &StudyRecord, block: u32, cell: usize) -> Option<usize> {
    let is_done = ended(record, block, cell, RunRecordState::Done).next().is_some();
    let is_last = record.runs.iter().all(|run| run.block <= block);
    let since = record.resumes.last().filter(|_| is_last);
    let counts = |run: &&RunRecord| since.is_none_or(|since| run.begin >= *since);
    (!is_done).then(|| ended(record, block, cell, RunRecordState::Failed).filter(counts).count())
}

/// Runs of a block that are still to come, in their order; those that failed are repeated once, at the end.
pub(crate) fn to_come(record: &StudyRecord, block: u32) -> Vec<usize> {
    let cells = of_block(record, block);
    (0..ATTEMPTS)
        .flat_map(|attempt| {
            cells.iter().copied().filter(move |cell| failures(record, block, *cell) == Some(attempt))
        })
        .collect()
}

/// Whether no cell of a block has succeeded and each has failed: more runs would fail, too.
fn all_failed(record: &StudyRecord, block: u32) -> Option<String> {
    let cells = of_block(record, block);
    let each = cells.iter().all(|cell| failures(record, block, *cell).is_some_and(|count| count > 0));
    let first = cells.iter().find_map(|cell| ended(record, block, *cell, RunRecordState::Failed).last());
    let why = first.and_then(|run| run.notes.last()).map_or("", String::as_str);
    (each && !cells.is_empty()).then(|| format!("all runs of block {block} failed: {why}"))
}

/// Whether a decision says that there are blocks enough.
pub(crate) fn is_enough(decision: &Decision) -> bool {
    decision.blocks_needed.is_some_and(|needed| needed <= decision.after_blocks)
}

/// What comes next, by what was run so far.
pub(crate) fn next(record: &StudyRecord) -> StudyStep {
    let (least, most) = record.definition.blocks.bounds();
    for block in 0..=most {
        if block > 0
            && let Some(why) = all_failed(record, block)
        {
            return StudyStep::Stop { why };
        }
        if let Some(cell) = to_come(record, block).first() {
            return StudyStep::Run { block, cell: *cell };
        }
        // Differences between blocks need two of them.
        if block < 2 || record.definition.precision.is_empty() {
            continue;
        }
        let decision = record.decisions.iter().find(|decision| decision.after_blocks == block);
        match decision {
            None => return StudyStep::Decide { block },
            Some(decision) if is_enough(decision) && block >= least && block < most => {
                let why = format!("precision reached after {} ({})", blocks(block), decision.reason);
                return StudyStep::End { why };
            }
            Some(_) => {}
        }
    }
    let last = record.decisions.last().filter(|decision| decision.after_blocks == most);
    let precision = match last {
        Some(decision) if is_enough(decision) => format!(", precision reached ({})", decision.reason),
        Some(decision) => format!(", precision not reached ({})", decision.reason),
        None => String::new(),
    };
    StudyStep::End { why: format!("{} completed{precision}", blocks(most)) }
}

pub(crate) fn blocks(number: u32) -> String {
    count(number, "block")
}

/// How many blocks there will be, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlocksExpected {
    /// So many.
    Exactly(u32),
    /// As many as the last decision expects.
    About(u32),
    /// No decision yet.
    AtLeast(u32),
    /// As many as the budget allows.
    AtMost(u32),
}

impl BlocksExpected {
    pub(crate) fn of(record: &StudyRecord) -> Self {
        let (least, most) = record.definition.blocks.bounds();
        if least == most {
            return Self::Exactly(most);
        }
        match record.decisions.last() {
            _ if record.definition.precision.is_empty() => Self::AtMost(most),
            None => Self::AtLeast(least),
            Some(Decision { blocks_needed: None, .. }) => Self::AtMost(most),
            Some(Decision { blocks_needed: Some(needed), .. }) => Self::About((*needed).clamp(least, most)),
        }
    }

    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Exactly(blocks) | Self::About(blocks) | Self::AtLeast(blocks) | Self::AtMost(blocks) => {
                blocks
            }
        }
    }

    pub(crate) fn words(self) -> String {
        match self {
            Self::Exactly(blocks) => blocks.to_string(),
            Self::About(blocks) => format!("about {blocks}"),
            Self::AtLeast(blocks) => format!("at least {blocks}"),
            Self::AtMost(blocks) => format!("at most {blocks}"),
        }
    }
}

/// Runs that are still expected, in their order, with the one under way.
pub(crate) fn remaining(record: &StudyRecord) -> Vec<(u32, usize)> {
    let blocks = BlocksExpected::of(record).number();
    let now = record.runs.iter().map(|run| run.block).max().unwrap_or_default();
    (0..=blocks.max(now))
        .flat_map(|block| to_come(record, block).into_iter().map(move |cell| (block, cell)))
        .collect()
}

/// Time that processes have worked on a study: without the gaps between the last record of one and the begin of the next.
pub(crate) fn time_spent(record: &StudyRecord, now: SystemTime) -> Duration {
    let mut known: Vec<SystemTime> = vec![record.begin.0];
    known.extend(record.resumes.iter().map(|time| time.0));
    known.extend(record.runs.iter().flat_map(|run| [Some(run.begin), run.end]).flatten().map(|time| time.0));
    known.extend(record.decisions.iter().map(|decision| decision.time.0));
    let gap = |resume: SystemTime| {
        let before = known.iter().filter(|time| **time < resume).max();
        before.and_then(|before| resume.duration_since(*before).ok()).unwrap_or_default()
    };
    let gaps: Duration = record.resumes.iter().map(|resume| gap(resume.0)).sum();
    now.duration_since(record.begin.0).unwrap_or_default().saturating_sub(gaps)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::UNIX_EPOCH;

    use ramp_format::study::STUDY_FORMAT_VERSION;
    use ramp_format::time::Time;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Time {
        Time(UNIX_EPOCH + seconds * SECOND)
    }

    fn study(text: &str) -> StudyRecord {
        let definition = StudyFile::parse(text).unwrap();
        let cells =
            cells(&definition, &["load".into()], &["runc".into(), "kata".into(), "gvisor".into()]).unwrap();
        StudyRecord {
            format_version: STUDY_FORMAT_VERSION,
            study: "20261129-120000-beef".into(),
            name: "n".into(),
            ramp_version: "0".into(),
            begin: at(0),
            end: None,
            why_ended: None,
            resumes: Vec::new(),
            definition,
            seed: 7,
            cells,
            runs: Vec::new(),
            decisions: Vec::new(),
        }
    }

    fn ran(record: &mut StudyRecord, block: u32, cell: usize, state: RunRecordState) {
        let directory = format!("runs/{block}-{cell}").into();
        let (begin, notes) = (at(0), vec!["no memory".to_owned()]);
        record.runs.push(RunRecord { block, cell, directory, state, begin, end: None, notes });
    }

    fn decide(record: &mut StudyRecord, after_blocks: u32, blocks_needed: Option<u32>) {
        record.decisions.push(Decision { time: at(0), after_blocks, blocks_needed, reason: "why".into() });
    }

    /// Runs to the end: what is run, in its order. `state` is how an attempt at a cell of a block ends.
    fn runs(
        record: &mut StudyRecord,
        state: impl Fn(u32, usize, usize) -> RunRecordState,
        needed: impl Fn(u32) -> Option<u32>,
    ) -> (Vec<(u32, usize)>, String) {
        let mut all = Vec::new();
        loop {
            match next(record) {
                StudyStep::Run { block, cell } => {
                    let attempt = all.iter().filter(|run| **run == (block, cell)).count();
                    all.push((block, cell));
                    ran(record, block, cell, state(block, cell, attempt));
                }
                StudyStep::Decide { block } => decide(record, block, needed(block)),
                StudyStep::Stop { why } | StudyStep::End { why } => return (all, why),
            }
        }
    }

    #[test]
    fn cells_are_scenarios_by_sizes_by_runtimes_and_the_first_runtime_is_the_base() {
        let definition = StudyFile::parse(
            "sizes: [{memory: 100M, limits: {memory: 200Mi}}, {memory: 500M}]\nscenarios: [{manifest: a.yaml}, {name: b/c}]\n",
        )
        .unwrap();
        let cells = cells(&definition, &["a".into(), "b/c".into()], &["runc".into(), "kata".into()]).unwrap();
        let names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "a-runc-100M-limit-200Mi",
                "a-kata-100M-limit-200Mi",
                "a-runc-500M",
                "a-kata-500M",
                "b-c-runc-100M-limit-200Mi",
                "b-c-kata-100M-limit-200Mi",
                "b-c-runc-500M",
                "b-c-kata-500M"
            ]
        );
        assert_eq!(ramp_report::study::data::base_of(&cells, 3), Some(2));
        assert_eq!(label(&cells, 3), "a, kata, 500M");
        assert_eq!(cells[0].manifest.as_deref(), Some(std::path::Path::new("a.yaml")));
        assert_eq!(warm_up(&cells), [0, 1, 4, 5], "one size each");
    }

    #[test]
    fn a_study_without_anything_is_one_cell_and_names_are_unique_and_valid() {
        let one = cells(&StudyFile::default(), &["memory-capacity".into()], &[]).unwrap();
        assert_eq!((one.len(), one[0].name.as_str()), (1, "memory-capacity"));
        let same = cells(&StudyFile::default(), &["load".into()], &["a/b".into(), "a:b".into()]).unwrap();
        assert_eq!((same[0].name.as_str(), same[1].name.as_str()), ("a-b", "a-b.2"));
        assert!(cells(&StudyFile::default(), &["a".into(), "a".into()], &[]).unwrap_err().contains("twice"));
    }

    #[test]
    fn blocks_are_drawn_from_the_seed_or_reversed_in_turn() {
        let random = |seed, block| order(5, Order::Random, seed, block);
        assert_eq!(random(1, 1), random(1, 1));
        assert_eq!((1..50).map(|block| random(1, block)).collect::<BTreeSet<_>>().len(), 40, "of 120");
        assert_ne!(
            (1..9).map(|b| random(1, b)).collect::<Vec<_>>(),
            (1..9).map(|b| random(2, b)).collect::<Vec<_>>()
        );
        // Each cell is as often the first.
        let first = (0..1000).filter(|block| random(3, *block)[0] == 0).count();
        assert!((150..250).contains(&first), "{first}");
        assert_eq!(order(3, Order::Balanced, 1, 1), [0, 1, 2]);
        assert_eq!(order(3, Order::Balanced, 9, 2), [2, 1, 0]);
        let seeds: BTreeSet<u64> =
            (0..20).flat_map(|block| (0..20).map(move |cell| run_seed(7, block, cell))).collect();
        assert_eq!(seeds.len(), 400);
    }

    #[test]
    fn each_block_has_each_cell_once_after_the_warm_up() {
        let mut record = study("blocks: 3\nsizes: [{memory: 100M}, {memory: 200M}]\n");
        let (all, why) = runs(&mut record, |_, _, _| RunRecordState::Done, |_| None);
        assert_eq!((all.len(), why.as_str()), (3 + 3 * 6, "3 blocks completed"));
        assert_eq!(all[..3].to_vec(), [(0, 0), (0, 1), (0, 2)]);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(record.whole_blocks(), 3);
    }

    #[test]
    fn a_study_that_is_cut_off_anywhere_goes_on_as_if_it_was_not() {
        let whole = runs(&mut study("blocks: 3\n"), |_, _, _| RunRecordState::Done, |_| None).0;
        for cut in 0..whole.len() {
            let mut record = study("blocks: 3\n");
            for (block, cell) in &whole[..cut] {
                ran(&mut record, *block, *cell, RunRecordState::Done);
            }
            ran(&mut record, whole[cut].0, whole[cut].1, RunRecordState::CutOff);
            assert_eq!(runs(&mut record, |_, _, _| RunRecordState::Done, |_| None).0, whole[cut..]);
        }
    }

    #[test]
    fn a_run_that_fails_is_repeated_once_at_the_end_of_its_block() {
        let state = |block, cell, attempt| {
            let fails = block == 1 && (cell == 0 || cell == 1 && attempt == 0);
            if fails { RunRecordState::Failed } else { RunRecordState::Done }
        };
        let mut record = study("warmup: false\norder: balanced\nblocks: 2\n");
        let (all, _) = runs(&mut record, state, |_| None);
        assert_eq!(all, [(1, 0), (1, 1), (1, 2), (1, 0), (1, 1), (2, 2), (2, 1), (2, 0)]);
        let mut record = study("warmup: false\n");
        let (all, why) = runs(&mut record, |_, _, _| RunRecordState::Failed, |_| None);
        assert_eq!((all.len(), why.as_str()), (3, "all runs of block 1 failed: no memory"));
        record.resumes.push(at(50));
        assert_eq!(to_come(&record, 1).len(), 3, "the cause may be gone");
    }

    #[test]
    fn blocks_go_on_until_a_decision_says_that_they_are_enough() {
        let text = "warmup: false\nblocks: {least: 3, most: 8}\nprecision: 2%\n";
        let last = |needed: &dyn Fn(u32) -> Option<u32>| {
            let mut record = study(text);
            let (all, why) = runs(&mut record, |_, _, _| RunRecordState::Done, needed);
            (all.last().unwrap().0, record.decisions.len(), why)
        };
        assert_eq!(last(&|_| Some(2)), (3, 2, "precision reached after 3 blocks (why)".into()));
        assert_eq!(last(&|block| Some(block.max(5))).0, 5);
        assert_eq!(last(&|_| None), (8, 7, "8 blocks completed, precision not reached (why)".into()));
    }

    #[test]
    fn the_blocks_expected_are_those_of_the_last_decision_within_the_bounds() {
        let mut record = study("warmup: false\nblocks: {least: 3, most: 8}\nprecision: 2%\n");
        assert_eq!(BlocksExpected::of(&record), BlocksExpected::AtLeast(3));
        assert_eq!(remaining(&record).len(), 9);
        decide(&mut record, 2, Some(40));
        assert_eq!(BlocksExpected::of(&record), BlocksExpected::About(8));
        decide(&mut record, 3, Some(2));
        assert_eq!(BlocksExpected::of(&record).words(), "about 3");
        assert_eq!(BlocksExpected::of(&study("blocks: 4\n")).words(), "4");
    }

    #[test]
    fn gaps_between_processes_are_not_spent() {
        let mut record = study("warmup: false\n");
        ran(&mut record, 1, 0, RunRecordState::Done);
        record.runs[0].end = Some(at(60));
        assert_eq!(time_spent(&record, at(100).0), 100 * SECOND);
        record.resumes.push(at(4000));
        assert_eq!(time_spent(&record, at(4010).0), 70 * SECOND);
    }
}

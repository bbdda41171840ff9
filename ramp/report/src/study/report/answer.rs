//! Answers of a study: each comparison of two cells, in sentences.

use super::naming::{engine, label, label_with_size};
use super::words::{blocks, duration, ends, interval, list, p_value, plain_p, value};
use crate::analysis::Estimate;
use crate::analysis::comparison::PerPod;
use crate::report::format;
use crate::stats::{FEWEST_FOR_DRIFT, Interval, PermutationTest};
use crate::study::capacity::capacity_sentences;
use crate::study::comparison::{
    FEW_BLOCKS, FigureComparison, ROUNDING_DEVIATION, StartupComparison, usual_margin,
};
use crate::study::data::{ComparedCells, StudyData};
use crate::study::figure::{MEMORY_PER_INSTANCE, STARTUP_MEAN, STUDY_FIGURES, StudyFigure, StudyUnit, Topic};
use crate::study::search::{HELD_95, SearchDifference, cell_search};
use crate::study::verdict::{RISK, Verdict, most_advised};
use ramp_format::plan::EngineKind;
use ramp_format::study::Tolerance;
use ramp_format::text::count;

/// Fewer blocks than this are told to be few.
const FEWEST_FOR_TRUST: usize = 4;

/// A cell, compared with the base of its scenario and size.
#[derive(Clone, Debug)]
pub struct ComparedReport {
    /// Both, figure by figure.
    pub compared: ComparedCells,
    /// What the base is called.
    pub base: String,
    /// What the other one is called.
    pub other: String,
    /// Each figure, in the order of [`STUDY_FIGURES`].
    pub answers: Vec<FigureAnswer>,
    /// The startups as a whole.
    pub startups: Estimate<String>,
    /// The same in a line; none where they are not compared.
    pub startups_short: Option<String>,
    /// Instances that startups know little of, in a sentence.
    pub waiting: Option<String>,
    /// How the drift of the cluster was dealt with, in sentences.
    pub drift: Vec<String>,
    /// What no interval allows for, in sentences.
    pub caveats: Vec<String>,
    /// How many more hold with a probability of 95 %, where both are searched for.
    pub search: Option<Estimate<SearchDifference>>,
    /// The same in a sentence.
    pub search_sentence: Option<String>,
    /// Requests and capacities, in sentences.
    pub capacities: Vec<String>,
}

/// What a study says of one figure of two cells.
#[derive(Clone, Debug)]
pub struct FigureAnswer {
    /// The figure.
    pub figure: &'static StudyFigure,
    /// What it is called, with the time up to which it counts.
    pub title: String,
    /// The answer.
    pub sentence: String,
    /// The same in a line, after the title of the figure; none where it cannot be compared.
    pub short: Option<String>,
    /// The difference within the only run, of a mixed study.
    pub within_run: Option<PerPod>,
    /// What can be said; none where it cannot be compared.
    pub verdict: Option<Verdict>,
    /// Ratio and p-values; empty where it cannot be compared.
    pub statistics: String,
    /// What limits the answer, in sentences.
    pub notes: Vec<String>,
}

/// One-sided and two-sided p-values of a permutation test, with the least that each can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PermutationPValue {
    /// p-value of no difference in either direction.
    pub p: f64,
    /// The least that it can be with so many blocks.
    pub least: f64,
}

impl PermutationPValue {
    /// In either direction, as the verdicts are.
    #[must_use]
    pub fn of(test: &PermutationTest) -> Self {
        // Of all relabellings two differ as much as any: the one that swaps no block, and the one that swaps all of them.
        let least = if test.is_exact { 2.0 * test.least } else { test.least };
        Self { p: test.two_sided, least: least.min(1.0) }
    }

    fn text(self, test: &PermutationTest, count_of: u32) -> String {
        let Self { p, least } = self;
        let one_sided = plain_p(test.one_sided);
        let can_show = format!("{} can show", count(count_of, "block"));
        match p <= least * (1.0 + 1e-9) {
            true => {
                format!("permutation p {} (one-sided {one_sided}), the least that {can_show}", p_value(p))
            }
            false => format!(
                "permutation p {} (one-sided {one_sided}; the least that {can_show} is {})",
                p_value(p),
                plain_p(least)
            ),
        }
    }
}

impl FigureAnswer {
    /// Whether it is no detail, or differs.
    #[must_use]
    pub fn is_main(&self) -> bool {
        !self.figure.topic.is_detail() || self.verdict == Some(Verdict::Differs)
    }

    /// What the answer rests on, and what limits it.
    pub fn details(&self) -> impl Iterator<Item = &String> {
        [&self.statistics].into_iter().chain(&self.notes).filter(|part| !part.is_empty())
    }

    /// The class of its verdict, for styles.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self.verdict {
            Some(Verdict::Differs) => "differs",
            Some(Verdict::NoLargerThan(_)) => "no-larger",
            Some(Verdict::CannotTell(_)) => "cannot-tell",
            None if self.within_run.is_some() => "cannot-tell",
            None => "not-compared",
        }
    }
}

impl ComparedReport {
    /// Why nothing is compared, where it is the same for all figures.
    #[must_use]
    pub fn not_compared(&self) -> Option<String> {
        if self.answers.iter().any(|answer| answer.within_run.is_some()) {
            return None;
        }
        let figures = self.compared.comparison.figures.iter();
        let reasons: Vec<&str> =
            figures.map(|figure| figure.as_ref().err().map(|why| why.0.as_str())).collect::<Option<_>>()?;
        let first = *reasons.first()?;
        // With fewer than two blocks there is nothing else to be said of any figure.
        let is_of_blocks = first.starts_with(FEW_BLOCKS);
        let is_same = reasons.iter().all(|why| *why == first || is_of_blocks && why.starts_with(FEW_BLOCKS));
        is_same.then(|| format!("{} is not compared with {}: {first}", self.other, self.base))
    }

    /// The answer on the first figure, for a heading.
    #[must_use]
    pub fn heading(&self) -> String {
        match self.answers.first() {
            Some(answer) => answer.sentence.clone(),
            None => format!("{} against {}", self.other, self.base),
        }
    }

    /// The figures that are compared.
    pub fn compared_answers(&self) -> impl Iterator<Item = &FigureAnswer> {
        self.answers.iter().filter(|answer| answer.short.is_some() || answer.within_run.is_some())
    }

    /// Of these, what a page shows at first: details only where they differ.
    pub fn main_answers(&self) -> impl Iterator<Item = &FigureAnswer> {
        self.compared_answers().filter(|answer| answer.is_main())
    }

    /// Which figures are not compared; none where all are.
    #[must_use]
    pub fn missing_text(&self) -> Option<String> {
        let missing = self.answers.iter().filter(|answer| !answer.figure.topic.is_detail());
        let missing = missing.filter(|answer| answer.short.is_none() && answer.within_run.is_none());
        let missing: Vec<String> = missing.map(|answer| answer.figure.title.to_owned()).collect();
        (!missing.is_empty()).then(|| format!("not compared: {}", list(&missing)))
    }

    /// The class of the first answer, for styles.
    #[must_use]
    pub fn class(&self) -> &'static str {
        self.answers.first().map_or("not-compared", FigureAnswer::class)
    }

    /// What can be said of the startups as a whole, or why nothing.
    #[must_use]
    pub fn startups_text(&self) -> String {
        self.startups.clone().unwrap_or_else(|why| format!("not compared: {}", why.0))
    }

    /// The answers of a comparison.
    #[must_use]
    pub fn of(data: &StudyData, compared: ComparedCells) -> Self {
        let cells = &data.cells;
        let context = Context {
            data,
            compared: &compared,
            engine: engine(data),
            base: label(cells, compared.base),
            other: label(cells, compared.other),
        };
        let figures = &compared.comparison.figures;
        let answers = STUDY_FIGURES.iter().zip(figures).enumerate();
        let answers = answers.map(|(at, (figure, found))| context.answer(at, figure, found)).collect();
        let found = &compared.comparison.startups;
        let startups = found.clone().map(|startups| context.startups(startups));
        let startups_short = found.as_ref().ok().map(|startups| context.startups_short(*startups));
        let (waiting, drift, caveats) = (context.waiting(), context.drift(), context.caveats());
        let search = context.search();
        let search_sentence = search.as_ref().map(|found| context.search_sentence(found));
        let names = [compared.base, compared.other].map(|cell| label_with_size(cells, cell));
        let capacities = capacity_sentences(data, [compared.base, compared.other], &names);
        let Context { base, other, .. } = context;
        Self {
            base,
            other,
            answers,
            startups,
            startups_short,
            waiting,
            drift,
            caveats,
            search,
            search_sentence,
            capacities,
            compared,
        }
    }
}

/// What sentences on a comparison need.
struct Context<'d> {
    data: &'d StudyData,
    compared: &'d ComparedCells,
    engine: EngineKind,
    base: String,
    other: String,
}

impl Context<'_> {
    fn answer(
        &self,
        at: usize,
        figure: &'static StudyFigure,
        found: &Estimate<FigureComparison>,
    ) -> FigureAnswer {
        match found {
            Ok(found) => FigureAnswer {
                figure,
                title: title(self.data, self.compared.base, figure),
                sentence: self.sentence(found),
                short: Some(self.short(found)),
                within_run: None,
                verdict: Some(found.verdict),
                statistics: self.statistics(found),
                notes: self.notes(at, found),
            },
            Err(why) => {
                let within_run = self.within_run(figure);
                FigureAnswer {
                    figure,
                    title: title(self.data, self.compared.base, figure),
                    sentence: match within_run {
                        Some(found) => self.sentence_within_run(found),
                        None => format!("{}: not compared: {}.", figure.title, self.not_compared(at, &why.0)),
                    },
                    short: None,
                    within_run,
                    verdict: None,
                    statistics: String::new(),
                    notes: Vec::new(),
                }
            }
        }
    }

    /// What the only run of a mixed study says of the memory that each takes more.
    fn within_run(&self, figure: &StudyFigure) -> Option<PerPod> {
        let runs = self.data.runs_of(self.compared.other);
        let [run] = runs.as_slice() else { return None };
        let group = run.group.filter(|_| figure.name == MEMORY_PER_INSTANCE)?;
        run.results.mixed.get(group)?.overhead.as_ref()?.as_ref().ok().copied()
    }

    fn sentence_within_run(&self, PerPod { bytes, interval: within }: PerPod) -> String {
        let is_more = bytes >= 0.0;
        format!(
            "{} takes {} {} per {} than {} ({}, within one mixed run: how much runs differ is unknown).",
            self.other,
            value(StudyUnit::Bytes, self.engine, bytes.abs()),
            pick(is_more, "more", "less"),
            self.engine.instance(),
            self.base,
            interval(StudyUnit::Bytes, of_size(within, is_more)),
        )
    }

    /// Begins as its verdict is.
    fn sentence(&self, found: &FigureComparison) -> String {
        let seen = self.difference(found);
        let title = found.figure.title;
        if found.figure.is_exact() && found.difference.difference.mean == 0.0 {
            let blocks = count(found.difference.blocks as u32, "block");
            return format!("no difference in {title} (the same in each of {blocks}).");
        }
        match found.verdict {
            Verdict::Differs => format!("{seen}."),
            Verdict::NoLargerThan(margin) => {
                let margin_of = self.data.record.definition.margin.of(found.figure.name);
                let share = match margin_of.unwrap_or_else(|| usual_margin(found.figure)) {
                    Tolerance::Absolute(_) => String::new(),
                    Tolerance::Share(share) => self.share_of_base(share),
                };
                let margin = value(found.figure.unit, self.engine, margin);
                let narrower = found.difference.difference.interval(1.0 - 2.0 * RISK);
                let is_outside = found.interval.low < -found.margin || found.interval.high > found.margin;
                let rests_on = match is_outside {
                    true => format!(
                        "; the answer has a risk of 5% and rests on the 90% CI, {}",
                        ends(found.figure.unit, narrower)
                    ),
                    false => String::new(),
                };
                format!("no difference larger than {margin}{share} in {title}: {seen}{rests_on}.")
            }
            Verdict::CannotTell(more) => {
                let more = match self.advice(more) {
                    Ok(more) => format!(
                        "{more} more {} would probably tell, if the difference is what it seems",
                        pick(more == 1, "block", "blocks")
                    ),
                    Err(most) => format!(
                        "a difference as small as seen ({}) would need far more blocks than planned (> {most})",
                        self.amount(found)
                    ),
                };
                format!("cannot tell yet whether {title} differs: {seen}; {more}.")
            }
        }
    }

    fn search(&self) -> Option<Estimate<SearchDifference>> {
        let of = |cell: usize| cell_search(self.data, cell);
        let (base, other) = (of(self.compared.base)?, of(self.compared.other)?);
        Some(SearchDifference::of(&base, &other, [&self.base, &self.other]))
    }

    fn search_sentence(&self, found: &Estimate<SearchDifference>) -> String {
        let found = match found {
            Ok(found) => found,
            Err(why) => return format!("{HELD_95}: not compared: {}.", why.0),
        };
        let is_more = found.instances >= 0.0;
        let seen = format!(
            "{} {} {} of {} than of {} hold with a probability of 95% ({})",
            format::number(found.instances.abs()),
            pick(is_more, "more", "fewer"),
            self.engine.instances(),
            self.other,
            self.base,
            interval(StudyUnit::Instances, of_size(found.interval, is_more))
        );
        match found.is_told() {
            true => format!("{seen}."),
            false => format!("cannot tell yet whether as many hold with a probability of 95%: {seen}."),
        }
    }

    /// More blocks that are worth a try, or the most that are.
    fn advice(&self, more: Option<u32>) -> Result<u32, u32> {
        let most = most_advised(&self.data.record.definition);
        more.filter(|more| *more <= most).ok_or(most)
    }

    /// The size of the difference, with its unit.
    fn amount(&self, found: &FigureComparison) -> String {
        value(found.figure.unit, self.engine, found.difference.difference.mean.abs())
    }

    /// The answer in a line.
    fn short(&self, found: &FigureComparison) -> String {
        let unit = found.figure.unit;
        let is_more = found.difference.difference.mean >= 0.0;
        let word = match unit {
            StudyUnit::Seconds if found.figure.topic != Topic::Cpu => pick(is_more, "longer", "shorter"),
            StudyUnit::Seconds => pick(is_more, "more", "less"),
            StudyUnit::Bytes | StudyUnit::Cores | StudyUnit::PerSecond => pick(is_more, "more", "less"),
            StudyUnit::Instances => pick(is_more, "more", "fewer"),
        };
        let shown = of_size(found.interval, is_more);
        let within = match shown.low == shown.high {
            true => format!("the same in each of {}", count(found.difference.blocks as u32, "block")),
            false => ends(unit, shown),
        };
        let seen = match found.difference.difference.mean == 0.0 {
            true => format!("none seen ({within})"),
            false => format!("{} {word} ({within})", self.amount(found)),
        };
        match found.verdict {
            _ if found.figure.is_exact() => seen,
            Verdict::Differs => format!("differs: {seen}"),
            Verdict::NoLargerThan(margin) => {
                format!("no difference larger than {}: {seen}", value(unit, self.engine, margin))
            }
            Verdict::CannotTell(more) => match self.advice(more) {
                Ok(more) => format!("cannot tell: {seen}; {} would probably tell", count(more, "more block")),
                Err(most) => format!("cannot tell: {seen}; would need > {most} more blocks"),
            },
        }
    }

    /// What no interval allows for.
    fn caveats(&self) -> Vec<String> {
        let blocks = self.blocks();
        let number = blocks.len();
        let mut caveats: Vec<String> = self.first_instances().into_iter().collect();
        if (2..FEWEST_FOR_TRUST).contains(&number) {
            caveats.push(format!(
                "intervals rest on the spread of {number} differences alone, which may lie close by chance"
            ));
        }
        caveats.extend(self.order(&blocks));
        caveats.extend(self.waiting());
        caveats
    }

    /// That one of the two came first in each block.
    fn order(&self, blocks: &[(u32, f64)]) -> Option<String> {
        let first = self.came_first(blocks).filter(|_| blocks.len() > 1)?;
        let mut measured =
            self.compared.comparison.figures.iter().flatten().filter(|found| !found.figure.is_exact());
        let is_removed = measured.all(|found| found.difference.is_drift_removed);
        Some(one_sided(first, (!is_removed).then_some("")))
    }

    /// Which of the two came first in each block, where one did.
    fn came_first(&self, blocks: &[(u32, f64)]) -> Option<&str> {
        match blocks {
            _ if blocks.iter().all(|(_, later)| *later > 0.0) => Some(&self.base),
            _ if blocks.iter().all(|(_, later)| *later < 0.0) => Some(&self.other),
            _ => None,
        }
    }

    fn share_of_base(&self, share: f64) -> String {
        format!(" ({}% of {})", format::number(100.0 * share), self.base)
    }

    /// What was seen, with its interval and the number of blocks.
    fn difference(&self, found: &FigureComparison) -> String {
        let mean = found.difference.difference.mean;
        let is_more = mean >= 0.0;
        let shown = of_size(found.interval, is_more);
        let amount = self.amount(found);
        let blocks = count(found.difference.blocks as u32, "block");
        let within = match shown.low == shown.high {
            true => format!("the same in each of {blocks}"),
            false => format!("{}, {blocks}", interval(found.figure.unit, shown)),
        };
        let (base, other) = (&self.base, &self.other);
        let instance = self.engine.instance();
        let phrase = match found.figure.name {
            MEMORY_PER_INSTANCE => {
                format!("{other} takes {amount} {} per {instance} than {base}", pick(is_more, "more", "less"))
            }
            "instances_held" if mean == 0.0 => {
                format!("{other} holds as many {} as {base}", self.engine.instances())
            }
            "instances_held" => {
                format!("{other} holds {amount} {} than {base}", pick(is_more, "more", "fewer"))
            }
            _ if found.figure.topic == Topic::Cpu => {
                let more = pick(is_more, "more", "less");
                format!("{} is {amount} {more} under {other} than under {base}", found.figure.title)
            }
            _ if found.figure.unit == StudyUnit::Seconds => {
                let limit = self.limit(found.figure);
                let longer = pick(is_more, "longer", "shorter");
                format!(
                    "the {}{limit} is {amount} {longer} under {other} than under {base}",
                    found.figure.title
                )
            }
            _ => {
                let is_counted = found.figure.unit == StudyUnit::Instances;
                let more = pick(is_more, "more", pick(is_counted, "fewer", "less"));
                format!("{} is {amount} {more} under {other} than under {base}", found.figure.title)
            }
        };
        format!("{phrase} ({within})")
    }

    /// Up to which time means of startups count.
    fn limit(&self, figure: &StudyFigure) -> String {
        match startup_limit(self.data, self.compared.base, figure) {
            Some(limit) => format!(", each counted up to {limit},"),
            None => String::new(),
        }
    }

    fn statistics(&self, found: &FigureComparison) -> String {
        if found.figure.is_exact() {
            return "counted before the runs, not measured".into();
        }
        let ratio = found.ratio.map(|(ratio, Interval { low, high })| {
            let within = if low == high { String::new() } else { format!(" ({low:.3} to {high:.3})") };
            format!("{ratio:.3} times {}{within}", self.base)
        });
        let figures = self.compared.comparison.adjusted_for(found.figure.topic);
        let adjusted = match figures {
            1 => String::new(),
            _ => format!(", adjusted for {figures} figures (Holm) {}", plain_p(found.adjusted_p)),
        };
        let test = &found.permutation;
        let blocks = found.difference.blocks as u32;
        let permutation = PermutationPValue::of(test).text(test, blocks);
        let parts = [ratio, Some(format!("p {}{adjusted}", p_value(found.p_value))), Some(permutation)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    fn notes(&self, at: usize, found: &FigureComparison) -> Vec<String> {
        let mut notes = Vec::new();
        let is_count = found.figure.unit == StudyUnit::Instances && !found.figure.is_exact();
        if is_count && found.difference.deviation <= ROUNDING_DEVIATION {
            notes.push("the interval allows for counts being whole numbers".into());
        }
        let blocks_of_it = found.difference.blocks;
        if blocks_of_it < FEWEST_FOR_TRUST {
            notes.push(format!(
                "the interval rests on the spread of {blocks_of_it} differences alone, which may lie close by chance"
            ));
        }
        if found.figure.name == MEMORY_PER_INSTANCE {
            notes.extend(self.first_instances());
        }
        if !found.missing.is_empty() {
            let without: Vec<u32> = found.missing.iter().map(|(block, _)| *block).collect();
            notes.push(format!("without {}: {}", blocks(&without), self.missing(at)));
        }
        notes
    }

    /// Why a figure is not compared.
    fn not_compared(&self, at: usize, why: &str) -> String {
        match self.missing(at) {
            missing if missing.is_empty() => why.to_owned(),
            missing => format!("fewer than two blocks have it for both; {missing}"),
        }
    }

    /// Runs of either cell that lack a figure, and why.
    fn missing(&self, at: usize) -> String {
        let of = |cell: usize, name: &str| {
            let runs = self.data.runs_of(cell);
            let missing =
                runs.iter().filter_map(|run| Some((run.figures.block, run.figures.figures.get(at)?)));
            let missing: Vec<(u32, &str)> = missing
                .filter_map(|(block, figure)| Some((block, figure.as_ref().err()?.0.as_str())))
                .collect();
            missing_of(&missing, runs.len()).map(|missing| format!("{name}: {missing}"))
        };
        let both = [of(self.compared.base, &self.base), of(self.compared.other, &self.other)];
        both.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    fn startups(&self, found: StartupComparison) -> String {
        let blocks = self.blocks().len() as u32;
        let faster = pick(found.z >= 0.0, "faster", "slower");
        let test = PermutationPValue::of(&found.permutation);
        let whether = match test.p <= RISK {
            true => String::new(),
            false if test.least > RISK => {
                format!("{} cannot tell by this test whether ", count(blocks, "block"))
            }
            false => "cannot tell whether ".to_owned(),
        };
        format!(
            "{whether}{} of {} start {faster} than of {}: z {:.1}; {}",
            self.engine.instances(),
            self.other,
            self.base,
            found.z,
            test.text(&found.permutation, blocks)
        )
    }

    fn startups_short(&self, found: StartupComparison) -> String {
        let faster = pick(found.z >= 0.0, "faster", "slower");
        match PermutationPValue::of(&found.permutation).p <= RISK {
            true => format!(
                "differ: {} of {} start {faster} (log-rank test)",
                self.engine.instances(),
                self.other
            ),
            false if PermutationPValue::of(&found.permutation).least > RISK => {
                format!("{} are too few to tell (log-rank test)", count(self.blocks().len() as u32, "block"))
            }
            false => "cannot tell (log-rank test)".to_owned(),
        }
    }

    /// Instances that were not seen to hold their memory: what startups say of them depends on how long they were watched.
    fn waiting(&self) -> Option<String> {
        let of = |cell: usize, name: &str| {
            let runs = self.data.runs_of(cell);
            let all = runs.iter().flat_map(|run| &run.figures.startups);
            let waiting = all.clone().filter(|took| !took.ended).count();
            (waiting > 0)
                .then(|| format!("{waiting} of {} {} of {name}", all.count(), self.engine.instances()))
        };
        let both = [of(self.compared.base, &self.base), of(self.compared.other, &self.other)];
        let both: Vec<String> = both.into_iter().flatten().collect();
        (!both.is_empty()).then(|| {
            format!(
                "{} were not seen to hold their memory: startups count them as longer than they were watched",
                list(&both)
            )
        })
    }

    /// Memory that the first instance on a node takes once, where runs do not tell it from what each takes.
    fn first_instances(&self) -> Option<String> {
        let of = |cell: usize| {
            let costs = self.data.runs_of(cell);
            let first: Vec<f64> =
                costs.iter().filter_map(|run| Some(run.memory().ok()?.systematic.first)).collect();
            first.iter().sum::<f64>() / first.len().max(1) as f64
        };
        let [base, other] = [self.compared.base, self.compared.other].map(of);
        let amount = |bytes: f64| value(StudyUnit::Bytes, self.engine, bytes);
        let ends = [
            (other > 0.0).then(|| format!("up to {} less", amount(other))),
            (base > 0.0).then(|| format!("up to {} more", amount(base))),
        ];
        let ends: Vec<String> = ends.into_iter().flatten().collect();
        (!ends.is_empty()).then(|| {
            format!(
                "runs do not tell what the first {} on a node takes once from what each takes: the true difference may be {}",
                self.engine.instance(),
                ends.join(", or ")
            )
        })
    }

    /// Blocks that have a run of both, with the time by which that of the other one began later.
    fn blocks(&self) -> Vec<(u32, f64)> {
        let others = self.data.runs_of(self.compared.other);
        let pair = |base: &&crate::study::data::MeasuredRun| {
            let other = others.iter().find(|other| other.figures.block == base.figures.block)?;
            Some((base.figures.block, other.figures.begin_seconds - base.figures.begin_seconds))
        };
        self.data.runs_of(self.compared.base).iter().filter_map(pair).collect()
    }

    fn drift(&self) -> Vec<String> {
        let blocks = self.blocks();
        // Within a mixed run the drift of the machines is the same for all.
        if blocks.len() < 2 || self.data.record.definition.mix {
            return Vec::new();
        }
        let all = self.compared.comparison.figures.iter().flatten();
        let figures: Vec<&FigureComparison> = all.filter(|found| !found.figure.is_exact()).collect();
        let removed: Vec<String> = figures.iter().filter_map(|found| self.removed_drift(found)).collect();
        let kept: Vec<String> = figures
            .iter()
            .filter(|found| !found.difference.is_drift_removed)
            .map(|found| found.figure.title.to_owned())
            .collect();
        let mut sentences = Vec::new();
        if !removed.is_empty() {
            let over = duration(self.span_seconds());
            sentences.push(format!(
                "drift over {over}, removed from the differences (not from ratios and permutation tests): {}",
                removed.join("; ")
            ));
        }
        let first = self.came_first(&blocks);
        if kept.is_empty() {
            sentences.extend(first.map(|first| one_sided(first, None)));
            return sentences;
        }
        let of = if removed.is_empty() { String::new() } else { format!(" in {}", list(&kept)) };
        if let Some(first) = first {
            sentences.push(one_sided(first, Some(&of)));
        } else if blocks.len() < FEWEST_FOR_DRIFT {
            sentences.push(format!(
                "drift{of}: not separable with {} ({FEWEST_FOR_DRIFT} are needed); not removed, so that it widens the intervals",
                count(blocks.len() as u32, "block")
            ));
        } else {
            sentences.push(format!("drift{of}: not removed; it widens the intervals"));
        }
        sentences
    }

    fn removed_drift(&self, found: &FigureComparison) -> Option<String> {
        let drift = found.difference.drift.filter(|_| found.difference.is_drift_removed)?;
        let span = self.span_seconds();
        let within = drift.interval(0.95);
        let within = Interval { low: within.low * span, high: within.high * span };
        let sign = if drift.mean < 0.0 { "" } else { "+" };
        let amount = value(found.figure.unit, self.engine, drift.mean * span);
        let ci = interval(found.figure.unit, within);
        Some(match within.low < within.high {
            true if within.contains(0.0) => format!("{} cannot tell ({ci})", found.figure.title),
            true => format!("{} {sign}{amount} ({ci})", found.figure.title),
            false => format!("{} {sign}{amount}", found.figure.title),
        })
    }

    /// From the begin of the first run to that of the last one.
    fn span_seconds(&self) -> f64 {
        let is_of = |cell: usize| cell == self.compared.base || cell == self.compared.other;
        let begins = self.data.runs.iter().filter(|run| is_of(run.cell)).map(|run| run.figures.begin_seconds);
        let (first, last) =
            begins.fold((f64::MAX, f64::MIN), |(first, last), at| (first.min(at), last.max(at)));
        (last - first).max(0.0)
    }
}

/// Reasons, each with the blocks of the runs that have it.
pub(super) fn by_reason<'r>(missing: &[(u32, &'r str)]) -> Vec<(&'r str, Vec<u32>)> {
    let mut reasons: Vec<(&str, Vec<u32>)> = Vec::new();
    for (block, why) in missing {
        match reasons.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, blocks)) => blocks.push(*block),
            None => reasons.push((why, vec![*block])),
        }
    }
    reasons
}

/// Runs that lack a figure, with the reasons, of which each stands once. None where none does.
pub(super) fn missing_of(missing: &[(u32, &str)], runs: usize) -> Option<String> {
    let reasons = by_reason(missing);
    let reason = |(why, of): &(&str, Vec<u32>)| match of.len() == runs {
        true => format!("in all of {}, {why}", count(runs as u32, "run")),
        false => format!("in {}, {why}", blocks(of)),
    };
    (!reasons.is_empty()).then(|| reasons.iter().map(reason).collect::<Vec<_>>().join("; "))
}

/// Up to which time a figure counts startups, where it does and some had not ended.
pub(super) fn startup_limit(data: &StudyData, cell: usize, figure: &StudyFigure) -> Option<String> {
    data.startup_limit(cell).filter(|_| figure.name == STARTUP_MEAN).map(format::seconds)
}

/// What a figure is called, with the time up to which it counts.
pub(super) fn title(data: &StudyData, cell: usize, figure: &StudyFigure) -> String {
    match startup_limit(data, cell, figure) {
        Some(limit) => format!("{} (up to {limit})", figure.title),
        None => figure.title.to_owned(),
    }
}

/// What a drift does to differences where one of two cells came first in each block: to those that are named, or to none.
fn one_sided(first: &str, of: Option<&str>) -> String {
    let what = match of {
        None => "of a drift only the trend of the runs of each is removed".to_owned(),
        Some(of) => format!(
            "a drift of the cluster would be part of the differences{of}, and no interval allows for it"
        ),
    };
    format!("{first} came first in each block: {what}")
}

/// The interval of the size of a difference: of what is less, how much less.
fn of_size(interval: Interval, is_more: bool) -> Interval {
    if is_more { interval } else { interval.negated() }
}

fn pick(is_first: bool, first: &'static str, second: &'static str) -> &'static str {
    if is_first { first } else { second }
}

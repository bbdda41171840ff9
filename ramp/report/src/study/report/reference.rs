//! The reference of a study's figures, for docs/report.md.

use crate::study::figure::{STUDY_FIGURES, StudyFigure, StudyUnit};

/// The section, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let row = |figure: &StudyFigure| {
        let unit = match figure.unit {
            StudyUnit::Bytes => "bytes",
            StudyUnit::Instances => "instances",
            StudyUnit::Seconds => "seconds",
            StudyUnit::Cores => "cores",
            StudyUnit::PerSecond => "starts per second",
        };
        format!("| `{}` | {unit} | {} |\n", figure.name, figure.definition)
    };
    let rows: String = STUDY_FIGURES.iter().map(row).collect();
    format!("{BEFORE}\n| figure | unit | definition |\n|---|---|---|\n{rows}{AFTER}")
}

const BEFORE: &str = "\
## Of a study

`ramp report DIR` of the directory of a study states these figures of each run, their mean in each cell, and their difference between
the cells of one scenario and size, within blocks. `precision` and `margin` of a study file name them in the same way. `--assert` takes
each as the mean of every cell (`memory_per_instance<=520M`), and, for every comparison, as its difference
(`memory_per_instance_difference<=130Mi`) or ratio (`memory_per_instance_ratio<=2`).

Each comparison has one of three answers. *Differs*: p, adjusted for the figures of the comparison (Holm), is at most 5 %. *No difference
larger than* the margin, at a risk of 5 % (two one-sided tests), which comes first: a difference within the margin is of no consequence.
*Cannot tell yet* else, with the number of blocks that would probably tell if the difference is what it seems; where that is more than
100, and more than planned, it says so instead. p-values are not adjusted for the number of comparisons. A drift of the cluster is a term
of the difference from five blocks on.

The terminal has the answer of each comparison, a row for each cell and, as far as a screen has room, a line for each figure of a
comparison. `--verbose` has all of it, with ratios, p-values, startup curves, drift and every run, as the page and `--json` always have.

*Mixed runs* (`mix: true`): each runtime is a cell; memory of each is from one regression on the instances of all, and its difference
from that of the first runtime is taken within each run. The interval is over runs; that of a study of one run is the one within it.

*Searches*: the number that holds with a probability of 95 % is estimated from the climbs of all runs of a cell together, unless runs
differ by more than their climbs scatter (p ≤ 1 %, by relabelling climbs). The interval of the difference of two cells is made from the
intervals of both (Zou and Donner, 2008).

*Overhead by size*: `overhead_fixed` and `overhead_per_limit` (for `--assert`, of each runtime but the base) are the coefficients of
overhead = fixed + share × memory limit, with a term for CPU limits where sizes tell it apart. Least squares with equal weights is fitted in
each block; the interval of a coefficient, and of the line at any limit, is that of the mean over blocks (Student's distribution), so
that it holds whatever the sizes of a block share and however their variances differ. With more sizes than coefficients the fit is
checked: each
size against the line through its two neighbours, adjusted for their number (Bonferroni). Where it does not fit (p ≤ 5 %) nothing is
interpolated. `podFixed` as measured is the upper end of the interval at the largest size: of the peak where a component probe ran, else
of the mean.

*Guests*: where loads see another MemTotal than that of their node, the runtime has a kernel of its own. It is called a guest by the
component probe (`vmm`), else by the handler of the RuntimeClass (`kata`, `qemu`, `firecracker`, `cloud-hypervisor`). Of a sandbox
(`sentry`; `runsc`, `gvisor`) nothing is told, as its MemTotal is a number and no memory; of any other runtime the figures are those of the
machine that its loads see. *Limit + podFixed − MemTotal* is what the guest does not have of the memory that is reserved for its pod: taken
by the guest kernel at boot (its image, its page structures), or kept for the VMM. It is negative where the VM is larger than the
reservation, as with Kata's `default_memory`. *Used in the guest beyond the load* is MemTotal − MemAvailable less the load's anonymous
memory and the page tables of that: agent, slab, and what MemAvailable keeps free. Both are means over the instances that hold their memory
(median of the later half of the reports of each), then over runs, with Student's interval. *Outside of the guest* is, in each block, the
overhead less that: VMM, virtiofsd and shim beyond what the base takes, and pages that the node holds although the guest has them free or as
page cache.
";

const AFTER: &str = "
`--json` has these keys:

| key | what |
|---|---|
| `study` | `id`, `name`, `headline`, `ramp_version`, `engine`, `begin`, `end`, `why_ended`, `resumes`, `seed`, \
`order`, `blocks` (`whole`, `least`, `most`), `definition` |
| `summary` | the sentence of each comparison |
| `findings` | what limits the study as a whole, and where requests differ |
| `notes` | what helps to read the figures |
| `cells` | `name`, `scenario`, `manifest`, `runtimes`, `size`, `runs`, and in `figures` under the name of each: \
`value` (mean over runs), `interval` (95 %, over runs), `deviation` (between runs), `runs`, `missing` (`block`, \
`reason`); `reason` where `value` is null |
| `cells[].capacities` | `by_requests` (`value`, `by`) and `by_memory` (`value`, `interval`, `extrapolated`): instances that fit |
| `cells[].first_limit` | `forecast` (`limit`, `instances`, `low`, `high`, `extrapolated_from`, `runs`), the limit of \
the nodes other than memory and CPU that allows the fewest instances; `reached` (`resource`, `instances`, `runs`), that which \
runs ended by; null where no limits were recorded |
| `cells[].held_with_95_percent` | of searches: `value`, `interval`, `climbs`, `runs` |
| `comparisons` | one for each figure of each pair of cells: `figure`, `scenario`, `size`, `base`, `other` (names of \
cells), `base_mean`, `other_mean`, `blocks`, `difference` (other − base), `interval`, `deviation` (of the differences \
between blocks), `ratio` (`value`, `interval`), `p`, `adjusted_p`, `adjusted_for` (figures), `permutation`, `drift`, \
`margin`, `verdict`, `missing`, `sentence`, `notes`, `caveats`, `drift_notes`; `reason` where `difference` is null; \
`within_run` (`difference`, `interval`) of a study of one mixed run |
| `comparisons[].verdict` | `answer`: `differs`; `no_larger_than` with `margin`; or `cannot_tell` with `more_blocks`, \
null where that is more than 1000 |
| `comparisons[].permutation` | `p` of no difference in either direction, and the `least` that it can be with so many \
blocks; `exact` where all relabellings were tried; the same of one direction in `one_sided` |
| `comparisons[].drift` | growth of the figure in a second, with its interval, and whether it is `removed` from the \
difference; null where it cannot be told |
| `startups` | the log-rank test of each pair of cells: `base`, `other`, `z` (positive where the other one starts \
faster), `permutation`, `sentence`, `note` |
| `capacities` | requests and both capacities of each pair of cells: `base`, `other`, `sentences` |
| `searches` | of each pair of cells that were searched: `base`, `other`, `difference`, `interval`, `sentence` |
| `overhead_by_size` | of each runtime against its base, over the sizes of a scenario: `scenario`, `base`, `other` (runtimes), `fixed` \
(bytes), `per_limit` (share) and `per_cpu` (bytes for a core), each with `value` and `interval`; `blocks`; `fit` (`answer`: `fits`, \
`not_linear` or `not_checked`; `limit_bytes`, `deviation` and `p` of the size that is furthest from the line); `reason` where there is no \
line; `sentences` |
| `overhead_by_size[].sizes` | `name`, `limit_bytes`, `source` (`measured`, `interpolated`, `extrapolated`), `overhead`; with a \
RuntimeClass `pod_fixed_in_place` (`answer`: `more_than_used`, `less_than_used`, `less_than_peak` or `as_used`; `bytes`), and where \
measured `peak`, `cpu_at_rest`, `needs` (`memory_bytes`, `cpu_milli_cores`) and `pods` \
(`by_memory_requests`, `by_all_requests`: `in_place`, `as_measured`) |
| `overhead_by_size[].sizes[].guest` | where loads do not see the memory of their node: `machine` (`guest`, `sandbox`, or `unknown`), \
`memory_total_bytes` (as loads see it), and with `value` and `interval`, or `reason`: `limit_and_pod_fixed_less_memory_total`, \
`used_beyond_load`, `outside` |
| `overhead_by_size[].pod_fixed` | `runtime_class`, `handler`, `in_place` (`memory_bytes`, `cpu_cores`), `as_measured` (`size`, \
`memory_bytes`, `from`: `peak` or `mean`, `cpu_milli_cores`, `cpu_reason`); null without a RuntimeClass |
| `decisions` | `time`, `after_blocks`, `blocks_needed`, `reason` |
| `runs` | `block` (0 for the warm-up), `cell`, `directory`, `begin`, `seconds`, `held`, `memory_per_instance` \
(`value`, and the `interval` within the run), `by_runtime` (the same of each runtime of a mixed run), `state`, `notes` |
";

//! Synthetic files in the study's layout.

use std::fmt::Write as _;

/// So many rows on two workers, one instance more with each row, `each_mib` for each, until the workers with 20 000 MiB are full. Of each
/// ten rows two are stale on the second worker.
pub(crate) fn rows(rows: u64, each_mib: u64) -> String {
    let mut text = String::from(
        "Iteration,Elapsed,Running,Creating,Terminating,Evicted,Total Active Memory,Total Free Memory, Active,0,1,Free,0,1\n",
    );
    let full = 20_000 / each_mib;
    let mut last = (0, 0);
    for row in 1..=rows {
        let running = row.min(full);
        let used = (1000 + running * each_mib) * 1024;
        let active = used / 2 + row % 7;
        let free = (21_500 * 1024_u64).saturating_sub(used) / 2 + row % 7;
        if row % 10 > 1 || row < 3 {
            last = (active, free);
        }
        let (elapsed, waiting) = (9 * row, row - running);
        let (active_all, free_all) = (active + last.0, free + last.1);
        writeln!(
            text,
            "{row},{elapsed},{running},{waiting},0,0,{active_all},{free_all},,{active},{},,{free},{}",
            last.0, last.1
        )
        .unwrap();
    }
    text
}

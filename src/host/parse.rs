//! Parsers named for the kernel's formats (Documentation/admin-guide/cgroup-v2.rst, "Interface Files"). Pure: text
//! in, value out, and `None` or [`Limit::Unknown`] for what is not there or not of the format.

use super::limit::Limit;

/// The word of v2 for no limit.
const NO_LIMIT: &str = "max";

/// A file of a single value: `max` and what v1 writes for "no limit" are left to the caller.
#[must_use]
pub fn single_value(text: &str) -> Option<&str> {
    let value = text.trim();
    (!value.is_empty() && !value.contains(char::is_whitespace)).then_some(value)
}

/// A file of a single number.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    single_value(text)?.parse().ok()
}

/// A limit on memory of either version in bytes.
#[must_use]
pub fn memory_limit(value: &str) -> Limit<u64> {
    /// v1 has no word for "no limit": it shows the largest multiple of the page size in a signed 64-bit number
    /// (`PAGE_COUNTER_MAX`), so with pages of up to 64 KiB this or more.
    const V1_UNLIMITED: u64 = i64::MAX as u64 - (64 << 10);
    match value.parse() {
        Ok(bytes) if bytes > V1_UNLIMITED => Limit::Unlimited,
        Ok(bytes) => Limit::Value(bytes),
        Err(_) if value == NO_LIMIT => Limit::Unlimited,
        Err(_) => Limit::Unknown,
    }
}

/// `cpu.max`: quota and period in microseconds.
#[must_use]
pub fn cpu_max(text: &str) -> Limit<(u64, u64)> {
    let (quota, period) = text.trim().split_once(' ').unwrap_or_default();
    match (quota.parse(), period.parse()) {
        (Ok(quota), Ok(period)) => Limit::Value((quota, period)),
        (Err(_), Ok(_)) if quota == NO_LIMIT => Limit::Unlimited,
        _ => Limit::Unknown,
    }
}

/// `cpu.cfs_quota_us` of v1 in microseconds.
#[must_use]
pub fn cfs_quota(text: &str) -> Limit<u64> {
    match single_value(text) {
        Some("-1") => Limit::Unlimited,
        Some(value) => value.parse().map_or(Limit::Unknown, Limit::Value),
        None => Limit::Unknown,
    }
}

/// A flat keyed file (`key value`, a line each): the value of `key`.
#[must_use]
pub fn flat_value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == key).then_some(value.trim())
    })
}

/// The same, where it is a number.
#[must_use]
pub fn flat_keyed(text: &str, key: &str) -> Option<u64> {
    flat_value(text, key)?.parse().ok()
}

/// `/proc/swaps`: the names of zram devices that are swapped to.
pub fn zram_swaps(text: &str) -> impl Iterator<Item = &str> {
    let devices =
        text.lines().skip(1).filter_map(|line| line.split_whitespace().next()?.strip_prefix("/dev/"));
    devices.filter(|name| name.starts_with("zram") && !name.contains('/'))
}

/// `mm_stat` of a zram device: the size of what is stored, and the memory that this takes, in bytes.
#[must_use]
pub fn zram_memory(text: &str) -> Option<(u64, u64)> {
    let mut values = text.split_whitespace().map(str::parse);
    let (stored, _compressed, used) = (values.next()?, values.next()?, values.next()?);
    Some((stored.ok()?, used.ok()?))
}

/// A file of `Key:   value kB` lines, as `meminfo`, `status` and `smaps_rollup` are: the value in bytes.
#[must_use]
pub fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let value = colon_value(text, key)?.strip_suffix("kB")?.trim_end();
    value.parse::<u64>().ok()?.checked_mul(1024)
}

/// The same, for the lines of `meminfo` that count things (`HugePages_Total:       0`).
#[must_use]
pub fn colon_keyed(text: &str, key: &str) -> Option<u64> {
    colon_value(text, key)?.parse().ok()
}

fn colon_value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
}

/// A list of CPUs such as `0-3,8,10-11` (Documentation/admin-guide/cputopology.rst): how many there are.
#[must_use]
pub fn cpu_count(text: &str) -> Option<u64> {
    let list = text.trim();
    if list.is_empty() {
        return Some(0);
    }
    list.split(',').try_fold(0, |sum: u64, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

/// A file of pressure stall information: the totals of `some` and `full` in microseconds.
#[must_use]
pub fn pressure_totals(text: &str) -> (Option<u64>, Option<u64>) {
    let total = |kind: &str| {
        let mut words = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?.split(' ');
        words.find_map(|word| word.strip_prefix("total="))?.trim().parse().ok()
    };
    (total("some"), total("full"))
}

/// The first line of `/proc/stat`: time of all CPUs in hundredths of a second (`USER_HZ`, the same on every
/// architecture that matters here). Columns from 0: user, nice, system, idle, iowait, irq, softirq, steal, guest,
/// guest nice.
#[must_use]
pub fn cpu_hundredths(stat: &str, column: usize) -> Option<u64> {
    stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().nth(column)?.parse().ok()
}

/// `/proc/loadavg`: the average number of tasks that ran or waited, over 1, 5 and 15 minutes (columns 0 to 2).
#[must_use]
pub fn load_average(text: &str, column: usize) -> Option<f64> {
    let average = text.split_ascii_whitespace().take(3).nth(column)?;
    average.parse().ok().filter(|load: &f64| load.is_finite() && *load >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_flat_keyed_file_gives_the_value_of_the_whole_key() {
        let text = "low 0\noom 3\noom_kill 1\n";
        assert_eq!(flat_keyed(text, "oom_kill"), Some(1));
        assert_eq!(flat_keyed(text, "oom"), Some(3));
        assert_eq!(flat_keyed(text, "max"), None);
    }

    #[test]
    fn kilobytes_become_bytes() {
        let text = "Rss:                1720 kB\nRssAnon:\t     108 kB\nThreads:\t1\n";
        assert_eq!(kilobytes(text, "Rss"), Some(1720 * 1024));
        assert_eq!(kilobytes(text, "RssAnon"), Some(108 * 1024));
        assert_eq!(kilobytes(text, "Threads"), None);
        assert_eq!(colon_keyed(text, "Threads"), Some(1));
    }

    #[test]
    fn a_single_value_is_one_word() {
        assert_eq!(single_value("max\n"), Some("max"));
        assert_eq!(single_value("\n"), None);
        assert_eq!(single_value("a b"), None);
        assert_eq!(number("4096\n"), Some(4096));
    }

    #[test]
    fn no_limit_is_a_word_on_v2_and_a_large_number_on_v1() {
        assert_eq!(memory_limit("1073741824"), Limit::Value(1 << 30));
        assert_eq!(memory_limit("max"), Limit::Unlimited);
        for nonsense in ["", "maximum", "-1", "1 2"] {
            assert_eq!(memory_limit(nonsense), Limit::Unknown, "{nonsense:?}");
        }
        for page_size in [4096, 16384, 65536] {
            let unlimited = i64::MAX as u64 / page_size * page_size;
            assert_eq!(memory_limit(&unlimited.to_string()), Limit::Unlimited, "pages of {page_size}");
        }
    }

    #[test]
    fn a_list_of_cpus_is_counted() {
        assert_eq!(cpu_count("0-3,8,10-11\n"), Some(7));
        assert_eq!(cpu_count("\n"), Some(0));
        for wrong in ["3-1", "a", "1,,2", "-", "0-18446744073709551615"] {
            assert_eq!(cpu_count(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn pressure_has_two_totals_and_for_the_cpu_of_old_kernels_one() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.90 total=299555695\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(pressure_totals(text), (Some(299_555_695), Some(7)));
        assert_eq!(pressure_totals("some avg10=0.00 total=5\n"), (Some(5), None));
        assert_eq!(pressure_totals(""), (None, None));
    }

    #[test]
    fn columns_of_stat_and_loadavg() {
        let stat = "cpu  11812 0 3578 281698 507 0 33 47 0 0\ncpu0 1 2 3\n";
        assert_eq!(cpu_hundredths(stat, 7), Some(47));
        assert_eq!(cpu_hundredths("cpu  1 2 3\n", 7), None);
        assert_eq!(cpu_hundredths("", 0), None);
        assert_eq!(load_average("0.01 0.25 5.58 1/95 3112\n", 2), Some(5.58));
        assert_eq!(load_average("0.01 0.25 5.58 1/95 3112\n", 3), None);
        assert_eq!(load_average("nan -1 inf", 0), None);
    }

    #[test]
    fn quota_and_period() {
        assert_eq!(cpu_max("50000 100000\n"), Limit::Value((50_000, 100_000)));
        assert_eq!(cpu_max("max 100000\n"), Limit::Unlimited);
        assert_eq!(cfs_quota("50000\n"), Limit::Value(50_000));
        assert_eq!(cfs_quota("-1\n"), Limit::Unlimited);
        for nonsense in ["", "max", "50000", "-1 100000", "50000 x"] {
            assert_eq!(cpu_max(nonsense), Limit::Unknown, "{nonsense:?}");
        }
        assert_eq!(
            (cfs_quota(""), cfs_quota("-2"), cfs_quota("max")),
            (Limit::Unknown, Limit::Unknown, Limit::Unknown)
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(
            text in "\\PC*|[a-z_]{0,9}[ :]{0,2}[0-9]{0,30}( kB)?\n?|(some|full) total=[0-9]{0,30}|[0-9,-]{0,20}",
            key in "[a-z_]{0,9}",
            column in any::<usize>(),
        ) {
            let _ = (single_value(&text), flat_keyed(&text, &key), kilobytes(&text, &key), colon_keyed(&text, &key));
            let _ = (memory_limit(&text), cpu_max(&text), cfs_quota(&text), cpu_count(&text), pressure_totals(&text));
            let _ = (cpu_hundredths(&text, column), load_average(&text, column));
        }
    }
}

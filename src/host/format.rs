//! Parsers named for the kernel's formats (Documentation/admin-guide/cgroup-v2.rst, "Interface Files").

/// A file of a single value: `max` and what v1 writes for "no limit" are left to the caller.
pub(super) fn single_value(text: &str) -> Option<&str> {
    let value = text.trim();
    (!value.is_empty() && !value.contains(char::is_whitespace)).then_some(value)
}

/// A flat keyed file (`key value`, a line each): the value of `key`.
pub(super) fn flat_keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == key).then(|| value.trim().parse().ok())?
    })
}

/// A file of `Key:   value kB` lines, as `meminfo`, `status` and `smaps_rollup` are: the value in bytes.
pub(super) fn kilobytes(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(key)?.strip_prefix(':')?;
        let value: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        value.checked_mul(1024)
    })
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
    }

    #[test]
    fn a_single_value_is_one_word() {
        assert_eq!(single_value("max\n"), Some("max"));
        assert_eq!(single_value("\n"), None);
        assert_eq!(single_value("a b"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|[a-z_]{0,9}[ :]{0,2}[0-9]{0,30}( kB)?\n?", key in "[a-z_]{0,9}") {
            let _ = (single_value(&text), flat_keyed(&text, &key), kilobytes(&text, &key));
        }
    }
}

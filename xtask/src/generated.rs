//! Generated files that are committed: written by a command, held to their sources by a test.

use std::fs;
use std::path::Path;

use crate::shell::{Outcome, say};

/// A file by its path from the root, with its text.
pub(crate) type GeneratedFile = (String, String);

/// Writes the files that are missing or out of date.
///
/// # Errors
/// Where one cannot be written.
pub(crate) fn write(files: Vec<GeneratedFile>) -> Outcome {
    for (path, text) in files {
        // Whatever kept it from being read is said by the attempt to write it.
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            continue;
        }
        let directory = Path::new(&path).parent().unwrap_or(Path::new("."));
        let written = fs::create_dir_all(directory).and_then(|()| fs::write(&path, text));
        written.map_err(|error| format!("{path}: {error}"))?;
        say(&format!("wrote {path}"));
    }
    Ok(())
}

/// Fails where a file on disk is out of date, with the way out.
#[cfg(test)]
pub(crate) fn assert_current(files: Vec<GeneratedFile>, what_to_do: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let differences =
        files.into_iter().filter_map(|(path, text)| match fs::read_to_string(root.join(&path)) {
            Ok(found) => difference(&found, &text).map(|difference| format!("{path}:{difference}")),
            Err(error) => Some(format!("{path}: {error}")),
        });
    let differences: Vec<_> = differences.collect();
    assert!(differences.is_empty(), "out of date. {what_to_do}:\n{}", differences.join("\n"));
}

/// The first line in which two texts differ, with what is there and what should be.
#[cfg(test)]
fn difference(found: &str, expected: &str) -> Option<String> {
    let [mut found, mut expected] = [found, expected].map(|text| text.split_inclusive('\n'));
    for number in 1.. {
        match (found.next(), expected.next()) {
            (None, None) => break,
            (found, expected) if found == expected => {}
            (found, expected) => {
                let [found, expected] = [found, expected].map(|line| line.unwrap_or("the end of the file"));
                return Some(format!("{number}: {found:?}, expected {expected:?}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn the_first_line_that_differs_is_found() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n").unwrap(), r#"2: "b\n", expected "c\n""#);
        assert_eq!(difference("a\n", "a").unwrap(), r#"1: "a\n", expected "a""#);
        assert_eq!(difference("a\n", "a\nb\n").unwrap(), r#"2: "the end of the file", expected "b\n""#);
    }
}

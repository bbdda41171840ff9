//! Text: values that JSON writes as the command line does, counts with their noun, and single lines.

use std::borrow::Cow;

use serde_json::Value;

/// Serializes by `Display` and deserializes by `FromStr`.
#[macro_export]
macro_rules! text_in_json {
    ($type:ty, $example:literal) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "examples": [$example]})
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Declares an enum whose variants have names, with `ALL` of them in order, `name` and `Display`.
#[macro_export]
macro_rules! named_enum {
    ($(#[$meta:meta])* pub enum $type:ident { $( $(#[$doc:meta])* $variant:ident = $name:literal, )+ }) => {
        $(#[$meta])*
        pub enum $type { $( $(#[$doc])* $variant, )+ }

        impl $type {
            /// All of them, in order.
            pub const ALL: [Self; [$( $name ),+].len()] = [$( Self::$variant ),+];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

/// A count with its noun, which gets an s where there is not one of them.
#[must_use]
pub fn count(count: impl Into<u64>, noun: &str) -> String {
    let count = count.into();
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// At most `most` characters of a text, with an ellipsis for the rest.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

/// The message of a parser without its label "error: ".
pub fn without_label(error: &impl ToString) -> String {
    error.to_string().trim_start_matches("error: ").to_owned()
}

/// The message of the YAML parser without its label, and without advice for programmers.
pub fn yaml_error(error: &impl ToString) -> String {
    /// What it says, and what a user of a file is told.
    const WORDS: [(&str, &str); 10] = [
        (", set DuplicateKeyPolicy in Options if acceptable", ""),
        (
            "multiple YAML documents detected; use from_str_multiple or from_str_multiple_with_options",
            "a second YAML document; expected one",
        ),
        ("externally tagged enum expected scalar or mapping", "expected a word"),
        ("expected sequence start", "expected a list"),
        ("expected mapping start", "expected keys with values"),
        ("expected string scalar", "expected a text or a number"),
        ("invalid u64", "expected a whole number"),
        ("invalid u32", "expected a whole number"),
        ("invalid boolean", "expected true or false"),
        ("budget breached", "the file is too large"),
    ];
    WORDS.iter().fold(without_label(error), |text, (parser, user)| text.replace(parser, user))
}

/// A string, or a number or a truth value as text, such as `cpu: 1`.
#[must_use]
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// The first `most` names, and how many more there are.
#[must_use]
pub fn first_names(names: &[impl AsRef<str>], most: usize) -> String {
    let first: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The text without line breaks, so that a file can be cut into rows anywhere.
pub fn one_line(text: &str) -> Cow<'_, str> {
    // Nearly always it is one: each cell of each row comes by here.
    if !text.as_bytes().iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Cow::Borrowed(text.trim());
    }
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    Cow::Owned(lines.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_yaml_parser_gives_no_advice_to_programmers() {
        let error = |text: &str| yaml_error(&serde_saphyr::from_str::<Vec<String>>(text).unwrap_err());
        for (text, expected) in [
            ("a: 1\n", "line 1 column 1: expected a list"),
            ("- [a]\n", "line 1 column 3: expected a text or a number"),
            ("- a\n---\n- b\n", "a second YAML document; expected one"),
        ] {
            let error = error(text);
            assert!(error.contains(expected) && !error.contains("from_str"), "{error}");
        }
        let twice = serde_saphyr::from_str::<serde_json::Value>("a: 1\na: 2\n").unwrap_err();
        assert!(
            yaml_error(&twice).starts_with("line 2 column 1: duplicate mapping key: a\n"),
            "{}",
            yaml_error(&twice)
        );
    }

    #[test]
    fn many_names_are_a_few_and_a_number() {
        assert_eq!(first_names(&["a", "b"], 5), "a, b");
        assert_eq!(first_names(&["a", "b", "c", "d", "e", "f", "g"], 5), "a, b, c, d, e and 2 more");
    }

    #[test]
    fn a_text_of_several_lines_becomes_one() {
        assert_eq!(one_line(" a \n\r\n word "), "a word");
        assert_eq!(one_line(" a word "), "a word");
    }
}

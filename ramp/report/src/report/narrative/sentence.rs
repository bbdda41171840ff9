//! Sentences of the narrative, each with the rule that it follows.

use schemars::JsonSchema;
use serde::Serialize;

/// A sentence, and the rule behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sentence {
    /// The sentence, with its figures.
    pub text: String,
    /// The rule.
    pub rule: String,
}

/// Sentences on one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Section {
    /// What they are about: a run, or two compared with each other.
    pub title: String,
    /// The sentences.
    pub sentences: Vec<Sentence>,
}

pub(in super::super) fn says(text: String, rule: impl Into<String>) -> Sentence {
    Sentence { text, rule: rule.into() }
}

/// With a capital letter, where it begins with a word and not with the name of a file.
pub(super) fn sentence_case(text: &str) -> String {
    if text.split(' ').next().is_some_and(|word| word.contains('.')) {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

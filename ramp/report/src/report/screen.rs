//! Text that fits on a screen: of its least important parts the last items are left out, and it says so.

use super::format::wrapped;
use ramp_format::text::count;

/// Lines of a screen, without the two that name the page.
pub const LINES: usize = 38;
/// Columns of a screen.
pub const WIDTH: usize = 100;

/// Parts of a text, from above to below.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    parts: Vec<ScreenPart>,
}

/// Lines that belong together.
#[derive(Clone, Debug)]
struct ScreenPart {
    /// What is left out first has the largest rank; what has rank 0 stays.
    rank: u8,
    /// Each of one or more whole lines.
    items: Vec<String>,
    /// Items that are shown.
    shown: usize,
    /// Whether an empty line is before it.
    is_apart: bool,
}

impl Screen {
    /// Adds a part below the others. Items are whole lines; `rank` says how early they are left out, 0 never.
    pub fn push(&mut self, rank: u8, items: Vec<String>) {
        let shown = items.len();
        self.parts.push(ScreenPart { rank, items, shown, is_apart: false });
    }

    /// The same, with an empty line before it.
    pub fn push_apart(&mut self, rank: u8, items: Vec<String>) {
        self.push(rank, items);
        if let Some(part) = self.parts.last_mut() {
            part.is_apart = true;
        }
    }

    /// The text, of at most [`LINES`] lines unless what has rank 0 is longer.
    #[must_use]
    pub fn text(mut self) -> String {
        let mut left_out = 0;
        // A line says how much is left out.
        while self.parts.iter().map(ScreenPart::lines).sum::<usize>() + left_out.min(1) > LINES {
            let last = self.parts.iter_mut().rev().filter(|part| part.rank > 0 && part.shown > 0);
            // The last of the largest rank.
            let Some(part) = last.reduce(|a, b| if b.rank > a.rank { b } else { a }) else { break };
            part.shown -= 1;
            left_out += 1;
        }
        let text: String = self.parts.iter().map(ScreenPart::text).collect();
        match left_out {
            0 => text,
            _ => format!("{text}{} left out: --verbose\n", count(left_out as u64, "item")),
        }
    }
}

impl ScreenPart {
    fn lines(&self) -> usize {
        self.text().lines().count()
    }

    fn text(&self) -> String {
        let before = if self.is_apart && self.shown > 0 { "\n" } else { "" };
        [before].into_iter().chain(self.items.iter().take(self.shown).map(String::as_str)).collect()
    }
}

/// A sentence, as an item of a list.
#[must_use]
pub fn item(sentence: &str, indent: usize) -> String {
    let text = wrapped(sentence, indent + 2, WIDTH);
    format!("{:indent$}- {}", "", text.trim_start())
}

/// The begin of a sentence, as an item of a list that has one line.
#[must_use]
pub fn short_item(sentence: &str, indent: usize) -> String {
    let room = WIDTH - indent - 2;
    if sentence.chars().count() <= room {
        return item(sentence, indent);
    }
    let mut short = String::new();
    for word in sentence.split_whitespace() {
        if short.chars().count() + word.chars().count() + 3 > room {
            break;
        }
        short += word;
        short.push(' ');
    }
    format!("{:indent$}- {}…\n", "", short.trim_end().trim_end_matches([',', ';', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_least_important_is_left_out_from_its_end_and_it_is_said_how_much() {
        let mut screen = Screen::default();
        let items = |name: &str, count: usize| (1..=count).map(|at| format!("{name} {at}\n")).collect();
        screen.push(0, items("answer", 2));
        screen.push_apart(2, items("note", 20));
        screen.push(1, items("row", 20));
        let text = screen.text();
        assert_eq!(text.lines().count(), LINES, "{text}");
        assert!(
            text.contains("answer 2\n\nnote 1\n") && text.ends_with("row 20\n6 items left out: --verbose\n"),
            "{text}"
        );
        assert!(text.contains("note 14\nrow 1\n"), "{text}");
    }

    #[test]
    fn a_short_item_is_a_line() {
        let long = "held: n/a: ".to_owned() + &"word ".repeat(40);
        let short = short_item(&long, 2);
        assert_eq!(short.lines().count(), 1);
        assert!(short.chars().count() <= WIDTH + 1 && short.ends_with("word…\n"), "{short}");
        assert_eq!(short_item("held: n/a: no samples", 0), "- held: n/a: no samples\n");
    }
}

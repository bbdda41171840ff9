//! Sparkline: a quantity since the run began, in a line of characters.

/// Characters, of which each is the mean of as many values.
const CHARACTERS: usize = 16;
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The whole history of a quantity in bounded memory: when there are too many values, two become one.
#[derive(Clone, Debug)]
pub struct Sparkline {
    /// Means of `each` values, but for the last one.
    means: Vec<f64>,
    each: u32,
    /// Values in the last mean.
    last: u32,
}

impl Default for Sparkline {
    fn default() -> Self {
        Self { means: Vec::new(), each: 1, last: 0 }
    }
}

impl Sparkline {
    /// Adds the value of now.
    pub fn push(&mut self, value: f64) {
        match self.means.last_mut() {
            Some(mean) if self.last < self.each => {
                *mean += (value - *mean) / f64::from(self.last + 1);
                self.last += 1;
            }
            _ => {
                if self.means.len() == CHARACTERS {
                    self.means = self.means.chunks(2).map(|two| two.iter().sum::<f64>() / 2.0).collect();
                    self.each *= 2;
                }
                self.means.push(value);
                self.last = 1;
            }
        }
    }

    /// From 0 to the largest value; empty before there is a history.
    pub(super) fn text(&self) -> String {
        let most = self.means.iter().copied().fold(0.0, f64::max);
        if self.means.len() < 2 || most <= 0.0 {
            return String::new();
        }
        let height = |mean: &f64| {
            let height = (mean / most * HEIGHTS.len() as f64).ceil() as usize;
            HEIGHTS[height.clamp(1, HEIGHTS.len()) - 1]
        };
        self.means.iter().map(height).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_whole_run_whatever_its_length() {
        let mut line = Sparkline::default();
        assert_eq!(line.text(), "");
        (1..=8).for_each(|value| line.push(f64::from(value)));
        assert_eq!(line.text(), "▁▂▃▄▅▆▇█");
        for length in [17, 1000, 100_000] {
            let mut line = Sparkline::default();
            (0..length).for_each(|value| line.push(f64::from(length - value)));
            let text = line.text();
            assert!(text.starts_with('█') && text.ends_with('▁'), "{length}: {text}");
            assert!((CHARACTERS / 2..=CHARACTERS).contains(&text.chars().count()), "{length}: {text}");
        }
    }

    #[test]
    fn what_does_not_change_is_a_straight_line() {
        let mut line = Sparkline::default();
        (0..5).for_each(|_| line.push(7.0));
        assert_eq!(line.text(), "█████");
        let mut none = Sparkline::default();
        (0..5).for_each(|_| none.push(0.0));
        assert_eq!(none.text(), "");
    }
}

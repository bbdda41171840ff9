//! Decimal number with a suffix, kept exact until it is scaled by its unit.

use std::fmt;

/// Why a text is not the quantity it should be, with what is allowed instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantityError {
    found: String,
    likely: Option<String>,
    allowed: &'static str,
}

impl QuantityError {
    /// `found` says what is wrong with the text, `allowed` what would have been right.
    pub(super) fn new(found: impl Into<String>, allowed: &'static str) -> Self {
        Self { found: found.into(), likely: None, allowed }
    }

    /// Adds what was probably meant.
    pub(super) fn did_you_mean(mut self, likely: impl Into<String>) -> Self {
        self.likely = Some(likely.into());
        self
    }
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found)?;
        if let Some(likely) = &self.likely {
            write!(f, "; did you mean {likely}?")?;
        }
        write!(f, " (allowed: {})", self.allowed)
    }
}

impl std::error::Error for QuantityError {}

/// `digits × 10^exponent`, then `suffix`: nothing is rounded yet.
pub(super) struct Number<'a> {
    /// All of the text, for messages.
    whole: &'a str,
    /// The part in front of the suffix, for messages.
    pub(super) text: &'a str,
    digits: u128,
    exponent: i32,
    /// What follows the number, trimmed.
    pub(super) suffix: &'a str,
}

/// More digits than any quantity of 64 bits can use; keeps `digits` far from overflow.
const MOST_DIGITS: usize = 30;

impl<'a> Number<'a> {
    pub(super) fn parse(text: &'a str, allowed: &'static str) -> Result<Self, QuantityError> {
        let trimmed = text.trim();
        let length = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, suffix) = trimmed.split_at(length);
        let wrong = |found: String| QuantityError::new(found, allowed);
        if trimmed.is_empty() {
            return Err(wrong("empty".into()));
        }
        if trimmed
            .strip_prefix('-')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
        {
            return Err(wrong(format!("{trimmed:?} is negative")));
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return Err(wrong(format!("{trimmed:?} does not begin with a number")));
        }
        if let Some(decimals) = suffix.strip_prefix(',') {
            return Err(
                wrong(format!("{trimmed:?} has a comma")).did_you_mean(format!("{number}.{decimals}"))
            );
        }
        if whole.len() + fraction.len() > MOST_DIGITS {
            return Err(wrong(format!("{trimmed:?} has more than {MOST_DIGITS} digits")));
        }
        let digits = whole.bytes().chain(fraction.bytes()).fold(0, |sum, b| sum * 10 + u128::from(b - b'0'));
        // Fits: there are at most MOST_DIGITS of them.
        let places = fraction.len() as i32;
        let (exponent, suffix) = match decimal_exponent(suffix) {
            Some(Ok(exponent)) => (exponent, ""),
            Some(Err(())) => return Err(wrong(format!("{trimmed:?} is out of range"))),
            None => (0, suffix.trim_start()),
        };
        Ok(Self { whole: trimmed, text: number, digits, exponent: exponent - places, suffix })
    }

    /// The number times `numerator / denominator`, rounded up to a whole one as Kubernetes does.
    pub(super) fn scaled(
        &self,
        numerator: u64,
        denominator: u64,
        allowed: &'static str,
    ) -> Result<u64, QuantityError> {
        let too_large = || QuantityError::new(format!("{} is too large", self.whole), allowed);
        if self.digits == 0 {
            return Ok(0);
        }
        let power = |exponent: i32| 10_u128.checked_pow(exponent.unsigned_abs());
        let (mut above, mut below) = (u128::from(numerator), u128::from(denominator));
        if self.exponent >= 0 {
            above = power(self.exponent).and_then(|p| above.checked_mul(p)).ok_or_else(too_large)?;
        } else {
            // Smaller than any unit can show: it rounds up to one.
            below = match power(self.exponent).and_then(|p| below.checked_mul(p)) {
                Some(below) => below,
                None => return Ok(1),
            };
        }
        let shared = gcd(above, below);
        let (above, below) = (above / shared, below / shared);
        let product = self.digits.checked_mul(above).ok_or_else(too_large)?;
        u64::try_from(product.div_ceil(below)).map_err(|_| too_large())
    }
}

/// `e9`, `E-3`; `None` where the suffix is something else (`E` alone is exa).
fn decimal_exponent(suffix: &str) -> Option<Result<i32, ()>> {
    let digits = suffix.strip_prefix(['e', 'E'])?;
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Three digits are far outside of 64 bits already, and keep the sum with the places in range.
    Some(digits.parse::<i32>().ok().filter(|e| e.abs() < 1000).ok_or(()))
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Writes `value / unit` as a decimal fraction, exactly; `unit` is a power of ten.
pub(super) fn write_fraction(f: &mut fmt::Formatter<'_>, value: u64, unit: u64) -> fmt::Result {
    write!(f, "{}", value / unit)?;
    let (mut rest, mut place) = (value % unit, unit / 10);
    if rest > 0 {
        f.write_str(".")?;
    }
    while rest > 0 {
        write!(f, "{}", rest / place)?;
        rest %= place;
        place /= 10;
    }
    Ok(())
}

//! Quantities of manifests and of the API server: Kubernetes' whole grammar (`1181116006400m`, `+1Gi`, `100n`, `1e3`).

use super::number::QuantityError;
use super::{Bytes, Cores};

const ALLOWED: &str =
    "a decimal number, then n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent such as e3";

/// Suffixes, each with its power of 2 and its power of 10.
const SUFFIXES: [(&str, u32, i32); 16] = [
    ("n", 0, -9),
    ("u", 0, -6),
    ("m", 0, -3),
    ("", 0, 0),
    ("k", 0, 3),
    ("M", 0, 6),
    ("G", 0, 9),
    ("T", 0, 12),
    ("P", 0, 15),
    ("E", 0, 18),
    ("Ki", 10, 0),
    ("Mi", 20, 0),
    ("Gi", 30, 0),
    ("Ti", 40, 0),
    ("Pi", 50, 0),
    ("Ei", 60, 0),
];

/// Larger ones are capped, as by Kubernetes.
const LARGEST: u64 = i64::MAX as u64;

/// Exponents beyond this are far outside of 64 bits; their sums with the places do not overflow.
const FAR: i32 = 1_000_000;

/// Digits that are kept: with 2^60 they fit in 128 bits, and a value of 64 bits has no more.
const DIGITS: usize = 20;

impl Bytes {
    /// Parses a quantity of a manifest or of the API server. As there, a fraction of a byte rounds up, and more than 2^63 - 1 is
    /// 2^63 - 1.
    ///
    /// # Errors
    /// If it is no quantity, or negative.
    pub fn from_manifest(text: &str) -> Result<Self, QuantityError> {
        match parse(text, 0)? {
            Some(bytes) => Ok(Self(bytes)),
            // An unknown unit: the reader of the command line guesses what was meant.
            None => Err(text.parse::<Self>().err().unwrap_or_else(|| wrong(text))),
        }
    }
}

impl Cores {
    /// The same for CPU; a fraction of a billionth rounds up.
    ///
    /// # Errors
    /// If it is no quantity, or negative.
    pub fn from_manifest(text: &str) -> Result<Self, QuantityError> {
        match parse(text, 9)? {
            Some(nano) => Ok(Self::from_nano(nano)),
            None => Err(text.parse::<Self>().err().unwrap_or_else(|| wrong(text))),
        }
    }
}

fn wrong(text: &str) -> QuantityError {
    QuantityError::new(format!("{text:?} is not a quantity"), ALLOWED)
}

/// A quantity times 10^`scale`, rounded up and capped; none where its suffix is unknown.
fn parse(text: &str, scale: i32) -> Result<Option<u64>, QuantityError> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return Err(wrong(text));
    }
    let Some((shift, power)) = unit(suffix) else { return Ok(None) };
    let digits = Digits::of(whole, fraction);
    if negative && digits.value > 0 {
        return Err(QuantityError::new(format!("{text:?} is negative"), ALLOWED));
    }
    Ok(Some(digits.times(shift, power.saturating_add(scale))))
}

/// The power of 2 and the power of 10 of a suffix, or of an exponent.
fn unit(suffix: &str) -> Option<(u32, i32)> {
    if let Some((_, shift, power)) = SUFFIXES.iter().find(|(name, ..)| *name == suffix) {
        return Some((*shift, *power));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, exponent.strip_prefix('+').unwrap_or(exponent)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((0, sign * digits.parse::<i32>().unwrap_or(FAR).min(FAR)))
}

/// The leading digits of a number, without leading zeros.
struct Digits {
    value: u128,
    /// Power of ten of the last of them.
    power: i32,
    /// Whether digits other than 0 follow.
    is_cut: bool,
}

impl Digits {
    fn of(whole: &str, fraction: &str) -> Self {
        let all = whole.bytes().chain(fraction.bytes());
        let significant: Vec<u8> = all.skip_while(|digit| *digit == b'0').collect();
        let (kept, cut) = significant.split_at(significant.len().min(DIGITS));
        let places = |count: usize| i32::try_from(count).unwrap_or(i32::MAX / 4);
        Self {
            value: kept.iter().fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0')),
            power: places(cut.len()) - places(fraction.len()),
            is_cut: cut.iter().any(|digit| *digit != b'0'),
        }
    }

    /// The number times 2^`shift` × 10^`power`, rounded up and capped.
    fn times(&self, shift: u32, power: i32) -> u64 {
        if self.value == 0 {
            return 0;
        }
        // Fits: DIGITS digits and at most 60 bits.
        let scaled = self.value << shift;
        let power = power.saturating_add(self.power);
        let of_ten = 10_u128.checked_pow(power.unsigned_abs());
        let product = match (power >= 0, of_ten) {
            (true, factor) => factor.and_then(|factor| scaled.checked_mul(factor)),
            (false, Some(divisor)) => {
                let is_exact = scaled.is_multiple_of(divisor);
                Some(scaled.div_ceil(divisor) + u128::from(is_exact && self.is_cut))
            }
            // Smaller than any unit: it rounds up to one.
            (false, None) => Some(1),
        };
        product.and_then(|product| u64::try_from(product).ok()).map_or(LARGEST, |value| value.min(LARGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> u64 {
        Bytes::from_manifest(text).unwrap_or_else(|error| panic!("{text}: {error}")).0
    }

    #[test]
    fn every_form_of_kubernetes_is_read() {
        for (text, expected) in [
            ("1181116006400m", 1_181_116_007),
            ("+1Gi", 1 << 30),
            ("100n", 1),
            ("100u", 1),
            ("1e3", 1000),
            ("1E3", 1000),
            ("5e-1", 1),
            ("1E", 1_000_000_000_000_000_000),
            (".5Gi", 1 << 29),
            ("5.", 5),
            ("0", 0),
            ("-0", 0),
            ("0e5", 0),
            ("128974848000m", 128_974_848),
            ("1.5Ki", 1536),
            ("0000000000000000000000000000000000001Ki", 1024),
            ("1.00000000000000000000000000000001", 2),
            ("123456789012345678901234n", 123_456_789_012_346),
            ("500M", 500_000_000),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
        assert_eq!(Cores::from_manifest("100m").unwrap(), Cores::from_nano(100_000_000));
        assert_eq!(Cores::from_manifest("1k").unwrap(), Cores::from_whole(1000));
        assert_eq!(Cores::from_manifest("1n").unwrap(), Cores::from_nano(1));
    }

    #[test]
    fn more_than_63_bits_is_capped_and_less_than_one_is_one() {
        for text in
            ["16Ei", "8Ei", "9223372036854775808", "1e999", "1e99999999999", "99999999999999999999999E"]
        {
            assert_eq!(bytes(text), LARGEST, "{text}");
        }
        assert_eq!((bytes("1e-999"), bytes("1e-99999999999")), (1, 1));
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_the_right_spelling() {
        let refusal = |text: &str| Bytes::from_manifest(text).unwrap_err().to_string();
        assert!(refusal("1GB").contains("did you mean 1G (10^9) or 1Gi (2^30)?"));
        assert!(refusal("-1Gi").contains("negative"));
        for text in
            ["", ".", "Gi", "1.2.3", " 1Gi", "1Gi ", "1 Gi", "1e", "0x10", "1_000", "+-1", "1ki", "1i"]
        {
            assert!(refusal(text).contains("allowed"), "{text:?}");
        }
        assert!(Cores::from_manifest("200M").is_ok(), "absurd, and valid");
        assert!(Cores::from_manifest("2 cores").unwrap_err().to_string().contains("did you mean 2?"));
    }
}

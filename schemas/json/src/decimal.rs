//! Decimal numbers in JSON: strings such as `"185.50"` on the way out, strings or exact JSON
//! numbers on the way in, and integers in between. Never a float.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Cents; in JSON a decimal string with two digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cents(pub i64);

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Display for Cents {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, cents) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(formatter, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

/// `numerator / denominator` rounded half up to a whole number; none for a denominator of 0.
pub fn divide_half_up(numerator: i64, denominator: i64) -> Option<i64> {
    if denominator <= 0 {
        return None;
    }
    let (numerator, denominator) = (i128::from(numerator), i128::from(denominator));
    i64::try_from((2 * numerator + denominator).div_euclid(2 * denominator)).ok()
}

/// Why a JSON value is not a decimal number with the number of digits that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Neither a JSON number nor a string with one.
    #[error("is not a number")]
    NotANumber,
    /// More digits after the point than allowed.
    #[error("has too many digits after the point")]
    TooFine,
    /// Too large for an `i64`.
    #[error("is too large")]
    TooLarge,
}

/// The number that a JSON value spells, in units of `10^-digits`: with 2 digits `"185.5"` is 18550,
/// with none `100` is 100. A string holds plain digits; a JSON number may have an exponent.
///
/// # Errors
/// [`DecimalError`].
pub fn parse(json: &RawValue, digits: u32) -> Result<i64, DecimalError> {
    let text = json.get();
    if !text.starts_with('"') {
        return parse_text(text, digits);
    }
    let text: String = serde_json::from_str(text).map_err(|_| DecimalError::NotANumber)?;
    if text.contains(['e', 'E']) {
        return Err(DecimalError::NotANumber);
    }
    parse_text(&text, digits)
}

/// Longest significand, in digits: enough for any `i64` with some zeros, few enough for `i128` not to overflow.
const SIGNIFICAND_DIGITS_MAX: usize = 30;

fn parse_text(text: &str, digits: u32) -> Result<i64, DecimalError> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (significand, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((significand, exponent)) => (significand, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match significand.split_once('.') {
        Some((_, "")) => return Err(DecimalError::NotANumber),
        Some(parts) => parts,
        None => (significand, ""),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(DecimalError::NotANumber);
    }
    // JSON has made sure that the exponent is well-formed, so it can only be too large.
    let exponent: i32 = exponent.map_or(Ok(0), str::parse).map_err(|_| DecimalError::TooLarge)?;
    let fraction = fraction.trim_end_matches('0');
    if whole.len() + fraction.len() > SIGNIFICAND_DIGITS_MAX {
        return Err(DecimalError::TooLarge);
    }
    let mut number = whole
        .bytes()
        .chain(fraction.bytes())
        .fold(0_i128, |number, digit| number * 10 + i128::from(digit - b'0'));
    // There are at most 30 digits, so the cast loses nothing.
    let shift = i64::from(exponent) - fraction.len() as i64 + i64::from(digits);
    for _ in shift..0 {
        if number == 0 {
            break;
        }
        if number % 10 != 0 {
            return Err(DecimalError::TooFine);
        }
        number /= 10;
    }
    for _ in 0..shift {
        if number == 0 {
            break;
        }
        number *= 10;
        if number > i128::from(i64::MAX) {
            return Err(DecimalError::TooLarge);
        }
    }
    let number = i64::try_from(number).map_err(|_| DecimalError::TooLarge)?;
    Ok(if negative { -number } else { number })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parsed(json: &str, digits: u32) -> Result<i64, DecimalError> {
        parse(&RawValue::from_string(json.to_owned()).unwrap(), digits)
    }

    #[test]
    fn exact_numbers_are_read_as_they_are_written() {
        for (json, digits, expected) in [
            ("\"185.50\"", 2, 18_550),
            ("185.5", 2, 18_550),
            ("0.29", 2, 29),
            ("1.1500", 2, 115),
            ("-3", 2, -300),
            ("0", 2, 0),
            ("1e2", 2, 10_000),
            ("18550E-2", 2, 18_550),
            ("0e999999", 2, 0),
            ("5", 2, 500),
            ("100", 0, 100),
            ("100.0", 0, 100),
            ("\"7\"", 0, 7),
            ("9223372036854775807", 0, i64::MAX),
            ("92233720368547758.07", 2, i64::MAX),
        ] {
            assert_eq!(parsed(json, digits), Ok(expected), "{json}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        use DecimalError::{NotANumber, TooFine, TooLarge};
        for (json, digits, expected) in [
            ("185.505", 2, TooFine),
            ("1.5", 0, TooFine),
            ("1e-3", 2, TooFine),
            ("1e-999999999", 2, TooFine),
            ("9223372036854775808", 0, TooLarge),
            ("1e30", 2, TooLarge),
            ("1e99999999999", 2, TooLarge),
            ("0.0000000000000000000000000000000000001", 2, TooLarge),
            ("\"\"", 2, NotANumber),
            ("\"1e2\"", 2, NotANumber),
            ("\" 1\"", 2, NotANumber),
            ("\"+1\"", 2, NotANumber),
            ("\"1.\"", 2, NotANumber),
            ("\".5\"", 2, NotANumber),
            ("\"NaN\"", 2, NotANumber),
            ("\"1,5\"", 2, NotANumber),
            ("\"--1\"", 2, NotANumber),
            ("true", 2, NotANumber),
            ("null", 2, NotANumber),
            ("[1]", 2, NotANumber),
            ("{}", 2, NotANumber),
        ] {
            assert_eq!(parsed(json, digits), Err(expected), "{json}");
        }
    }

    #[test]
    fn cents_have_two_digits() {
        for (cents, text) in [
            (18_550, "185.50"),
            (5, "0.05"),
            (-5, "-0.05"),
            (-1_234, "-12.34"),
            (0, "0.00"),
        ] {
            assert_eq!(Cents(cents).to_string(), text);
            assert_eq!(parsed(&format!("\"{text}\""), 2), Ok(cents));
        }
        assert_eq!(Cents(i64::MIN).to_string(), "-92233720368547758.08");
        assert_eq!(serde_json::to_string(&Cents(1)).unwrap(), "\"0.01\"");
    }

    #[test]
    fn division_rounds_half_up() {
        for (numerator, denominator, expected) in [
            (5, 2, Some(3)),
            (-5, 2, Some(-2)),
            (7, 3, Some(2)),
            (8, 3, Some(3)),
            (1, 0, None),
        ] {
            assert_eq!(
                divide_half_up(numerator, denominator),
                expected,
                "{numerator}/{denominator}"
            );
        }
    }
}

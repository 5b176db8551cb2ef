//! How long a key is good for.

use std::str::FromStr;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;
/// The longest lifetime: somebody looks at a key at least once a year.
const SECONDS_MAX: u64 = 366 * DAY;

/// A lifetime: a number and a unit, `30m`, `12h` or `90d`; 1 minute to 366 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(u64);

impl Lifetime {
    /// One hour.
    pub const HOUR: Self = Self(60 * MINUTE);

    /// In seconds.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Lifetime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a lifetime is a number and m, h or d, such as 90d";
        let unit = match text.chars().next_back() {
            Some('m') => MINUTE,
            Some('h') => 60 * MINUTE,
            Some('d') => DAY,
            _ => return Err(FORM),
        };
        let number: u64 = text[..text.len() - 1].parse().map_err(|_| FORM)?;
        match number.checked_mul(unit) {
            Some(seconds) if (MINUTE..=SECONDS_MAX).contains(&seconds) => Ok(Self(seconds)),
            _ => Err("a lifetime is 1 minute to 366 days"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_has_a_unit_and_an_end() {
        for (text, seconds) in [("1m", 60), ("12h", 43_200), ("90d", 7_776_000), ("366d", 31_622_400)] {
            assert_eq!(text.parse(), Ok(Lifetime(seconds)), "{text}");
        }
        for bad in [
            "",
            "d",
            "90",
            "90 d",
            "-1d",
            "0m",
            "367d",
            "1y",
            "99999999999999999999d",
            "9999999999999999999d",
            "é",
        ] {
            assert!(bad.parse::<Lifetime>().is_err(), "{bad}");
        }
    }
}

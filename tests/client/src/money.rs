//! Money as the API writes it: decimal strings with two digits.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail};

/// An amount of money in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cents(pub i64);

impl fmt::Display for Cents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(formatter, "{sign}{}.{:02}", self.0.abs() / 100, self.0.abs() % 100)
    }
}

impl FromStr for Cents {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, cents) = digits
            .split_once('.')
            .with_context(|| format!("{text:?} does not have two digits after the point"))?;
        if cents.len() != 2 {
            bail!("{text:?} does not have two digits after the point");
        }
        Ok(Self(sign * (whole.parse::<i64>()? * 100 + cents.parse::<i64>()?)))
    }
}

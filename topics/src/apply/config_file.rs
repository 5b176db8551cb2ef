//! The machines' configuration, read as a whole from a file.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use brokerx_schemas::{Config, Session};
use serde_json::Value;

use super::calendar::Calendar;

/// The configuration is one record of at most 1 MiB: a session takes some 16 bytes of it.
const SESSIONS_MAX: usize = 10_000;

/// Reads and checks a configuration in YAML or JSON. Every field must be there: a file is the
/// whole configuration, not a difference. In place of `sessions` it may have a [`calendar`](Calendar),
/// which is resolved here: no machine needs to know a time zone.
///
/// # Errors
/// When the file cannot be read, lacks a field, has one that is unknown, or makes no sense.
pub fn read_config(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> Result<Config> {
    let mut given: Value = serde_saphyr::from_str(text)?;
    expand_calendar(&mut given)?;
    // The type itself cannot refuse unknown fields: an older build must read a newer record.
    let known = serde_json::to_value(Config::default())?;
    let unknown: Vec<_> = names(&given).difference(&names(&known)).cloned().collect();
    if !unknown.is_empty() {
        bail!("unknown fields: {}", unknown.join(", "));
    }
    let missing: Vec<_> = names(&known).difference(&names(&given)).cloned().collect();
    if !missing.is_empty() {
        bail!("missing fields: {}", missing.join(", "));
    }
    let config = serde_json::from_value(given)?;
    check(&config)?;
    Ok(config)
}

/// Puts the sessions of a calendar in its place.
fn expand_calendar(given: &mut Value) -> Result<()> {
    let Some(fields) = given.as_object_mut() else {
        return Ok(());
    };
    let Some(calendar) = fields.remove("calendar") else {
        return Ok(());
    };
    ensure!(
        !fields.contains_key("sessions"),
        "calendar and sessions exclude each other"
    );
    let calendar: Calendar = serde_json::from_value(calendar).context("calendar")?;
    let sessions = calendar.sessions().context("calendar")?;
    fields.insert("sessions".to_owned(), serde_json::to_value(sessions)?);
    Ok(())
}

fn names(value: &Value) -> BTreeSet<String> {
    value
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys().cloned())
        .collect()
}

/// Refuses what no machine could work with.
fn check(config: &Config) -> Result<()> {
    let is_currency = config.currency.len() == 3 && config.currency.bytes().all(|byte| byte.is_ascii_uppercase());
    ensure!(is_currency, "currency {:?} is no ISO 4217 code", config.currency);
    let basis_points = 0..=10_000;
    for (name, value, range) in [
        ("maker_fee_bps", config.maker_fee_bps, basis_points.clone()),
        ("taker_fee_bps", config.taker_fee_bps, basis_points.clone()),
        // A collar or band of 100 % would allow a price of 0.
        ("collar_bps", config.collar_bps, 1..=9_999),
        ("band_bps", config.band_bps, 1..=9_999),
        ("deposits_per_day_max", config.deposits_per_day_max, 0..=i32::MAX),
        ("open_orders_max", config.open_orders_max, 1..=i32::MAX),
        (
            "closed_keys_per_account_max",
            config.closed_keys_per_account_max,
            1..=i32::MAX,
        ),
        (
            "closed_keys_per_partition_max",
            config.closed_keys_per_partition_max,
            1..=i32::MAX,
        ),
        (
            "closed_keys_per_account_assured",
            config.closed_keys_per_account_assured,
            0..=i32::MAX,
        ),
        ("snapshot_levels_max", config.snapshot_levels_max, 1..=10_000),
        ("snapshot_cycle_seconds", config.snapshot_cycle_seconds, 1..=3_600),
        ("display_percent_min", config.display_percent_min, 0..=100),
    ] {
        ensure!(range.contains(&value), "{name} is {value}, outside of {range:?}");
    }
    ensure!(config.minimum_fee_cents >= 0, "minimum_fee_cents is negative");
    ensure!(config.closed_key_seconds > 0, "closed_key_seconds is not positive");
    ensure!(config.order_quantity_max > 0, "order_quantity_max is not positive");
    ensure!(
        config.order_notional_cents_max > 0,
        "order_notional_cents_max is not positive"
    );
    ensure!(
        0 < config.payment_cents_min && config.payment_cents_min <= config.payment_cents_max,
        "payment_cents_min..payment_cents_max is no range of positive amounts"
    );
    ensure!(
        0 < config.price_cents_min && config.price_cents_min <= config.price_cents_max,
        "price_cents_min..price_cents_max is no range of positive prices"
    );
    check_sessions(&config.sessions)?;
    let notional_max = config.order_quantity_max.checked_mul(config.price_cents_max);
    ensure!(
        notional_max.is_some(),
        "order_quantity_max times price_cents_max does not fit into 63 bits"
    );
    Ok(())
}

fn check_sessions(sessions: &[Session]) -> Result<()> {
    ensure!(
        sessions.len() <= SESSIONS_MAX,
        "{} sessions are more than {SESSIONS_MAX}",
        sessions.len()
    );
    for session in sessions {
        ensure!(
            0 < session.opens_second && session.opens_second < session.closes_second,
            "the session of day {} does not close after it opens",
            session.day
        );
    }
    for pair in sessions.windows(2) {
        ensure!(
            pair[0].day < pair[1].day && pair[0].closes_second <= pair[1].opens_second,
            "the sessions of days {} and {} are not in order, or overlap",
            pair[0].day,
            pair[1].day
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn default_json() -> Value {
        serde_json::to_value(Config::default()).unwrap()
    }

    #[test]
    fn the_default_configuration_is_read_back() {
        assert_eq!(parse(&default_json().to_string()).unwrap(), Config::default());
    }

    #[test]
    fn a_calendar_stands_for_its_sessions() {
        let mut json = default_json();
        json.as_object_mut().unwrap().remove("sessions");
        json["calendar"] = serde_json::json!({
            "time_zone": "America/Montreal", "opens": "09:30", "closes": "18:00", "weekdays": ["monday"],
            "first_day": "2026-03-01", "last_day": "2026-03-10",
        });
        let sessions = parse(&json.to_string()).unwrap().sessions;
        assert_eq!(sessions.len(), 2);
        json["sessions"] = serde_json::json!([]);
        assert!(parse(&json.to_string()).is_err(), "both");
    }

    #[test]
    fn sessions_that_overlap_are_refused() {
        let session = |day, opens_second, closes_second| Session {
            day,
            opens_second,
            closes_second,
        };
        for (name, sessions) in [
            ("overlap", vec![session(1, 10, 20), session(2, 19, 30)]),
            ("days out of order", vec![session(2, 10, 20), session(2, 20, 30)]),
            ("closes before it opens", vec![session(1, 20, 20)]),
        ] {
            assert!(check_sessions(&sessions).is_err(), "{name}");
        }
        check_sessions(&[session(1, 10, 20), session(4, 20, 30)]).unwrap();
    }

    #[test]
    fn a_missing_an_unknown_and_a_senseless_field_are_refused_by_name() {
        let mut missing = default_json();
        missing.as_object_mut().unwrap().remove("collar_bps");
        let mut unknown = default_json();
        unknown["colar_bps"] = 1.into();
        let mut senseless = default_json();
        senseless["taker_fee_bps"] = (-1).into();
        for (value, name) in [
            (missing, "collar_bps"),
            (unknown, "colar_bps"),
            (senseless, "taker_fee_bps"),
        ] {
            let refused = format!("{:#}", parse(&value.to_string()).unwrap_err());
            assert!(refused.contains(name), "{refused}");
        }
    }
}

//! The machines' configuration in a file, whole.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use brokerx_schemas::Config;
use serde_json::Value;

/// Reads and checks a configuration in YAML or JSON. Every field must be there: a file is the
/// whole configuration, not a difference.
///
/// # Errors
/// When the file cannot be read, lacks a field, has one that is unknown, or makes no sense.
pub fn read_config(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> Result<Config> {
    let given: Value = serde_saphyr::from_str(text)?;
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

fn names(value: &Value) -> BTreeSet<String> {
    value
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys().cloned())
        .collect()
}

/// What no machine could work with.
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
        ("snapshot_levels_max", config.snapshot_levels_max, 1..=10_000),
        ("snapshot_cycle_seconds", config.snapshot_cycle_seconds, 1..=3_600),
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
    let notional_max = config.order_quantity_max.checked_mul(config.price_cents_max);
    ensure!(
        notional_max.is_some(),
        "order_quantity_max times price_cents_max does not fit into 63 bits"
    );
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

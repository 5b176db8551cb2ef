//! What the values of enums are called in JSON and in database rows: by their Avro symbols, in JSON
//! mostly in lower case.

use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer, value};

/// The symbol of an enum's value, such as `PARTIALLY_FILLED`.
///
/// # Panics
/// When the type is not an enum without data.
pub fn symbol(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(symbol)) => symbol,
        other => panic!("an enum of the vocabulary is a string in JSON, not {other:?}"),
    }
}

/// The symbol in lower case, such as `partially_filled`.
///
/// # Panics
/// As [`symbol`].
pub fn lower(value: impl Serialize) -> String {
    symbol(value).to_ascii_lowercase()
}

/// The value that a symbol names; the enum's `Unknown` for any other text.
pub fn of_symbol<T: DeserializeOwned + Default>(symbol: &str) -> T {
    let deserializer: value::StrDeserializer<'_, value::Error> = symbol.into_deserializer();
    T::deserialize(deserializer).unwrap_or_default()
}

/// The value that a name in lower case stands for; none for `Unknown` or any other text.
pub fn of_lower<T: DeserializeOwned + Default + PartialEq>(name: &str) -> Option<T> {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    Some(of_symbol(&name.to_ascii_uppercase())).filter(|value| plain && *value != T::default())
}

#[cfg(test)]
mod tests {
    use brokerx_schemas::{OrderStatus, OrderType, Side};

    use super::*;

    #[test]
    fn a_name_leads_to_its_value_and_back() {
        assert_eq!(symbol(OrderStatus::PartiallyFilled), "PARTIALLY_FILLED");
        assert_eq!(lower(OrderType::StopLimit), "stop_limit");
        assert_eq!(of_symbol::<OrderType>("STOP_LIMIT"), OrderType::StopLimit);
        assert_eq!(of_symbol::<OrderType>("ICEBERG"), OrderType::Unknown);
        assert_eq!(of_lower("buy"), Some(Side::Buy));
        for bad in ["BUY", "Buy", "unknown", "", "short"] {
            assert_eq!(of_lower::<Side>(bad), None, "{bad}");
        }
    }
}

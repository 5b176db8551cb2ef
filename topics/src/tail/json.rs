//! Avro values as JSON for people.

use apache_avro::types::Value as Avro;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::hexadecimal::hexadecimal;

/// The value of a topic, its fields in the order of the schema: of the nullable records, one per
/// kind, only the one that is there is shown.
pub(super) struct Shown(pub(super) Avro);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Avro::Record(fields) if fields.first().is_some_and(|(name, _)| name == "kind") => {
                let present = fields
                    .iter()
                    .filter(|(_, value)| !matches!(value, Avro::Union(_, value) if **value == Avro::Null));
                serializer.collect_map(present.map(|(name, value)| (name, Plain(value))))
            }
            value => Plain(value).serialize(serializer),
        }
    }
}

struct Plain<'a>(&'a Avro);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Avro::Null => serializer.serialize_unit(),
            Avro::Boolean(value) => serializer.serialize_bool(*value),
            Avro::Int(value) | Avro::Date(value) | Avro::TimeMillis(value) => serializer.serialize_i32(*value),
            Avro::Long(value)
            | Avro::TimeMicros(value)
            | Avro::TimestampMillis(value)
            | Avro::TimestampMicros(value)
            | Avro::TimestampNanos(value)
            | Avro::LocalTimestampMillis(value)
            | Avro::LocalTimestampMicros(value)
            | Avro::LocalTimestampNanos(value) => serializer.serialize_i64(*value),
            Avro::Float(value) => serializer.serialize_f32(*value),
            Avro::Double(value) => serializer.serialize_f64(*value),
            Avro::String(text) | Avro::Enum(_, text) => serializer.serialize_str(text),
            Avro::Bytes(bytes) => serializer.serialize_str(&hexadecimal(bytes)),
            // Command ids: a UUID in its 16 bytes.
            Avro::Fixed(_, bytes) => match <[u8; 16]>::try_from(&bytes[..]) {
                Ok(bytes) => serializer.collect_str(&uuid::Uuid::from_bytes(bytes)),
                Err(_) => serializer.serialize_str(&hexadecimal(bytes)),
            },
            Avro::Uuid(uuid) => serializer.collect_str(uuid),
            Avro::Union(_, value) => Plain(value).serialize(serializer),
            Avro::Array(values) => serializer.collect_seq(values.iter().map(Plain)),
            Avro::Map(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, Plain(value)))),
            Avro::Record(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, Plain(value)))),
            // Decimals and durations, which no schema of this build has.
            other => serializer.collect_str(&format_args!("{other:?}")),
        }
    }
}

/// The headers of a record in their order; a name may stand there twice.
pub(super) struct Headers(pub(super) Vec<(String, Option<String>)>);

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Bytes as text; in hexadecimal after `0x` when they are none.
pub(super) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("0x{}", hexadecimal(bytes)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn field(name: &str, value: Avro) -> (String, Avro) {
        (name.to_owned(), value)
    }

    #[test]
    fn only_the_record_of_the_kind_is_shown_in_the_order_of_the_schema() {
        let trade = Avro::Record(vec![
            field("price_cents", Avro::Long(5)),
            field("note", Avro::Union(0, Box::new(Avro::Null))),
        ]);
        let value = Avro::Record(vec![
            field("kind", Avro::Enum(1, "TRADE".to_owned())),
            field("trade", Avro::Union(1, Box::new(trade))),
            field("other", Avro::Union(0, Box::new(Avro::Null))),
        ]);
        let shown = serde_json::to_string(&Shown(value)).unwrap();
        assert_eq!(shown, r#"{"kind":"TRADE","trade":{"price_cents":5,"note":null}}"#);
    }

    #[test]
    fn bytes_are_shown_as_text_where_they_are_text() {
        assert_eq!(text(b"AAPL"), "AAPL");
        assert_eq!(text(&[0xff, 0]), "0xff00");
        let id = serde_json::to_string(&Plain(&Avro::Fixed(16, vec![0; 16]))).unwrap();
        assert_eq!(id, r#""00000000-0000-0000-0000-000000000000""#);
    }
}

//! Tables that are written with one statement per batch: columns as arrays, joined by `unnest`.

use serde::Serialize;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, Postgres};
use sqlx::types::Type;

/// A Rust type that is a column.
pub(super) trait Column {
    /// The PostgreSQL type of an array of it.
    const ARRAY: &'static str;
    /// A cast of one element to the column's type, where it is not the array's element type.
    const CAST: &'static str = "";
}

macro_rules! columns {
    ($($type:ty => $array:literal),+ $(,)?) => {
        $(
            impl Column for $type { const ARRAY: &'static str = $array; }
            impl Column for Option<$type> { const ARRAY: &'static str = $array; }
        )+
    };
}

columns! { i64 => "bigint[]", i32 => "integer[]", bool => "boolean[]", String => "text[]", &str => "text[]" }

/// JSON as text, sent as text and parsed by PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonText(String);

impl Type<Postgres> for JsonText {
    fn type_info() -> PgTypeInfo {
        <String as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for JsonText {
    fn array_type_info() -> PgTypeInfo {
        String::array_type_info()
    }
}

impl Encode<'_, Postgres> for JsonText {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        self.0.encode_by_ref(buffer)
    }
}

impl Column for &JsonText {
    const ARRAY: &'static str = "text[]";
    /// A column of jsonb takes it as well.
    const CAST: &'static str = "::json";
}

impl JsonText {
    /// A message as JSON, without the fields that have no value: most fields of most events have none. NUL, which
    /// PostgreSQL has no place for, becomes U+FFFD.
    pub(super) fn of(message: &impl Serialize) -> Result<Self, serde_json::Error> {
        let json = without_nulls(&serde_json::to_string(message)?);
        Ok(Self(match json.contains("\\u0000") {
            true => json.replace("\\u0000", "\\ufffd"),
            false => json,
        }))
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Bytes of the text.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// JSON without the members of objects that are null. `json` is as serde_json writes it: without spaces.
fn without_nulls(json: &str) -> String {
    let bytes = json.as_bytes();
    let mut kept = String::with_capacity(json.len());
    let mut at = 0;
    while at < bytes.len() {
        let token = match bytes[at] {
            b'"' => string_end(bytes, at) - at,
            // What stands between two strings holds no quote.
            _ => bytes[at..]
                .iter()
                .position(|byte| *byte == b'"')
                .unwrap_or(bytes.len() - at),
        };
        let mut end = at + token;
        if bytes[at] == b'"' && bytes[end..].starts_with(b":null") {
            end += b":null".len();
            match (kept.ends_with('{'), bytes.get(end)) {
                // The first member: the comma behind it goes too.
                (true, Some(b',')) => end += 1,
                (true, _) => {}
                (false, _) => drop(kept.pop()),
            }
        } else {
            kept.push_str(&json[at..end]);
        }
        at = end;
    }
    kept
}

/// Behind the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// The symbol of an enum, as the Avro schema spells it.
///
/// # Panics
/// When the value is no enum of unit variants.
pub(super) fn symbol(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(symbol)) => symbol,
        other => panic!("an enum serializes to its symbol, not to {other:?}"),
    }
}

/// A client's text as PostgreSQL accepts it: NUL becomes U+FFFD.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// What happens when a row with the same key is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum OnConflict {
    /// That cannot be: it is an error, loudly.
    Refuse,
    /// The first row stays. Holds the names of the key columns.
    Keep(&'static str),
    /// The last row stands. Holds the names of the key columns.
    Replace(&'static str),
}

/// A column of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnSpec {
    pub(super) name: &'static str,
    pub(super) array: &'static str,
    pub(super) cast: &'static str,
}

/// The statement that writes columns given as arrays.
pub(super) fn insert_statement(table: &str, columns: &[ColumnSpec], on_conflict: OnConflict) -> String {
    let join = |texts: Vec<String>| texts.join(", ");
    let names = join(columns.iter().map(|column| column.name.to_owned()).collect());
    let values = join(
        columns
            .iter()
            .map(|column| format!("{}{}", column.name, column.cast))
            .collect(),
    );
    let numbered = columns.iter().enumerate();
    let arrays = join(
        numbered
            .map(|(index, column)| format!("${}::{}", index + 1, column.array))
            .collect(),
    );
    let conflict = match on_conflict {
        OnConflict::Refuse => String::new(),
        OnConflict::Keep(key) => format!(" ON CONFLICT ({key}) DO NOTHING"),
        OnConflict::Replace(key) => {
            let is_key = |name: &str| key.split(", ").any(|part| part == name);
            let changed = columns.iter().map(|column| column.name).filter(|name| !is_key(name));
            let changes = join(changed.map(|name| format!("{name} = EXCLUDED.{name}")).collect());
            format!(" ON CONFLICT ({key}) DO UPDATE SET {changes}")
        }
    };
    format!("INSERT INTO projection.{table} ({names}) SELECT {values} FROM unnest({arrays}) AS new ({names}){conflict}")
}

/// Declares the rows of one table: for each column its name, type and value from a source row.
macro_rules! rows {
    (
        $(#[$meta:meta])*
        $name:ident$(<$lifetime:lifetime>)? in $table:literal, $on_conflict:expr, from $row:ident: $source:ty {
            $( $column:ident: $type:ty = $value:expr ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub(super) struct $name$(<$lifetime>)? {
            count: usize,
            $( $column: Vec<$type>, )+
        }

        impl$(<$lifetime>)? $name$(<$lifetime>)? {
            /// The table, for metrics.
            pub(super) const TABLE: &'static str = $table;

            pub(super) fn push(&mut self, $row: $source) {
                self.count += 1;
                $( self.$column.push($value); )+
            }

            /// Writes all rows with one statement; none costs nothing.
            pub(super) async fn write(&self, connection: &mut sqlx::PgConnection) -> Result<u64, sqlx::Error> {
                static STATEMENT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
                if self.count == 0 {
                    return Ok(0);
                }
                let statement = STATEMENT.get_or_init(|| {
                    $crate::projector::rows::insert_statement(
                        $table,
                        &[$( $crate::projector::rows::ColumnSpec {
                            name: stringify!($column),
                            array: <$type as $crate::projector::rows::Column>::ARRAY,
                            cast: <$type as $crate::projector::rows::Column>::CAST,
                        } ),+],
                        $on_conflict,
                    )
                });
                let query = sqlx::query(statement.as_str())$( .bind(&self.$column) )+;
                Ok(query.execute(connection).await?.rows_affected())
            }
        }
    };
}
pub(super) use rows;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use brokerx_schemas::{OrderType, Side};

    #[test]
    fn statements_join_arrays() {
        let column = |name, array, cast| ColumnSpec { name, array, cast };
        let columns = [column("id", "bigint[]", ""), column("body", "text[]", "::json")];
        assert_eq!(
            insert_statement("things", &columns, OnConflict::Replace("id")),
            "INSERT INTO projection.things (id, body) SELECT id, body::json \
             FROM unnest($1::bigint[], $2::text[]) AS new (id, body) \
             ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body"
        );
        assert!(insert_statement("things", &columns, OnConflict::Keep("id")).ends_with("ON CONFLICT (id) DO NOTHING"));
        assert!(insert_statement("things", &columns, OnConflict::Refuse).ends_with("AS new (id, body)"));
    }

    #[test]
    fn members_that_are_null_are_left_out_and_nothing_else() {
        for (json, without) in [
            (r#"{"a":null}"#, "{}"),
            (r#"{"a":null,"b":1}"#, r#"{"b":1}"#),
            (r#"{"b":1,"a":null}"#, r#"{"b":1}"#),
            (r#"{"a":null,"b":null,"c":[null,2],"d":null}"#, r#"{"c":[null,2]}"#),
            (
                r#"{"a":{"b":null},"c":[{"d":null,"e":3}]}"#,
                r#"{"a":{},"c":[{"e":3}]}"#,
            ),
            (
                r#"{"a":"null","b":"\",\"c\":null,","d":"x\\","e":null}"#,
                r#"{"a":"null","b":"\",\"c\":null,","d":"x\\"}"#,
            ),
            (r#"{"a":"é","b":null}"#, r#"{"a":"é"}"#),
            ("null", "null"),
            (r#""a""#, r#""a""#),
        ] {
            assert_eq!(without_nulls(json), without);
        }
    }

    #[test]
    fn a_message_without_nulls_is_read_as_the_same_message() {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/examples/account-events");
        for example in std::fs::read_dir(examples).unwrap() {
            let text = std::fs::read_to_string(example.unwrap().path()).unwrap();
            let mut example: serde_json::Value = serde_json::from_str(&text).unwrap();
            // An example shows it as a UUID, serde as bytes.
            example.as_object_mut().unwrap().remove("command_id");
            let event: brokerx_schemas::AccountEvent = serde_json::from_value(example).unwrap();
            let text = JsonText::of(&event).unwrap();
            let read: brokerx_schemas::AccountEvent = serde_json::from_str(text.as_str()).unwrap();
            assert_eq!(
                serde_json::to_value(&read).unwrap(),
                serde_json::to_value(&event).unwrap()
            );
            let value: serde_json::Value = serde_json::from_str(text.as_str()).unwrap();
            assert!(value.as_object().unwrap().values().all(|member| !member.is_null()));
        }
    }

    #[test]
    fn enums_are_their_avro_symbols() {
        assert_eq!(symbol(&Side::Buy), "BUY");
        assert_eq!(symbol(&OrderType::StopLimit), "STOP_LIMIT");
    }

    #[test]
    fn postgres_never_sees_a_nul() {
        assert_eq!(text("a\0b"), "a\u{fffd}b");
        assert_eq!(JsonText::of(&"a\0b").unwrap(), JsonText("\"a\\ufffdb\"".to_owned()));
    }
}

//! Plain JSON to an Avro datum and back, by the schema alone.

use apache_avro::Schema;
use apache_avro::schema::{NamesRef, ResolvedSchema};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::Value as Json;

/// The datum that a JSON document stands for: a union is null or the plain value, an enum its
/// symbol, `fixed(16)` a UUID, and a field with a default may be left out.
pub fn from_json(schema: &Schema, json: &Json) -> Result<Value, String> {
    let resolved = ResolvedSchema::new(schema).map_err(|error| error.to_string())?;
    build(schema, resolved.get_names(), json).map_err(|(path, what)| format!("{path}: {what}"))
}

/// The datum's bytes, by the reference library.
pub fn bytes(schema: &Schema, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    writer
        .write_value_ref(&mut bytes, value)
        .unwrap_or_else(|error| panic!("{error}"));
    bytes
}

/// The datum as JSON text in the order of the schema, in the form in which serde_json writes the
/// Rust types: equal texts mean equal names, equal order and equal values.
pub fn to_text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::String(text) | Value::Enum(_, text) => serde_json::to_string(text).unwrap(),
        Value::Fixed(_, bytes) => serde_json::to_string(bytes).unwrap(),
        Value::Union(_, inner) => to_text(inner),
        Value::Array(items) => format!("[{}]", items.iter().map(to_text).collect::<Vec<_>>().join(",")),
        Value::Record(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("\"{name}\":{}", to_text(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        other => panic!("no schema uses {other:?}"),
    }
}

/// Changes every enum of a datum.
pub fn each_enum(value: &mut Value, change: &impl Fn(&mut u32, &mut String)) {
    match value {
        Value::Enum(index, symbol) => change(index, symbol),
        Value::Union(_, inner) => each_enum(inner, change),
        Value::Array(items) => items.iter_mut().for_each(|item| each_enum(item, change)),
        Value::Record(fields) => fields.iter_mut().for_each(|(_, field)| each_enum(field, change)),
        _ => {}
    }
}

type Problem = (String, String);

fn build(schema: &Schema, names: &NamesRef, json: &Json) -> Result<Value, Problem> {
    let wrong = || (String::new(), format!("{json} does not fit {schema:?}"));
    match schema {
        Schema::Null if json.is_null() => Ok(Value::Null),
        Schema::Boolean => json.as_bool().map(Value::Boolean).ok_or_else(wrong),
        Schema::Int => json
            .as_i64()
            .and_then(|n| i32::try_from(n).ok())
            .map(Value::Int)
            .ok_or_else(wrong),
        Schema::Long => json.as_i64().map(Value::Long).ok_or_else(wrong),
        Schema::String => json
            .as_str()
            .map(|text| Value::String(text.to_owned()))
            .ok_or_else(wrong),
        Schema::Ref { name } => build(names.get(name).ok_or_else(wrong)?, names, json),
        Schema::Fixed(fixed) if fixed.size == 16 => {
            let id: uuid::Uuid = json.as_str().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
            Ok(Value::Fixed(16, id.as_bytes().to_vec()))
        }
        Schema::Enum(symbols) => {
            let symbol = json.as_str().ok_or_else(wrong)?;
            let index = symbols
                .symbols
                .iter()
                .position(|known| known == symbol)
                .ok_or_else(wrong)?;
            Ok(Value::Enum(u32::try_from(index).unwrap(), symbol.to_owned()))
        }
        Schema::Union(union) => {
            let variant = usize::from(!json.is_null());
            let inner = build(union.variants().get(variant).ok_or_else(wrong)?, names, json)?;
            Ok(Value::Union(u32::try_from(variant).unwrap(), Box::new(inner)))
        }
        Schema::Array(array) => {
            let items = json.as_array().ok_or_else(wrong)?.iter().enumerate();
            let items = items.map(|(index, item)| build(&array.items, names, item).map_err(|e| below(index, e)));
            items.collect::<Result<_, _>>().map(Value::Array)
        }
        Schema::Record(record) => {
            let object = json.as_object().ok_or_else(wrong)?;
            if let Some(name) = object.keys().find(|name| !record.lookup.contains_key(*name)) {
                return Err((name.clone(), "no such field in the schema".to_owned()));
            }
            let field = |field: &apache_avro::schema::RecordField| {
                let json = object.get(&field.name).or(field.default.as_ref());
                let json = json.ok_or_else(|| (field.name.clone(), "missing, and has no default".to_owned()))?;
                let value = build(&field.schema, names, json).map_err(|problem| below(&field.name, problem))?;
                Ok((field.name.clone(), value))
            };
            record
                .fields
                .iter()
                .map(field)
                .collect::<Result<_, _>>()
                .map(Value::Record)
        }
        _ => Err(wrong()),
    }
}

fn below(place: impl std::fmt::Display, (path, what): Problem) -> Problem {
    (format!("{place}.{path}"), what)
}

//! The symbols that a Rust enum knows, as its `Deserialize` announces them.

use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};

/// The names of all variants of an enum, in the order of its declaration.
pub fn of<T: DeserializeOwned>() -> Vec<String> {
    match T::deserialize(Announcement) {
        Ok(_) => panic!("the enum was read from nothing"),
        Err(names) => names.to_string().split(',').map(str::to_owned).collect(),
    }
}

/// Deserializes nothing: when asked for an enum, it fails with the names of the enum's variants.
struct Announcement;

impl<'de> Deserializer<'de> for Announcement {
    type Error = Error;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        Err(Error::custom(variants.join(",")))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        panic!("not an enum")
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

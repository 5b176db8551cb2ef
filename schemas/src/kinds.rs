//! The mapping between a Rust enum and the evolvable Avro form of a topic's value.

/// Declares an enum whose wire form is one record with a `kind` enum and one nullable record per
/// kind. `field: Variant(Type)` gives the Avro field and the Rust variant; the symbol of `kind` is
/// the variant in `SCREAMING_SNAKE_CASE`.
///
/// Decoding yields `Unknown` when `kind` is `UNKNOWN` or a symbol that this build does not know,
/// and an error when `kind` and the record that is present disagree.
#[macro_export]
macro_rules! kinds {
    (
        $(#[$meta:meta])*
        $name:ident, $kind:ident {
            $( $(#[$variant_meta:meta])* $field:ident: $variant:ident($type:ty) ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(clippy::large_enum_variant, reason = "a message lives on the stack once, boxing would cost an allocation each")]
        pub enum $name {
            $( $(#[$variant_meta])* $variant($type), )+
            /// A kind that this build does not know.
            Unknown,
        }

        #[doc = concat!("The `kind` of a [`", stringify!($name), "`].")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum $kind {
            $( $(#[$variant_meta])* $variant, )+
            /// A kind that this build does not know.
            #[serde(other)]
            Unknown,
        }

        impl $name {
            /// Which kind of message this is.
            pub fn kind(&self) -> $kind {
                match self {
                    $( Self::$variant(_) => $kind::$variant, )+
                    Self::Unknown => $kind::Unknown,
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;
                const FIELDS: usize = 1 $( + { let _ = stringify!($field); 1 } )+;
                let mut record = serializer.serialize_struct(stringify!($name), FIELDS)?;
                record.serialize_field("kind", &self.kind())?;
                $(
                    let value: Option<&$type> = match self { Self::$variant(value) => Some(value), _ => None };
                    record.serialize_field(stringify!($field), &value)?;
                )+
                record.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(serde::Deserialize)]
                #[serde(field_identifier, rename_all = "snake_case")]
                enum Field { Kind, $( $variant, )+ #[serde(other)] Other }

                struct RecordVisitor;
                impl<'de> serde::de::Visitor<'de> for RecordVisitor {
                    type Value = $name;
                    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                        formatter.write_str(concat!("a record of ", stringify!($name)))
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut kind = None;
                        let mut value = None;
                        while let Some(field) = map.next_key::<Field>()? {
                            match field {
                                Field::Kind => kind = Some(map.next_value::<$kind>()?),
                                $( Field::$variant => if let Some(present) = map.next_value::<Option<$type>>()? {
                                    value = Some($name::$variant(present));
                                } )+
                                Field::Other => { map.next_value::<serde::de::IgnoredAny>()?; }
                            }
                        }
                        let kind = kind.ok_or_else(|| serde::de::Error::missing_field("kind"))?;
                        match value {
                            Some(value) if value.kind() == kind => Ok(value),
                            None if kind == $kind::Unknown => Ok($name::Unknown),
                            value => Err(serde::de::Error::custom(format_args!(
                                "kind is {kind:?}, the record present is {:?}", value.map(|value| value.kind())
                            ))),
                        }
                    }
                }
                deserializer.deserialize_struct(
                    stringify!($name), &["kind" $(, stringify!($field))+], RecordVisitor)
            }
        }
    };
}

/// Declares an enum of the shared vocabulary: symbols in `SCREAMING_SNAKE_CASE`, and `Unknown` for
/// the Avro default and for every symbol that this build does not know.
#[macro_export]
macro_rules! vocabulary {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$variant_meta:meta])* $variant:ident ),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )+
            /// A symbol that this build does not know; never written.
            #[default]
            #[serde(other)]
            Unknown,
        }
    };
}

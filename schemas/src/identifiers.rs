//! Identifiers: who makes them, and how they look on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! integer_identifier {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(formatter) }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> { text.parse().map(Self) }
        }
    };
}

integer_identifier! {
    /// A client's trading account: a random 63-bit number that the ingress draws at registration.
    AccountId
}
integer_identifier! {
    /// An order, named by settlement: [`PackedId`] of the `account-commands` record that placed it.
    OrderId
}
integer_identifier! {
    /// A deposit or withdrawal, named by settlement: [`PackedId`] of its `account-commands` record.
    PaymentId
}
integer_identifier! {
    /// A share transfer, named by settlement: [`PackedId`] of its `account-commands` record.
    TransferId
}
integer_identifier! {
    /// A trade, named by the matcher: [`PackedId`] of the book partition and a counter in its state.
    TradeId
}

/// Generation, partition and a counter (an inbox offset, for most) packed into 63 bits, so that a
/// machine can make ids without randomness and no two partitions ever make the same one:
/// `generation:7 | partition:12 | counter:44`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedId {
    /// The generation of the log, 0..=127; counts topic generations.
    pub generation: i32,
    /// The partition of the machine that makes the id, 0..=4095.
    pub partition: i32,
    /// The counter within the partition, 0..2^44.
    pub counter: i64,
}

impl PackedId {
    const PARTITION_BITS: u32 = 12;
    const COUNTER_BITS: u32 = 44;

    /// The packed 63-bit number.
    ///
    /// # Panics
    /// When a part is outside its range. No log lives long enough for a counter to get there: it would
    /// take 17 trillion records in one partition.
    pub fn pack(self) -> i64 {
        assert!((0..1 << 7).contains(&self.generation), "generation out of range");
        assert!(
            (0..1 << Self::PARTITION_BITS).contains(&self.partition),
            "partition out of range"
        );
        assert!(
            (0..1_i64 << Self::COUNTER_BITS).contains(&self.counter),
            "counter out of range"
        );
        i64::from(self.generation) << (Self::PARTITION_BITS + Self::COUNTER_BITS)
            | i64::from(self.partition) << Self::COUNTER_BITS
            | self.counter
    }

    /// The parts of a packed number; every non-negative number is one.
    pub fn unpack(packed: i64) -> Self {
        Self {
            generation: (packed >> (Self::PARTITION_BITS + Self::COUNTER_BITS)) as i32,
            partition: ((packed >> Self::COUNTER_BITS) & ((1 << Self::PARTITION_BITS) - 1)) as i32,
            counter: packed & ((1 << Self::COUNTER_BITS) - 1),
        }
    }
}

/// A UUID that names one command; the ingress makes it. On the wire: Avro `fixed(16)`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub [u8; 16]);

impl CommandId {
    /// The command id of a UUID.
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(*uuid.as_bytes())
    }
    /// The id as a UUID.
    pub fn to_uuid(self) -> uuid::Uuid {
        uuid::Uuid::from_bytes(self.0)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_uuid().fmt(formatter)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for CommandId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for CommandId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl<'de> de::Visitor<'de> for BytesVisitor {
            type Value = CommandId;
            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("16 bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<CommandId, E> {
                bytes
                    .try_into()
                    .map(CommandId)
                    .map_err(|_| E::invalid_length(bytes.len(), &self))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<CommandId, A::Error> {
                let mut bytes = [0; 16];
                for (index, byte) in bytes.iter_mut().enumerate() {
                    *byte = seq
                        .next_element()?
                        .ok_or_else(|| de::Error::invalid_length(index, &self))?;
                }
                Ok(CommandId(bytes))
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

/// An instrument's symbol: 1 to 12 of `A-Z 0-9 . -`, the first a letter. Copied, never allocated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol([u8; Symbol::LENGTH_MAX]);

/// A text that is not a [`Symbol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a symbol is 1 to 12 of A-Z 0-9 . - and starts with a letter")]
pub struct SymbolError;

impl Symbol {
    /// The longest symbol, in bytes.
    pub const LENGTH_MAX: usize = 12;

    /// The symbol that a text spells.
    ///
    /// # Errors
    /// When the text is not a symbol.
    pub fn new(text: &str) -> Result<Self, SymbolError> {
        let allowed = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-');
        let bytes = text.as_bytes();
        if bytes.is_empty()
            || bytes.len() > Self::LENGTH_MAX
            || !bytes[0].is_ascii_uppercase()
            || !bytes.iter().all(allowed)
        {
            return Err(SymbolError);
        }
        let mut padded = [0; Self::LENGTH_MAX];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(padded))
    }

    /// The symbol as text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(Self::LENGTH_MAX);
        std::str::from_utf8(&self.0[..length]).expect("a symbol is ASCII by construction")
    }
}

impl FromStr for Symbol {
    type Err = SymbolError;
    fn from_str(text: &str) -> Result<Self, SymbolError> {
        Self::new(text)
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for Symbol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Symbol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl de::Visitor<'_> for TextVisitor {
            type Value = Symbol;
            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a symbol")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Symbol, E> {
                Symbol::new(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn packed_ids_keep_their_parts() {
        for id in [
            PackedId {
                generation: 0,
                partition: 0,
                counter: 1,
            },
            PackedId {
                generation: 127,
                partition: 4095,
                counter: (1 << 44) - 1,
            },
        ] {
            assert!(id.pack() >= 0);
            assert_eq!(PackedId::unpack(id.pack()), id);
        }
    }

    #[test]
    fn symbols_are_checked() {
        assert_eq!(Symbol::new("BRK.B").unwrap().as_str(), "BRK.B");
        assert_eq!(Symbol::new("ABCDEFGHIJKL").unwrap().as_str(), "ABCDEFGHIJKL");
        for bad in ["", "aapl", "1A", "ABCDEFGHIJKLM", "A B", "Ä"] {
            assert_eq!(Symbol::new(bad), Err(SymbolError), "{bad}");
        }
    }
}

//! What the codec and the runner know of a message: its topic and its schema.

use serde::{Serialize, de::DeserializeOwned};

use crate::datum::{self, AvroSchema, DatumError};
use crate::{
    AccountCommand, AccountEvent, AckEvent, AuthEvent, BookCommand, Control, DeadLetter, DepositEvent, InstrumentEvent,
    LedgerEvent, MarketData, OrderEvent, Passage, Reply, TradeEvent,
};

/// The value of one topic.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {
    /// The topic.
    const TOPIC: &'static str;
    /// The Avro schema, as JSON.
    const SCHEMA: &'static str;
    /// The inboxes whose folds alone write the topic; none when clients, operators or tools write there as well.
    const WRITERS: &'static [&'static str] = &[];

    /// Appends it as a datum of a schema, which is [`Self::SCHEMA`] once it is parsed.
    ///
    /// # Errors
    /// When it does not fit; part of it may then be in `buffer`.
    fn write_datum(&self, schema: &AvroSchema, buffer: &mut Vec<u8>) -> Result<(), DatumError> {
        datum::write(self, schema, buffer)
    }

    /// The message in a datum that was written with a schema, this one or another version of it.
    ///
    /// # Errors
    /// When the bytes are no such datum, or more than one.
    fn read_datum(datum: &[u8], writer: &AvroSchema) -> Result<Self, DatumError> {
        datum::read(datum, writer)
    }
}

/// The value of a topic that a machine folds over.
pub trait InboxMessage: Message {
    /// What the record means to the runner, when it is one of its own.
    fn control(&self) -> Option<Control<'_>>;
    /// Whether this is a kind, or holds a symbol, that this build does not know.
    fn is_unknown(&self) -> bool;
    /// The inbox whose fold alone writes records of this kind; none for what clients, operators and tools
    /// write.
    fn writer(&self) -> Option<&'static str>;
    /// The clock's record; none for an inbox without a clock.
    fn tick(second: i64) -> Option<Self>;
}

macro_rules! messages {
    ($( $type:ident = $topic:literal $(by $( $writer:ident )|+)? ),+ $(,)?) => {
        $(
            impl Message for $type {
                const TOPIC: &'static str = $topic;
                const SCHEMA: &'static str = include_str!(concat!("../avro/", $topic, ".avsc"));
                $( const WRITERS: &'static [&'static str] = &[$( $writer::TOPIC ),+]; )?

                // The same as without: but a function of an impl is compiled where the impl stands.
                fn write_datum(&self, schema: &AvroSchema, buffer: &mut Vec<u8>) -> Result<(), DatumError> {
                    datum::write(self, schema, buffer)
                }

                fn read_datum(datum: &[u8], writer: &AvroSchema) -> Result<Self, DatumError> {
                    datum::read(datum, writer)
                }
            }
        )+

        /// A message to any topic: what a machine hands to the runner.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, clippy::large_enum_variant, reason = "each variant is the value of one topic")]
        pub enum AnyMessage { $( $type($type), )+ }

        impl AnyMessage {
            /// The topic that it belongs to.
            pub fn topic(&self) -> &'static str {
                match self { $( Self::$type(_) => $type::TOPIC, )+ }
            }

            /// As [`Message::write_datum`].
            ///
            /// # Errors
            /// When it does not fit; part of it may then be in `buffer`.
            pub fn write_datum(&self, schema: &AvroSchema, buffer: &mut Vec<u8>) -> Result<(), DatumError> {
                match self { $( Self::$type(message) => message.write_datum(schema, buffer), )+ }
            }
        }

        $( impl From<$type> for AnyMessage { fn from(message: $type) -> Self { Self::$type(message) } } )+

        impl Serialize for AnyMessage {
            /// As the value itself: the topic tells the type.
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $( Self::$type(message) => message.serialize(serializer), )+ }
            }
        }

        /// Topic and schema of every message.
        pub const SCHEMAS: &[(&str, &str)] = &[ $( ($type::TOPIC, $type::SCHEMA), )+ ];
    };
}

messages! {
    AccountCommand = "account-commands",
    BookCommand = "book-commands",
    Reply = "replies" by AccountCommand | BookCommand,
    AccountEvent = "account-events" by AccountCommand,
    OrderEvent = "orders" by AccountEvent,
    DepositEvent = "deposits" by AccountEvent,
    LedgerEvent = "ledger" by AccountEvent,
    AuthEvent = "auth",
    TradeEvent = "trades" by BookCommand,
    MarketData = "market-data" by BookCommand,
    InstrumentEvent = "instruments" by BookCommand,
    AckEvent = "acks",
    DeadLetter = "dead-letters",
    Passage = "passed-offsets",
}

macro_rules! inbox_with_control {
    ($type:ident, $writer:ident writes $($kind:ident)|+) => {
        impl InboxMessage for $type {
            fn control(&self) -> Option<Control<'_>> {
                match self {
                    Self::Genesis(genesis) => Some(Control::Genesis(genesis)),
                    Self::Config(change) => Some(Control::Config(change)),
                    Self::Tick(tick) => Some(Control::Tick(*tick)),
                    _ => None,
                }
            }
            fn is_unknown(&self) -> bool {
                matches!(self, Self::Unknown)
            }
            fn writer(&self) -> Option<&'static str> {
                matches!(self, $(Self::$kind(_))|+).then_some($writer::TOPIC)
            }
            fn tick(second: i64) -> Option<Self> {
                Some(Self::Tick(crate::Tick { second }))
            }
        }
    };
}

inbox_with_control!(AccountCommand, BookCommand writes Fill | CommandDone | OrderTriggered | OrderEnded | DayClosed);
inbox_with_control!(BookCommand, AccountCommand writes NewOrder | CancelBookOrder | ReplaceBookOrder);

impl InboxMessage for AccountEvent {
    fn control(&self) -> Option<Control<'_>> {
        None
    }
    fn is_unknown(&self) -> bool {
        self.kind == crate::AccountEventKind::Unknown
    }
    fn writer(&self) -> Option<&'static str> {
        Self::WRITERS.first().copied()
    }
    fn tick(_second: i64) -> Option<Self> {
        None
    }
}

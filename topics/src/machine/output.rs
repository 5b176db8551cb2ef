//! What a machine sends.

use brokerx_schemas::AnyMessage;

/// A record to send, before it has a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The destination partition, computed by the machine; the topic follows from the message.
    pub partition: i32,
    /// The record's key.
    pub key: Vec<u8>,
    /// The value.
    pub message: AnyMessage,
}

/// Collects what one `apply` sends, in order.
#[derive(Debug, Default)]
pub struct Outputs {
    items: Vec<Output>,
}

impl Outputs {
    /// Sends a message to a partition of its topic.
    pub fn send(&mut self, partition: i32, key: Vec<u8>, message: impl Into<AnyMessage>) {
        self.items.push(Output {
            partition,
            key,
            message: message.into(),
        });
    }

    /// How many are waiting: a machine answers `More` before this grows large.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes out what was sent, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Output> {
        self.items.drain(..)
    }
}

/// A numbered record, ready for the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    /// What to send and where.
    pub output: Output,
    /// Its number on the edge from this inbox partition to the destination partition, from 1.
    pub seq: u64,
    /// The inbox offset that caused it.
    pub cause_offset: i64,
}

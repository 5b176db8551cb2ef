//! The answer to a line, put together from the records that it caused.

use std::io::Write;

use brokerx_schemas::{
    AccountCommand, AnyMessage, BookStatus, CommandDone, InstrumentStatus, OrderTriggered, Reason, TradeEvent,
};
use brokerx_topics::machine::Outputs;

use super::command::Op;
use crate::book::Book;

struct Trade {
    maker: i64,
    taker: i64,
    price: i64,
    quantity: i64,
}

/// What one order did as it entered: the order of the line, or a stop that was triggered.
#[derive(Default)]
struct Part {
    trades: Vec<Trade>,
    /// Orders that it or the rules ended: id, shares left.
    cancelled: Vec<(i64, i64)>,
}

/// A stop that entered.
struct Entered {
    triggered: OrderTriggered,
    part: Part,
    /// Why it ended at once, and what was left.
    ended: Option<(Reason, i64)>,
    /// Shares that it left in the book as it entered, and that have traded or ended since.
    lost: i64,
}

/// Everything that a line caused. Reused, so that it allocates only while it grows.
#[derive(Default)]
pub(super) struct Answer {
    done: Option<CommandDone>,
    first: Part,
    entered: Vec<Entered>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Answer").finish_non_exhaustive()
    }
}

impl Answer {
    pub fn clear(&mut self) {
        self.done = None;
        self.first.trades.clear();
        self.first.cancelled.clear();
        self.entered.clear();
    }

    /// Takes in the records of a step.
    pub fn take(&mut self, outputs: &mut Outputs) {
        for output in outputs.drain() {
            match output.message {
                AnyMessage::TradeEvent(TradeEvent::Trade(trade)) => {
                    self.lose(trade.maker_order_id.0, trade.quantity);
                    self.part().trades.push(Trade {
                        maker: trade.maker_order_id.0,
                        taker: trade.taker_order_id.0,
                        price: trade.price_cents,
                        quantity: trade.quantity,
                    });
                }
                AnyMessage::AccountCommand(AccountCommand::CommandDone(done)) => self.done = Some(done),
                AnyMessage::AccountCommand(AccountCommand::OrderTriggered(triggered)) => {
                    self.entered.push(Entered {
                        triggered,
                        part: Part::default(),
                        ended: None,
                        lost: 0,
                    });
                }
                AnyMessage::AccountCommand(AccountCommand::OrderEnded(ended)) => match self.entered.last_mut() {
                    Some(last) if last.triggered.order_id == ended.order_id => {
                        last.ended = Some((ended.cause, ended.leaves_quantity));
                    }
                    _ => {
                        self.lose(ended.order_id.0, ended.leaves_quantity);
                        let end = (ended.order_id.0, ended.leaves_quantity);
                        self.part().cancelled.push(end);
                    }
                },
                _ => {}
            }
        }
    }

    fn part(&mut self) -> &mut Part {
        match self.entered.last_mut() {
            Some(entered) => &mut entered.part,
            None => &mut self.first,
        }
    }

    fn lose(&mut self, order_id: i64, quantity: i64) {
        let entered = self.entered.iter_mut();
        if let Some(entered) = entered.rev().find(|entered| entered.triggered.order_id.0 == order_id) {
            entered.lost += quantity;
        }
    }

    /// The answer to a command on an order.
    pub fn write_order(&self, id: i64, book: &Book, into: &mut Vec<u8>) {
        let (status, reason, leaves) = match &self.done {
            Some(done) => (done.status, done.reason, done.leaves_quantity),
            None => (BookStatus::Unknown, None, 0),
        };
        let traded = !self.first.trades.is_empty();
        let status = match status {
            BookStatus::Working if traded => "partially_filled",
            BookStatus::Working => "working",
            BookStatus::Filled => "filled",
            BookStatus::Cancelled => "cancelled",
            BookStatus::Rejected | BookStatus::Unknown => "rejected",
            BookStatus::Replaced => "replaced",
        };
        put(into, format_args!("{{\"id\":{id}"));
        write_end(status, reason, leaves, into);
        write_part(&self.first, false, into);
        self.write_entered(book, into);
        into.push(b'}');
    }

    /// The answer to an operator's command.
    pub fn write_operation(&self, op: Op, status: Option<InstrumentStatus>, book: &Book, into: &mut Vec<u8>) {
        let op = match op {
            Op::New => "new",
            Op::Replace => "replace",
            Op::Cancel => "cancel",
            Op::Halt => "halt",
            Op::Resume => "resume",
            Op::Open => "open",
            Op::Close => "close",
        };
        let status = match status {
            Some(InstrumentStatus::Open) => "open",
            Some(InstrumentStatus::Halted) => "halted",
            Some(InstrumentStatus::Closed) => "closed",
            Some(InstrumentStatus::Delisted) => "delisted",
            Some(InstrumentStatus::Frozen) | Some(InstrumentStatus::Unknown) | None => "frozen",
        };
        put(into, format_args!("{{\"op\":\"{op}\",\"status\":\"{status}\""));
        write_part(&self.first, true, into);
        self.write_entered(book, into);
        into.push(b'}');
    }

    /// The stops that entered, if there were any.
    fn write_entered(&self, book: &Book, into: &mut Vec<u8>) {
        if self.entered.is_empty() {
            return;
        }
        into.extend_from_slice(b",\"triggered\":[");
        for (at, entered) in self.entered.iter().enumerate() {
            if at > 0 {
                into.push(b',');
            }
            let id = entered.triggered.order_id.0;
            let price = entered.triggered.last_price_cents;
            put(into, format_args!("{{\"id\":{id},\"price\":{price}"));
            let rests = book.order(id).map_or(0, |order| order.leaves);
            let (status, reason, leaves) = match entered.ended {
                Some((cause, leaves)) => ("cancelled", Some(cause), leaves),
                None => match (rests + entered.lost, entered.part.trades.is_empty()) {
                    (0, _) => ("filled", None, 0),
                    (leaves, true) => ("working", None, leaves),
                    (leaves, false) => ("partially_filled", None, leaves),
                },
            };
            write_end(status, reason, leaves, into);
            write_part(&entered.part, false, into);
            into.push(b'}');
        }
        into.push(b']');
    }
}

fn write_end(status: &str, reason: Option<Reason>, leaves: i64, into: &mut Vec<u8>) {
    put(into, format_args!(",\"status\":\"{status}\",\"reason\":"));
    match reason {
        Some(reason) => write_json(into, &reason),
        None => into.extend_from_slice(b"null"),
    }
    put(into, format_args!(",\"leaves\":{leaves}"));
}

/// In an auction neither side is the order of the line, so the taker is named too.
fn write_part(part: &Part, names_taker: bool, into: &mut Vec<u8>) {
    into.extend_from_slice(b",\"trades\":[");
    for (at, trade) in part.trades.iter().enumerate() {
        let Trade {
            maker,
            taker,
            price,
            quantity,
        } = trade;
        let comma = if at > 0 { "," } else { "" };
        put(into, format_args!("{comma}{{\"maker\":{maker},"));
        if names_taker {
            put(into, format_args!("\"taker\":{taker},"));
        }
        put(into, format_args!("\"price\":{price},\"quantity\":{quantity}}}"));
    }
    into.extend_from_slice(b"],\"cancelled\":[");
    for (at, (id, quantity)) in part.cancelled.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        put(into, format_args!("{comma}{{\"id\":{id},\"quantity\":{quantity}}}"));
    }
    into.push(b']');
}

/// The answer to a line that is not a command.
pub(super) fn error(error: &str, line: u64, into: &mut Vec<u8>) {
    into.extend_from_slice(b"{\"error\":");
    write_json(into, error);
    put(into, format_args!(",\"line\":{line}}}"));
}

pub(super) fn put(into: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    into.write_fmt(text).expect("a vector takes everything");
}

fn write_json<T: serde::Serialize + ?Sized>(into: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(into, value).expect("a vector takes everything, and a string is JSON");
}

//! What operators do with instruments.

use brokerx_schemas::{BookCommand, InstrumentCommand};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::{Workload, any_symbol, send_book};
use crate::log::Logs;

impl Workload {
    /// Halts, resumes, opens, closes or delists an instrument. Resuming and opening are more frequent than
    /// halting and closing, so that there is trade. Now and then a key is used again, with the same content or
    /// another.
    pub(super) fn operate(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let symbol = any_symbol(random);
        let kind = match random.random_range(0..10) {
            // Rarely, because it cannot be undone.
            0 if random.random_ratio(1, 5) => BookCommand::DelistInstrument,
            0 => BookCommand::HaltInstrument,
            1 => BookCommand::CloseSession,
            2..6 => BookCommand::OpenSession,
            _ => BookCommand::ResumeInstrument,
        };
        let command = kind(InstrumentCommand {
            meta: self.meta(logs, random),
            operator: "operator".to_owned(),
            idempotency_key: random
                .random_ratio(1, 3)
                .then(|| format!("k{}", random.random_range(0..20))),
            symbol,
            note: None,
        });
        send_book(logs, symbol, command);
    }
}

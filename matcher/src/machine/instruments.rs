//! Operators' commands on instruments: list, halt, resume, delist, open and close a session.

use brokerx_schemas::{
    CommandMeta, Instrument, InstrumentCommand, ListInstrument, Reason, Refusal, Reply, ReplyKind, Symbol,
};
use brokerx_topics::machine::{Context, Outputs};

use super::checks::PRICE_CENTS_LIMIT;
use super::idempotency::{Decided, Seen, content_hash};
use super::listing::{Listing, Standing};
use super::publish::Publisher;
use super::state::Matcher;

/// The longest name of an instrument, in bytes.
const NAME_LENGTH_MAX: usize = 200;

/// What an operator does to an instrument that is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Stops trading; resting orders stay.
    Halt,
    /// Lifts a halt; what was collected trades in an auction.
    Resume,
    /// Ends every order and refuses the symbol for good.
    Delist,
    /// Opens the session; what was collected trades in an auction.
    Open,
    /// Closes the session; DAY orders expire.
    Close,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Resume => "resume",
            Self::Delist => "delist",
            Self::Open => "open",
            Self::Close => "close",
        }
    }
}

/// What every operator's command has.
struct Request {
    meta: CommandMeta,
    operator: String,
    key: Option<String>,
    symbol: Symbol,
    content: u128,
}

/// The outcome of a request that was carried out.
struct Carried {
    listing: usize,
    /// Nothing changed: it was so already.
    repeats: bool,
}

impl Matcher {
    pub(super) fn list(&mut self, context: &Context, command: ListInstrument, outputs: &mut Outputs) {
        let numbers = [
            command.tick_size_cents,
            command.reference_price_cents,
            i64::from(command.band_bps),
        ];
        let request = Request {
            content: content_hash("list", command.symbol, &numbers, Some(&command.name)),
            meta: command.meta.clone(),
            operator: command.operator.clone(),
            key: command.idempotency_key.clone(),
            symbol: command.symbol,
        };
        self.decide(context, &request, outputs, |matcher, outputs| {
            matcher.list_now(context, &command, outputs)
        });
    }

    pub(super) fn operate(
        &mut self,
        context: &Context,
        action: Action,
        command: InstrumentCommand,
        outputs: &mut Outputs,
    ) {
        let request = Request {
            content: content_hash(action.name(), command.symbol, &[], command.note.as_deref()),
            meta: command.meta,
            operator: command.operator,
            key: command.idempotency_key,
            symbol: command.symbol,
        };
        self.decide(context, &request, outputs, |matcher, outputs| {
            matcher.operate_now(context, action, command.symbol, command.note, outputs)
        });
    }

    /// Checks the deadline and the key, carries the request out, replies. The work that it leads to
    /// comes after the reply.
    fn decide(
        &mut self,
        context: &Context,
        request: &Request,
        outputs: &mut Outputs,
        carry_out: impl FnOnce(&mut Self, &mut Outputs) -> Result<Carried, Reason>,
    ) {
        if context.is_past(request.meta.deadline_us) {
            return self.answer(context, request, Some(Reason::ExpiredRequest), false, outputs);
        }
        if let Some(key) = &request.key {
            let keys_max = usize::try_from(self.config.closed_keys_per_partition_max).unwrap_or(0);
            match self.keys.seen(&request.operator, key, request.content) {
                Seen::Same(refusal) => return self.answer(context, request, refusal, true, outputs),
                Seen::Other => return self.answer(context, request, Some(Reason::IdempotencyMismatch), false, outputs),
                Seen::Never if self.keys.len() >= keys_max => {
                    return self.answer(context, request, Some(Reason::TooManyRequests), false, outputs);
                }
                Seen::Never => {}
            }
        }
        let carried = carry_out(self, outputs);
        let refusal = carried.as_ref().err().copied();
        if let Some(key) = &request.key {
            self.keys.remember(Decided {
                operator: request.operator.clone(),
                key: key.clone(),
                content: request.content,
                symbol: request.symbol,
                refusal,
                decided_ms: context.now_ms,
            });
        }
        let repeats = match carried {
            Ok(Carried { listing, repeats }) => {
                self.account_for(listing);
                repeats
            }
            Err(_) => false,
        };
        self.answer(context, request, refusal, repeats, outputs)
    }

    fn answer(
        &mut self,
        context: &Context,
        request: &Request,
        refusal: Option<Reason>,
        replayed: bool,
        outputs: &mut Outputs,
    ) {
        let kind = match refusal {
            Some(_) => ReplyKind::Refused,
            None => ReplyKind::Instrument,
        };
        let reply = Reply {
            replayed,
            refusal: refusal.map(|reason| Refusal {
                reason,
                current_version: None,
            }),
            instrument: match refusal {
                Some(_) => None,
                None => self.instrument(request.symbol).cloned(),
            },
            ..Reply::new(request.meta.command_id, kind)
        };
        Publisher::new(&self.routes, context, outputs).reply(&request.meta, reply);
    }

    fn list_now(
        &mut self,
        context: &Context,
        command: &ListInstrument,
        outputs: &mut Outputs,
    ) -> Result<Carried, Reason> {
        // 0 means that the instrument does not say; if the configuration says 0 too, there is no band.
        let band_bps = match command.band_bps {
            0 => self.config.band_bps,
            band_bps => band_bps,
        };
        if let Some(&listing) = self.by_symbol.get(&command.symbol) {
            let instrument = &self.listings[listing].instrument;
            let same = instrument.name == command.name
                && instrument.tick_size_cents == command.tick_size_cents
                && instrument.reference_price_cents == command.reference_price_cents
                && instrument.band_bps == band_bps;
            return if same {
                Ok(Carried { listing, repeats: true })
            } else {
                Err(Reason::AlreadyListed)
            };
        }
        let prices = self.config.price_cents_min..=self.config.price_cents_max;
        if command.tick_size_cents < 1
            || command.reference_price_cents < 1
            || !prices.contains(&command.reference_price_cents)
            || command.reference_price_cents > PRICE_CENTS_LIMIT
            || command.reference_price_cents % command.tick_size_cents != 0
        {
            return Err(Reason::InvalidPrice);
        }
        if !(0..=10_000).contains(&band_bps) || !(1..=NAME_LENGTH_MAX).contains(&command.name.len()) {
            return Err(Reason::InvalidOrder);
        }
        let standing = Standing {
            session_closed: !self.calendar_open,
            ..Standing::default()
        };
        let mut listing = Listing::new(Instrument {
            symbol: command.symbol,
            name: command.name.clone(),
            tick_size_cents: command.tick_size_cents,
            reference_price_cents: command.reference_price_cents,
            band_bps,
            status: standing.status(),
            version: 1,
            listed_us: context.now_us(),
            updated_us: context.now_us(),
        });
        listing.standing = standing;
        let listing = self.add_listing(listing);
        let mut publisher = Publisher::new(&self.routes, context, outputs);
        publisher.instrument(&self.listings[listing]);
        // The reference price is known at once, not with the next turn of the cycle.
        publisher.book_snapshot(&self.listings[listing], 0);
        Ok(Carried {
            listing,
            repeats: false,
        })
    }

    fn operate_now(
        &mut self,
        context: &Context,
        action: Action,
        symbol: Symbol,
        note: Option<String>,
        outputs: &mut Outputs,
    ) -> Result<Carried, Reason> {
        let &listing = self.by_symbol.get(&symbol).ok_or(Reason::UnknownSymbol)?;
        let before = self.listings[listing].standing;
        let mut after = before;
        match action {
            Action::Delist => after.delisted = true,
            _ if before.delisted => return Err(Reason::UnknownSymbol),
            _ if before.frozen => return Err(Reason::Frozen),
            Action::Halt => after.halted = true,
            Action::Resume => after.halted = false,
            Action::Open => after.session_closed = false,
            Action::Close => after.session_closed = true,
        }
        if after == before {
            return Ok(Carried { listing, repeats: true });
        }
        self.listings[listing].standing = after;
        self.publish_standing(context, listing, note, outputs);
        match action {
            Action::Delist => {
                let order_ids = self.listings[listing].book.order_ids(|_| true);
                self.push_ends(listing, order_ids, Reason::Delisted);
            }
            Action::Close => self.end_session(listing),
            Action::Resume | Action::Open if !before.trades() && after.trades() => self.reopen(listing),
            Action::Halt | Action::Resume | Action::Open => {}
        }
        Ok(Carried {
            listing,
            repeats: false,
        })
    }
}

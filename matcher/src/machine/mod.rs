//! The fold over `book-commands`.
//!
//! A command meets its checks in this order: deadline, symbol, frozen, quantity, price, combination
//! of fields, session, halt, price band; then the book's own: post-only, fill-or-kill, self-trade. A
//! cancel only needs the order. Every command on an order is answered by exactly one `CommandDone`,
//! behind the fills that it caused.
//!
//! Everything that one step changes in a book is one `BookUpdate`. A command that causes more than
//! [`EVENTS_MAX`] fills or ends takes several steps at the same offset, with one update each. So do
//! the stops that it triggers, which enter one after the other once the command is done.
//!
//! While a book is halted or closed, the configuration says whether orders are refused or collected.
//! A collected book may be crossed; when trading resumes an auction uncrosses it. A market order that
//! says DAY or GTC waits for the auction at its collar and ends with it; what says IOC or FOK cannot
//! wait and is refused, at the market too. A cancel always works.
//!
//! A book that breaks an invariant is frozen: what the step did is still published as the book has
//! it, later commands on the symbol are refused, an operator can only delist it, and the commands
//! that led there are kept for diagnosis. The other symbols go on.
//!
//! The files, each of which uses only files named before it:
//! - `calendar`, `candles`, `idempotency`, `entrant`, `restoring`: parts of the state that know no other
//! - `listing`, `publish`, `work`: an instrument with its book, the records, what is left to do
//! - `state`: [`Matcher`] and its listings
//! - `checks`, `triggers`, `candle_schedule`, `standing`: what the steps below share
//! - `outcome`, `ending`, `uncross`: what a step did, orders that the rules end, auctions
//! - `orders`, `stops`, `instruments`, `sessions`, `cycle`: commands, triggered stops, ticks
//! - `steps`, `snapshot`, `apply`: the stack of work, and what the runner calls; `inspect`: a look from
//!   outside

mod apply;
mod calendar;
mod candle_schedule;
mod candles;
mod checks;
mod cycle;
mod ending;
mod entrant;
mod idempotency;
mod inspect;
mod instruments;
mod listing;
mod orders;
mod outcome;
mod publish;
mod restoring;
mod sessions;
mod snapshot;
mod standing;
mod state;
mod steps;
mod stops;
mod triggers;
mod uncross;
mod work;

pub use snapshot::Cursor;
pub use state::Matcher;
pub use work::EVENTS_MAX;

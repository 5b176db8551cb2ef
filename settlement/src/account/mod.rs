//! The account machine: cash, shares and orders of every account of one partition.
//!
//! A pure [`Machine`](brokerx_topics::machine::Machine) over `account-commands`. It decides what a
//! client may do, reserves for it, forwards it to the book of its symbol, books what the book says,
//! and answers. It knows no instruments and no clock: its inbox is its only source of truth.
//!
//! # One order
//! `place` -> reserved, `ORDER_ACCEPTED`, `NewOrder` to the book -> `fill` for each trade:
//! execution, fee, cash, position and postings in one `ORDER_EXECUTED` -> `done`: the book's answer,
//! the reply -> `close_if_over`: the order has ended and nothing on it is in flight, so its key is
//! remembered for `closed_key_seconds` more and then forgotten with it.
//!
//! # Invariants
//! - `0 <= reserved <= balance` in cash and in every position, and no cost below 0; checked after
//!   each record for what it touched.
//! - What an account has reserved is the sum over its open orders of what each requires (`reservation`)
//!   and its pending withdrawals. It changes only by `reservation::adjust` and `pay`.
//! - The postings of every event sum to zero per asset.
//! - `account_seq` is dense. Each record that changes an account leaves one event, two when an order is
//!   filled by it (`ORDER_FILLED` behind the execution or the replace) or when it freezes the account. A
//!   record that brings nothing new leaves none: a repeat of a known key, an account status that is not newer,
//!   the same payment result, a command that is refused and not remembered.
//! - Commands in flight are at most a place, a replace and a cancel for each open order; for an order of an
//!   account that may not trade, a few cancels more (`asks`).
//! - A terminal order never changes its status, its fills or its fees.
//!
//! A record of a worker that contradicts this is not booked: it freezes the account (`FROZEN`). Its open
//! orders are cancelled, its commands are refused from then on but cancels, the kill switch and what operators
//! do to put it right, while its fills and answers are still booked. An order that its book says it does not
//! have has ended, whatever else the two disagree about. The partition goes on, and so does the account once an
//! operator thaws it (`intervention`).
//!
//! # Duplicates
//! Workers' records are made unique by the fold (dense edges), clients' by their keys
//! (`idempotency`), payment results by their payment, account states by their version.
//!
//! # Order of checks
//! A known key; deadline; room for the key; what the command is about (found, version, open, no other
//! change in flight); its fields; the account (active, no kill switch, not frozen); its limits; funds
//! and shares. The first that fails is the reason.
//!
//! # Known limits
//! - An order is forgotten when its key is: a cancel of an order that ended longer ago is `NOT_FOUND`
//!   here.
//! - Collars of stops are rounded to the cent; a book with a larger tick rounds further.
//! - An order that was accepted keeps its fee schedule; new limits concern only what comes after.
//!
//! # Files, each of which uses only files named before it
//! - `hash`, `fees`, `position`, `answer`, `asks`, `memory`, `days`, `rules`: parts that know no other; `entries`,
//!   `order`, `payment`, `remembered`, `reservation`: what an account is made of
//! - `state`: one account; `desk`: where decisions become records; `idempotency`: repeats
//! - `checks`, `cancel`, `place`, `replace`, `pay`, `transfer`, `intervention`, `status`: what clients and
//!   operators ask for; `done`, `fill`: what books say
//! - `machine`: the state of a partition; `inspect`, `snapshot`, `routing`, `apply`: reading it, saving
//!   it, and what the runner calls

mod answer;
mod apply;
mod asks;
mod cancel;
mod checks;
mod days;
mod desk;
mod done;
mod entries;
mod fees;
mod fill;
mod hash;
mod idempotency;
mod inspect;
mod intervention;
mod machine;
mod memory;
mod order;
mod orders;
mod pay;
mod payment;
mod place;
mod position;
mod remembered;
mod replace;
mod reservation;
mod routing;
mod rules;
mod snapshot;
mod state;
mod status;
mod transfer;

pub use inspect::AccountSummary;
pub use machine::AccountMachine;
pub use snapshot::Cursor;
pub use state::BrokenInvariant;

//! Snapshots: the state as a sequence of entries, a bounded number in each slice.

use std::borrow::Cow;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use brokerx_schemas::{AccountId, CommandId, OrderId, PaymentId, Symbol};
use brokerx_topics::machine::SnapshotError;

use super::days::Days;
use super::machine::AccountMachine;
use super::memory::RememberedKey;
use super::orders::Kept;
use super::payment::{Payment, PaymentKey};
use super::position::Position;
use super::remembered::{Rejected, Remembered};
use super::state::{Account, Core, InFlight};

/// The most entries in one slice; an order with its first executions has the largest, some 6 kB.
const ENTRIES_PER_SLICE: usize = 2_000;

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(Place);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// The machine's own part comes first.
    #[default]
    Shared,
    /// This many entries of this account are done, and all accounts before it.
    Within(AccountId, usize),
    Done,
}

/// One slice.
#[derive(Serialize, Deserialize)]
enum Slice<'a> {
    Shared { days: Days, contradictions: u64 },
    Entries(Vec<(AccountId, Entry<'a>)>),
}

/// One thing that belongs to an account. The core of an account comes first.
#[derive(Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "written from references; read one by one and moved into its place"
)]
enum Entry<'a> {
    Core(Cow<'a, Core>),
    Position(Symbol, Position),
    Order(Kept<'a>),
    InFlight(CommandId, Cow<'a, InFlight>),
    Command(u128, Cow<'a, Remembered>),
    Payment(PaymentId, Cow<'a, Payment>),
    PaymentKey(u128, PaymentKey),
    Rejected(OrderId, Rejected),
}

fn entries(account: &Account) -> impl Iterator<Item = Entry<'_>> {
    let positions = account
        .positions
        .iter()
        .map(|(symbol, position)| Entry::Position(*symbol, *position));
    let orders = account.orders.iter().map(Entry::Order);
    let in_flight = account
        .in_flight
        .iter()
        .map(|(id, command)| Entry::InFlight(*id, Cow::Borrowed(command)));
    let commands = account
        .commands
        .iter()
        .map(|(key, command)| Entry::Command(*key, Cow::Borrowed(command)));
    let payments = account
        .payments
        .iter()
        .map(|(id, payment)| Entry::Payment(*id, Cow::Borrowed(payment)));
    let keys = account
        .payment_keys
        .iter()
        .map(|(key, known)| Entry::PaymentKey(*key, *known));
    let rejected = account.rejected.iter().map(|(id, order)| Entry::Rejected(*id, *order));
    std::iter::once(Entry::Core(Cow::Borrowed(&account.core)))
        .chain(positions)
        .chain(orders)
        .chain(in_flight)
        .chain(commands)
        .chain(payments)
        .chain(keys)
        .chain(rejected)
}

/// The slice at the cursor; none behind the last.
pub(super) fn next_slice(machine: &AccountMachine, cursor: &mut Cursor) -> Result<Option<Vec<u8>>, SnapshotError> {
    let slice = match cursor.0 {
        Place::Done => return Ok(None),
        Place::Shared => {
            cursor.0 = machine
                .accounts
                .keys()
                .next()
                .map_or(Place::Done, |first| Place::Within(*first, 0));
            Slice::Shared {
                days: machine.days.clone(),
                contradictions: machine.contradictions,
            }
        }
        Place::Within(account_id, done) => {
            let mut list = Vec::new();
            let mut skip = done;
            cursor.0 = Place::Done;
            for (account_id, account) in machine.accounts.range((Bound::Included(account_id), Bound::Unbounded)) {
                let room = ENTRIES_PER_SLICE - list.len();
                if room == 0 {
                    cursor.0 = Place::Within(*account_id, 0);
                    break;
                }
                let before = list.len();
                list.extend(entries(account).skip(skip).take(room).map(|entry| (*account_id, entry)));
                if list.len() - before == room {
                    cursor.0 = Place::Within(*account_id, skip + room);
                    break;
                }
                skip = 0;
            }
            Slice::Entries(list)
        }
    };
    // Without the names of the fields: there are millions of entries, all alike.
    rmp_serde::to_vec(&slice)
        .map(Some)
        .map_err(|error| SnapshotError::Encode(error.to_string()))
}

/// Takes in one slice.
pub(super) fn restore(machine: &mut AccountMachine, slice: &[u8]) -> Result<(), SnapshotError> {
    let slice = rmp_serde::from_slice(slice).map_err(|error| SnapshotError::Decode(error.to_string()))?;
    match slice {
        Slice::Shared { days, contradictions } => {
            machine.days = days;
            machine.contradictions = contradictions;
        }
        Slice::Entries(list) => {
            for (account_id, entry) in list {
                machine.restore_account(account_id, |account, memory| match entry {
                    Entry::Core(core) => account.core = core.into_owned(),
                    Entry::Position(symbol, position) => account.positions.insert(symbol, position),
                    Entry::Order(order) => {
                        let order = order.into_order();
                        if let Some(closed_us) = order.closed_us {
                            memory.schedule(closed_us, account_id, RememberedKey::Order(order.id));
                        }
                        account.insert_order(Box::new(order));
                    }
                    Entry::InFlight(command_id, command) => account.in_flight.insert(command_id, command.into_owned()),
                    Entry::Command(key, command) => {
                        if let Some(ended_us) = command.ended_us {
                            memory.schedule(ended_us, account_id, RememberedKey::Command(key));
                        }
                        account.commands.insert(key, command.into_owned());
                    }
                    Entry::Payment(payment_id, payment) => account.payments.insert(payment_id, payment.into_owned()),
                    Entry::PaymentKey(key, known) => account.payment_keys.insert(key, known),
                    Entry::Rejected(order_id, rejected) => {
                        memory.schedule(rejected.closed_us, account_id, RememberedKey::Order(order_id));
                        account.insert_rejected(order_id, rejected);
                    }
                });
            }
        }
    }
    Ok(())
}

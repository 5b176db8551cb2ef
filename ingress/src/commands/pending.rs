//! The requests that wait for the outcome of a command, and what is told of one that comes later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokerx_schemas::{AccountId, CommandId, Reply};
use brokerx_topics::service::{Place, Places};
use tokio::sync::oneshot;

use super::bounded::Bounded;

/// One account has this part of the places: whose commands are not answered, because their partition is on its way
/// to another worker, does not take them all from the others.
const ACCOUNT_PART: usize = 8;
/// So many an account has in any case.
const ACCOUNT_LEAST: usize = 64;
/// So many outcomes are looked out for although no request waits for them: a few kilobytes each.
const LATER_MAX: usize = 10_000;

/// A bounded table of waiting requests.
#[derive(Debug)]
pub struct Pending {
    table: Mutex<Table>,
    waiting_max: usize,
    of_account: Places<AccountId>,
}

#[derive(Debug)]
struct Table {
    waiting: HashMap<CommandId, Waiter>,
    later: Bounded<CommandId, Sender>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            later: Bounded::new(LATER_MAX),
        }
    }
}

type Sender = oneshot::Sender<Box<Reply>>;

#[derive(Debug)]
struct Waiter {
    sender: Sender,
    /// Its part of the account's places; none of an operator.
    _place: Option<Place<AccountId>>,
}

/// A place in the table; it is given back when this is dropped.
#[derive(Debug)]
pub struct Waiting {
    pending: Arc<Pending>,
    command_id: CommandId,
    receiver: oneshot::Receiver<Box<Reply>>,
}

/// An outcome that is looked out for, in no request's place.
#[derive(Debug)]
pub struct Later(Waiting);

impl Pending {
    /// A table with room for `waiting_max` requests of clients.
    pub fn new(waiting_max: usize) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::default(),
            waiting_max,
            of_account: Places::new((waiting_max / ACCOUNT_PART).max(ACCOUNT_LEAST)),
        })
    }

    /// A place for the outcome of a client's command; none when the table is full, or the account's part of it.
    pub fn register(self: &Arc<Self>, command_id: CommandId, account_id: AccountId) -> Option<Waiting> {
        let mut table = self.lock();
        if table.waiting.len() >= self.waiting_max {
            return None;
        }
        let place = self.of_account.take(account_id)?;
        Some(self.enter(command_id, Some(place), &mut table))
    }

    /// A place for the outcome of an operator's command, however many clients wait. How many of these there are
    /// is bounded by whoever sends them.
    pub fn register_beyond(self: &Arc<Self>, command_id: CommandId) -> Waiting {
        self.enter(command_id, None, &mut self.lock())
    }

    fn enter(self: &Arc<Self>, command_id: CommandId, place: Option<Place<AccountId>>, table: &mut Table) -> Waiting {
        let (sender, receiver) = oneshot::channel();
        table.waiting.insert(command_id, Waiter { sender, _place: place });
        Waiting {
            pending: Arc::clone(self),
            command_id,
            receiver,
        }
    }

    /// Hands an outcome to the request that waits for it, or to whoever looks out for it; gives it back when
    /// nobody does, or no longer does.
    ///
    /// # Errors
    /// The outcome that nobody waits for.
    pub fn resolve(&self, reply: Reply) -> Result<(), Box<Reply>> {
        let sender = {
            let mut table = self.lock();
            let waiter = table.waiting.remove(&reply.command_id);
            let sender = waiter.map(|waiter| waiter.sender);
            sender.or_else(|| table.later.remove(&reply.command_id))
        };
        match sender {
            Some(sender) => sender.send(Box::new(reply)),
            None => Err(Box::new(reply)),
        }
    }

    /// Requests that wait.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// The command of some request that waits.
    #[cfg(test)]
    pub fn first(&self) -> Option<CommandId> {
        self.lock().waiting.keys().next().copied()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The table is intact even after a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Waits for the outcome; none when another request took this place in the table.
    pub async fn reply(&mut self) -> Option<Box<Reply>> {
        (&mut self.receiver).await.ok()
    }

    /// Gives the place back. Returns an outcome that came until then and that nobody took.
    pub fn leave(mut self) -> Option<Box<Reply>> {
        self.pending.lock().waiting.remove(&self.command_id);
        self.receiver.try_recv().ok()
    }

    /// Gives the place back and looks out for the outcome from now on. Of more than 10,000 such outcomes the one
    /// that was looked out for longest is forgotten.
    pub fn look_out(self) -> Later {
        let mut table = self.pending.lock();
        // None when the outcome has come: then the receiver has it.
        if let Some(waiter) = table.waiting.remove(&self.command_id) {
            table.later.insert(self.command_id, waiter.sender);
        }
        drop(table);
        Later(self)
    }
}

impl Later {
    /// Waits for the outcome, however long; none when it was forgotten.
    pub async fn reply(mut self) -> Option<Box<Reply>> {
        self.0.reply().await
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut table = self.pending.lock();
        table.waiting.remove(&self.command_id);
        table.later.remove(&self.command_id);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::ReplyKind;

    use super::*;

    const ACCOUNT: AccountId = AccountId(7);

    fn id(byte: u8) -> CommandId {
        CommandId([byte; 16])
    }

    #[tokio::test]
    async fn an_outcome_finds_its_request_once() {
        let pending = Pending::new(2);
        let mut waiting = pending.register(id(1), ACCOUNT).unwrap();
        assert!(pending.resolve(Reply::new(id(1), ReplyKind::Order)).is_ok());
        assert!(pending.resolve(Reply::new(id(1), ReplyKind::Order)).is_err(), "again");
        assert_eq!(waiting.reply().await.unwrap().command_id, id(1));
        assert!(
            pending.resolve(Reply::new(id(2), ReplyKind::Order)).is_err(),
            "nobody asked"
        );
        let leaving = pending.register(id(3), ACCOUNT).unwrap();
        assert!(pending.resolve(Reply::new(id(3), ReplyKind::Order)).is_ok());
        assert_eq!(leaving.leave().unwrap().command_id, id(3), "it is not lost");
    }

    #[tokio::test]
    async fn an_outcome_that_is_looked_out_for_takes_no_place() {
        let pending = Pending::new(1);
        let later = pending.register_beyond(id(1)).look_out();
        assert!(pending.is_empty());
        assert!(pending.register(id(2), ACCOUNT).is_some());
        assert!(pending.resolve(Reply::new(id(1), ReplyKind::Instrument)).is_ok());
        assert_eq!(later.reply().await.unwrap().command_id, id(1));
        // It came just before.
        let waiting = pending.register_beyond(id(3));
        assert!(pending.resolve(Reply::new(id(3), ReplyKind::Instrument)).is_ok());
        assert_eq!(waiting.look_out().reply().await.unwrap().command_id, id(3));
        // Nobody looks any more.
        drop(pending.register_beyond(id(4)).look_out());
        assert!(pending.resolve(Reply::new(id(4), ReplyKind::Instrument)).is_err());
        assert_eq!(pending.lock().later.len(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn what_is_looked_out_for_is_bounded() {
        let pending = Pending::new(1);
        let command_id = |number: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            CommandId(bytes)
        };
        let mut laters: Vec<_> = (0..=LATER_MAX)
            .map(|number| pending.register_beyond(command_id(number)).look_out())
            .collect();
        assert_eq!(pending.lock().later.len(), LATER_MAX);
        let last = laters.pop().unwrap();
        assert!(laters.remove(0).reply().await.is_none(), "the oldest is forgotten");
        let reply = Reply::new(command_id(LATER_MAX), ReplyKind::Instrument);
        assert!(pending.resolve(reply).is_ok());
        assert!(last.reply().await.is_some());
        drop(laters);
        assert_eq!(pending.lock().later.len(), 0, "nothing is left behind");
    }

    #[test]
    fn the_table_is_bounded_and_places_are_given_back() {
        let pending = Pending::new(2);
        let first = pending.register(id(1), ACCOUNT).unwrap();
        let _second = pending.register(id(2), ACCOUNT).unwrap();
        assert!(pending.register(id(3), ACCOUNT).is_none());
        drop(pending.register_beyond(id(4)));
        drop(first);
        assert_eq!(pending.len(), 1);
        assert!(pending.register(id(3), ACCOUNT).is_some());
    }

    #[test]
    fn an_account_has_a_part_of_the_table() {
        let pending = Pending::new(1_000);
        let command_id = |number: u32| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            CommandId(bytes)
        };
        let mut places: Vec<_> = (0..1_000)
            .map_while(|number| pending.register(command_id(number), ACCOUNT))
            .collect();
        assert_eq!(places.len(), 125);
        let other = pending.register(command_id(2_000), AccountId(8));
        assert!(other.is_some(), "nobody pays for another");
        drop(pending.register_beyond(command_id(3_000)));
        // Each way to give a place back counts once.
        assert!(pending.resolve(Reply::new(command_id(0), ReplyKind::Order)).is_ok());
        drop(places.remove(0));
        drop(places.remove(0).leave());
        drop(places.remove(0));
        let again = (0..1_000).map_while(|number| pending.register(command_id(4_000 + number), ACCOUNT));
        assert_eq!(again.collect::<Vec<_>>().len(), 3);
        drop((places, other));
        assert!(pending.is_empty(), "nothing is left behind");
        let again = (0..1_000).map_while(|number| pending.register(command_id(number), ACCOUNT));
        assert_eq!(again.collect::<Vec<_>>().len(), 125, "nothing is left behind");
    }
}

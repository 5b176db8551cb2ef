//! The requests that wait for the outcome of a command.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokerx_schemas::{CommandId, Reply};
use tokio::sync::oneshot;

type Table<'a> = MutexGuard<'a, HashMap<CommandId, oneshot::Sender<Box<Reply>>>>;

/// A bounded table of waiting requests.
#[derive(Debug)]
pub struct Pending {
    waiting: Mutex<HashMap<CommandId, oneshot::Sender<Box<Reply>>>>,
    waiting_max: usize,
}

/// A place in the table; it is given back when this is dropped.
#[derive(Debug)]
pub struct Waiting {
    pending: Arc<Pending>,
    command_id: CommandId,
    receiver: oneshot::Receiver<Box<Reply>>,
}

impl Pending {
    /// A table with room for `waiting_max` requests.
    pub fn new(waiting_max: usize) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            waiting_max,
        })
    }

    /// A place for the outcome of a client's command; none when the table is full.
    pub fn register(self: &Arc<Self>, command_id: CommandId) -> Option<Waiting> {
        let waiting = self.lock();
        (waiting.len() < self.waiting_max).then(|| self.place(command_id, waiting))
    }

    /// A place for the outcome of an operator's command, however many clients wait. How many of these there are
    /// is bounded by whoever sends them.
    pub fn register_beyond(self: &Arc<Self>, command_id: CommandId) -> Waiting {
        self.place(command_id, self.lock())
    }

    fn place(self: &Arc<Self>, command_id: CommandId, mut waiting: Table<'_>) -> Waiting {
        let (sender, receiver) = oneshot::channel();
        waiting.insert(command_id, sender);
        Waiting {
            pending: Arc::clone(self),
            command_id,
            receiver,
        }
    }

    /// Hands an outcome to the request that waits for it; gives it back when none does, or no longer does.
    ///
    /// # Errors
    /// The outcome that nobody waits for.
    pub fn resolve(&self, reply: Reply) -> Result<(), Box<Reply>> {
        let sender = self.lock().remove(&reply.command_id);
        match sender {
            Some(sender) => sender.send(Box::new(reply)),
            None => Err(Box::new(reply)),
        }
    }

    /// Requests that wait.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// The command of some request that waits.
    #[cfg(test)]
    pub fn first(&self) -> Option<CommandId> {
        self.lock().keys().next().copied()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The map is intact even after a thread panicked while it held the lock.
    fn lock(&self) -> Table<'_> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Waits for the outcome; none when another request took this place in the table.
    pub async fn reply(&mut self) -> Option<Box<Reply>> {
        (&mut self.receiver).await.ok()
    }

    /// Gives the place back. Returns an outcome that came until then and that nobody took.
    pub fn leave(mut self) -> Option<Box<Reply>> {
        self.pending.lock().remove(&self.command_id);
        self.receiver.try_recv().ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.pending.lock().remove(&self.command_id);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::ReplyKind;

    use super::*;

    fn id(byte: u8) -> CommandId {
        CommandId([byte; 16])
    }

    #[tokio::test]
    async fn an_outcome_finds_its_request_once() {
        let pending = Pending::new(2);
        let mut waiting = pending.register(id(1)).unwrap();
        assert!(pending.resolve(Reply::new(id(1), ReplyKind::Order)).is_ok());
        assert!(pending.resolve(Reply::new(id(1), ReplyKind::Order)).is_err(), "again");
        assert_eq!(waiting.reply().await.unwrap().command_id, id(1));
        assert!(
            pending.resolve(Reply::new(id(2), ReplyKind::Order)).is_err(),
            "nobody asked"
        );
        let leaving = pending.register(id(3)).unwrap();
        assert!(pending.resolve(Reply::new(id(3), ReplyKind::Order)).is_ok());
        assert_eq!(leaving.leave().unwrap().command_id, id(3), "it is not lost");
    }

    #[test]
    fn the_table_is_bounded_and_places_are_given_back() {
        let pending = Pending::new(2);
        let first = pending.register(id(1)).unwrap();
        let _second = pending.register(id(2)).unwrap();
        assert!(pending.register(id(3)).is_none());
        drop(pending.register_beyond(id(4)));
        drop(first);
        assert_eq!(pending.len(), 1);
        assert!(pending.register(id(3)).is_some());
    }
}

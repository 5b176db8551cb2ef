//! When remembered keys may be forgotten.

use std::collections::BTreeMap;

use brokerx_schemas::{AccountId, OrderId};

/// A key of an order or command that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RememberedKey {
    Order(OrderId),
    Command(u128),
}

/// Ended keys by the second of their end, and how many keys the partition remembers. Follows from
/// the accounts, so it is in no snapshot and in no hash. Within a second the order does not matter:
/// a tick forgets all of them.
#[derive(Debug, Default)]
pub(super) struct Memory {
    ended: BTreeMap<i64, Ended>,
    /// Keys of all accounts, those in flight included.
    pub(super) keys: usize,
}

/// The keys that ended in one second; apart, because those of orders are many and small.
#[derive(Debug, Default)]
struct Ended {
    orders: Vec<(AccountId, OrderId)>,
    commands: Vec<(AccountId, u128)>,
}

impl Ended {
    fn push(&mut self, account_id: AccountId, key: RememberedKey) {
        match key {
            RememberedKey::Order(order_id) => self.orders.push((account_id, order_id)),
            RememberedKey::Command(key) => self.commands.push((account_id, key)),
        }
    }

    fn pop(&mut self) -> Option<(AccountId, RememberedKey)> {
        let order = self.orders.pop().map(|(of, id)| (of, RememberedKey::Order(id)));
        order.or_else(|| self.commands.pop().map(|(of, key)| (of, RememberedKey::Command(key))))
    }

    fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.commands.is_empty()
    }
}

impl Memory {
    /// A key ended: it is forgotten some time after `ended_us`.
    pub(super) fn schedule(&mut self, ended_us: i64, account_id: AccountId, key: RememberedKey) {
        let second = ended_us.div_euclid(1_000_000);
        self.ended.entry(second).or_default().push(account_id, key);
    }

    /// The second in which the oldest of the ended keys ended.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.ended.first_key_value().map(|(second, _)| *second)
    }

    /// Takes out one key that ended in or before a second.
    pub(super) fn pop_until(&mut self, second: i64) -> Option<(AccountId, RememberedKey)> {
        let mut oldest = self.ended.first_entry().filter(|entry| *entry.key() <= second)?;
        let key = oldest.get_mut().pop();
        if oldest.get().is_empty() {
            oldest.remove();
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_out_in_the_order_of_their_seconds() {
        let mut memory = Memory::default();
        for (ended_us, key) in [(2_500_000, 1), (1_999_999, 2), (3_000_000, 3)] {
            memory.schedule(ended_us, AccountId(7), RememberedKey::Command(key));
        }
        let mut popped = Vec::new();
        while let Some((_, key)) = memory.pop_until(2) {
            popped.push(key);
        }
        assert_eq!(popped, [RememberedKey::Command(2), RememberedKey::Command(1)]);
        assert_eq!(memory.pop_until(2), None);
        assert!(memory.pop_until(3).is_some());
    }
}

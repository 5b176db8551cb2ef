//! What is remembered of each key, in bounded memory: when it is full, the counts without a try on its way are
//! dropped, and learned again from the database.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::keys::Key;
use super::refusals::{Refusals, Unwritten};
use crate::sessions::limits::Count;

/// Keys that are remembered, some 200 bytes each.
pub(super) const KEYS_MAX: usize = 100_000;

/// The keys.
#[derive(Default)]
pub(super) struct State {
    pub(super) entries: HashMap<Key, Entry>,
    /// Tries that wait for those before them.
    pub(super) waiting: usize,
    /// Of windows that are over.
    pub(super) unwritten: Vec<Unwritten>,
}

/// What is remembered of a key.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) count: Count,
    pub(super) refusals: Option<Refusals>,
    /// Of a pair: until when it is believed not to be known.
    pub(super) stranger_until: Option<Instant>,
}

impl State {
    /// The entry of a key; makes room for it when there is none.
    pub(super) fn entry(&mut self, key: Key, window: Duration, now: Instant) -> &mut Entry {
        if self.entries.len() >= KEYS_MAX && !self.entries.contains_key(&key) {
            self.sweep(window, now);
            if self.entries.len() >= KEYS_MAX {
                self.entries.retain(|_, entry| entry.count.in_flight > 0);
            }
        }
        self.entries.entry(key).or_default()
    }

    /// Drops what there is nothing to remember of.
    pub(super) fn sweep(&mut self, window: Duration, now: Instant) {
        let State { entries, unwritten, .. } = self;
        entries.retain(|_, entry| {
            if entry
                .refusals
                .as_ref()
                .is_some_and(|refusals| !refusals.is_recent(window, now))
            {
                unwritten.extend(entry.refusals.take().and_then(|mut over| over.take_unwritten()));
            }
            let is_stranger = entry.stranger_until.is_some_and(|until| now < until);
            !entry.count.is_over(window, now) || entry.refusals.is_some() || is_stranger
        });
    }
}

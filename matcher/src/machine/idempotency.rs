//! Which operators' commands were decided, so that a repeat gets the same outcome.
//!
//! A key belongs to its operator. It is remembered with a hash of the content for the configured
//! time after the decision; none is forgotten early: a full window refuses new keys instead.

use std::collections::{BTreeMap, VecDeque};

use brokerx_schemas::{Reason, Symbol};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A decided command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Decided {
    pub operator: String,
    pub key: String,
    pub content: u128,
    pub symbol: Symbol,
    /// Why it was refused, if it was.
    pub refusal: Option<Reason>,
    /// Machine time of the decision.
    pub decided_ms: i64,
}

impl Decided {
    fn name(operator: &str, key: &str) -> String {
        // An operator's id is a UUID, which has no line break: no two pairs get the same name.
        format!("{operator}\n{key}")
    }

    fn hash(&self) -> u64 {
        let text = format!(
            "{}\n{}\n{}\n{}\n{:?}\n{}",
            self.operator, self.key, self.content, self.symbol, self.refusal, self.decided_ms
        );
        xxh3_64(text.as_bytes())
    }
}

/// What is known of a key.
pub(super) enum Seen {
    Never,
    /// The same command was decided: why it was refused, if it was.
    Same(Option<Reason>),
    /// The key was used for something else.
    Other,
}

/// The window of decided commands.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    by_name: BTreeMap<String, Decided>,
    /// Oldest first.
    by_age: VecDeque<String>,
    hash: u64,
}

impl Keys {
    pub fn seen(&self, operator: &str, key: &str, content: u128) -> Seen {
        match self.by_name.get(&Decided::name(operator, key)) {
            None => Seen::Never,
            Some(decided) if decided.content == content => Seen::Same(decided.refusal),
            Some(_) => Seen::Other,
        }
    }

    pub fn len(&self) -> usize {
        self.by_age.len()
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Remembers a decision on a key that was never seen.
    pub fn remember(&mut self, decided: Decided) {
        let name = Decided::name(&decided.operator, &decided.key);
        self.hash = self.hash.wrapping_add(decided.hash());
        self.by_name.insert(name.clone(), decided);
        self.by_age.push_back(name);
    }

    /// Forgets what was decided before a time.
    pub fn forget_before(&mut self, time_ms: i64) {
        while let Some(name) = self.by_age.front() {
            match self.by_name.get(name) {
                Some(decided) if decided.decided_ms >= time_ms => break,
                Some(decided) => self.hash = self.hash.wrapping_sub(decided.hash()),
                None => {}
            }
            self.by_name.remove(name);
            self.by_age.pop_front();
        }
    }

    /// Up to `count` decisions from the `start`-th on, oldest first.
    pub fn range(&self, start: usize, count: usize) -> Vec<Decided> {
        let names = self.by_age.iter().skip(start).take(count);
        names.filter_map(|name| self.by_name.get(name).cloned()).collect()
    }
}

/// A hash of what an operator asked for, without the parts that differ from try to try.
pub(super) fn content_hash(action: &str, symbol: Symbol, numbers: &[i64], text: Option<&str>) -> u128 {
    let mut bytes = format!("{action}\n{symbol}\n{numbers:?}\n").into_bytes();
    if let Some(text) = text {
        bytes.push(1);
        bytes.extend_from_slice(text.as_bytes());
    }
    xxh3_128(&bytes)
}

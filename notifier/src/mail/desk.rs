//! Which letter is carried when: the letters that are not settled, and what became of each try.
//!
//! A pure table: it knows no Kafka, no mail server and no clock but the one that it is told.
//!
//! - Letters of one client go one after the other, in the order of their records.
//! - What concerns one letter (a recipient who is refused for now, a connection that breaks while it is
//!   handed over) sets that letter aside; the others go on.
//! - What concerns all (the server or PostgreSQL is away, the server refuses *us*) lets all wait, and one
//!   letter at a time tries whether it is over. However long that takes, no letter is given up for it.
//! - A letter is given up when it was set aside for as long as [`Patience`] allows, or sooner, after
//!   [`TRIES_MIN`] tries, when its partition has no room left for others.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerx_topics::headers::Trace;
use brokerx_topics::service::Backoff;

/// However old a letter is, and however little room there is, it is tried so often: a first try may come
/// after an outage, or be turned away by a server that wants to see a second one (greylisting).
const TRIES_MIN: u32 = 5;
/// The first pause after a connection that broke: most often the server was started again.
const LOST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause of a letter that is set aside.
const ASIDE_PAUSE_MAX: Duration = Duration::from_secs(1_800);
/// Pauses while all wait for somebody's return.
const AWAY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// Pauses while all wait for somebody's help: a server may lock out who fails too often.
const ALARM: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// Pauses while Kafka does not take a dead letter.
const BURY_PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// How long letters that are set aside are tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The first pause after a recipient was refused for now; it doubles.
    pub(super) pause: Duration,
    /// Since the letter was asked for.
    pub(super) limit: Duration,
}

/// A record of `auth` that asks for a letter, with all that its dead letter would need.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// The record's key: one and the same for all records of a client.
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// When it was appended, milliseconds since the epoch.
    pub(super) appended_ms: i64,
    pub(super) event_id: i64,
    pub(super) mail_id: i64,
    pub(super) trace: Trace,
}

/// What a try led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing more is to be done: delivered, or there is nobody to deliver it to.
    Settled,
    /// Refused for good: to the dead letters.
    Refused(String),
    /// Not now, for a reason of this letter alone.
    Deferred {
        reason: String,
        /// Whether the connection broke, in place of an answer.
        lost: bool,
    },
    /// Not now, for a reason that concerns all.
    Waits {
        reason: String,
        /// Whether it takes a person to end it.
        alarm: bool,
    },
    /// The dead letter was not written.
    Unburied(String),
}

/// What is to be done with a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Hand it to whoever delivers.
    Deliver,
    /// Write it to the dead letters.
    Bury {
        reason: String,
        /// Whether it was only ever refused for now.
        given_up: bool,
    },
}

/// Why all letters wait.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) reason: String,
    pub(super) alarm: bool,
    next_try: Instant,
    pauses: Backoff,
}

/// The letters that are not settled.
pub(super) struct Desk {
    patience: Patience,
    /// Tries at once.
    at_once: usize,
    /// By the order in which they came.
    letters: BTreeMap<u64, Entry>,
    next_id: u64,
    working: usize,
    trouble: Option<Trouble>,
}

struct Entry {
    request: Arc<Request>,
    work: Work,
    is_worked_on: bool,
    due: Instant,
    /// How often it was set aside, and what for.
    deferred: u32,
    reason: String,
    burying: Backoff,
}

impl Desk {
    pub(super) fn new(patience: Patience, at_once: usize) -> Self {
        Self {
            patience,
            at_once,
            letters: BTreeMap::new(),
            next_id: 0,
            working: 0,
            trouble: None,
        }
    }

    /// A letter is asked for.
    pub(super) fn add(&mut self, request: Request, now: Instant) {
        let entry = Entry {
            request: Arc::new(request),
            work: Work::Deliver,
            is_worked_on: false,
            due: now,
            deferred: 0,
            reason: String::new(),
            burying: Backoff::between(BURY_PAUSE.0, BURY_PAUSE.1),
        };
        self.letters.insert(self.next_id, entry);
        self.next_id += 1;
    }

    /// What to begin with now; asked again until it says none.
    pub(super) fn next(&mut self, now: Instant) -> Option<(u64, Arc<Request>, Work)> {
        if self.working >= self.at_once {
            return None;
        }
        // While all wait, one at a time asks whether it is over.
        let may_deliver = match &self.trouble {
            None => true,
            Some(trouble) => self.working == 0 && trouble.next_try <= now,
        };
        let mut clients = HashSet::new();
        let (id, entry) = self.letters.iter_mut().find(|(_, entry)| {
            let is_first_of_client = clients.insert(entry.request.key.clone());
            let may = may_deliver || matches!(entry.work, Work::Bury { .. });
            is_first_of_client && may && !entry.is_worked_on && entry.due <= now
        })?;
        entry.is_worked_on = true;
        self.working += 1;
        Some((*id, Arc::clone(&entry.request), entry.work.clone()))
    }

    /// What a try led to; the letter when that settles it. `age` is how long ago it was asked for.
    pub(super) fn done(
        &mut self,
        id: u64,
        outcome: Outcome,
        now: Instant,
        age: impl Fn(&Request) -> Duration,
    ) -> Option<Arc<Request>> {
        let entry = self.letters.get_mut(&id)?;
        self.working -= 1;
        entry.is_worked_on = false;
        entry.due = now;
        if let Outcome::Waits { reason, alarm } = outcome {
            self.wait(reason, alarm, now);
            return None;
        }
        if entry.work == Work::Deliver {
            self.trouble = None;
        }
        match outcome {
            Outcome::Settled => return self.letters.remove(&id).map(|entry| entry.request),
            Outcome::Refused(reason) => {
                entry.work = Work::Bury {
                    reason,
                    given_up: false,
                };
            }
            Outcome::Unburied(_) => entry.due = now + entry.burying.next(),
            Outcome::Deferred { reason, lost } => {
                entry.deferred += 1;
                let age = age(&entry.request);
                if entry.deferred >= TRIES_MIN && age >= self.patience.limit {
                    entry.give_up(age, &reason);
                } else {
                    entry.due = now + self.patience.pause_after(entry.deferred, lost);
                }
                entry.reason = reason;
            }
            // Handled above.
            Outcome::Waits { .. } => {}
        }
        None
    }

    fn wait(&mut self, reason: String, alarm: bool, now: Instant) {
        let (first, longest) = if alarm { ALARM } else { AWAY };
        let mut pauses = match self.trouble.take() {
            Some(trouble) if trouble.alarm == alarm => trouble.pauses,
            _ => Backoff::between(first, longest),
        };
        self.trouble = Some(Trouble {
            reason,
            alarm,
            next_try: now + pauses.next(),
            pauses,
        });
    }

    /// A partition has no room for more letters: of those that were tried often enough, the one that was
    /// tried most is given up, unless one is already on its way out. Whether there was one.
    pub(super) fn make_room(&mut self, partition: i32, now: Instant, age: impl Fn(&Request) -> Duration) -> bool {
        let of_it = |entry: &&mut Entry| entry.request.partition == partition;
        let mut leaving = self.letters.values_mut().filter(of_it);
        if leaving.any(|entry| entry.work != Work::Deliver) {
            return false;
        }
        let aside = self.letters.values_mut().filter(of_it);
        let often = aside.filter(|entry| !entry.is_worked_on && entry.deferred >= TRIES_MIN);
        let Some(entry) = often.max_by_key(|entry| entry.deferred) else {
            return false;
        };
        let reason = format!("too many other letters are set aside; {}", entry.reason);
        entry.give_up(age(&entry.request), &reason);
        entry.due = now;
        true
    }

    /// Forgets the letters of a partition, which somebody else has now. What is worked on is not stopped.
    pub(super) fn forget(&mut self, partition: i32) {
        let working = &mut self.working;
        self.letters.retain(|_, entry| {
            let keep = entry.request.partition != partition;
            *working -= usize::from(!keep && entry.is_worked_on);
            keep
        });
    }

    /// How many are worked on.
    pub(super) fn working(&self) -> usize {
        self.working
    }

    /// Letters that are not settled, in the order in which they came.
    pub(super) fn letters(&self) -> impl Iterator<Item = &Request> {
        self.letters.values().map(|entry| entry.request.as_ref())
    }

    /// How many letters are set aside, and what was said of the first of them.
    pub(super) fn aside(&self) -> (usize, Option<&str>) {
        let mut aside = self.letters.values().filter(|entry| entry.deferred > 0).peekable();
        let reason = aside.peek().map(|entry| entry.reason.as_str());
        (aside.count(), reason)
    }

    /// Why all letters wait, when they do.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }
}

impl Entry {
    fn give_up(&mut self, age: Duration, reason: &str) {
        let hours = age.as_secs_f64() / 3_600.0;
        let tries = self.deferred;
        self.work = Work::Bury {
            reason: format!("given up after {tries} tries, {hours:.1} hours after it was asked for: {reason}"),
            given_up: true,
        };
    }
}

impl Patience {
    /// The pause after a letter was set aside for the nth time.
    fn pause_after(&self, deferred: u32, lost: bool) -> Duration {
        let first = if lost { LOST_PAUSE.min(self.pause) } else { self.pause };
        let doubled = first.saturating_mul(1 << (deferred - 1).min(16));
        Backoff::between(doubled.min(ASIDE_PAUSE_MAX), ASIDE_PAUSE_MAX).next()
    }
}

#[cfg(test)]
mod tests;

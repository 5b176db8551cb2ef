//! Which letter is carried when: the letters that are not settled, and what became of each try.
//!
//! A pure table: it knows no Kafka, no mail server and no clock but the one that it is told.
//!
//! - Letters of one client go one after the other, in the order of their records.
//! - What concerns one letter (a recipient who is refused for now, a connection that breaks while it is
//!   handed over) sets that letter aside; the others go on.
//! - What concerns all (the server or PostgreSQL is away, the server refuses *us*) lets all wait, and one
//!   letter at a time tries whether it is over. However long that takes, no letter is given up for it.
//! - A letter is given up when it was set aside for as long as [`Patience`] allows, or sooner when there is
//!   hardly room for more: the one tried most of the operator who takes more than a share of the places, else
//!   the one tried most of all that were tried [`TRIES_MIN`] times.
//! - First tries and later ones take turns, and one connection is never used for later ones, so that nobody who
//!   is served at once waits for those who are not.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerx_topics::headers::Trace;
use brokerx_topics::service::Backoff;

/// However old a letter is, and however little room there is, it is tried so often: a first try may come
/// after an outage, or be turned away by a server that wants to see a second one (greylisting).
const TRIES_MIN: u32 = 5;
/// Letters of one partition that were not tried yet; at that number it is not read on.
pub(super) const UNTRIED_MAX: usize = 64;
/// Letters of one partition that are set aside, with those of their clients behind them; the same at that number.
/// What is committed of a partition has room for some more.
pub(super) const ASIDE_MAX: usize = 512;
/// From here on there is hardly room: some are given up before the partition is full.
const CROWDED: usize = ASIDE_MAX - UNTRIED_MAX;
/// What one operator (the end of a domain) may take of these places while there is hardly room.
const SHARE: usize = ASIDE_MAX / 4;
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
    /// Nothing more is to be done: delivered, or in the dead letters.
    Settled,
    /// There is nobody to deliver it to. Nobody was asked.
    Moot,
    /// Refused for good by the server: to the dead letters.
    Refused(String),
    /// It cannot be written, so no server was asked: to the dead letters.
    Unsendable(String),
    /// Not now, for a reason of this letter alone.
    Deferred {
        reason: String,
        /// Whether the connection broke, in place of an answer.
        lost: bool,
        /// Who receives mail there; none when no server was asked.
        operator: Option<String>,
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
    /// Whether what was begun last was set aside before.
    was_again: bool,
    trouble: Option<Trouble>,
}

/// The letters of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Those that were not tried yet, except for those behind.
    pub(super) untried: usize,
    /// Those that are set aside, and those behind them of the same client.
    pub(super) aside: usize,
}

impl Load {
    /// Whether there is no room for one more.
    pub(super) fn is_full(&self) -> bool {
        self.untried >= UNTRIED_MAX || self.aside >= ASIDE_MAX
    }

    /// Whether some are to be given up, so that there is room.
    pub(super) fn is_crowded(&self) -> bool {
        self.aside >= CROWDED
    }
}

struct Entry {
    request: Arc<Request>,
    work: Work,
    is_worked_on: bool,
    due: Instant,
    /// How often it was set aside, what for, and by whom.
    deferred: u32,
    reason: String,
    operator: String,
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
            was_again: false,
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
            operator: String::new(),
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
        let (mut burial, mut first, mut again) = (None, None, None::<(Instant, u64)>);
        let mut trying_again = 0;
        let mut clients = HashSet::new();
        for (id, entry) in &self.letters {
            let is_first_of_client = clients.insert(entry.request.key.as_slice());
            let was_deferred = entry.deferred > 0;
            if entry.is_worked_on {
                trying_again += usize::from(was_deferred);
                continue;
            }
            if !is_first_of_client || entry.due > now {
                continue;
            }
            if entry.work != Work::Deliver {
                burial = burial.or(Some(*id));
            } else if !was_deferred {
                first = first.or(Some(*id));
            } else if again.is_none_or(|(due, _)| entry.due < due) {
                again = Some((entry.due, *id));
            }
        }
        let has_room = trying_again < (self.at_once - 1).max(1);
        let again = again.map(|(_, id)| id).filter(|_| has_room);
        let delivery = match (first, again) {
            (Some(first), Some(again)) => Some(if self.was_again { first } else { again }),
            (first, again) => first.or(again),
        };
        let id = burial.or(delivery.filter(|_| may_deliver))?;
        let entry = self.letters.get_mut(&id)?;
        if burial.is_none() {
            self.was_again = Some(id) == again;
        }
        entry.is_worked_on = true;
        self.working += 1;
        Some((id, Arc::clone(&entry.request), entry.work.clone()))
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
        let was_served = match &outcome {
            Outcome::Settled | Outcome::Refused(_) => true,
            Outcome::Deferred { operator, .. } => operator.is_some(),
            _ => false,
        };
        if was_served && entry.work == Work::Deliver {
            self.trouble = None;
        }
        match outcome {
            Outcome::Settled | Outcome::Moot => {
                let settled = self.letters.remove(&id).map(|entry| entry.request);
                self.nobody_waits();
                return settled;
            }
            Outcome::Refused(reason) | Outcome::Unsendable(reason) => {
                entry.work = Work::Bury {
                    reason,
                    given_up: false,
                };
            }
            Outcome::Unburied(_) => entry.due = now + entry.burying.next(),
            Outcome::Deferred { reason, lost, operator } => {
                entry.deferred += 1;
                entry.operator = operator.unwrap_or_default();
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

    /// Without letters nobody is asked any more, and nothing is known of those that were away.
    fn nobody_waits(&mut self) {
        if self.letters.is_empty() {
            self.trouble = None;
        }
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

    /// What each partition has, of those that have letters.
    pub(super) fn loads(&self) -> BTreeMap<i32, Load> {
        let mut loads = BTreeMap::<i32, Load>::new();
        for entry in self.letters.values() {
            loads.entry(entry.request.partition).or_default().untried += 1;
        }
        for (_, entry, _) in self.places() {
            let load = loads.entry(entry.request.partition).or_default();
            load.untried -= 1;
            load.aside += 1;
        }
        loads
    }

    /// The letters that are set aside, and those behind them of the same client; each with whom it counts for.
    fn places(&self) -> Vec<(u64, &Entry, &str)> {
        let mut holders = HashMap::<&[u8], &str>::new();
        let mut places = Vec::new();
        for (id, entry) in &self.letters {
            let client = entry.request.key.as_slice();
            if entry.deferred > 0 {
                holders.entry(client).or_insert(&entry.operator);
            }
            if let Some(operator) = holders.get(client) {
                places.push((*id, entry, *operator));
            }
        }
        places
    }

    /// A partition has hardly room for more letters: one is given up, unless one is already on its way out.
    /// Whether there was one.
    pub(super) fn make_room(&mut self, partition: i32, now: Instant, age: impl Fn(&Request) -> Duration) -> bool {
        let mut places = self.places();
        places.retain(|(_, entry, _)| entry.request.partition == partition);
        if places.iter().any(|(_, entry, _)| entry.work != Work::Deliver) {
            return false;
        }
        let mut taken = BTreeMap::<&str, usize>::new();
        for (_, _, operator) in &places {
            *taken.entry(operator).or_default() += 1;
        }
        let greediest = taken.into_iter().max_by_key(|(_, count)| *count);
        let greedy = greediest
            .filter(|(_, count)| *count > SHARE)
            .map(|(operator, _)| operator);
        let tried = places.iter().filter(|(_, entry, operator)| match greedy {
            Some(greedy) => *operator == greedy && entry.deferred > 0,
            None => entry.deferred >= TRIES_MIN,
        });
        let most = tried
            .filter(|(_, entry, _)| !entry.is_worked_on)
            .max_by_key(|(_, entry, _)| entry.deferred)
            .map(|(id, ..)| *id);
        let whose = if greedy.is_some() {
            "mails to its domain"
        } else {
            "other letters"
        };
        let Some(entry) = most.and_then(|id| self.letters.get_mut(&id)) else {
            return false;
        };
        let reason = format!("too many {whose} are set aside; {}", entry.reason);
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
        self.nobody_waits();
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

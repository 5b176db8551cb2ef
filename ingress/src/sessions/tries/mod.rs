//! The tries to log in that count, in memory.
//!
//! A try takes its [`Place`] before it queues for the check of its password, so as many as come at once are
//! no more tries than the limit allows: the others wait until those are decided, then are refused or go on.
//! Whoever is refused costs no query: of the refusals at one limit the first of a window is written to the
//! audit, and how many followed, from time to time.
//!
//! Each instance counts for itself and learns from the database, at each try, what all of them have decided.
//! So several instances allow the limit, and beyond it at most what each of them had on its way at that
//! moment; and a restart forgets nothing.
//!
//! Who tries is in [`keys`], what is remembered of them in [`memory`], what was refused in [`refusals`].

mod keys;
mod memory;
mod refusals;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::limits::{Judgement, Limits, Rule};
pub(super) use keys::{History, Key, Who};
use memory::{KEYS_MAX, State};
use refusals::Refusals;
pub(super) use refusals::{Refusal, Unwritten};

/// How long a try waits for those before it.
const TURN_LIMIT: Duration = Duration::from_secs(3);
/// Tries that wait at once, of all e-mails; further ones are refused.
const WAITING_MAX: usize = 256;
/// How long it is believed that an address is not a known one of a client.
const STRANGER: Duration = Duration::from_secs(60);

/// All tries.
pub struct Tries {
    limits: Limits,
    state: Mutex<State>,
    /// A try has ended.
    ended: Notify,
}

/// The place of a try; dropped, it counts for nothing.
pub(super) struct Place {
    tries: Arc<Tries>,
    who: Who,
    is_wrong: bool,
}

enum Step {
    Entered(Place),
    Busy(Key),
    Refused(Refusal),
}

impl Tries {
    /// No tries yet.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
            ended: Notify::new(),
        })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn rule(&self, key: &Key) -> Rule {
        match key {
            Key::Network(_) => Rule::Fixed(self.limits.per_network),
            Key::Pair(_) => Rule::Fixed(self.limits.per_pair),
            Key::Email(_) => Rule::Growing(self.limits.per_email),
            // No wrong passwords are counted there.
            Key::Often(_) | Key::Unverified(_) => Rule::Fixed(usize::MAX),
        }
    }

    /// How many wrong tries have to be asked for, by network, by pair and by e-mail.
    pub(super) fn memory(&self) -> [usize; 3] {
        let window = self.limits.window;
        [
            Rule::Fixed(self.limits.per_network).memory(window),
            Rule::Fixed(self.limits.per_pair).memory(window),
            Rule::Growing(self.limits.per_email).memory(window),
        ]
    }

    /// The refusal, when it is certain without the database.
    pub(super) fn refused(&self, who: &Who) -> Option<Refusal> {
        self.refused_at(who, Instant::now())
    }

    fn refused_at(&self, who: &Who, now: Instant) -> Option<Refusal> {
        let mut state = self.lock();
        let pair = state.entries.get(&Key::Pair(who.clone()));
        let is_stranger = pair.is_some_and(|entry| entry.stranger_until.is_some_and(|until| now < until));
        match self.judge(&mut state, who, !is_stranger, now) {
            Err(Standing::Refused(key, until)) => Some(self.refuse(&mut state, key, until, now)),
            Ok(()) | Err(Standing::Busy(_)) => None,
        }
    }

    /// One more of what is no wrong password and of which the audit has the first and a sum as well; the next may come
    /// after `wait`.
    pub(super) fn one_more(&self, key: Key, wait: Duration) -> Refusal {
        let now = Instant::now();
        self.refuse(&mut self.lock(), key, now + wait, now)
    }

    /// Takes a place for a try; waits, up to a limit, for those before it.
    pub(super) async fn enter(self: &Arc<Self>, who: &Who, history: &History) -> Result<Place, Refusal> {
        let end = Instant::now() + TURN_LIMIT;
        let mut waiting = None;
        loop {
            // Made before the look, so that no end is missed in between.
            let ended = self.ended.notified();
            let now = Instant::now();
            let key = match self.step(who, history, now) {
                Step::Entered(place) => return Ok(place),
                Step::Refused(refusal) => return Err(refusal),
                Step::Busy(key) => key,
            };
            if waiting.is_none() {
                waiting = Waiting::new(self);
            }
            let is_over = waiting.is_none() || tokio::time::timeout_at(end.into(), ended).await.is_err();
            if is_over {
                let now = Instant::now();
                let soon = now + Duration::from_secs(1);
                return Err(self.refuse(&mut self.lock(), key, soon, now));
            }
        }
    }

    fn step(self: &Arc<Self>, who: &Who, history: &History, now: Instant) -> Step {
        let mut state = self.lock();
        let ages = [&history.of_network, &history.of_pair, &history.of_email];
        for (key, ages) in who.keys().into_iter().zip(ages) {
            if !ages.is_empty() {
                state
                    .entry(key, self.limits.window, now)
                    .count
                    .learn(ages, self.limits.window, now);
            }
        }
        match self.judge(&mut state, who, history.is_known, now) {
            Err(Standing::Refused(key, until)) => {
                if matches!(key, Key::Email(_)) {
                    let pair = state.entry(Key::Pair(who.clone()), self.limits.window, now);
                    pair.stranger_until = Some(now + STRANGER);
                }
                Step::Refused(self.refuse(&mut state, key, until, now))
            }
            Err(Standing::Busy(key)) => Step::Busy(key),
            Ok(()) => {
                for key in who.keys() {
                    state.entry(key, self.limits.window, now).count.in_flight += 1;
                }
                Step::Entered(Place {
                    tries: Arc::clone(self),
                    who: who.clone(),
                    is_wrong: false,
                })
            }
        }
    }

    /// What stands in the way of one more try.
    fn judge(&self, state: &mut State, who: &Who, passes_email: bool, now: Instant) -> Result<(), Standing> {
        let mut busy = None;
        for key in who.keys() {
            if passes_email && matches!(key, Key::Email(_)) {
                continue;
            }
            let Some(entry) = state.entries.get_mut(&key) else {
                continue;
            };
            match entry.count.judge(self.rule(&key), self.limits.window, now) {
                Judgement::Free => {}
                Judgement::Busy => busy = busy.or(Some(key)),
                Judgement::Refused(until) => return Err(Standing::Refused(key, until)),
            }
        }
        busy.map_or(Ok(()), |key| Err(Standing::Busy(key)))
    }

    fn refuse(&self, state: &mut State, key: Key, until: Instant, now: Instant) -> Refusal {
        let wait = until - now;
        let window = self.limits.window;
        let entry = state.entry(key.clone(), window, now);
        match &mut entry.refusals {
            Some(refusals) if refusals.is_recent(window, now) => {
                refusals.follow();
                Refusal { wait, first: None }
            }
            over => {
                let over = over.replace(Refusals::begin(now));
                state.unwritten.extend(over.and_then(|mut over| over.take_unwritten()));
                Refusal { wait, first: Some(key) }
            }
        }
    }

    /// The first refusal at a limit is in the audit under this row; none when it could not be written, so
    /// that the next one is written in its place.
    pub(super) fn written(&self, key: &Key, attempt_id: Option<i64>) {
        let mut state = self.lock();
        let Some(entry) = state.entries.get_mut(key) else {
            return;
        };
        match (attempt_id, &mut entry.refusals) {
            (Some(attempt_id), Some(refusals)) => refusals.is_written(attempt_id),
            _ => entry.refusals = None,
        }
    }

    /// Takes the refusals that followed a first one and are not in the audit.
    pub(super) fn unwritten(&self) -> Vec<Unwritten> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut unwritten = std::mem::take(&mut state.unwritten);
        for entry in state.entries.values_mut() {
            unwritten.extend(entry.refusals.as_mut().and_then(Refusals::take_unwritten));
        }
        state.sweep(self.limits.window, now);
        unwritten
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&self, unwritten: Vec<Unwritten>) {
        let mut state = self.lock();
        let room = KEYS_MAX.saturating_sub(state.unwritten.len());
        state.unwritten.extend(unwritten.into_iter().take(room));
    }

    /// The client logged in from there.
    pub(super) fn is_known_now(&self, who: &Who) {
        if let Some(entry) = self.lock().entries.get_mut(&Key::Pair(who.clone())) {
            entry.stranger_until = None;
        }
    }

    fn end(&self, who: &Who, wrong: bool, now: Instant) {
        let mut state = self.lock();
        for key in who.keys() {
            let rule = self.rule(&key);
            // Counts with a try on its way are never dropped.
            if let Some(entry) = state.entries.get_mut(&key) {
                entry.count.in_flight -= 1;
                if wrong {
                    entry.count.add(now, rule.memory(self.limits.window));
                }
            }
        }
        drop(state);
        self.ended.notify_waiters();
    }

    /// The counts are intact even after a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Standing {
    Busy(Key),
    Refused(Key, Instant),
}

impl Place {
    /// The password was wrong.
    pub(super) fn wrong(mut self) {
        self.is_wrong = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tries.end(&self.who, self.is_wrong, Instant::now());
    }
}

/// A place among those that wait.
struct Waiting<'a>(&'a Tries);

impl<'a> Waiting<'a> {
    fn new(tries: &'a Tries) -> Option<Self> {
        let mut state = tries.lock();
        if state.waiting >= WAITING_MAX {
            return None;
        }
        state.waiting += 1;
        drop(state);
        Some(Self(tries))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

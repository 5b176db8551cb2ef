//! The tries to log in that count, in memory.
//!
//! A try takes its [`Place`] before it queues for the check of its password, so as many as come at once are
//! no more tries than the limit allows: the others wait until those are decided, then are refused or go on.
//! Whoever is refused costs no query: of the refusals at one limit the first of a window is written to the
//! audit, and how many followed, from time to time.
//!
//! Each instance counts for itself and learns from the database, at each try, what all of them have decided.
//! So several instances allow the limit, and beyond it at most what each of them had on its way at that
//! moment; and a restart forgets nothing. When the memory is full, the counts without a try on its way are
//! dropped and learned again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::limits::{Count, Judgement, Limits, Rule};

/// How long a try waits for those before it.
const TURN_LIMIT: Duration = Duration::from_secs(3);
/// Tries that wait at once, of all e-mails; further ones are refused.
const WAITING_MAX: usize = 256;
/// Keys that are remembered, some 200 bytes each.
const KEYS_MAX: usize = 100_000;
/// How long it is believed that an address is not a known one of a client.
const STRANGER: Duration = Duration::from_secs(60);

/// Who tries: the e-mail as it is compared, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    pub(super) email_key: String,
    pub(super) network: IpAddr,
}

/// What tries are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Network(IpAddr),
    Pair(Who),
    Email(String),
}

/// What the database remembers of somebody who tries: the ages of wrong tries, youngest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) of_network: Vec<Duration>,
    pub(super) of_pair: Vec<Duration>,
    pub(super) of_email: Vec<Duration>,
    /// Whether this client has logged in from this network before.
    pub(super) is_known: bool,
}

/// A try that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// How long to wait.
    pub(super) wait: Duration,
    /// The key of the limit, when this is its first refusal of the window: it is to be written.
    pub(super) first: Option<Key>,
}

/// Refusals at one limit that are not in the audit yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unwritten {
    /// The row of the first one.
    pub(super) attempt_id: i64,
    /// How many followed it.
    pub(super) refused: i64,
}

/// All tries.
pub struct Tries {
    limits: Limits,
    state: Mutex<State>,
    /// A try has ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    entries: HashMap<Key, Entry>,
    waiting: usize,
    /// Of windows that are over.
    unwritten: Vec<Unwritten>,
}

#[derive(Default)]
struct Entry {
    count: Count,
    refusals: Option<Refusals>,
    /// Of a pair: until when it is believed not to be known.
    stranger_until: Option<Instant>,
}

struct Refusals {
    since: Instant,
    attempt_id: Option<i64>,
    refused: i64,
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

impl Who {
    fn keys(&self) -> [Key; 3] {
        [
            Key::Network(self.network),
            Key::Pair(self.clone()),
            Key::Email(self.email_key.clone()),
        ]
    }
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
            Some(refusals) if now < refusals.since + window => {
                refusals.refused += 1;
                Refusal { wait, first: None }
            }
            over => {
                let first = Refusals {
                    since: now,
                    attempt_id: None,
                    refused: 0,
                };
                let over = over.replace(first).and_then(|refusals| refusals.unwritten());
                state.unwritten.extend(over);
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
            (Some(_), Some(refusals)) => refusals.attempt_id = attempt_id,
            _ => entry.refusals = None,
        }
    }

    /// Takes the refusals that followed a first one and are not in the audit.
    pub(super) fn unwritten(&self) -> Vec<Unwritten> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut unwritten = std::mem::take(&mut state.unwritten);
        for entry in state.entries.values_mut() {
            if let Some(refusals) = &mut entry.refusals
                && let Some(sum) = refusals.unwritten()
            {
                refusals.refused = 0;
                unwritten.push(sum);
            }
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

impl State {
    fn entry(&mut self, key: Key, window: Duration, now: Instant) -> &mut Entry {
        if self.entries.len() >= KEYS_MAX && !self.entries.contains_key(&key) {
            self.sweep(window, now);
            if self.entries.len() >= KEYS_MAX {
                self.entries.retain(|_, entry| entry.count.in_flight > 0);
            }
        }
        self.entries.entry(key).or_default()
    }

    fn sweep(&mut self, window: Duration, now: Instant) {
        let State { entries, unwritten, .. } = self;
        entries.retain(|_, entry| {
            let is_recent = |refusals: &Refusals| now < refusals.since + window;
            if entry.refusals.as_ref().is_some_and(|refusals| !is_recent(refusals)) {
                unwritten.extend(entry.refusals.take().and_then(|refusals| refusals.unwritten()));
            }
            let is_stranger = entry.stranger_until.is_some_and(|until| now < until);
            !entry.count.is_over(window, now) || entry.refusals.is_some() || is_stranger
        });
    }
}

impl Refusals {
    fn unwritten(&self) -> Option<Unwritten> {
        let attempt_id = self.attempt_id.filter(|_| self.refused > 0)?;
        Some(Unwritten {
            attempt_id,
            refused: self.refused,
        })
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_topics::service::source_of;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(900);

    fn tries() -> Arc<Tries> {
        Tries::new(Limits {
            per_pair: 5,
            per_network: 20,
            per_email: 10,
            window: WINDOW,
        })
    }

    fn who(email: &str, address: &str) -> Who {
        Who {
            email_key: email.to_owned(),
            network: source_of(address.parse().unwrap()),
        }
    }

    fn history(is_known: bool) -> History {
        History {
            is_known,
            ..History::default()
        }
    }

    /// Tries a wrong password; whether it was tried at all.
    async fn wrong(tries: &Arc<Tries>, who: &Who, is_known: bool) -> bool {
        match tries.enter(who, &history(is_known)).await {
            Ok(place) => {
                // Long enough for the others to come.
                tokio::task::yield_now().await;
                place.wrong();
                true
            }
            Err(_) => false,
        }
    }

    #[tokio::test]
    async fn sixty_at_once_are_five_tries() {
        let tries = tries();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..60 {
            let tries = Arc::clone(&tries);
            all.spawn(async move { wrong(&tries, &who("ada", "203.0.113.5"), false).await });
        }
        let tried = all.join_all().await.into_iter().filter(|tried| *tried).count();
        assert_eq!(tried, 5);
    }

    #[tokio::test]
    async fn right_passwords_at_once_all_pass() {
        let tries = tries();
        let mut all = tokio::task::JoinSet::new();
        for number in 0..60 {
            let tries = Arc::clone(&tries);
            all.spawn(async move {
                let client = who(&format!("client-{}", number % 4), "203.0.113.5");
                let place = tries.enter(&client, &History::default()).await.unwrap();
                tokio::task::yield_now().await;
                drop(place);
            });
        }
        all.join_all().await;
    }

    #[tokio::test]
    async fn nobody_is_locked_out_by_somebody_else() {
        let tries = tries();
        let owner = who("ada", "198.51.100.7");
        for _ in 0..5 {
            assert!(wrong(&tries, &who("ada", "203.0.113.5"), false).await);
        }
        assert!(!wrong(&tries, &who("ada", "203.0.113.5"), false).await);
        assert!(tries.enter(&owner, &history(false)).await.is_ok(), "from elsewhere");
        // Spread over addresses, the e-mail is delayed, but not for those whom it knows.
        for address in 0..2 {
            for _ in 0..3 {
                wrong(&tries, &who("ada", &format!("203.0.113.{}", 6 + address)), false).await;
            }
        }
        let refusal = tries.enter(&owner, &history(false)).await.map(drop).unwrap_err();
        assert!(refusal.wait <= Duration::from_secs(1), "{refusal:?}");
        assert!(tries.enter(&owner, &history(true)).await.is_ok());
        assert!(tries.enter(&who("bob", "203.0.113.9"), &history(false)).await.is_ok());
    }

    #[tokio::test]
    async fn a_64_is_one_address() {
        let tries = tries();
        for number in 0..5 {
            assert!(wrong(&tries, &who("ada", &format!("2001:db8::{number}")), false).await);
        }
        assert!(!wrong(&tries, &who("ada", "2001:db8::77"), false).await);
        assert!(wrong(&tries, &who("ada", "2001:db8:0:1::77"), false).await);
    }

    #[tokio::test]
    async fn an_address_that_tries_many_e_mails_is_refused_without_the_database() {
        let tries = tries();
        let one = |number: usize| who(&format!("client-{number}"), "203.0.113.5");
        for number in 0..20 {
            assert!(wrong(&tries, &one(number), false).await);
        }
        let first = tries.refused(&one(100)).unwrap();
        assert_eq!(first.first, Some(Key::Network(one(0).network)), "whatever the e-mail");
        tries.written(first.first.as_ref().unwrap(), Some(7));
        for number in 0..30 {
            assert_eq!(tries.refused(&one(200 + number)).unwrap().first, None);
        }
        let sum = Unwritten {
            attempt_id: 7,
            refused: 30,
        };
        assert_eq!(tries.unwritten(), [sum]);
        assert_eq!(tries.unwritten(), []);
        tries.put_back(vec![sum]);
        assert_eq!(tries.unwritten(), [sum]);
        assert_eq!(tries.lock().entries.len(), 41, "refused e-mails leave nothing");
        let later = Instant::now() + WINDOW;
        assert_eq!(tries.refused_at(&one(100), later), None);
    }

    #[tokio::test]
    async fn what_other_instances_saw_counts_here() {
        let tries = tries();
        let ada = who("ada", "203.0.113.5");
        let seen = History {
            of_pair: vec![Duration::from_secs(10); 5],
            ..History::default()
        };
        let refusal = tries.enter(&ada, &seen).await.map(drop).unwrap_err();
        assert!(refusal.wait <= WINDOW - Duration::from_secs(10));
        assert!(tries.refused(&ada).is_some(), "learned");
    }

    #[test]
    fn memory_is_bounded() {
        let tries = tries();
        let now = Instant::now();
        for number in 0..KEYS_MAX {
            let one = who(&format!("client-{number}"), "203.0.113.5");
            let seen = History {
                of_pair: vec![Duration::from_secs(10)],
                of_email: vec![Duration::from_secs(10)],
                ..History::default()
            };
            drop(tries.step(&one, &seen, now));
        }
        assert!(tries.lock().entries.len() <= KEYS_MAX);
    }
}

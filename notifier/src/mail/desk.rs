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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3_600);
    const PATIENCE: Patience = Patience {
        pause: MINUTE,
        limit: Duration::from_secs(12 * 3_600),
    };

    fn request(offset: i64, client: &str) -> Request {
        Request {
            partition: (offset / 100) as i32,
            offset,
            key: client.as_bytes().to_owned(),
            value: Vec::new(),
            headers: Vec::new(),
            appended_ms: 0,
            event_id: offset,
            mail_id: offset,
            trace: Trace::default(),
        }
    }

    fn desk(letters: &[(i64, &str)], now: Instant) -> Desk {
        let mut desk = Desk::new(PATIENCE, 4);
        for (offset, client) in letters {
            desk.add(request(*offset, client), now);
        }
        desk
    }

    /// Everything that is begun at a moment.
    fn begun(desk: &mut Desk, now: Instant) -> Vec<(u64, Work)> {
        std::iter::from_fn(|| desk.next(now).map(|(id, _, work)| (id, work))).collect()
    }

    fn deliveries(ids: &[u64]) -> Vec<(u64, Work)> {
        ids.iter().map(|id| (*id, Work::Deliver)).collect()
    }

    fn deferred() -> Outcome {
        Outcome::Deferred {
            reason: "451 later".to_owned(),
            lost: false,
        }
    }

    fn waits(alarm: bool) -> Outcome {
        Outcome::Waits {
            reason: "away".to_owned(),
            alarm,
        }
    }

    #[test]
    fn clients_go_side_by_side_and_the_letters_of_one_in_order() {
        let now = Instant::now();
        let mut desk = desk(&[(0, "a"), (1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")], now);
        assert_eq!(begun(&mut desk, now), deliveries(&[0, 2, 3, 4]), "so many at once");
        assert_eq!(desk.done(0, Outcome::Settled, now, |_| HOUR).unwrap().offset, 0);
        assert_eq!(begun(&mut desk, now), deliveries(&[1]));
        assert_eq!(desk.letters().count(), 5);
    }

    #[test]
    fn a_letter_that_is_set_aside_holds_up_only_its_client() {
        let now = Instant::now();
        let mut desk = desk(&[(0, "a"), (1, "a"), (2, "b")], now);
        assert_eq!(begun(&mut desk, now), deliveries(&[0, 2]));
        assert!(desk.done(0, deferred(), now, |_| MINUTE).is_none());
        assert!(desk.done(2, Outcome::Settled, now, |_| MINUTE).is_some());
        assert_eq!(begun(&mut desk, now), []);
        assert_eq!(desk.aside(), (1, Some("451 later")));
        // Each pause is shortened by up to half.
        assert_eq!(begun(&mut desk, now + MINUTE / 2 - Duration::from_secs(1)), []);
        assert_eq!(begun(&mut desk, now + MINUTE), deliveries(&[0]));
        desk.done(0, deferred(), now + MINUTE, |_| MINUTE);
        assert_eq!(begun(&mut desk, now + MINUTE * 2 - Duration::from_secs(1)), []);
        assert_eq!(begun(&mut desk, now + MINUTE * 3), deliveries(&[0]));
        assert!(desk.done(0, Outcome::Settled, now, |_| MINUTE).is_some());
        assert_eq!(begun(&mut desk, now), deliveries(&[1]));
    }

    #[test]
    fn a_connection_that_broke_is_tried_again_soon() {
        let now = Instant::now();
        let mut desk = desk(&[(0, "a")], now);
        begun(&mut desk, now);
        let lost = Outcome::Deferred {
            reason: "the connection broke".to_owned(),
            lost: true,
        };
        desk.done(0, lost, now, |_| MINUTE);
        assert_eq!(begun(&mut desk, now + LOST_PAUSE), deliveries(&[0]));
    }

    #[test]
    fn when_the_server_is_away_one_at_a_time_asks_and_nothing_is_given_up() {
        let mut now = Instant::now();
        let mut desk = desk(&[(0, "a"), (1, "b"), (2, "c")], now);
        assert_eq!(begun(&mut desk, now).len(), 3);
        for id in 0..3 {
            assert!(desk.done(id, waits(false), now, |_| HOUR * 1_000).is_none());
        }
        for _ in 0..100 {
            assert_eq!(begun(&mut desk, now), [], "not at once");
            now += AWAY.1;
            assert_eq!(begun(&mut desk, now), deliveries(&[0]));
            desk.done(0, waits(false), now, |_| HOUR * 1_000);
        }
        assert_eq!(desk.trouble().unwrap().reason, "away");
        now += AWAY.1;
        assert_eq!(begun(&mut desk, now), deliveries(&[0]));
        desk.done(0, deferred(), now, |_| MINUTE);
        assert!(desk.trouble().is_none(), "whoever says so is there");
        assert_eq!(begun(&mut desk, now), deliveries(&[1, 2]));
    }

    #[test]
    fn a_server_that_refuses_us_is_asked_seldom() {
        let now = Instant::now();
        let mut desk = desk(&[(0, "a")], now);
        begun(&mut desk, now);
        desk.done(0, waits(false), now, |_| HOUR);
        begun(&mut desk, now + AWAY.0);
        desk.done(0, waits(true), now, |_| HOUR);
        assert!(desk.trouble().unwrap().alarm);
        assert_eq!(begun(&mut desk, now + ALARM.0 / 2 - Duration::from_millis(1)), []);
        let mut last = now;
        for _ in 0..20 {
            last += ALARM.1;
            assert_eq!(begun(&mut desk, last), deliveries(&[0]));
            desk.done(0, waits(true), last, |_| HOUR);
        }
        assert_eq!(begun(&mut desk, last + ALARM.1 / 2 - Duration::from_secs(1)), []);
    }

    #[test]
    fn what_is_refused_for_good_is_buried_until_kafka_has_it() {
        let now = Instant::now();
        let mut desk = desk(&[(0, "a"), (1, "b")], now);
        begun(&mut desk, now);
        desk.done(0, Outcome::Refused("550 no".to_owned()), now, |_| MINUTE);
        // Also while the server is away.
        desk.done(1, waits(false), now, |_| MINUTE);
        let bury = Work::Bury {
            reason: "550 no".to_owned(),
            given_up: false,
        };
        let burial = [(0, bury)];
        assert_eq!(begun(&mut desk, now), burial);
        assert!(
            desk.done(0, Outcome::Unburied("no broker".to_owned()), now, |_| MINUTE)
                .is_none()
        );
        assert!(desk.trouble().is_some());
        assert_eq!(begun(&mut desk, now + BURY_PAUSE.1)[0], burial[0]);
        assert!(desk.done(0, Outcome::Settled, now, |_| MINUTE).is_some());
        assert!(desk.trouble().is_some(), "a dead letter says nothing of the server");
    }

    #[test]
    fn patience_ends_after_its_limit_and_not_before_some_tries() {
        let mut now = Instant::now();
        let mut desk = desk(&[(0, "a")], now);
        let mut tries = 0;
        let buried = loop {
            now += ASIDE_PAUSE_MAX;
            let (_, work) = begun(&mut desk, now).remove(0);
            if let Work::Bury { reason, .. } = work {
                break reason;
            }
            tries += 1;
            desk.done(0, deferred(), now, |_| PATIENCE.limit);
        };
        assert_eq!(tries, TRIES_MIN, "even when it is old at its first try");
        assert_eq!(
            buried,
            "given up after 5 tries, 12.0 hours after it was asked for: 451 later"
        );
        let mut young = self::desk(&[(0, "a")], now);
        for _ in 0..50 {
            now += ASIDE_PAUSE_MAX;
            assert_eq!(begun(&mut young, now), deliveries(&[0]));
            young.done(0, deferred(), now, |_| PATIENCE.limit - MINUTE);
        }
    }

    #[test]
    fn a_full_partition_gives_up_what_was_tried_most() {
        let mut now = Instant::now();
        let mut desk = desk(&[(0, "a"), (1, "b"), (100, "c")], now);
        assert!(!desk.make_room(0, now, |_| HOUR), "nothing was tried yet");
        for _ in 0..TRIES_MIN {
            now += ASIDE_PAUSE_MAX;
            for (id, _) in begun(&mut desk, now) {
                desk.done(id, deferred(), now, |_| MINUTE);
            }
        }
        assert!(desk.make_room(0, now, |_| HOUR));
        assert!(!desk.make_room(0, now, |_| HOUR), "one at a time");
        let mut work = begun(&mut desk, now);
        assert_eq!(work.len(), 1);
        let (id, work) = work.remove(0);
        let Work::Bury { reason, given_up: true } = &work else {
            panic!("{work:?}")
        };
        assert!(
            reason.ends_with("too many other letters are set aside; 451 later"),
            "{reason}"
        );
        assert!(desk.done(id, Outcome::Settled, now, |_| HOUR).is_some());
        assert!(desk.make_room(0, now, |_| HOUR), "and the other one");
    }

    #[test]
    fn letters_of_a_partition_that_is_gone_are_forgotten() {
        let now = Instant::now();
        let mut desk = desk(&[(0, "a"), (100, "b")], now);
        assert_eq!(begun(&mut desk, now).len(), 2);
        desk.forget(0);
        assert_eq!(desk.working(), 1);
        assert!(desk.done(0, Outcome::Settled, now, |_| MINUTE).is_none());
        assert_eq!(desk.working(), 1);
        assert!(desk.done(1, Outcome::Settled, now, |_| MINUTE).is_some());
        assert_eq!(desk.letters().count(), 0);
    }
}

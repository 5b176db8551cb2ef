//! Every rule of the desk, one by one.

#![allow(clippy::unwrap_used)]

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
    deferred_by("example.com")
}

fn deferred_by(operator: &str) -> Outcome {
    Outcome::Deferred {
        reason: "451 later".to_owned(),
        lost: false,
        operator: Some(operator.to_owned()),
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
        operator: Some("example.com".to_owned()),
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
fn who_was_not_asked_says_nothing_of_the_server() {
    let now = Instant::now();
    let mut desk = desk(&[(0, "a"), (1, "b"), (2, "c"), (3, "d")], now);
    begun(&mut desk, now);
    desk.done(0, waits(true), now, |_| MINUTE);
    assert!(desk.done(1, Outcome::Moot, now, |_| MINUTE).is_some());
    assert!(desk.trouble().is_some(), "its row is gone");
    desk.done(2, Outcome::Unsendable("no address".to_owned()), now, |_| MINUTE);
    assert!(desk.trouble().is_some(), "it was never sent");
    let panicked = Outcome::Deferred {
        reason: "the work on it panicked".to_owned(),
        lost: false,
        operator: None,
    };
    desk.done(3, panicked, now, |_| MINUTE);
    assert!(desk.trouble().is_some());
    assert!(matches!(begun(&mut desk, now)[..], [(2, Work::Bury { .. })]));
    desk.done(2, Outcome::Settled, now, |_| MINUTE);
    let later = now + MINUTE;
    assert_eq!(begun(&mut desk, later).len(), 1);
    desk.done(0, Outcome::Refused("550 no".to_owned()), later, |_| MINUTE);
    assert!(desk.trouble().is_none(), "whoever refuses is there");
}

#[test]
fn when_no_letter_is_left_nobody_waits() {
    let now = Instant::now();
    let mut desk = desk(&[(0, "a")], now);
    begun(&mut desk, now);
    desk.done(0, waits(false), now, |_| MINUTE);
    assert_eq!(begun(&mut desk, now + AWAY.1), deliveries(&[0]));
    assert!(desk.done(0, Outcome::Moot, now, |_| MINUTE).is_some());
    assert!(desk.trouble().is_none());
    desk.add(request(1, "b"), now);
    begun(&mut desk, now);
    desk.done(1, waits(false), now, |_| MINUTE);
    desk.forget(0);
    assert!(desk.trouble().is_none(), "somebody else has it");
}

#[test]
fn first_tries_and_later_ones_take_turns() {
    let mut now = Instant::now();
    let mut desk = Desk::new(PATIENCE, 1);
    for offset in 0..4 {
        desk.add(request(offset, &format!("old {offset}")), now);
    }
    for id in 0..4 {
        assert_eq!(begun(&mut desk, now), deliveries(&[id]));
        desk.done(id, deferred(), now, |_| MINUTE);
    }
    now += HOUR;
    for offset in 4..8 {
        desk.add(request(offset, &format!("new {offset}")), now);
    }
    let mut order = Vec::new();
    for _ in 0..8 {
        let (id, _) = begun(&mut desk, now).remove(0);
        order.push(id >= 4);
        let outcome = if id >= 4 { Outcome::Settled } else { deferred() };
        desk.done(id, outcome, now, |_| MINUTE);
    }
    assert_eq!(order.iter().filter(|is_new| **is_new).count(), 4, "{order:?}");
    assert!(order.windows(2).all(|pair| pair[0] != pair[1]), "{order:?}");
}

#[test]
fn one_connection_is_never_used_for_later_tries() {
    let now = Instant::now();
    let mut desk = desk(&[(0, "a"), (1, "b"), (2, "c"), (3, "d"), (4, "e")], now);
    for _ in 0..2 {
        for (id, _) in begun(&mut desk, now) {
            desk.done(id, deferred(), now, |_| MINUTE);
        }
    }
    assert_eq!(begun(&mut desk, now + HOUR).len(), 3, "all are due");
    desk.add(request(5, "f"), now);
    assert_eq!(begun(&mut desk, now + HOUR), deliveries(&[5]));
}

#[test]
fn letters_behind_one_that_is_set_aside_are_set_aside_with_it() {
    let now = Instant::now();
    let mut desk = desk(&[(0, "a"), (1, "a"), (2, "b"), (100, "c")], now);
    begun(&mut desk, now);
    desk.done(0, deferred(), now, |_| MINUTE);
    let load = |untried, aside| Load { untried, aside };
    assert_eq!(desk.loads(), BTreeMap::from([(0, load(1, 2)), (1, load(1, 0))]));
    for (load, is_full, is_crowded) in [
        (load(UNTRIED_MAX - 1, CROWDED - 1), false, false),
        (load(UNTRIED_MAX, 0), true, false),
        (load(0, CROWDED), false, true),
        (load(0, ASIDE_MAX), true, true),
    ] {
        assert_eq!((load.is_full(), load.is_crowded()), (is_full, is_crowded), "{load:?}");
    }
}

#[test]
fn who_takes_more_than_a_share_gives_up_first_however_seldom_tried() {
    let now = Instant::now();
    let mut desk = Desk::new(PATIENCE, 4);
    let others = 3;
    for offset in 0..(SHARE + 1 + others) as i64 {
        let request = Request {
            partition: 0,
            ..request(offset, &format!("client {offset}"))
        };
        desk.add(request, now);
    }
    loop {
        let begun = begun(&mut desk, now);
        if begun.is_empty() {
            break;
        }
        for (id, _) in begun {
            let operator = if id < others as u64 {
                "small.example"
            } else {
                "greedy.example"
            };
            desk.done(id, deferred_by(operator), now, |_| MINUTE);
        }
    }
    assert!(desk.make_room(0, now, |_| MINUTE));
    let (id, work) = begun(&mut desk, now).remove(0);
    let Work::Bury { reason, given_up: true } = work else {
        panic!("{work:?}")
    };
    assert!(id >= others as u64, "it is of the greedy one");
    assert!(
        reason.contains("after 1 tries") && reason.contains("too many mails to its domain"),
        "{reason}"
    );
    desk.done(id, Outcome::Settled, now, |_| MINUTE);
    assert!(!desk.make_room(0, now, |_| MINUTE), "it has its share");
}

/// A domain that takes no mail is written to again and again; everybody else's mail goes on.
#[test]
fn a_domain_that_refuses_for_now_holds_nobody_up_and_nothing_is_lost() {
    let now = Instant::now();
    let mut desk = Desk::new(PATIENCE, 4);
    let is_other = |offset: i64| offset % 10 == 9;
    let records = 3_000;
    let (mut delivered, mut buried) = (0, 0);
    let mut offset = 0;
    let mut steps_since_reading = 0;
    while offset < records {
        let load = desk.loads().get(&0).copied().unwrap_or_default();
        if load.is_full() {
            steps_since_reading += 1;
            assert!(steps_since_reading < 20, "it is not read on: {load:?}");
        } else {
            steps_since_reading = 0;
            let request = Request {
                partition: 0,
                ..request(offset, &format!("client {offset}"))
            };
            desk.add(request, now);
            offset += 1;
        }
        if load.is_crowded() {
            desk.make_room(0, now, |_| MINUTE);
        }
        while let Some((id, request, work)) = desk.next(now) {
            let is_burial = work != Work::Deliver;
            let outcome = match is_other(request.offset) || is_burial {
                true => Outcome::Settled,
                false => deferred_by("away.example"),
            };
            if desk.done(id, outcome, now, |_| MINUTE).is_some() {
                buried += usize::from(is_burial);
                delivered += usize::from(!is_burial);
            }
        }
        assert!(!desk.letters().any(|letter| is_other(letter.offset)), "somebody waits");
    }
    assert_eq!(delivered as i64, records / 10);
    let waiting = desk.letters().count();
    assert!(waiting <= ASIDE_MAX, "{waiting}");
    assert_eq!((delivered + buried + waiting) as i64, records, "each is somewhere");
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

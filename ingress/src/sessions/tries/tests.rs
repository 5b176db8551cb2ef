#![allow(clippy::unwrap_used)]

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

#[test]
fn of_what_is_no_wrong_password_there_is_a_first_and_a_sum_too() {
    let tries = tries();
    let ada = who("ada", "203.0.113.5");
    for (row, key) in [(7, Key::Often(ada.clone())), (8, Key::Unverified(ada.clone()))] {
        assert_eq!(tries.one_more(key.clone(), WINDOW).first, Some(key.clone()));
        tries.written(&key, Some(row));
        for _ in 0..3 {
            assert_eq!(tries.one_more(key.clone(), WINDOW).first, None);
        }
    }
    let mut sums = tries.unwritten();
    sums.sort_by_key(|sum| sum.attempt_id);
    let sum = |attempt_id| Unwritten { attempt_id, refused: 3 };
    assert_eq!(sums, [sum(7), sum(8)]);
    assert_eq!(tries.refused(&ada), None, "the right password still counts");
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

//! What one connection may ask for.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use brokerx_identity::Revocations;
use brokerx_identity::keys::SecretKey;
use brokerx_identity::tokens::{Tokens, Verifier};
use brokerx_market::Keeper;
use brokerx_schemas::{BookSnapshot, InstrumentStatus, MarketData, Symbol};
use brokerx_topics::service::{Places, Shutdown, metrics};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::mpsc::Receiver;

use super::*;
use crate::acks::Acks;
use crate::connection::Limits;
use crate::market::Market;
use crate::private::{Accounts, History};
use crate::telemetry::{AckMetrics, FeedMetrics};

const SECOND: Duration = Duration::from_secs(1);

/// A connection to a feed with one book, and what is pushed to it.
fn connect() -> (Session, Receiver<Push>) {
    let market = Market::new(Duration::from_secs(3));
    market.restart(1);
    let book = BookSnapshot {
        symbol: Symbol::new("AAPL").unwrap(),
        sequence: 1,
        bids: Vec::new(),
        asks: Vec::new(),
        complete: true,
        last_price_cents: None,
        reference_price_cents: 10_000,
        status: InstrumentStatus::Open,
        occurred_us: 1,
    };
    market.take(0, &MarketData::BookSnapshot(book));
    let database = PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
    let key: SecretKey = "ab".repeat(32).parse().unwrap();
    let feed = Feed {
        accounts: Arc::new(Accounts::default()),
        history: Arc::new(History::new(database, 1)),
        market: Arc::new(market),
        tokens: Verifier::new(&Tokens::new(&key).public_key()),
        revocations: Revocations::default(),
        acks: Arc::new(Acks::new(AckMetrics::default())),
        metrics: FeedMetrics::new(&mut metrics()),
        token_in_query: false,
        limits: Limits {
            subscriptions_max: 10,
            queue_messages_max: 1_000,
            message_bytes_max: 1_000,
            messages_per_second: 1,
            messages_burst: 10,
            ping: Duration::from_secs(1),
            idle: Duration::from_secs(1),
        },
        account_places: Places::new(1),
        next_id: AtomicU64::new(1),
        shutdown: Shutdown::default(),
    };
    let (outbox, queue, _) = Outbox::new(1, 1_000);
    (Session::new(Arc::new(feed), outbox), queue)
}

/// Sends a message; returns the answers, and how the connection ended, if it did.
async fn ask(session: &mut Session, message: &Value) -> (Vec<Value>, Option<Ending>) {
    let mut out = Vec::new();
    let ending = session.request(&message.to_string(), &mut out).await.err();
    let answers = out.iter().map(|answer| serde_json::from_str(&answer.text).unwrap());
    (answers.collect(), ending)
}

#[tokio::test]
async fn a_flood_of_messages_is_refused_and_then_ended() {
    let (mut session, _queue) = connect();
    let mut refusals = 0;
    let ending = loop {
        let (answers, ending) = ask(&mut session, &json!({"type": "ping"})).await;
        assert_eq!(answers.len(), 1);
        match answers[0]["code"].as_str() {
            None => assert_eq!((refusals, &answers[0]["type"]), (0, &json!("pong"))),
            Some(code) => {
                assert_eq!(code, "too_many_messages");
                refusals += 1;
            }
        }
        assert!(refusals < 100, "the flood goes on");
        if let Some(ending) = ending {
            break ending;
        }
    };
    assert_eq!(ending.close_code, POLICY);
    assert!(refusals > 10, "a client has time to slow down");
}

#[tokio::test]
async fn a_whole_book_comes_once_a_second() {
    let (mut session, mut queue) = connect();
    ask(&mut session, &json!({"type": "subscribe", "channels": ["book:AAPL"]})).await;
    assert!(matches!(queue.try_recv(), Ok(Push::Market(_))));
    let snapshot = json!({"type": "snapshot", "channel": "book:AAPL"});
    assert_eq!(ask(&mut session, &snapshot).await.0, Vec::<Value>::new());
    let Ok(Push::Market(first)) = queue.try_recv() else {
        panic!("no book came");
    };
    let (answers, ending) = ask(&mut session, &snapshot).await;
    assert_eq!(answers[0]["code"], "too_many_snapshots");
    assert!(queue.try_recv().is_err() && ending.is_none());
    // A second later another one is sent: the text that was made before.
    session.wholes.wait(SECOND);
    ask(&mut session, &snapshot).await;
    let Ok(Push::Market(again)) = queue.try_recv() else {
        panic!("no book came");
    };
    assert_eq!(first.text.as_ptr(), again.text.as_ptr());
}

#[tokio::test]
async fn whoever_subscribes_again_and_again_gets_a_whole_book_a_second() {
    let (mut session, mut queue) = connect();
    // It is the books that are counted here.
    session.pace = Pace::new(1_000, 1_000);
    let subscribe = json!({"type": "subscribe", "channels": ["book:AAPL"]});
    let unsubscribe = json!({"type": "unsubscribe", "channels": ["book:AAPL"]});
    let refused = |answers: &[Value]| answers.iter().any(|answer| answer["code"] == "too_many_snapshots");
    let mut books = |least: usize, most: usize| {
        let count = std::iter::from_fn(|| queue.try_recv().ok()).count();
        assert!((least..=most).contains(&count), "{count} books");
    };
    // The first, one more because it was asked for, and no further one within the second.
    for number in 0..20 {
        let (answers, ending) = ask(&mut session, &subscribe).await;
        assert_eq!(answers[0]["channels"], json!(["book:AAPL"]), "it stays subscribed");
        assert_eq!(refused(&answers), number > 1, "{answers:?}");
        assert!(ending.is_none());
    }
    books(2, 2);
    // `snapshot` counts with it.
    let snapshot = json!({"type": "snapshot", "channel": "book:AAPL"});
    assert!(refused(&ask(&mut session, &snapshot).await.0));
    // Others are subscribed all the same.
    let more = json!({"type": "subscribe", "channels": ["book:AAPL", "quote:AAPL"]});
    let (answers, _) = ask(&mut session, &more).await;
    assert!(
        refused(&answers) && answers[1]["detail"].as_str().unwrap().ends_with(": book:AAPL"),
        "{answers:?}"
    );
    assert_eq!(answers[0]["channels"].as_array().unwrap().len(), 2);
    session.wholes.wait(SECOND);
    assert!(!refused(&ask(&mut session, &subscribe).await.0));
    books(1, 2);
    // Who leaves and returns gets a few at once, then one a second as well.
    session.wholes.wait(60 * SECOND);
    let mut begun = 0;
    for _ in 0..20 {
        ask(&mut session, &unsubscribe).await;
        begun += usize::from(!refused(&ask(&mut session, &subscribe).await.0));
    }
    assert_eq!(begun, 3);
    books(3, 3);
    assert!(
        !session
            .channels
            .iter()
            .any(|channel| channel.to_string() == "book:AAPL")
    );
    session.wholes.wait(SECOND);
    assert!(!refused(&ask(&mut session, &subscribe).await.0));
    books(1, 1);
}

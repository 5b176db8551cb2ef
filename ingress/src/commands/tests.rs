//! The producer here never reaches a broker: what is sent waits in its queue, and outcomes are put in by hand.

#![allow(clippy::unwrap_used)]

use brokerx_schemas::{CancelAllOrders, PlaceOrder, Reply, ReplyKind};
use brokerx_topics::service;
use rdkafka::ClientConfig;

use super::*;

const ACCOUNT: AccountId = AccountId(7);
/// Far longer than a test.
const LONG: Duration = Duration::from_secs(600);

fn commands(per_day: u32, waiting_max: usize) -> Arc<Commands> {
    Arc::new(with_queue("100000", per_day, waiting_max))
}

/// With room for so many records that wait to be sent.
fn with_queue(records: &str, per_day: u32, waiting_max: usize) -> Commands {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", "127.0.0.1:1")
        .set("log_level", "0")
        .set("queue.buffering.max.messages", records);
    let mut commands = Commands::new(
        DeliveringProducer::new(&config).unwrap(),
        Codec::detached(),
        ReplyTo {
            instance: "test".to_owned(),
            partition: 0,
        },
        CommandLimits {
            reply: LONG,
            deadline: LONG,
            per_day,
        },
        Pending::new(waiting_max),
        Arc::new(Told::new(LONG)),
        Arc::new(AtomicBool::new(true)),
        CommandMetrics::new(&mut service::metrics()),
    );
    // A command is in the producer's hands at the first look at its request.
    commands.gate = Gate::of(Duration::ZERO);
    commands
}

fn place(id: &str) -> impl FnOnce(CommandMeta) -> AccountCommand + use<> {
    let client_order_id = id.to_owned();
    move |meta| {
        AccountCommand::PlaceOrder(PlaceOrder {
            meta,
            account_id: ACCOUNT,
            client_order_id,
            symbol: Symbol::new("AAPL").unwrap(),
            side: brokerx_schemas::Side::Buy,
            order_type: brokerx_schemas::OrderType::Limit,
            quantity: 1,
            price_cents: Some(100),
            stop_price_cents: None,
            collar_price_cents: None,
            time_in_force: brokerx_schemas::TimeInForce::Day,
            post_only: false,
            display_quantity: None,
            self_trade_prevention: brokerx_schemas::SelfTradePrevention::CancelIncoming,
            ack_mode: brokerx_schemas::AckMode::Worked,
        })
    }
}

fn cancel_all(meta: CommandMeta) -> AccountCommand {
    AccountCommand::CancelAllOrders(CancelAllOrders {
        meta,
        account_id: ACCOUNT,
        symbol: None,
        idempotency_key: None,
    })
}

/// Polls a request once, as far as it comes without an outcome.
fn begin<T>(request: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> Option<T> {
    futures_util::FutureExt::now_or_never(request)
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_an_order_that_is_known_to_be_undecided() {
    let commands = commands(10, 10);
    let trace = Trace::default();
    let mut command_id = None;
    let placed = |meta: CommandMeta| {
        command_id = Some(meta.command_id);
        place("a")(meta)
    };
    let mut request = Box::pin(commands.order(ACCOUNT, "a", &trace, placed));
    assert!(begin(&mut request).is_none(), "it waits");
    assert_eq!((commands.waiting(), commands.metrics.late.get()), (1, 0));
    drop(request);
    assert_eq!((commands.waiting(), commands.metrics.late.get()), (0, 1));
    let told = commands.told();
    assert!(matches!(told.decision(ACCOUNT, "a"), Some(Decision::AwaitedSince(_))));
    // Its outcome comes, and is no stranger's.
    let reply = Reply {
        account_seq: Some(5),
        ..Reply::new(command_id.unwrap(), ReplyKind::Order)
    };
    let unclaimed = commands.pending.resolve(reply).unwrap_err();
    told.came_late(&unclaimed);
    assert_eq!((told.decision(ACCOUNT, "a"), told.last(ACCOUNT)), (None, Some(5)));
}

#[tokio::test]
async fn an_outcome_that_comes_while_the_client_hangs_up_is_told() {
    let commands = commands(10, 10);
    let trace = Trace::default();
    let mut order = Box::pin(commands.order(ACCOUNT, "a", &trace, place("a")));
    assert!(begin(&mut order).is_none());
    resolve(&commands, 1);
    drop(order);
    let mut cancel = Box::pin(commands.cancel(ACCOUNT, &trace, cancel_all));
    assert!(begin(&mut cancel).is_none());
    resolve(&commands, 2);
    drop(cancel);
    assert_eq!((commands.waiting(), commands.metrics.late.get()), (0, 0));
    assert_eq!(commands.told().decision(ACCOUNT, "a"), None);
    assert_eq!(commands.told().last(ACCOUNT), Some(2));
}

/// The outcome of the one command that waits.
fn resolve(commands: &Commands, account_seq: i64) {
    let command_id = commands.pending.first().unwrap();
    let reply = Reply {
        account_seq: Some(account_seq),
        ..Reply::new(command_id, ReplyKind::Order)
    };
    commands.pending.resolve(reply).unwrap();
}

#[tokio::test]
async fn an_order_that_was_surely_not_sent_is_not_undecided() {
    let trace = Trace::default();
    let commands = with_queue("1", 10, 10);
    let mut first = Box::pin(commands.order(ACCOUNT, "a", &trace, place("a")));
    assert!(begin(&mut first).is_none(), "it fills the queue");
    let mut second = Box::pin(commands.order(ACCOUNT, "b", &trace, place("b")));
    assert_eq!(begin(&mut second).unwrap().unwrap_err().code(), "OVERLOADED");
    commands.replies_flow.store(false, Ordering::Release);
    let mut third = Box::pin(commands.order(ACCOUNT, "c", &trace, place("c")));
    assert_eq!(begin(&mut third).unwrap().unwrap_err().code(), "NOT_READY");
    drop((first, second, third));
    let told = commands.told();
    assert!(matches!(told.decision(ACCOUNT, "a"), Some(Decision::AwaitedSince(_))));
    assert_eq!((told.decision(ACCOUNT, "b"), told.decision(ACCOUNT, "c")), (None, None));
    assert_eq!(commands.waiting(), 0);
}

#[tokio::test]
async fn an_operators_outcome_is_looked_out_for_when_it_is_late() {
    let mut commands = with_queue("100000", 10, 10);
    commands.end_limit = Duration::ZERO;
    let trace = Trace::default();
    let mut command_id = None;
    let killed = |meta: CommandMeta| {
        command_id = Some(meta.command_id);
        cancel_all(meta)
    };
    let end = commands.account_to_its_end(ACCOUNT, &trace, killed).await.unwrap();
    let End::Late(Some(later)) = end else { panic!("{end:?}") };
    assert_eq!((commands.waiting(), commands.metrics.late.get()), (0, 1));
    let reply = Reply::new(command_id.unwrap(), ReplyKind::Account);
    let expected = reply.command_id;
    commands.pending.resolve(reply).unwrap();
    assert_eq!(later.reply().await.unwrap().command_id, expected);
}

#[tokio::test]
async fn many_that_hang_up_leave_nothing_behind() {
    let commands = commands(1_000, 10);
    let trace = Trace::default();
    for round in 0..20 {
        let mut requests: Vec<_> = (0..10)
            .map(|number| {
                let id = format!("{round}-{number}");
                let (commands, trace) = (&commands, &trace);
                Box::pin(async move { commands.order(ACCOUNT, &id, trace, place(&id)).await })
            })
            .collect();
        for request in &mut requests {
            assert!(begin(request).is_none());
        }
        assert_eq!(commands.waiting(), 10);
        // The table is full, so this one is refused, and has no place to give back.
        let mut refused = Box::pin(commands.cancel(ACCOUNT, &trace, cancel_all));
        let problem = begin(&mut refused).unwrap().unwrap_err();
        assert_eq!(problem.code(), "OVERLOADED");
        // An operator's has one however many clients wait.
        let mut operators = Box::pin(commands.account_to_its_end(ACCOUNT, &trace, cancel_all));
        assert!(begin(&mut operators).is_none());
        drop(operators);
        drop(requests);
        assert_eq!(commands.waiting(), 0);
    }
    assert_eq!(commands.metrics.late.get(), 220);
}

#[tokio::test]
async fn whoever_has_had_the_commands_of_the_day_can_still_cancel() {
    let commands = commands(1, 100);
    let trace = Trace::default();
    let mut order = Box::pin(commands.order(ACCOUNT, "a", &trace, place("a")));
    assert!(begin(&mut order).is_none(), "the one of the day");
    let mut further = Box::pin(commands.order(ACCOUNT, "b", &trace, place("b")));
    let problem = begin(&mut further).unwrap().unwrap_err();
    assert_eq!((problem.code(), problem.status().as_u16()), ("DAILY_QUOTA", 429));
    let mut operators = Box::pin(commands.account_to_its_end(ACCOUNT, &trace, cancel_all));
    assert!(begin(&mut operators).is_none(), "an operator's does not count");
    let mut cancels = Vec::new();
    for _ in 0..3 {
        let mut cancel = Box::pin(commands.cancel(ACCOUNT, &trace, cancel_all));
        assert!(begin(&mut cancel).is_none(), "it is sent");
        cancels.push(cancel);
    }
    let mut flood = Box::pin(commands.cancel(ACCOUNT, &trace, cancel_all));
    let problem = begin(&mut flood).unwrap().unwrap_err();
    assert_eq!(
        (problem.code(), problem.retry_after_seconds()),
        ("DAILY_QUOTA", Some(1))
    );
}

#[tokio::test]
async fn what_was_not_sent_does_not_count_for_the_day() {
    let commands = commands(1, 100);
    let trace = Trace::default();
    commands.replies_flow.store(false, Ordering::Release);
    for _ in 0..5 {
        let mut order = Box::pin(commands.order(ACCOUNT, "a", &trace, place("a")));
        let problem = begin(&mut order).unwrap().unwrap_err();
        assert_eq!((problem.code(), problem.status().as_u16()), ("NOT_READY", 503));
    }
    commands.replies_flow.store(true, Ordering::Release);
    let mut order = Box::pin(commands.order(ACCOUNT, "a", &trace, place("a")));
    assert!(begin(&mut order).is_none(), "it is the first of the day");
}

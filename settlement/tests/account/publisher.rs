//! What other teams see of an account's events.

use brokerx_schemas::*;
use brokerx_settlement::publisher::Publisher;
use brokerx_topics::machine::{Context, LOGIC_VERSION, Machine, Outputs, Setup, Step};
use brokerx_topics::partition::account_key;

use crate::bench::*;

/// The topics of what the publisher makes of each event of the last record.
fn published(bench: &Bench) -> Vec<&'static str> {
    let mut publisher = Publisher::new(&Setup {
        log_id: String::new(),
        partition: 5,
        generation: 0,
        logic_version: LOGIC_VERSION,
        config_version: 1,
        config: Config::default(),
        topics: Vec::new(),
    });
    let context = Context {
        partition: 5,
        offset: 0,
        appended_ms: 0,
        now_ms: 0,
    };
    let mut outputs = Outputs::default();
    for event in &bench.events {
        assert_eq!(publisher.apply(&context, event.clone(), &mut outputs), Step::Done);
    }
    let outputs = outputs.drain().inspect(|output| {
        assert_eq!((output.partition, &output.key), (5, &account_key(ALICE)));
    });
    outputs.map(|output| output.message.topic()).collect()
}

#[test]
fn each_event_is_published_once_per_topic() {
    let mut bench = Bench::new();
    assert!(published(&bench).is_empty(), "a status is nobody's business");
    let request = bench.payment(1_000_00);
    bench.apply(AccountCommand::Deposit(request));
    assert_eq!(published(&bench), ["deposits"]);
    let payment_id = bench.event().payment.as_ref().unwrap().payment_id;
    bench.result(payment_id, PaymentStatus::Settled);
    assert_eq!(published(&bench), ["deposits", "ledger"]);
    bench.result(payment_id, PaymentStatus::Failed);
    assert!(published(&bench).is_empty(), "a contradicting result changed nothing");
    let order = bench.limit(Side::Buy, 10, 10_00);
    let order = bench.place(order);
    assert_eq!(published(&bench), ["orders"]);
    bench.fill(&order, 10, 10_00, 0);
    assert_eq!(published(&bench), ["orders", "ledger"]);
    bench.done(&order, order.command_id, BookStatus::Filled, None, 0);
    assert_eq!(published(&bench), ["orders"]);
    let cancel = bench.cancel(order.order_id);
    bench.apply(AccountCommand::CancelOrder(cancel));
    assert_eq!(bench.reply().order.as_ref().unwrap().order_id, order.order_id);
    assert!(published(&bench).is_empty(), "a refused command changed nothing");
    bench.transfer(1, TransferDirection::In, 0);
    assert_eq!(published(&bench), ["ledger"]);
}

//! Orders: reservation, fills, answers, and every reason in the order of the checks.

use brokerx_schemas::*;
use brokerx_topics::machine::LOGIC_VERSION;
use brokerx_topics::partition::{account_key, partition_of, symbol_key};

use crate::bench::*;

#[test]
fn an_order_is_reserved_for_forwarded_filled_and_answered() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let order = bench.limit(Side::Buy, 10, 185_50);
    let command_id = order.meta.command_id;
    let order = bench.place(order);

    let accepted = bench.event().clone();
    let view = accepted.order.as_ref().unwrap();
    assert_eq!(accepted.kind, AccountEventKind::OrderAccepted);
    assert_eq!(accepted.command_id, Some(command_id));
    assert_eq!(
        (view.status, view.version, view.event_seq),
        (OrderStatus::Accepted, 1, 1)
    );
    // 10 x 185.50 and 5 basis points of it, half-up.
    assert_eq!(view.reserved_cents, 1_855_00 + 93);
    assert_eq!(accepted.cash.unwrap().reserved_cents, 1_855_93);
    assert!(bench.replies.is_empty(), "the book has not answered");
    let destinations: Vec<_> = bench
        .emissions
        .iter()
        .map(|emission| emission.output.partition)
        .collect();
    let expected = [
        partition_of(&account_key(ALICE), 8),
        partition_of(&symbol_key(aapl()), 8),
    ];
    assert_eq!(destinations, expected);

    bench.fill(&order, 4, 185_00, 6);
    let executed = bench.event().clone();
    assert_eq!(executed.kind, AccountEventKind::OrderExecuted);
    assert_eq!(executed.order.as_ref().unwrap().status, OrderStatus::PartiallyFilled);
    // 5 basis points of 740.00 are 0.37.
    assert_eq!(executed.execution.unwrap().fee_cents, 37);
    assert_eq!(executed.cash.unwrap().balance_cents, 10_000_00 - 740_00 - 37);
    assert_eq!(executed.positions[0].cost_cents, 740_00);
    for (account, asset, amount) in [
        (LedgerAccount::Client, "USD", -740_37),
        (LedgerAccount::Fees, "USD", 37),
        (LedgerAccount::Clearing, "USD", 740_00),
        (LedgerAccount::Client, "AAPL", 4),
        (LedgerAccount::Clearing, "AAPL", -4),
    ] {
        assert_eq!(posted(&executed, account, asset), amount, "{account:?} {asset}");
    }

    bench.done(&order, command_id, BookStatus::Working, None, 6);
    assert_eq!(bench.event().kind, AccountEventKind::OrderWorking);
    let reply = bench.reply();
    assert_eq!((reply.kind, reply.command_id), (ReplyKind::Order, command_id));
    assert_eq!(reply.executions.len(), 1);
    assert_eq!(reply.account_seq, Some(bench.event().account_seq));
    assert_eq!(reply.order.as_ref().unwrap().status, OrderStatus::PartiallyFilled);

    bench.fill(&order, 6, 185_50, 0);
    assert_eq!(
        bench.kinds(),
        [AccountEventKind::OrderExecuted, AccountEventKind::OrderFilled]
    );
    let filled = bench.events[1].order.clone().unwrap();
    assert_eq!(
        (filled.status, filled.reserved_cents, filled.filled_notional_cents),
        (OrderStatus::Filled, 0, 1_853_00)
    );
    let account = bench.account(ALICE);
    assert_eq!(account.cash.reserved_cents, 0, "what was left is released to the cent");
    // 5 basis points of 1,853.00 are 0.9265: the fee of the whole order is rounded once.
    assert_eq!(account.cash.balance_cents, 10_000_00 - 1_853_00 - 93);
    assert_eq!(filled.fees_cents, 93);
}

#[test]
fn a_full_fill_before_the_answer_is_answered_by_the_book() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let order = bench.limit(Side::Buy, 10, 100_00);
    let order = bench.place(order);
    bench.fill(&order, 10, 100_00, 0);
    assert_eq!(bench.event().order.as_ref().unwrap().status, OrderStatus::Filled);
    assert!(bench.replies.is_empty());
    bench.done(&order, order.command_id, BookStatus::Filled, None, 0);
    assert_eq!(bench.event().kind, AccountEventKind::OrderFilled);
    assert_eq!(bench.reply().order.as_ref().unwrap().status, OrderStatus::Filled);
}

#[test]
fn a_client_that_asks_for_it_is_answered_when_the_reservation_stands() {
    let mut bench = Bench::new();
    bench.fund(1_000_00);
    let order = PlaceOrder {
        ack_mode: AckMode::Accepted,
        ..bench.limit(Side::Buy, 1, 100_00)
    };
    let order = bench.place(order);
    assert_eq!(bench.reply().order.as_ref().unwrap().status, OrderStatus::Accepted);
    bench.done(&order, order.command_id, BookStatus::Working, None, 1);
    assert!(bench.replies.is_empty());
}

#[test]
fn a_sell_reserves_shares_and_removes_their_cost() {
    let mut bench = Bench::new();
    bench.transfer(3, TransferDirection::In, 100_00);
    let order = bench.working(Side::Sell, 2, 150_00);
    assert_eq!(bench.account(ALICE).positions[0].reserved_quantity, 2);
    bench.fill(&order, 1, 151_00, 1);
    let event = bench.event().clone();
    assert_eq!(
        event.positions[0],
        PositionView {
            symbol: aapl(),
            quantity: 2,
            reserved_quantity: 1,
            cost_cents: 200_00,
        }
    );
    assert_eq!(event.cash.unwrap().balance_cents, 151_00 - 8);
    assert_eq!(posted(&event, LedgerAccount::Clearing, "USD"), -151_00);
    assert_eq!(posted(&event, LedgerAccount::Clearing, "AAPL"), 1);
    // No short selling: one is held free, one is reserved.
    let order = bench.limit(Side::Sell, 2, 150_00);
    bench.apply(AccountCommand::PlaceOrder(order));
    assert_eq!(bench.refused(), Reason::InsufficientShares);
}

/// What an order would reserve for a buy: its notional at the worst price, and the fee.
#[test]
fn each_order_type_reserves_at_its_worst_price() {
    let stop = |stop, collar_bps: i64| stop * (10_000 + collar_bps) / 10_000;
    for (order_type, price, stop_price, collar, worst) in [
        (OrderType::Limit, Some(100_00), None, None, 100_00),
        (OrderType::Market, None, None, Some(105_00), 105_00),
        // 5 % of 99.99 is 4.9995: rounded inwards.
        (OrderType::Stop, None, Some(99_99), None, stop(99_99, 500)),
        (OrderType::StopLimit, Some(101_00), Some(99_99), None, 101_00),
    ] {
        let mut bench = Bench::new();
        bench.fund(10_000_00);
        let order = PlaceOrder {
            order_type,
            price_cents: price,
            stop_price_cents: stop_price,
            collar_price_cents: collar,
            ..bench.limit(Side::Buy, 10, 0)
        };
        let new_order = bench.place(order);
        let notional = 10 * worst;
        assert_eq!(
            bench.account(ALICE).cash.reserved_cents,
            notional + (notional * 5 + 5_000) / 10_000,
            "{order_type:?}"
        );
        let collar = matches!(order_type, OrderType::Market | OrderType::Stop).then_some(worst);
        assert_eq!(new_order.collar_price_cents, collar);
    }
}

#[test]
fn a_sell_stop_carries_its_collar_rounded_inwards() {
    let mut bench = Bench::new();
    bench.transfer(1, TransferDirection::In, 0);
    let order = PlaceOrder {
        order_type: OrderType::Stop,
        price_cents: None,
        stop_price_cents: Some(99_99),
        ..bench.limit(Side::Sell, 1, 0)
    };
    // 94.9905, up.
    assert_eq!(bench.place(order).collar_price_cents, Some(95_00));
}

/// Everything is wrong at once; each step mends what was refused and meets the next check.
#[test]
fn reasons_come_in_the_order_of_the_checks() {
    let mut bench = Bench::with(Config {
        order_quantity_max: 100,
        ..Config::default()
    });
    bench.status(ALICE, AccountState::Suspended, 2);
    let mut order = PlaceOrder {
        price_cents: None,
        post_only: true,
        time_in_force: TimeInForce::Ioc,
        ..bench.limit(Side::Buy, 0, 0)
    };
    order.meta.deadline_us = bench.now_ms * 1_000 - 1;
    let mut number = 0;
    let mut check = |bench: &mut Bench, order: &PlaceOrder, expected: Reason| {
        number += 1;
        let order = PlaceOrder {
            client_order_id: format!("try {number}"),
            ..order.clone()
        };
        bench.apply(AccountCommand::PlaceOrder(order));
        assert_eq!(bench.refused(), expected);
        assert_eq!(bench.event().kind, AccountEventKind::OrderRejected);
        let view = bench.reply().order.clone().unwrap();
        assert_eq!((view.status, view.reason), (OrderStatus::Rejected, Some(expected)));
    };
    check(&mut bench, &order, Reason::ExpiredRequest);
    order.meta.deadline_us += 1_000_000;
    check(&mut bench, &order, Reason::InvalidQuantity);
    order.quantity = 101;
    check(&mut bench, &order, Reason::InvalidPrice);
    order.price_cents = Some(99);
    check(&mut bench, &order, Reason::InvalidPrice);
    order.price_cents = Some(10_000_01);
    check(&mut bench, &order, Reason::InvalidPrice);
    order.price_cents = Some(10_000_00);
    check(&mut bench, &order, Reason::InvalidOrder);
    order.time_in_force = TimeInForce::Day;
    check(&mut bench, &order, Reason::AccountNotActive);
    bench.status(ALICE, AccountState::Active, 3);
    check(&mut bench, &order, Reason::OrderLimit);
    order.quantity = 100;
    check(&mut bench, &order, Reason::InsufficientFunds);
    order.side = Side::Sell;
    check(&mut bench, &order, Reason::InsufficientShares);
    bench.transfer(100, TransferDirection::In, 1);
    bench.place(order);
}

#[test]
fn combinations_that_make_no_sense_are_refused() {
    type Spoil = fn(&mut PlaceOrder);
    let change: [(&str, Spoil); 8] = [
        ("market with a limit", |order| order.order_type = OrderType::Market),
        ("limit with a stop price", |order| order.stop_price_cents = Some(100_00)),
        ("post-only that cannot rest", |order| {
            order.post_only = true;
            order.time_in_force = TimeInForce::Fok;
        }),
        ("iceberg that cannot rest", |order| {
            order.display_quantity = Some(1);
            order.time_in_force = TimeInForce::Ioc;
        }),
        ("iceberg that shows nothing", |order| order.display_quantity = Some(0)),
        ("iceberg that shows more", |order| order.display_quantity = Some(11)),
        ("stop with a limit", |order| {
            order.order_type = OrderType::Stop;
            order.stop_price_cents = Some(100_00);
        }),
        ("post-only stop", |order| {
            order.order_type = OrderType::StopLimit;
            order.stop_price_cents = Some(100_00);
            order.post_only = true;
        }),
    ];
    for (name, change) in change {
        let mut bench = Bench::new();
        bench.fund(10_000_00);
        let mut order = bench.limit(Side::Buy, 10, 100_00);
        order.collar_price_cents = Some(105_00);
        change(&mut order);
        bench.apply(AccountCommand::PlaceOrder(order));
        assert_eq!(bench.refused(), Reason::InvalidOrder, "{name}");
    }
}

#[test]
fn an_iceberg_shows_a_tenth_of_its_shares_at_least() {
    for (percent, shown, refused) in [
        (10, 1, Some(Reason::DisplayTooSmall)),
        (10, 2, None),
        (0, 1, None),
        (50, 9, Some(Reason::DisplayTooSmall)),
    ] {
        let mut bench = Bench::with(Config {
            display_percent_min: percent,
            ..Config::default()
        });
        bench.fund(10_000_00);
        let mut order = bench.limit(Side::Buy, 19, 100_00);
        order.display_quantity = Some(shown);
        bench.apply(AccountCommand::PlaceOrder(order));
        match refused {
            Some(reason) => assert_eq!(bench.refused(), reason, "{shown} at {percent} %"),
            None => assert_eq!(bench.forwarded.len(), 1, "{shown} at {percent} %"),
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_and_not_remembered() {
    let change: [fn(&mut PlaceOrder); 5] = [
        |order| order.client_order_id = String::new(),
        |order| order.client_order_id = "x".repeat(65),
        |order| order.client_order_id = "tab\t".to_owned(),
        |order| order.side = Side::Unknown,
        |order| order.time_in_force = TimeInForce::Unknown,
    ];
    for change in change {
        let mut bench = Bench::new();
        let mut order = bench.limit(Side::Buy, 10, 100_00);
        change(&mut order);
        bench.apply(AccountCommand::PlaceOrder(order));
        assert_eq!(bench.refused(), Reason::InvalidOrder);
        assert!(bench.events.is_empty(), "it changed nothing");
        assert!(bench.account(ALICE).orders.is_empty());
    }
}

#[test]
fn open_orders_are_counted() {
    let mut bench = Bench::with(Config {
        open_orders_max: 2,
        ..Config::default()
    });
    bench.fund(10_000_00);
    let first = bench.working(Side::Buy, 1, 10_00);
    bench.working(Side::Buy, 1, 10_00);
    let third = bench.limit(Side::Buy, 1, 10_00);
    bench.apply(AccountCommand::PlaceOrder(third));
    assert_eq!(bench.refused(), Reason::OrderLimit);
    bench.fill(&first, 1, 10_00, 0);
    bench.working(Side::Buy, 1, 10_00);
}

#[test]
fn an_order_keeps_the_fees_that_it_was_accepted_under() {
    let mut bench = Bench::new();
    bench.fund(10_000_00);
    let order = bench.working(Side::Buy, 2, 100_00);
    bench.apply(AccountCommand::Config(ConfigChange {
        version: 2,
        logic_version: LOGIC_VERSION,
        config: Config {
            taker_fee_bps: 100,
            maker_fee_bps: 100,
            ..Config::default()
        },
    }));
    bench.fill(&order, 2, 100_00, 0);
    assert_eq!(bench.events[0].execution.unwrap().fee_cents, 10);
}

#[test]
fn an_order_that_ends_by_itself_releases_everything() {
    for (cause, status, kind) in [
        (
            Reason::SessionEnded,
            OrderStatus::Expired,
            AccountEventKind::OrderExpired,
        ),
        (
            Reason::Delisted,
            OrderStatus::Cancelled,
            AccountEventKind::OrderCancelled,
        ),
        (
            Reason::SelfTrade,
            OrderStatus::Cancelled,
            AccountEventKind::OrderCancelled,
        ),
    ] {
        let mut bench = Bench::new();
        bench.fund(10_000_00);
        let order = bench.working(Side::Buy, 10, 100_00);
        bench.fill(&order, 4, 100_00, 6);
        bench.apply(AccountCommand::OrderEnded(OrderEnded {
            account_id: ALICE,
            order_id: order.order_id,
            symbol: aapl(),
            cause,
            leaves_quantity: 6,
        }));
        let event = bench.event();
        let view = event.order.as_ref().unwrap();
        assert_eq!((event.kind, view.status, view.reason), (kind, status, Some(cause)));
        assert_eq!(bench.account(ALICE).cash.reserved_cents, 0);
    }
}

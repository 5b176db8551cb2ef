//! What an account may still do while it is frozen.

use brokerx_schemas::*;
use brokerx_topics::machine::LOGIC_VERSION;

use crate::bench::*;

/// A freeze must not keep anybody from taking orders out of the market. The book has refused the cancel that came
/// with the freeze, so the order is open and nothing about it is in flight.
#[test]
fn cancel_all_and_kill_switch_work_on_a_frozen_account() {
    type Command = fn(&mut Bench) -> AccountCommand;
    fn switch(bench: &mut Bench, operator: Option<&str>) -> AccountCommand {
        AccountCommand::SetKillSwitch(SetKillSwitch {
            meta: bench.meta(),
            account_id: ALICE,
            engaged: true,
            operator: operator.map(str::to_owned),
            idempotency_key: Some("once".to_owned()),
        })
    }
    fn all(bench: &mut Bench, symbol: Option<Symbol>) -> AccountCommand {
        AccountCommand::CancelAllOrders(CancelAllOrders {
            meta: bench.meta(),
            account_id: ALICE,
            symbol,
            idempotency_key: Some("once".to_owned()),
        })
    }
    use AccountEventKind::{CancelAllRequested, KillSwitchChanged};
    let table: [(&str, AccountEventKind, Command); 4] = [
        ("cancel all", CancelAllRequested, |bench| all(bench, None)),
        ("cancel all of a symbol", CancelAllRequested, |bench| {
            all(bench, Some(aapl()))
        }),
        ("the client's switch", KillSwitchChanged, |bench| switch(bench, None)),
        ("an operator's switch", KillSwitchChanged, |bench| {
            switch(bench, Some("operator"))
        }),
    ];
    for version in 1..=LOGIC_VERSION {
        for (name, kind, command) in table {
            let name = format!("{name}, version {version}");
            let mut bench = Bench::of_version(version, Config::default());
            bench.fund(1_000_00);
            let order = bench.working(Side::Buy, 10, 10_00);
            // A trade that was never booked, so that what is left disagrees.
            bench.fill(&order, 1, 10_00, 4);
            assert!(bench.account(ALICE).frozen.is_some(), "{name}");
            if let [BookCommand::CancelBookOrder(swept)] = bench.forwarded[..] {
                bench.done(&order, swept.command_id, BookStatus::Rejected, Some(Reason::Frozen), 10);
            }
            let command = command(&mut bench);
            bench.apply(command);
            if version == 1 {
                // What was recorded under the first version stays as it was decided.
                assert_eq!(bench.refused(), Reason::Frozen, "{name}");
                assert!(bench.forwarded.is_empty(), "{name}");
                continue;
            }
            assert_eq!(
                (bench.refusal(), bench.reply().kind),
                (None, ReplyKind::Account),
                "{name}"
            );
            assert_eq!(bench.kinds(), [kind], "{name}");
            let [BookCommand::CancelBookOrder(cancel)] = bench.forwarded[..] else {
                panic!("{name}: {:?}", bench.forwarded)
            };
            assert_eq!(
                (cancel.order_id, cancel.deadline_us),
                (order.order_id, i64::MAX),
                "{name}"
            );
            let account = bench.account(ALICE);
            assert!(account.frozen.is_some(), "{name}: nobody thawed it");
            assert_eq!(account.status.kill_switch, kind == KillSwitchChanged, "{name}");
        }
    }
}

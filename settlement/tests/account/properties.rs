//! Random lives of a few accounts against the naive model.
//!
//! `BROKERX_SEEDS=n` runs more of them; a failure names its seed.

use std::collections::{BTreeMap, VecDeque};

use brokerx_schemas::*;
use brokerx_topics::machine::{Content, Emission, Fold, LOGIC_VERSION, Machine, Record};

use crate::bench::*;
use crate::book::NaiveBook;
use crate::oracle::Oracle;
use crate::random::Random;

const STEPS: usize = 1_500;

pub const ACCOUNTS: [AccountId; 3] = [ALICE, BOB, AccountId(303)];

/// Machine, books, oracle and projection of one random life.
pub struct World {
    pub bench: Bench,
    pub random: Random,
    pub config: Config,
    pub config_version: i32,
    pub book: NaiveBook,
    pub to_book: VecDeque<BookCommand>,
    pub oracle: Oracle,
    pub order_ids: Vec<OrderId>,
    pub payment_ids: Vec<(AccountId, PaymentId)>,
    /// Commands that a client may send again.
    pub sent: Vec<AccountCommand>,
    /// Every record, to be folded again.
    log: Vec<(i64, AccountCommand)>,
    emissions: Vec<Vec<Emission>>,
    /// Last `account_seq` of each account.
    seqs: BTreeMap<AccountId, i64>,
    /// Sums of the postings: of clients by account, of house accounts under account 0.
    ledger: BTreeMap<(AccountId, LedgerAccount, String), i64>,
    /// What a projector would hold.
    cash: BTreeMap<AccountId, CashView>,
    positions: BTreeMap<(AccountId, Symbol), PositionView>,
    pub orders: BTreeMap<OrderId, OrderView>,
    /// Ticks that the machine did not wait for.
    idle_ticks: i32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let config = Config {
            maker_fee_bps: random.below(10) as i32,
            taker_fee_bps: random.below(20) as i32,
            minimum_fee_cents: *random.pick(&[0, 0, 1, 99, 5_000]),
            open_orders_max: *random.pick(&[5, 20, 200]),
            ..Config::default()
        };
        // Every other life is one of a log that was begun before.
        let logic_version = if seed.is_multiple_of(2) { LOGIC_VERSION } else { 1 };
        let bench = Bench::of_version(logic_version, config.clone());
        let mut world = Self {
            log: vec![(
                START_MS,
                AccountCommand::Genesis(Genesis {
                    logic_version,
                    ..genesis(config.clone())
                }),
            )],
            emissions: vec![Vec::new()],
            bench,
            random,
            config,
            config_version: 1,
            book: NaiveBook::default(),
            to_book: VecDeque::new(),
            oracle: Oracle::default(),
            order_ids: Vec::new(),
            payment_ids: Vec::new(),
            sent: Vec::new(),
            seqs: BTreeMap::new(),
            ledger: BTreeMap::new(),
            cash: BTreeMap::new(),
            positions: BTreeMap::new(),
            orders: BTreeMap::new(),
            idle_ticks: 0,
        };
        // The bench has opened the first account already.
        world.log.push((
            START_MS,
            AccountCommand::AccountStatus(AccountStatus {
                account_id: ALICE,
                state: AccountState::Active,
                version: 1,
            }),
        ));
        world.absorb();
        for account_id in ACCOUNTS {
            world.feed(AccountCommand::AccountStatus(AccountStatus {
                account_id,
                state: AccountState::Active,
                version: 1,
            }));
        }
        world
    }

    /// Feeds one record and checks everything that must hold after it.
    pub fn feed(&mut self, input: AccountCommand) {
        self.oracle.heard(&input);
        self.log.push((self.bench.now_ms, input.clone()));
        let idle = self.is_idle_tick(&input).then(|| self.bench.fold.state_hash());
        self.bench.apply(input);
        if let Some(hash) = idle {
            assert_eq!(
                self.bench.fold.state_hash(),
                hash,
                "a tick that nobody waits for does nothing"
            );
            assert!(self.bench.emissions.is_empty());
            self.idle_ticks += 1;
        }
        self.absorb();
        for account_id in ACCOUNTS {
            self.check(account_id);
        }
    }

    /// Whether the runner would leave this tick out.
    fn is_idle_tick(&self, input: &AccountCommand) -> bool {
        let AccountCommand::Tick(tick) = input else {
            return false;
        };
        self.bench.machine().next_tick().is_none_or(|next| tick.second < next)
    }

    /// Takes in what the last record made, as the other workers would.
    fn absorb(&mut self) {
        self.emissions.push(self.bench.emissions.clone());
        for command in self.bench.forwarded.clone() {
            self.oracle.forwarded(&command, &self.config);
            self.to_book.push_back(command);
        }
        for event in self.bench.events.clone() {
            self.oracle.decided(&event);
            let seq = self.seqs.entry(event.account_id).or_default();
            *seq += 1;
            assert_eq!(event.account_seq, *seq, "the account's numbers are dense");
            self.post(&event);
            self.project(event);
        }
    }

    fn post(&mut self, event: &AccountEvent) {
        let mut sums = BTreeMap::new();
        for line in &event.postings {
            *sums.entry(line.asset.as_str()).or_insert(0) += line.amount;
            let owner = if line.ledger_account == LedgerAccount::Client {
                event.account_id
            } else {
                AccountId(0)
            };
            *self
                .ledger
                .entry((owner, line.ledger_account, line.asset.clone()))
                .or_default() += line.amount;
        }
        assert!(
            sums.values().all(|sum: &i64| *sum == 0),
            "postings sum to zero: {event:?}"
        );
    }

    fn project(&mut self, event: AccountEvent) {
        if let Some(cash) = event.cash {
            self.cash.insert(event.account_id, cash);
        }
        for position in event.positions {
            self.positions.insert((event.account_id, position.symbol), position);
        }
        if let Some(payment) = event.payment.filter(|payment| payment.status == PaymentStatus::Pending) {
            self.payment_ids.push((event.account_id, payment.payment_id));
        }
        if let Some(order) = event.order {
            if event.kind == AccountEventKind::OrderAccepted {
                self.order_ids.push(order.order_id);
            }
            if let Some(before) = self.orders.insert(order.order_id, order.clone()) {
                assert!(
                    !before.status.is_terminal() || before.status == order.status,
                    "a terminal state never changes"
                );
                assert!(order.event_seq >= before.event_seq && order.fees_cents >= before.fees_cents);
            }
        }
    }

    fn check(&self, account_id: AccountId) {
        let Some(account) = self.bench.machine().account(account_id) else {
            return;
        };
        assert_eq!(account.frozen, None);
        assert_eq!(account.cash, self.oracle.cash(account_id), "cash of {account_id}");
        assert_eq!(
            account.positions,
            self.oracle.positions(account_id),
            "positions of {account_id}"
        );
        assert!((0..=account.cash.balance_cents).contains(&account.cash.reserved_cents));
        let open = account.orders.iter().filter(|order| !order.status.is_terminal());
        assert!(open.clone().all(|order| order.filled_quantity < order.quantity));
        let reserved: i64 = account.orders.iter().map(|order| order.reserved_cents).sum();
        let withdrawals = account.payments.iter().filter(|payment| {
            payment.direction == PaymentDirection::Withdrawal && payment.status == PaymentStatus::Pending
        });
        let pending: i64 = withdrawals.map(|payment| payment.amount_cents).sum();
        assert_eq!(
            reserved + pending,
            account.cash.reserved_cents,
            "the orders add up to what is reserved"
        );
        // What the events said is what the machine holds.
        let projected = self.cash.get(&account_id).copied();
        assert_eq!(
            projected.unwrap_or(CashView {
                balance_cents: 0,
                reserved_cents: 0
            }),
            account.cash
        );
        for position in &account.positions {
            assert_eq!(self.positions.get(&(account_id, position.symbol)), Some(position));
        }
        for order in &account.orders {
            assert_eq!(self.orders.get(&order.order_id), Some(order));
        }
        let ledger = |asset: &str| {
            self.ledger
                .get(&(account_id, LedgerAccount::Client, asset.to_owned()))
                .copied()
        };
        assert_eq!(
            ledger("USD").unwrap_or(0),
            account.cash.balance_cents,
            "the ledger is the balance"
        );
        for position in &account.positions {
            assert_eq!(ledger(position.symbol.as_str()), Some(position.quantity));
        }
    }

    /// Everything in flight arrives.
    fn settle(&mut self) {
        while !self.to_book.is_empty() || !self.book.outbox.is_empty() {
            self.deliver(50);
        }
        let clearing = self
            .ledger
            .iter()
            .filter(|((_, account, _), _)| *account == LedgerAccount::Clearing);
        for ((.., asset), sum) in clearing {
            assert_eq!(
                *sum, 0,
                "clearing of {asset} sums to zero once both sides of every trade are booked"
            );
        }
        for asset in ["USD", "AAPL", "MSFT"] {
            let lines = self.ledger.iter().filter(|((.., line), _)| line == asset);
            assert_eq!(lines.map(|(_, sum)| sum).sum::<i64>(), 0, "{asset} is conserved");
        }
    }

    /// The same log again, from snapshots at random places: the same outputs and the same state.
    fn fold_again(&mut self) {
        let mut fold = Fold::new(0);
        assert_eq!(self.log.len(), self.emissions.len());
        let log = self.log.iter().zip(&self.emissions);
        for (offset, ((now_ms, input), expected)) in log.enumerate() {
            let mut emissions = Vec::new();
            let record = Record {
                offset: offset as i64,
                appended_ms: *now_ms,
                identity: None,
                digest: 0,
                input: Content::Decoded(input.clone()),
            };
            fold.apply(record, &mut emissions).unwrap();
            while !fold.is_between_records() {
                fold.resume(&mut emissions);
            }
            assert_eq!(&emissions, expected, "record {offset}");
            if self.random.one_in(50) {
                let slices = slices(fold.machine().unwrap());
                fold = Fold::restore(fold.snapshot_state(), 0, slices.iter().map(Vec::as_slice)).unwrap();
            }
        }
        assert_eq!(fold.state_hash(), self.bench.fold.state_hash());
        let again: Vec<_> = fold.machine().unwrap().accounts().collect();
        assert_eq!(again, self.bench.machine().accounts().collect::<Vec<_>>());
    }
}

#[test]
fn random_lives_agree_with_the_naive_model() {
    let seeds = std::env::var("BROKERX_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(24);
    let (mut executions, mut replaced, mut replayed, mut idle_ticks) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let life = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.act();
            }
            world.settle();
            world.fold_again();
            world
        });
        let world = life.unwrap_or_else(|_| panic!("seed {seed} failed, see above"));
        idle_ticks += world.idle_ticks;
        for message in world
            .emissions
            .iter()
            .flatten()
            .map(|emission| &emission.output.message)
        {
            match message {
                AnyMessage::AccountEvent(event) => {
                    executions += i32::from(event.kind == AccountEventKind::OrderExecuted);
                    replaced += i32::from(event.kind == AccountEventKind::OrderReplaced);
                }
                AnyMessage::Reply(reply) => replayed += i32::from(reply.replayed),
                _ => {}
            }
        }
    }
    // The random lives must have covered what they are for.
    let lives = i32::try_from(seeds).unwrap();
    assert!(
        executions > 50 * lives && replaced > 5 * lives && replayed > 5 * lives && idle_ticks > lives,
        "{executions} {replaced} {replayed} {idle_ticks}"
    );
}

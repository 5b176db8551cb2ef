//! Times the book alone on one core: `cargo run --release --example book_throughput`.
//!
//! A realistic mix over a deep book: about 60 % new orders, 35 % cancels and replaces, 5 % that take.
//! The commands are made before the clock starts.

use std::time::Instant;

use brokerx_matcher::book::{Book, Effects, Incoming, Progress, Replacement, Side, TimeInForce};

const COMMANDS: usize = 4_000_000;
const DEPTH: i64 = 100_000;

enum Command {
    Place(Incoming),
    Cancel { order_id: i64, account_id: i64 },
    Replace(Replacement),
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) % limit) as i64
    }
}

fn command(random: &mut Random, order_id: i64) -> Command {
    let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
    // Most orders come near the top; the book is 500 ticks deep on each side.
    let away = 1 + random.below(1 + random.0 % 500);
    let price = match side {
        Side::Buy => 10_000 - away,
        Side::Sell => 10_000 + away,
    };
    let older = (order_id - 1 - random.below(DEPTH as u64)).max(0);
    match random.below(100) {
        0..60 => Command::Place(Incoming::limit(
            order_id,
            order_id % 1_000,
            side,
            price,
            1 + random.below(100),
        )),
        60..85 => Command::Cancel {
            order_id: older,
            account_id: older % 1_000,
        },
        85..95 => Command::Replace(Replacement {
            order_id: older,
            account_id: older % 1_000,
            price,
            quantity: 1 + random.below(100),
            time_in_force: TimeInForce::Gtc,
        }),
        _ => Command::Place(Incoming {
            time_in_force: TimeInForce::Ioc,
            ..Incoming::limit(order_id, 1_000_000, side, 10_000, 1 + random.below(800))
        }),
    }
}

fn main() {
    let mut random = Random(88_172_645_463_325_252);
    let commands: Vec<Command> = (0..COMMANDS as i64)
        .map(|order_id| command(&mut random, order_id))
        .map(|command| match command {
            // A taker crosses the whole other side.
            Command::Place(incoming) if incoming.time_in_force == TimeInForce::Ioc => {
                let limit = if incoming.side == Side::Buy { 20_000 } else { 1 };
                Command::Place(Incoming { limit, ..incoming })
            }
            command => command,
        })
        .collect();
    let mut book = Book::default();
    let mut effects = Effects::default();
    let (mut trades, mut slow) = (0_usize, 0_usize);
    let mut latencies_ns: Vec<u32> = Vec::with_capacity(COMMANDS);
    let start = Instant::now();
    let mut last = start;
    for command in &commands {
        effects.clear();
        match command {
            Command::Place(incoming) => match book.place(*incoming, &mut effects, usize::MAX) {
                Progress::Done(_) => {}
                Progress::More(_) => slow += 1,
            },
            Command::Cancel { order_id, account_id } => {
                book.cancel(*order_id, *account_id, &mut effects);
            }
            Command::Replace(terms) => match book.replace(terms, &mut effects, usize::MAX) {
                Progress::Done(_) => {}
                Progress::More(_) => slow += 1,
            },
        }
        effects.settle();
        assert_eq!(book.check(effects.touched()), Ok(()));
        trades += effects.events.len();
        let now = Instant::now();
        latencies_ns.push(u32::try_from((now - last).as_nanos()).unwrap_or(u32::MAX));
        last = now;
    }
    let elapsed = start.elapsed();
    latencies_ns.sort_unstable();
    let percentile = |permille: usize| latencies_ns[(latencies_ns.len() - 1) * permille / 1_000];
    println!(
        "{COMMANDS} commands in {elapsed:?}: {:.2} million/s, {trades} trades, {} orders rest, {slow} unfinished",
        COMMANDS as f64 / elapsed.as_secs_f64() / 1e6,
        book.order_count(),
    );
    println!(
        "latency with the clock's own cost: p50 {} ns, p99 {} ns, p99.9 {} ns",
        percentile(500),
        percentile(990),
        percentile(999)
    );
}

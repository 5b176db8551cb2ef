//! Clocks that are wrong: who says so, what goes on meanwhile, and what is there once they are right again.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::{Answer, Cents, Session, eventually, place_order};
use brokerx_e2e::fake_clock::FakeClock;
use brokerx_e2e::fixture::Fixture;
use brokerx_e2e::instances::{end_second_instances, get};
use brokerx_schemas::{AccountCommand, AccountEvent, Message as _};
use jiff::{SignedDuration, Timestamp};

const LIMIT: Duration = Duration::from_secs(60);
/// Within this time a clock that was set shows, or is forgotten once it is right again: two windows of the
/// measurement, and what a busy machine takes.
const SHOWS: Duration = Duration::from_secs(12);
const DAY_S: i64 = 86_400;

pub async fn an_ingress_whose_clock_is_wrong_is_not_ready(fixture: &Fixture) -> anyhow::Result<()> {
    let trader = Trader::new(fixture).await?;
    FakeClock::under(fixture, "ingress", async |clock| {
        trader.place("right").await?.expect(201)?;
        clock.set(-10)?;
        let mut number = 0;
        eventually("an order expires", LIMIT, async || {
            number += 1;
            let answer = trader.place(&format!("behind-{number}")).await?;
            Ok(answer.code() == "EXPIRED_REQUEST")
        })
        .await?;
        // The first one that expires is the last one that could in a process that says that it is ready.
        eventually("it says why", Duration::from_secs(1), async || {
            says(fixture, "ingress", "s behind").await
        })
        .await?;
        shows_skew(fixture, "ingress", -10).await?;
        let expired = trader.place("expired").await?;
        ensure!(expired.code() == "EXPIRED_REQUEST", "{}", expired.body);
        clock.set(0)?;
        is_ready_again(fixture, "ingress").await?;
        trader.place("right-again").await?.expect(201)?;

        clock.set(5)?;
        eventually("it says so", SHOWS, async || says(fixture, "ingress", "s ahead").await).await?;
        shows_skew(fixture, "ingress", 5).await?;
        // It takes the heartbeats of the books for old ones.
        let refused = trader.place("ahead").await?;
        ensure!(refused.code() == "MARKET_UNAVAILABLE", "{}", refused.body);
        clock.set(0)?;
        is_ready_again(fixture, "ingress").await?;
        trader.place("right-in-the-end").await?.expect(201)?;
        Ok(())
    })
    .await?;
    trader.each_is_open(["right", "right-again", "right-in-the-end"]).await
}

pub async fn a_worker_whose_clock_jumps_goes_on(fixture: &Fixture) -> anyhow::Result<()> {
    for worker in ["matcher", "settlement"] {
        let trader = Trader::new(fixture).await?;
        FakeClock::under(fixture, worker, async |clock| {
            // Nobody trades meanwhile: the heartbeat of the books is enough to tell.
            clock.set(3_600)?;
            eventually("it says so", SHOWS, async || says(fixture, worker, "s ahead").await).await?;
            shows_skew(fixture, worker, 3_600).await?;
            clock.set(0)?;
            is_ready_again(fixture, worker).await?;
            heartbeats_go_on(fixture).await?;
            trader.goes_through("behind-a-long-jump", SHOWS).await?;

            // For a moment: nobody need notice, and the ticks go on with the second behind it.
            clock.set(3_600)?;
            trader.place("in-a-jump").await?;
            tokio::time::sleep(Duration::from_secs(3)).await;
            clock.set(0)?;
            heartbeats_go_on(fixture).await?;
            is_ready_again(fixture, worker).await?;
            trader.has_outcome("in-a-jump").await?;
            trader.goes_through("behind-a-jump", SHOWS).await?;

            // What others append seems to come from the future: it waits, and nothing of it is lost.
            clock.set(-60)?;
            eventually("it says so", SHOWS, async || says(fixture, worker, "s behind").await).await?;
            // It goes by a record that waits, and that becomes older: at most as much as it is.
            let skew = metric(fixture, worker, "brokerx_clock_skew_seconds").await?;
            ensure!((-61.0..-1.0).contains(&skew), "a skew of {skew} s is shown");
            let waits = trader.place("waits").await?;
            // A matcher without ticks gives no heartbeats, and then no order is taken.
            ensure!([202, 503].contains(&waits.status), "{}: {}", waits.status, waits.body);
            eventually("it says what waits", LIMIT, async || {
                says(fixture, worker, "ahead of this machine's clock").await
            })
            .await?;
            clock.set(0)?;
            is_ready_again(fixture, worker).await?;
            trader.has_outcome("waits").await?;
            trader.goes_through("behind-the-wait", SHOWS).await
        })
        .await
        .with_context(|| format!("the clock of the {worker}"))?;
        trader
            .each_is_open(["behind-a-long-jump", "behind-a-jump", "behind-the-wait"])
            .await?;
    }
    Ok(())
}

/// Leaves records behind that were appended a day ahead: nothing that goes by the time may come after.
pub async fn a_broker_that_was_a_day_ahead_stops_the_workers_loudly(fixture: &Fixture) -> anyhow::Result<()> {
    let trader = Trader::new(fixture).await?;
    let everybody = ["settlement", "matcher", "ingress", "notifier"];
    end_second_instances(fixture).await?;
    let clock = FakeClock::give(fixture, "kafka")?;
    for name in everybody {
        eventually("all are ready behind a restart of Kafka", LIMIT, async || {
            is_ready(fixture, name).await
        })
        .await?;
    }
    trader.goes_through("before", LIMIT).await?;
    clock.set(DAY_S)?;
    eventually("the workers say so", SHOWS, async || {
        trader.place("meanwhile").await?;
        Ok(
            says(fixture, "settlement", "brokerx-topics accept-time account-commands").await?
                && says(fixture, "matcher", "ahead of this machine's clock").await?,
        )
    })
    .await?;
    clock.set(0)?;
    // An operator decides that what was appended is to be used as it is: for settlement by a recorded command, without
    // a restart, for the matcher by its setting.
    let until = (Timestamp::now() + SignedDuration::from_secs(2 * DAY_S)).to_string();
    for topic in [AccountCommand::TOPIC, AccountEvent::TOPIC] {
        let arguments = ["accept-time", topic, &until, "--reason", "a trial", "--by", "me"];
        let accepted = fixture.system().output("brokerx-topics", &arguments)?;
        ensure!(
            accepted.status.success(),
            "{}",
            String::from_utf8_lossy(&accepted.stderr)
        );
    }
    {
        let mut system = fixture.system();
        let accepts = ("BROKERX_AHEAD_SECONDS_MAX".to_owned(), (2 * DAY_S).to_string());
        system.process("matcher").spec_mut().environment.push(accepts);
        system.restart("matcher")?;
    }
    for name in everybody {
        eventually(&format!("{name} is ready"), LIMIT, async || {
            is_ready(fixture, name).await
        })
        .await?;
    }
    heartbeats_go_on(fixture).await?;
    // By the log's own time it came a day late.
    eventually("what was asked for meanwhile has expired", LIMIT, async || {
        Ok(trader.place("meanwhile").await?.code() == "EXPIRED_REQUEST")
    })
    .await?;
    trader.goes_through("after", LIMIT).await?;
    trader.each_is_open(["before", "after"]).await
}

/// A client with an instrument of its own.
struct Trader {
    session: Session,
    symbol: String,
}

impl Trader {
    async fn new(fixture: &Fixture) -> anyhow::Result<Self> {
        Ok(Self {
            symbol: fixture.instrument().await?,
            session: fixture.funded_client(Cents(20_000_00), &[]).await?,
        })
    }

    /// Places an order that rests.
    async fn place(&self, id: &str) -> anyhow::Result<Answer> {
        let order = place_order(id, &self.symbol, "buy", 1, Some(Cents(99_00)), "GTC");
        self.session.place(&order).await
    }

    /// Places an order until it rests, as a client does: again under the same id.
    async fn goes_through(&self, id: &str, limit: Duration) -> anyhow::Result<()> {
        let mut last = String::new();
        let placed = eventually("an order goes through", limit, async || {
            let answer = self.place(id).await?;
            ensure!([200, 201, 202, 503].contains(&answer.status), "{}", answer.body);
            last = answer.body.to_string();
            Ok([200, 201].contains(&answer.status))
        })
        .await;
        placed.with_context(|| format!("{id} was answered with {last}"))
    }

    /// An order that had to wait rests, or has expired where it waited for longer than its deadline: the client is
    /// told either way.
    async fn has_outcome(&self, id: &str) -> anyhow::Result<()> {
        eventually("what waited has its outcome", SHOWS, async || {
            let answer = self.place(id).await?;
            ensure!(
                [200, 201, 202, 503].contains(&answer.status) || answer.code() == "EXPIRED_REQUEST",
                "{}",
                answer.body
            );
            Ok(![202, 503].contains(&answer.status))
        })
        .await
    }

    /// Each of these orders rests, once.
    async fn each_is_open<const N: usize>(&self, ids: [&str; N]) -> anyhow::Result<()> {
        eventually("each order rests, once", LIMIT, async || {
            let answer = self.session.get("/api/v1/orders?limit=200").await?;
            let Some(orders) = answer.body["items"].as_array() else {
                return Ok(false);
            };
            Ok(ids.iter().all(|id| {
                let of_id = orders.iter().filter(|order| order["client_order_id"] == *id);
                let statuses: Vec<_> = of_id.map(|order| &order["status"]).collect();
                statuses == ["working"]
            }))
        })
        .await
    }
}

/// As the supervisor of a real system does with what has ended: a process whose clock is set back by much ends.
fn supervise(fixture: &Fixture, process: &str) -> anyhow::Result<()> {
    let mut system = fixture.system();
    if system.process(process).ended().is_some() {
        println!("clocks: {process} has ended, starts again");
        system.respawn(process)?;
    }
    Ok(())
}

async fn is_ready(fixture: &Fixture, process: &str) -> anyhow::Result<bool> {
    supervise(fixture, process)?;
    Ok(get(fixture, process, "/ready").await.is_ok_and(|(ready, _)| ready))
}

/// Whether a process is not ready and says this.
async fn says(fixture: &Fixture, process: &str, text: &str) -> anyhow::Result<bool> {
    supervise(fixture, process)?;
    let answered = get(fixture, process, "/ready").await;
    Ok(answered.is_ok_and(|(ready, why)| !ready && why.contains(text)))
}

async fn is_ready_again(fixture: &Fixture, process: &str) -> anyhow::Result<()> {
    let mut why = String::new();
    let again = eventually("it is ready again", SHOWS, async || {
        supervise(fixture, process)?;
        let Ok((ready, text)) = get(fixture, process, "/ready").await else {
            return Ok(false);
        };
        why = text;
        Ok(ready)
    })
    .await;
    again.with_context(|| format!("{process} says {why}"))
}

/// A metric of a process.
async fn metric(fixture: &Fixture, process: &str, name: &str) -> anyhow::Result<f64> {
    let (_, text) = get(fixture, process, "/metrics").await?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.with_context(|| format!("{process} has no metric {name}"))
}

async fn shows_skew(fixture: &Fixture, process: &str, seconds: i64) -> anyhow::Result<()> {
    let skew = metric(fixture, process, "brokerx_clock_skew_seconds").await?;
    ensure!(
        (skew - seconds as f64).abs() < 1.0,
        "{process} shows a skew of {skew} s in place of {seconds} s"
    );
    Ok(())
}

/// The heartbeats of all book partitions are of now.
async fn heartbeats_go_on(fixture: &Fixture) -> anyhow::Result<()> {
    eventually("every book partition has a heartbeat of now", SHOWS, async || {
        supervise(fixture, "matcher")?;
        Ok(metric(fixture, "ingress", "brokerx_ingress_heartbeat_age_seconds").await? < 2.0)
    })
    .await
}

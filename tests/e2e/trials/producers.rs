//! A producer that has failed for good, as librdkafka says it of one whose numbers the broker does not expect.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::log::{LogRecord, read_topic};
use brokerx_client::{Cents, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use brokerx_e2e::foreign_batch::{append_as, writer_of};
use brokerx_schemas::{AccountCommand, AccountId, BookCommand, Message};

const LIMIT: Duration = Duration::from_secs(60);
/// No messages: whoever reads an inbox sends them to the dead letters, and nothing else changes.
const GARBAGE: [&[u8]; 2] = [b"written under", b"another's id"];

pub async fn another_takes_the_place_of_one_that_has_failed_for_good(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(9_000_00), &[]).await?;
    let account_id: AccountId = client.account_id.parse()?;
    let place = async |id: &str| {
        let order = place_order(id, &symbol, "buy", 1, Some(Cents(99_00)), "GTC");
        client.place(&order).await
    };
    for (round, (process, failed)) in [
        ("ingress", "a producer has failed for good; another one takes its place"),
        ("settlement", "all partitions of a thread start over"),
        ("matcher", "all partitions of a thread start over"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = |what: &str| format!("{what}-{round}");
        place(&id("before")).await?.expect(201)?;
        let broker = fixture.platform.kafka_brokers.clone();
        let fail = match process {
            "settlement" => {
                let last = last::<BookCommand>(fixture, |command| match command {
                    BookCommand::NewOrder(order) => order.account_id == account_id,
                    _ => false,
                });
                (BookCommand::TOPIC, last.await?)
            }
            _ => {
                let last = last::<AccountCommand>(fixture, |command| match command {
                    AccountCommand::PlaceOrder(order) => process == "ingress" && order.account_id == account_id,
                    AccountCommand::CommandDone(done) => process == "matcher" && done.account_id == account_id,
                    _ => false,
                });
                (AccountCommand::TOPIC, last.await?)
            }
        };
        let (topic, (partition, offset)) = fail;
        let writer = writer_of(&folder(fixture, topic, partition), offset)?;
        append_as(writer, &broker, topic, partition, &GARBAGE)?;
        let before = log(fixture, process)?.matches(failed).count();
        // The request may have its answer or not: its client asks again until it has.
        eventually("an order goes through", LIMIT, async || {
            let answer = place(&id("behind")).await?;
            ensure!([200, 201, 202, 503].contains(&answer.status), "{}", answer.body);
            Ok([200, 201].contains(&answer.status))
        })
        .await
        .with_context(|| format!("after the producer of the {process} failed"))?;
        let after = log(fixture, process)?.matches(failed).count();
        ensure!(after > before, "the producer of the {process} did not fail");
        ensure!(
            fixture.system().process(process).ended().is_none(),
            "the {process} has ended"
        );
        eventually("it is ready", LIMIT, async || {
            Ok(fixture.system().process(process).is_ready())
        })
        .await?;
        place(&id("after")).await?.expect(201)?;
    }
    // Each order that was acknowledged is there, once.
    let listed = client.get("/api/v1/orders?limit=200").await?.expect(200)?;
    let orders = listed["items"].as_array().context("no orders")?;
    let mut ids: Vec<_> = orders
        .iter()
        .filter_map(|order| order["client_order_id"].as_str())
        .collect();
    ids.sort_unstable();
    let mut expected: Vec<_> = (0..3)
        .flat_map(|round| ["before", "behind", "after"].map(|what| format!("{what}-{round}")))
        .collect();
    expected.sort_unstable();
    ensure!(ids == expected, "{ids:?}");
    let working = orders.iter().filter(|order| order["status"] == "working").count();
    ensure!(working == expected.len(), "{listed}");
    Ok(())
}

/// Where the last such record stands: partition and offset.
async fn last<M: Message + Sync>(fixture: &Fixture, is_it: impl Fn(&M) -> bool) -> anyhow::Result<(i32, i64)> {
    let records = read_topic::<M>(&fixture.platform, &fixture.codec).await?;
    let last: Option<&LogRecord<M>> = records.iter().rfind(|record| is_it(&record.value));
    let last = last.context("no such record")?;
    Ok((last.partition, last.offset))
}

/// Where the broker keeps a partition.
fn folder(fixture: &Fixture, topic: &str, partition: i32) -> PathBuf {
    let data = fixture.system().layout().data();
    data.join("kafka").join(format!("{topic}-{partition}"))
}

/// Everything that a process has logged.
fn log(fixture: &Fixture, process: &str) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(fixture.system().layout().log(process))?)
}

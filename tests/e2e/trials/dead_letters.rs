//! A client's record that cannot be used is kept, with the reason, and stops nobody.

use std::time::Duration;

use anyhow::ensure;
use brokerx_client::log::read_topic;
use brokerx_client::{Cents, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use brokerx_schemas::{AccountCommand, DeadLetter, Message as _};
use brokerx_topics::service::kafka;
use rdkafka::producer::{FutureProducer, FutureRecord};

pub async fn garbage_goes_to_the_dead_letters_and_the_rest_goes_on(fixture: &Fixture) -> anyhow::Result<()> {
    let producer: FutureProducer = kafka::producer_config(&fixture.platform).create()?;
    let partitions = fixture.partitions(AccountCommand::TOPIC);
    for partition in 0..partitions {
        let record = FutureRecord::<str, [u8]>::to(AccountCommand::TOPIC)
            .partition(partition)
            .key("x")
            .payload(b"no message");
        let sent = producer.send(record, Duration::from_secs(10)).await;
        ensure!(sent.is_ok(), "{sent:?}");
    }
    eventually("a dead letter of each partition", Duration::from_secs(20), async || {
        let letters = read_topic::<DeadLetter>(&fixture.platform, &fixture.codec).await?;
        let ours = letters.iter().filter(|record| match &record.value {
            DeadLetter::UnusableRecord(letter) => {
                letter.topic == "account-commands" && letter.value_hex.as_deref() == Some("6e6f206d657373616765")
            }
            DeadLetter::Unknown => false,
        });
        Ok(ours.count() == partitions as usize)
    })
    .await?;
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(1_000_00), &[]).await?;
    client
        .place(&place_order("after", &symbol, "buy", 1, Some(Cents(99_00)), "GTC"))
        .await?
        .expect(201)?;
    Ok(())
}

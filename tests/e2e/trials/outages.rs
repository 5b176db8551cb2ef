//! What goes on while one part is down, and what is remembered after everything was.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::log::read_topic;
use brokerx_client::{Cents, eventually, place_order, verification_link};
use brokerx_e2e::fixture::{Fixture, PASSWORD};
use brokerx_e2e::instances::get;
use brokerx_schemas::AuthEvent;
use reqwest::Method;

const LIMIT: Duration = Duration::from_secs(60);

pub async fn trading_goes_on_while_the_database_is_down(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let buyer = fixture.funded_client(Cents(5_000_00), &[]).await?;
    let seller = fixture.funded_client(Cents(100_00), &[(symbol.as_str(), 10)]).await?;
    fixture.system().process("postgres").kill();
    let traded = async {
        seller
            .place(&place_order("a", &symbol, "sell", 5, Some(Cents(100_00)), "GTC"))
            .await?
            .expect(201)?;
        let bid = buyer
            .place(&place_order("b", &symbol, "buy", 5, Some(Cents(100_00)), "GTC"))
            .await?
            .expect(201)?;
        ensure!(bid["order"]["status"] == "filled", "{bid}");
        let read = buyer.get("/api/v1/portfolio").await?;
        ensure!(
            read.status == 503,
            "a read without a database answered {}: {}",
            read.status,
            read.body
        );
        anyhow::Ok(())
    };
    let traded = traded.await;
    fixture.system().restart("postgres")?;
    traded?;
    eventually("the projection catches up", LIMIT, async || {
        let answer = buyer.get("/api/v1/portfolio").await?;
        Ok(answer.status == 200 && answer.body["positions"][0]["quantity"] == 5)
    })
    .await
}

pub async fn what_happened_is_remembered_after_a_restart_of_everything(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(5_000_00), &[]).await?;
    let order = place_order("kept", &symbol, "buy", 2, Some(Cents(99_00)), "GTC");
    let before = client.place(&order).await?.expect(201)?;
    {
        let names = [
            "postgres",
            "kafka",
            "registry",
            "provider",
            "settlement",
            "matcher",
            "ingress",
            "notifier",
        ];
        let mut system = fixture.system();
        for name in names {
            system.process(name).kill();
        }
        for name in names {
            system.restart(name).with_context(|| format!("restarting {name}"))?;
        }
    }
    eventually("the same order has the same outcome", LIMIT, async || {
        let again = client.place(&order).await?;
        Ok(again.status == 200 && again.replayed && again.body["order"]["id"] == before["order"]["id"])
    })
    .await?;
    let id = before["order"]["id"].as_str().context("no id")?;
    let cancelled = client.cancel(id).await?.expect(200)?;
    ensure!(cancelled["order"]["status"] == "cancelled", "{cancelled}");
    // The stream starts over from the beginning, across the restart.
    let mut stream = client.stream(&["orders", "balances", "deposits"], Some(0)).await?;
    let mut last = 0;
    loop {
        let event = stream.next_where(LIMIT, |message| message["type"] == "event").await?;
        ensure!(event["seq"] == last + 1, "{} follows {last}", event["seq"]);
        last += 1;
        if event["event"] == "ORDER_CANCELLED" {
            return Ok(());
        }
    }
}

pub async fn a_token_that_was_revoked_stays_so_while_the_database_is_down(fixture: &Fixture) -> anyhow::Result<()> {
    let client = fixture.client().await?;
    let other = fixture.client().await?;
    client
        .request(Method::POST, "/api/v1/auth/logout", None, None)
        .await?
        .expect(204)?;
    fixture.system().process("postgres").kill();
    // It forgets in its memory what it cannot read again now.
    let restarted = fixture.system().respawn("ingress");
    let refused = async {
        restarted?;
        // Neither is accepted: which of the two was revoked cannot be known.
        for session in [&client, &other] {
            eventually("the ingress says that it knows no token", LIMIT, async || {
                let Ok(answer) = session.get("/api/v1/orders").await else {
                    return Ok(false);
                };
                ensure!(answer.status == 503, "answered {}: {}", answer.status, answer.body);
                Ok(answer.code() == "TOKENS_UNKNOWN")
            })
            .await?;
        }
        anyhow::Ok(())
    };
    let refused = refused.await;
    {
        let mut system = fixture.system();
        system.restart("postgres")?;
        system.process("ingress").wait_ready()?;
    }
    refused?;
    client.get("/api/v1/orders").await?.expect(401)?;
    other.get("/api/v1/orders").await?.expect(200)?;
    Ok(())
}

/// Who sends an order again because the ingress died takes "there is no such instrument" for the outcome of the order,
/// which may have taken effect: so an ingress that has just started says no such thing.
pub async fn an_ingress_that_has_just_started_denies_no_instrument(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(5_000_00), &[]).await?;
    let order = |id| place_order(id, &symbol, "buy", 1, Some(Cents(98_00)), "GTC");
    client.place(&order("before")).await?.expect(201)?;
    let in_projection = async || Ok(client.get("/api/v1/orders/by-client-id/before").await?.status == 200);
    eventually("the order is projected", LIMIT, in_projection).await?;
    fixture.system().process("kafka").pause();
    let restarted = fixture.system().respawn("ingress");
    let said = async {
        restarted?;
        eventually("the ingress serves", LIMIT, async || {
            let Ok(answer) = client.place(&order("meanwhile")).await else {
                return Ok(false);
            };
            ensure!(answer.status == 503, "answered {}: {}", answer.status, answer.body);
            Ok(answer.code() == "MARKET_UNAVAILABLE")
        })
        .await?;
        let api = &fixture.api;
        for path in [
            "instruments".to_owned(),
            format!("market/{symbol}/quote"),
            format!("market/{symbol}/trades"),
        ] {
            let path = format!("/api/v1/{path}");
            let answer = api.request(Method::GET, &path, &[], None).await?;
            ensure!(answer.code() == "MARKET_UNAVAILABLE", "{path}: {}", answer.body);
        }
        for path in [format!("instruments/{symbol}/halt"), "sessions/close".to_owned()] {
            let path = format!("/admin/v1/{path}");
            let answer = api.operate(&fixture.operator_key, Method::POST, &path, None).await?;
            ensure!(answer.code() == "MARKET_UNAVAILABLE", "{path}: {}", answer.body);
        }
        // What it did before it knows from the projection.
        let again = client.place(&order("before")).await?;
        ensure!(
            again.status == 200 && again.replayed,
            "{}: {}",
            again.status,
            again.body
        );
        anyhow::Ok(())
    };
    let said = said.await;
    fixture.system().process("kafka").resume();
    said?;
    eventually("orders are taken again", LIMIT, async || {
        let answer = client.place(&order("meanwhile")).await?;
        ensure!(
            [200, 201, 202, 503].contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.body
        );
        Ok([200, 201].contains(&answer.status))
    })
    .await
}

pub async fn workers_start_while_the_registry_is_away(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(5_000_00), &[]).await?;
    let workers = ["settlement", "matcher", "ingress", "notifier"];
    let restarted = {
        let mut system = fixture.system();
        system.process("registry").pause();
        workers.into_iter().try_for_each(|name| {
            system.process(name).kill();
            system.restart(name).with_context(|| format!("restarting {name}"))
        })
    };
    let traded = async {
        restarted?;
        let order = place_order("unregistered", &symbol, "buy", 1, Some(Cents(98_00)), "GTC");
        eventually("an order is taken", LIMIT, async || {
            Ok([200, 201].contains(&client.place(&order).await?.status))
        })
        .await
    };
    let traded = traded.await;
    fixture.system().process("registry").resume();
    traded
}

pub async fn another_instance_projects_when_the_owner_is_frozen(fixture: &Fixture) -> anyhow::Result<()> {
    let client = fixture.funded_client(Cents(5_000_00), &[]).await?;
    let standby = fixture.system().start_instance("settlement", 2)?;
    let owns = async |name: &str| {
        let (_, text) = get(fixture, name, "/metrics").await?;
        anyhow::Ok(text.lines().any(|line| line == "brokerx_projector_owner 1"))
    };
    ensure!(owns("settlement").await? && !owns(&standby).await?, "it stands by");
    fixture.system().process("settlement").pause();
    let taken_over = async {
        eventually("the other instance projects", LIMIT, async || owns(&standby).await).await?;
        let deposited = client.deposit(Cents(10_00), "frozen").await?;
        ensure!([200, 201, 202].contains(&deposited.status), "{}", deposited.body);
        eventually("the projection goes on", LIMIT, async || {
            let read = client.get("/api/v1/portfolio").await?;
            Ok(read.body["cash"]["balance"] == "5010.00")
        })
        .await?;
        ensure!(fixture.system().process(&standby).is_ready(), "it is ready");
        anyhow::Ok(())
    };
    let taken_over = taken_over.await;
    {
        let mut system = fixture.system();
        system.process("settlement").resume();
        system.process("settlement").wait_ready()?;
    }
    taken_over?;
    // Once it has noticed that it lost its lease, the first one stands by.
    eventually("one of them projects", LIMIT, async || {
        Ok(!owns("settlement").await? && owns(&standby).await?)
    })
    .await?;
    fixture.system().process(&standby).stop();
    eventually("the first one projects again", LIMIT, async || owns("settlement").await).await
}

pub async fn what_waits_for_kafka_is_written_once(fixture: &Fixture) -> anyhow::Result<()> {
    let last = event_ids(fixture).await?.into_iter().max().unwrap_or(0);
    let email = format!("{}@example.com", fixture.unique("waiting"));
    fixture.system().process("kafka").kill();
    let waited = async {
        fixture.api.register(&email, PASSWORD, "A Client").await?.expect(201)?;
        eventually("the relay says that it waits", LIMIT, async || {
            let log = fixture.system().log_tail("ingress", 200);
            Ok(log.contains("Kafka does not acknowledge the outbox; waiting on"))
        })
        .await
    };
    let waited = waited.await;
    {
        let mut system = fixture.system();
        system.restart("kafka")?;
        // As the supervisor of a real system does with what has ended meanwhile.
        for name in ["settlement", "matcher", "ingress", "notifier"] {
            if system.process(name).ended().is_some() {
                system.respawn(name)?;
            }
        }
        for name in ["settlement", "matcher", "ingress", "notifier"] {
            system.process(name).wait_ready()?;
        }
    }
    waited?;
    let mail_directory = fixture.system().mail_directory();
    verification_link(&mail_directory, &email, LIMIT).await?;
    let mut ids = event_ids(fixture).await?;
    ids.retain(|id| *id > last);
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    ensure!(count > 0 && ids.len() == count, "{ids:?} were written {count} times");
    Ok(())
}

/// The rows of the outbox that `auth` has, each as often as it has it.
async fn event_ids(fixture: &Fixture) -> anyhow::Result<Vec<i64>> {
    let records = read_topic::<AuthEvent>(&fixture.platform, &fixture.codec).await?;
    let id = |value: serde_json::Value| {
        let kinds = value.as_object()?.values();
        kinds.into_iter().find_map(|kind| kind.get("event_id")?.as_i64())
    };
    let mut ids = Vec::new();
    for record in records {
        ids.push(id(serde_json::to_value(record.value)?).context("a record without an event id")?);
    }
    Ok(ids)
}

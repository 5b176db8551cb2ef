//! What goes on while one part is down, and what is remembered after everything was.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::{Cents, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
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

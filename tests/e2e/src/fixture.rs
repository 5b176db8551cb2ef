//! A system that the tests start for themselves, and the clients in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, bail, ensure};
use brokerx_client::{Api, Cents, Session, eventually, verification_link};
use brokerx_launcher::system::System;
use brokerx_topics::catalogue;
use brokerx_topics::codec::Codec;
use brokerx_topics::service::{Authorities, KafkaSecurity, PlatformOptions, Protocol, RegistryCredentials};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

fn platform_as(system: &System, user: &str) -> anyhow::Result<PlatformOptions> {
    let platform = system.platform();
    let authority = system.options().transport.authority();
    let kafka_security = match authority {
        None => KafkaSecurity::default(),
        Some(authority) => KafkaSecurity {
            protocol: Protocol::SaslSsl,
            ca_file: Some(authority.to_owned()),
            user: Some(user.to_owned()),
            password: Some(platform.secrets().kafka_password(user).parse().map_err(Error::msg)?),
            ..KafkaSecurity::default()
        },
    };
    let authorities = authority.map(|authority| Authorities::in_file(&authority.display().to_string()));
    let token = platform.secrets().registry_tokens.get(user);
    let token = token.map(|token| token.parse().map_err(Error::msg)).transpose()?;
    Ok(PlatformOptions {
        kafka_brokers: platform.kafka_brokers(),
        schema_registry_url: platform.registry_url(),
        schema_registry_ca_file: authorities.transpose().map_err(Error::msg)?,
        schema_registry_credentials: RegistryCredentials {
            token,
            ..RegistryCredentials::default()
        },
        schema_dir: None,
        kafka_security,
    })
}

/// The password of every client of the tests.
pub const PASSWORD: &str = "Correct-Horse-9";
const LIMIT: Duration = Duration::from_secs(30);

/// A running system and what tests need to look at it.
pub struct Fixture {
    system: Mutex<System>,
    /// The system's API.
    pub api: Api,
    /// An operator's API key.
    pub operator_key: String,
    /// Kafka and registry.
    pub platform: PlatformOptions,
    /// The codec.
    pub codec: Codec,
    /// The database.
    pub database: PgPool,
    names: AtomicU64,
}

impl Fixture {
    /// Starts a system on free ports and adds an operator.
    ///
    /// # Errors
    /// When anything does not come up.
    pub async fn start() -> anyhow::Result<Self> {
        Self::of(tokio::task::spawn_blocking(System::for_test).await??).await
    }

    /// As [`Fixture::start`], of a system in which everything is encrypted and authenticated.
    ///
    /// # Errors
    /// When anything does not come up.
    pub async fn start_secured() -> anyhow::Result<Self> {
        Self::of(tokio::task::spawn_blocking(System::secured_for_test).await??).await
    }

    async fn of(system: System) -> anyhow::Result<Self> {
        let added = system.output("brokerx-operator", &["add", "operator@example.com"])?;
        ensure!(
            added.status.success(),
            "adding an operator failed: {}",
            String::from_utf8_lossy(&added.stderr)
        );
        let operator: Value = serde_json::from_slice(&added.stdout)?;
        let operator_key = operator["api_key"].as_str().context("no api_key")?.to_owned();
        let platform = platform_as(&system, "operators")?;
        let codec = Codec::connect(&platform, LIMIT).await?;
        let database = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(LIMIT)
            .connect(&system.platform().database_url())
            .await?;
        let api = Api::new(&system.public_url(), &system.feed_url())?;
        Ok(Self {
            system: Mutex::new(system),
            api,
            operator_key,
            platform,
            codec,
            database,
            names: AtomicU64::new(0),
        })
    }

    /// The processes, to be killed, frozen and restarted. When a test panics while it holds them, the other
    /// tests can still use them.
    pub fn system(&self) -> MutexGuard<'_, System> {
        self.system.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kafka and registry, as a user of Kafka; in a system that speaks in clear, as nobody.
    ///
    /// # Errors
    /// When the authority of a secured system cannot be read.
    ///
    /// # Panics
    /// When Kafka knows no such user.
    pub fn platform_as(&self, user: &str) -> anyhow::Result<PlatformOptions> {
        platform_as(&self.system(), user)
    }

    /// How many partitions a topic of the catalogue has.
    ///
    /// # Panics
    /// When the catalogue has no such topic.
    pub fn partitions(&self, topic: &str) -> i32 {
        catalogue::topic(topic).count(self.system().options().partitions)
    }

    /// A name that no other test uses.
    pub fn unique(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Registers, verifies and logs in a client.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn client(&self) -> anyhow::Result<Session> {
        let email = self.verified().await?;
        Session::new(&self.api, self.api.log_in(&email, PASSWORD).await?).await
    }

    /// Registers and verifies a client, whose e-mail address this is.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn verified(&self) -> anyhow::Result<String> {
        let email = format!("{}@example.com", self.unique("client"));
        self.api
            .register_in_turn(&email, PASSWORD, "A Client")
            .await?
            .expect(201)?;
        let link = self.link(&email).await?;
        self.api.open_link(&link).await?.expect(200)?;
        Ok(email)
    }

    /// The link in the newest verification mail to an address.
    ///
    /// # Errors
    /// When no such mail comes.
    pub async fn link(&self, email: &str) -> anyhow::Result<String> {
        let mail_directory = self.system().mail_directory();
        verification_link(&mail_directory, email, LIMIT).await
    }

    /// A client with money and shares; waits until its account is active.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn funded_client(&self, cash: Cents, shares: &[(&str, i64)]) -> anyhow::Result<Session> {
        let client = self.client().await?;
        self.fund(&client, cash).await?;
        for (symbol, quantity) in shares {
            self.credit(&client, symbol, *quantity).await?;
        }
        Ok(client)
    }

    /// A client with money, and the e-mail address with which it logs in anew ([`PASSWORD`]).
    ///
    /// # Errors
    /// When a step fails.
    pub async fn funded_client_with_email(&self, cash: Cents) -> anyhow::Result<(Session, String)> {
        let email = self.verified().await?;
        let client = Session::new(&self.api, self.api.log_in(&email, PASSWORD).await?).await?;
        self.fund(&client, cash).await?;
        Ok((client, email))
    }

    /// Deposits money and waits until it is there.
    async fn fund(&self, client: &Session, cash: Cents) -> anyhow::Result<()> {
        let mut left = cash;
        while left > Cents(0) {
            let amount = left.min(Cents(10_000_00));
            let key = self.unique("deposit-");
            let started = Instant::now();
            loop {
                let answer = client.deposit(amount, &key).await?;
                match (answer.status, answer.code()) {
                    (200 | 201, _) if answer.body["status"] == "settled" => break,
                    (200..=202, _) | (_, "ACCOUNT_NOT_ACTIVE") if started.elapsed() < LIMIT => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    _ => bail!("a deposit answered {}: {}", answer.status, answer.body),
                }
            }
            left = Cents(left.0 - amount.0);
        }
        Ok(())
    }

    /// Credits shares at a cost of 90.00.
    ///
    /// # Errors
    /// When the operator is refused.
    pub async fn credit(&self, client: &Session, symbol: &str, quantity: i64) -> anyhow::Result<()> {
        let path = format!("/admin/v1/accounts/{}/transfers", client.account_id);
        let body = json!({"symbol": symbol, "quantity": quantity, "direction": "in", "price": "90.00"});
        self.api
            .operate(&self.operator_key, Method::POST, &path, Some(&body))
            .await?
            .expect(201)?;
        Ok(())
    }

    /// Lists an instrument for one test alone, at a reference price of 100.00, and waits until it trades.
    ///
    /// # Errors
    /// When it is not listed in time.
    pub async fn instrument(&self) -> anyhow::Result<String> {
        let symbol = self.unique("TEST");
        let body = json!({"symbol": symbol, "name": "Test", "tick_size": "0.01", "reference_price": "100.00",
                          "band_percent": "5"});
        self.api
            .operate(&self.operator_key, Method::POST, "/admin/v1/instruments", Some(&body))
            .await?
            .expect(201)?;
        let path = format!("/api/v1/market/{symbol}/quote");
        eventually("the instrument appears", LIMIT, async || {
            Ok(self.api.request(Method::GET, &path, &[], None).await?.status == 200)
        })
        .await?;
        Ok(symbol)
    }
}

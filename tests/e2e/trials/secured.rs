//! A system of its own in which everything is encrypted and authenticated: all of it works with the rights of the
//! catalogue alone, and whoever is not let in is told so in words.

mod authorizer;
mod doors;
mod programs;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::{Cents, Session, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use brokerx_launcher::builds::python;
use brokerx_launcher::home::secrets::KAFKA_USERS;
use brokerx_launcher::platform::Role;
use brokerx_schemas::{AccountCommand, Message as _};
use brokerx_topics::apply::{ClusterOptions, Granted, grant_rights};
use brokerx_topics::catalogue::{Acl, Operation, Resource, acls};
use brokerx_topics::service::{Drained, kafka};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Message, TopicPartitionList};
use sqlx::{Connection, PgConnection};

use authorizer::denials;
use programs::{another_authority, side_by_side, told, worker};

const LIMIT: Duration = Duration::from_secs(30);
/// What a process is told beside what it is told anyway.
type Environment<'a> = &'a [(&'a str, &'a str)];

const SERVICES: [&str; 4] = ["settlement", "matcher", "ingress", "notifier"];

pub async fn everything_works_encrypted_and_nobody_may_more_than_is_granted(_: &Fixture) -> anyhow::Result<()> {
    let fixture = Fixture::start_secured().await?;
    let outcome = checks(&fixture).await;
    fixture.database.close().await;
    let mut system = fixture.system();
    if outcome.is_ok() {
        system.test_passed();
    }
    // Nobody asks how it ends: it is killed when it is dropped.
    outcome
}

async fn checks(fixture: &Fixture) -> anyhow::Result<()> {
    let trade = everything_works(fixture).await.context("everything works");
    let trade = trade.and_then(|client| {
        let needless = authorizer::needless(fixture)?;
        ensure!(needless.is_empty(), "granted and never used: {needless:#?}");
        let in_vain = authorizer::explained_in_vain();
        ensure!(in_vain.is_empty(), "explained and not granted: {in_vain:?}");
        Ok(client)
    });
    let denied = denials(fixture)?;
    ensure!(
        denied.is_empty(),
        "refused without being provoked: {denied:#?}; {trade:?}"
    );
    let client = trade?;
    rights_are_made_what_the_catalogue_says(fixture).await?;
    each_process_knows_its_own_password(fixture)?;
    let (_folder, stranger) = another_authority()?;
    kafka_lets_nobody_in_who_does_not_prove_himself(fixture, &stranger).await?;
    rights_end_where_the_catalogue_says(fixture).await?;
    the_database_speaks_over_tls_only(fixture, &stranger).await?;
    let http = registry_and_provider_speak_over_tls_only(fixture, &stranger).await?;
    doors::the_registry_knows_its_clients(fixture, &http).await?;
    doors::the_provider_knows_settlement(fixture, &http, &client).await?;
    // What was provoked above, and nothing else.
    let expected = [
        "User:matcher WRITE Topic:deposits",
        "User:matcher WRITE Topic:auth",
        "User:readers READ Topic:account-events",
        "User:readers WRITE Topic:trades",
        "User:readers READ Group:brokerx-settlement",
    ];
    let denied = denials(fixture)?;
    let unexpected: Vec<_> = denied.iter().filter(|it| !covered(it, &expected)).collect();
    ensure!(unexpected.is_empty(), "{unexpected:?} were refused as well");
    Ok(())
}

/// A client's describe of what it may not use is refused beside the use itself.
fn covered(denial: &str, expected: &[&str]) -> bool {
    let of = |it: &str| {
        let mut words = it.split(' ');
        (words.next().map(str::to_owned), words.nth(1).map(str::to_owned))
    };
    expected.iter().any(|it| of(it) == of(denial))
}

/// Register, confirm, log in, deposit, trade, push; then again after every process has begun anew.
async fn everything_works(fixture: &Fixture) -> anyhow::Result<Session> {
    let symbol = fixture.instrument().await?;
    let buyer = fixture.funded_client(Cents(5_000_00), &[]).await?;
    let seller = fixture.funded_client(Cents(100_00), &[(symbol.as_str(), 10)]).await?;
    trade(&symbol, "first", &buyer, &seller).await?;
    let portfolio = buyer.get("/api/v1/portfolio").await?.expect(200)?;
    ensure!(portfolio["positions"][0]["quantity"] == 1, "{portfolio}");
    let tools = [
        &["diff"][..],
        &["config"],
        &["apply"],
        &["tail", "trades", "--from", "beginning", "--limit", "1"],
        &["dead-letters"],
        &["acls", "--help"],
    ];
    let commands = tools.map(|arguments| fixture.system().command("brokerx-topics", arguments));
    for (arguments, output) in tools.iter().zip(side_by_side(commands)?) {
        ensure!(output.status.success(), "{arguments:?}: {}", told(&output));
    }
    {
        let mut system = fixture.system();
        let others = ["registry", "postgres", "provider"].into_iter().chain(SERVICES);
        for name in others.clone() {
            system.process(name).kill();
        }
        // Asked to, as it would go through all its logs again had it been killed: that is longer than all the rest.
        system.process("kafka").stop();
        system.restart("kafka")?;
        for name in others.clone() {
            system.respawn(name)?;
        }
        for name in others {
            system.process(name).wait_ready()?;
        }
    }
    trade(&symbol, "second", &buyer, &seller).await?;
    let deposited = buyer.deposit(Cents(1_00), "after-the-restart").await?;
    ensure!([200, 201, 202].contains(&deposited.status), "{}", deposited.body);
    // What nobody can read goes to the dead letters.
    let ingress: FutureProducer = kafka::producer_config(&fixture.platform_as("ingress")?).create()?;
    for topic in ["account-commands", "book-commands"] {
        let garbage = FutureRecord::to(topic).partition(0).key("1").payload("garbage");
        ingress.send(garbage, LIMIT).await.map_err(|(error, _)| error)?;
        // A schema that no registry has: the worker waits for it a while, then decides that everybody passes it.
        let invented = FutureRecord::to(topic)
            .partition(1)
            .key("1")
            .payload(&[0, 127, 0, 0, 1]);
        ingress.send(invented, LIMIT).await.map_err(|(error, _)| error)?;
    }
    others_read_what_is_public(fixture).await?;
    eventually("both inboxes have their dead letters", LIMIT, async || {
        let output = fixture
            .system()
            .output("brokerx-topics", &["dead-letters", "--from", "beginning"])?;
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(["account-commands", "book-commands"]
            .iter()
            .all(|topic| lines.lines().filter(|line| line.contains(topic)).count() >= 2))
    })
    .await?;
    Ok(buyer)
}

/// Another team reads what is public, in a group of its own, and commits; in another language, too.
async fn others_read_what_is_public(fixture: &Fixture) -> anyhow::Result<()> {
    let public: Vec<String> = acls()
        .into_iter()
        .filter_map(|right| match right.resource {
            Resource::Topic(name) if right.principal == "readers" => Some(name),
            _ => None,
        })
        .collect();
    let public: Vec<&str> = public.iter().map(String::as_str).collect();
    let mut reader = kafka::consumer_config(&fixture.platform_as("readers")?, "readers-trial");
    let reader: Drained = reader.set("enable.auto.offset.store", "true").create()?;
    reader.subscribe(&public)?;
    let mut read = BTreeSet::new();
    eventually("another team reads of each topic", LIMIT, async || {
        while let Some(Ok(record)) = reader.poll(Duration::from_millis(100)) {
            read.insert(record.topic().to_owned());
        }
        Ok(read.len() == public.len())
    })
    .await
    .with_context(|| format!("of {public:?} only {read:?}"))?;
    reader.commit_consumer_state(rdkafka::consumer::CommitMode::Sync)?;
    drop(reader);

    let mut command = {
        let system = fixture.system();
        let (layout, platform) = (system.layout(), system.platform());
        let mut command = Command::new(python::venv(layout)?);
        command
            .arg(layout.root().join("tests/e2e/python/consumer.py"))
            .args([platform.kafka_brokers(), platform.registry_url()])
            .env(
                "BROKERX_CA_FILE",
                system.options().transport.authority().context("in clear")?,
            )
            .env("BROKERX_KAFKA_USER", "readers")
            .env("BROKERX_KAFKA_PASSWORD", platform.secrets().kafka_password("readers"))
            .env(
                "BROKERX_SCHEMA_REGISTRY_TOKEN",
                &platform.secrets().registry_tokens["readers"],
            );
        command
    };
    let output = command.output()?;
    let report = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && report.contains("\"trade_records\": 2"),
        "{}",
        told(&output)
    );
    Ok(())
}

/// A right that the catalogue does not know is taken back by the next grant, and then everything is as it should be.
async fn rights_are_made_what_the_catalogue_says(fixture: &Fixture) -> anyhow::Result<()> {
    let admin = fixture.platform_as("admin")?;
    let options = ClusterOptions {
        partitions: fixture.partitions(AccountCommand::TOPIC),
        replication_factor: 1,
        min_insync_replicas: 1,
        wait_seconds_max: LIMIT.as_secs(),
    };
    let rights = acls();
    let mut more = rights.clone();
    more.insert(Acl {
        principal: "readers",
        resource: Resource::Topic("auth-of-old".to_owned()),
        operation: Operation::Write,
    });
    let changed = |granted, taken_back| Granted { granted, taken_back };
    for (rights, expected) in [
        (&more, changed(1, 0)),
        (&rights, changed(0, 1)),
        (&rights, changed(0, 0)),
    ] {
        let made = grant_rights(&admin, &options, rights).await?;
        ensure!(made == expected, "{made:?} instead of {expected:?}");
    }
    Ok(())
}

/// Two orders that trade; the buyer is told so on the feed.
async fn trade(symbol: &str, id: &str, buyer: &Session, seller: &Session) -> anyhow::Result<()> {
    let mut stream = buyer.stream(&["orders"], None).await?;
    let sale = place_order(&format!("{id}-sale"), symbol, "sell", 1, Some(Cents(100_00)), "GTC");
    eventually("an order rests", LIMIT, async || {
        Ok([200, 201].contains(&seller.place(&sale).await?.status))
    })
    .await?;
    let bid = place_order(&format!("{id}-bid"), symbol, "buy", 1, Some(Cents(100_00)), "GTC");
    let bid = buyer.place(&bid).await?.expect(201)?;
    ensure!(bid["order"]["status"] == "filled", "{bid}");
    stream
        .next_where(LIMIT, |message| message["event"] == "ORDER_EXECUTED")
        .await?;
    Ok(())
}

fn each_process_knows_its_own_password(fixture: &Fixture) -> anyhow::Result<()> {
    let mut system = fixture.system();
    let secrets = system.platform().secrets().clone();
    for name in SERVICES.into_iter().chain(["provider"]) {
        let environment = fs::read(format!("/proc/{}/environ", system.process(name).pid()))?;
        let environment = String::from_utf8_lossy(&environment);
        let expected: Vec<&str> = SERVICES.into_iter().filter(|it| *it == name).collect();
        let knows = |user: &&str| environment.contains(secrets.kafka_password(user));
        let known: Vec<&str> = KAFKA_USERS.into_iter().filter(knows).collect();
        ensure!(known == expected, "{name} knows the passwords of {known:?}");
        let tokens = secrets.registry_tokens.iter();
        let known: Vec<&str> = tokens
            .filter(|(_, token)| environment.contains(token.as_str()))
            .map(|(client, _)| *client)
            .collect();
        ensure!(known == expected, "{name} knows the registry's tokens of {known:?}");
        let knows_provider = environment.contains(&secrets.provider_token);
        let may = ["settlement", "provider"].contains(&name);
        ensure!(knows_provider == may, "{name} and the provider's token");
    }
    Ok(())
}

async fn kafka_lets_nobody_in_who_does_not_prove_himself(fixture: &Fixture, stranger: &Path) -> anyhow::Result<()> {
    let stranger = stranger.display().to_string();
    let cases: [(&str, Environment<'_>, &str); 5] = [
        ("in clear", &[("BROKERX_KAFKA_SECURITY", "plaintext")], "plaintext"),
        (
            "without a name",
            &[("BROKERX_KAFKA_SECURITY", "ssl")],
            "spoken to by ssl",
        ),
        (
            "with a wrong password",
            &[("BROKERX_KAFKA_PASSWORD", "wrong")],
            "wrong name or password",
        ),
        (
            "as nobody that is known",
            &[("BROKERX_KAFKA_USER", "nobody")],
            "wrong name or password",
        ),
        (
            "with another authority",
            &[("BROKERX_KAFKA_CA_FILE", &stranger)],
            "certificate",
        ),
    ];
    let commands = cases.map(|(_, told, _)| {
        let system = fixture.system();
        let mut command = system.command("brokerx-topics", &["apply", "--wait-seconds-max", "3"]);
        command.envs(told.iter().copied());
        command
    });
    for ((case, _, words), output) in cases.into_iter().zip(side_by_side(commands)?) {
        let said = self::told(&output);
        ensure!(!output.status.success() && said.contains(words), "{case}: {said}");
    }
    // A worker keeps trying, and says why it is not ready.
    let mut worker = worker(fixture, "matcher", &[("BROKERX_KAFKA_PASSWORD", "wrong")])?;
    let said = eventually("the matcher says why", LIMIT, async || {
        let log = fs::read_to_string(&worker.log)?;
        Ok(log.contains("wrong name or password"))
    })
    .await;
    worker.child.kill()?;
    worker.child.wait()?;
    said.with_context(|| fs::read_to_string(&worker.log).unwrap_or_default())
}

async fn rights_end_where_the_catalogue_says(fixture: &Fixture) -> anyhow::Result<()> {
    let write = async |user: &str, topic: &str| {
        let mut config = kafka::producer_config(&fixture.platform_as(user)?);
        // Whoever may write nothing at all may not be idempotent either: that is another refusal.
        config
            .set("enable.idempotence", "false")
            .set("message.timeout.ms", "5000");
        let producer: FutureProducer = config.create()?;
        let sent = producer
            .send(FutureRecord::to(topic).key("1").payload("forged"), LIMIT)
            .await;
        anyhow::Ok(sent.map_err(|(error, _)| error.rdkafka_error_code()).err().flatten())
    };
    let refused = Some(RDKafkaErrorCode::TopicAuthorizationFailed);
    for (user, topic) in [("matcher", "deposits"), ("matcher", "auth"), ("readers", "trades")] {
        let code = write(user, topic).await?;
        ensure!(code == refused, "{user} writes to {topic}: {code:?}");
    }
    let config = kafka::consumer_config(&fixture.platform_as("readers")?, "readers-trial-2");
    let consumer: Drained = config.create()?;
    // Whoever may read may describe: a client that may not even do that does not come to reading.
    let metadata = consumer.fetch_metadata(Some("account-events"), LIMIT)?;
    let code = metadata.topics().first().and_then(|topic| topic.error());
    ensure!(
        code.map(RDKafkaErrorCode::from) == refused,
        "readers are told of account-events: {code:?}"
    );
    let config = kafka::consumer_config(&fixture.platform_as("readers")?, "brokerx-settlement");
    let consumer: Drained = config.create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition("trades", 0);
    // The client asks for the group's coordinator until its time is up; what counts is what the broker says.
    let asked = consumer.committed_offsets(list, Duration::from_secs(1));
    ensure!(asked.is_err(), "readers ask for the group of settlement: {asked:?}");
    eventually("readers are refused the group of settlement", LIMIT, async || {
        Ok(denials(fixture)?.contains("User:readers DESCRIBE Group:brokerx-settlement"))
    })
    .await
}

async fn the_database_speaks_over_tls_only(fixture: &Fixture, stranger: &Path) -> anyhow::Result<()> {
    let url = fixture.system().platform().database_url_of(Role::Ingress);
    let (address, _) = url.split_once('?').context("the URL has no query")?;
    let in_clear = PgConnection::connect(&format!("{address}?sslmode=disable")).await;
    let refused = format!("{:#}", in_clear.err().context("PostgreSQL speaks in clear")?);
    ensure!(refused.contains("no encryption"), "{refused}");
    let url = format!("{address}?sslmode=verify-full&sslrootcert={}", stranger.display());
    let mut operator = fixture.system().command("brokerx-operator", &["keys"]);
    let output = operator.env("BROKERX_DATABASE_URL", url).output()?;
    let said = told(&output);
    ensure!(
        !output.status.success() && said.contains("certificate verify failed"),
        "{said}"
    );
    Ok(())
}

/// Returns a client that believes the authority of the system.
async fn registry_and_provider_speak_over_tls_only(
    fixture: &Fixture,
    stranger: &Path,
) -> anyhow::Result<reqwest::Client> {
    let (ports, authority) = {
        let system = fixture.system();
        let authority = system.options().transport.authority().map(fs::read);
        (system.options().ports.clone(), authority.context("in clear")??)
    };
    let trusting = reqwest::Client::builder().tls_certs_only([reqwest::Certificate::from_pem(&authority)?]);
    let (trusting, doubting) = (trusting.build()?, reqwest::Client::new());
    for (name, port, path) in [
        ("registry", ports.registry, "/health/ready"),
        ("provider", ports.provider, "/health"),
    ] {
        let url = |scheme: &str| format!("{scheme}://127.0.0.1:{port}{path}");
        let answer = trusting.get(url("https")).send().await?;
        ensure!(answer.status() == 200, "{name}: {answer:?}");
        ensure!(
            doubting.get(url("https")).send().await.is_err(),
            "{name} is believed by everybody"
        );
        ensure!(
            doubting.get(url("http")).send().await.is_err(),
            "{name} answers in clear"
        );
    }
    let mut command = fixture
        .system()
        .command("brokerx-topics", &["diff", "--wait-seconds-max", "3"]);
    let output = command.env("BROKERX_SCHEMA_REGISTRY_CA_FILE", stranger).output()?;
    let said = told(&output);
    ensure!(
        !output.status.success() && said.contains("certificate verify failed"),
        "{said}"
    );
    Ok(trusting)
}

//! Starts the parts of the process (readers, relay, sampler, HTTP server) and stops them again.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::http::HeaderValue;
use brokerx_identity::tokens::Tokens;
use brokerx_identity::{Revocations, database};
use brokerx_market::Readiness;
use brokerx_schemas::{AccountCommand, Message, Reply, ReplyTo};
use brokerx_topics::catalogue;
use brokerx_topics::codec::Codec;
use brokerx_topics::passes::watch_unreadable;
use brokerx_topics::reader::{Numbering, ReadMetrics, Readers, Start};
use brokerx_topics::service::{
    self, Check, ClockWatch, DeliveringProducer, Health, Limits, Server, ServerMetrics, Shutdown,
    kafka::producer_config, run_process, serve_with_operation, watch_broker,
};

use crate::admin::InFlight;
use crate::clients::{Passwords, RegistrationLimits, ReminderAges};
use crate::commands::{CommandLimits, Commands, Pending, ReplySink, Told};
use crate::gateway::{WrongKeys, consistency};
use crate::http::RateLimit;
use crate::market::{Market, PublicReads};
use crate::options::{LISTEN_DEFAULT, Options};
use crate::outbox::Relay;
use crate::routes;
use crate::sessions::{self, Tries};
use crate::state::{App, Shared};
use crate::telemetry::{CommandMetrics, HttpMetrics, SampledMetrics};

/// How long the registry may be away at the start.
const REGISTRY_LIMIT: Duration = Duration::from_secs(60);
/// How long open requests may take once the process stops: longer than a command's outcome.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How often the gauges are sampled.
const SAMPLE: Duration = Duration::from_secs(1);

/// The process, until a signal ends it.
///
/// # Errors
/// As [`run`].
pub fn main() -> anyhow::Result<()> {
    run_process("ingress", LISTEN_DEFAULT, run)
}

/// Runs the ingress until the shutdown is requested.
///
/// # Errors
/// When the configuration is wrong, the registry stays away, or the address is taken.
pub async fn run(options: Options, shutdown: Shutdown) -> anyhow::Result<()> {
    let reply_partitions = catalogue::topic(Reply::TOPIC).fixed_count();
    ensure!(
        (0..reply_partitions).contains(&options.reply_partition),
        "BROKERX_REPLY_PARTITION is {}, the topic replies has partitions 0 to {}",
        options.reply_partition,
        reply_partitions - 1
    );
    let mut metrics = service::metrics();
    let health = Health::default();
    let codec = Codec::of_process(&options.platform, REGISTRY_LIMIT).await?;
    let mut producer = producer_config(&options.platform);
    producer.set("client.id", format!("brokerx-ingress-{}", options.service.instance));
    let producer = DeliveringProducer::new(&producer).context("the Kafka producer cannot be made")?;
    let database_options = database::connect_options(&options.database_url)?;

    let command_metrics = CommandMetrics::new(&mut metrics);
    let pending = Pending::new(options.waiting_max);
    let told = Arc::new(Told::new(options.closed_key()));
    let replies_flow = Arc::new(AtomicBool::new(false));
    let market = Arc::new(Market::new(options.market.heartbeat_age_max()));
    let commands = Commands::new(
        producer.clone(),
        codec.clone(),
        ReplyTo {
            instance: options.service.instance.clone(),
            partition: options.reply_partition,
        },
        CommandLimits {
            reply: options.reply_limit(),
            deadline: Duration::from_millis(options.deadline_ms),
            per_day: options.commands_per_day,
        },
        Arc::clone(&pending),
        Arc::clone(&told),
        Arc::clone(&replies_flow),
        command_metrics,
    );

    watch_unreadable(&mut metrics, &health);
    let readers = Readers {
        process: "ingress",
        platform: options.platform.clone(),
        codec: codec.clone(),
        metrics: ReadMetrics::new(&mut metrics),
        shutdown: shutdown.clone(),
        health: health.clone(),
        clock: ClockWatch::of_process(&mut metrics, &health),
    };
    readers
        .from(Start::End)
        .partition(options.reply_partition)
        .numbering(Numbering::Counted)
        .spawn(ReplySink::new(pending, told, replies_flow, health.add("replies")))?;
    brokerx_market::spawn(
        &market,
        &options.market,
        Readiness::EveryBook,
        &readers,
        &health,
        &mut metrics,
    )?;
    watch_broker(
        producer.clone(),
        AccountCommand::TOPIC,
        health.add("kafka"),
        shutdown.clone(),
    )?;
    tokio::spawn(database::ensure_current_when_reachable(
        database_options.clone(),
        health.add("identity"),
        shutdown.clone(),
    ));

    let app: Shared = Arc::new(App {
        instance_header: HeaderValue::from_str(&options.service.instance)
            .context("the instance's name is no header")?,
        database: database::pool(database_options.clone(), options.database_connections_max),
        tokens: Tokens::new(&options.jwt_key),
        revocations: Revocations::default(),
        passwords: Passwords::new(options.password_threads)?,
        registration_passwords: Passwords::new(options.registration_threads)?,
        registration_limits: RegistrationLimits::new(
            options.registration_burst,
            Duration::from_secs(u64::from(options.registration_seconds)),
        ),
        tries: Tries::new(options.login_limits()),
        login_limit: RateLimit::every(sessions::RATE.1, sessions::RATE.0),
        commands,
        waiting_reads: consistency::waiting_reads(),
        wrong_keys: WrongKeys::default(),
        in_flight: InFlight::default(),
        market,
        public_reads: PublicReads::new(options.database_connections_max),
        address_limit: RateLimit::new(options.address_rate, options.address_burst),
        client_limit: RateLimit::new(options.client_rate, options.client_burst),
        metrics: HttpMetrics::new(&mut metrics),
        options,
    });
    let sampled = SampledMetrics::new(&mut metrics);
    let relay = Relay {
        database: database_options,
        producer,
        codec,
        reminders: ReminderAges {
            reminders: app.options.reminder_seconds.clone(),
            rejection: app.options.rejection_seconds,
            link: app.options.link_seconds,
        },
        retention: app.options.retention(),
        rows: sampled.outbox_rows.clone(),
    };
    tokio::spawn(relay.run(shutdown.clone()));
    tokio::spawn(refresh_revocations(
        Arc::clone(&app),
        health.add("revocations"),
        shutdown.clone(),
    ));
    let (database, tries) = (app.database.clone(), Arc::clone(&app.tries));
    let summing = shutdown.clone();
    tokio::spawn(async move { sessions::sum_up_refusals(database, &tries, summing).await });
    tokio::spawn(sample(Arc::clone(&app), sampled));

    let server = Server {
        listen: app.options.service.listen,
        router: routes::router(Arc::clone(&app)),
        drain_limit: DRAIN_LIMIT,
        limits: Limits::from(&app.options.server),
        metrics: ServerMetrics::new(&mut metrics),
    };
    let served = serve_with_operation(server, app.options.admin_listen, Arc::new(metrics), health, shutdown).await;
    // What operators asked for runs to its end although no request waits for it any more.
    drop(tokio::time::timeout(DRAIN_LIMIT, app.in_flight.ended()).await);
    served
}

async fn refresh_revocations(app: Shared, check: Check, shutdown: Shutdown) {
    app.revocations.refresh(&app.database, &check, &shutdown).await;
}

async fn sample(app: Shared, sampled: SampledMetrics) {
    let mut interval = tokio::time::interval(SAMPLE);
    loop {
        interval.tick().await;
        sampled.commands_waiting.set(app.commands.waiting() as i64);
        sampled.producer_queue.set(app.commands.queued());
        // A partition without a heartbeat counts as infinitely old.
        sampled.heartbeat_age_seconds.set(
            app.market
                .heartbeat_age()
                .map_or(f64::INFINITY, |age| age.as_secs_f64()),
        );
    }
}

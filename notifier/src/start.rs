//! Starts the parts of the process (readers, mailer, acknowledgements, server) and stops them again.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_identity::tokens::Verifier;
use brokerx_identity::{Revocations, database};
use brokerx_market::Readiness;
use brokerx_topics::codec::Codec;
use brokerx_topics::passes::{Passes, watch_unreadable};
use brokerx_topics::reader::{ReadMetrics, Readers, Start};
use brokerx_topics::service::kafka::producer_config;
use brokerx_topics::service::{
    self, Check, ClockWatch, DeliveringProducer, Health, Places, Server, ServerMetrics, Shutdown, backoff, run_process,
    serve_with_operation,
};
use tokio::time::{Instant, MissedTickBehavior, timeout};

use crate::acks::Acks;
use crate::connection::{self, Feed, Limits};
use crate::mail::{Mailer, Post};
use crate::market::{Market, TradeFeed};
use crate::options::{Command, LISTEN_DEFAULT, Options, SendMail};
use crate::private::{AccountFeed, Accounts, History};
use crate::telemetry::{AckMetrics, FeedMetrics, MailMetrics};

/// How long the broker may gather private events before it answers, so that many are pushed together: far
/// less than a person notices.
const GATHER: Duration = Duration::from_millis(10);
/// The same for trades, of which there are far more.
const TRADES_GATHER: Duration = Duration::from_millis(20);
/// How long the registry may be away at the start.
const REGISTRY_LIMIT: Duration = Duration::from_secs(60);
/// How long the start waits for PostgreSQL.
const PROJECTION_LIMIT: Duration = Duration::from_secs(5);
/// How far back events are read when PostgreSQL does not answer: more than the projection is usually behind.
const PROJECTION_LAG: Duration = Duration::from_secs(600);
/// How long open requests and connections may take to end once the process stops.
const HTTP_DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How long the last acknowledgements may take.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// How long the last letters may take besides.
const MAIL_LIMIT: Duration = Duration::from_secs(4);
/// How often the sources of market data are checked for signs of life, which they send once a second, and
/// whether what is written to Kafka is acknowledged.
const FEED_CHECK: Duration = Duration::from_secs(1);
/// Connections to PostgreSQL that are kept free for queries smaller than pages.
const SMALL_QUESTIONS: u32 = 2;

/// The process, until a signal ends it.
///
/// # Errors
/// As [`run`].
pub fn main() -> anyhow::Result<()> {
    run_process("notifier", LISTEN_DEFAULT, run)
}

/// Runs the notifier until the shutdown is requested, or does what the options say instead.
///
/// # Errors
/// When the configuration is wrong, the registry stays away, the address is taken, or a mail is not sent.
pub async fn run(options: Options, shutdown: Shutdown) -> anyhow::Result<()> {
    match &options.command {
        Some(Command::SendMail(what)) => send_mail(&options, what).await,
        None => serve(options, shutdown).await,
    }
}

async fn serve(options: Options, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut metrics = service::metrics();
    let health = Health::default();
    let codec = Codec::of_process(&options.platform, REGISTRY_LIMIT).await?;
    let mut producer = producer_config(&options.platform);
    producer.set("client.id", format!("brokerx-notifier-{}", options.service.instance));
    let producer = DeliveringProducer::new(&producer).context("the Kafka producer cannot be made")?;
    let database_options = database::connect_options(&options.database_url)?.application_name("brokerx-notifier");
    let database = database::pool(database_options, options.database_connections_max);

    let market = Arc::new(Market::new(options.market.heartbeat_age_max()));
    let accounts = Arc::new(Accounts::default());
    let pages_max = options.database_connections_max.saturating_sub(SMALL_QUESTIONS).max(1);
    let history = Arc::new(History::new(database.clone(), pages_max as usize));
    watch_unreadable(&mut metrics, &health);
    let readers = Readers {
        process: "notifier",
        platform: options.platform.clone(),
        codec: codec.clone(),
        metrics: ReadMetrics::new(&mut metrics),
        shutdown: shutdown.clone(),
        health: health.clone(),
        clock: ClockWatch::of_process(&mut metrics, &health),
    };
    let events = AccountFeed::new(
        Arc::clone(&accounts),
        health.add("account-events"),
        readers.metrics.clone(),
    );
    readers
        .from(projected(&history).await)
        .gathering(GATHER)
        .spawn(events)?;
    brokerx_market::spawn(
        &market,
        &options.market,
        Readiness::CaughtUp,
        &readers,
        &health,
        &mut metrics,
    )?;
    let trades = TradeFeed::new(Arc::clone(&market), health.add("trades"), readers.metrics.clone());
    readers.from(Start::End).gathering(TRADES_GATHER).spawn(trades)?;

    let mail_metrics = MailMetrics::new(&mut metrics);
    let mailing = Mailer {
        platform: options.platform.clone(),
        instance: options.service.instance.clone(),
        codec: codec.clone(),
        passes: Passes::new(options.platform.clone(), codec.clone()),
        producer: producer.clone(),
        options: options.mail.clone(),
        post: Post::new(&options.mail, database.clone(), mail_metrics.clone())?,
        metrics: mail_metrics,
        // Nobody on the feed needs it.
        check: health.add_aside("mail"),
        shutdown: shutdown.clone(),
    }
    .spawn()?;

    let acks = Arc::new(Acks::new(AckMetrics::new(&mut metrics)));
    let feed = Arc::new(Feed {
        accounts,
        history,
        market: Arc::clone(&market),
        tokens: Verifier::new(&options.jwt_public_key),
        revocations: Revocations::default(),
        acks: Arc::clone(&acks),
        metrics: FeedMetrics::new(&mut metrics),
        token_in_query: options.token_in_query,
        limits: Limits {
            subscriptions_max: options.subscriptions_max,
            queue_messages_max: options.queue_messages_max,
            message_bytes_max: options.message_bytes_max,
            messages_per_second: options.messages_per_second_max,
            messages_burst: options.messages_burst_max,
            ping: Duration::from_secs(options.ping_seconds),
            idle: Duration::from_secs(options.idle_seconds_max),
        },
        account_places: Places::new(options.connections_per_account_max as usize),
        next_id: AtomicU64::new(1),
        shutdown: shutdown.clone(),
    });
    let requested = shutdown.clone();
    tokio::spawn(check_acks(producer.clone(), health.add("acks")));
    let writing = tokio::spawn(async move { acks.write(producer, codec, requested).await });
    tokio::spawn(throttle(
        Arc::clone(&market),
        Duration::from_millis(options.throttle_ms),
    ));
    tokio::spawn(check_feeds(market));
    let (revoking, check, requested) = (Arc::clone(&feed), health.add("revocations"), shutdown.clone());
    tokio::spawn(async move { revoking.revocations.refresh(&database, &check, &requested).await });

    let server = Server {
        listen: options.service.listen,
        router: connection::routes(feed),
        drain_limit: HTTP_DRAIN_LIMIT,
        limits: service::Limits::from(&options.server),
        metrics: ServerMetrics::new(&mut metrics),
    };
    // Until the last connection is closed properly; then the last acknowledgements are written.
    serve_with_operation(server, options.admin_listen, Arc::new(metrics), health, shutdown).await?;
    let _ = timeout(DRAIN_LIMIT, writing).await;
    // The last letters were handed over meanwhile.
    let _ = timeout(MAIL_LIMIT, tokio::task::spawn_blocking(move || mailing.join())).await;
    Ok(())
}

/// Delivers mails once more and prints a line of JSON for each.
async fn send_mail(options: &Options, what: &SendMail) -> anyhow::Result<()> {
    let database_options = database::connect_options(&options.database_url)?.application_name("brokerx-notifier");
    let database = database::pool(database_options, options.database_connections_max);
    let post = Post::new(&options.mail, database, MailMetrics::default())?;
    let mut failed = 0;
    for mail_id in &what.mail_ids {
        let sent = post.send_again(*mail_id).await;
        let reason = sent.as_ref().err();
        println!(
            "{}",
            serde_json::json!({"mail_id": mail_id, "sent": sent.is_ok(), "reason": reason})
        );
        failed += usize::from(sent.is_err());
    }
    ensure!(failed == 0, "{failed} of {} mails were not sent", what.mail_ids.len());
    Ok(())
}

/// Where reading `account-events` must begin so that every event is either in the projection or is read.
async fn projected(history: &History) -> Start {
    let started = Instant::now();
    let mut pause = backoff();
    loop {
        match history.positions().await {
            Ok(positions) => return Start::At(positions),
            Err(error) if started.elapsed() > PROJECTION_LIMIT => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "it is not known how far the projection is"
                );
                return Start::Ago(PROJECTION_LAG);
            }
            Err(_) => tokio::time::sleep(pause.next()).await,
        }
    }
}

async fn throttle(market: Arc<Market>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        market.flush_throttled();
    }
}

async fn check_acks(producer: DeliveringProducer, check: Check) {
    let mut ticks = tokio::time::interval(FEED_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let trouble = producer.trouble();
        check.set(trouble.is_none(), trouble.as_deref().unwrap_or("acknowledged"));
    }
}

async fn check_feeds(market: Arc<Market>) {
    let mut ticks = tokio::time::interval(FEED_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        market.check_feeds();
    }
}

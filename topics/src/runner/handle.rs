//! Starting and stopping a runner.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use brokerx_schemas::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;

use super::apply_thread::{ApplyThread, Restarts, reader_config};
use super::board::Board;
use super::delivery::Sender;
use super::member::{Member, member_config};
use super::metrics::RunnerMetrics;
use super::ownership::Ownership;
use super::record::RecordReader;
use super::snapshots::SnapshotStore;
use super::survey::Surveyor;
use super::workbench::Workbench;
use super::{RunnerError, RunnerOptions};
use crate::codec::Codec;
use crate::machine::Machine;
use crate::passes::{Passes, watch_unreadable};
use crate::service::{ClockWatch, Drained, Gathering, Health, Metrics, PlatformOptions, ServiceOptions};

/// A runner at work. Dropping it asks it to stop.
#[derive(Debug)]
pub struct RunnerHandle {
    board: Arc<Board>,
    stop_limit: Duration,
    ended: Option<oneshot::Receiver<Result<(), RunnerError>>>,
}

/// Starts driving `M` over its inbox, with the consumer group `brokerx-<M::NAME>`. Returns at once;
/// the broker need not be there yet.
///
/// # Errors
/// When a Kafka client, a thread or the snapshots' folder cannot be made.
pub fn start<M: Machine>(
    service: &ServiceOptions,
    platform: &PlatformOptions,
    options: &RunnerOptions,
    codec: Codec,
    metrics: &mut Metrics,
    health: &Health,
) -> Result<RunnerHandle, RunnerError> {
    let runtime = BackgroundRuntime::new(M::NAME)?;
    let snapshots = SnapshotStore::in_folder(&options.snapshot_dir, M::NAME, runtime.handle())?;
    let clock = ClockWatch::of_process(metrics, health);
    watch_unreadable(metrics, health);
    let metrics = RunnerMetrics::register(metrics, M::NAME);
    let board = Arc::new(Board::new(usize::from(options.apply_threads)));
    let group = group_of::<M>();
    let instance = format!("{}-{}", service.instance, M::NAME);
    let stall_limit = Duration::from_secs(options.stall_seconds_max);
    let topic = M::Input::TOPIC;
    let unmade = |error: rdkafka::error::KafkaError| RunnerError::Kafka(error.to_string());

    let member = Member::new(topic, M::NAME, Arc::clone(&board), metrics.clone());
    let consumer: Drained<BaseConsumer<Member>> = member_config(platform, &group, &instance, stall_limit)
        .create_with_context(member)
        .map_err(unmade)?;
    consumer.subscribe(&[topic]).map_err(unmade)?;
    let reader = reader_config(platform, &group);
    let mut threads = Vec::new();
    // Dropped when anything below fails: then the threads that were made end.
    let mut handle = RunnerHandle {
        board: Arc::clone(&board),
        stop_limit: Duration::from_secs(options.stop_seconds_max),
        ended: None,
    };
    for number in 0..usize::from(options.apply_threads) {
        let bench = Workbench {
            thread: number,
            board: Arc::clone(&board),
            codec: codec.clone(),
            sender: Sender::new(platform, metrics.send_to_ack.clone())?,
            delivered: Vec::new(),
            reader: RecordReader::default(),
            clock: clock.clone(),
            ahead_ms_max: i64::try_from(options.ahead_seconds_max.saturating_mul(1_000)).unwrap_or(i64::MAX),
            passes: Passes::new(platform.clone(), codec.clone()),
            surveyor: Surveyor::new(reader.clone()),
            emissions: Vec::new(),
            value: Vec::new(),
        };
        let apply_thread = ApplyThread::<M> {
            consumer: reader.create().map_err(unmade)?,
            reader: reader.clone(),
            gathering: (options.gather_ms > 0).then(|| Gathering::new(Duration::from_millis(options.gather_ms))),
            bench,
            snapshots: snapshots.clone(),
            runtime: runtime.handle(),
            platform: platform.clone(),
            options: options.clone(),
            metrics: metrics.clone(),
            held: BTreeMap::new(),
            lives: BTreeMap::new(),
            last_life: 0,
            restarts: Restarts::default(),
        };
        let name = format!("{}-apply-{number}", M::NAME);
        let thread = thread::Builder::new().name(name).spawn(move || apply_thread.run());
        threads.push(thread.map_err(RunnerError::Start)?);
    }
    let ownership = Ownership {
        consumer,
        board,
        check: health.add(&format!("runner-{}", M::NAME)),
        threads,
        commit_interval: Duration::from_millis(options.commit_interval_ms),
        instance,
        metrics,
    };
    let (report, ended) = oneshot::channel();
    let run = move || {
        let outcome = ownership.run();
        drop(runtime);
        if let Err(error) = &outcome {
            tracing::error!(machine = M::NAME, %error, "the runner ended");
        }
        // Nobody listens any more when the handle was dropped.
        let _ = report.send(outcome);
    };
    thread::Builder::new()
        .name(format!("{}-group", M::NAME))
        .spawn(run)
        .map_err(RunnerError::Start)?;
    handle.ended = Some(ended);
    Ok(handle)
}

/// The consumer group of a machine.
pub fn group_of<M: Machine>() -> String {
    format!("brokerx-{}", M::NAME)
}

impl RunnerHandle {
    /// Waits until the runner has ended as a whole. A partition that stops does not end it: the
    /// others go on, and the stopped one shows in health, metrics and logs until it did end.
    ///
    /// # Errors
    /// When another process took the instance name over, when a thread ended, or when partitions
    /// had stopped by a fault. The error is given once; after that this returns at once.
    pub async fn stopped(&mut self) -> Result<(), RunnerError> {
        let Some(ended) = &mut self.ended else {
            return Ok(());
        };
        let outcome = ended.await.unwrap_or(Err(RunnerError::ThreadEnded));
        self.ended = None;
        outcome
    }

    /// Stops within the limit of the options: reads no more, waits for acknowledgements, commits,
    /// takes last snapshots.
    ///
    /// # Errors
    /// As [`RunnerHandle::stopped`].
    pub async fn stop(mut self) -> Result<(), RunnerError> {
        self.board.stop_by(Instant::now() + self.stop_limit);
        self.stopped().await
    }
}

impl Drop for RunnerHandle {
    fn drop(&mut self) {
        self.board.stop_by(Instant::now() + self.stop_limit);
    }
}

/// The runtime for requests to the snapshot store and the schema registry, off the hot threads.
struct BackgroundRuntime(Option<Runtime>);

impl BackgroundRuntime {
    fn new(machine: &str) -> Result<Self, RunnerError> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(format!("{machine}-io"))
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(RunnerError::Start)
    }

    fn handle(&self) -> Handle {
        let runtime = self.0.as_ref().expect("it is taken only by drop");
        runtime.handle().clone()
    }
}

impl Drop for BackgroundRuntime {
    fn drop(&mut self) {
        // An ordinary drop waits, which panics on an async thread.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

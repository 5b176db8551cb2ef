//! The command `brokerx-topics`: topics, schemas, genesis and configuration of a cluster, and a look into topics.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use brokerx_schemas::{DeadLetter, Message, SCHEMAS};
use clap::{Parser, Subcommand};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::apply::{self, ClusterOptions};
use crate::catalogue;
use crate::passes::{Acceptance, Decision, accept_time, decide};
use crate::service::{PlatformOptions, log_filter, or_default};
use crate::tail::{TailOptions, tail};

/// Topics, schemas, genesis and configuration of a BrokerX cluster.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    platform: PlatformOptions,
    /// What is told on the way (to stderr)
    #[arg(long, env = "BROKERX_LOG", default_value = "info", global = true, value_parser = without_client)]
    log: Targets,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the topics, schemas and genesis records that are missing
    Apply {
        #[command(flatten)]
        cluster: ClusterOptions,
        /// The configuration that seeds a new log, YAML or JSON; the default one when not given
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Give the machines a new configuration, or show the one in force
    Config {
        #[command(flatten)]
        cluster: ClusterOptions,
        /// The whole configuration, YAML or JSON; without it the one in force is shown
        file: Option<PathBuf>,
        /// The machines' behaviour from here on, after the binaries that know it are deployed; without a
        /// file the configuration stays as it is
        #[arg(long)]
        logic_version: Option<i32>,
    },
    /// Tell where the cluster is not what the catalogue says; exit code 1 when it is not
    Diff {
        #[command(flatten)]
        cluster: ClusterOptions,
    },
    /// Show the records of a topic, one JSON object per line
    Tail {
        /// The topic
        topic: String,
        #[command(flatten)]
        options: TailOptions,
    },
    /// Show the records of clients that could not be used
    DeadLetters {
        #[command(flatten)]
        options: TailOptions,
    },
    /// Let every reader of a topic pass a record that nobody can read: see docs/operations.md
    Pass {
        #[command(flatten)]
        decision: Decision,
    },
    /// Let the machines use what was appended up to a time that has not come: see docs/operations.md
    AcceptTime {
        #[command(flatten)]
        acceptance: Acceptance,
    },
    /// Show who may read and write which topic, as arguments of Kafka's `kafka-acls.sh`, a line each
    Acls {
        /// Give these rights, and take back what else the same principals have; others' stay
        #[arg(long)]
        apply: bool,
        #[command(flatten)]
        cluster: ClusterOptions,
    },
    /// Write the documentation of the topics
    Docs {
        /// The file
        #[arg(long, default_value = "docs/topics.md")]
        out: PathBuf,
    },
}

/// A filter of the log. The command says itself what it waits for; `rdkafka=info` shows the Kafka client's view.
fn without_client(filter: &str) -> Result<Targets, String> {
    log_filter(&format!("librdkafka=off,rdkafka=off,{}", or_default(filter)))
}

/// Does what the command line says; 1 for drift, 2 for an error, which is told in one line.
pub fn main() -> ExitCode {
    let options = Options::parse();
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_target(false);
    tracing_subscriber::registry()
        .with(options.log.clone())
        .with(lines)
        .init();
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started");
    match runtime.and_then(|runtime| runtime.block_on(run(options))) {
        Ok(code) => code,
        // A reader such as `head` has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("brokerx-topics: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(Options { platform, command, .. }: Options) -> Result<ExitCode> {
    match command {
        Command::Apply { cluster, config } => {
            let config = config.as_deref().map(apply::read_config).transpose()?;
            let applied = apply::apply(&platform, &cluster, config.as_ref()).await?;
            if applied == apply::Applied::default() {
                println!("everything was there; nothing changed");
            } else {
                println!(
                    "topics made: {}, altered: {}; schemas changed: {}; geneses written: {}",
                    applied.topics_created, applied.topics_altered, applied.schemas_changed, applied.geneses_written
                );
                if let Some(config) = applied.seeded_with {
                    println!("the log was seeded with: {}", serde_json::to_string_pretty(&config)?);
                }
            }
        }
        Command::Config {
            cluster,
            file,
            logic_version,
        } => configure(&platform, &cluster, file, logic_version).await?,
        Command::Diff { cluster } => {
            let drifts = apply::drift(&platform, &cluster).await?;
            for drift in &drifts {
                println!("{drift}");
            }
            if !drifts.is_empty() {
                return Ok(ExitCode::from(1));
            }
            println!("the cluster is what the catalogue says");
        }
        Command::Tail { topic, options } => show(&platform, &topic, &options).await?,
        Command::DeadLetters { options } => show(&platform, DeadLetter::TOPIC, &options).await?,
        Command::Pass { decision } => {
            let place = format!("{}-{} offset {}", decision.topic, decision.partition, decision.offset);
            let wrong = decide(&platform, decision).await?;
            println!("{place} is passed by everybody from now on; what stood in the way: {wrong}");
        }
        Command::AcceptTime { acceptance } => {
            let what = format!("{} up to {}", acceptance.topic, acceptance.until);
            let partitions = accept_time(&platform, acceptance).await?;
            println!("{what} is used from now on; partitions: {partitions}");
        }
        Command::Acls { apply: true, cluster } => {
            let changed = apply::grant_rights(&platform, &cluster, &catalogue::acls()).await?;
            println!(
                "rights granted: {}, taken back: {}",
                changed.granted, changed.taken_back
            );
        }
        Command::Acls { apply: false, .. } => {
            let mut out = io::stdout().lock();
            for acl in catalogue::acls() {
                writeln!(out, "{acl}")?;
            }
        }
        Command::Docs { out } => write_docs(&out)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn configure(
    platform: &PlatformOptions,
    cluster: &ClusterOptions,
    file: Option<PathBuf>,
    logic_version: Option<i32>,
) -> Result<()> {
    let wanted = match &file {
        Some(file) => Some(apply::read_config(file)?),
        None => None,
    };
    let configured = match (wanted, logic_version) {
        (Some(config), _) => apply::configure(platform, cluster, &config, logic_version).await?,
        (None, None) => apply::current_config(platform, cluster).await?,
        (None, Some(_)) => {
            let config = apply::current_config(platform, cluster).await?.config;
            apply::configure(platform, cluster, &config, logic_version).await?
        }
    };
    eprintln!(
        "configuration version {}, logic version {}; records read: {}, appended: {}",
        configured.version, configured.logic_version, configured.records_read, configured.records_appended
    );
    println!("{}", serde_json::to_string_pretty(&configured.config)?);
    Ok(())
}

async fn show(platform: &PlatformOptions, topic: &str, options: &TailOptions) -> Result<()> {
    let out = io::stdout().lock();
    if options.follow {
        // Each line as it comes.
        tail(platform, topic, options, io::LineWriter::new(out)).await
    } else {
        tail(platform, topic, options, BufWriter::new(out)).await
    }
}

fn write_docs(out: &Path) -> Result<()> {
    let schema = |name: &str| {
        SCHEMAS
            .iter()
            .find(|(topic, _)| *topic == name)
            .map(|(_, schema)| *schema)
    };
    let text = catalogue::document(schema)?;
    std::fs::write(out, text).with_context(|| format!("{} cannot be written", out.display()))?;
    println!("{}", out.display());
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

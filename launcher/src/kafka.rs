//! A real Kafka as one local process: KRaft, broker and controller in one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::download::Downloads;
use crate::failure::{Failure, Result};
use crate::layout::Layout;
use crate::platform::Options;
use crate::ports::loopback;
use crate::prerequisites;
use crate::probe::Probe;
use crate::process::Spec;
use crate::secrets;
use crate::tool::run_logged;

const FORMAT_LIMIT: Duration = Duration::from_secs(60);

/// Writes the configuration and formats the data directory when that is not done yet.
///
/// # Errors
/// [`Failure::NotReady`] when the storage tool refuses, [`Failure::Io`].
pub fn prepare(layout: &Layout, options: &Options, downloads: &Downloads) -> Result<Spec> {
    let java = prerequisites::java()?;
    let data = layout.data().join("kafka");
    let configuration = layout.data().join("kafka.properties");
    if !data.join("meta.properties").is_file() {
        format_storage(layout, options, downloads, &java, &data)?;
    }
    write(&configuration, &properties(options, &data))?;
    let mut arguments = vec![
        format!("-Xms{}m", options.kafka_heap_mebibytes / 2),
        format!("-Xmx{}m", options.kafka_heap_mebibytes),
        "-XX:+UseG1GC".to_owned(),
        "-XX:MaxGCPauseMillis=20".to_owned(),
        "-XX:+ExplicitGCInvokesConcurrent".to_owned(),
    ];
    arguments.extend(java_arguments(layout, downloads));
    arguments.push("kafka.Kafka".to_owned());
    arguments.push(configuration.display().to_string());
    Ok(Spec {
        name: "kafka".to_owned(),
        program: java,
        arguments,
        environment: Vec::new(),
        directory: layout.data(),
        account: None,
        address: loopback(options.ports.kafka),
        probe: Probe::Kafka(loopback(options.ports.kafka)),
        ready_limit: Duration::from_secs(90),
        stop_signal: Signal::SIGTERM,
        stop_limit: Duration::from_secs(20),
        orphan_signal: options.orphan_signal(Signal::SIGTERM),
        log: layout.log("kafka"),
    })
}

/// Formats beside the place and renames: what a broken format left is never mistaken for data.
fn format_storage(layout: &Layout, options: &Options, downloads: &Downloads, java: &Path, data: &Path) -> Result<()> {
    let draft = data.with_file_name("kafka.new");
    let configuration = data.with_file_name("kafka-format.properties");
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(Failure::io(format!("cannot remove {}", draft.display())))?;
    }
    write(&configuration, &properties(options, &draft))?;
    let log = layout.log("kafka");
    let mut format = Command::new(java);
    format
        .arg("-Xmx128m")
        .args(java_arguments(layout, downloads))
        .args(["kafka.tools.StorageTool", "format", "--standalone"])
        .args(["--cluster-id", &cluster_id()?])
        .arg("--config")
        .arg(&configuration)
        .current_dir(layout.data());
    run_logged(format, &log, FORMAT_LIMIT, |reason| Failure::NotReady {
        name: "kafka".to_owned(),
        reason: "its storage could not be formatted".to_owned(),
        log: log.clone(),
        log_tail: reason,
    })?;
    let _ = fs::remove_file(&configuration);
    fs::rename(&draft, data).map_err(Failure::io(format!("cannot rename {}", draft.display())))
}

fn java_arguments(layout: &Layout, downloads: &Downloads) -> Vec<String> {
    vec![
        "-Djava.awt.headless=true".to_owned(),
        format!(
            "-Dlog4j2.configurationFile={}",
            layout.compose("maven/log4j2.properties").display()
        ),
        format!("-Dbrokerx.log={}", layout.log("kafka").display()),
        "-cp".to_owned(),
        format!("{}/*", downloads.kafka.display()),
    ]
}

/// A random cluster id in the form that Kafka takes: 22 characters of URL-safe base64. The first
/// is a letter, as an id that begins with `-` would look like an option.
fn cluster_id() -> Result<String> {
    let hex = secrets::random_hex(10)?;
    Ok(format!("B{}A", hex))
}

/// One broker: every internal topic has one replica, and few partitions, so that a start is quick.
fn properties(options: &Options, data: &Path) -> String {
    let broker = loopback(options.ports.kafka);
    let controller = loopback(options.ports.kafka_controller);
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.bootstrap.servers={controller}\n\
         listeners=BROKER://{broker},CONTROLLER://{controller}\n\
         advertised.listeners=BROKER://{broker}\n\
         listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=BROKER\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={data}\n\
         auto.create.topics.enable=false\n\
         unclean.leader.election.enable=false\n\
         default.replication.factor=1\n\
         min.insync.replicas=1\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=8\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=4\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         share.coordinator.state.topic.num.partitions=4\n\
         # A worker that dies is replaced after its session of 2 s; the broker's default floor is 6 s.\n\
         group.min.session.timeout.ms=1000\n\
         group.initial.rebalance.delay.ms=0\n\
         # After a crash the broker waits until its former self has expired; the default is 9 s.\n\
         broker.session.timeout.ms=3000\n\
         broker.heartbeat.interval.ms=500\n\
         log.cleaner.dedupe.buffer.size=33554432\n",
        data = data.display()
    )
}

fn write(path: &PathBuf, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Failure::io(format!("cannot write {}", path.display())))
}

//! A real Kafka as one local process, broker and controller in one; its settings are in
//! `compose/kafka`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::failure::{Failure, Result};
use crate::home::{Layout, files, secrets};
use crate::ports::loopback;
use crate::process::tool::run_logged;
use crate::process::{Probe, Spec};
use crate::requirements;

use super::compose;
use super::downloads::Downloads;
use super::options::Options;

const FORMAT_HEAP_MEBIBYTES: u32 = 128;
const FORMAT_LIMIT: Duration = Duration::from_secs(60);

/// Writes the configuration and formats the data directory when that is not done yet.
///
/// # Errors
/// [`Failure::NotReady`] when the storage tool refuses, [`Failure::Io`].
pub fn prepare(layout: &Layout, options: &Options, downloads: &Downloads) -> Result<Spec> {
    let java = requirements::java()?;
    let data = layout.data().join("kafka");
    let configuration = layout.data().join("kafka.properties");
    if !data.join("meta.properties").is_file() {
        format_storage(layout, options, downloads, &java, &data)?;
    }
    // What Kafka makes below it, it makes readable for everybody.
    files::directory(&data, 0o700)?;
    write(&configuration, &properties(options, &data)?)?;
    let mut arguments = java_options(layout, downloads, options.kafka_heap_mebibytes)?;
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

/// Formats a directory beside the final one and renames it: what a format that broke off has left is
/// never mistaken for data.
fn format_storage(layout: &Layout, options: &Options, downloads: &Downloads, java: &Path, data: &Path) -> Result<()> {
    let draft = data.with_file_name("kafka.new");
    let configuration = data.with_file_name("kafka-format.properties");
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(Failure::io(format!("cannot remove {}", draft.display())))?;
    }
    files::directory(&draft, 0o700)?;
    write(&configuration, &properties(options, &draft)?)?;
    let log = layout.log("kafka");
    let mut format = Command::new(java);
    format
        .args(java_options(layout, downloads, FORMAT_HEAP_MEBIBYTES)?)
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

fn java_options(layout: &Layout, downloads: &Downloads, heap_mebibytes: u32) -> Result<Vec<String>> {
    let values = [
        ("heap", heap_mebibytes.to_string()),
        ("heap_at_first", (heap_mebibytes / 2).to_string()),
        (
            "logging",
            layout.compose("kafka/log4j2.properties").display().to_string(),
        ),
        ("log", layout.log("kafka").display().to_string()),
        ("jars", downloads.kafka.display().to_string()),
    ];
    compose::lines(layout, "kafka/java.options", &values)
}

/// A random cluster id in the form that Kafka takes: 22 characters of URL-safe base64. The first
/// is a letter, as an id that begins with `-` would look like an option.
fn cluster_id() -> Result<String> {
    let hex = secrets::random_hex(10)?;
    Ok(format!("B{}A", hex))
}

fn properties(options: &Options, data: &Path) -> Result<String> {
    let values = [
        ("broker", loopback(options.ports.kafka).to_string()),
        ("controller", loopback(options.ports.kafka_controller).to_string()),
        ("data", data.display().to_string()),
    ];
    let lines = compose::lines(&options.layout, "kafka/server.properties", &values)?;
    Ok(format!(
        "# Made from compose/kafka/server.properties.\n{}\n",
        lines.join("\n")
    ))
}

fn write(path: &PathBuf, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Failure::io(format!("cannot write {}", path.display())))
}

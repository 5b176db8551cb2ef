//! A real Kafka as one local process, broker and controller in one; its settings are in
//! `compose/kafka`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::failure::{Failure, Result};
use crate::home::secrets::{self, KAFKA_USERS};
use crate::home::{Layout, Secrets, files};
use crate::ports::{Ports, loopback};
use crate::process::tool::run_logged;
use crate::process::{Probe, Spec, inherited};
use crate::requirements;

use super::compose;
use super::downloads::Downloads;
use super::options::Options;
use super::security::{Transport, certificates};

const FORMAT_HEAP_MEBIBYTES: u32 = 128;
const FORMAT_LIMIT: Duration = Duration::from_secs(60);

/// Writes the configuration and formats the data directory when that is not done yet.
///
/// # Errors
/// [`Failure::NotReady`] when the storage tool refuses, [`Failure::Io`].
pub fn prepare(layout: &Layout, options: &Options, downloads: &Downloads, secrets: &Secrets) -> Result<Spec> {
    let java = requirements::java()?;
    let data = layout.data().join("kafka");
    let configuration = layout.data().join("kafka.properties");
    if !data.join("meta.properties").is_file() {
        format_storage(layout, options, downloads, secrets, &java, &data)?;
    }
    // What Kafka makes below it, it makes readable for everybody.
    files::directory(&data, 0o700)?;
    files::private(&configuration, &properties(options, secrets, &data)?)?;
    let mut arguments = java_options(layout, downloads, options, options.kafka_heap_mebibytes)?;
    arguments.push("kafka.Kafka".to_owned());
    arguments.push(configuration.display().to_string());
    Ok(Spec {
        name: "kafka".to_owned(),
        program: java,
        arguments,
        inherits: inherited::BY_JAVA.into(),
        environment: Vec::new(),
        directory: layout.data(),
        account: None,
        address: loopback(options.ports.kafka),
        probe: probe(&options.ports, &options.transport),
        ready_limit: Duration::from_secs(90),
        stop_signal: Signal::SIGTERM,
        stop_limit: Duration::from_secs(20),
        orphan_signal: options.orphan_signal(Signal::SIGTERM),
        log: layout.log("kafka"),
    })
}

/// How to see that it serves.
pub fn probe(ports: &Ports, transport: &Transport) -> Probe {
    Probe::Kafka {
        address: loopback(ports.kafka),
        authority: transport.authority().map(Path::to_owned),
    }
}

/// Formats a directory beside the final one and renames it: what a format that broke off has left is
/// never mistaken for data.
///
/// The users of a secured Kafka are in its log from the start. Their passwords are told by a file: a command line
/// can be read by everybody.
fn format_storage(
    layout: &Layout,
    options: &Options,
    downloads: &Downloads,
    secrets: &Secrets,
    java: &Path,
    data: &Path,
) -> Result<()> {
    let draft = data.with_file_name("kafka.new");
    let configuration = data.with_file_name("kafka-format.properties");
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(Failure::io(format!("cannot remove {}", draft.display())))?;
    }
    files::directory(&draft, 0o700)?;
    files::private(&configuration, &properties(options, secrets, &draft)?)?;
    let log = layout.log("kafka");
    let mut arguments = java_options(layout, downloads, options, FORMAT_HEAP_MEBIBYTES)?;
    arguments.extend(["kafka.tools.StorageTool", "format", "--standalone"].map(str::to_owned));
    arguments.extend(["--cluster-id".to_owned(), cluster_id()?]);
    arguments.extend(["--config".to_owned(), configuration.display().to_string()]);
    if options.transport != Transport::Clear {
        for user in KAFKA_USERS {
            let password = secrets.kafka_password(user);
            let scram = format!("SCRAM-SHA-512=[name={user},password={password}]");
            arguments.extend(["--add-scram".to_owned(), scram]);
        }
    }
    let told = data.with_file_name("kafka-format.arguments");
    files::private(&told, &arguments_file(&arguments))?;
    let mut format = Command::new(java);
    format.arg(format!("@{}", told.display())).current_dir(layout.data());
    let formatted = run_logged(format, &log, FORMAT_LIMIT, |reason| Failure::NotReady {
        name: "kafka".to_owned(),
        reason: "its storage could not be formatted".to_owned(),
        log: log.clone(),
        log_tail: reason,
    });
    for file in [&told, &configuration] {
        let _ = fs::remove_file(file);
    }
    formatted?;
    fs::rename(&draft, data).map_err(Failure::io(format!("cannot rename {}", draft.display())))
}

fn java_options(layout: &Layout, downloads: &Downloads, options: &Options, heap_mebibytes: u32) -> Result<Vec<String>> {
    let values = [
        ("heap", heap_mebibytes.to_string()),
        ("heap_at_first", (heap_mebibytes / 2).to_string()),
        (
            "logging",
            layout.compose("kafka/log4j2.properties").display().to_string(),
        ),
        ("log", layout.log("kafka").display().to_string()),
        // A test looks at which rights are used; that is a line for each request.
        ("rights", if options.test { "debug" } else { "info" }.to_owned()),
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

/// The arguments of Java as it reads them from a file: quoted, with `\\` before a quote and before itself.
fn arguments_file(arguments: &[String]) -> String {
    let quoted = |argument: &String| {
        let escaped = argument.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"\n")
    };
    arguments.iter().map(quoted).collect()
}

fn properties(options: &Options, secrets: &Secrets, data: &Path) -> Result<String> {
    let layout = &options.layout;
    let mut values = vec![
        ("broker", loopback(options.ports.kafka).to_string()),
        ("controller", loopback(options.ports.kafka_controller).to_string()),
        ("data", data.display().to_string()),
    ];
    if let Some(authority) = options.transport.authority() {
        let certificate = certificates::of_server(layout, "kafka");
        values.push(("certificate", certificate.display().to_string()));
        values.push(("authority", authority.display().to_string()));
        values.push(("password", secrets.kafka_password("broker").to_owned()));
    }
    let name = options.transport.name();
    let mut lines = compose::lines(layout, "kafka/server.properties", &values)?;
    lines.extend(compose::lines(layout, &format!("kafka/{name}.properties"), &values)?);
    Ok(format!(
        "# Made from server.properties and {name}.properties in compose/kafka.\n{}\n",
        lines.join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_reads_arguments_as_they_are() {
        let arguments = ["-cp", "a b/*", "say \"no\" \\"].map(str::to_owned);
        assert_eq!(
            arguments_file(&arguments),
            "\"-cp\"\n\"a b/*\"\n\"say \\\"no\\\" \\\\\"\n"
        );
    }
}

//! The schema registry: Apicurio, with its schemas stored in Kafka.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::download::Downloads;
use crate::failure::Result;
use crate::layout::Layout;
use crate::platform::Options;
use crate::ports::{Ports, loopback};
use crate::prerequisites;
use crate::probe::Probe;
use crate::process::Spec;

/// The path of the Confluent-compatible API, which every client of BrokerX uses.
pub const CONFLUENT_PATH: &str = "/apis/ccompat/v7";

/// The base URL of that API.
pub fn url(ports: &Ports) -> String {
    format!("http://{}{CONFLUENT_PATH}", loopback(ports.registry))
}

/// How to run the registry; it needs no preparation, but a Kafka that is ready.
///
/// # Errors
/// When there is no Java.
pub fn spec(layout: &Layout, options: &Options, downloads: &Downloads) -> Result<Spec> {
    let address = loopback(options.ports.registry);
    let environment = [
        ("QUARKUS_HTTP_HOST", address.ip().to_string()),
        ("QUARKUS_HTTP_PORT", address.port().to_string()),
        ("QUARKUS_HTTP_ACCESS_LOG_ENABLED", "false".to_owned()),
        ("APICURIO_STORAGE_KIND", "kafkasql".to_owned()),
        (
            "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS",
            loopback(options.ports.kafka).to_string(),
        ),
        // The first poll of an idle journal waits this long; the default adds 5 s to each start.
        ("APICURIO_KAFKASQL_CONSUMER_POLL_TIMEOUT", "100".to_owned()),
    ];
    Ok(Spec {
        name: "registry".to_owned(),
        program: prerequisites::java()?,
        arguments: [
            "-Xms64m",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            // The registry is asked once per schema: start quickly, and leave the processors to
            // the pipeline.
            "-XX:TieredStopAtLevel=1",
            "-jar",
            "apicurio-registry-app-3.0.9-runner.jar",
        ]
        .map(str::to_owned)
        .to_vec(),
        environment: environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        directory: downloads.registry.clone(),
        account: None,
        address,
        probe: Probe::Http {
            address,
            path: format!("{CONFLUENT_PATH}/subjects"),
        },
        ready_limit: Duration::from_secs(120),
        stop_signal: Signal::SIGTERM,
        stop_limit: Duration::from_secs(10),
        orphan_signal: options.orphan_signal(Signal::SIGTERM),
        log: layout.log("registry"),
    })
}

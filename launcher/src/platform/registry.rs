//! The schema registry: Apicurio, with its schemas stored in Kafka; its settings are in
//! `compose/registry`.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::failure::Result;
use crate::home::Layout;
use crate::ports::{Ports, loopback};
use crate::process::{Probe, Spec};
use crate::requirements;

use super::compose;
use super::downloads::Downloads;
use super::options::Options;

/// The path of the Confluent-compatible API, which every client of BrokerX uses.
const CONFLUENT_PATH: &str = "/apis/ccompat/v7";

/// The base URL of that API.
pub fn url(ports: &Ports) -> String {
    format!("http://{}{CONFLUENT_PATH}", loopback(ports.registry))
}

/// How to see that it serves: the list of its subjects.
pub fn probe(ports: &Ports) -> Probe {
    Probe::Http {
        address: loopback(ports.registry),
        path: format!("{CONFLUENT_PATH}/subjects"),
    }
}

/// How to run the registry; it needs no preparation, but a Kafka that is ready.
///
/// # Errors
/// When there is no Java, or a file in `compose/registry` is not understood.
pub fn spec(layout: &Layout, options: &Options, downloads: &Downloads) -> Result<Spec> {
    let address = loopback(options.ports.registry);
    let environment = [
        ("host", address.ip().to_string()),
        ("port", address.port().to_string()),
        ("kafka", loopback(options.ports.kafka).to_string()),
    ];
    let version = [("version", downloads.registry_version.clone())];
    Ok(Spec {
        name: "registry".to_owned(),
        program: requirements::java()?,
        arguments: compose::lines(layout, "registry/java.options", &version)?,
        environment: compose::pairs(layout, "registry/environment.properties", &environment)?,
        directory: downloads.registry.clone(),
        account: None,
        address,
        probe: probe(&options.ports),
        ready_limit: Duration::from_secs(120),
        stop_signal: Signal::SIGTERM,
        stop_limit: Duration::from_secs(10),
        orphan_signal: options.orphan_signal(Signal::SIGTERM),
        log: layout.log("registry"),
    })
}

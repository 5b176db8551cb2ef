//! The schema registry: Apicurio, with its schemas stored in Kafka; its settings are in
//! `compose/registry`.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::failure::Result;
use crate::home::{Layout, Secrets, files};
use crate::ports::{Ports, loopback};
use crate::process::{Probe, Spec, inherited};
use crate::requirements;

use super::compose;
use super::downloads::Downloads;
use super::options::Options;
use super::security::{Transport, certificates, tokens};

/// The path of the Confluent-compatible API, which every client of BrokerX uses.
const CONFLUENT_PATH: &str = "/apis/ccompat/v7";

/// The base URL of that API.
pub fn url(ports: &Ports, transport: &Transport) -> String {
    format!("{}://{}{CONFLUENT_PATH}", transport.scheme(), loopback(ports.registry))
}

/// How to see that it serves: it says so of itself, to everybody, once what it stores is read.
pub fn probe(ports: &Ports, transport: &Transport) -> Probe {
    Probe::Http {
        address: loopback(ports.registry),
        path: "/health/ready".to_owned(),
        authority: transport.authority().map(Path::to_owned),
    }
}

/// How to run the registry. In a secured system what it is told of Kafka and of its clients is in a file of its
/// own, which nobody else can read.
///
/// # Errors
/// When there is no Java, or a file in `compose/registry` is not understood.
pub fn prepare(layout: &Layout, options: &Options, downloads: &Downloads, secrets: &Secrets) -> Result<Spec> {
    let address = loopback(options.ports.registry);
    let transport = &options.transport;
    let settings = layout.data().join("registry.properties");
    let mut environment = vec![
        ("host", address.ip().to_string()),
        ("port", address.port().to_string()),
        ("kafka", loopback(options.ports.kafka).to_string()),
    ];
    if let Some(authority) = transport.authority() {
        let values = [
            ("password", secrets.kafka_password("registry").to_owned()),
            ("authority", authority.display().to_string()),
        ];
        let of_kafka = compose::lines(layout, "registry/secured-kafka.properties", &values)?;
        let values = [
            ("public_key", tokens::public_key(layout)?),
            ("issuer", tokens::ISSUER.to_owned()),
        ];
        let of_clients = compose::lines(layout, "registry/secured-clients.properties", &values)?;
        let lines = [of_kafka, of_clients].concat();
        files::private(&settings, &(lines.join("\n") + "\n"))?;
        let certificate = certificates::of_server(layout, "registry");
        environment.push(("settings", settings.display().to_string()));
        environment.push(("certificate", certificate.display().to_string()));
    }
    let told = |name: &str| compose::pairs(layout, &format!("registry/{name}.properties"), &environment);
    let environment = [told("environment")?, told(transport.name())?].concat();
    let version = [("version", downloads.registry_version.clone())];
    Ok(Spec {
        name: "registry".to_owned(),
        program: requirements::java()?,
        arguments: compose::lines(layout, "registry/java.options", &version)?,
        inherits: inherited::BY_JAVA.into(),
        environment,
        directory: downloads.registry.clone(),
        account: None,
        address,
        probe: probe(&options.ports, transport),
        ready_limit: Duration::from_secs(120),
        stop_signal: Signal::SIGTERM,
        stop_limit: Duration::from_secs(10),
        orphan_signal: options.orphan_signal(Signal::SIGTERM),
        log: layout.log("registry"),
    })
}

//! The BrokerX processes as a table: what they are called, where they listen, what they are told.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::failure::{Failure, Result};
use crate::layout::Layout;
use crate::platform::Options;
use crate::ports::{Ports, loopback};
use crate::postgres;
use crate::probe::Probe;
use crate::process::Spec;
use crate::registry;
use crate::secrets::Secrets;

/// One kind of process.
#[derive(Debug)]
pub struct Service {
    /// Its name for people, logs and `BROKERX_INSTANCE`.
    pub name: &'static str,
    /// Its binary.
    pub binary: &'static str,
    /// Where its first instance listens (API or feed, metrics, health).
    pub port: fn(&Ports) -> u16,
}

/// All services, in the order of their start; they are stopped in the reverse order.
pub const SERVICES: [Service; 5] = [
    Service {
        name: "provider",
        binary: "brokerx-provider",
        port: |ports| ports.provider,
    },
    Service {
        name: "settlement",
        binary: "brokerx-settlement",
        port: |ports| ports.settlement,
    },
    Service {
        name: "matcher",
        binary: "brokerx-matcher",
        port: |ports| ports.matcher,
    },
    Service {
        name: "ingress",
        binary: "brokerx-ingress",
        port: |ports| ports.ingress,
    },
    Service {
        name: "notifier",
        binary: "brokerx-notifier",
        port: |ports| ports.notifier,
    },
];

/// Creates topics, schemas and genesis records; run before the services.
pub const TOPICS_BINARY: &str = "brokerx-topics";
/// Lists the instruments and manages operators.
pub const OPERATOR_BINARY: &str = "brokerx-operator";

/// The binaries that a system needs.
pub fn binaries() -> impl Iterator<Item = &'static str> {
    [TOPICS_BINARY, OPERATOR_BINARY]
        .into_iter()
        .chain(SERVICES.iter().map(|service| service.binary))
}

/// Where clients find the HTTP API.
pub fn public_url(ports: &Ports) -> String {
    format!("http://{}", loopback(ports.ingress))
}

/// Where clients find the WebSocket feed.
pub fn feed_url(ports: &Ports) -> String {
    format!("ws://{}/ws", loopback(ports.notifier))
}

/// What every process and every command of BrokerX is told by its environment.
pub fn environment(layout: &Layout, ports: &Ports, secrets: &Secrets) -> Vec<(String, String)> {
    let path = |path: PathBuf| path.display().to_string();
    [
        ("BROKERX_ROOT", path(layout.root().to_owned())),
        ("BROKERX_HOME", path(layout.home().to_owned())),
        ("BROKERX_KAFKA_BROKERS", loopback(ports.kafka).to_string()),
        ("BROKERX_SCHEMA_REGISTRY_URL", registry::url(ports)),
        ("BROKERX_DATABASE_URL", postgres::url(ports, secrets)),
        ("BROKERX_SNAPSHOT_DIR", path(layout.snapshots())),
        ("BROKERX_MAIL_DIR", path(layout.mail())),
        ("BROKERX_MAIL_KEY", secrets.mail_key.clone()),
        ("BROKERX_JWT_KEY", secrets.jwt_key.clone()),
        ("BROKERX_PROVIDER_URL", format!("http://{}", loopback(ports.provider))),
        // With the rest of the data: a provider that outlived the log would know other payments by the same ids.
        ("BROKERX_PROVIDER_DIR", path(layout.data().join("provider"))),
        ("BROKERX_PUBLIC_URL", public_url(ports)),
        ("BROKERX_INGRESS_URL", public_url(ports)),
        ("BROKERX_FEED_URL", feed_url(ports)),
        ("BROKERX_INSTRUMENTS_FILE", path(layout.compose("instruments.json"))),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .chain([(
        "BROKERX_LOG".to_owned(),
        std::env::var("BROKERX_LOG").unwrap_or_else(|_| "info".to_owned()),
    )])
    .collect()
}

/// How to run one instance of a service.
pub fn spec(service: &Service, index: u32, port: u16, options: &Options, secrets: &Secrets) -> Spec {
    let layout = &options.layout;
    let address = loopback(port);
    let name = instance_name(service.name, index);
    let mut environment = environment(layout, &options.ports, secrets);
    environment.push(("BROKERX_INSTANCE".to_owned(), format!("{}-{index}", service.name)));
    environment.push(("BROKERX_LISTEN".to_owned(), address.to_string()));
    Spec {
        log: layout.log(&name),
        name,
        program: layout.binary(service.binary),
        arguments: Vec::new(),
        environment,
        directory: layout.root().to_owned(),
        account: None,
        address,
        probe: Probe::Http {
            address,
            path: "/ready".to_owned(),
        },
        ready_limit: Duration::from_secs(60),
        stop_signal: Signal::SIGTERM,
        stop_limit: Duration::from_secs(15),
        orphan_signal: options.orphan_signal(Signal::SIGTERM),
    }
}

/// The name of an instance: the first one is called like its service.
pub fn instance_name(service: &str, index: u32) -> String {
    if index == 0 {
        service.to_owned()
    } else {
        format!("{service}-{index}")
    }
}

/// Fails when a binary has not been built.
///
/// # Errors
/// [`Failure::Build`] with the command that builds it.
pub fn check_binaries(layout: &Layout) -> Result<()> {
    match binaries().find(|binary| !layout.binary(binary).is_file()) {
        None => Ok(()),
        Some(binary) => Err(Failure::Build(format!(
            "{} is missing; build it with: cargo build --release --locked --workspace --bins",
            layout.binary(binary).display()
        ))),
    }
}

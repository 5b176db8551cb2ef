//! The BrokerX processes as a table: what they are called, what they do, where they listen.
//! `compose/README.md` shows the same; a test compares the two. What they are told is in
//! [`environment`](super::environment).

use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::ports::{Ports, loopback};

/// One kind of process.
#[derive(Debug)]
pub struct Service {
    /// Its name for people, logs and `BROKERX_INSTANCE`.
    pub name: &'static str,
    /// Its binary.
    pub binary: &'static str,
    /// Where its first instance listens (API or feed, metrics, health).
    pub port: fn(&Ports) -> u16,
    /// Where its first instance answers probes and shows its metrics, whatever the other port is busy
    /// with; none when that is only reached by those who run the system.
    pub admin_port: Option<fn(&Ports) -> u16>,
    /// Whether it has a certificate in a secured system. The others speak in clear to a proxy before them, or
    /// to those who run the system.
    pub has_certificate: bool,
    /// What it does, for people.
    pub purpose: &'static str,
}

impl Service {
    /// The ports of its first instance.
    pub fn ports(&self, ports: &Ports) -> ServicePorts {
        ServicePorts {
            main: (self.port)(ports),
            admin: self.admin_port.map(|port| port(ports)),
        }
    }
}

/// The ports of one instance.
#[derive(Clone, Copy, Debug)]
pub struct ServicePorts {
    /// As [`Service::port`].
    pub main: u16,
    /// As [`Service::admin_port`].
    pub admin: Option<u16>,
}

/// All services, in the order of their start; they are stopped in the reverse order.
pub const SERVICES: [Service; 5] = [
    Service {
        name: "provider",
        binary: "brokerx-provider",
        port: |ports| ports.provider,
        admin_port: None,
        has_certificate: true,
        purpose: "a simulated payment provider",
    },
    Service {
        name: "settlement",
        binary: "brokerx-settlement",
        port: |ports| ports.settlement,
        admin_port: None,
        has_certificate: false,
        purpose: "accounts, payments, the projection to PostgreSQL",
    },
    Service {
        name: "matcher",
        binary: "brokerx-matcher",
        port: |ports| ports.matcher,
        admin_port: None,
        has_certificate: false,
        purpose: "order books, market data",
    },
    Service {
        name: "ingress",
        binary: "brokerx-ingress",
        port: |ports| ports.ingress,
        admin_port: Some(|ports| ports.ingress_admin),
        has_certificate: false,
        purpose: "the HTTP API",
    },
    Service {
        name: "notifier",
        binary: "brokerx-notifier",
        port: |ports| ports.notifier,
        admin_port: Some(|ports| ports.notifier_admin),
        has_certificate: false,
        purpose: "the WebSocket feed, mails",
    },
];

/// Creates topics, schemas and genesis records; run before the services.
pub const TOPICS_BINARY: &str = "brokerx-topics";
/// Lists the instruments and manages operators.
pub const OPERATOR_BINARY: &str = "brokerx-operator";
/// The programs that only commands of the launcher run: each is built at its first use.
pub const TOOL_BINARIES: [&str; 3] = ["brokerx-demo", "brokerx-bench", "brokerx-match"];

/// The binaries that a system needs: what `up` builds.
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

/// Whether every binary that a system needs is there, whatever it was built from.
pub fn are_built(layout: &Layout) -> bool {
    binaries().all(|binary| layout.binary(binary).is_file())
}

/// Fails when a binary has not been built.
///
/// # Errors
/// [`Failure::Build`] with the command that builds it.
pub fn check_binaries(layout: &Layout) -> Result<()> {
    match binaries().find(|binary| !layout.binary(binary).is_file()) {
        None => Ok(()),
        Some(binary) => Err(Failure::Build(format!(
            "{} is missing; build it with: ./brokerx up",
            layout.binary(binary).display()
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_of_compose_shows_what_is_started() {
        let path = Layout::of_checkout().compose("README.md");
        let readme = std::fs::read_to_string(&path).unwrap();
        let ports = Ports::default();
        let services: String = SERVICES
            .iter()
            .map(|it| {
                let address = loopback((it.port)(&ports));
                let probed = it.admin_port.map(|port| format!(", probes on {}", port(&ports)));
                let probed = probed.unwrap_or_default();
                format!(
                    "| `{}` | `{}` | {address}{probed} | {} |\n",
                    it.name, it.binary, it.purpose
                )
            })
            .collect();
        assert!(
            readme.contains(&services),
            "{} must contain:\n{services}",
            path.display()
        );
        for (name, port) in [
            ("kafka", ports.kafka),
            ("postgres", ports.postgres),
            ("registry", ports.registry),
        ] {
            let address = loopback(port);
            let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            assert!(
                row.is_some_and(|row| row.contains(&format!("| {address} |"))),
                "{name}: {row:?}"
            );
        }
    }
}

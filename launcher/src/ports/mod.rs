//! The ports of a local system. Everything listens on loopback only.

mod holder;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::failure::{BusyPort, Failure, Result};

/// One port per component; each can be set by a flag or an environment variable.
///
/// A port that the record of an older launcher does not name is the default one.
#[derive(Debug, Clone, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct Ports {
    /// HTTP API.
    #[arg(long = "ingress-port", env = "BROKERX_INGRESS_PORT", default_value_t = DEFAULT.ingress)]
    pub ingress: u16,
    /// The ingress' metrics and health, whatever the API is busy with.
    #[arg(long = "ingress-admin-port", env = "BROKERX_INGRESS_ADMIN_PORT", default_value_t = DEFAULT.ingress_admin)]
    pub ingress_admin: u16,
    /// Schema registry.
    #[arg(long = "registry-port", env = "BROKERX_REGISTRY_PORT", default_value_t = DEFAULT.registry)]
    pub registry: u16,
    /// WebSocket feed.
    #[arg(long = "notifier-port", env = "BROKERX_NOTIFIER_PORT", default_value_t = DEFAULT.notifier)]
    pub notifier: u16,
    /// The notifier's metrics and health, whatever the feed is busy with.
    #[arg(long = "notifier-admin-port", env = "BROKERX_NOTIFIER_ADMIN_PORT", default_value_t = DEFAULT.notifier_admin)]
    pub notifier_admin: u16,
    /// Settlement's metrics and health.
    #[arg(long = "settlement-port", env = "BROKERX_SETTLEMENT_PORT", default_value_t = DEFAULT.settlement)]
    pub settlement: u16,
    /// The matcher's metrics and health.
    #[arg(long = "matcher-port", env = "BROKERX_MATCHER_PORT", default_value_t = DEFAULT.matcher)]
    pub matcher: u16,
    /// The simulated payment provider.
    #[arg(long = "provider-port", env = "BROKERX_PROVIDER_PORT", default_value_t = DEFAULT.provider)]
    pub provider: u16,
    /// Kafka's clients.
    #[arg(long = "kafka-port", env = "BROKERX_KAFKA_PORT", default_value_t = DEFAULT.kafka)]
    pub kafka: u16,
    /// Kafka's controller.
    #[arg(
        long = "kafka-controller-port",
        env = "BROKERX_KAFKA_CONTROLLER_PORT",
        default_value_t = DEFAULT.kafka_controller
    )]
    pub kafka_controller: u16,
    /// PostgreSQL.
    #[arg(long = "postgres-port", env = "BROKERX_POSTGRES_PORT", default_value_t = DEFAULT.postgres)]
    pub postgres: u16,
}

const DEFAULT: Ports = Ports {
    ingress: 8080,
    ingress_admin: 8094,
    registry: 8081,
    notifier: 8090,
    notifier_admin: 8095,
    settlement: 8091,
    matcher: 8092,
    provider: 8093,
    kafka: 9092,
    kafka_controller: 9093,
    postgres: 5433,
};

impl Default for Ports {
    fn default() -> Ports {
        DEFAULT
    }
}

impl Ports {
    /// Ports that nobody listens on now, for a test system beside a running one.
    ///
    /// They lie below the range that the kernel takes for outgoing connections, so that no client
    /// grabs one between this call and the component's own `bind`.
    ///
    /// # Panics
    /// When the machine has fewer than eleven free ports between 20,000 and 32,000.
    pub fn free() -> Ports {
        // Concurrent test processes begin at different places.
        let mut candidates = (0..12_000u32).map({
            let start = std::process::id().wrapping_mul(7_919) % 12_000;
            move |step| (20_000 + (start + step * 17) % 12_000) as u16
        });
        let mut next = || {
            candidates
                .by_ref()
                .find(|port| is_free(*port))
                .expect("a machine with thousands of ports has eleven free ones")
        };
        DEFAULT.map(|_| next())
    }

    /// One more port that nobody listens on and that is none of these, for a second instance.
    ///
    /// # Panics
    /// As [`Ports::free`].
    pub fn one_more(taken: &[u16]) -> u16 {
        (20_000..32_000)
            .rev()
            .find(|port| !taken.contains(port) && is_free(*port))
            .expect("a machine with thousands of ports has a free one")
    }

    /// Every port moved up, for a second system beside the first.
    ///
    /// # Errors
    /// [`Failure::Usage`] when there is no port so high, or when one would be moved to where another
    /// listens in the first system.
    pub fn shifted(&self, offset: u16) -> Result<Ports> {
        let moved = self.map(|port| port.saturating_add(offset));
        if offset == 0 {
            return Ok(moved);
        }
        let refuse =
            |why: String| Failure::Usage(format!("--port-offset {offset} {why}; 10000 keeps two systems apart"));
        for (wanted_by, port) in self.all() {
            let Some(port) = port.checked_add(offset) else {
                return Err(refuse(format!(
                    "leaves no port for {wanted_by}: {port} + {offset} is above 65535"
                )));
            };
            if let Some((held_by, _)) = self.all().into_iter().find(|(_, taken)| *taken == port) {
                return Err(refuse(format!(
                    "puts {wanted_by} on port {port}, where {held_by} of a system without it listens"
                )));
            }
        }
        Ok(moved)
    }

    /// All ports with the part that wants each.
    fn all(&self) -> Vec<(&'static str, u16)> {
        let mut all = self.of_platform();
        all.extend(self.of_services());
        all
    }

    fn map(&self, mut change: impl FnMut(u16) -> u16) -> Ports {
        Ports {
            ingress: change(self.ingress),
            ingress_admin: change(self.ingress_admin),
            registry: change(self.registry),
            notifier: change(self.notifier),
            notifier_admin: change(self.notifier_admin),
            settlement: change(self.settlement),
            matcher: change(self.matcher),
            provider: change(self.provider),
            kafka: change(self.kafka),
            kafka_controller: change(self.kafka_controller),
            postgres: change(self.postgres),
        }
    }

    /// The flags that say the same on a command line.
    pub fn to_flags(&self) -> Vec<String> {
        [
            ("ingress", self.ingress),
            ("ingress-admin", self.ingress_admin),
            ("registry", self.registry),
            ("notifier", self.notifier),
            ("notifier-admin", self.notifier_admin),
            ("settlement", self.settlement),
            ("matcher", self.matcher),
            ("provider", self.provider),
            ("kafka", self.kafka),
            ("kafka-controller", self.kafka_controller),
            ("postgres", self.postgres),
        ]
        .map(|(name, port)| format!("--{name}-port={port}"))
        .to_vec()
    }

    /// The platform's ports with the component that wants each.
    pub fn of_platform(&self) -> Vec<(&'static str, u16)> {
        vec![
            ("kafka", self.kafka),
            ("kafka controller", self.kafka_controller),
            ("registry", self.registry),
            ("postgres", self.postgres),
        ]
    }

    /// The services' ports with the service that wants each.
    pub fn of_services(&self) -> Vec<(&'static str, u16)> {
        vec![
            ("provider", self.provider),
            ("settlement", self.settlement),
            ("matcher", self.matcher),
            ("ingress", self.ingress),
            ("ingress's metrics and health", self.ingress_admin),
            ("notifier", self.notifier),
            ("notifier's metrics and health", self.notifier_admin),
        ]
    }
}

/// The loopback address with a port.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_ok()
}

/// Fails when any of the ports is held, and names all holders.
///
/// # Errors
/// [`Failure::PortsBusy`] with all busy ports, not just the first.
pub fn check_free(ports: &[(&'static str, u16)]) -> Result<()> {
    let busy: Vec<BusyPort> = ports
        .iter()
        .filter(|(_, port)| !is_free(*port))
        .map(|(wanted_by, port)| BusyPort {
            port: *port,
            wanted_by: (*wanted_by).to_owned(),
            holder: holder::of_port(*port),
        })
        .collect();
    if busy.is_empty() {
        return Ok(());
    }
    Err(Failure::PortsBusy(busy))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn free_ports_are_distinct_and_free() {
        let ports = Ports::free();
        let all: BTreeSet<u16> = ports.all().into_iter().map(|(_, port)| port).collect();
        assert_eq!(all.len(), 11);
        assert!(check_free(&ports.of_platform()).is_ok());
    }

    #[test]
    fn two_systems_have_no_port_in_common() {
        let first = Ports::default();
        let second = first.shifted(10_000).unwrap();
        let taken: BTreeSet<u16> = first.all().into_iter().map(|(_, port)| port).collect();
        assert!(second.all().iter().all(|(_, port)| !taken.contains(port)));
        assert_eq!(first.shifted(0).unwrap(), first);
        for (offset, text) in [
            (
                1_000,
                "puts provider on port 9093, where kafka controller of a system without it listens",
            ),
            (60_000, "leaves no port for kafka: 9092 + 60000 is above 65535"),
        ] {
            let failure = first.shifted(offset).unwrap_err();
            assert!(failure.to_string().contains(text), "{failure}");
            assert_eq!(failure.exit_code(), 2);
        }
    }

    #[test]
    fn a_busy_port_is_named_with_its_holder() {
        let listener = TcpListener::bind(loopback(0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let failure = check_free(&[("kafka", port)]).unwrap_err();
        assert_eq!(failure.exit_code(), 4);
        let message = failure.to_string();
        assert!(message.contains(&format!("port {port} (kafka)")), "{message}");
        assert!(message.contains(&format!("pid {}", std::process::id())), "{message}");
    }
}

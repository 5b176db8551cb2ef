//! The BrokerX processes as a table: what they are called, what they do, where they listen, what
//! they are told. `compose/README.md` shows the same; a test compares the two.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::failure::{Failure, Result};
use crate::home::{Layout, Secrets};
use crate::platform::{Options, Role, registry};
use crate::ports::{Ports, loopback};
use crate::process::{Probe, Spec};

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
        purpose: "a simulated payment provider",
    },
    Service {
        name: "settlement",
        binary: "brokerx-settlement",
        port: |ports| ports.settlement,
        admin_port: None,
        purpose: "accounts, payments, the projection to PostgreSQL",
    },
    Service {
        name: "matcher",
        binary: "brokerx-matcher",
        port: |ports| ports.matcher,
        admin_port: None,
        purpose: "order books, market data",
    },
    Service {
        name: "ingress",
        binary: "brokerx-ingress",
        port: |ports| ports.ingress,
        admin_port: Some(|ports| ports.ingress_admin),
        purpose: "the HTTP API",
    },
    Service {
        name: "notifier",
        binary: "brokerx-notifier",
        port: |ports| ports.notifier,
        admin_port: Some(|ports| ports.notifier_admin),
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

/// What the value of a variable is made of.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Where files are.
    pub layout: &'a Layout,
    /// Where everything listens.
    pub ports: &'a Ports,
    /// Keys and passwords.
    pub secrets: &'a Secrets,
    /// The binary that is told.
    pub program: &'a str,
}

/// Who is told something.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// Every process and every command: it is no secret.
    All,
    /// These binaries, which need it, and nobody else.
    Only(&'static [&'static str]),
}

/// A variable of the environment.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value in a system.
    pub value: fn(Facts<'_>) -> String,
    /// Who is told.
    pub told: Told,
    /// What it says, for people.
    pub meaning: &'static str,
}

impl Variable {
    fn is_for(&self, program: &str) -> bool {
        match self.told {
            Told::All => true,
            Told::Only(programs) => programs.contains(&program),
        }
    }
}

/// Who uses PostgreSQL, and as whom.
const DATABASE_USERS: [(&str, Role); 5] = [
    ("brokerx-ingress", Role::Ingress),
    (OPERATOR_BINARY, Role::Ingress),
    ("brokerx-settlement", Role::Settlement),
    ("brokerx-notifier", Role::Notifier),
    ("brokerx-bench", Role::Reader),
];

/// The variable that names the database, and the role in it.
pub const DATABASE_URL: &str = "BROKERX_DATABASE_URL";

/// What the processes and commands of BrokerX are told.
pub const ENVIRONMENT: [Variable; 18] = [
    Variable {
        name: "BROKERX_ROOT",
        value: |it| shown(it.layout.root().to_owned()),
        told: Told::All,
        meaning: "the checkout",
    },
    Variable {
        name: "BROKERX_HOME",
        value: |it| shown(it.layout.home().to_owned()),
        told: Told::All,
        meaning: "the home of this system",
    },
    Variable {
        name: "BROKERX_KAFKA_BROKERS",
        value: |it| loopback(it.ports.kafka).to_string(),
        told: Told::All,
        meaning: "Kafka",
    },
    Variable {
        name: "BROKERX_SCHEMA_REGISTRY_URL",
        value: |it| registry::url(it.ports),
        told: Told::All,
        meaning: "the schema registry, as Confluent's clients know it",
    },
    Variable {
        // With the rest of the data: another log has other ids.
        name: "BROKERX_SCHEMA_DIR",
        value: |it| shown(it.layout.data().join("schemas")),
        told: Told::All,
        meaning: "schemas that were met, for a start without the registry",
    },
    Variable {
        name: DATABASE_URL,
        value: |it| {
            let user = DATABASE_USERS.iter().find(|(program, _)| *program == it.program);
            user.map(|(_, role)| role.url(it.ports, it.secrets)).unwrap_or_default()
        },
        told: Told::Only(&[
            "brokerx-ingress",
            OPERATOR_BINARY,
            "brokerx-settlement",
            "brokerx-notifier",
            "brokerx-bench",
        ]),
        meaning: "PostgreSQL, as the role of this process, with its password",
    },
    Variable {
        name: "BROKERX_SNAPSHOT_DIR",
        value: |it| shown(it.layout.snapshots()),
        told: Told::All,
        meaning: "snapshots of the workers",
    },
    Variable {
        name: "BROKERX_MAIL_DIR",
        value: |it| shown(it.layout.mail()),
        told: Told::All,
        meaning: "mails as files",
    },
    Variable {
        name: "BROKERX_MAIL_KEY",
        value: |it| it.secrets.mail_key.clone(),
        told: Told::Only(&["brokerx-ingress", "brokerx-notifier"]),
        meaning: "derives the links and codes in mails",
    },
    Variable {
        name: "BROKERX_JWT_KEY",
        value: |it| it.secrets.jwt_key.clone(),
        told: Told::Only(&["brokerx-ingress", OPERATOR_BINARY]),
        meaning: "signs the tokens of clients",
    },
    Variable {
        name: "BROKERX_JWT_PUBLIC_KEY",
        value: |it| it.secrets.jwt_public_key.clone(),
        told: Told::Only(&["brokerx-notifier"]),
        meaning: "checks the tokens of clients; made from the key that signs",
    },
    Variable {
        name: "BROKERX_PROVIDER_URL",
        value: |it| format!("http://{}", loopback(it.ports.provider)),
        told: Told::All,
        meaning: "the payment provider",
    },
    Variable {
        // With the rest of the data: a provider that outlived the log would know other payments by the same ids.
        name: "BROKERX_PROVIDER_DIR",
        value: |it| shown(it.layout.data().join("provider")),
        told: Told::All,
        meaning: "the provider's own data",
    },
    Variable {
        name: "BROKERX_PUBLIC_URL",
        value: |it| public_url(it.ports),
        told: Told::All,
        meaning: "the HTTP API in links of mails",
    },
    Variable {
        name: "BROKERX_INGRESS_URL",
        value: |it| public_url(it.ports),
        told: Told::All,
        meaning: "the HTTP API for programs",
    },
    Variable {
        name: "BROKERX_FEED_URL",
        value: |it| feed_url(it.ports),
        told: Told::All,
        meaning: "the WebSocket feed for programs",
    },
    Variable {
        name: "BROKERX_INSTRUMENTS_FILE",
        value: |it| shown(it.layout.compose("instruments.json")),
        told: Told::All,
        meaning: "what is listed at the first start",
    },
    Variable {
        name: "BROKERX_LOG",
        value: |_| std::env::var("BROKERX_LOG").unwrap_or_else(|_| "info".to_owned()),
        told: Told::All,
        meaning: "the level of the logs, taken over from the launcher's own environment",
    },
];

fn shown(path: PathBuf) -> String {
    path.display().to_string()
}

/// What a program of BrokerX is told by its environment.
pub fn environment(layout: &Layout, ports: &Ports, secrets: &Secrets, program: &str) -> Vec<(String, String)> {
    let facts = Facts {
        layout,
        ports,
        secrets,
        program,
    };
    ENVIRONMENT
        .iter()
        .filter(|variable| variable.is_for(program))
        .map(|variable| (variable.name.to_owned(), (variable.value)(facts)))
        .collect()
}

/// How to see that a service on these ports can serve.
pub fn probe(ports: ServicePorts) -> Probe {
    Probe::Http {
        address: loopback(ports.admin.unwrap_or(ports.main)),
        path: "/ready".to_owned(),
    }
}

/// How to run one instance of a service.
pub fn spec(service: &Service, index: u32, ports: ServicePorts, options: &Options, secrets: &Secrets) -> Spec {
    let layout = &options.layout;
    let address = loopback(ports.main);
    let name = instance_name(service.name, index);
    let mut environment = environment(layout, &options.ports, secrets, service.binary);
    environment.push(("BROKERX_INSTANCE".to_owned(), format!("{}-{index}", service.name)));
    environment.push(("BROKERX_LISTEN".to_owned(), address.to_string()));
    if let Some(admin) = ports.admin {
        environment.push(("BROKERX_ADMIN_LISTEN".to_owned(), loopback(admin).to_string()));
    }
    Spec {
        log: layout.log(&name),
        name,
        program: layout.binary(service.binary),
        arguments: Vec::new(),
        environment,
        directory: layout.root().to_owned(),
        account: None,
        address,
        probe: probe(ports),
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

    fn names(programs: &[&str]) -> String {
        let short: Vec<_> = programs
            .iter()
            .map(|it| format!("`{}`", it.trim_start_matches("brokerx-")))
            .collect();
        short.join(", ")
    }

    /// The tables that `compose/README.md` has to contain.
    fn tables() -> [String; 2] {
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
        let layout = Layout::at("");
        let of = |text: &str| text.to_owned();
        let secrets = Secrets {
            jwt_key: of("(secret)"),
            mail_key: of("(secret)"),
            jwt_public_key: of("(no secret)"),
            database_password: of("PASSWORD"),
            ingress_password: of("PASSWORD"),
            settlement_password: of("PASSWORD"),
            notifier_password: of("PASSWORD"),
            reader_password: of("PASSWORD"),
        };
        let environment: String = ENVIRONMENT
            .iter()
            .map(|it| {
                let (program, told) = match it.told {
                    Told::All => ("", "all".to_owned()),
                    Told::Only(programs) => (programs[0], names(programs)),
                };
                let facts = Facts {
                    layout: &layout,
                    ports: &ports,
                    secrets: &secrets,
                    program,
                };
                let value = match it.name {
                    "BROKERX_LOG" => "info".to_owned(),
                    _ => (it.value)(facts),
                };
                let value = if value.is_empty() { ".".to_owned() } else { value };
                format!("| `{}` | `{value}` | {told} | {} |\n", it.name, it.meaning)
            })
            .collect();
        [services, environment]
    }

    /// For each program the secrets that its work needs. What is not named here must not be in its environment.
    const NEEDED: [(&str, &[&str]); 10] = [
        ("brokerx-provider", &[]),
        ("brokerx-matcher", &[]),
        ("brokerx-topics", &[]),
        ("brokerx-demo", &[]),
        ("brokerx-match", &[]),
        ("brokerx-settlement", &["settlement"]),
        // It derives the links in mails, which the ingress checks.
        ("brokerx-notifier", &["notifier", "mail"]),
        ("brokerx-ingress", &["ingress", "mail", "jwt"]),
        // `token-key` makes the public key of the one that signs.
        ("brokerx-operator", &["ingress", "jwt"]),
        ("brokerx-bench", &["reader"]),
    ];

    #[test]
    fn nobody_is_told_a_secret_that_it_does_not_use() {
        let told = Secrets {
            jwt_key: "<jwt>".to_owned(),
            mail_key: "<mail>".to_owned(),
            jwt_public_key: "public".to_owned(),
            database_password: "<owner>".to_owned(),
            ingress_password: "<ingress>".to_owned(),
            settlement_password: "<settlement>".to_owned(),
            notifier_password: "<notifier>".to_owned(),
            reader_password: "<reader>".to_owned(),
        };
        let all = ["jwt", "mail", "owner", "ingress", "settlement", "notifier", "reader"];
        let programs = binaries().chain(TOOL_BINARIES);
        for program in programs {
            let (_, needed) = NEEDED.iter().find(|(name, _)| *name == program).unwrap();
            let environment = environment(&Layout::at("/"), &Ports::default(), &told, program);
            for secret in all {
                let marked = format!("<{secret}>");
                let has = environment.iter().any(|(_, value)| value.contains(&marked));
                assert_eq!(has, needed.contains(&secret), "{program}: {secret}");
            }
        }
        // Whoever uses the database is told where it is.
        let Told::Only(users) = ENVIRONMENT.iter().find(|it| it.name == DATABASE_URL).unwrap().told else {
            panic!("a URL with a password is not for all");
        };
        assert_eq!(users, DATABASE_USERS.map(|(program, _)| program));
    }

    #[test]
    fn the_readme_of_compose_shows_what_is_started_and_what_it_is_told() {
        let path = Layout::of_checkout().compose("README.md");
        let readme = std::fs::read_to_string(&path).unwrap();
        for table in tables() {
            assert!(readme.contains(&table), "{} must contain:\n{table}", path.display());
        }
        let ports = Ports::default();
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

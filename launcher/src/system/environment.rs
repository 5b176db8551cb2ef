//! What the processes and commands of BrokerX are told by their environment, as a table. `compose/README.md`
//! shows the same; a test compares the two.

use std::path::PathBuf;

use crate::home::{Layout, Secrets};
use crate::platform::security::certificates;
use crate::platform::{Role, Transport, registry};
use crate::ports::{Ports, loopback};

use super::log_filter;
use super::services::{OPERATOR_BINARY, TOPICS_BINARY, feed_url, public_url};

/// What the value of a variable is made of.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Where files are.
    pub layout: &'a Layout,
    /// Where everything listens.
    pub ports: &'a Ports,
    /// Keys and passwords.
    pub secrets: &'a Secrets,
    /// How the parts of the system speak with each other.
    pub transport: &'a Transport,
    /// The binary that is told.
    pub program: &'a str,
}

impl Facts<'_> {
    fn is_secured(&self) -> bool {
        *self.transport != Transport::Clear
    }

    /// As whom the program proves itself to Kafka, where that is asked for.
    fn kafka_user(&self) -> Option<&'static str> {
        let known = KAFKA_CLIENTS.iter().find(|(program, _)| *program == self.program);
        known.map(|(_, user)| *user).filter(|_| self.is_secured())
    }

    /// As whom the program proves itself to the schema registry, where that is asked for.
    fn registry_token(&self) -> Option<String> {
        let known = REGISTRY_CLIENTS.iter().find(|(program, _)| *program == self.program);
        let (_, client) = known.filter(|_| self.is_secured())?;
        self.secrets.registry_tokens.get(client).cloned()
    }

    fn authority(self) -> Option<String> {
        self.transport.authority().map(|authority| shown(authority.to_owned()))
    }

    fn provider_certificate(self) -> Option<String> {
        self.is_secured()
            .then(|| shown(certificates::of_server(self.layout, "provider")))
    }
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
    /// Its value in a system; none where it is not told.
    pub value: fn(Facts<'_>) -> Option<String>,
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

/// Who uses Kafka, and as whom it is known there.
const KAFKA_CLIENTS: [(&str, &str); 6] = [
    ("brokerx-settlement", "settlement"),
    ("brokerx-matcher", "matcher"),
    ("brokerx-ingress", "ingress"),
    ("brokerx-notifier", "notifier"),
    (TOPICS_BINARY, "operators"),
    // It makes topics of its own, which no catalogue knows.
    ("brokerx-bench", "admin"),
];

/// Who uses the schema registry, and as whom it is known there.
const REGISTRY_CLIENTS: [(&str, &str); KAFKA_CLIENTS.len()] = [
    ("brokerx-settlement", "settlement"),
    ("brokerx-matcher", "matcher"),
    ("brokerx-ingress", "ingress"),
    ("brokerx-notifier", "notifier"),
    (TOPICS_BINARY, "operators"),
    // It reads schemas as everybody does.
    ("brokerx-bench", "readers"),
];

/// The programs that use Kafka, and with it the registry.
const KAFKA_PROGRAMS: [&str; KAFKA_CLIENTS.len()] = {
    let mut programs = [""; KAFKA_CLIENTS.len()];
    let mut index = 0;
    while index < programs.len() {
        programs[index] = KAFKA_CLIENTS[index].0;
        index += 1;
    }
    programs
};

/// The variable that names the user in Kafka.
pub const KAFKA_USER: &str = "BROKERX_KAFKA_USER";
/// The variable with its password.
pub const KAFKA_PASSWORD: &str = "BROKERX_KAFKA_PASSWORD";
/// The variable that names the database, and the role in it.
pub const DATABASE_URL: &str = "BROKERX_DATABASE_URL";

/// What the processes and commands of BrokerX are told.
pub const ENVIRONMENT: [Variable; 28] = [
    Variable {
        name: "BROKERX_ROOT",
        value: |it| Some(shown(it.layout.root().to_owned())),
        told: Told::All,
        meaning: "the checkout",
    },
    Variable {
        name: "BROKERX_HOME",
        value: |it| Some(shown(it.layout.home().to_owned())),
        told: Told::All,
        meaning: "the home of this system",
    },
    Variable {
        name: "BROKERX_KAFKA_BROKERS",
        value: |it| Some(loopback(it.ports.kafka).to_string()),
        told: Told::All,
        meaning: "Kafka",
    },
    Variable {
        name: "BROKERX_KAFKA_SECURITY",
        value: |it| Some(if it.is_secured() { "sasl-ssl" } else { "plaintext" }.to_owned()),
        told: Told::All,
        meaning: "how Kafka is spoken to",
    },
    Variable {
        name: "BROKERX_KAFKA_CA_FILE",
        value: |it| it.authority(),
        told: Told::All,
        meaning: "who certifies Kafka",
    },
    Variable {
        name: KAFKA_USER,
        value: |it| it.kafka_user().map(str::to_owned),
        told: Told::Only(&KAFKA_PROGRAMS),
        meaning: "as whom Kafka knows this process",
    },
    Variable {
        name: KAFKA_PASSWORD,
        value: |it| Some(it.secrets.kafka_password(it.kafka_user()?).to_owned()),
        told: Told::Only(&KAFKA_PROGRAMS),
        meaning: "its password there",
    },
    Variable {
        name: "BROKERX_SCHEMA_REGISTRY_URL",
        value: |it| Some(registry::url(it.ports, it.transport)),
        told: Told::All,
        meaning: "the schema registry, as Confluent's clients know it",
    },
    Variable {
        name: "BROKERX_SCHEMA_REGISTRY_CA_FILE",
        value: |it| it.authority(),
        told: Told::All,
        meaning: "who certifies the schema registry",
    },
    Variable {
        name: "BROKERX_SCHEMA_REGISTRY_TOKEN",
        value: |it| it.registry_token(),
        told: Told::Only(&KAFKA_PROGRAMS),
        meaning: "by which this process proves to the schema registry who it is",
    },
    Variable {
        // With the rest of the data: another log has other ids.
        name: "BROKERX_SCHEMA_DIR",
        value: |it| Some(shown(it.layout.data().join("schemas"))),
        told: Told::All,
        meaning: "schemas that were met, for a start without the registry",
    },
    Variable {
        name: DATABASE_URL,
        value: |it| {
            let user = DATABASE_USERS.iter().find(|(program, _)| *program == it.program);
            user.map(|(_, role)| role.url(it.ports, it.secrets, it.transport))
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
        value: |it| Some(shown(it.layout.snapshots())),
        told: Told::All,
        meaning: "snapshots of the workers",
    },
    Variable {
        name: "BROKERX_MAIL_DIR",
        value: |it| Some(shown(it.layout.mail())),
        told: Told::All,
        meaning: "mails as files",
    },
    Variable {
        name: "BROKERX_MAIL_KEY",
        value: |it| Some(it.secrets.mail_key.clone()),
        told: Told::Only(&["brokerx-ingress", "brokerx-notifier"]),
        meaning: "derives the links and codes in mails",
    },
    Variable {
        name: "BROKERX_JWT_KEY",
        value: |it| Some(it.secrets.jwt_key.clone()),
        told: Told::Only(&["brokerx-ingress", OPERATOR_BINARY]),
        meaning: "signs the tokens of clients",
    },
    Variable {
        name: "BROKERX_JWT_PUBLIC_KEY",
        value: |it| Some(it.secrets.jwt_public_key.clone()),
        told: Told::Only(&["brokerx-notifier"]),
        meaning: "checks the tokens of clients; made from the key that signs",
    },
    Variable {
        name: "BROKERX_PROVIDER_URL",
        value: |it| Some(format!("{}://{}", it.transport.scheme(), loopback(it.ports.provider))),
        told: Told::All,
        meaning: "the payment provider",
    },
    Variable {
        name: "BROKERX_PROVIDER_CA_FILE",
        value: |it| it.authority(),
        told: Told::Only(&["brokerx-settlement"]),
        meaning: "who certifies the payment provider",
    },
    Variable {
        name: "BROKERX_PROVIDER_TOKEN",
        value: |it| it.is_secured().then(|| it.secrets.provider_token.clone()),
        told: Told::Only(&["brokerx-settlement", "brokerx-provider"]),
        meaning: "by which settlement proves to the payment provider who it is",
    },
    Variable {
        name: "BROKERX_PROVIDER_CERTIFICATE_FILE",
        value: |it| it.provider_certificate(),
        told: Told::Only(&["brokerx-provider"]),
        meaning: "its certificate",
    },
    Variable {
        name: "BROKERX_PROVIDER_KEY_FILE",
        value: |it| it.provider_certificate(),
        told: Told::Only(&["brokerx-provider"]),
        meaning: "the key of its certificate, in the same file",
    },
    Variable {
        // With the rest of the data: a provider that outlived the log would know other payments by the same ids.
        name: "BROKERX_PROVIDER_DIR",
        value: |it| Some(shown(it.layout.data().join("provider"))),
        told: Told::All,
        meaning: "the provider's own data",
    },
    Variable {
        name: "BROKERX_PUBLIC_URL",
        value: |it| Some(public_url(it.ports)),
        told: Told::All,
        meaning: "the HTTP API in links of mails",
    },
    Variable {
        name: "BROKERX_INGRESS_URL",
        value: |it| Some(public_url(it.ports)),
        told: Told::All,
        meaning: "the HTTP API for programs",
    },
    Variable {
        name: "BROKERX_FEED_URL",
        value: |it| Some(feed_url(it.ports)),
        told: Told::All,
        meaning: "the WebSocket feed for programs",
    },
    Variable {
        name: "BROKERX_INSTRUMENTS_FILE",
        value: |it| Some(shown(it.layout.compose("instruments.json"))),
        told: Told::All,
        meaning: "what is listed at the first start",
    },
    Variable {
        name: log_filter::VARIABLE,
        value: |_| Some(log_filter::of_shell()),
        told: Told::All,
        meaning: "the level of the logs, taken over from the launcher's own environment",
    },
];

fn shown(path: PathBuf) -> String {
    path.display().to_string()
}

/// What a program of BrokerX is told by its environment.
pub fn environment(facts: Facts<'_>) -> Vec<(String, String)> {
    ENVIRONMENT
        .iter()
        .filter(|variable| variable.is_for(facts.program))
        .filter_map(|variable| Some((variable.name.to_owned(), (variable.value)(facts)?)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::services::{TOOL_BINARIES, binaries};
    use super::*;
    use crate::home::secrets::{self, KAFKA_USERS};

    fn names(programs: &[&str]) -> String {
        let short: Vec<_> = programs
            .iter()
            .map(|it| format!("`{}`", it.trim_start_matches("brokerx-")))
            .collect();
        short.join(", ")
    }

    /// Secrets that can be told from each other.
    fn marked(mark: impl Fn(&str) -> String) -> Secrets {
        Secrets {
            jwt_key: mark("jwt"),
            mail_key: mark("mail"),
            jwt_public_key: "(no secret)".to_owned(),
            database_password: mark("owner"),
            ingress_password: mark("ingress"),
            settlement_password: mark("settlement"),
            notifier_password: mark("notifier"),
            reader_password: mark("reader"),
            kafka_passwords: KAFKA_USERS.map(|user| (user, mark(&format!("kafka {user}")))).into(),
            registry_tokens: secrets::REGISTRY_CLIENTS
                .map(|(client, _)| (client, mark(&format!("registry {client}"))))
                .into(),
            provider_token: mark("provider"),
        }
    }

    /// The tables that `compose/README.md` has to contain: what is told in clear, and what differs in a secured
    /// system.
    fn tables() -> [String; 2] {
        let ports = Ports::default();
        let layout = Layout::at("");
        let secrets = marked(|name| {
            if ["jwt", "mail", "provider"].contains(&name) || name.starts_with("registry ") {
                "(secret)"
            } else {
                "PASSWORD"
            }
            .to_owned()
        });
        let secured = Transport::Secured {
            authority: certificates::authority(&layout),
        };
        let value = |it: &Variable, transport: &Transport| {
            let program = match it.told {
                Told::All => "",
                Told::Only(programs) => programs[0],
            };
            let facts = Facts {
                layout: &layout,
                ports: &ports,
                secrets: &secrets,
                transport,
                program,
            };
            let value = match it.name {
                log_filter::VARIABLE => Some("info".to_owned()),
                _ => (it.value)(facts),
            };
            value.map(|value| if value.is_empty() { ".".to_owned() } else { value })
        };
        let row = |it: &Variable, value: String| {
            let told = match it.told {
                Told::All => "all".to_owned(),
                Told::Only(programs) => names(programs),
            };
            format!("| `{}` | `{value}` | {told} | {} |\n", it.name, it.meaning)
        };
        let clear = ENVIRONMENT
            .iter()
            .filter_map(|it| Some((it, value(it, &Transport::Clear)?)));
        let differ = ENVIRONMENT.iter().filter_map(|it| Some((it, value(it, &secured)?)));
        let differ = differ.filter(|(it, told)| value(it, &Transport::Clear).as_ref() != Some(told));
        [
            clear.map(|(it, value)| row(it, value)).collect(),
            differ.map(|(it, value)| row(it, value)).collect(),
        ]
    }

    /// For each program the secrets that its work needs in any system, and those that it needs in a secured one.
    /// What is not named here must not be in its environment.
    const NEEDED: [(&str, &[&str], &[&str]); 10] = [
        ("brokerx-provider", &[], &["provider"]),
        ("brokerx-matcher", &[], &["kafka matcher", "registry matcher"]),
        ("brokerx-topics", &[], &["kafka operators", "registry operators"]),
        ("brokerx-demo", &[], &[]),
        ("brokerx-match", &[], &[]),
        (
            "brokerx-settlement",
            &["settlement"],
            &["kafka settlement", "registry settlement", "provider"],
        ),
        // It derives the links in mails, which the ingress checks.
        (
            "brokerx-notifier",
            &["notifier", "mail"],
            &["kafka notifier", "registry notifier"],
        ),
        (
            "brokerx-ingress",
            &["ingress", "mail", "jwt"],
            &["kafka ingress", "registry ingress"],
        ),
        // `token-key` makes the public key of the one that signs.
        ("brokerx-operator", &["ingress", "jwt"], &[]),
        ("brokerx-bench", &["reader"], &["kafka admin", "registry readers"]),
    ];

    #[test]
    fn nobody_is_told_a_secret_that_it_does_not_use() {
        let told = marked(|name| format!("<{name}>"));
        let kafka = KAFKA_USERS.map(|user| format!("kafka {user}"));
        let database = ["jwt", "mail", "owner", "ingress", "settlement", "notifier", "reader"];
        let registry = secrets::REGISTRY_CLIENTS.map(|(client, _)| format!("registry {client}"));
        let of_secured = kafka.iter().chain(&registry).map(String::as_str).chain(["provider"]);
        let all: Vec<&str> = database.into_iter().chain(of_secured).collect();
        let layout = Layout::at("/");
        let secured = Transport::Secured {
            authority: "/ca.pem".into(),
        };
        for transport in [&Transport::Clear, &secured] {
            for program in binaries().chain(TOOL_BINARIES) {
                let (_, needed, secured) = NEEDED.iter().find(|(name, ..)| *name == program).unwrap();
                let is_secured = *transport != Transport::Clear;
                let environment = environment(Facts {
                    layout: &layout,
                    ports: &Ports::default(),
                    secrets: &told,
                    transport,
                    program,
                });
                for secret in &all {
                    let marked = format!("<{secret}>");
                    let has = environment.iter().any(|(_, value)| value.contains(&marked));
                    let needs = needed.contains(secret) || (is_secured && secured.contains(secret));
                    assert_eq!(has, needs, "{program}: {secret}");
                }
            }
        }
        // Whoever uses the database is told where it is.
        let Told::Only(users) = ENVIRONMENT.iter().find(|it| it.name == DATABASE_URL).unwrap().told else {
            panic!("a URL with a password is not for all");
        };
        assert_eq!(users, DATABASE_USERS.map(|(program, _)| program));
    }

    #[test]
    fn the_readme_of_compose_shows_what_processes_are_told() {
        let path = Layout::of_checkout().compose("README.md");
        let readme = std::fs::read_to_string(&path).unwrap();
        for table in tables() {
            assert!(readme.contains(&table), "{} must contain:\n{table}", path.display());
        }
    }
}

//! The settings that a program of BrokerX takes over from whoever starts it, as `BROKERX_SMTP_HOST=... ./brokerx up`
//! does: each gets its own and no other's. What the launcher itself tells is in
//! [`environment`](super::environment). `compose/README.md` shows the same; a test compares the two, another one the
//! lists with the options in the sources.

use super::services::{OPERATOR_BINARY, TOPICS_BINARY};

/// What connections to a service that strangers reach may take.
const SERVER: [&str; 6] = [
    "BROKERX_CONNECTIONS_MAX",
    "BROKERX_CONNECTIONS_PER_ADDRESS_MAX",
    "BROKERX_HEAD_SECONDS_MAX",
    "BROKERX_KEEP_ALIVE_SECONDS_MAX",
    "BROKERX_TRUSTED_PROXIES",
    "BROKERX_WRITE_SECONDS_MAX",
];

/// How the market is kept in memory.
const MARKET: [&str; 2] = ["BROKERX_HEARTBEAT_AGE_MS_MAX", "BROKERX_SNAPSHOT_CYCLE_SECONDS"];

/// How machines are run.
const RUNNER: [&str; 2] = ["BROKERX_AHEAD_SECONDS_MAX", "BROKERX_APPLY_THREADS"];

const PROVIDER: [&str; 2] = ["BROKERX_PROVIDER_LATENCY_MS", "BROKERX_PROVIDER_TOKEN_FILE"];

const SETTLEMENT: [&str; 8] = [
    "BROKERX_PAYMENTS_OPEN_MAX",
    "BROKERX_PROJECTOR_BYTES_MAX",
    "BROKERX_PROJECTOR_LINGER_MS",
    "BROKERX_PROJECTOR_RECORDS_MAX",
    "BROKERX_PROVIDER_REQUESTS_MAX",
    "BROKERX_PROVIDER_TIMEOUT_MS",
    "BROKERX_PROVIDER_TOKEN_FILE",
    "BROKERX_SETTLEMENT_ONLY",
];

const INGRESS: [&str; 31] = [
    "BROKERX_ADDRESS_BURST",
    "BROKERX_ADDRESS_RATE",
    "BROKERX_BODY_BYTES_MAX",
    "BROKERX_CLIENT_BURST",
    "BROKERX_CLIENT_RATE",
    "BROKERX_CLOSED_KEY_SECONDS",
    "BROKERX_COLLAR_BPS",
    "BROKERX_COMMANDS_PER_DAY",
    "BROKERX_CONSISTENCY_MS_MAX",
    "BROKERX_CORS_ORIGINS",
    "BROKERX_DATABASE_CONNECTIONS_MAX",
    "BROKERX_DEADLINE_MS",
    "BROKERX_LINK_SECONDS",
    "BROKERX_LOGIN_AUDIT_DAYS",
    "BROKERX_LOGIN_FAILURES_MAX",
    "BROKERX_LOGIN_FAILURES_PER_ADDRESS_MAX",
    "BROKERX_LOGIN_FAILURES_PER_EMAIL_MAX",
    "BROKERX_LOGIN_WINDOW_SECONDS",
    "BROKERX_PASSWORD_THREADS",
    "BROKERX_PRICE_CENTS_MAX",
    "BROKERX_PRICE_CENTS_MIN",
    "BROKERX_REGISTRATION_BURST",
    "BROKERX_REGISTRATION_SECONDS",
    "BROKERX_REGISTRATION_THREADS",
    "BROKERX_REJECTION_SECONDS",
    "BROKERX_REMINDER_SECONDS",
    "BROKERX_REPLY_MS_MAX",
    "BROKERX_REPLY_PARTITION",
    "BROKERX_REQUEST_MS_MAX",
    "BROKERX_TOKEN_SECONDS",
    "BROKERX_WAITING_MAX",
];

const NOTIFIER: [&str; 26] = [
    "BROKERX_CONNECTIONS_PER_ACCOUNT_MAX",
    "BROKERX_DATABASE_CONNECTIONS_MAX",
    "BROKERX_IDLE_SECONDS_MAX",
    "BROKERX_MAIL_FROM",
    "BROKERX_MAIL_PATIENCE_SECONDS",
    "BROKERX_MAIL_PAUSE_SECONDS",
    "BROKERX_MESSAGES_BURST_MAX",
    "BROKERX_MESSAGES_PER_SECOND_MAX",
    "BROKERX_MESSAGE_BYTES_MAX",
    "BROKERX_PING_SECONDS",
    "BROKERX_QUEUE_MESSAGES_MAX",
    "BROKERX_SMTP_ANSWER_SECONDS_MAX",
    "BROKERX_SMTP_CA_FILE",
    "BROKERX_SMTP_CLEAR_TEXT",
    "BROKERX_SMTP_CONNECTIONS_MAX",
    "BROKERX_SMTP_CONNECT_SECONDS_MAX",
    "BROKERX_SMTP_HELLO",
    "BROKERX_SMTP_HOST",
    "BROKERX_SMTP_PASSWORD",
    "BROKERX_SMTP_PASSWORD_FILE",
    "BROKERX_SMTP_PORT",
    "BROKERX_SMTP_TLS",
    "BROKERX_SMTP_USER",
    "BROKERX_SUBSCRIPTIONS_MAX",
    "BROKERX_THROTTLE_MS",
    "BROKERX_TOKEN_IN_QUERY",
];

/// How many partitions a new log is begun with.
pub const PARTITIONS: &str = "BROKERX_PARTITIONS";
const TOPICS: [&str; 3] = ["BROKERX_MIN_INSYNC_REPLICAS", PARTITIONS, "BROKERX_REPLICATION_FACTOR"];
const OPERATOR: [&str; 1] = ["BROKERX_OPERATOR_KEY_LIFETIME"];
/// Of `demo` and `bench`.
const WITH_KEY: [&str; 1] = ["BROKERX_OPERATOR_KEY"];

/// Each program, and what it takes over.
const SETTINGS: [(&str, &[&[&str]]); 9] = [
    ("brokerx-provider", &[&PROVIDER]),
    ("brokerx-settlement", &[&SETTLEMENT, &RUNNER]),
    ("brokerx-matcher", &[&RUNNER]),
    ("brokerx-ingress", &[&INGRESS, &SERVER, &MARKET]),
    ("brokerx-notifier", &[&NOTIFIER, &SERVER, &MARKET]),
    (TOPICS_BINARY, &[&TOPICS]),
    (OPERATOR_BINARY, &[&OPERATOR]),
    ("brokerx-demo", &[&WITH_KEY]),
    ("brokerx-bench", &[&WITH_KEY]),
];

/// The variables that a program takes over when somebody has set them; none for a program that has no such.
pub fn settings(program: &str) -> Vec<&'static str> {
    let groups = SETTINGS.iter().find(|(name, _)| *name == program);
    groups.map_or_else(Vec::new, |(_, groups)| groups.concat())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::super::environment::ENVIRONMENT;
    use super::super::services::SERVICES;
    use super::*;
    use crate::home::Layout;
    use crate::process::inherited;

    /// Where the options of each program are in the sources.
    const SOURCES: [(&str, &[&str]); 9] = [
        ("brokerx-provider", &["settlement/src/provider"]),
        (
            "brokerx-settlement",
            &[
                "settlement/src/payments",
                "settlement/src/projector",
                "settlement/src/start",
                "topics/src/runner",
            ],
        ),
        ("brokerx-matcher", &["matcher/src", "topics/src/runner"]),
        (
            "brokerx-ingress",
            &["ingress/src/options.rs", "market/src", "topics/src/service/server"],
        ),
        (
            "brokerx-notifier",
            &["notifier/src", "market/src", "topics/src/service/server"],
        ),
        (TOPICS_BINARY, &["topics/src/apply"]),
        (OPERATOR_BINARY, &["ingress/src/operators"]),
        ("brokerx-demo", &["tests/client/src"]),
        ("brokerx-bench", &["bench/src"]),
    ];

    /// What no program need take over: what the launcher says, whatever the shell knows, as part of [`ENVIRONMENT`] or
    /// of an instance's spec; and what every child is left.
    fn told() -> BTreeSet<String> {
        let of_instance = ["BROKERX_INSTANCE", "BROKERX_LISTEN", "BROKERX_ADMIN_LISTEN"];
        let told = ENVIRONMENT.iter().map(|variable| variable.name);
        told.chain(of_instance)
            .chain(inherited::BY_ALL)
            .map(str::to_owned)
            .collect()
    }

    fn collect(path: &Path, options: &mut BTreeSet<String>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                collect(&entry.unwrap().path(), options);
            }
            return;
        }
        let text = fs::read_to_string(path).unwrap();
        let marked = text.split("env = \"").skip(1);
        options.extend(marked.map(|rest| rest.split('"').next().unwrap().to_owned()));
    }

    #[test]
    fn each_program_takes_over_the_options_that_it_has() {
        let root = Layout::of_checkout().root().to_owned();
        for (program, sources) in SOURCES {
            let mut options = BTreeSet::new();
            for source in sources {
                collect(&root.join(source), &mut options);
            }
            assert!(!options.is_empty(), "{program}");
            let options: BTreeSet<String> = options.difference(&told()).cloned().collect();
            let taken = settings(program).into_iter().map(str::to_owned).collect();
            assert_eq!(options, taken, "{program}");
        }
    }

    #[test]
    fn the_readme_of_compose_shows_what_is_taken_over() {
        let path = Layout::of_checkout().compose("README.md");
        let readme = fs::read_to_string(&path).unwrap();
        let listed = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        let mut rows = format!("| every process | {} |\n", listed(&inherited::BY_ALL));
        rows += &format!("| Kafka, the registry | {} |\n", listed(&inherited::BY_JAVA));
        for service in &SERVICES {
            rows += &format!("| `{}` | {} |\n", service.name, listed(&settings(service.binary)));
        }
        assert!(readme.contains(&rows), "{} must contain:\n{rows}", path.display());
    }
}

//! Keys and passwords of a local system: random, made at the first start, readable by the owner.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::layout::Layout;
use crate::failure::{Failure, Result};

/// Whom the Kafka of a secured system knows. `admin` may do everything; no service is told its password. `broker` is
/// Kafka itself; the others have the rights of the topic catalogue.
pub const KAFKA_USERS: [&str; 9] = [
    "admin",
    "broker",
    "registry",
    "operators",
    "settlement",
    "matcher",
    "ingress",
    "notifier",
    "readers",
];

/// Whom the schema registry of a secured system knows, and the role that each has there: a name of Apicurio's. The
/// one makes the schemas what the catalogue says; the others read.
pub const REGISTRY_CLIENTS: [(&str, &str); 6] = [
    ("operators", "sr-developer"),
    ("settlement", "sr-readonly"),
    ("matcher", "sr-readonly"),
    ("ingress", "sr-readonly"),
    ("notifier", "sr-readonly"),
    ("readers", "sr-readonly"),
];

/// Where the token of one of [`REGISTRY_CLIENTS`] is.
pub fn registry_token(layout: &Layout, client: &str) -> PathBuf {
    layout.secrets().join(format!("registry-token-{client}"))
}

/// The secrets of one system. Not printable: they must not get into a log.
#[derive(Clone)]
pub struct Secrets {
    /// Signs the tokens of clients, 32 bytes in hexadecimal.
    pub jwt_key: String,
    /// Derives the links and codes in mails, 32 bytes in hexadecimal.
    pub mail_key: String,
    /// What the tokens are checked with; no secret, and empty until the system has asked for it.
    pub jwt_public_key: String,
    /// Password of the database's owner.
    pub database_password: String,
    /// Password of the ingress's role in the database.
    pub ingress_password: String,
    /// Password of settlement's role.
    pub settlement_password: String,
    /// Password of the notifier's role.
    pub notifier_password: String,
    /// Password of the role that reads the projection.
    pub reader_password: String,
    /// Passwords of [`KAFKA_USERS`]; used in a secured system.
    pub kafka_passwords: BTreeMap<&'static str, String>,
    /// Tokens of [`REGISTRY_CLIENTS`]; empty in a system that speaks in clear.
    pub registry_tokens: BTreeMap<&'static str, String>,
    /// By which settlement proves to the payment provider who it is; used in a secured system.
    pub provider_token: String,
}

impl Secrets {
    /// Reads the secrets, making those that are not there yet. Tokens for the registry are not: they are signed by
    /// a start of the platform, before this.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn load_or_create(layout: &Layout) -> Result<Secrets> {
        let kafka_password = |user| Ok((user, load_or_create(layout, &format!("kafka-password-{user}"), 16)?));
        let token = |(client, _)| Some((client, fs::read_to_string(registry_token(layout, client)).ok()?));
        Ok(Secrets {
            jwt_key: load_or_create(layout, "jwt-key", 32)?,
            mail_key: load_or_create(layout, "mail-key", 32)?,
            jwt_public_key: String::new(),
            database_password: load_or_create(layout, "database-password", 16)?,
            ingress_password: load_or_create(layout, "database-password-ingress", 16)?,
            settlement_password: load_or_create(layout, "database-password-settlement", 16)?,
            notifier_password: load_or_create(layout, "database-password-notifier", 16)?,
            reader_password: load_or_create(layout, "database-password-reader", 16)?,
            kafka_passwords: KAFKA_USERS.into_iter().map(kafka_password).collect::<Result<_>>()?,
            registry_tokens: REGISTRY_CLIENTS.into_iter().filter_map(token).collect(),
            provider_token: load_or_create(layout, "provider-token", 32)?,
        })
    }

    /// The password of one of [`KAFKA_USERS`].
    ///
    /// # Panics
    /// When there is no such user.
    pub fn kafka_password(&self, user: &str) -> &str {
        let password = self.kafka_passwords.get(user);
        password.unwrap_or_else(|| panic!("Kafka knows no {user}"))
    }
}

fn load_or_create(layout: &Layout, name: &str, bytes: usize) -> Result<String> {
    let path = layout.secrets().join(name);
    let context = format!("secret {}", path.display());
    if let Ok(secret) = fs::read_to_string(&path)
        && secret.len() == bytes * 2
    {
        return Ok(secret);
    }
    let secret = random_hex(bytes)?;
    // Written beside and renamed: a half-written key is never used.
    let draft = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(secret.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)
    };
    write().map_err(Failure::io(context))?;
    Ok(secret)
}

/// Random bytes from the kernel, in hexadecimal.
///
/// # Errors
/// When `/dev/urandom` cannot be read.
pub fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0u8; bytes];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(Failure::io("cannot read /dev/urandom"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

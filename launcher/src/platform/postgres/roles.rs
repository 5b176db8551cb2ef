//! The roles of the database: its owner, and one for each kind of process that uses it. They are made by
//! `compose/postgres/roles.sql`; what each may do is granted by the migrations.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::failure::{Failure, Result};
use crate::home::{Layout, Secrets};
use crate::platform::compose;
use crate::platform::security::Transport;
use crate::ports::{Ports, loopback};

use super::place::Place;

/// The database, and the role that owns it.
pub const DATABASE: &str = "brokerx";

const FILE: &str = "postgres/roles.sql";

/// Who somebody is to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Migrates and grants; no process runs as this one.
    Owner,
    /// The HTTP API and the operators' command line.
    Ingress,
    /// The projector.
    Settlement,
    /// The feed and the mails.
    Notifier,
    /// Reads the projection.
    Reader,
}

impl Role {
    /// Its name in PostgreSQL.
    pub fn name(self) -> &'static str {
        match self {
            Role::Owner => DATABASE,
            Role::Ingress => "brokerx_ingress",
            Role::Settlement => "brokerx_settlement",
            Role::Notifier => "brokerx_notifier",
            Role::Reader => "brokerx_reader",
        }
    }

    /// Its password.
    pub fn password(self, secrets: &Secrets) -> &str {
        match self {
            Role::Owner => &secrets.database_password,
            Role::Ingress => &secrets.ingress_password,
            Role::Settlement => &secrets.settlement_password,
            Role::Notifier => &secrets.notifier_password,
            Role::Reader => &secrets.reader_password,
        }
    }

    /// The connection URL of the database as this role.
    pub fn url(self, ports: &Ports, secrets: &Secrets, transport: &Transport) -> String {
        let verified = transport.authority().map(|authority| {
            let authority = encoded(&authority.display().to_string());
            format!("?sslmode=verify-full&sslrootcert={authority}")
        });
        format!(
            "postgres://{}:{}@{}/{DATABASE}{}",
            self.name(),
            self.password(secrets),
            loopback(ports.postgres),
            verified.unwrap_or_default()
        )
    }
}

/// A path as a value in a URL.
fn encoded(path: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(byte).collect()
}

/// Makes the roles of a cluster that does not run, and gives them the passwords of this system. What was made
/// is noted beside the data, so that a start has to do it only when something of it has changed.
///
/// # Errors
/// When the file is not understood, or PostgreSQL refuses.
pub(super) fn make(place: &Place, layout: &Layout, secrets: &Secrets) -> Result<()> {
    let value = |name, role: Role| (name, role.password(secrets).to_owned());
    let values = [
        value("ingress", Role::Ingress),
        value("settlement", Role::Settlement),
        value("notifier", Role::Notifier),
        value("reader", Role::Reader),
    ];
    let lines = compose::lines(layout, FILE, &values)?;
    let statements: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !line.starts_with("--"))
        .collect();
    let sql = format!("{}\n", statements.join("\n"));
    let made = place.data.join("brokerx-roles.sql");
    if fs::read_to_string(&made).is_ok_and(|made| made == sql) {
        return Ok(());
    }
    place.in_single_user_mode(
        layout,
        &place.data,
        DATABASE,
        &sql,
        "cannot make the roles of the database",
    )?;
    note(&made, &sql).map_err(Failure::io(format!("cannot write {}", made.display())))
}

/// Readable for the launcher's account alone, since it has the passwords in it.
fn note(path: &PathBuf, sql: &str) -> std::io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(sql.as_bytes())
}

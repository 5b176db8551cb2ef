//! The certificates of a secured system: an authority of the home's own, and a certificate for each server,
//! made by the program `openssl` as `compose/certificates` says, in `secrets/tls`.
//!
//! Key and certificate of a server are one file, which is made beside its place and renamed: a key without its
//! certificate is never used. At each start those that will soon end are made anew.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::compose;
use super::openssl::OpenSsl;
use crate::failure::{Failure, Result};
use crate::home::{Layout, files, secrets};

/// The servers that prove who they are.
pub const SERVERS: [&str; 4] = ["kafka", "postgres", "registry", "provider"];

const DAY_S: u64 = 24 * 3600;
/// How long certificates are good for, days. An authority is renewed when it would not outlive a server's
/// certificate that is made now.
const AUTHORITY_DAYS: u64 = 3650;
const SERVER_DAYS: u64 = 365;
const AUTHORITY_LEFT_DAYS: u64 = SERVER_DAYS + SERVER_LEFT_DAYS;
/// A server's certificate with less than this left, days, is renewed at the next start.
const SERVER_LEFT_DAYS: u64 = 60;

/// The certificate of the authority, for those who must believe the servers.
pub fn authority(layout: &Layout) -> PathBuf {
    folder(layout).join("ca.pem")
}

/// Key and certificate of a server, in one file.
pub fn of_server(layout: &Layout, server: &str) -> PathBuf {
    folder(layout).join(format!("{server}.pem"))
}

fn folder(layout: &Layout) -> PathBuf {
    layout.secrets().join("tls")
}

/// Makes what is missing, ends soon, or is of another authority.
///
/// # Errors
/// When `openssl` is not there or refuses, or a file cannot be written.
pub fn prepare(layout: &Layout) -> Result<()> {
    let maker = Maker {
        layout,
        openssl: OpenSsl::of(layout)?,
        draft: folder(layout).join("draft"),
    };
    files::directory(&folder(layout), 0o700)?;
    files::directory(&maker.draft, 0o700)?;
    let made = maker.authority().and_then(|()| {
        let mut servers = SERVERS.iter();
        servers.try_for_each(|server| maker.server(server))
    });
    let _ = fs::remove_dir_all(&maker.draft);
    made
}

struct Maker<'a> {
    layout: &'a Layout,
    openssl: OpenSsl,
    /// A folder for what is half done.
    draft: PathBuf,
}

impl Maker<'_> {
    fn authority(&self) -> Result<()> {
        let whole = folder(self.layout).join("authority.pem");
        if !self.lasts(&whole, AUTHORITY_LEFT_DAYS) {
            let settings = self.settings("authority", &[])?;
            let (key, certificate) = (self.draft("key"), self.draft("certificate"));
            self.openssl.run("make an authority", |openssl| {
                new_key(openssl.args(["req", "-x509"]), &settings, &key)
                    .args(["-days", &AUTHORITY_DAYS.to_string(), "-out"])
                    .arg(&certificate);
            })?;
            self.join([&key, &certificate], &whole)?;
        }
        let certificate = self.draft("ca");
        self.openssl.run("read the authority", |openssl| {
            openssl.arg("x509").arg("-in").arg(&whole).arg("-out").arg(&certificate);
        })?;
        self.join([&certificate], &authority(self.layout))
    }

    fn server(&self, server: &str) -> Result<()> {
        let whole = of_server(self.layout, server);
        if self.lasts(&whole, SERVER_LEFT_DAYS) && self.is_certified(&whole) {
            return Ok(());
        }
        let settings = self.settings("server", &[("name", server.to_owned())])?;
        let (key, request, certificate) = (self.draft("key"), self.draft("request"), self.draft("certificate"));
        let what = format!("certify {server}");
        self.openssl.run(&what, |openssl| {
            new_key(openssl.arg("req"), &settings, &key)
                .arg("-new")
                .arg("-out")
                .arg(&request);
        })?;
        let serial = format!("0x{}", secrets::random_hex(15)?);
        let authority = folder(self.layout).join("authority.pem");
        self.openssl.run(&what, |openssl| {
            openssl.args([
                "x509",
                "-req",
                "-days",
                &SERVER_DAYS.to_string(),
                "-set_serial",
                &serial,
            ]);
            for (option, file) in [
                ("-in", &request),
                ("-CA", &authority),
                ("-CAkey", &authority),
                ("-extfile", &settings),
                ("-out", &certificate),
            ] {
                openssl.arg(option).arg(file);
            }
            openssl.args(["-extensions", "extensions"]);
        })?;
        self.join([&key, &certificate], &whole)
    }

    /// Whether a certificate is there and good for so many days.
    fn lasts(&self, certificate: &Path, days: u64) -> bool {
        let left_s = (days * DAY_S).to_string();
        let lasts = |openssl: &mut Command| {
            openssl
                .args(["x509", "-noout", "-checkend", &left_s, "-in"])
                .arg(certificate);
        };
        certificate.is_file() && self.openssl.confirms(lasts)
    }

    fn is_certified(&self, certificate: &Path) -> bool {
        self.openssl.confirms(|openssl| {
            openssl
                .arg("verify")
                .arg("-CAfile")
                .arg(authority(self.layout))
                .arg(certificate);
        })
    }

    /// What `openssl` is told of one kind of certificate.
    fn settings(&self, kind: &str, values: &[compose::Value<'_>]) -> Result<PathBuf> {
        let lines = compose::lines(self.layout, &format!("certificates/{kind}.cnf"), values)?;
        let path = self.draft(kind);
        files::private(&path, &(lines.join("\n") + "\n"))?;
        Ok(path)
    }

    fn draft(&self, name: &str) -> PathBuf {
        self.draft.join(name)
    }

    /// Puts files behind each other at their place.
    fn join<const N: usize>(&self, parts: [&PathBuf; N], place: &Path) -> Result<()> {
        let context = format!("cannot write {}", place.display());
        let mut text = String::new();
        for part in parts {
            text += &fs::read_to_string(part).map_err(Failure::io(context.clone()))?;
        }
        let whole = self.draft("whole");
        files::private(&whole, &text)?;
        fs::set_permissions(&whole, Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&whole, place))
            .map_err(Failure::io(context))
    }
}

fn new_key<'a>(openssl: &'a mut Command, settings: &Path, key: &Path) -> &'a mut Command {
    openssl
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .arg("-keyout")
        .arg(key)
        .arg("-config")
        .arg(settings)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_private_kept_and_renewed_with_their_authority() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::of_checkout().with_home(root.path());
        layout.create().unwrap();
        prepare(&layout).unwrap();
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        let all = || SERVERS.map(|server| read(of_server(&layout, server)));
        let (first, trusted) = (all(), read(authority(&layout)));
        assert!(!trusted.contains("PRIVATE KEY"), "what is believed is no secret");
        for entry in fs::read_dir(folder(&layout)).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(
                entry.metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{entry:?}"
            );
        }
        prepare(&layout).unwrap();
        assert_eq!(all(), first, "they are good for a year");
        fs::remove_file(of_server(&layout, "kafka")).unwrap();
        prepare(&layout).unwrap();
        let second = all();
        assert_ne!(second[0], first[0]);
        assert_eq!(second[1..], first[1..]);
        fs::remove_file(folder(&layout).join("authority.pem")).unwrap();
        prepare(&layout).unwrap();
        assert_ne!(read(authority(&layout)), trusted);
        let third = all();
        assert!(second.iter().zip(&third).all(|(old, new)| old != new));
    }

    #[test]
    fn what_ends_soon_does_not_last() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::of_checkout().with_home(root.path());
        layout.create().unwrap();
        prepare(&layout).unwrap();
        let maker = Maker {
            layout: &layout,
            openssl: OpenSsl::of(&layout).unwrap(),
            draft: folder(&layout),
        };
        let server = of_server(&layout, "kafka");
        assert!(maker.lasts(&server, SERVER_LEFT_DAYS));
        assert!(!maker.lasts(&server, SERVER_DAYS + 1));
        assert!(!maker.lasts(Path::new("/does/not/exist"), 1));
    }
}

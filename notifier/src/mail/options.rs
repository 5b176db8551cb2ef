//! How mails are written and where they go: the configuration, from the command line or the environment.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::ensure;
use brokerx_identity::keys::SecretKey;
use brokerx_topics::service::Password;
use clap::ValueEnum;
use lettre::message::Mailbox;

/// What mails say, and where they go.
#[derive(clap::Args, Clone, Debug)]
pub struct MailOptions {
    /// Key that signs links in mails: hexadecimal, at least 32 bytes; the ingress needs the same
    #[arg(long, env = "BROKERX_MAIL_KEY", hide_env_values = true)]
    pub mail_key: SecretKey,
    /// Where mails are written as `*.eml`, unless there is a mail server
    #[arg(long, env = "BROKERX_MAIL_DIR", default_value = ".brokerx/mail")]
    pub mail_dir: PathBuf,
    /// The sender of mails
    #[arg(
        long,
        env = "BROKERX_MAIL_FROM",
        default_value = "BrokerX <no-reply@brokerx.localhost>"
    )]
    pub mail_from: Mailbox,
    /// Where clients find the HTTP API; links in mails begin with this
    #[arg(long, env = "BROKERX_PUBLIC_URL", default_value = "http://127.0.0.1:8080", value_parser = public_url)]
    pub public_url: String,
    /// First pause, seconds, before a letter is tried again whose recipient is refused for now; doubles up to half an hour
    #[arg(long, env = "BROKERX_MAIL_PAUSE_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1_800))]
    pub mail_pause_seconds: u64,
    /// A letter whose recipient is refused for now goes to the dead letters this long after it was asked for, seconds
    #[arg(long, env = "BROKERX_MAIL_PATIENCE_SECONDS", default_value_t = 12 * 3_600, value_parser = clap::value_parser!(u64).range(1..))]
    pub mail_patience_seconds: u64,
    /// The mail server.
    #[command(flatten)]
    pub smtp: SmtpOptions,
}

/// The mail server that takes the mails.
#[derive(clap::Args, Clone, Debug)]
pub struct SmtpOptions {
    /// Mails go to this mail server (SMTP), and are not written as files; a name that its certificate has
    #[arg(long, env = "BROKERX_SMTP_HOST")]
    pub smtp_host: Option<String>,
    /// Its port; when not given 587 for `starttls`, 465 for `implicit`, 25 for `none`
    #[arg(long, env = "BROKERX_SMTP_PORT", requires = "smtp_host", value_parser = clap::value_parser!(u16).range(1..))]
    pub smtp_port: Option<u16>,
    /// How what is said to it is encrypted
    #[arg(long, env = "BROKERX_SMTP_TLS", default_value = "starttls")]
    pub smtp_tls: SmtpTls,
    /// Allow `--smtp-tls none` for a server that is not on this machine: mails with their links, and a password, are sent in clear
    #[arg(long, env = "BROKERX_SMTP_CLEAR_TEXT", default_value_t = false)]
    pub smtp_clear_text: bool,
    /// The certificates of those who certify the server, PEM; those of the system when not given
    #[arg(long, env = "BROKERX_SMTP_CA_FILE", requires = "smtp_host")]
    pub smtp_ca_file: Option<PathBuf>,
    /// The name to log in with; none when the server asks for none
    #[arg(long, env = "BROKERX_SMTP_USER", requires = "smtp_host")]
    pub smtp_user: Option<String>,
    /// Its password
    #[arg(
        long,
        env = "BROKERX_SMTP_PASSWORD",
        hide_env_values = true,
        requires = "smtp_user",
        conflicts_with = "smtp_password_file"
    )]
    pub smtp_password: Option<Password>,
    /// A file with its password in the first line
    #[arg(long, env = "BROKERX_SMTP_PASSWORD_FILE", requires = "smtp_user", value_parser = Password::in_file)]
    pub smtp_password_file: Option<Password>,
    /// What this machine calls itself to the server; when not given the domain of `--mail-from`
    #[arg(long, env = "BROKERX_SMTP_HELLO", requires = "smtp_host", value_parser = hello)]
    pub smtp_hello: Option<String>,
    /// Connections to it at once
    #[arg(long, env = "BROKERX_SMTP_CONNECTIONS_MAX", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub smtp_connections_max: u32,
    /// How long a connection may take, seconds
    #[arg(long, env = "BROKERX_SMTP_CONNECT_SECONDS_MAX", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub smtp_connect_seconds_max: u64,
    /// How long each answer may take, seconds; the one that takes a letter may take five times as long
    #[arg(long, env = "BROKERX_SMTP_ANSWER_SECONDS_MAX", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub smtp_answer_seconds_max: u64,
}

/// How what is said to a mail server is encrypted. Nothing falls back to clear text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SmtpTls {
    /// Begun in clear, encrypted before anything of a mail or a password is said.
    Starttls,
    /// From the first byte on.
    Implicit,
    /// Not at all.
    None,
}

impl SmtpOptions {
    /// The port.
    pub fn port(&self) -> u16 {
        self.smtp_port.unwrap_or(match self.smtp_tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Implicit => 465,
            SmtpTls::None => 25,
        })
    }

    /// Name and password, where there are.
    pub fn credentials(&self) -> Option<(&str, &Password)> {
        let password = self.smtp_password.as_ref().or(self.smtp_password_file.as_ref());
        self.smtp_user.as_deref().zip(password)
    }

    /// Says what the parts say together.
    ///
    /// # Errors
    /// When they contradict each other, or one is missing.
    pub fn check(&self) -> anyhow::Result<()> {
        let Some(host) = &self.smtp_host else {
            ensure!(
                self.smtp_tls == SmtpTls::Starttls && !self.smtp_clear_text,
                "how to speak to a mail server is configured (BROKERX_SMTP_...), but not which: BROKERX_SMTP_HOST"
            );
            return Ok(());
        };
        ensure!(!host.is_empty(), "BROKERX_SMTP_HOST is empty");
        ensure!(
            self.smtp_user.is_none() || self.credentials().is_some(),
            "BROKERX_SMTP_USER needs BROKERX_SMTP_PASSWORD or BROKERX_SMTP_PASSWORD_FILE"
        );
        if self.smtp_tls == SmtpTls::None {
            ensure!(
                self.smtp_ca_file.is_none(),
                "BROKERX_SMTP_CA_FILE says who certifies the server, but with BROKERX_SMTP_TLS=none nobody is asked"
            );
            ensure!(
                is_loopback(host) || self.smtp_clear_text,
                "BROKERX_SMTP_TLS=none would send mails to {host} in clear, where others may read the links in \
                 them; if you mean it, say BROKERX_SMTP_CLEAR_TEXT=true"
            );
        } else {
            ensure!(
                !self.smtp_clear_text,
                "BROKERX_SMTP_CLEAR_TEXT belongs to BROKERX_SMTP_TLS=none"
            );
        }
        Ok(())
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn hello(text: &str) -> Result<String, String> {
    match text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte))
        && !text.is_empty()
    {
        true => Ok(text.to_owned()),
        false => Err("is the name of a host".to_owned()),
    }
}

fn public_url(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some(("http" | "https", rest)) if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(text.to_owned())
        }
        _ => Err("is http:// or https:// and a host, in ASCII".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Options {
        #[command(flatten)]
        mail: MailOptions,
    }

    fn options(arguments: &[&str]) -> Result<MailOptions, String> {
        let key = format!("--mail-key={}", "01".repeat(32));
        let all = [&["test", key.as_str()], arguments].concat();
        let options = Options::try_parse_from(all).map_err(|error| error.to_string())?.mail;
        options.smtp.check().map_err(|error| error.to_string())?;
        Ok(options)
    }

    #[test]
    fn mails_are_files_until_there_is_a_server() {
        assert_eq!(options(&[]).unwrap().smtp.smtp_host, None);
        for (tls, port) in [("starttls", 587), ("implicit", 465)] {
            let tls = format!("--smtp-tls={tls}");
            let smtp = options(&["--smtp-host=mail.example.com", &tls]).unwrap().smtp;
            assert_eq!(smtp.port(), port);
        }
        for host in ["127.0.0.1", "::1", "localhost"] {
            let host = format!("--smtp-host={host}");
            assert_eq!(options(&[&host, "--smtp-tls=none"]).unwrap().smtp.port(), 25);
        }
    }

    #[test]
    fn a_password_comes_from_a_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "Open-Sesame\n").unwrap();
        let file = format!("--smtp-password-file={}", file.display());
        for password in ["--smtp-password=Open-Sesame", &file] {
            let options = options(&["--smtp-host=mail.example.com", "--smtp-user=brokerx", password]).unwrap();
            let (user, password) = options.smtp.credentials().unwrap();
            assert_eq!((user, password.reveal()), ("brokerx", "Open-Sesame"));
            assert!(!format!("{options:?}").contains("Sesame"), "{options:?}");
        }
    }

    #[test]
    fn contradictions_are_named() {
        let host = "--smtp-host=mail.example.com";
        for (arguments, named) in [
            (&["--smtp-port=25"][..], "--smtp-host"),
            (&["--smtp-user=a", "--smtp-password=b"], "--smtp-host"),
            (&["--smtp-ca-file=/ca.pem"], "--smtp-host"),
            (&["--smtp-tls=implicit"], "BROKERX_SMTP_HOST"),
            (&["--smtp-clear-text"], "BROKERX_SMTP_HOST"),
            (&["--smtp-host="], "BROKERX_SMTP_HOST"),
            (&[host, "--smtp-user=a"], "BROKERX_SMTP_PASSWORD"),
            (&[host, "--smtp-password=a"], "--smtp-user"),
            (&[host, "--smtp-user=a", "--smtp-password="], "not empty"),
            (
                &[
                    host,
                    "--smtp-user=a",
                    "--smtp-password=b",
                    "--smtp-password-file=/dev/null",
                ],
                "--smtp-password-file",
            ),
            (
                &[host, "--smtp-user=a", "--smtp-password-file=/does/not/exist"],
                "cannot be read",
            ),
            (&[host, "--smtp-tls=none"], "BROKERX_SMTP_CLEAR_TEXT"),
            (&[host, "--smtp-clear-text"], "BROKERX_SMTP_TLS=none"),
            (
                &["--smtp-host=localhost", "--smtp-tls=none", "--smtp-ca-file=/ca.pem"],
                "BROKERX_SMTP_CA_FILE",
            ),
            (&[host, "--smtp-tls=maybe"], "starttls"),
            (&[host, "--smtp-port=0"], "port"),
            (&[host, "--smtp-hello=a\r\nb"], "name of a host"),
            (&["--mail-from=nobody"], "mail-from"),
        ] {
            let error = options(arguments).unwrap_err();
            assert!(error.contains(named), "{arguments:?}: {error}");
        }
        options(&[host, "--smtp-tls=none", "--smtp-clear-text"]).unwrap();
    }
}

//! How clients prove to Kafka who they are, and how what they say is kept from others.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use rdkafka::ClientConfig;

/// How Kafka is spoken to. The default is in clear and without a name.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct KafkaSecurity {
    /// Whether what is said to Kafka is encrypted (`ssl`), who says it (`sasl`), or both
    #[arg(long = "kafka-security", env = "BROKERX_KAFKA_SECURITY", default_value = "plaintext")]
    pub protocol: Protocol,
    /// The certificates of those who certify brokers, PEM; those of the system when not given
    #[arg(long = "kafka-ca-file", env = "BROKERX_KAFKA_CA_FILE", value_parser = readable)]
    pub ca_file: Option<PathBuf>,
    /// This client's own certificate, PEM, where brokers ask for one
    #[arg(
        long = "kafka-certificate-file",
        env = "BROKERX_KAFKA_CERTIFICATE_FILE",
        value_parser = readable,
        requires = "key_file"
    )]
    pub certificate_file: Option<PathBuf>,
    /// Its key, PEM
    #[arg(
        long = "kafka-key-file",
        env = "BROKERX_KAFKA_KEY_FILE",
        value_parser = readable,
        requires = "certificate_file"
    )]
    pub key_file: Option<PathBuf>,
    /// How the name is proved
    #[arg(
        long = "kafka-mechanism",
        env = "BROKERX_KAFKA_MECHANISM",
        default_value = "scram-sha-512"
    )]
    pub mechanism: Mechanism,
    /// The name
    #[arg(long = "kafka-user", env = "BROKERX_KAFKA_USER", required_if_eq_any = [("protocol", "sasl-plaintext"), ("protocol", "sasl-ssl")])]
    pub user: Option<String>,
    /// Its password
    #[arg(
        long = "kafka-password",
        env = "BROKERX_KAFKA_PASSWORD",
        hide_env_values = true,
        conflicts_with = "password_file"
    )]
    pub password: Option<Password>,
    /// A file with its password in the first line
    #[arg(long = "kafka-password-file", env = "BROKERX_KAFKA_PASSWORD_FILE", value_parser = password_in)]
    pub password_file: Option<Password>,
}

/// Kafka's `security.protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// In clear, nameless.
    #[default]
    Plaintext,
    /// Encrypted; nameless, or named by a certificate.
    Ssl,
    /// In clear, with a name.
    SaslPlaintext,
    /// Encrypted, with a name.
    SaslSsl,
}

impl Protocol {
    /// As it is written in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl-plaintext",
            Self::SaslSsl => "sasl-ssl",
        }
    }
}

/// Kafka's `sasl.mechanism`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mechanism {
    /// The password is proved, never sent.
    #[default]
    #[value(name = "scram-sha-512")]
    ScramSha512,
    /// The same with a shorter digest.
    #[value(name = "scram-sha-256")]
    ScramSha256,
    /// The password is sent.
    Plain,
}

/// A password; its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl KafkaSecurity {
    /// Tells a client.
    pub(super) fn apply(&self, config: &mut ClientConfig) {
        if self.protocol == Protocol::Plaintext {
            // librdkafka's default.
            return;
        }
        config.set("security.protocol", self.protocol.name().replace('-', "_"));
        if matches!(self.protocol, Protocol::Ssl | Protocol::SaslSsl) {
            // A certificate must be that of the host that was asked for.
            config.set("ssl.endpoint.identification.algorithm", "https");
            for (name, file) in [
                ("ssl.ca.location", &self.ca_file),
                ("ssl.certificate.location", &self.certificate_file),
                ("ssl.key.location", &self.key_file),
            ] {
                if let Some(file) = file {
                    config.set(name, file.display().to_string());
                }
            }
        }
        if matches!(self.protocol, Protocol::SaslPlaintext | Protocol::SaslSsl) {
            let mechanism = match self.mechanism {
                Mechanism::ScramSha512 => "SCRAM-SHA-512",
                Mechanism::ScramSha256 => "SCRAM-SHA-256",
                Mechanism::Plain => "PLAIN",
            };
            config.set("sasl.mechanism", mechanism);
            if let Some(user) = &self.user {
                config.set("sasl.username", user);
            }
            if let Some(password) = self.secret() {
                config.set("sasl.password", password);
            }
        }
    }
}

impl Password {
    /// The password itself, for whoever it is said to.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is what somebody said. It takes as long whatever of it was right; how long a password is, is no
    /// secret.
    pub fn is(&self, said: &str) -> bool {
        let pairs = self.0.bytes().zip(said.bytes());
        let differ = pairs.fold(0, |differ, (own, said)| std::hint::black_box(differ | (own ^ said)));
        self.0.len() == said.len() && differ == 0
    }

    /// The first line of a file.
    ///
    /// # Errors
    /// When the file cannot be read, or its first line is empty.
    pub fn in_file(path: &str) -> Result<Self, String> {
        password_in(path)
    }
}

impl KafkaSecurity {
    /// The password, from wherever it was told.
    pub(crate) fn secret(&self) -> Option<&str> {
        let told = self.password.as_ref().or(self.password_file.as_ref());
        told.map(Password::reveal)
    }
}

impl FromStr for Password {
    type Err = &'static str;

    /// Without the line end that stores of secrets and editors put behind one.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let line = text
            .strip_suffix('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        match line.unwrap_or(text) {
            "" => Err("a password is not empty"),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

/// A file for librdkafka, which says little about one that it cannot read.
fn readable(path: &str) -> Result<PathBuf, String> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(PathBuf::from(path)),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// The first line of a file.
pub(super) fn password_in(path: &str) -> Result<Password, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let line = text.lines().next().unwrap_or_default();
    line.parse().map_err(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Options {
        #[command(flatten)]
        security: KafkaSecurity,
    }

    fn config(arguments: &[&str]) -> Result<ClientConfig, clap::Error> {
        let options = Options::try_parse_from([&["test"], arguments].concat())?;
        let mut config = ClientConfig::new();
        options.security.apply(&mut config);
        Ok(config)
    }

    #[test]
    fn clients_are_told_what_was_configured() {
        assert!(config(&[]).unwrap().config_map().is_empty());
        let folder = std::env::temp_dir().join(format!("brokerx-password-{}", std::process::id()));
        std::fs::write(&folder, "secret\nmore\n").unwrap();
        let file = folder.display().to_string();
        let secured = config(&[
            "--kafka-security=sasl-ssl",
            "--kafka-ca-file=/dev/null",
            "--kafka-user=ingress",
            "--kafka-password-file",
            &file,
        ]);
        std::fs::remove_file(&folder).unwrap();
        let secured = secured.unwrap();
        for (name, value) in [
            ("security.protocol", "sasl_ssl"),
            ("ssl.endpoint.identification.algorithm", "https"),
            ("ssl.ca.location", "/dev/null"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "ingress"),
            ("sasl.password", "secret"),
        ] {
            assert_eq!(secured.get(name), Some(value), "{name}");
        }
        let named = config(&[
            "--kafka-security=ssl",
            "--kafka-certificate-file=/dev/null",
            "--kafka-key-file=/dev/null",
        ]);
        assert_eq!(named.unwrap().get("ssl.key.location"), Some("/dev/null"));
    }

    #[test]
    fn every_build_has_what_each_protocol_needs() {
        for protocol in ["ssl", "sasl-ssl", "sasl-plaintext"] {
            let protocol = format!("--kafka-security={protocol}");
            let arguments = [protocol.as_str(), "--kafka-user=ingress", "--kafka-password=secret"];
            let made = config(&arguments).unwrap().create::<rdkafka::producer::BaseProducer>();
            assert!(made.is_ok(), "{protocol}: {:?}", made.err());
        }
    }

    #[test]
    fn half_a_configuration_is_refused() {
        for arguments in [
            &["--kafka-security=sasl-ssl"][..],
            &["--kafka-security=tls"],
            &["--kafka-security=ssl", "--kafka-certificate-file=/dev/null"],
            &["--kafka-security=ssl", "--kafka-ca-file=/does/not/exist"],
            &["--kafka-password=a", "--kafka-password-file=/dev/null"],
            &["--kafka-password-file=/does/not/exist"],
        ] {
            assert!(config(arguments).is_err(), "{arguments:?}");
        }
        let secret: Password = "secret".parse().unwrap();
        for other in ["", "secre", "secret ", "Secret", "secreT"] {
            assert!(!secret.is(other), "{other}");
        }
        assert!(secret.is("secret"));
        assert_eq!(format!("{:?}", "secret".parse::<Password>().unwrap()), "Password(..)");
    }

    #[test]
    fn one_line_end_is_no_part_of_a_password() {
        for (text, password) in [
            ("a b", "a b"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
        ] {
            assert_eq!(text.parse::<Password>().unwrap().reveal(), password);
        }
        assert!("\n".parse::<Password>().is_err());
    }
}

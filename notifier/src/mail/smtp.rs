//! Hands letters to a mail server.
//!
//! A connection is used again while there are letters, and closed soon after the last. Nothing is said in
//! clear that was to be encrypted: a server that cannot encrypt, or whose certificate is not one of those
//! who are trusted, gets no letter and no password.

use std::error::Error as _;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension};
use lettre::transport::smtp::response::Response;
use tokio::time::timeout;

use super::letter::Letter;
use super::options::{MailOptions, SmtpTls};
use super::reply::{Cause, Failure, Step};

/// How long a connection is kept that no letter needs.
const IDLE: Duration = Duration::from_secs(10);
/// How long a server may take to say goodbye.
const QUIT_LIMIT: Duration = Duration::from_secs(2);
/// Letters over one connection; some servers take no more than a hundred.
const LETTERS_MAX: u32 = 50;
/// An answer to the text of a letter may take so many times as long as another one: whoever gives up too
/// early sends the letter twice (RFC 5321, 4.5.3.2.6).
const TEXT_LIMIT_TIMES: u32 = 5;

/// A mail server.
pub(super) struct Smtp {
    host: String,
    port: u16,
    tls: SmtpTls,
    /// None where nothing is encrypted.
    tls_parameters: Option<TlsParameters>,
    hello: ClientId,
    credentials: Option<Credentials>,
    connect_limit: Duration,
    answer_limit: Duration,
    idle: Mutex<Vec<Open>>,
}

struct Open {
    connection: AsyncSmtpConnection,
    letters: u32,
    used: Instant,
}

impl Smtp {
    /// The server of the options; none when there is none. It is not asked for anything yet.
    ///
    /// # Errors
    /// When the options contradict each other, or the authorities cannot be read.
    pub(super) fn new(options: &MailOptions) -> anyhow::Result<Option<Self>> {
        let smtp = &options.smtp;
        smtp.check()?;
        let Some(host) = &smtp.smtp_host else { return Ok(None) };
        let tls_parameters = match smtp.smtp_tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Implicit => Some(tls_parameters(host, smtp.smtp_ca_file.as_deref())?),
        };
        let hello = match &smtp.smtp_hello {
            Some(name) => name.clone(),
            None => options.mail_from.email.domain().to_owned(),
        };
        let credentials = smtp.credentials();
        Ok(Some(Self {
            host: host.clone(),
            port: smtp.port(),
            tls: smtp.smtp_tls,
            tls_parameters,
            hello: ClientId::Domain(hello),
            credentials: credentials
                .map(|(user, password)| Credentials::new(user.to_owned(), password.reveal().to_owned())),
            connect_limit: Duration::from_secs(smtp.smtp_connect_seconds_max),
            answer_limit: Duration::from_secs(smtp.smtp_answer_seconds_max),
            idle: Mutex::default(),
        }))
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Hands over a letter: when this returns, the server has taken it.
    ///
    /// # Errors
    /// What failed, and at which step. After [`Cause::Lost`] at [`Step::Text`] it may have been taken.
    pub(super) async fn send(&self, letter: &Letter) -> Result<(), Failure> {
        let mut open = self.begin(letter).await?;
        match self.hand_over(&mut open.connection, letter).await {
            Ok(()) => {
                open.letters += 1;
                self.put_back(open);
                Ok(())
            }
            Err(failure) => {
                // Only one that still answers is of more use.
                let answers = matches!(&failure.cause, Cause::Reply { code, .. } if *code != 421);
                if answers && self.step(Step::Sender, open.connection.command(Rset)).await.is_ok() {
                    self.put_back(open);
                }
                Err(failure)
            }
        }
    }

    /// Closes connections that nobody has used for a while.
    pub(super) fn tidy(&self) {
        let mut idle = self.idle();
        let mut index = 0;
        while index < idle.len() {
            if idle[index].used.elapsed() < IDLE {
                index += 1;
            } else {
                close(idle.swap_remove(index));
            }
        }
    }

    /// A connection over which the sender is named.
    async fn begin(&self, letter: &Letter) -> Result<Open, Failure> {
        let sender = || Mail::new(letter.envelope.from().cloned(), Vec::new());
        let kept = self.idle().pop();
        if let Some(mut open) = kept
            // The server may have closed what was idle: that says nothing about it.
            && self.step(Step::Sender, open.connection.command(sender())).await.is_ok()
        {
            return Ok(open);
        }
        let mut connection = self.connect().await?;
        self.step(Step::Sender, connection.command(sender())).await?;
        Ok(Open {
            connection,
            letters: 0,
            used: Instant::now(),
        })
    }

    async fn hand_over(&self, connection: &mut AsyncSmtpConnection, letter: &Letter) -> Result<(), Failure> {
        for recipient in letter.envelope.to() {
            let named = connection.command(Rcpt::new(recipient.clone(), Vec::new()));
            self.step(Step::Recipient, named).await?;
        }
        self.step(Step::Text, connection.command(Data)).await?;
        let limit = self.answer_limit * TEXT_LIMIT_TIMES;
        within(limit, Step::Text, connection.message(&letter.text)).await?;
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let address = (self.host.as_str(), self.port);
        let from_the_start = match self.tls {
            SmtpTls::Implicit => self.tls_parameters.clone(),
            SmtpTls::Starttls | SmtpTls::None => None,
        };
        let connected =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.connect_limit), &self.hello, from_the_start, None);
        let limit = self.connect_limit + self.answer_limit;
        let mut connection = within(limit, Step::Connect, connected).await?;
        if self.tls == SmtpTls::Starttls
            && let Some(parameters) = &self.tls_parameters
        {
            if !connection.server_info().supports_feature(Extension::StartTls) {
                return Err(lacks(Step::Connect, "the server does not offer STARTTLS"));
            }
            let encrypted = connection.starttls(parameters.clone(), &self.hello);
            self.step(Step::Connect, encrypted).await?;
        }
        if self.tls_parameters.is_some() && !connection.is_encrypted() {
            return Err(lacks(Step::Connect, "the connection is not encrypted"));
        }
        if let Some(credentials) = &self.credentials {
            if connection
                .server_info()
                .get_auth_mechanism(DEFAULT_MECHANISMS)
                .is_none()
            {
                let text = "the server offers neither AUTH PLAIN nor AUTH LOGIN";
                return Err(lacks(Step::Authenticate, text));
            }
            let proved = connection.auth(DEFAULT_MECHANISMS, credentials);
            self.step(Step::Authenticate, proved).await?;
        }
        Ok(connection)
    }

    async fn step<T>(&self, step: Step, doing: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        within(self.answer_limit, step, doing).await
    }

    fn put_back(&self, open: Open) {
        let used = Instant::now();
        if open.letters >= LETTERS_MAX {
            close(open);
        } else {
            self.idle().push(Open { used, ..open });
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Open>> {
        // Whole connections are put in and taken out.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says goodbye, beside the caller.
fn close(mut open: Open) {
    tokio::spawn(async move {
        // A server that does not answer is left without it.
        let _: Result<Result<Response, _>, _> = timeout(QUIT_LIMIT, open.connection.quit()).await;
    });
}

async fn within<T>(limit: Duration, step: Step, doing: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match timeout(limit, doing).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failure {
            step,
            cause: cause(&error),
        }),
        Err(_) => Err(Failure {
            step,
            cause: Cause::Lost(format!("no answer within {} s", limit.as_secs())),
        }),
    }
}

fn lacks(step: Step, text: &str) -> Failure {
    Failure {
        step,
        cause: Cause::Lacks(text.to_owned()),
    }
}

fn cause(error: &Error) -> Cause {
    // What the server said, or what was wrong: the error itself tells only the kind.
    let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    match error.status() {
        Some(code) => Cause::Reply {
            code: code.into(),
            text,
        },
        // A handshake that fails is a connection that fails to lettre (0.11); OpenSSL names itself.
        None if (error.is_tls() || text.contains("SSL routines")) && !is_io(error) => Cause::Tls(text),
        None => Cause::Lost(text),
    }
}

/// Whether a connection broke, rather than that what was said over it was wrong.
fn is_io(error: &Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<io::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn tls_parameters(host: &str, authorities: Option<&Path>) -> anyhow::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = authorities {
        // These and nobody else.
        builder = builder.certificate_store(CertificateStore::None);
        for certificate in certificates(path).with_context(|| format!("BROKERX_SMTP_CA_FILE {}", path.display()))? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().context("TLS cannot be used")
}

/// All certificates of a PEM file.
fn certificates(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = std::fs::read_to_string(path).context("cannot be read")?;
    let certificates: Vec<_> = text
        .split_inclusive(END)
        .filter(|part| part.contains(END))
        .map(|part| Certificate::from_pem(part.as_bytes()))
        .collect::<Result<_, _>>()
        .context("holds what is no certificate")?;
    ensure!(!certificates.is_empty(), "holds no certificate (PEM)");
    Ok(certificates)
}

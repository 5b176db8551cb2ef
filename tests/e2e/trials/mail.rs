//! Mails through a real mail server: over TLS, with a name and a password, past its outages and refusals.
//!
//! The notifier of the system, which writes files, is stopped meanwhile; one of the trial's own stands in its
//! place, in the same consumer group and on the same ports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::log::read_topic;
use brokerx_client::{Api, eventually};
use brokerx_e2e::fixture::{Fixture, PASSWORD};
use brokerx_launcher::builds::python;
use brokerx_launcher::home::Layout;
use brokerx_launcher::ports::{Ports, loopback};
use brokerx_launcher::process::{Process, Spec};
use brokerx_schemas::{DeadLetter, UnusableRecord};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(60);
const USER: &str = "brokerx";
const SECRET: &str = "Open-Sesame-7";
/// What a server says to a recipient that it does not know.
const UNKNOWN: &str = "550 5.1.1 <(address)>: no such user here";

/// A mail server, and a notifier that sends to it.
struct Post<'a> {
    fixture: &'a Fixture,
    layout: Layout,
    folder: TempDir,
    interpreter: PathBuf,
    port: u16,
    server: Option<Process>,
    notifier: Option<Process>,
    /// Clients who have registered, by e-mail.
    registered: Vec<String>,
    api: Api,
}

impl<'a> Post<'a> {
    /// Stops the notifier of the system and makes certificates.
    fn new(fixture: &'a Fixture) -> anyhow::Result<Self> {
        let layout = fixture.system().layout().clone();
        let interpreter = python::venv(&layout)?;
        let folder = tempfile::tempdir()?;
        let made = Command::new(&interpreter)
            .arg(layout.root().join("tests/e2e/python/certificates.py"))
            .arg(folder.path())
            .output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fixture.system().process("notifier").stop();
        Ok(Self {
            fixture,
            layout,
            folder,
            interpreter,
            port: Ports::one_more(&[]),
            server: None,
            notifier: None,
            registered: Vec::new(),
            api: fixture.api.clone(),
        })
    }

    /// Puts everything back.
    fn end(mut self) -> anyhow::Result<()> {
        if let Some(mut notifier) = self.notifier.take() {
            notifier.stop();
        }
        if let Some(mut server) = self.server.take() {
            server.stop();
        }
        Ok(self.fixture.system().restart("notifier")?)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Starts the mail server, anew when it runs, and waits until it listens. Its log is a new one.
    async fn serve(&mut self, tls: &str, more: &[&str]) -> anyhow::Result<()> {
        self.stop_server();
        let notifier = self.fixture.system().process("notifier").spec().clone();
        let script = self.layout.root().join("tests/e2e/python/mail_server.py");
        let port = self.port.to_string();
        let (maildir, certificate, key) = (self.path("maildir"), self.path("server.pem"), self.path("server.key"));
        let mut arguments = vec![script.display().to_string()];
        for (name, value) in [
            ("--port", port.as_str()),
            ("--maildir", &maildir),
            ("--tls", tls),
            ("--certificate", &certificate),
            ("--key", &key),
            ("--user", USER),
            ("--password", SECRET),
        ] {
            arguments.extend([name.to_owned(), value.to_owned()]);
        }
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let log = self.layout.log("mail-server");
        std::fs::write(&log, "")?;
        let spec = Spec {
            name: "mail-server".to_owned(),
            program: self.interpreter.clone(),
            arguments,
            inherits: Vec::new(),
            environment: Vec::new(),
            address: loopback(self.port),
            log,
            ..notifier
        };
        self.server = Some(Process::spawn(&self.layout, spec)?);
        let address = loopback(self.port);
        eventually("the mail server listens", LIMIT, async || {
            Ok(TcpStream::connect(address).await.is_ok())
        })
        .await
        .with_context(|| self.server_log())
    }

    fn stop_server(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.stop();
        }
    }

    fn server_log(&self) -> String {
        std::fs::read_to_string(self.layout.log("mail-server")).unwrap_or_default()
    }

    /// How a notifier is told of the server.
    fn settings(&self, tls: &str, authority: &str, password: &str) -> Vec<(String, String)> {
        [
            ("BROKERX_SMTP_HOST", "127.0.0.1"),
            ("BROKERX_SMTP_PORT", &self.port.to_string()),
            ("BROKERX_SMTP_TLS", tls),
            ("BROKERX_SMTP_CA_FILE", &self.path(authority)),
            ("BROKERX_SMTP_USER", USER),
            ("BROKERX_SMTP_PASSWORD", password),
            ("BROKERX_MAIL_PAUSE_SECONDS", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Starts a notifier with these settings, in place of the last one, and waits until it is ready.
    fn notify(&mut self, settings: Vec<(String, String)>) -> anyhow::Result<()> {
        if let Some(mut notifier) = self.notifier.take() {
            notifier.stop();
        }
        let mut spec = self.fixture.system().process("notifier").spec().clone();
        spec.name = "notifier-smtp".to_owned();
        spec.log = self.layout.log(&spec.name);
        spec.environment.extend(settings);
        let mut notifier = Process::spawn(&self.layout, spec)?;
        let ready = notifier.wait_ready();
        self.notifier = Some(notifier);
        Ok(ready?)
    }

    fn notifier_log(&self) -> String {
        std::fs::read_to_string(self.layout.log("notifier-smtp")).unwrap_or_default()
    }

    /// What the notifier answers to `/ready`, which must be 200, of its mails: whether all is well, and why not.
    async fn state(&self) -> anyhow::Result<(bool, String)> {
        let answer = reqwest::get(format!("{}/ready", self.url()?)).await?;
        ensure!(
            answer.status() == 200,
            "the feed does not need mails: {}",
            answer.status()
        );
        let body: Value = answer.json().await?;
        let checks = body["checks"].as_array().context("no checks")?;
        let mail = checks
            .iter()
            .find(|check| check["name"] == "mail")
            .context("no check of mails")?;
        ensure!(mail["aside"] == true, "{mail}");
        let detail = mail["detail"].as_str().unwrap_or_default().to_owned();
        Ok((mail["ready"] == true, detail))
    }

    /// Waits until all mails wait for a reason that contains a text.
    async fn waits_for(&self, text: &str) -> anyhow::Result<()> {
        let mut last = String::new();
        let waits = eventually("all mails wait", LIMIT, async || {
            let (ready, detail) = self.state().await?;
            let is_it = !ready && detail.contains(text);
            last = detail;
            Ok(is_it)
        });
        let waits = waits.await;
        waits.with_context(|| format!("for {text:?}, but: {last}"))
    }

    /// A metric of the notifier; 0 when it has none of that name.
    async fn metric(&self, name: &str) -> anyhow::Result<i64> {
        let text = reqwest::get(format!("{}/metrics", self.url()?)).await?.text().await?;
        let name = format!("brokerx_notifier_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        Ok(value.map(str::parse).transpose()?.unwrap_or(0))
    }

    /// Waits until a metric of the notifier has a value.
    async fn shows(&self, name: &str, value: i64) -> anyhow::Result<()> {
        let what = format!("{name} is {value}");
        eventually(&what, LIMIT, async || Ok(self.metric(name).await? == value)).await
    }

    fn url(&self) -> anyhow::Result<String> {
        let notifier = self.notifier.as_ref().context("no notifier")?;
        Ok(format!("http://{}", notifier.spec().address))
    }

    /// Registers a client and returns the e-mail.
    async fn register(&mut self, prefix: &str, name: &str) -> anyhow::Result<String> {
        let email = format!("{}@example.com", self.fixture.unique(prefix));
        self.api.register_in_turn(&email, PASSWORD, name).await?.expect(201)?;
        self.registered.push(email.clone());
        Ok(email)
    }

    /// The mails that the server took for an e-mail.
    fn mails_to(&self, email: &str) -> anyhow::Result<Vec<String>> {
        let mails = mails(&self.folder.path().join("maildir"))?;
        Ok(mails
            .into_iter()
            .filter(|text| text.contains(&format!("<{email}>")))
            .collect())
    }

    /// Waits for the mail to an e-mail.
    async fn mail_to(&self, email: &str) -> anyhow::Result<String> {
        let came = eventually("a mail comes", LIMIT, async || Ok(!self.mails_to(email)?.is_empty()));
        came.await.with_context(|| format!("to {email}"))?;
        self.mails_to(email)?.pop().context("it is gone")
    }

    /// Everybody who registered has one mail and no more, except for whom none is expected.
    async fn everybody_has_one(&self, but: &[&String]) -> anyhow::Result<()> {
        for email in &self.registered {
            if but.contains(&email) {
                ensure!(self.mails_to(email)?.is_empty(), "{email} has mail");
            } else {
                self.mail_to(email).await?;
            }
        }
        let mut ids = BTreeMap::<String, u32>::new();
        for text in mails(&self.folder.path().join("maildir"))? {
            let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: "));
            *ids.entry(id.context("a mail without an id")?.to_owned()).or_default() += 1;
        }
        ensure!(ids.values().all(|count| *count == 1), "some came twice: {ids:?}");
        Ok(())
    }

    /// The mails that are in the dead letters.
    async fn dead_letters(&self) -> anyhow::Result<Vec<UnusableRecord>> {
        let letters = read_topic::<DeadLetter>(&self.fixture.platform, &self.fixture.codec).await?;
        let of_auth = letters.into_iter().filter_map(|record| match record.value {
            DeadLetter::UnusableRecord(letter) if letter.topic == "auth" => Some(letter),
            _ => None,
        });
        Ok(of_auth.collect())
    }
}

/// The texts of a Maildir.
fn mails(folder: &Path) -> anyhow::Result<Vec<String>> {
    let Ok(entries) = std::fs::read_dir(folder.join("new")) else {
        return Ok(Vec::new());
    };
    entries
        .map(|entry| Ok(std::fs::read_to_string(entry?.path())?))
        .collect()
}

fn link_in(text: &str) -> anyhow::Result<&str> {
    let link = text
        .split_whitespace()
        .find(|word| word.contains("/api/v1/clients/verify?token="));
    link.with_context(|| format!("no link in {text}"))
}

pub async fn letters_reach_a_server_past_refusals_and_outages(fixture: &Fixture) -> anyhow::Result<()> {
    let mut post = Post::new(fixture)?;
    let outcome = past_refusals_and_outages(&mut post).await;
    post.end()?;
    outcome
}

async fn past_refusals_and_outages(post: &mut Post<'_>) -> anyhow::Result<()> {
    post.serve("starttls", &[]).await?;
    post.notify(post.settings("starttls", "ca.pem", SECRET))?;
    let email = post.register("zoe", "Zoë \"Z\" Müller").await?;
    let text = post.mail_to(&email).await?;
    post.api.open_link(link_in(&text)?).await?.expect(200)?;
    ensure!(post.server_log().contains("STARTTLS"), "{}", post.server_log());

    // One recipient is refused for good, one for now: nobody else waits for them.
    let before = post.dead_letters().await?.len();
    let unknown = post.register("nobody", "Nobody").await?;
    let later = post.register("later", "Later").await?;
    let other = post.register("other", "Another").await?;
    for email in [&other, &later] {
        post.mail_to(email).await?;
    }
    eventually("the dead letter is there", LIMIT, async || {
        Ok(post.dead_letters().await?.len() > before)
    })
    .await?;
    let dead = post.dead_letters().await?.pop().context("no dead letter")?;
    ensure!(
        dead.reason.contains(UNKNOWN) && !dead.reason.contains(&unknown),
        "{}",
        dead.reason
    );
    post.shows("mails_total{outcome=\"Refused\"}", 1).await?;
    ensure!(
        post.metric("mails_total{outcome=\"Deferred\"}").await? >= 1,
        "one was set aside"
    );
    post.everybody_has_one(&[&unknown]).await?;

    // The server is away: mails wait, the feed does not.
    post.stop_server();
    for name in ["one", "two", "three"] {
        post.register(name, "Somebody").await?;
    }
    post.waits_for("connecting to the mail server").await?;
    post.shows("mail_blocked", 1).await?;
    post.shows("mail_alarm", 0).await?;
    post.shows("mails_waiting", 3).await?;
    post.serve("starttls", &["--everybody"]).await?;
    post.everybody_has_one(&[&unknown]).await?;
    eventually("no mail waits", LIMIT, async || Ok(post.state().await?.0)).await?;
    ensure!(post.dead_letters().await?.len() == before + 1, "none is thrown away");

    // The recipient exists now: its mail is sent once more, by the id that the dead letter names.
    let id = dead.reason.strip_prefix("mail ").and_then(|rest| rest.split_once(':'));
    let id = id.with_context(|| format!("no id in {}", dead.reason))?.0;
    let mut again = post.fixture.system().command("brokerx-notifier", &["send-mail", id]);
    again.envs(post.settings("starttls", "ca.pem", SECRET));
    let sent = tokio::task::spawn_blocking(move || again.output()).await??;
    ensure!(sent.status.success(), "{sent:?}");
    post.everybody_has_one(&[]).await?;

    let log = post.notifier_log();
    for secret in post.registered.iter().map(String::as_str).chain([SECRET, "token="]) {
        ensure!(!log.contains(secret), "the log names {secret}");
    }
    Ok(())
}

pub async fn a_server_that_is_not_who_it_should_be_gets_nothing(fixture: &Fixture) -> anyhow::Result<()> {
    let mut post = Post::new(fixture)?;
    let outcome = from_a_wrong_server_to_the_right_one(&mut post).await;
    post.end()?;
    outcome
}

async fn from_a_wrong_server_to_the_right_one(post: &mut Post<'_>) -> anyhow::Result<()> {
    let heard_nothing = |post: &Post<'_>| {
        let log = post.server_log();
        for command in ["AUTH", "MAIL", "RCPT"] {
            ensure!(!log.contains(&format!(">> b'{command}")), "{log}");
        }
        Ok(())
    };
    post.serve("starttls", &[]).await?;
    post.notify(post.settings("starttls", "other-ca.pem", SECRET))?;
    post.register("proof", "Somebody").await?;
    post.waits_for("certificate verify failed").await?;
    post.shows("mail_alarm", 1).await?;
    heard_nothing(post)?;
    // One that cannot encrypt gets nothing in clear.
    post.serve("none", &[]).await?;
    post.waits_for("does not offer STARTTLS").await?;
    heard_nothing(post)?;
    post.serve("implicit", &[]).await?;
    post.notify(post.settings("implicit", "other-ca.pem", SECRET))?;
    post.waits_for("certificate verify failed").await?;
    heard_nothing(post)?;
    post.notify(post.settings("implicit", "ca.pem", SECRET))?;
    post.everybody_has_one(&[]).await
}

pub async fn a_wrong_password_throws_no_letter_away(fixture: &Fixture) -> anyhow::Result<()> {
    let mut post = Post::new(fixture)?;
    let outcome = from_a_wrong_password_to_the_right_one(&mut post).await;
    post.end()?;
    outcome
}

async fn from_a_wrong_password_to_the_right_one(post: &mut Post<'_>) -> anyhow::Result<()> {
    let before = post.dead_letters().await?.len();
    post.serve("implicit", &[]).await?;
    post.notify(post.settings("implicit", "ca.pem", "Close-Sesame-7"))?;
    for name in ["first", "second"] {
        post.register(name, "Somebody").await?;
    }
    post.waits_for("logging in to the mail server: 535").await?;
    post.shows("mail_alarm", 1).await?;
    post.shows("mails_waiting", 2).await?;
    post.notify(post.settings("implicit", "ca.pem", SECRET))?;
    post.everybody_has_one(&[]).await?;
    ensure!(post.dead_letters().await?.len() == before, "none is thrown away");
    ensure!(!post.notifier_log().contains("Sesame"), "{}", post.notifier_log());
    Ok(())
}

pub async fn a_letter_that_waits_brings_no_other_back(fixture: &Fixture) -> anyhow::Result<()> {
    let mut post = Post::new(fixture)?;
    let outcome = over_a_restart(&mut post).await;
    post.end()?;
    outcome
}

async fn over_a_restart(post: &mut Post<'_>) -> anyhow::Result<()> {
    // As many as it takes for some to be behind the one that waits, in its partition.
    const OTHERS: usize = 24;
    post.serve("starttls", &[]).await?;
    let mut settings = post.settings("starttls", "ca.pem", SECRET);
    settings.push(("BROKERX_MAIL_PAUSE_SECONDS".to_owned(), "900".to_owned()));
    post.notify(settings.clone())?;
    let waiting = post.register("later", "Later").await?;
    for _ in 0..OTHERS {
        post.register("behind", "Somebody").await?;
    }
    post.everybody_has_one(&[&waiting]).await?;
    eventually("one is set aside, and no other waits", LIMIT, async || {
        Ok(post.metric("mails_waiting").await? == 1 && post.metric("mails_set_aside").await? == 1)
    })
    .await?;
    // The next one forgets the pause, and tries at once.
    post.notify(settings)?;
    post.mail_to(&waiting).await?;
    eventually("no mail waits", LIMIT, async || {
        Ok(post.metric("mails_waiting").await? == 0)
    })
    .await?;
    post.everybody_has_one(&[]).await
}

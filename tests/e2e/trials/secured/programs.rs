//! Programs that are run beside the system, told something else.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use brokerx_e2e::fixture::Fixture;
use brokerx_launcher::home::Layout;
use brokerx_launcher::platform::security::certificates;

/// Runs commands at the same time, to their ends: most of the time of each is a wait.
pub fn side_by_side<const N: usize>(commands: [Command; N]) -> anyhow::Result<Vec<Output>> {
    let start = |mut command: Command| {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn()
    };
    let children = commands.map(start);
    let ended = children.into_iter().map(|child| child?.wait_with_output());
    Ok(ended.collect::<Result<_, _>>()?)
}

/// The authority of another home, in a folder that goes when it is dropped.
pub fn another_authority() -> anyhow::Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let layout = Layout::of_checkout().with_home(folder.path());
    layout.create()?;
    certificates::prepare(&layout)?;
    let authority = certificates::authority(&layout);
    Ok((folder, authority))
}

/// A process of its own.
pub struct Worker {
    pub child: Child,
    pub log: PathBuf,
    _folder: tempfile::TempDir,
}

/// One more instance of a service, told something else.
pub fn worker(fixture: &Fixture, service: &str, told: &[(&str, &str)]) -> anyhow::Result<Worker> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let file = fs::File::create(&log)?;
    let mut command = fixture.system().command(&format!("brokerx-{service}"), &[]);
    command
        .envs(told.iter().copied())
        .env("BROKERX_INSTANCE", "stranger")
        .env("BROKERX_LISTEN", "127.0.0.1:0")
        .env("BROKERX_SNAPSHOT_DIR", folder.path())
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    Ok(Worker {
        child: command.spawn()?,
        log,
        _folder: folder,
    })
}

/// What a program said, to whomever.
pub fn told(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

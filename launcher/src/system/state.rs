//! What the running launcher writes down for the other commands: `run/supervisor.state`.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::home::{Layout, files};
use crate::ports::Ports;
use crate::process::Identity;

/// How far the system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Fetching, building or starting.
    Starting,
    /// Everything was ready.
    Ready,
    /// Being stopped.
    Stopping,
}

/// The running system.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// The process that looks after it.
    pub supervisor: Identity,
    /// How far it is.
    pub phase: Phase,
    /// Where it listens.
    pub ports: Ports,
    /// Whether the services run, not only the platform.
    pub services: bool,
}

impl State {
    /// The state, when its supervisor lives.
    pub fn load(layout: &Layout) -> Option<State> {
        let state: State = serde_json::from_slice(&fs::read(file(layout)).ok()?).ok()?;
        state.supervisor.is_alive().then_some(state)
    }
}

/// The state as its supervisor writes it; dropping it removes the file.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    state: State,
}

impl StateFile {
    /// Writes the first state of this process.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(layout: &Layout, ports: Ports, services: bool) -> Result<StateFile> {
        let supervisor =
            Identity::of(std::process::id()).ok_or_else(|| Failure::Corrupt("/proc is not readable".to_owned()))?;
        let file = StateFile {
            path: file(layout),
            state: State {
                supervisor,
                phase: Phase::Starting,
                ports,
                services,
            },
        };
        file.write()?;
        Ok(file)
    }

    /// Notes the next phase.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn enter(&mut self, phase: Phase) -> Result<()> {
        self.state.phase = phase;
        self.write()
    }

    fn write(&self) -> Result<()> {
        files::replace(&self.path, &serde_json::to_vec(&self.state).unwrap_or_default())
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn file(layout: &Layout) -> PathBuf {
    layout.run().join("supervisor.state")
}

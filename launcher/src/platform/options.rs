//! How a platform, or a whole system on top of it, is run.

use nix::sys::signal::Signal;

use crate::home::Layout;
use crate::ports::Ports;
use crate::progress::{Progress, Style};

use super::security::Transport;

/// How a platform or a whole system is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its files are.
    pub layout: Layout,
    /// Where it listens.
    pub ports: Ports,
    /// How its parts speak with each other.
    pub transport: Transport,
    /// Kafka's largest heap, MiB.
    pub kafka_heap_mebibytes: u32,
    /// Whether it belongs to a test: its processes are then killed at once when the test dies,
    /// instead of being asked to stop.
    pub test: bool,
    /// How progress is shown.
    pub progress: Progress,
}

impl Options {
    /// For a system that people use.
    pub fn new(layout: Layout, transport: Transport, ports: Ports, progress: Progress) -> Options {
        Options {
            layout,
            ports,
            transport,
            kafka_heap_mebibytes: 1024,
            test: false,
            progress,
        }
    }

    /// For a test: free ports, less memory, silent, killed with the test.
    pub fn for_test(layout: Layout, transport: Transport) -> Options {
        Options {
            layout,
            ports: Ports::free(),
            transport,
            kafka_heap_mebibytes: 512,
            test: true,
            progress: Progress::new(Style::Silent),
        }
    }

    /// What a child gets when its launcher or test dies.
    pub(crate) fn orphan_signal(&self, polite: Signal) -> Signal {
        if self.test { Signal::SIGKILL } else { polite }
    }
}

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
    /// Partitions of each topic with a key, in a log that is begun here.
    pub partitions: i32,
    /// Whether it belongs to a test: its processes are then killed at once when the test dies,
    /// instead of being asked to stop.
    pub test: bool,
    /// How progress is shown.
    pub progress: Progress,
}

/// The same on each machine, and several for each of two instances.
const PARTITIONS_OF_TESTS: i32 = 4;

/// What one machine works on side by side: fewer partitions cost fewer requests, and more than processors there are
/// find none. Two at least, so that two instances can share the work.
fn one_for_each_processor() -> i32 {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    i32::try_from(processors).unwrap_or(i32::MAX).clamp(2, 16)
}

impl Options {
    /// For a system that people use.
    pub fn new(layout: Layout, transport: Transport, ports: Ports, progress: Progress) -> Options {
        Options {
            layout,
            ports,
            transport,
            kafka_heap_mebibytes: 1024,
            partitions: one_for_each_processor(),
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
            partitions: PARTITIONS_OF_TESTS,
            test: true,
            progress: Progress::new(Style::Silent),
        }
    }

    /// What a child gets when its launcher or test dies.
    pub(crate) fn orphan_signal(&self, polite: Signal) -> Signal {
        if self.test { Signal::SIGKILL } else { polite }
    }
}

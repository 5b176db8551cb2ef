//! What an engine must offer to be measured.

use super::stream::Command;

/// An engine under test.
pub trait Engine {
    /// Its name in the report.
    const NAME: &'static str;
    /// At most this many commands per run: the naive one is slow.
    const COMMANDS_MAX: usize = usize::MAX;

    /// Empty books for this many symbols.
    fn new(symbols: usize) -> Self;
    /// Carries out a command and returns how many trades it made.
    fn apply(&mut self, command: &Command) -> usize;
}

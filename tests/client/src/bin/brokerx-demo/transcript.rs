//! A readable account of what was done, with the latency of each step.

use std::time::Duration;

/// Prints steps as they happen.
#[derive(Debug, Default)]
pub struct Transcript {
    steps: u32,
}

impl Transcript {
    /// A heading.
    pub fn chapter(&self, title: &str) {
        println!("\n{title}");
    }

    /// A step, with how long it took.
    pub fn step(&mut self, what: &str, took: Duration) {
        self.steps += 1;
        println!("  {:>9.2} ms  {what}", took.as_secs_f64() * 1e3);
    }

    /// How many steps there were.
    pub fn steps(&self) -> u32 {
        self.steps
    }
}

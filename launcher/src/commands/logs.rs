//! `logs NAME`: the end of a component's log.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Args;

use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::home::logs;

/// Which log, and how much of it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The component: kafka, registry, postgres, settlement, matcher, ingress, notifier, ...
    name: Option<String>,
    /// Go on showing what is added.
    #[arg(long, short)]
    follow: bool,
    /// How many lines.
    #[arg(long, short = 'n', default_value_t = 100)]
    lines: u32,
}

/// Becomes `tail`.
///
/// # Errors
/// [`Failure::Corrupt`] with the names that there are, when there is no such log.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<ExitCode> {
    let log = arguments.name.as_deref().map(|name| layout.log(name));
    let Some(log) = log.filter(|log| log.is_file()) else {
        let names: Vec<String> = logs::all(layout)
            .iter()
            .filter_map(|log| Some(log.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        return Err(Failure::Corrupt(format!(
            "{}; there are: {}",
            arguments
                .name
                .as_deref()
                .map_or_else(|| "which log?".to_owned(), |it| format!("there is no log of {it}")),
            names.join(", ")
        )));
    };
    let mut tail = Command::new("tail");
    tail.args(["-n", &arguments.lines.to_string()]);
    if arguments.follow {
        tail.arg("-F");
    }
    let error = tail.arg(log).exec();
    Err(Failure::io("cannot run tail")(error))
}

//! What is not installed, and how to install it: each thing by itself, and all of it in one line.

use std::collections::BTreeSet;

/// A prerequisite that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The program and the least version, e.g. `Java 17 or newer`.
    pub what: String,
    /// What was found instead, e.g. `but there is none`.
    pub found: String,
    /// What installs it.
    pub remedy: Remedy,
}

/// What installs a prerequisite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Debian packages, separated by spaces.
    Packages(String),
    /// Rust itself.
    Rust,
    /// A component of Rust, e.g. `clippy`.
    RustComponent(String),
    /// A command of the system that root runs.
    Command(String),
}

const RUSTUP: &str = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y";

impl Remedy {
    /// From the column `comes from` of `prerequisites.tsv`.
    pub fn parse(text: &str) -> Remedy {
        match text.split_once(':') {
            Some(("rustup", component)) => Remedy::RustComponent(component.to_owned()),
            _ if text == "rustup" => Remedy::Rust,
            _ => Remedy::Packages(text.to_owned()),
        }
    }

    fn command(&self) -> String {
        match self {
            Remedy::Packages(packages) => {
                format!("{}apt-get install {packages}   (or what your system calls it)", sudo())
            }
            Remedy::Rust => RUSTUP.to_owned(),
            Remedy::RustComponent(component) => format!("rustup component add {component}"),
            Remedy::Command(command) => format!("{}{command}", sudo()),
        }
    }
}

/// Everything that is missing, each with its own remedy; when there are several, also the one line
/// that installs them all.
pub(super) fn describe(all: &[Missing]) -> String {
    let mut lines: Vec<String> = all
        .iter()
        .map(|missing| {
            let Missing { what, found, remedy } = missing;
            format!("{what} is needed, {found}.\n  install it with: {}", remedy.command())
        })
        .collect();
    if all.len() > 1 {
        lines.push(format!("all at once (Debian, Ubuntu):\n  {}", one_line(all)));
    }
    lines.join("\n")
}

/// One line for a shell that installs everything.
fn one_line(all: &[Missing]) -> String {
    let packages: BTreeSet<&str> = all
        .iter()
        .filter_map(|missing| match &missing.remedy {
            Remedy::Packages(packages) => Some(packages.split(' ')),
            _ => None,
        })
        .flatten()
        .collect();
    let components: Vec<&str> = all
        .iter()
        .filter_map(|missing| match &missing.remedy {
            Remedy::RustComponent(component) => Some(component.as_str()),
            _ => None,
        })
        .collect();
    let mut commands = Vec::new();
    if !packages.is_empty() {
        let packages: Vec<&str> = packages.into_iter().collect();
        let packages = packages.join(" ");
        commands.push(format!("{}apt-get install --no-install-recommends {packages}", sudo()));
    }
    commands.extend(all.iter().filter_map(|missing| match &missing.remedy {
        Remedy::Command(command) => Some(format!("{}{command}", sudo())),
        Remedy::Rust => Some(RUSTUP.to_owned()),
        _ => None,
    }));
    if !components.is_empty() {
        commands.push(format!("rustup component add {}", components.join(" ")));
    }
    commands.join(" && ")
}

fn sudo() -> &'static str {
    if nix::unistd::geteuid().is_root() { "" } else { "sudo " }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(what: &str, remedy: &str) -> Missing {
        Missing {
            what: what.to_owned(),
            found: "but there is none".to_owned(),
            remedy: Remedy::parse(remedy),
        }
    }

    #[test]
    fn one_line_installs_all_that_is_missing() {
        let all = [
            missing("Maven", "maven"),
            missing("clippy", "rustup:clippy"),
            missing("Python", "python3 python3-venv"),
            missing("rustfmt", "rustup:rustfmt"),
        ];
        let message = describe(&all);
        let line = message.lines().last().unwrap_or_default();
        assert!(
            line.ends_with(
                "apt-get install --no-install-recommends maven python3 python3-venv \
                 && rustup component add clippy rustfmt"
            ),
            "{message}"
        );
        for text in [
            "Maven is needed",
            "clippy is needed",
            "Python is needed",
            "rustfmt is needed",
        ] {
            assert!(message.contains(text), "{message}");
        }
    }

    #[test]
    fn a_single_missing_thing_needs_no_second_line() {
        let message = describe(&[missing("Rust", "rustup")]);
        assert_eq!(message.lines().count(), 2, "{message}");
        assert!(message.contains("sh.rustup.rs"), "{message}");
    }
}

//! How far a build is, read from the progress that cargo draws.

use std::fmt;

/// Units of compilation: a library, a program, or a build script and its run are one each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Units {
    done: u32,
    total: u32,
    /// What is being compiled now, as cargo names it.
    now: String,
}

impl Units {
    /// The newest progress in a piece of cargo's output, where it looks like
    /// `    Building [====>      ] 12/301: serde, tokio`, rewritten after a carriage return.
    pub(super) fn latest(output: &str) -> Option<Units> {
        output.rsplit(['\r', '\n']).find_map(Units::parse)
    }

    fn parse(line: &str) -> Option<Units> {
        let bar = line.trim().strip_prefix("Building [")?;
        let (_, numbers) = bar.split_once("] ")?;
        let (counts, now) = numbers.split_once(':').unwrap_or((numbers, ""));
        let (done, total) = counts.trim().split_once('/')?;
        Some(Units {
            done: done.parse().ok()?,
            total: total.parse().ok()?,
            now: now.trim().to_owned(),
        })
    }
}

impl fmt::Display for Units {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Units { done, total, now } = self;
        let percent = done * 100 / (*total).max(1);
        write!(formatter, "{done} of {total} ({percent} %): {now}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_progress_counts() {
        let output = "   Compiling serde v1.0.229\n    Building [=>    ] 12/301: serde       \r\
                      \u{20}   Building [==>   ] 123/301: tokio, sqlx(build.rs)   \r   Compiling sqlx v0.9.0\n";
        let units = Units::latest(output).map(|units| units.to_string());
        assert_eq!(units.as_deref(), Some("123 of 301 (40 %): tokio, sqlx(build.rs)"));
    }

    #[test]
    fn other_lines_are_no_progress() {
        for output in [
            "",
            "    Blocking waiting for file lock on build directory",
            "    Building [broken",
            "    Building [=>] x/301: serde",
        ] {
            assert_eq!(Units::latest(output), None, "{output}");
        }
    }
}

//! What a child is left of the launcher's own environment: what it must have to run as any program does, and what
//! its [`Spec`](super::Spec) names. Whatever else the shell knows, passwords above all, it does not get to know.

use std::ffi::OsStr;
use std::process::Command;

/// What every child is left: where programs, libraries, certificates and scratch files are, whose process it is,
/// language and time zone, and whether Rust shows where it panicked.
pub const BY_ALL: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LANG",
    "LANGUAGE",
    LOCALE_PARTS,
    "TZ",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
];

/// Each of the variables that begin so.
const LOCALE_PARTS: &str = "LC_*";

/// What every Java is left besides: where it is, and its options.
pub const BY_JAVA: [&str; 4] = ["JAVA_HOME", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];

/// Leaves the command [`BY_ALL`] and `more` of the launcher's environment, and nothing else.
///
/// What was set on the command before is taken back.
pub fn leave_only(command: &mut Command, more: &[&str]) {
    command.env_clear();
    command.envs(std::env::vars_os().filter(|(name, _)| is_left(name, more)));
}

fn is_left(name: &OsStr, more: &[&str]) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    BY_ALL.iter().chain(more).any(|left| match left.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *left,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_left() {
        let more = ["BROKERX_SMTP_PASSWORD"];
        for (name, left) in [
            ("PATH", true),
            ("LC_ALL", true),
            ("LC_", true),
            ("LCD", false),
            ("PATHS", false),
            ("path", false),
            ("BROKERX_SMTP_PASSWORD", true),
            ("BROKERX_SMTP_PASSWORD_FILE", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("LD_PRELOAD", false),
        ] {
            assert_eq!(is_left(OsStr::new(name), &more), left, "{name}");
        }
    }
}

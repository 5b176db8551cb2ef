//! `BROKERX_LOG`, which every process of BrokerX is told: a filter that means nothing is refused before anything is
//! started. The services themselves would log as if there were none.

use crate::failure::{Failure, Result};

/// The variable.
pub const VARIABLE: &str = "BROKERX_LOG";
const DEFAULT: &str = "info";
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// What the shell says, as it is; the default where it says nothing.
pub fn of_shell() -> String {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    let text = text.trim();
    if text.is_empty() { DEFAULT } else { text }.to_owned()
}

/// Checks what the shell says.
///
/// # Errors
/// [`Failure::Usage`], with what cannot be read.
pub fn check() -> Result<()> {
    check_text(&of_shell())
}

/// As `topics/src/service/log_filter.rs` reads it.
fn check_text(text: &str) -> Result<()> {
    let is_name = |name: &str| {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "_:-.".contains(letter);
        !name.is_empty() && name.chars().all(is_letter)
    };
    for part in text.split(',') {
        let (module, level) = part.split_once('=').unwrap_or(("all", part));
        if !is_name(module) || !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            return Err(Failure::Usage(format!(
                "{VARIABLE} is {text:?}, and {part:?} is neither a level ({}) nor a level of a module, such as \
                 librdkafka=warn",
                LEVELS.join(", ")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_services_would_not_read_is_refused() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,librdkafka=warn,brokerx_topics::runner=debug",
        ] {
            assert!(check_text(text).is_ok(), "{text}");
        }
        for (text, named) in [
            ("inof", "\"inof\" is neither"),
            ("info,", "\"\" is neither"),
            ("info,brokerx_topics", "\"brokerx_topics\" is neither"),
            ("[request]=debug", "\"[request]=debug\" is neither"),
            ("=debug", "\"=debug\" is neither"),
            ("info,librdkafka=loud", "\"librdkafka=loud\" is neither"),
        ] {
            let refused = check_text(text).err().map(|failure| failure.to_string());
            assert!(refused.is_some_and(|why| why.contains(named)), "{text}");
        }
    }
}

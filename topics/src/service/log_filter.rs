//! What is logged, as it is written on a command line: `info`, or levels per module.

use tracing_subscriber::filter::{LevelFilter, Targets};

/// Reads a filter: a level, or `module=level`, several separated by commas. Refused is what the library
/// would take and then match nothing with: a level that is misspelled is the name of a module to it, and so is
/// a filter by span or field.
///
/// # Errors
/// What cannot be read, and what would be.
pub fn log_filter(text: &str) -> Result<Targets, String> {
    let mut targets = Targets::new();
    for part in text.split(',') {
        let (module, level) = match part.split_once('=') {
            None => (None, part),
            Some((module, level)) => (Some(module), level),
        };
        let is_name = |name: &str| {
            let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "_:-.".contains(letter);
            !name.is_empty() && name.chars().all(is_letter)
        };
        if module.is_some_and(|module| !is_name(module)) {
            return Err(format!("{part:?} does not begin with the name of a module; {HELP}"));
        }
        // To the library nothing is a level too.
        let Some(level) = level.parse::<LevelFilter>().ok().filter(|_| !level.is_empty()) else {
            return Err(format!("{level:?} is no level; {HELP}"));
        };
        targets = match module {
            None => targets.with_default(level),
            Some(module) => targets.with_target(module, level),
        };
    }
    Ok(targets)
}

const HELP: &str = "a filter is a level (error, warn, info, debug, trace, off), or levels per module such as \
                    info,librdkafka=warn; spans and fields cannot be filtered by";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_hold_for_all_or_for_a_module() {
        let filter = log_filter("info,librdkafka=off,brokerx_topics::runner=debug").unwrap();
        assert!(filter.would_enable("brokerx_matcher", &Level::INFO));
        assert!(!filter.would_enable("brokerx_matcher", &Level::DEBUG));
        assert!(!filter.would_enable("librdkafka", &Level::ERROR));
        assert!(filter.would_enable("brokerx_topics::runner::member", &Level::DEBUG));
    }

    #[test]
    fn what_would_match_nothing_is_refused() {
        for (text, why) in [
            ("", "no level"),
            ("inof", "\"inof\" is no level"),
            ("info,brokerx_topics", "\"brokerx_topics\" is no level"),
            ("brokerx_topics=loud", "\"loud\" is no level"),
            ("[request]=debug", "does not begin with the name of a module"),
            (
                "brokerx_topics[request]=debug",
                "does not begin with the name of a module",
            ),
            (
                "info,[{offset,partition}]=trace",
                "spans and fields cannot be filtered by",
            ),
            (
                "[request{correlation_id=c-1}]=debug",
                "does not begin with the name of a module",
            ),
            ("=debug", "does not begin with the name of a module"),
        ] {
            let refused = log_filter(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}

//! What is logged, as it is written on a command line: `info`, or levels per module.

use tracing_subscriber::filter::{LevelFilter, Targets};

/// What is logged without a filter.
pub(super) const DEFAULT: &str = "info";

/// The filter of a service, which is started by a machine again and again: one that cannot be read is no reason not
/// to serve.
#[derive(Clone, Debug)]
pub struct LogFilter {
    /// What is logged.
    pub targets: Targets,
    /// What could not be read, and what would be: [`DEFAULT`] holds then.
    pub refused: Option<String>,
}

impl LogFilter {
    /// Reads a filter; nothing at all is none.
    pub fn of_service(text: &str) -> Self {
        match log_filter(text) {
            Ok(targets) => Self { targets, refused: None },
            Err(refused) => Self {
                targets: Targets::new().with_default(LevelFilter::INFO),
                refused: Some(refused),
            },
        }
    }
}

/// The filter that is meant; one of nothing at all is none.
pub fn or_default(text: &str) -> &str {
    let text = text.trim();
    if text.is_empty() { DEFAULT } else { text }
}

/// Reads a filter: nothing, which is [`DEFAULT`]; a level, or `module=level`, several separated by commas. Refused is what the library
/// would take and then match nothing with: a level that is misspelled is the name of a module to it, and so is
/// a filter by span or field.
///
/// # Errors
/// What cannot be read, and what would be.
pub fn log_filter(text: &str) -> Result<Targets, String> {
    let mut targets = Targets::new();
    for part in or_default(text).split(',') {
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
    fn a_service_starts_with_any_filter() {
        for (text, level, is_refused) in [
            ("", Level::INFO, false),
            (" ", Level::INFO, false),
            ("debug", Level::DEBUG, false),
            ("inof", Level::INFO, true),
        ] {
            let filter = LogFilter::of_service(text);
            assert!(filter.targets.would_enable("brokerx_matcher", &level), "{text:?}");
            assert!(
                !filter.targets.would_enable("brokerx_matcher", &Level::TRACE),
                "{text:?}"
            );
            assert_eq!(filter.refused.is_some(), is_refused, "{text:?}");
        }
    }

    #[test]
    fn what_would_match_nothing_is_refused() {
        for (text, why) in [
            ("info,", "\"\" is no level"),
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

//! The files in `compose/` that say how the platform is configured.
//!
//! Each line is a setting; lines that begin with `#` are comments. The launcher fills in each `{name}`.
//! The files are read at every start, so that an edit takes effect at the next one.

use std::fs;

use crate::failure::{Failure, Result};
use crate::home::Layout;

/// A placeholder and what stands for it.
pub type Value<'a> = (&'a str, String);

/// The lines of a file, without comments and blank lines, filled in.
///
/// # Errors
/// [`Failure::Io`] when it cannot be read; [`Failure::Corrupt`] when it has a placeholder that the
/// launcher does not know.
pub fn lines(layout: &Layout, name: &str, values: &[Value<'_>]) -> Result<Vec<String>> {
    let path = layout.compose(name);
    let text = fs::read_to_string(&path).map_err(Failure::io(format!("cannot read {}", path.display())))?;
    significant(&text)
        .map(|line| fill(line, values))
        .collect::<std::result::Result<_, _>>()
        .map_err(|reason| Failure::Corrupt(format!("{}: {reason}", path.display())))
}

/// The lines of a file as names and values around `=`. A value may be quoted, for spaces at its
/// ends.
///
/// # Errors
/// As [`lines`], and when a line has no `=`.
pub fn pairs(layout: &Layout, name: &str, values: &[Value<'_>]) -> Result<Vec<(String, String)>> {
    let pair = |line: &String| {
        split(line).ok_or_else(|| {
            let path = layout.compose(name);
            Failure::Corrupt(format!("{}: `{line}` is not NAME=VALUE", path.display()))
        })
    };
    lines(layout, name, values)?.iter().map(pair).collect()
}

fn significant(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn split(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    let value = value.trim();
    let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some((name.trim().to_owned(), unquoted.unwrap_or(value).to_owned()))
}

/// Replaces each `{name}`. What is filled in is not looked at again.
fn fill(line: &str, values: &[Value<'_>]) -> std::result::Result<String, String> {
    let mut filled = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            return Err(format!("`{line}` has a `{{` without its `}}`"));
        };
        let Some((_, value)) = values.iter().find(|(known, _)| *known == name) else {
            return Err(format!("nobody fills in {{{name}}} in `{line}`"));
        };
        filled += before;
        filled += value;
        rest = behind;
    }
    Ok(filled + rest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_once() {
        let values = [("port", "5433".to_owned()), ("odd", "{port}".to_owned())];
        assert_eq!(fill("port={port}", &values).unwrap(), "port=5433");
        assert_eq!(fill("{odd}:{port}", &values).unwrap(), "{port}:5433");
        assert_eq!(fill("plain", &values).unwrap(), "plain");
        for broken in ["{unknown}", "{port"] {
            assert!(fill(broken, &values).is_err(), "{broken}");
        }
    }

    #[test]
    fn comments_and_blank_lines_are_for_people() {
        let text = "# {why}\n\n  a=1\n# more\nb=\" 2 \"\nc=\n";
        let pairs: Vec<_> = significant(text).map(|line| split(line).unwrap()).collect();
        let expected = [("a", "1"), ("b", " 2 "), ("c", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs, expected);
    }
}

//! Reads a client's mail: on a local system, mails are files.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;

/// The link in the newest verification mail to an address; waits for the mail up to a limit.
///
/// # Errors
/// When no such mail comes in time.
pub async fn verification_link(mail_dir: &Path, email: &str, limit: Duration) -> anyhow::Result<String> {
    let started = Instant::now();
    loop {
        if let Some(link) = find_link(mail_dir, email)? {
            return Ok(link);
        }
        if started.elapsed() > limit {
            bail!(
                "no mail with a link to {email} in {} after {limit:?}",
                mail_dir.display()
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The texts of all mails to an address.
///
/// # Errors
/// When a mail cannot be read.
pub fn mails_to(mail_dir: &Path, email: &str) -> anyhow::Result<Vec<String>> {
    let Ok(entries) = std::fs::read_dir(mail_dir) else {
        return Ok(Vec::new());
    };
    let mut texts = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "eml") {
            let text = std::fs::read_to_string(path)?;
            if text.to_lowercase().contains(&email.to_lowercase()) {
                texts.push(decode_quoted_printable(&text));
            }
        }
    }
    Ok(texts)
}

fn find_link(mail_dir: &Path, email: &str) -> anyhow::Result<Option<String>> {
    let Ok(entries) = std::fs::read_dir(mail_dir) else {
        return Ok(None);
    };
    let mut newest = None;
    for entry in entries {
        let entry = entry?;
        if entry.path().extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(entry.path()) else {
            continue;
        };
        if !text.to_lowercase().contains(&email.to_lowercase()) {
            continue;
        }
        let modified = entry.metadata()?.modified()?;
        if let Some(link) = link_in(&decode_quoted_printable(&text))
            && newest.as_ref().is_none_or(|(time, _)| *time < modified)
        {
            newest = Some((modified, link));
        }
    }
    Ok(newest.map(|(_, link)| link))
}

fn link_in(text: &str) -> Option<String> {
    let marker = text.find("/api/v1/clients/verify?token=")?;
    let start = text[..marker].rfind("http")?;
    let end = text[start..].find(|character: char| character.is_whitespace() || "<>\"".contains(character));
    Some(text[start..end.map_or(text.len(), |end| start + end)].to_owned())
}

/// Decodes quoted-printable (RFC 2045, 6.7), as far as this system's own text mails need it.
fn decode_quoted_printable(text: &str) -> String {
    text.replace("=\r\n", "")
        .replace("=\n", "")
        .replace("=3D", "=")
        .replace("=3F", "?")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_link_is_found_whole() {
        let text =
            "Hello\r\n\r\nOpen http://127.0.0.1:8080/api/v1/clients/ver=\r\nify?token=3DAbc-_1 within 24 hours\r\n";
        let link = link_in(&decode_quoted_printable(text)).unwrap();
        assert_eq!(link, "http://127.0.0.1:8080/api/v1/clients/verify?token=Abc-_1");
    }
}

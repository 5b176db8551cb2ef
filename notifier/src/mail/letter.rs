//! The text of a mail. The same row always makes the same bytes, so a repeat changes nothing.

use std::time::{Duration, SystemTime};

use brokerx_database::row;
use brokerx_identity::keys::SecretKey;
use brokerx_identity::links::{self, REGISTERED_AGAIN, VERIFY_EMAIL, VERIFY_REMINDER};
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, MIME_VERSION_1_0};
use lettre::message::{Body, Mailbox, Message};

row! {
    /// A row of `identity.mails` with its client's address.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct MailRow {
        pub(super) mail_id: i64,
        pub(super) purpose: String,
        pub(super) email: String,
        pub(super) name: String,
        /// Unix seconds.
        pub(super) created: i64,
        /// Unix seconds.
        pub(super) expires: i64,
    }
}

/// To a client whose e-mail was registered again.
const ALREADY: &str = "Somebody, perhaps you, tried to register with BrokerX with this e-mail address.\r\n\r\n\
    You have an account already: log in with the password that you chose then. Nothing has changed.\r\n\r\n\
    If it was not you, ignore this mail.\r\n";

/// A mail that is ready to be sent.
#[derive(Debug)]
pub(super) struct Letter {
    /// From whom and to whom.
    pub(super) envelope: Envelope,
    /// RFC 5322.
    pub(super) text: Vec<u8>,
}

/// What all mails have in common.
#[derive(Clone, Debug)]
pub(super) struct Stationery {
    /// The sender.
    pub(super) from: Mailbox,
    /// What links begin with, such as `https://broker.example.com`.
    pub(super) public_url: String,
    /// Signs the links.
    pub(super) mail_key: SecretKey,
}

/// A mail that can never be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum LetterError {
    #[error("there is no letter for the purpose {0}")]
    Purpose(String),
    #[error("the address cannot be written to: {0}")]
    Address(#[from] lettre::address::AddressError),
    #[error("the text is not plain ASCII")]
    Text,
    #[error("the mail cannot be formatted: {0}")]
    Format(#[from] lettre::error::Error),
}

impl Stationery {
    /// The mail of a row. Its `Message-ID` is that of the row: who gets a mail twice can see that it is one.
    pub(super) fn write(&self, row: &MailRow) -> Result<Letter, LetterError> {
        let (subject, body) = match row.purpose.as_str() {
            VERIFY_EMAIL => (
                "Confirm your e-mail address",
                self.invitation(row, "Welcome to BrokerX."),
            ),
            VERIFY_REMINDER => (
                "Reminder: confirm your e-mail address",
                self.invitation(row, "Your registration with BrokerX is not finished yet."),
            ),
            REGISTERED_AGAIN => ("You have an account already", ALREADY.to_owned()),
            other => return Err(LetterError::Purpose(other.to_owned())),
        };
        if !body.is_ascii() {
            return Err(LetterError::Text);
        }
        // The encoding 7bit demands ASCII in short lines, which this text is.
        let body = Body::dangerous_pre_encoded(body.into_bytes(), ContentTransferEncoding::SevenBit);
        let seconds = Duration::from_secs(u64::try_from(row.created).unwrap_or(0));
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(in_one_line(&row.name)), row.email.parse()?))
            .subject(subject)
            .date(SystemTime::UNIX_EPOCH + seconds)
            .message_id(Some(format!("<mail-{}@{}>", row.mail_id, self.from.email.domain())))
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .body(body)?;
        Ok(Letter {
            envelope: message.envelope().clone(),
            text: message.formatted(),
        })
    }

    /// The text with the link.
    fn invitation(&self, row: &MailRow, opening: &str) -> String {
        let token = links::token(&self.mail_key, row.mail_id, &row.purpose, row.expires);
        let link = format!(
            "{}/api/v1/clients/verify?token={token}",
            self.public_url.trim_end_matches('/')
        );
        // Rounded to the nearest hour: the expiry was cut to whole seconds, so it is a little too early.
        let hours = (row.expires - row.created + 1_800) / 3_600;
        // Plain ASCII without an encoding, so that the link stays in one piece in any mail reader.
        format!(
            "{opening}\r\n\r\nOpen this link within {hours} hours and press the button there to confirm your e-mail address:\r\n\r\n\
             {link}\r\n\r\nIf you did not register, ignore this mail.\r\n"
        )
    }
}

/// A name as it may stand in a header. The ingress takes none with control characters; lettre panics at them.
fn in_one_line(name: &str) -> String {
    let printable = |character: char| if character.is_control() { ' ' } else { character };
    name.chars().map(printable).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn stationery() -> Stationery {
        Stationery {
            from: "BrokerX <no-reply@brokerx.localhost>".parse().unwrap(),
            public_url: "http://127.0.0.1:8080/".to_owned(),
            mail_key: "01".repeat(32).parse().unwrap(),
        }
    }

    fn row(purpose: &str) -> MailRow {
        MailRow {
            mail_id: 7,
            purpose: purpose.to_owned(),
            email: "Zoe@example.com".to_owned(),
            name: "Zoë \"Z\" Müller".to_owned(),
            created: 1_000,
            expires: 1_000 + 24 * 3_600 - 1,
        }
    }

    fn text(row: &MailRow) -> String {
        String::from_utf8(stationery().write(row).unwrap().text).unwrap()
    }

    /// The headers of a mail, unfolded.
    fn headers(text: &str) -> Vec<String> {
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        headers.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_letter_has_the_link_in_one_piece() {
        for purpose in [VERIFY_EMAIL, VERIFY_REMINDER] {
            let text = text(&row(purpose));
            let token = text
                .split("http://127.0.0.1:8080/api/v1/clients/verify?token=")
                .nth(1)
                .unwrap();
            let token = token.lines().next().unwrap();
            let key = "01".repeat(32).parse().unwrap();
            assert_eq!(links::verify(&key, token, &[purpose], 1_001), Ok(7), "{text}");
            assert!(text.contains("<Zoe@example.com>") && text.is_ascii(), "{text}");
            assert!(text.lines().all(|line| line.len() < 200), "{text}");
            assert!(text.contains("within 24 hours"), "{text}");
            assert!(text.contains("Message-ID: <mail-7@brokerx.localhost>"), "{text}");
        }
    }

    #[test]
    fn a_client_is_told_of_a_second_registration_without_a_link() {
        let text = text(&row(REGISTERED_AGAIN));
        assert!(
            text.contains("You have an account already") && text.is_ascii(),
            "{text}"
        );
        assert!(!text.contains("http") && !text.contains("token"), "{text}");
    }

    #[test]
    fn the_same_row_makes_the_same_bytes() {
        assert_eq!(text(&row(VERIFY_EMAIL)), text(&row(VERIFY_EMAIL)));
    }

    #[test]
    fn a_mail_that_can_never_be_sent_is_an_error() {
        assert!(matches!(
            stationery().write(&row("LUNCH")),
            Err(LetterError::Purpose(_))
        ));
        let nowhere = MailRow {
            email: "nowhere".to_owned(),
            ..row(VERIFY_EMAIL)
        };
        assert!(matches!(stationery().write(&nowhere), Err(LetterError::Address(_))));
    }

    #[test]
    fn a_name_cannot_add_a_header_or_a_recipient() {
        for name in [
            "Eve\r\nBcc: others@example.com",
            "Eve\nBcc: others@example.com",
            "Eve\r\n\r\nAnother text",
            "Eve <others@example.com>, Others",
            "\"Eve\" <others@example.com>",
            "Eve\u{2028}Bcc: others@example.com",
            "Eve\0",
        ] {
            let row = MailRow {
                name: name.to_owned(),
                ..row(VERIFY_EMAIL)
            };
            let letter = stationery().write(&row).unwrap();
            let to: Vec<_> = letter.envelope.to().iter().map(ToString::to_string).collect();
            assert_eq!(to, ["Zoe@example.com"], "{name:?}");
            let text = String::from_utf8(letter.text).unwrap();
            let names: Vec<_> = headers(&text)
                .iter()
                .map(|header| header.split(':').next().unwrap().to_owned())
                .collect();
            let expected = [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding",
            ];
            assert_eq!(names, expected, "{name:?}: {text}");
            assert!(
                !text.contains("\nBcc") && text.is_ascii() && !text.contains('\0'),
                "{text:?}"
            );
            // Two mailboxes in one header would be parted by a comma outside of quotes.
            let to = headers(&text)
                .into_iter()
                .find(|header| header.starts_with("To:"))
                .unwrap();
            assert!(to.ends_with("<Zoe@example.com>"), "{to}");
            let unquoted: String = to.split('"').step_by(2).collect();
            assert!(!unquoted.contains(',') && unquoted.matches('<').count() == 1, "{to}");
        }
    }

    #[test]
    fn an_address_is_one_address_or_none() {
        for email in [
            "eve@example.com\r\nRCPT TO:<others@example.com>",
            "eve@example.com> SIZE=1",
            "eve@example.com,others@example.com",
            "<eve@example.com>",
            "eve@exam ple.com",
            "eve\n@example.com",
            "\"eve\r\n\"@example.com",
            "@example.com",
        ] {
            let row = MailRow {
                email: email.to_owned(),
                ..row(VERIFY_EMAIL)
            };
            let written = stationery().write(&row);
            assert!(
                matches!(written, Err(LetterError::Address(_))),
                "{email:?}: {written:?}"
            );
        }
    }

    #[test]
    fn lines_are_short_whatever_the_name() {
        for name in ["Zoë Müller 名前 ".repeat(20), "a".repeat(200), "Zo ".repeat(66)] {
            let row = MailRow {
                name,
                ..row(VERIFY_EMAIL)
            };
            let text = text(&row);
            // RFC 5322 allows 998 bytes; encoded words have 75 at most.
            assert!(
                text.is_ascii() && text.split("\r\n").all(|line| line.len() < 300),
                "{text}"
            );
            assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text:?}");
        }
    }
}

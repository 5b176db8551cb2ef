//! What a mail server's refusal means for a letter.
//!
//! The step at which it came decides more than its code. Until the sender is named (`MAIL FROM`), nobody's
//! letter is meant: the server is away, or it refuses us, and every letter waits. From the recipient on
//! (`RCPT TO`), this letter is meant. So no misconfiguration of ours (a password, a certificate, a sender)
//! throws a letter away, and no recipient holds up another one's.

use super::desk::Outcome;
use super::domain::operator_of;

/// The longest text of a server that is shown, in characters.
const TEXT_LENGTH_MAX: usize = 300;
/// What a server calls our own fault, whatever it answers it to: authentication is missing, too weak or
/// wrong, or encryption is missing (RFC 4954).
const OUR_FAULT: [u16; 4] = [530, 534, 535, 538];
/// Something is wrong with what was said, not with a letter: commands it does not know, or out of order.
const CONFUSED: [u16; 4] = [500, 502, 503, 504];

/// How far a letter had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A connection, its encryption, the greetings.
    Connect,
    /// Name and password.
    Authenticate,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA` and the text.
    Text,
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The server said so.
    Reply { code: u16, text: String },
    /// No answer, or none any more.
    Lost(String),
    /// The server is not who it should be, or cannot encrypt.
    Tls(String),
    /// The server lacks something without which nothing can be sent.
    Lacks(String),
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) cause: Cause,
}

impl Failure {
    /// What is to be done about a letter to this address. The reason names neither the address nor what
    /// was said in answer to a password.
    pub(super) fn outcome(self, address: &str) -> Outcome {
        let reason = self.reason(address);
        let is_refused = matches!(self.cause, Cause::Reply { code, .. } if code >= 500);
        let deferred = |reason, lost| Outcome::Deferred {
            reason,
            lost,
            operator: Some(operator_of(address)),
        };
        match (self.step, self.cause) {
            (_, Cause::Tls(_) | Cause::Lacks(_)) => Outcome::Waits { reason, alarm: true },
            (Step::Connect | Step::Authenticate | Step::Sender, _) => Outcome::Waits {
                reason,
                alarm: is_refused,
            },
            (_, Cause::Reply { code, .. }) if OUR_FAULT.contains(&code) => Outcome::Waits { reason, alarm: true },
            (_, Cause::Lost(_)) => deferred(reason, true),
            // Who may send mail through this server is a matter of its settings and ours, which somebody can
            // mend: the letter is kept for as long as any other. (All do not wait for it: the text is the
            // server's, and may quote what a client chose.)
            (_, Cause::Reply { code, text })
                if code >= 500 && !CONFUSED.contains(&code) && !names_relaying(&text, address) =>
            {
                Outcome::Refused(reason)
            }
            (_, Cause::Reply { .. }) => deferred(reason, false),
        }
    }

    fn reason(&self, address: &str) -> String {
        let step = match self.step {
            Step::Connect => "connecting to the mail server",
            Step::Authenticate => "logging in to the mail server",
            Step::Sender => "naming the sender",
            Step::Recipient => "naming the recipient",
            Step::Text => "handing over the text",
        };
        match &self.cause {
            Cause::Reply { code, text } if self.step == Step::Authenticate => {
                // Some servers repeat a command that they do not like, password and all.
                let status = enhanced_status(text).map(|status| format!(" {status}"));
                format!("{step}: {code}{}", status.unwrap_or_default())
            }
            Cause::Reply { code, text } => format!("{step}: {code} {}", shown(text, address)),
            Cause::Lost(text) | Cause::Tls(text) | Cause::Lacks(text) => format!("{step}: {}", shown(text, address)),
        }
    }
}

/// The status at the beginning of a text, such as `5.1.1` (RFC 3463).
fn enhanced_status(text: &str) -> Option<&str> {
    let status = text.split_whitespace().next()?;
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (status.split('.').count() == 3 && status.split('.').all(is_number)).then_some(status)
}

/// Whether a server says that it does not carry mail there for us. `5.1.x` is about the address itself.
fn names_relaying(text: &str, address: &str) -> bool {
    if enhanced_status(text).is_some_and(|status| status.starts_with("5.1.")) {
        return false;
    }
    shown(text, address).to_ascii_lowercase().contains("relay")
}

/// A text in one line, with no more than so many characters and without the address.
fn shown(text: &str, address: &str) -> String {
    let clean: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    let mut shown = String::with_capacity(clean.len());
    let mut rest = clean.as_str();
    let (lower, wanted) = (clean.to_ascii_lowercase(), address.to_ascii_lowercase());
    while let Some(found) = lower[clean.len() - rest.len()..].find(&wanted)
        && !wanted.is_empty()
    {
        shown.push_str(&rest[..found]);
        shown.push_str("(address)");
        rest = &rest[found + wanted.len()..];
    }
    shown.push_str(rest);
    match shown.char_indices().nth(TEXT_LENGTH_MAX) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "Zoe@example.com";

    fn replied(step: Step, code: u16, text: &str) -> Outcome {
        let cause = Cause::Reply {
            code,
            text: text.to_owned(),
        };
        Failure { step, cause }.outcome(ADDRESS)
    }

    fn word(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Settled => "settled",
            Outcome::Moot => "moot",
            Outcome::Refused(_) => "refused",
            Outcome::Unsendable(_) => "unsendable",
            Outcome::Deferred { lost: false, .. } => "deferred",
            Outcome::Deferred { lost: true, .. } => "lost",
            Outcome::Waits { alarm: false, .. } => "waits",
            Outcome::Waits { alarm: true, .. } => "alarm",
            Outcome::Unburied(_) => "unburied",
        }
    }

    #[test]
    fn the_step_decides_whom_a_refusal_concerns() {
        for (step, code, text, expected) in [
            (Step::Connect, 421, "4.3.2 not now", "waits"),
            (Step::Connect, 554, "no service for you", "alarm"),
            (Step::Authenticate, 454, "4.7.0 temporary failure", "waits"),
            (Step::Authenticate, 535, "5.7.8 wrong", "alarm"),
            (Step::Authenticate, 534, "5.7.9 too weak", "alarm"),
            (Step::Sender, 451, "4.3.0 later", "waits"),
            (Step::Sender, 530, "5.7.0 authenticate first", "alarm"),
            (Step::Sender, 553, "5.7.1 not your address", "alarm"),
            (Step::Recipient, 421, "4.7.0 too many", "deferred"),
            (Step::Recipient, 450, "4.2.1 greylisted", "deferred"),
            (Step::Recipient, 451, "4.7.1 try again", "deferred"),
            (Step::Recipient, 452, "4.2.2 full", "deferred"),
            (Step::Recipient, 501, "5.1.3 bad syntax", "refused"),
            (Step::Recipient, 503, "5.5.1 bad sequence", "deferred"),
            (Step::Recipient, 530, "5.7.0 authenticate first", "alarm"),
            (Step::Recipient, 550, "5.1.1 no such user", "refused"),
            (Step::Recipient, 552, "5.2.2 full for good", "refused"),
            (Step::Recipient, 553, "what is that", "refused"),
            (
                Step::Recipient,
                554,
                "5.7.1 <zoe@EXAMPLE.com>: Relay access denied",
                "deferred",
            ),
            (Step::Recipient, 550, "relaying denied", "deferred"),
            (Step::Recipient, 550, "5.1.1 relay: no such user", "refused"),
            (Step::Text, 451, "4.3.0 later", "deferred"),
            (Step::Text, 535, "5.7.8 your session has ended", "alarm"),
            (Step::Text, 552, "5.3.4 too big", "refused"),
            (Step::Text, 554, "5.6.0 spam", "refused"),
        ] {
            let outcome = replied(step, code, text);
            assert_eq!(word(&outcome), expected, "{step:?} {code} {text}: {outcome:?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_judged_by_its_step_too() {
        let of = |step, cause| word(&Failure { step, cause }.outcome(ADDRESS));
        for (step, expected) in [
            (Step::Connect, "waits"),
            (Step::Authenticate, "waits"),
            (Step::Sender, "waits"),
            (Step::Recipient, "lost"),
            (Step::Text, "lost"),
        ] {
            assert_eq!(of(step, Cause::Lost("no answer".to_owned())), expected, "{step:?}");
            assert_eq!(
                of(step, Cause::Tls("unknown authority".to_owned())),
                "alarm",
                "{step:?}"
            );
        }
        assert_eq!(of(Step::Connect, Cause::Lacks("STARTTLS".to_owned())), "alarm");
    }

    #[test]
    fn a_reason_names_neither_address_nor_password() {
        let Outcome::Refused(reason) = replied(
            Step::Recipient,
            550,
            "5.1.1 <zoe@EXAMPLE.COM>: user unknown\r\nzoe@example.com has left",
        ) else {
            panic!("it is refused")
        };
        assert_eq!(
            reason,
            "naming the recipient: 550 5.1.1 <(address)>: user unknown  (address) has left"
        );
        let Outcome::Waits { reason, .. } =
            replied(Step::Authenticate, 500, "unknown command AUTH PLAIN AHVzZXIAc2VjcmV0")
        else {
            panic!("all wait")
        };
        assert_eq!(reason, "logging in to the mail server: 500");
        let Outcome::Waits { reason, .. } = replied(Step::Authenticate, 535, "5.7.8 wrong: secret") else {
            panic!("all wait")
        };
        assert_eq!(reason, "logging in to the mail server: 535 5.7.8");
        let Outcome::Refused(reason) = replied(Step::Text, 554, &"ä".repeat(1_000)) else {
            panic!("it is refused")
        };
        assert_eq!(reason.matches('ä').count(), TEXT_LENGTH_MAX);
    }
}

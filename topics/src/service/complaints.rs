//! Why Kafka does not let this process in, in words.
//!
//! librdkafka tells a client that waits nothing but that no broker is there; why, it tells beside it, again and
//! again. What is said here is said once, and again after a while, and is remembered for whoever must explain
//! why something does not work.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// How often the same is said.
const AGAIN: Duration = Duration::from_secs(30);
/// A complaint older than this may have been remedied; the client tries more often.
const STANDS: Duration = Duration::from_secs(15);

/// Those of this process.
static COMPLAINTS: Mutex<Complaints> = Mutex::new(Complaints(Vec::new()));

/// The last one of each kind; there are no more kinds than [`in_words`] knows words.
struct Complaints(Vec<Complaint>);

struct Complaint {
    words: &'static str,
    came: Instant,
    said: Instant,
}

impl Complaints {
    /// Takes one in; whether it is to be said now. Two that take turns are each said as often as one alone.
    fn take(&mut self, words: &'static str, now: Instant) -> bool {
        let Some(known) = self.0.iter_mut().find(|known| known.words == words) else {
            self.0.push(Complaint {
                words,
                came: now,
                said: now,
            });
            return true;
        };
        known.came = now;
        let says = now.duration_since(known.said) >= AGAIN;
        if says {
            known.said = now;
        }
        says
    }

    /// The latest that still stands.
    fn standing(&self, now: Instant) -> Option<&'static str> {
        let latest = self.0.iter().max_by_key(|complaint| complaint.came)?;
        (now.duration_since(latest.came) < STANDS).then_some(latest.words)
    }
}

/// Takes a client's error in and tells people, when it says that Kafka does not let the process in, or is not
/// whom it should be. Returns whether it did.
pub fn complain(error: &KafkaError, reason: &str) -> bool {
    let Some(words) = in_words(error, reason) else {
        return false;
    };
    let mut complaints = COMPLAINTS.lock().unwrap_or_else(PoisonError::into_inner);
    if complaints.take(words, Instant::now()) {
        tracing::error!(reason, "{words}");
    }
    true
}

/// What stands in the way now, as far as a client of this process was told.
pub fn standing_complaint() -> Option<&'static str> {
    let complaints = COMPLAINTS.lock().unwrap_or_else(PoisonError::into_inner);
    complaints.standing(Instant::now())
}

fn in_words(error: &KafkaError, reason: &str) -> Option<&'static str> {
    match error.rdkafka_error_code()? {
        RDKafkaErrorCode::Authentication if reason.contains("invalid credentials") => Some(
            "Kafka does not let this process in: wrong name or password (BROKERX_KAFKA_USER, BROKERX_KAFKA_PASSWORD)",
        ),
        RDKafkaErrorCode::Authentication => Some(
            "Kafka does not let this process in: it asks for another proof of its name (BROKERX_KAFKA_SECURITY, \
             BROKERX_KAFKA_MECHANISM)",
        ),
        RDKafkaErrorCode::SSL if reason.contains("certificate verify failed") => Some(
            "Kafka is not believed: its certificate is not of the authority in BROKERX_KAFKA_CA_FILE, has ended, or \
             is of another host",
        ),
        RDKafkaErrorCode::SSL => Some("Kafka and this process find no TLS in common (BROKERX_KAFKA_SECURITY)"),
        _ => None,
    }
}

/// A client that complains, and else logs as rdkafka's default does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Complaining;

impl ClientContext for Complaining {
    fn error(&self, error: KafkaError, reason: &str) {
        if !complain(&error, reason) {
            tracing::error!(target: "rdkafka", "librdkafka: {error}: {reason}");
        }
    }
}

impl ConsumerContext for Complaining {}

#[cfg(test)]
mod tests {
    use super::*;

    /// What librdkafka says, to what is told.
    #[test]
    fn only_what_is_about_being_let_in_is_a_complaint() {
        let words = |code, reason| in_words(&KafkaError::Global(code), reason).unwrap_or_default();
        let wrong = "SASL authentication error: Authentication failed during authentication due to invalid \
                     credentials with SASL mechanism SCRAM-SHA-512";
        assert!(words(RDKafkaErrorCode::Authentication, wrong).contains("wrong name or password"));
        let stranger = "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed";
        assert!(words(RDKafkaErrorCode::SSL, stranger).contains("certificate"));
        assert_eq!(words(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down"), "");
    }

    #[test]
    fn each_kind_is_said_once_in_a_while_whatever_comes_between() {
        let start = Instant::now();
        let mut complaints = Complaints(Vec::new());
        let mut said = Vec::new();
        for second in 0..65 {
            let now = start + Duration::from_secs(second);
            for words in ["name", "certificate"] {
                if complaints.take(words, now) {
                    said.push((second, words));
                }
            }
            assert_eq!(complaints.0.len(), 2);
        }
        let expected = [0, 30, 60].map(|second| [(second, "name"), (second, "certificate")]);
        assert_eq!(said, expected.concat());
    }

    #[test]
    fn the_latest_complaint_stands_for_a_while() {
        let start = Instant::now();
        let mut complaints = Complaints(Vec::new());
        assert_eq!(complaints.standing(start), None);
        complaints.take("name", start);
        complaints.take("certificate", start + STANDS / 2);
        assert_eq!(complaints.standing(start + STANDS), Some("certificate"));
        complaints.take("name", start + STANDS);
        assert_eq!(complaints.standing(start + STANDS), Some("name"));
        assert_eq!(complaints.standing(start + STANDS * 2), None);
    }

    #[test]
    fn a_complaint_stands_until_it_may_be_remedied() {
        assert!(!complain(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "down"));
        assert!(complain(&KafkaError::Global(RDKafkaErrorCode::SSL), "handshake failed"));
        assert!(standing_complaint().is_some_and(|words| words.contains("no TLS in common")));
    }
}

//! How many registrations are too many.

use std::net::IpAddr;
use std::time::Duration;

use crate::http::{Problem, RateLimit};

/// Registrations of one e-mail from one network: at once, and then one in so long. Each sends a mail.
const PAIR: (u32, Duration) = (10, Duration::from_secs(10 * 60));
/// Registrations of one e-mail, wherever from.
const EMAIL: (u32, Duration) = (20, Duration::from_secs(3 * 60));

/// The rates of registrations. They do not depend on whether an e-mail is known.
pub struct RegistrationLimits {
    network: RateLimit,
    pair: RateLimit,
    email: RateLimit,
}

impl RegistrationLimits {
    /// `burst` registrations of one network at once, and then one in each `interval`.
    pub fn new(burst: u32, interval: Duration) -> Self {
        let rate = |(burst, interval)| RateLimit::every(interval, burst);
        Self {
            network: rate((burst, interval)),
            pair: rate(PAIR),
            email: rate(EMAIL),
        }
    }

    /// Takes one registration.
    ///
    /// # Errors
    /// 429 when there were too many.
    pub(super) fn admit(&self, network: IpAddr, email_key: &str) -> Result<(), Problem> {
        self.network
            .take(network)
            .and_then(|()| self.pair.take((network, email_key)))
            .and_then(|()| self.email.take(email_key))
            .map_err(|wait| {
                Problem::too_many(
                    "REGISTRATION_LIMITED",
                    "too many registrations from this address, or of this e-mail; Retry-After says when to try again",
                    wait,
                )
            })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_topics::service::source_of;

    use super::*;

    #[test]
    fn a_network_and_an_e_mail_have_their_limits() {
        let network = |text: &str| source_of(text.parse().unwrap());
        let admitted = |address: &dyn Fn(usize) -> String, email: &dyn Fn(usize) -> String| {
            // Of their own each time: keys may meet in a slot, and share its rate then.
            let limits = RegistrationLimits::new(30, Duration::from_secs(60));
            let admit = |number: &usize| limits.admit(network(&address(*number)), &email(*number)).is_ok();
            (0..100).filter(admit).count()
        };
        // All addresses of a /64 are one.
        assert_eq!(
            admitted(&|number| format!("2001:db8::{number}"), &|number| format!("a{number}")),
            30
        );
        assert_eq!(admitted(&|_| "203.0.113.5".to_owned(), &|_| "ada".to_owned()), 10);
        assert_eq!(
            admitted(&|number| format!("203.0.113.{number}"), &|_| "bob".to_owned()),
            20
        );
    }
}

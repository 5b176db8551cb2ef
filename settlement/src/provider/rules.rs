//! How a simulated payment goes: by the cents of its amount.
//!
//! | cents | what happens |
//! |---|---|
//! | 13 | refused for good |
//! | 17 | the first request is answered with 500 and does nothing; the next one works |
//! | 19 | the first two answers say pending, the third and all later ones settled |
//! | other | settled at once |

use super::wire::Status;

/// What the provider does with a request about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Answers.
    Answer(Status),
    /// Fails with 500.
    Break,
}

/// Decides about the request that follows `requests_before` others about the same payment.
pub fn decide(amount_cents: i64, requests_before: u32) -> Decision {
    match (amount_cents % 100, requests_before) {
        (13, _) => Decision::Answer(Status::Failed),
        (17, 0) => Decision::Break,
        (19, 0 | 1) => Decision::Answer(Status::Pending),
        _ => Decision::Answer(Status::Settled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_decide() {
        let answers = |amount_cents| [0, 1, 2, 3].map(|before| decide(amount_cents, before));
        let answer = Decision::Answer;
        assert_eq!(answers(10_000), [answer(Status::Settled); 4]);
        assert_eq!(answers(10_013), [answer(Status::Failed); 4]);
        assert_eq!(answers(517)[..2], [Decision::Break, answer(Status::Settled)]);
        assert_eq!(
            answers(519),
            [Status::Pending, Status::Pending, Status::Settled, Status::Settled].map(answer)
        );
    }
}

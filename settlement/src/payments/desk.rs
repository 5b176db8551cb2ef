//! The payments that are undecided, and what was decided about the others.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brokerx_schemas::{AccountEvent, AccountEventKind, PaymentId, PaymentResult, PaymentStatus, PaymentView};
use brokerx_topics::headers::Trace;
use tokio::task::JoinSet;

use super::metrics::PaymentsMetrics;
use super::provider_client::ProviderClient;
use super::results::ResultWriter;

/// Results that are remembered until the account's event confirms them.
const RESULTS_MAX: usize = 100_000;

/// Partition and offset of a record.
type Place = (i32, i64);

struct Open {
    place: Place,
    /// What the account has booked meanwhile; then no result is written any more.
    booked: Option<PaymentStatus>,
    is_booked: Arc<AtomicBool>,
}

/// Works on payments, several at a time.
pub(super) struct Desk {
    provider: ProviderClient,
    writer: ResultWriter,
    metrics: PaymentsMetrics,
    open: BTreeMap<PaymentId, Open>,
    tasks: JoinSet<(PaymentId, PaymentStatus)>,
    results: Results,
    /// Places of records that are done with.
    done_with: VecDeque<Place>,
}

impl Desk {
    pub(super) fn new(provider: ProviderClient, writer: ResultWriter, metrics: PaymentsMetrics) -> Self {
        metrics.open.set(0);
        Self {
            provider,
            writer,
            metrics,
            open: BTreeMap::new(),
            tasks: JoinSet::new(),
            results: Results::default(),
            done_with: VecDeque::new(),
        }
    }

    /// How many payments are undecided.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes an event; true when it begins work that [`Desk::finished`] will report.
    pub(super) fn take(&mut self, event: AccountEvent, trace: Trace, place: Place) -> bool {
        let kind = event.kind;
        let Some(payment) = event.payment.clone() else {
            return false;
        };
        match kind {
            AccountEventKind::PaymentPending => {
                self.begin(event, payment, trace, place);
                true
            }
            AccountEventKind::PaymentSettled | AccountEventKind::PaymentFailed => {
                self.decided(&payment);
                false
            }
            _ => false,
        }
    }

    fn begin(&mut self, event: AccountEvent, payment: PaymentView, trace: Trace, place: Place) {
        let payment_id = payment.payment_id;
        if let Some(open) = self.open.get_mut(&payment_id) {
            // The partition came back while its payment was worked on, or its writer started over.
            let earlier = std::mem::replace(&mut open.place, place);
            if earlier != place {
                self.done_with.push_back(earlier);
            }
            return;
        }
        let (provider, writer, metrics) = (self.provider.clone(), self.writer.clone(), self.metrics.clone());
        let is_booked = Arc::new(AtomicBool::new(false));
        let booked = Arc::clone(&is_booked);
        self.tasks.spawn(async move {
            let decision = provider.decide(&payment, &trace).await;
            let outcome = match decision.settled {
                true => PaymentStatus::Settled,
                false => PaymentStatus::Failed,
            };
            if booked.load(Ordering::Relaxed) {
                return (payment_id, outcome);
            }
            let result = PaymentResult {
                account_id: event.account_id,
                payment_id,
                outcome,
                provider_reference: Some(decision.reference),
            };
            writer.write(event.account_id, result, &trace).await;
            metrics.results.inc();
            let correlation_id = trace.correlation_id;
            tracing::info!(
                payment_id = payment_id.0,
                ?outcome,
                correlation_id,
                "a payment is decided"
            );
            (payment_id, outcome)
        });
        self.open.insert(
            payment_id,
            Open {
                place,
                booked: None,
                is_booked,
            },
        );
        self.metrics.open.set(self.open.len() as i64);
    }

    /// The account has booked a payment's end.
    fn decided(&mut self, payment: &PaymentView) {
        if let Some(open) = self.open.get_mut(&payment.payment_id) {
            // Read again after a crash, or another instance was first. The provider is still asked,
            // to compare, but no result is written.
            open.booked = Some(payment.status);
            open.is_booked.store(true, Ordering::Relaxed);
        } else if let Some(decided) = self.results.take(payment.payment_id) {
            self.compare(payment.payment_id, decided, payment.status);
        }
    }

    fn compare(&self, payment_id: PaymentId, decided: PaymentStatus, booked: PaymentStatus) {
        if decided != booked {
            self.metrics.contradictions.inc();
            tracing::error!(
                payment_id = payment_id.0,
                ?booked,
                ?decided,
                "the account booked other than the provider decided; no money was moved for it"
            );
        }
    }

    /// The place of the next payment that is done with. Waits as long as there is none; may be
    /// dropped and called again.
    pub(super) async fn finished(&mut self) -> Place {
        loop {
            if let Some(place) = self.done_with.pop_front() {
                return place;
            }
            match self.tasks.join_next().await {
                Some(Ok((payment_id, outcome))) => {
                    let Some(open) = self.open.remove(&payment_id) else {
                        continue;
                    };
                    self.metrics.open.set(self.open.len() as i64);
                    match open.booked {
                        Some(booked) => self.compare(payment_id, outcome, booked),
                        None => self.results.remember(payment_id, outcome),
                    }
                    return open.place;
                }
                // Its payment stays open, and its offset uncommitted.
                Some(Err(error)) => tracing::error!(%error, "the work on a payment panicked"),
                None => std::future::pending().await,
            }
        }
    }
}

/// What was decided here and is not confirmed yet; the oldest are forgotten first.
#[derive(Default)]
struct Results {
    outcomes: BTreeMap<PaymentId, PaymentStatus>,
    order: VecDeque<PaymentId>,
}

impl Results {
    fn remember(&mut self, payment_id: PaymentId, outcome: PaymentStatus) {
        if self.outcomes.insert(payment_id, outcome).is_none() {
            self.order.push_back(payment_id);
        }
        while self.order.len() > RESULTS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.outcomes.remove(&oldest);
            }
        }
    }

    /// Takes out what was decided here about a payment.
    fn take(&mut self, payment_id: PaymentId) -> Option<PaymentStatus> {
        self.outcomes.remove(&payment_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_once_and_the_oldest_are_forgotten() {
        let mut results = Results::default();
        for payment_id in 1..=RESULTS_MAX as i64 + 1 {
            results.remember(PaymentId(payment_id), PaymentStatus::Failed);
        }
        assert_eq!(results.take(PaymentId(1)), None);
        assert_eq!(results.take(PaymentId(2)), Some(PaymentStatus::Failed));
        assert_eq!(results.take(PaymentId(2)), None);
    }
}

//! The stops that a book holds: placed, replaced, and taken out by a trade that reaches them.

use brokerx_schemas::{BookStatus, Reason};

use super::queues::Book;
use super::types::{Answer, Stop, Ticks, TimeInForce};

impl Book {
    /// Holds a stop behind all that came before it.
    pub fn hold(&mut self, stop: Stop) -> Answer {
        self.priority_last += 1;
        self.stops.insert(Stop {
            placed: self.priority_last,
            ..stop
        });
        Answer {
            status: BookStatus::Working,
            reason: None,
            leaves: stop.quantity,
        }
    }

    /// A stop that is held; none when it is not.
    pub fn stop(&self, order_id: i64) -> Option<&Stop> {
        self.stops.get(order_id)
    }

    /// How many stops are held.
    pub fn stop_count(&self) -> usize {
        self.stops.len()
    }

    /// All stops: buys by stop price from the lowest, then sells.
    pub fn stops(&self) -> impl Iterator<Item = &Stop> {
        self.stops.iter()
    }

    /// Takes out one stop that a trade at `price` triggers; none when there is none (any more).
    pub fn take_triggered(&mut self, price: Ticks) -> Option<Stop> {
        let order_id = self.stops.reached(price)?;
        self.stops.remove(order_id)
    }

    /// Gives a held stop a new limit, quantity and time in force. With the same limit and no larger
    /// quantity it keeps its place among the stops; anything else sends it to the end.
    pub fn replace_stop(
        &mut self,
        order_id: i64,
        limit: Option<Ticks>,
        quantity: i64,
        time_in_force: TimeInForce,
    ) -> Answer {
        let Some(stop) = self.stops.remove(order_id) else {
            return Answer::rejected(Reason::OrderClosed, 0);
        };
        let keeps = limit == stop.limit && quantity <= stop.quantity;
        if !keeps {
            self.priority_last += 1;
        }
        self.stops.insert(Stop {
            limit,
            quantity,
            time_in_force,
            placed: if keeps { stop.placed } else { self.priority_last },
            ..stop
        });
        Answer {
            status: BookStatus::Replaced,
            reason: None,
            leaves: quantity,
        }
    }
}

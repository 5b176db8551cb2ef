//! The places of a server, in all and per address.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Limits;
use crate::service::places::{Place, Places};
use crate::service::source::{client_address, is_trusted, source_of};

/// Ends when the last seat and the [`Seats`] are dropped.
pub(super) type Gone = mpsc::Receiver<Infallible>;

/// The places of a server.
pub(super) struct Seats {
    all: Arc<Semaphore>,
    addresses: Places<IpAddr>,
    trusted_proxies: Arc<[IpNet]>,
    presence: mpsc::Sender<Infallible>,
}

/// The place of one connection, kept until its last clone is dropped.
#[derive(Clone, Debug)]
pub struct Seat(Arc<Held>);

#[derive(Debug)]
struct Held {
    peer: IpAddr,
    addresses: Places<IpAddr>,
    trusted_proxies: Arc<[IpNet]>,
    _in_all: OwnedSemaphorePermit,
    /// None for a trusted proxy, whose connections are those of its clients.
    _of_address: Option<Place<IpAddr>>,
    _presence: mpsc::Sender<Infallible>,
}

/// The place of a client behind a proxy among the connections of its address.
#[derive(Debug)]
pub struct ClientPlace(#[expect(dead_code, reason = "held until it is dropped")] Option<Place<IpAddr>>);

impl Seats {
    /// The places under these limits, when there is room for so many connections.
    pub(super) fn new(limits: &Limits, room: usize) -> (Self, Gone) {
        let (presence, gone) = mpsc::channel(1);
        let seats = Self {
            all: Arc::new(Semaphore::new(
                limits.connections_max.min(room).min(Semaphore::MAX_PERMITS),
            )),
            addresses: Places::new(limits.connections_per_address_max),
            trusted_proxies: limits.trusted_proxies.as_slice().into(),
            presence,
        };
        (seats, gone)
    }

    /// A place for a connection from this address, if there is one.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Seat> {
        let of_address = if is_trusted(peer, &self.trusted_proxies) {
            None
        } else {
            Some(self.addresses.take(source_of(peer))?)
        };
        let in_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Seat(Arc::new(Held {
            peer,
            addresses: self.addresses.clone(),
            trusted_proxies: Arc::clone(&self.trusted_proxies),
            _in_all: in_all,
            _of_address: of_address,
            _presence: self.presence.clone(),
        })))
    }
}

impl Seat {
    /// A place for the client of a request that keeps its connection: behind a trusted proxy it is
    /// counted among the connections of its own address, which the proxy tells. None when these are too
    /// many. Without a proxy the seat itself is that place.
    pub fn of_client(&self, headers: &HeaderMap) -> Option<ClientPlace> {
        let Held {
            peer, trusted_proxies, ..
        } = &*self.0;
        let client = client_address(headers, *peer, trusted_proxies);
        if !is_trusted(*peer, trusted_proxies) {
            return Some(ClientPlace(None));
        }
        let place = self.0.addresses.take(source_of(client))?;
        Some(ClientPlace(Some(place)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(trusted: &[&str]) -> Limits {
        Limits {
            connections_max: 3,
            connections_per_address_max: 2,
            trusted_proxies: trusted.iter().map(|network| network.parse().unwrap()).collect(),
            ..Limits::for_operation()
        }
    }

    fn from(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[tokio::test]
    async fn an_address_cannot_take_the_places_of_others() {
        let (seats, gone) = Seats::new(&limits(&[]), 100);
        let ours: Vec<_> = (0..2).map(|_| seats.take(from("2001:db8::1")).unwrap()).collect();
        assert!(seats.take(from("2001:db8::2")).is_none(), "the same /64");
        let other = seats.take(from("127.0.0.1")).unwrap();
        assert!(seats.take(from("127.0.0.2")).is_none(), "three in all");
        // What was refused took no place of its address either.
        drop(other);
        let other = seats.take(from("127.0.0.2")).unwrap();
        drop((seats, ours));
        let mut gone = std::pin::pin!(super::super::all_gone(gone));
        assert!(tokio::time::timeout(Duration::ZERO, &mut gone).await.is_err());
        drop(other);
        gone.await;
    }

    #[test]
    fn there_are_no_more_places_than_files() {
        let (seats, _gone) = Seats::new(&limits(&[]), 1);
        let seat = seats.take(from("127.0.0.1"));
        assert!(seat.is_some() && seats.take(from("127.0.0.2")).is_none());
    }

    #[test]
    fn a_trusted_proxy_is_not_shut_out_and_its_clients_are_counted() {
        let (seats, _gone) = Seats::new(&limits(&["10.0.0.0/8"]), 100);
        let seat: Vec<_> = (0..3).map(|_| seats.take(from("10.0.0.1")).unwrap()).collect();
        let headers =
            |client: &str| HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), client.parse().unwrap())]);
        let first = seat[0].of_client(&headers("203.0.113.5")).unwrap();
        let second = seat[1].of_client(&headers("203.0.113.5")).unwrap();
        assert!(seat[2].of_client(&headers("203.0.113.5")).is_none());
        assert!(seat[2].of_client(&headers("203.0.113.6")).is_some());
        drop((first, second));
        assert!(seat[2].of_client(&headers("203.0.113.5")).is_some());
    }
}

//! Who tries, and what tries are counted by.

use std::net::IpAddr;
use std::time::Duration;

/// Who tries: the e-mail as it is compared, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::sessions) struct Who {
    pub(in crate::sessions) email_key: String,
    pub(in crate::sessions) network: IpAddr,
}

/// What tries are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::sessions) enum Key {
    Network(IpAddr),
    Pair(Who),
    Email(String),
    /// Tries beyond the rate, whatever came of those before.
    Often(Who),
    /// Right passwords of a registration that is not verified.
    Unverified(Who),
}

/// What the database remembers of somebody who tries: the ages of wrong tries, youngest first.
#[derive(Clone, Debug, Default)]
pub(in crate::sessions) struct History {
    pub(in crate::sessions) of_network: Vec<Duration>,
    pub(in crate::sessions) of_pair: Vec<Duration>,
    pub(in crate::sessions) of_email: Vec<Duration>,
    /// Whether this client has logged in from this network before.
    pub(in crate::sessions) is_known: bool,
}

impl Who {
    /// The three counts of wrong passwords that a try is in.
    pub(super) fn keys(&self) -> [Key; 3] {
        [
            Key::Network(self.network),
            Key::Pair(self.clone()),
            Key::Email(self.email_key.clone()),
        ]
    }
}

//! `auth`: what happened to clients' identities, from the outbox of the ingress. It holds no secret
//! and no personal data. Key: the account id in decimal, or the client id where there is no account.

use serde::{Deserialize, Serialize};

use crate::{AccountId, kinds};

/// A client registered; the mail row tells the notifier what to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRegistered {
    /// The outbox row: the relay may write a record twice, a consumer removes duplicates by this.
    pub event_id: i64,
    /// The client, a UUID.
    pub client_id: String,
    /// Its account.
    pub account_id: AccountId,
    /// The row of `identity.mails` to send.
    pub mail_id: i64,
    /// Microseconds since the epoch.
    pub occurred_us: i64,
}

/// A client's identity changed without a mail: verified, rejected, suspended, reinstated, operator added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientChanged {
    /// The outbox row, to remove duplicates by.
    pub event_id: i64,
    /// The client, a UUID.
    pub client_id: String,
    /// Its account, if it has one.
    pub account_id: Option<AccountId>,
    /// Microseconds since the epoch.
    pub occurred_us: i64,
}

/// A mail is to be sent: a reminder, a code, a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRequested {
    /// The outbox row, to remove duplicates by.
    pub event_id: i64,
    /// The client, a UUID.
    pub client_id: String,
    /// The row of `identity.mails` to send.
    pub mail_id: i64,
    /// Microseconds since the epoch.
    pub occurred_us: i64,
}

crate::vocabulary! {
    /// How a try to log in ended.
    LoginOutcome {
        /// A token was given.
        Succeeded,
        /// The e-mail or the password was wrong.
        WrongCredentials,
        /// The client is not verified.
        NotVerified,
        /// The client is suspended or rejected.
        NotAllowed,
        /// Too many wrong tries.
        Limited,
    }
}

/// Somebody tried to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginAttempted {
    /// The outbox row, to remove duplicates by.
    pub event_id: i64,
    /// The client, when the e-mail is known.
    pub client_id: Option<String>,
    /// How it ended.
    pub outcome: LoginOutcome,
    /// Microseconds since the epoch.
    pub occurred_us: i64,
}

kinds! {
    /// A record of `auth`.
    AuthEvent, AuthEventKind {
        /// A client registered.
        client_registered: ClientRegistered(ClientRegistered),
        /// A client opened the link of its mail.
        client_verified: ClientVerified(ClientChanged),
        /// A client never verified in time.
        client_rejected: ClientRejected(ClientChanged),
        /// An operator suspended a client.
        client_suspended: ClientSuspended(ClientChanged),
        /// An operator reinstated a client.
        client_reinstated: ClientReinstated(ClientChanged),
        /// An operator was added from the command line.
        operator_added: OperatorAdded(ClientChanged),
        /// A mail is to be sent.
        mail_requested: MailRequested(MailRequested),
        /// Somebody tried to log in.
        login_attempted: LoginAttempted(LoginAttempted),
    }
}

//! The protocol without the socket: what a client asks for, and what it gets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use brokerx_identity::tokens::{Claims, TokenError};
use brokerx_schemas::AccountId;
use brokerx_topics::service::Place;
use brokerx_topics::service::clock::now_unix_seconds;

use super::pace::{Pace, Verdict};
use super::wholes::Wholes;
use super::{Feed, Outbox, Outgoing, Push};
use crate::private::PrivateStream;
use crate::protocol::{Answer, Channel, ErrorCode, Mode, PrivateChannel, PublicChannel, Request};

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The close code of RFC 6455, section 7.4.
    pub close_code: u16,
    /// The reason in words.
    pub reason: &'static str,
}

/// Policy violation.
const POLICY: u16 = 1008;
/// Try again later: the registry of close codes that RFC 6455, section 11.7, sets up.
const TRY_AGAIN_LATER: u16 = 1013;

type Refusal = (ErrorCode, String);

/// One client.
pub struct Session {
    feed: Arc<Feed>,
    outbox: Outbox,
    claims: Option<Claims>,
    account_id: Option<AccountId>,
    /// The account's last event when the client authenticated.
    known: Option<i64>,
    channels: BTreeSet<Channel>,
    private: Option<PrivateStream>,
    /// When the client last asked for its past, whichever stream it asked.
    resumed_at: Option<Instant>,
    pace: Pace,
    /// How often each channel was sent whole.
    wholes: Wholes,
    /// One of the account's connections.
    place: Option<Place<AccountId>>,
}

impl Session {
    /// A client that has not authenticated.
    pub fn new(feed: Arc<Feed>, outbox: Outbox) -> Self {
        let pace = Pace::new(feed.limits.messages_per_second, feed.limits.messages_burst);
        Self {
            feed,
            outbox,
            claims: None,
            account_id: None,
            known: None,
            channels: BTreeSet::new(),
            private: None,
            resumed_at: None,
            pace,
            wholes: Wholes::new(),
            place: None,
        }
    }

    /// When the token expires, Unix seconds; none without a token.
    pub fn expires(&self) -> Option<i64> {
        self.claims.as_ref().map(|claims| claims.exp)
    }

    /// The private stream, once there is one.
    pub fn private(&mut self) -> Option<&mut PrivateStream> {
        self.private.as_mut()
    }

    /// Checks that the token, if there is one, is still accepted; otherwise returns why the connection ends.
    pub fn check_token(&self, out: &mut Vec<Outgoing>) -> Result<(), Ending> {
        let Some(claims) = &self.claims else { return Ok(()) };
        if now_unix_seconds() >= claims.exp {
            return Err(end(out, ErrorCode::TokenExpired, "the token has expired"));
        }
        if !self.feed.revocations.is_known() {
            let reason = "which tokens were revoked is not known yet";
            out.push(Answer::error(ErrorCode::TokensUnknown, reason).into());
            return Err(Ending {
                close_code: TRY_AGAIN_LATER,
                reason,
            });
        }
        if self.feed.revocations.is_revoked(&claims.jti) || self.feed.revocations.is_blocked(&claims.sub) {
            return Err(end(out, ErrorCode::Unauthorized, "the token was revoked"));
        }
        Ok(())
    }

    /// Takes what a reader pushed.
    pub fn pushed(&mut self, push: Push, out: &mut Vec<Outgoing>) {
        match push {
            Push::Market(message) => out.push(message),
            Push::Account(happened) => {
                if let Some(private) = &mut self.private {
                    private.live(happened, out);
                }
            }
        }
    }

    /// Counts a frame of the client; returns whether it may be carried out.
    ///
    /// # Errors
    /// When the connection must end, because too many were refused before; `out` says why.
    pub fn paced(&mut self, out: &mut Vec<Outgoing>) -> Result<bool, Ending> {
        let reason = "the client sends too many messages";
        match self.pace.count(Instant::now()) {
            Verdict::Taken => Ok(true),
            Verdict::Refused => {
                self.feed.metrics.refused.inc();
                let limit = self.feed.limits.messages_per_second;
                let detail = format!("{reason}: {limit} a second in the long run; this one is not carried out");
                out.push(Answer::error(ErrorCode::TooManyMessages, detail).into());
                Ok(false)
            }
            Verdict::Ended => Err(end(out, ErrorCode::TooManyMessages, reason)),
        }
    }

    /// Takes a message from the client.
    ///
    /// # Errors
    /// When the connection must end; `out` says why.
    pub async fn request(&mut self, text: &str, out: &mut Vec<Outgoing>) -> Result<(), Ending> {
        if !self.paced(out)? {
            return Ok(());
        }
        let request = serde_json::from_str(text).map_err(|error| {
            (
                ErrorCode::InvalidMessage,
                format!("the message is not one of the protocol: {error}"),
            )
        });
        let done = match request {
            Ok(Request::Auth { token }) => return self.authenticate(&token, out).await,
            Ok(Request::Subscribe {
                channels,
                mode,
                id,
                after,
            }) => self.subscribe(&channels, mode, id, after, out),
            Ok(Request::Unsubscribe { channels, id }) => self.unsubscribe(&channels, id, out),
            Ok(Request::Resume { after }) => self.resume(after, out),
            Ok(Request::Ack { seq }) => self.acknowledge(seq),
            Ok(Request::Snapshot { channel }) => self.snapshot(&channel),
            Ok(Request::Ping {}) => {
                out.push(Answer::Pong.into());
                Ok(())
            }
            Err(refusal) => Err(refusal),
        };
        if let Err((code, detail)) = done {
            self.feed.metrics.refused.inc();
            out.push(Answer::error(code, detail).into());
        }
        Ok(())
    }

    /// Accepts a token.
    ///
    /// # Errors
    /// When the token is not accepted, which ends the connection; `out` says why.
    pub async fn authenticate(&mut self, token: &str, out: &mut Vec<Outgoing>) -> Result<(), Ending> {
        let claims = match self.feed.tokens.verify(token, now_unix_seconds()) {
            Ok(claims) => claims,
            Err(TokenError::Expired) => return Err(end(out, ErrorCode::TokenExpired, "the token has expired")),
            Err(TokenError::Invalid) => return Err(end(out, ErrorCode::Unauthorized, "the token is not valid")),
        };
        if self.claims.as_ref().is_some_and(|before| before.sub != claims.sub) {
            return Err(end(out, ErrorCode::Unauthorized, "a connection belongs to one client"));
        }
        // Operators have no account, hence no private channels.
        self.account_id = claims.account_id.as_deref().and_then(|text| text.parse().ok());
        self.claims = Some(claims);
        self.check_token(out)?;
        // The account of a client never changes, so a connection that has a place keeps it.
        if let Some(account_id) = self.account_id.filter(|_| self.place.is_none()) {
            let place = self.feed.account_places.take(account_id);
            let too_many = "the account has too many connections";
            self.place = Some(place.ok_or_else(|| end(out, ErrorCode::TooManyConnections, too_many))?);
        }
        if let Some(account_id) = self.account_id {
            self.known = match self.feed.accounts.last(account_id) {
                None => self.feed.history.last(account_id).await.ok(),
                seen => seen,
            };
        }
        let account_id = self.account_id.map(|account_id| account_id.to_string());
        out.push(
            Answer::Authenticated {
                account_id,
                seq: self.known,
            }
            .into(),
        );
        Ok(())
    }

    fn subscribe(
        &mut self,
        names: &[String],
        mode: Mode,
        id: Option<String>,
        after: Option<i64>,
        out: &mut Vec<Outgoing>,
    ) -> Result<(), Refusal> {
        let mut channels = self.parse(names)?;
        let is_private = channels.iter().any(|channel| matches!(channel, Channel::Private(_)));
        let account_id = match self.account_id {
            None if is_private => {
                return Err((
                    ErrorCode::Unauthorized,
                    "private channels need the token of a client".to_owned(),
                ));
            }
            account_id => account_id.filter(|_| is_private),
        };
        if after.is_some_and(|after| after < 0 || !is_private) {
            return Err((
                ErrorCode::InvalidMessage,
                "after is a number from 0 on, for private channels".to_owned(),
            ));
        }
        let after_all = self.channels.union(&channels).count();
        if after_all > self.feed.limits.subscriptions_max {
            let detail = format!("{after_all} channels; at most {}", self.feed.limits.subscriptions_max);
            return Err((ErrorCode::TooManySubscriptions, detail));
        }
        let early = self.take_early(&mut channels);
        for channel in &channels {
            if self.channels.insert(*channel) {
                self.feed.metrics.subscribed(channel.kind(), 1);
            }
        }
        self.tell_channels(id, out);
        let mut target = 0;
        if let Some(account_id) = account_id {
            target = self.listen(account_id);
        }
        for channel in channels {
            match channel {
                Channel::Private(channel) => {
                    if let Some(private) = &mut self.private {
                        private.channels_mut().insert(channel);
                    }
                }
                Channel::Public(channel, symbol) => self.feed.market.subscribe(channel, symbol, mode, &self.outbox),
            }
        }
        if let (Some(after), Some(private)) = (after, &mut self.private) {
            private.resume(after, target, self.resumed_at.replace(Instant::now()), out);
        }
        if early.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = early.iter().map(Channel::to_string).collect();
        let detail = format!(
            "once a second each; left as they were, subscribe later: {}",
            names.join(", ")
        );
        Err((ErrorCode::TooManySnapshots, detail))
    }

    /// Takes out the channels whose present state was sent so often of late that they are left as they are.
    fn take_early(&mut self, channels: &mut BTreeSet<Channel>) -> Vec<Channel> {
        self.wholes.tidy();
        let mut early = Vec::new();
        channels.retain(|channel| {
            let may = match channel {
                Channel::Private(_) => true,
                Channel::Public(..) if self.channels.contains(channel) => self.wholes.may_repeat(*channel),
                Channel::Public(..) => self.wholes.may_begin(*channel),
            };
            if !may {
                early.push(*channel);
            }
            may
        });
        early
    }

    /// Receives the account's events from now on; returns the number of the last one that is known.
    fn listen(&mut self, account_id: AccountId) -> i64 {
        if let Some(private) = &self.private {
            return private.last();
        }
        let seen = self.feed.accounts.subscribe(account_id, self.outbox.clone());
        let base = seen.max(self.known);
        let (history, metrics) = (Arc::clone(&self.feed.history), self.feed.metrics.clone());
        self.private = Some(PrivateStream::new(account_id, base, history, metrics));
        base.unwrap_or(0)
    }

    fn unsubscribe(&mut self, names: &[String], id: Option<String>, out: &mut Vec<Outgoing>) -> Result<(), Refusal> {
        for channel in self.parse(names)? {
            if self.channels.remove(&channel) {
                self.leave(channel);
            }
        }
        self.tell_channels(id, out);
        Ok(())
    }

    fn leave(&mut self, channel: Channel) {
        self.feed.metrics.subscribed(channel.kind(), -1);
        match channel {
            Channel::Public(channel, symbol) => self.feed.market.unsubscribe(channel, symbol, self.outbox.id()),
            Channel::Private(channel) => self.leave_private(channel),
        }
    }

    fn leave_private(&mut self, channel: PrivateChannel) {
        let Some(private) = &mut self.private else { return };
        private.channels_mut().remove(channel);
        if private.channels_mut().is_empty() {
            // The next subscription begins where this one ended.
            self.known = Some(private.passed()).max(self.known);
            self.feed.accounts.unsubscribe(private.account_id(), self.outbox.id());
            self.private = None;
        }
    }

    fn resume(&mut self, after: i64, out: &mut Vec<Outgoing>) -> Result<(), Refusal> {
        let Some(private) = &mut self.private else {
            return Err((
                ErrorCode::InvalidMessage,
                "resume needs a subscription to a private channel".to_owned(),
            ));
        };
        if after < 0 {
            return Err((ErrorCode::InvalidMessage, "after is a number from 0 on".to_owned()));
        }
        private.resume(after, private.last(), self.resumed_at.replace(Instant::now()), out);
        Ok(())
    }

    fn acknowledge(&mut self, seq: i64) -> Result<(), Refusal> {
        match &self.private {
            Some(private) if (1..=private.passed()).contains(&seq) => {
                self.feed.acks.acknowledge(private.account_id(), seq);
                Ok(())
            }
            _ => Err((
                ErrorCode::InvalidMessage,
                format!("nothing was pushed that has the number {seq}"),
            )),
        }
    }

    fn snapshot(&mut self, name: &str) -> Result<(), Refusal> {
        match Channel::parse(name) {
            Some(channel @ Channel::Public(PublicChannel::Book, symbol)) if self.channels.contains(&channel) => {
                self.wholes.tidy();
                if !self.wholes.may_repeat(channel) {
                    let detail = format!("one whole book of {symbol} a second; ask again later");
                    return Err((ErrorCode::TooManySnapshots, detail));
                }
                self.feed.market.send_snapshot(symbol, &self.outbox);
                Ok(())
            }
            _ => Err((
                ErrorCode::UnknownChannel,
                format!("{name} is not a book that is subscribed to"),
            )),
        }
    }

    fn parse(&self, names: &[String]) -> Result<BTreeSet<Channel>, Refusal> {
        let mut channels = BTreeSet::new();
        for name in names {
            match Channel::parse(name) {
                Some(Channel::Public(_, symbol)) if !self.feed.market.may_be_listed(symbol) => {
                    return Err((
                        ErrorCode::UnknownChannel,
                        format!("{symbol} is not a listed instrument"),
                    ));
                }
                Some(channel) => channels.insert(channel),
                None => return Err((ErrorCode::UnknownChannel, format!("there is no channel {name}"))),
            };
        }
        Ok(channels)
    }

    fn tell_channels(&self, id: Option<String>, out: &mut Vec<Outgoing>) {
        let channels: Vec<Channel> = self.channels.iter().copied().collect();
        out.push(
            Answer::Subscribed {
                channels: &channels,
                id,
            }
            .into(),
        );
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for channel in std::mem::take(&mut self.channels) {
            self.leave(channel);
        }
    }
}

fn end(out: &mut Vec<Outgoing>, code: ErrorCode, reason: &'static str) -> Ending {
    out.push(Answer::error(code, reason).into());
    Ending {
        close_code: POLICY,
        reason,
    }
}

#[cfg(test)]
mod tests;

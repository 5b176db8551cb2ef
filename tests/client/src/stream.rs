//! The WebSocket feed.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// An open feed.
#[derive(Debug)]
pub struct Stream {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Messages that were read but not asked for yet.
    skipped: VecDeque<Value>,
}

impl Stream {
    /// Connects, authenticates (with a token) and subscribes; with `after`, private events that come
    /// after that number are sent first, whenever they happened.
    ///
    /// # Errors
    /// When the server refuses, or does not answer within 10 s.
    pub async fn open(url: &str, token: Option<&str>, channels: &[&str], after: Option<i64>) -> anyhow::Result<Self> {
        let limit = Duration::from_secs(10);
        let (socket, _) = timeout(limit, connect_async(url))
            .await
            .context("no WebSocket within 10 s")??;
        let mut stream = Self {
            socket,
            skipped: VecDeque::new(),
        };
        if let Some(token) = token {
            stream.send(&json!({"type": "auth", "token": token})).await?;
            stream
                .next_where(limit, |message| message["type"] == "authenticated")
                .await?;
        }
        let mut subscribe = json!({"type": "subscribe", "channels": channels});
        if let Some(after) = after {
            subscribe["after"] = json!(after);
        }
        stream.send(&subscribe).await?;
        stream
            .next_where(limit, |message| message["type"] == "subscribed")
            .await?;
        Ok(stream)
    }

    /// Closes the feed as a client does who needs it no more, and waits for the answer: the code that closes it.
    ///
    /// # Errors
    /// When the connection ends without an answer, or none comes within 10 s.
    pub async fn close(mut self) -> anyhow::Result<u16> {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "done".into(),
        };
        self.socket.send(Message::Close(Some(frame))).await?;
        let limit = Duration::from_secs(10);
        loop {
            let message = timeout(limit, self.socket.next())
                .await
                .context("no answer to the close")?;
            match message.context("the connection ended without an answer to the close")?? {
                Message::Close(frame) => return Ok(frame.context("a close without a code")?.code.into()),
                _ => continue,
            }
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    /// The next message.
    ///
    /// # Errors
    /// When none comes within the limit, or the connection ends.
    pub async fn next(&mut self, limit: Duration) -> anyhow::Result<Value> {
        if let Some(message) = self.skipped.pop_front() {
            return Ok(message);
        }
        self.read(limit).await
    }

    async fn read(&mut self, limit: Duration) -> anyhow::Result<Value> {
        loop {
            let message = timeout(limit, self.socket.next())
                .await
                .with_context(|| format!("nothing was pushed within {limit:?}"))?
                .context("the feed ended")??;
            match message {
                Message::Text(text) => {
                    let value: Value = serde_json::from_str(&text)?;
                    ensure!(value["type"] != "error", "the feed answered {value}");
                    return Ok(value);
                }
                Message::Close(frame) => bail!("the feed was closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The first message that fits; those before it are kept for later calls.
    ///
    /// # Errors
    /// When none comes within the limit.
    pub async fn next_where(&mut self, limit: Duration, fits: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        if let Some(index) = self.skipped.iter().position(&fits)
            && let Some(message) = self.skipped.remove(index)
        {
            return Ok(message);
        }
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let message = self.read(left).await?;
            if fits(&message) {
                return Ok(message);
            }
            self.skipped.push_back(message);
        }
    }
}

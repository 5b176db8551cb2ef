//! A connection that ends when its client takes too long.
//!
//! What the client may take its time for depends on where the exchange is ([`Phase`]): a head that has
//! begun must end soon, a connection without a request may wait longer, and while an answer is made
//! nothing is asked of the client. Whatever is written must be taken.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Limits;

/// Where the exchange on a connection is.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

/// A head is being sent; a connection begins with this.
const HEAD: u8 = 0;
/// The request is here: whoever serves it limits its time. A WebSocket stays in this.
const SERVED: u8 = 1;
/// It was answered.
const IDLE: u8 = 2;

impl Phase {
    /// A request has come.
    pub(super) fn served(&self) {
        self.0.store(SERVED, Ordering::Relaxed);
    }

    /// It was answered; the next one may come.
    pub(super) fn idle(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream under [`Limits`].
#[derive(Debug)]
pub(super) struct LimitedIo<S> {
    stream: S,
    phase: Phase,
    /// The phase that `since` belongs to.
    reading: u8,
    since: Instant,
    head: Duration,
    keep_alive: Duration,
    write: Duration,
    read_alarm: Alarm,
    write_alarm: Alarm,
    /// Since when a write makes no progress.
    stuck: Option<Instant>,
}

impl<S> LimitedIo<S> {
    pub(super) fn new(stream: S, phase: Phase, limits: &Limits) -> Self {
        Self {
            stream,
            phase,
            reading: HEAD,
            since: Instant::now(),
            head: limits.head,
            keep_alive: limits.keep_alive,
            write: limits.write,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
            stuck: None,
        }
    }

    /// Whether the client has taken too long to send something; else wakes the task when it will have.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let phase = self.phase.get();
        let limit = match phase {
            HEAD => self.head,
            IDLE => self.keep_alive,
            _ => return Poll::Pending,
        };
        if self.reading != phase {
            self.reading = phase;
            self.since = Instant::now();
        }
        ready!(self.read_alarm.poll(context, self.since + limit));
        Poll::Ready(io::Error::new(ErrorKind::TimedOut, "the client sends no request"))
    }

    /// Ends a write that the client does not take.
    fn limit_write<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let since = *self.stuck.get_or_insert_with(Instant::now);
        ready!(self.write_alarm.poll(context, since + self.write));
        let error = io::Error::new(ErrorKind::TimedOut, "the client takes nothing of its answer");
        Poll::Ready(Err(error))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitedIo<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(read) => {
                if this.phase.get() == IDLE && buffer.filled().len() > before {
                    // The first bytes of the next head. Its clock starts here.
                    this.phase.0.store(HEAD, Ordering::Relaxed);
                    this.reading = HEAD;
                    this.since = Instant::now();
                }
                Poll::Ready(read)
            }
            Poll::Pending => this.poll_late(context).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitedIo<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.limit_write(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.limit_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.limit_write(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let ended = Pin::new(&mut this.stream).poll_shutdown(context);
        this.limit_write(context, ended)
    }
}

/// A timer whose moment is moved far more often than it comes: it is only touched when it goes off, or
/// when the moment comes sooner.
#[derive(Debug, Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    fn poll(&mut self, context: &mut Context<'_>, due: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if due < sleep.deadline() {
            sleep.as_mut().reset(due);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}

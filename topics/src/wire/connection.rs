//! A connection to one broker: requests out, answers in. Only making it and [`Connection::ask`] wait.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use native_tls::{Certificate, Identity, TlsConnector, TlsStream};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use openssl::pkey::PKey;

use crate::service::{KafkaSecurity, Protocol};

/// An answer that is larger is none of those that are asked for.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How much is read at a time.
const READ_BYTES: usize = 64 << 10;

/// A connection to one broker.
pub(super) struct Connection {
    stream: Stream,
    outbox: Vec<u8>,
    written: usize,
    inbox: BytesMut,
    asked: VecDeque<Question>,
    last_id: i32,
}

struct Question {
    id: i32,
    header_version: i16,
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What is asked for: a request with the version of it that is spoken, which every broker from Kafka 2.4 on knows.
pub(super) trait Request: Encodable + HeaderVersion {
    const API: ApiKey;
    const VERSION: i16;
    type Answer: Decodable + HeaderVersion;
}

impl Connection {
    /// Connects to `host:port`, TLS included; who is asked for the proof of a name gives it with
    /// [`sasl`](super::sasl).
    ///
    /// # Errors
    /// When nobody answers there, or one side does not believe the other.
    pub(super) fn open(address: &str, security: &KafkaSecurity, deadline: Instant) -> io::Result<Self> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        let addresses: Vec<_> = address.to_socket_addrs()?.collect();
        for (resolved, behind) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
            // One that does not answer leaves time for those behind it.
            let share = left(deadline)? / behind;
            let opened = TcpStream::connect_timeout(resolved, share)
                .and_then(|stream| Self::over(stream, address, security, deadline));
            match opened {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn over(stream: TcpStream, address: &str, security: &KafkaSecurity, deadline: Instant) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let limit = left(deadline)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let stream = match security.protocol {
            Protocol::Plaintext | Protocol::SaslPlaintext => Stream::Clear(stream),
            Protocol::Ssl | Protocol::SaslSsl => {
                let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let connected = connector(security)?.connect(host, stream).map_err(io::Error::other)?;
                Stream::Tls(Box::new(connected))
            }
        };
        stream.socket().set_nonblocking(true)?;
        Ok(Self {
            stream,
            outbox: Vec::new(),
            written: 0,
            inbox: BytesMut::new(),
            asked: VecDeque::new(),
            last_id: 0,
        })
    }

    /// Puts a request behind those that are on the way and writes what there is room for.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) fn send<R: Request>(&mut self, request: &R) -> io::Result<()> {
        self.last_id = self.last_id.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::API as i16)
            .with_request_api_version(R::VERSION)
            .with_correlation_id(self.last_id)
            .with_client_id(Some(StrBytes::from_static_str("brokerx")));
        let mut bytes = BytesMut::new();
        header
            .encode(&mut bytes, R::header_version(R::VERSION))
            .and_then(|()| request.encode(&mut bytes, R::VERSION))
            .map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.outbox.extend(length.to_be_bytes());
        self.outbox.extend(&bytes);
        self.asked.push_back(Question {
            id: self.last_id,
            header_version: R::Answer::header_version(R::VERSION),
        });
        self.push()
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) fn push(&mut self) -> io::Result<()> {
        while self.written < self.outbox.len() {
            match self.stream.write(&self.outbox[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // What is written is let go also while there is always more to write.
                    self.outbox.drain(..std::mem::take(&mut self.written));
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outbox.clear();
        self.written = 0;
        Ok(())
    }

    /// The next answer, if it has come: without its header, which belonged to the oldest request.
    ///
    /// # Errors
    /// When the connection is gone, or what came is no answer.
    pub(super) fn receive(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(answer) = self.answer()? {
                return Ok(Some(answer));
            }
            let before = self.inbox.len();
            self.inbox.resize(before + READ_BYTES, 0);
            let read = self.stream.read(&mut self.inbox[before..]);
            self.inbox.truncate(before + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn answer(&mut self) -> io::Result<Option<Bytes>> {
        let Some(length) = self.inbox.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > ANSWER_BYTES_MAX {
            return Err(no_answer(format!("an answer of {length} bytes")));
        }
        if self.inbox.len() < 4 + length {
            return Ok(None);
        }
        self.inbox.advance(4);
        let mut answer = self.inbox.split_to(length).freeze();
        let question = self
            .asked
            .pop_front()
            .ok_or_else(|| no_answer("an answer to nothing".to_owned()))?;
        let header = ResponseHeader::decode(&mut answer, question.header_version).map_err(io::Error::other)?;
        if header.correlation_id != question.id {
            return Err(no_answer(format!(
                "answer {} to request {}",
                header.correlation_id, question.id
            )));
        }
        Ok(Some(answer))
    }

    /// Asks, and waits for the answer. Nothing else may be on the way.
    ///
    /// # Errors
    /// When none comes in time, or it is none.
    pub(super) fn ask<R: Request>(&mut self, request: &R, deadline: Instant) -> io::Result<R::Answer> {
        self.send(request)?;
        loop {
            if let Some(mut answer) = self.receive()? {
                return R::Answer::decode(&mut answer, R::VERSION).map_err(io::Error::other);
            }
            let limit = left(deadline)?;
            self.wait(limit)?;
            self.push()?;
        }
    }

    /// Waits until something comes, or there is room for what is to be written.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn wait(&self, limit: Duration) -> io::Result<()> {
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, !self.outbox.is_empty());
        let mut fds = [PollFd::new(self.stream.socket().as_fd(), events)];
        let limit = PollTimeout::try_from(limit.max(Duration::from_millis(1))).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, limit) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }
}

/// What is left until a deadline.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::Error::new(ErrorKind::TimedOut, "no answer in time")),
        false => Ok(left),
    }
}

fn no_answer(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the broker sent {what}"))
}

fn connector(security: &KafkaSecurity) -> io::Result<TlsConnector> {
    let mut builder = TlsConnector::builder();
    if let Some(file) = &security.ca_file {
        builder.disable_built_in_roots(true);
        for certificate in Certificate::stack_from_pem(&fs::read(file)?).map_err(io::Error::other)? {
            builder.add_root_certificate(certificate);
        }
    }
    if let (Some(certificate), Some(key)) = (&security.certificate_file, &security.key_file) {
        // Every kind of PEM that librdkafka takes for a key; one that asks for a password is refused.
        let key = PKey::private_key_from_pem_callback(&fs::read(key)?, |_| Ok(0))
            .and_then(|key| key.private_key_to_pem_pkcs8())
            .map_err(io::Error::other)?;
        let identity = Identity::from_pkcs8(&fs::read(certificate)?, &key).map_err(io::Error::other)?;
        builder.identity(identity);
    }
    builder.build().map_err(io::Error::other)
}

//! A connection to a component, in clear or over TLS, for a few bytes of its protocol.

use std::fs;
use std::io::{Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use native_tls::{Certificate, Protocol, TlsConnector, TlsStream};

/// How long one try may take, each time it waits.
const LIMIT: Duration = Duration::from_secs(1);

/// A connection.
pub(super) enum Channel {
    Clear(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

impl Channel {
    /// Connects: over TLS to somebody whom the authority certifies, or in clear without one.
    ///
    /// # Errors
    /// When nobody answers within a second, or somebody else.
    pub(super) fn open(address: SocketAddr, authority: Option<&Path>) -> Result<Channel> {
        Channel::on(connect(address)?, address, authority)
    }

    /// As [`Channel::open`], on a connection that is there.
    pub(super) fn on(stream: TcpStream, address: SocketAddr, authority: Option<&Path>) -> Result<Channel> {
        let Some(authority) = authority else {
            return Ok(Channel::Clear(stream));
        };
        let connector = Certificate::from_pem(&fs::read(authority)?).and_then(|authority| {
            TlsConnector::builder()
                .disable_built_in_roots(true)
                .add_root_certificate(authority)
                .min_protocol_version(Some(Protocol::Tlsv12))
                .build()
        });
        let connector = connector.map_err(Error::other)?;
        let stream = connector.connect(&address.ip().to_string(), stream);
        Ok(Channel::Secured(Box::new(
            stream.map_err(|error| Error::other(error.to_string()))?,
        )))
    }
}

/// A connection in clear.
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Channel::Clear(stream) => stream.read(buffer),
            Channel::Secured(stream) => stream.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Channel::Clear(stream) => stream.write(bytes),
            Channel::Secured(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Channel::Clear(stream) => stream.flush(),
            Channel::Secured(stream) => stream.flush(),
        }
    }
}

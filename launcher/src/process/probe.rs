//! Finds out whether a component can serve, with a few bytes of its own protocol.

use std::io::{Error, Read, Result, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::channel::{Channel, connect};

/// What to ask; over TLS where an authority is given, which must certify who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// `GET path` answers 200.
    Http {
        /// Where.
        address: SocketAddr,
        /// Which path, with the leading slash.
        path: String,
        /// Who certifies the server, PEM.
        authority: Option<PathBuf>,
    },
    /// A Metadata request is answered with at least one broker. Over TLS, where the broker would first ask for a
    /// name and a password, that it says what it understands.
    Kafka {
        /// Where.
        address: SocketAddr,
        /// Who certifies the server, PEM.
        authority: Option<PathBuf>,
    },
    /// A connection gets as far as the password: the database accepts connections.
    Postgres {
        /// Where.
        address: SocketAddr,
        /// Who certifies the server, PEM.
        authority: Option<PathBuf>,
    },
}

impl Probe {
    /// Whether the component answers as it should, now.
    pub fn is_ready(&self) -> bool {
        match self {
            Probe::Http {
                address,
                path,
                authority,
            } => http_get(*address, path, authority.as_deref()).is_ok_and(|(status, _)| status == 200),
            Probe::Kafka {
                address,
                authority: None,
            } => kafka_brokers(*address).is_ok_and(|brokers| brokers > 0),
            Probe::Kafka {
                address,
                authority: Some(authority),
            } => kafka_answers(*address, authority).unwrap_or(false),
            Probe::Postgres { address, authority } => postgres_accepts(*address, authority.as_deref()).unwrap_or(false),
        }
    }
}

/// A GET over HTTP/1.0: status and body (at most 1 MiB).
///
/// # Errors
/// When nobody answers within a second, or not in HTTP.
fn http_get(address: SocketAddr, path: &str, authority: Option<&Path>) -> Result<(u16, String)> {
    let mut stream = Channel::open(address, authority)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    let read = stream.take(1 << 20).read_to_end(&mut bytes);
    // A server that closes without the farewell of TLS has answered nevertheless.
    if bytes.is_empty() {
        read?;
    }
    let answer = String::from_utf8_lossy(&bytes);
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| std::io::Error::other("not an HTTP answer"))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}

/// The number of brokers in the answer to `Metadata` version 1 without topics. A broker that has
/// its port open but is still fenced answers with none.
fn kafka_brokers(address: SocketAddr) -> Result<i32> {
    let mut stream = connect(address)?;
    stream.write_all(&[
        0, 0, 0, 14, // size
        0, 3, // Metadata
        0, 1, // version
        0, 0, 0, 1, // correlation id
        0xff, 0xff, // no client id
        0, 0, 0, 0, // no topics
    ])?;
    let mut head = [0u8; 12];
    stream.read_exact(&mut head)?;
    Ok(i32::from_be_bytes([head[8], head[9], head[10], head[11]]))
}

/// Whether a broker answers `ApiVersions` version 0, which it does before it asks who is there.
fn kafka_answers(address: SocketAddr, authority: &Path) -> Result<bool> {
    let mut stream = Channel::open(address, Some(authority))?;
    stream.write_all(&[
        0, 0, 0, 10, // size
        0, 18, // ApiVersions
        0, 0, // version
        0, 0, 0, 1, // correlation id
        0xff, 0xff, // no client id
    ])?;
    let mut head = [0u8; 10];
    stream.read_exact(&mut head)?;
    Ok(head[8..] == [0, 0])
}

/// A startup message is answered with `R` (authenticate) once connections are accepted, with `E`
/// while the database starts or stops.
fn postgres_accepts(address: SocketAddr, authority: Option<&Path>) -> Result<bool> {
    let mut stream = connect(address)?;
    if authority.is_some() {
        let mut answer = [0u8; 1];
        stream.write_all(&8u32.to_be_bytes())?;
        stream.write_all(&80_877_103u32.to_be_bytes())?; // SSLRequest
        stream.read_exact(&mut answer)?;
        if answer != *b"S" {
            return Err(Error::other("it has no TLS"));
        }
    }
    let mut stream = Channel::on(stream, address, authority)?;
    let parameters = b"user\0brokerx\0database\0brokerx\0\0";
    let mut message = Vec::with_capacity(8 + parameters.len());
    message.extend_from_slice(&(8 + parameters.len() as u32).to_be_bytes());
    message.extend_from_slice(&196_608u32.to_be_bytes()); // protocol 3.0
    message.extend_from_slice(parameters);
    stream.write_all(&message)?;
    let mut kind = [0u8; 1];
    stream.read_exact(&mut kind)?;
    Ok(kind == *b"R")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_get_returns_status_and_body() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0u8; 512];
            let length = stream.read(&mut request).unwrap();
            stream
                .write_all(b"HTTP/1.0 503 Busy\r\nContent-Length: 4\r\n\r\nwait")
                .unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        assert_eq!(http_get(address, "/ready", None).unwrap(), (503, "wait".to_owned()));
        assert!(server.join().unwrap().starts_with("GET /ready HTTP/1.0\r\n"));
    }

    #[test]
    fn nobody_there_is_not_ready() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for authority in [None, Some(PathBuf::from("/does/not/exist"))] {
            let kafka = Probe::Kafka {
                address,
                authority: authority.clone(),
            };
            assert!(!kafka.is_ready());
            assert!(!Probe::Postgres { address, authority }.is_ready());
        }
    }
}

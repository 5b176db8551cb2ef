//! Finds out whether a component can serve, with a few bytes of its own protocol.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one try may take.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// What to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// `GET path` answers 200.
    Http {
        /// Where.
        address: SocketAddr,
        /// Which path, with the leading slash.
        path: String,
    },
    /// A Metadata request is answered with at least one broker.
    Kafka(SocketAddr),
    /// A connection gets as far as the password: the database accepts connections.
    Postgres(SocketAddr),
}

impl Probe {
    /// Whether the component answers as it should, now.
    pub fn is_ready(&self) -> bool {
        match self {
            Probe::Http { address, path } => http_get(*address, path).is_ok_and(|(status, _)| status == 200),
            Probe::Kafka(address) => kafka_brokers(*address).is_ok_and(|brokers| brokers > 0),
            Probe::Postgres(address) => postgres_accepts(*address).unwrap_or(false),
        }
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PROBE_LIMIT)?;
    stream.set_read_timeout(Some(PROBE_LIMIT))?;
    stream.set_write_timeout(Some(PROBE_LIMIT))?;
    Ok(stream)
}

/// A GET over HTTP/1.0: status and body (at most 1 MiB).
///
/// # Errors
/// When nobody answers within a second, or not in HTTP.
pub fn http_get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = connect(address)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(1 << 20).read_to_end(&mut bytes)?;
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

/// A startup message is answered with `R` (authenticate) once connections are accepted, with `E`
/// while the database starts or stops.
fn postgres_accepts(address: SocketAddr) -> Result<bool> {
    let mut stream = connect(address)?;
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
        assert_eq!(http_get(address, "/ready").unwrap(), (503, "wait".to_owned()));
        assert!(server.join().unwrap().starts_with("GET /ready HTTP/1.0\r\n"));
    }

    #[test]
    fn nobody_there_is_not_ready() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(!Probe::Kafka(address).is_ready());
        assert!(!Probe::Postgres(address).is_ready());
    }
}

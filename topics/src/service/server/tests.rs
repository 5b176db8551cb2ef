#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};

use axum::Extension;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::*;

const LONG: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_millis(50);
const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n";

fn limits() -> Limits {
    Limits {
        connections_max: 100,
        connections_per_address_max: 50,
        head: LONG,
        keep_alive: LONG,
        write: LONG,
        trusted_proxies: Vec::new(),
    }
}

/// A server on a free port.
async fn serve(limits: Limits, router: Router) -> (SocketAddr, Shutdown) {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let shutdown = Shutdown::default();
    let server = Server {
        listen,
        router,
        drain_limit: LONG,
        limits,
        metrics: ServerMetrics::default(),
    };
    tokio::spawn(server.serve(shutdown.clone()));
    while TcpStream::connect(listen).await.is_err() {
        tokio::task::yield_now().await;
    }
    (listen, shutdown)
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// Connects from one of the addresses of this machine.
async fn connect_from(source: u8, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind((IpAddr::from(Ipv4Addr::new(127, 0, 0, source)), 0).into())
        .unwrap();
    socket.connect(server).await.unwrap()
}

/// Everything until the server ends the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A refused connection may end with a reset.
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A request on a connection that stays open.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(HEAD).await.unwrap();
    stream.write_all(b"\r\n").await.unwrap();
    let mut bytes = [0; 1_024];
    let mut answer = String::new();
    while !answer.ends_with("hello") && !answer.ends_with("too many connections") {
        let count = timeout(LONG, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert!(count > 0, "the connection ended after {answer}");
        answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    answer
}

#[tokio::test]
async fn half_heads_of_one_address_leave_places_for_others() {
    let (server, _shutdown) = serve(limits(), hello()).await;
    let mut halves = Vec::new();
    for _ in 0..60 {
        let mut half = connect_from(2, server).await;
        let _ = half.write_all(HEAD).await;
        halves.push(half);
    }
    // The eleventh last one was the first without a place.
    assert!(rest(&mut halves[59]).await.is_empty() || halves.len() == 60);
    let answer = ask(&mut connect_from(3, server).await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_connection_without_a_place_is_told_so() {
    let (server, _shutdown) = serve(
        Limits {
            connections_per_address_max: 1,
            ..limits()
        },
        hello(),
    )
    .await;
    let mut first = connect_from(2, server).await;
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"));
    let refused = rest(&mut connect_from(2, server).await).await;
    assert!(
        refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 5"),
        "{refused}"
    );
    // The place is given back.
    drop(first);
    let started = tokio::time::Instant::now();
    while started.elapsed() < LONG {
        let mut stream = connect_from(2, server).await;
        stream.write_all(HEAD).await.unwrap();
        if stream.write_all(b"connection: close\r\n\r\n").await.is_ok() && rest(&mut stream).await.contains("hello") {
            return;
        }
    }
    panic!("the place is still taken");
}

#[tokio::test]
async fn a_head_that_takes_too_long_ends_the_connection() {
    // A head that drips never ends, and is ended.
    let (server, _shutdown) = serve(Limits { head: SOON, ..limits() }, hello()).await;
    let mut dripping = connect_from(2, server).await;
    let dripped = async {
        loop {
            if dripping.write_all(b"G").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, dripped).await.unwrap();
    // So is one that says nothing at all, but not a connection that waits for its next request.
    assert_eq!(rest(&mut connect_from(2, server).await).await, "");
    let mut kept = connect_from(2, server).await;
    ask(&mut kept).await;
    tokio::time::sleep(SOON * 3).await;
    ask(&mut kept).await;
    // The head of a next request has the same limit.
    kept.write_all(HEAD).await.unwrap();
    assert_eq!(rest(&mut kept).await, "");
}

#[tokio::test]
async fn a_connection_waits_so_long_for_its_next_request() {
    let (server, _shutdown) = serve(
        Limits {
            keep_alive: SOON,
            ..limits()
        },
        hello(),
    )
    .await;
    let mut kept = connect_from(2, server).await;
    ask(&mut kept).await;
    assert_eq!(rest(&mut kept).await, "");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_the_connection() {
    let much = Router::new().route("/", get(|| async { vec![b'x'; 64 << 20] }));
    let (server, _shutdown) = serve(
        Limits {
            write: SOON,
            ..limits()
        },
        much,
    )
    .await;
    let mut reader = connect_from(2, server).await;
    reader.write_all(HEAD).await.unwrap();
    reader.write_all(b"\r\n").await.unwrap();
    // It takes nothing until the server has given up: what was in flight is less than the answer.
    tokio::time::sleep(SOON * 10).await;
    assert!(rest(&mut reader).await.len() < 64 << 20);
}

#[tokio::test]
async fn a_long_answer_is_waited_for_and_a_seat_holds_up_the_end() {
    let limits = Limits {
        head: SOON,
        keep_alive: SOON,
        ..limits()
    };
    let (keep, mut kept) = tokio::sync::mpsc::unbounded_channel();
    let slow = Router::new().route(
        "/",
        get(move |Extension(seat): Extension<Seat>| async move {
            tokio::time::sleep(SOON * 4).await;
            keep.send(seat).unwrap();
            "hello"
        }),
    );
    let (listen, shutdown) = serve(limits, slow).await;
    let mut stream = connect_from(2, listen).await;
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    shutdown.request();
    assert_eq!(rest(&mut stream).await, "");
    let seat = kept.recv().await.unwrap();
    assert!(seat.of_client(&Default::default()).is_some());
}

//! One caller with many connections does not keep others out.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use brokerx_client::{Cents, Stream, place_order};
use brokerx_e2e::fixture::Fixture;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(30);
/// More than the places of one address.
const CROWD: usize = 1_100;
/// The caller with many connections comes from here, everybody else from 127.0.0.1.
const CROWDED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Connects and sends half of a request's head.
async fn half_open(server: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((CROWDED, 0).into())?;
    let mut stream = timeout(LIMIT, socket.connect(server)).await??;
    // One for which there is no place may be closed already.
    let _ = stream.write_all(b"GET /ready HTTP/1.1\r\nhost: x\r\n").await;
    Ok(stream)
}

/// Waits until the server ends a connection; returns what it said.
async fn last_words(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut said = Vec::new();
    let _ = timeout(LIMIT, stream.read_to_end(&mut said))
        .await
        .context("a connection stays half open")?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

pub async fn half_open_connections_keep_nobody_out(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(5_000_00), &[]).await?;
    for service in ["ingress", "notifier"] {
        let (public, probed) = {
            let mut system = fixture.system();
            let spec = system.process(service).spec();
            (spec.address, spec.ports())
        };
        ensure!(probed.len() == 2, "{service} has no listener of its own for probes");
        let started = Instant::now();
        let mut crowd = Vec::with_capacity(CROWD);
        for _ in 0..CROWD {
            crowd.push(half_open(public).await?);
        }
        // The crowd has all places of its address: one more is told so.
        let refused = last_words(&mut half_open(public).await?).await?;
        ensure!(
            refused.is_empty() || refused.starts_with("HTTP/1.1 503"),
            "{service} said {refused}"
        );
        let probe = format!("http://127.0.0.1:{}/ready", probed[1]);
        ensure!(reqwest::get(&probe).await?.status() == 200, "{service} is not ready");
        match service {
            "ingress" => {
                let order = place_order("crowded", &symbol, "buy", 1, Some(Cents(98_00)), "GTC");
                client.place(&order).await?.expect(201)?;
                let answer = fixture.api.request(Method::GET, "/ready", &[], None).await?;
                ensure!(answer.status == 200, "/ready answered {}", answer.status);
            }
            _ => drop(Stream::open(&fixture.api.stream_url, None, &["quote:AAPL"], None).await?),
        }
        // A head must come to its end.
        for half in &mut crowd {
            last_words(half).await?;
        }
        println!(
            "{service}: {CROWD} half open connections were gone after {:?}",
            started.elapsed()
        );
    }
    Ok(())
}

pub async fn an_account_has_so_many_connections(fixture: &Fixture) -> anyhow::Result<()> {
    // The default of the notifier.
    const PLACES: usize = 32;
    let client = fixture.client().await?;
    let other = fixture.client().await?;
    let mut streams = Vec::new();
    for _ in 0..PLACES {
        streams.push(client.stream(&["orders"], None).await?);
    }
    let refused = client.stream(&["orders"], None).await.err().context("one more")?;
    ensure!(format!("{refused:#}").contains("too_many_connections"), "{refused:#}");
    other.stream(&["orders"], None).await?;
    // A place is free again once its connection is gone.
    streams.pop();
    brokerx_client::eventually("a place is free again", LIMIT, async || {
        Ok(client.stream(&["orders"], None).await.is_ok())
    })
    .await
}

/// Somebody asks for a book as fast as he can: each answer is one, or says that it is too much, and a client's orders
/// are decided meanwhile.
pub async fn a_book_in_a_loop_keeps_nobody_waiting(fixture: &Fixture) -> anyhow::Result<()> {
    const LOOPS: usize = 8;
    const ORDERS: usize = 20;
    const PATIENCE: Duration = Duration::from_secs(2);
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(5_000_00), &[]).await?;
    let public = fixture.system().process("ingress").spec().address;
    let url = format!("http://{public}/api/v1/market/{symbol}/book");
    let greedy = reqwest::Client::builder()
        .local_address(std::net::IpAddr::V4(CROWDED))
        .timeout(LIMIT)
        .build()?;
    let over = Arc::new(AtomicBool::new(false));
    let mut loops = JoinSet::new();
    for _ in 0..LOOPS {
        let (greedy, url, over) = (greedy.clone(), url.clone(), Arc::clone(&over));
        loops.spawn(async move {
            let mut answers = 0;
            while !over.load(Ordering::Relaxed) {
                let status = greedy.get(&url).send().await?.status().as_u16();
                ensure!([200, 429].contains(&status), "a book was answered with {status}");
                answers += 1;
            }
            Ok(answers)
        });
    }
    let mut longest = Duration::ZERO;
    for number in 0..ORDERS {
        let order = place_order(
            &format!("beside-{number}"),
            &symbol,
            "buy",
            1,
            Some(Cents(99_00)),
            "GTC",
        );
        let asked = Instant::now();
        client.place(&order).await?.expect(201)?;
        longest = longest.max(asked.elapsed());
    }
    over.store(true, Ordering::Relaxed);
    let mut answers = 0;
    while let Some(ended) = loops.join_next().await {
        answers += ended??;
    }
    println!("crowds: {answers} books beside {ORDERS} orders, of which the slowest took {longest:?}");
    ensure!(answers > 10 * ORDERS, "only {answers} books were asked for");
    ensure!(longest < PATIENCE, "an order took {longest:?}");
    Ok(())
}

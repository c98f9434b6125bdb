//! How much of a link the site link reaches, and how long interactive calls take meanwhile.
//!
//! ```text
//! throughput certs DIR                                      certificates for the sites dc1 and dc2
//! throughput serve DIR ADDRESS                              answers as dc1
//! throughput pull DIR ADDRESS MIB [cubic] [ordered] [CONNECTIONS]
//!                                                           pulls MIB in 256 KiB bulk calls, 4 MiB in flight
//! ```

use async_trait::async_trait;
use bytes::Bytes;
use link::{Class, Link, LinkConfig, Message, Mode, Node, Peer, Service, certs};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const PIECE: usize = 256 * 1024;
const WINDOW: usize = 4 * 1024 * 1024;
/// Time between interactive calls.
const CLICK: Duration = Duration::from_millis(100);

struct Pieces(Bytes);

#[async_trait]
impl Service for Pieces {
    async fn call(&self, _from: &Peer, class: Class, _message: Message) -> Message {
        match class {
            Class::Interactive => Message::new("pong", ""),
            Class::Bulk => Message { head: Bytes::from_static(b"piece"), body: self.0.clone() },
        }
    }

    fn notice(&self, _from: &Peer, _message: Message) {}
    fn peer_up(&self, _peer: &Peer, _link: Link) {}
    fn peer_down(&self, _peer: &Peer) {}
}

type Failure = Box<dyn std::error::Error>;

async fn node(dir: &str, site: &str, config: LinkConfig) -> Result<Node, Failure> {
    let piece: Vec<u8> = (0..PIECE as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    Ok(Node::start(certs::load_site(Path::new(dir), site)?, config, Arc::new(Pieces(piece.into()))).await?)
}

async fn call(link: &Link, class: Class) -> Result<Message, link::LinkError> {
    let deadline = Instant::now() + Duration::from_secs(60);
    link.call(class, Mode::Repeatable, Message::new("give", ""), deadline).await
}

/// Keeps the window full: with the next piece when any has come, or (`in_order`) when the oldest has, as a reader
/// without further read-ahead would.
async fn pull(link: &Link, mib: usize, in_order: bool) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let window = Arc::new(Semaphore::new(WINDOW / PIECE));
    let mut pieces = VecDeque::new();
    for _ in 0..mib * 1024 * 1024 / PIECE {
        if in_order && pieces.len() == WINDOW / PIECE {
            arrived(pieces.pop_front()).await?;
        }
        let (link, place) = (link.clone(), window.clone().acquire_owned().await?);
        pieces.push_back(tokio::spawn(async move {
            let answer = call(&link, Class::Bulk).await;
            drop(place);
            answer
        }));
    }
    while !pieces.is_empty() {
        arrived(pieces.pop_front()).await?;
    }
    Ok(begun.elapsed())
}

async fn arrived(piece: Option<JoinHandle<Result<Message, link::LinkError>>>) -> Result<(), Failure> {
    let answer = piece.ok_or("an empty window")?.await??;
    assert_eq!(answer.body.len(), PIECE);
    Ok(())
}

async fn click(link: Link) -> Vec<Duration> {
    let mut times = Vec::new();
    loop {
        let begun = Instant::now();
        if call(&link, Class::Interactive).await.is_err() || times.len() == 10_000 {
            return times;
        }
        times.push(begun.elapsed());
        tokio::time::sleep(CLICK).await;
        if link.stats().pending == 0 {
            return times;
        }
    }
}

async fn measure(
    dir: &str,
    address: &str,
    mib: usize,
    in_order: bool,
    config: LinkConfig,
) -> Result<(), Failure> {
    let config = LinkConfig { dial: vec![("dc1".into(), address.into())], ..config };
    let node = node(dir, "dc2", config).await?;
    let link = node.link("dc1");
    let begun = Instant::now();
    call(&link, Class::Interactive).await?;
    let first = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let clicks = tokio::spawn(click(link.clone()));
    let time = pull(&link, mib, in_order).await?;
    let stats = link.stats();
    let mut times = clicks.await?;
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default().as_millis();
    let mbit = (mib * 1024 * 1024 * 8) as f64 / time.as_secs_f64() / 1e6;
    println!(
        "{mib} MiB in {:.2} s = {mbit:.1} Mb/s; {} over {} connections; first call {} ms; interactive during bulk: \
         median {} ms, 95 % {} ms, worst {} ms ({} calls); retries {}, reconnects {}",
        time.as_secs_f64(),
        stats.congestion,
        stats.connections,
        first.as_millis(),
        at(50),
        at(95),
        times.last().map_or(0, Duration::as_millis),
        times.len(),
        stats.retries,
        stats.reconnects,
    );
    node.shutdown().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["certs", dir] => {
            certs::init(Path::new(dir))?;
            certs::issue(Path::new(dir), "dc1")?;
            certs::issue(Path::new(dir), "dc2")?;
        }
        ["serve", dir, address] | ["serve", dir, address, "cubic"] => {
            let config =
                LinkConfig { listen: Some(address.parse()?), bbr: words.len() == 3, ..LinkConfig::default() };
            let _node = node(dir, "dc1", config).await?;
            std::future::pending::<()>().await;
        }
        ["pull", dir, address, mib, options @ ..] => {
            let connections = options.iter().filter_map(|word| word.parse().ok()).next().unwrap_or(0);
            let config = LinkConfig {
                bbr: !options.contains(&"cubic"),
                connections,
                down_grace: Duration::from_secs(60),
                ..LinkConfig::default()
            };
            measure(dir, address, mib.parse()?, options.contains(&"ordered"), config).await?;
        }
        _ => return Err("usage: see the head of crates/link/examples/throughput.rs".into()),
    }
    Ok(())
}

//! The way to one mirror: a TCP port of ours behind which the server's is. It counts what passes, can be cut and healed, and
//! can be far: each direction of all its connections together has one rate, and a delay.
//!
//! Far is what passes, not TCP itself: handshakes cost a round trip, but there is no loss and no slow start.

use crate::Outcome;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const CHUNK_BYTES: usize = 64 << 10;
/// Pieces on their way in one direction of a connection.
const CHUNKS_MAX: usize = 1024;
/// So much waits for its turn before a sender is held back, at the link's rate.
const QUEUE: Duration = Duration::from_millis(50);

/// How far, and how wide in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Far {
    pub rtt_ms: u64,
    pub rate_mbit: u64,
}

pub struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    far: Option<Far>,
    bytes: AtomicU64,
    cut: AtomicBool,
    ended: AtomicBool,
    /// When each direction has sent what it was given.
    free_at: [Mutex<Instant>; 2],
    /// What is open, by number, so that it can be cut.
    open: Mutex<HashMap<u64, [TcpStream; 2]>>,
}

impl Wire {
    /// Begins to forward to `server`, a port of loopback.
    pub fn start(server: u16, far: Option<Far>) -> Outcome<Wire> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let now = Instant::now();
        let shared = Arc::new(Shared {
            server,
            far,
            bytes: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            free_at: [Mutex::new(now), Mutex::new(now)],
            open: Mutex::default(),
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &for_thread));
        Ok(Wire { port, shared })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What has passed, both ways.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Ends all connections; new ones end at once.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::SeqCst);
        for ends in self.shared.open.lock().expect("nobody panics with it").values() {
            ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
        }
    }

    pub fn heal(&self) {
        self.shared.cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that accepts.
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (number, client) in listener.incoming().enumerate() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        if shared.cut.load(Ordering::SeqCst) {
            continue;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A connection that cannot be made ends; whoever made it sees that.
            let served = serve(client, number as u64, &shared);
            shared.open.lock().expect("nobody panics with it").remove(&(number as u64));
            served.ok();
        });
    }
}

fn serve(client: TcpStream, number: u64, shared: &Arc<Shared>) -> std::io::Result<()> {
    if let Some(far) = shared.far {
        thread::sleep(Duration::from_millis(far.rtt_ms));
    }
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.server))?;
    for end in [&client, &server] {
        end.set_nodelay(true)?;
    }
    let ends = [client.try_clone()?, server.try_clone()?];
    shared.open.lock().expect("nobody panics with it").insert(number, ends);
    // It may have been cut before it stood in the list.
    if shared.cut.load(Ordering::SeqCst) {
        return Ok(());
    }
    thread::scope(|scope| {
        scope.spawn(|| pass(&client, &server, 0, shared));
        scope.spawn(|| pass(&server, &client, 1, shared));
    });
    Ok(())
}

/// Carries one direction to its end.
fn pass(from: &TcpStream, to: &TcpStream, direction: usize, shared: &Shared) {
    match shared.far {
        None => pass_near(from, to, shared),
        Some(far) => thread::scope(|scope| {
            let (sender, receiver) = sync_channel(CHUNKS_MAX);
            scope.spawn(move || deliver(to, receiver));
            send_off(from, direction, shared, far, sender);
        }),
    }
    // An end that is gone already cannot be told.
    to.shutdown(Shutdown::Write).ok();
    from.shutdown(Shutdown::Read).ok();
}

fn pass_near(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        shared.bytes.fetch_add(count as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn send_off(
    mut from: &TcpStream,
    direction: usize,
    shared: &Shared,
    far: Far,
    sender: SyncSender<(Instant, Vec<u8>)>,
) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        shared.bytes.fetch_add(count as u64, Ordering::Relaxed);
        let takes = Duration::from_nanos(count as u64 * 8 * 1000 / far.rate_mbit.max(1));
        let now = Instant::now();
        let sent = {
            let mut free_at = shared.free_at[direction].lock().expect("nobody panics with it");
            *free_at = now.max(*free_at) + takes;
            *free_at
        };
        let due = sent + Duration::from_micros(far.rtt_ms * 500);
        if sender.send((due, buffer[..count].to_vec())).is_err() {
            return;
        }
        thread::sleep(sent.saturating_duration_since(now).saturating_sub(QUEUE));
    }
}

fn deliver(mut to: &TcpStream, receiver: Receiver<(Instant, Vec<u8>)>) {
    for (due, bytes) in receiver {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says again what it is told.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                thread::spawn(move || std::io::copy(&mut &client, &mut &client));
            }
        });
        port
    }

    fn say(wire: &Wire, words: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, wire.port()))?;
        stream.write_all(words)?;
        stream.shutdown(Shutdown::Write)?;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard)?;
        Ok(heard)
    }

    #[test]
    fn what_passes_is_counted_near_and_far() {
        for far in [None, Some(Far { rtt_ms: 2, rate_mbit: 1000 })] {
            let wire = Wire::start(echo(), far).unwrap();
            assert_eq!(say(&wire, b"four").unwrap(), b"four");
            assert_eq!(wire.bytes(), 8);
        }
    }

    #[test]
    fn a_cut_ends_what_is_open_and_what_comes_until_it_heals() {
        let wire = Wire::start(echo(), None).unwrap();
        let mut open = TcpStream::connect((Ipv4Addr::LOCALHOST, wire.port())).unwrap();
        open.write_all(b"a").unwrap();
        open.read_exact(&mut [0]).unwrap();
        wire.cut();
        assert!(!matches!(open.read(&mut [0]), Ok(1..)));
        assert!(!matches!(say(&wire, b"four").as_deref(), Ok(b"four")));
        wire.heal();
        assert_eq!(say(&wire, b"four").unwrap(), b"four");
    }
}

//! `cargo xtask bench memory clients`: what a server holds for clients that do nothing: connections that have
//! negotiated, and sessions with a tree connect, each on a connection of its own.
//!
//! Each is a client of its own: Samba serves all connections of a client by one process, and has a process for each
//! client, so it gets fewer of them. Its memory is that of all its processes, what they share counted once.

use super::build;
use super::figures::{Table, short};
use super::load::{join, runtime, told, tree, who};
use crate::run::Outcome;
use e2e::{Net, SambaNewest, Scratch, SmbClient, Solo, free_port, raise_open_files};
use smb_raw::Client;
use smb_wire::ids::Guid;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

const CONNECTIONS: usize = 10_000;
const SESSIONS: usize = 1_000;
const CLIENTS_OF_SAMBA: usize = 200;
/// Connections from one address of ours: farshare takes 64 on which nobody has logged in.
const PER_ADDRESS: usize = 60;
/// Where the clients of loopback have their addresses: the lowest one.
const FIRST_ADDRESS: u32 = u32::from_be_bytes([127, 1, 0, 1]);
/// Until what a server does after the last answer is done.
const SETTLING: Duration = Duration::from_secs(2);
const OPEN_FILES: u64 = 2 * CONNECTIONS as u64;

/// KiB that each of `count` costs.
struct Cost {
    count: usize,
    kib: f64,
}

pub fn bench() -> Outcome {
    build()?;
    raise_open_files(OPEN_FILES)?;
    let scratch = Scratch::new()?;
    let data = scratch.dir("data")?;
    let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (at_solo, at_samba) = (address(), address());
    let solo = Solo::start(&data, &Net::Host, at_solo, "", "")?;
    let client = |address, share: &str, user: &str, password: &str| SmbClient {
        net: Net::Host,
        address,
        share: share.to_owned(),
        user: user.to_owned(),
        password: password.to_owned(),
        options: Vec::new(),
    };
    let ours = client(at_solo, Solo::SHARE, Solo::USER, Solo::PASSWORD);
    // What the first clients make the server allocate once is not theirs.
    drop(sessions(&ours, PER_ADDRESS)?);
    std::thread::sleep(SETTLING);
    let held = || solo.family_bytes();
    // The fewer first: what those leave behind free is not counted for the others.
    let of_sessions = cost(SESSIONS, held, || sessions(&ours, SESSIONS))?;
    let farshare = [cost(CONNECTIONS, held, || connections(&ours, CONNECTIONS))?, of_sessions];
    drop(solo);
    let samba = SambaNewest::start(&data, &Net::Host, at_samba)?;
    let theirs = client(at_samba, SambaNewest::SHARE, SambaNewest::USER, SambaNewest::PASSWORD);
    let held = || samba.running.family_bytes();
    let samba = [
        cost(CLIENTS_OF_SAMBA, held, || connections(&theirs, CLIENTS_OF_SAMBA))?,
        cost(CLIENTS_OF_SAMBA, held, || sessions(&theirs, CLIENTS_OF_SAMBA))?,
    ];
    print(&farshare, &samba);
    Ok(())
}

fn print(farshare: &[Cost; 2], samba: &[Cost; 2]) {
    println!("memory for each idle client, KiB:\n");
    let mut table = Table::new(&["client", "farshare", "of", "Samba 4.22", "of"]);
    for (index, what) in ["connection", "connection with a session"].into_iter().enumerate() {
        table.row(&[
            what.to_owned(),
            short(farshare[index].kib),
            farshare[index].count.to_string(),
            short(samba[index].kib),
            samba[index].count.to_string(),
        ]);
    }
    table.print();
}

/// What `held` says more while what `make` made is there.
fn cost<T>(count: usize, held: impl Fn() -> u64, make: impl FnOnce() -> Outcome<T>) -> Outcome<Cost> {
    let before = held();
    let made = make()?;
    std::thread::sleep(SETTLING);
    let more = held().saturating_sub(before);
    drop(made);
    std::thread::sleep(SETTLING);
    Ok(Cost { count, kib: more as f64 / 1024.0 / count as f64 })
}

/// The number'th client.
fn guid(number: usize) -> Guid {
    (number as u128 + 1).to_le_bytes()
}

/// A runtime and what stands in it.
type Made = (Vec<Client<TcpStream>>, tokio::runtime::Runtime);

/// Connections that have negotiated, from many addresses.
fn connections(to: &SmbClient, count: usize) -> Outcome<Made> {
    let runtime = runtime()?;
    let all = runtime.block_on(async {
        let mut all = Vec::with_capacity(count);
        for number in 0..count {
            let from = Ipv4Addr::from_bits(FIRST_ADDRESS + (number / PER_ADDRESS) as u32);
            all.push(join(to.address, Some(SocketAddr::from((from, 0))), guid(number)).await?);
        }
        Ok::<_, String>(all)
    })?;
    Ok((all, runtime))
}

/// Sessions with a tree connect, each on a connection of its own.
fn sessions(to: &SmbClient, count: usize) -> Outcome<Made> {
    let runtime = runtime()?;
    let who = who(to);
    let all = runtime.block_on(async {
        let mut all = Vec::with_capacity(count);
        for number in 0..count {
            let mut client = join(to.address, None, guid(number)).await?;
            let session = client.log_in(&who).await.map_err(told("log-in"))?;
            tree(&mut client, &session, &to.share).await?;
            all.push(client);
        }
        Ok::<_, String>(all)
    })?;
    Ok((all, runtime))
}

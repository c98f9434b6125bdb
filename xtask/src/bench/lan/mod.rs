//! `cargo xtask bench lan`: one client machine on loopback, beside Samba.
//!
//! Two clients: smbclient, one connection as people use it; and our own load client ([`super::load`]) on one and on
//! four channels of a session, with several requests in flight. Each measure is taken on Samba and on farshare in
//! turn before the next measure begins, so that what else the machine does falls on both. The first round warms
//! and is not counted.

mod board;
mod opens;
mod small;
mod smbclient;
mod stream;

use super::{build, random_file};
use crate::run::Outcome;
use board::Board;
use e2e::{Farshare, Mounted, Net, SambaNewest, Scratch, SmbClient, Solo, free_port};
use std::net::SocketAddr;
use std::path::Path;

/// What is read and written by one measure, MiB.
const FILE_MIB: u64 = 512;
const BIG: &str = "big";

/// What to measure, and how often.
pub struct Plan {
    pub rounds: usize,
    /// One part alone, by name.
    pub only: Option<String>,
}

/// A server under test.
struct Server<'a> {
    side: Side,
    client: SmbClient,
    /// CPU seconds that it has used.
    cpu: Box<dyn Fn() -> f64 + 'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Samba,
    Farshare,
    /// Gateway, link and cache in one process; what it gives stands beside Samba in rows of its own.
    Cached,
}

type Part = fn(&Server<'_>, &Path, usize, &mut Board) -> Outcome;

/// The parts by name, and which of them the gateway with cache takes part in.
const PARTS: [(&str, Part, bool); 4] = [
    ("smbclient", smbclient::measure, true),
    ("channels", stream::measure, false),
    ("opens", opens::measure, false),
    ("small", small::measure, true),
];

pub fn bench(plan: &Plan) -> Outcome {
    build()?;
    let scratch = Scratch::new()?;
    // What the machine's own file system does with names that were just removed (ext4 without a journal looks for each that it
    // makes through all of them) would be most of what is measured.
    let disk = Mounted::xfs(&scratch, "data", "8G")?;
    let data = disk.path().to_owned();
    random_file(&data.join(BIG), FILE_MIB << 20)?;
    opens::make_files(&data)?;
    let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (at_samba, at_solo) = (address(), address());
    // Who signs and who does not is the client's choice in every measure.
    let samba = SambaNewest::start_with(&data, &Net::Host, at_samba, "server signing = default\n")?;
    let solo = Solo::start(&data, &Net::Host, at_solo, "signing = \"enabled\"", "")?;
    let far = Farshare::try_dir(&data, &[])?;
    let client = |address, share: &str, user: &str, password: &str| SmbClient {
        net: Net::Host,
        address,
        share: share.to_owned(),
        user: user.to_owned(),
        password: password.to_owned(),
        options: Vec::new(),
    };
    let servers = [
        Server {
            side: Side::Samba,
            client: client(at_samba, SambaNewest::SHARE, SambaNewest::USER, SambaNewest::PASSWORD),
            cpu: Box::new(|| samba.running.cpu().seconds),
        },
        Server {
            side: Side::Farshare,
            client: client(at_solo, Solo::SHARE, Solo::USER, Solo::PASSWORD),
            cpu: Box::new(|| solo.cpu().seconds),
        },
        Server { side: Side::Cached, client: far.client(), cpu: Box::new(|| far.running.cpu().seconds) },
    ];
    let mut board = Board::default();
    for round in 0..=plan.rounds {
        eprintln!("xtask: round {round} of {}, load average {}", plan.rounds, load_average());
        board.counts(round > 0);
        for (name, part, cached) in PARTS {
            if plan.only.as_deref().is_some_and(|only| only != name) {
                continue;
            }
            part_in_turn(part, &servers[..if cached { 3 } else { 2 }], &data, round, &mut board)?;
        }
    }
    println!(
        "loopback, {FILE_MIB} MiB sequentially, Samba 4.22 beside farshare, min / median / max of {}:\n",
        plan.rounds
    );
    board.print();
    Ok(())
}

fn part_in_turn(part: Part, servers: &[Server<'_>], data: &Path, round: usize, board: &mut Board) -> Outcome {
    // Each goes first in every other round.
    let order: Vec<&Server<'_>> = match round % 2 {
        0 => servers.iter().collect(),
        _ => servers.iter().rev().collect(),
    };
    for server in order {
        part(server, data, round, board)?;
    }
    Ok(())
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

impl Server<'_> {
    /// Seconds and the server's CPU seconds of some work.
    fn measure<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, f64, f64)> {
        let before = (self.cpu)();
        let begun = std::time::Instant::now();
        let done = work()?;
        let seconds = begun.elapsed().as_secs_f64();
        Ok((done, seconds, (self.cpu)() - before))
    }
}

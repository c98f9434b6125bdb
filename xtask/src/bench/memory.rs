//! `cargo xtask bench memory`: what two nodes hold with 50 clients on a tree of 100,000 files, across a WAN.
//!
//! Each client lists the whole tree and reads files of its own; the peaks are the kernel's.

use super::build;
use super::figures::Table;
use crate::run::Outcome;
use e2e::{Running, Scratch, Shape, Sites, Wan};
use std::fmt::Write;
use std::fs;

const DIRS: usize = 1000;
const FILES_PER_DIR: usize = 100;
const CLIENTS: usize = 50;
const READS_PER_CLIENT: usize = 20;
const BIG_MIB: u64 = 64;
const LINK_NAME: &str = "fsmemory";

pub fn bench() -> Outcome {
    build()?;
    let scratch = Scratch::new()?;
    let data = scratch.dir("data")?;
    let failed = |error: std::io::Error| format!("making files: {error}");
    for dir in 0..DIRS {
        let path = data.join(format!("d{dir:04}"));
        fs::create_dir(&path).map_err(failed)?;
        for file in 0..FILES_PER_DIR {
            fs::write(path.join(format!("file{file:03}.dat")), [7; 4096]).map_err(failed)?;
        }
    }
    super::random_file(&data.join("big"), BIG_MIB << 20)?;
    let wan = Wan::up(LINK_NAME, Shape { rtt_ms: 100, rate_mbit: 100, loss_percent: 0.0 })?;
    let sites = Sites::across(&wan, &format!("origin = \"file://{}\"", data.display()))?;
    let client = sites.client();
    let mut running = Vec::new();
    let mut scratches = Vec::new();
    for number in 0..CLIENTS {
        let scratch = Scratch::new()?;
        let command = client.command(&scratch, &commands(number))?;
        running.push(Running::start("smbclient", command, &scratch.path().join("log"))?);
        scratches.push(scratch);
    }
    for client in &mut running {
        let output = client.take_output()?;
        // Read to its end, so that the client never waits for us.
        std::io::copy(&mut std::io::BufReader::new(output), &mut std::io::sink())
            .map_err(|error| error.to_string())?;
    }
    println!("{CLIENTS} clients on {} files, each listing all and reading:\n", DIRS * FILES_PER_DIR);
    let mut table = Table::new(&["node", "memory now, MiB", "peak, MiB", "CPU-s"]);
    for (name, node) in [("gateway", &sites.gateway), ("entrypoint", &sites.entrypoint)] {
        table.row(&[
            name.to_owned(),
            (node.running.resident_bytes() >> 20).to_string(),
            (node.running.peak_bytes() >> 20).to_string(),
            format!("{:.1}", node.running.cpu().seconds),
        ]);
    }
    table.print();
    Ok(())
}

fn commands(client: usize) -> String {
    let mut commands = String::from("recurse; ls; recurse; get big /dev/null;");
    for read in 0..READS_PER_CLIENT {
        let dir = (client * READS_PER_CLIENT + read) % DIRS;
        write!(commands, "get d{dir:04}/file{read:03}.dat /dev/null;").expect("memory");
    }
    commands
}

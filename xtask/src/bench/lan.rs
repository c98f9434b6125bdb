//! `cargo xtask bench lan`: one connection on loopback, beside Samba: sequential reading and writing of one
//! file by smbclient, both servers requiring signatures.

use super::figures::{Figures, Table, short};
use super::{build, random_file, timed};
use crate::run::Outcome;
use e2e::{Farshare, Net, Samba, Scratch, SmbClient, free_port};
use std::net::SocketAddr;
use std::path::Path;

const FILE_MIB: u64 = 512;
const ROUNDS: usize = 5;

/// A server under test.
struct Candidate<'a> {
    name: &'static str,
    client: SmbClient,
    cpu: Box<dyn Fn() -> f64 + 'a>,
    read: Figures,
    write: Figures,
    read_cpu: Figures,
    write_cpu: Figures,
}

impl<'a> Candidate<'a> {
    fn new(name: &'static str, client: SmbClient, cpu: impl Fn() -> f64 + 'a) -> Candidate<'a> {
        Candidate {
            name,
            client,
            cpu: Box::new(cpu),
            read: Figures::default(),
            write: Figures::default(),
            read_cpu: Figures::default(),
            write_cpu: Figures::default(),
        }
    }

    /// One read and one write of the file; the first round warms and is not counted.
    fn round(&mut self, file: &Path, counts: bool) -> Outcome {
        let mib = FILE_MIB as f64;
        let (seconds, cpu) = self.measure("get big /dev/null")?;
        if counts {
            self.read.push(mib / seconds);
            self.read_cpu.push(cpu * 1024.0 / mib);
        }
        let (seconds, cpu) = self.measure(&format!("put \"{}\" written", file.display()))?;
        if counts {
            self.write.push(mib / seconds);
            self.write_cpu.push(cpu * 1024.0 / mib);
        }
        Ok(())
    }

    /// Seconds and the server's CPU seconds, less those of logging in.
    fn measure(&self, commands: &str) -> Outcome<(f64, f64)> {
        let scratch = Scratch::new()?;
        let login = timed(self.client.command(&scratch, "exit")?)?;
        let before = (self.cpu)();
        let took = timed(self.client.command(&scratch, commands)?)?;
        Ok((took.saturating_sub(login).as_secs_f64(), (self.cpu)() - before))
    }
}

pub fn bench() -> Outcome {
    build()?;
    let scratch = Scratch::new()?;
    let data = scratch.dir("data")?;
    random_file(&data.join("big"), FILE_MIB << 20)?;
    let file = data.join("big");
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let samba = Samba::start(&data, &Net::Host, address, "mandatory")?;
    let direct = Farshare::try_dir(&data, &["--direct"])?;
    let far = Farshare::try_dir(&data, &[])?;
    let peer = SmbClient {
        net: Net::Host,
        address,
        share: samba.share.clone(),
        user: samba.user.clone(),
        password: samba.password.clone(),
        options: Vec::new(),
    };
    let mut all = [
        Candidate::new("Samba", peer, || samba.running.cpu().seconds),
        Candidate::new("farshare, local", direct.client(), || direct.running.cpu().seconds),
        Candidate::new("farshare, gateway + cache", far.client(), || far.running.cpu().seconds),
    ];
    for round in 0..=ROUNDS {
        eprintln!("xtask: round {round} of {ROUNDS}");
        for candidate in &mut all {
            candidate.round(&file, round > 0)?;
        }
    }
    print(&all);
    Ok(())
}

fn print(all: &[Candidate<'_>]) {
    println!("one connection on loopback, signed, {FILE_MIB} MiB, min / median / max of {ROUNDS}:\n");
    let mut table = Table::new(&[
        "server",
        "read MiB/s",
        "to Samba",
        "CPU-s/GiB",
        "write MiB/s",
        "to Samba",
        "CPU-s/GiB",
    ]);
    let peer = &all[0];
    for candidate in all {
        table.row(&[
            candidate.name.to_owned(),
            candidate.read.text(),
            short(candidate.read.median() / peer.read.median()),
            candidate.read_cpu.text(),
            candidate.write.text(),
            short(candidate.write.median() / peer.write.median()),
            candidate.write_cpu.text(),
        ]);
    }
    table.print();
}

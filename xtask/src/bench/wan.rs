//! `cargo xtask bench wan`: the main job across a WAN, beside straight SMB over the same WAN.
//!
//! One file server (Samba's and ours over one directory) at A, users at B. What is cold stays cold: each round
//! has files of its own. The peer's slow measures are taken on a part and told for the whole, unless
//! `--full` is given.

use super::figures::{Figures, Table};
use super::{build, forget_page_cache, random_file, timed};
use crate::packages::PYTHON_PROGRAM;
use crate::run::{self, Outcome};
use e2e::{Samba, Scratch, Shape, Side, Sites, SmbClient, Wan};
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

const BIG_MIB: u64 = 256;
/// What the peer reads at loss, where one stream gives a tenth of the link.
const LOSSY_PART_MIB: u64 = 32;
const DIRS: usize = 500;
const FILES_PER_DIR: usize = 20;
const SMALL_FILES: usize = 1000;
const SMALL_BYTES: u64 = 64 * 1024;
const PEER_PORT: u16 = 4455;
const LINK_NAME: &str = "fsbench";

/// What to measure, and how often.
pub struct Plan {
    pub shape: Shape,
    pub rounds: usize,
    /// The peer's listing and small files in full.
    pub full: bool,
    /// Without the peer.
    pub alone: bool,
}

#[derive(Default)]
struct Column {
    first_byte: Figures,
    cold_read: Figures,
    link_share: Figures,
    again: Figures,
    again_bytes: Figures,
    listing: Figures,
    small: Figures,
    lossy_share: Figures,
}

pub fn bench(plan: &Plan) -> Outcome {
    build()?;
    let scratch = Scratch::new()?;
    let data = scratch.dir("data")?;
    eprintln!("xtask: making files");
    for round in 0..plan.rounds {
        make_files(&data, round)?;
    }
    let mut wan = Wan::up(LINK_NAME, plan.shape)?;
    let address = SocketAddr::from((wan.address(Side::A)?, PEER_PORT));
    let samba = Samba::start(&data, &wan.net(Side::A), address, "mandatory")?;
    let peer = SmbClient {
        net: wan.net(Side::B),
        address,
        share: samba.share.clone(),
        user: samba.user.clone(),
        password: samba.password.clone(),
        options: Vec::new(),
    };
    let sites = Sites::across(&wan, &format!("origin = \"file://{}\"", data.display()))?;
    let ours = sites.client();
    let (mut product, mut straight) = (Column::default(), Column::default());
    for round in 0..plan.rounds {
        eprintln!("xtask: round {} of {}", round + 1, plan.rounds);
        measure(&mut product, &mut wan, &ours, round, 1)?;
        if !plan.alone {
            measure(&mut straight, &mut wan, &peer, round, if plan.full { 1 } else { 10 })?;
        }
    }
    print(plan, &product, &straight);
    println!(
        "\nCPU seconds: gateway {:.1}, entrypoint {:.1}; memory: gateway {} MiB, entrypoint {} MiB",
        sites.gateway.running.cpu().seconds,
        sites.entrypoint.running.cpu().seconds,
        sites.gateway.running.resident_bytes() >> 20,
        sites.entrypoint.running.resident_bytes() >> 20,
    );
    Ok(())
}

fn make_files(data: &Path, round: usize) -> Outcome {
    let failed = |error: std::io::Error| format!("making files: {error}");
    for name in ["big", "lossy"] {
        random_file(&data.join(format!("{name}{round}")), BIG_MIB << 20)?;
    }
    random_file(&data.join(format!("lossy_part{round}")), LOSSY_PART_MIB << 20)?;
    let tree = data.join(format!("tree{round}"));
    for dir in 0..DIRS {
        let dir = tree.join(format!("d{dir:03}"));
        fs::create_dir_all(&dir).map_err(failed)?;
        for file in 0..FILES_PER_DIR {
            fs::write(dir.join(format!("file{file:02}.txt")), b"content").map_err(failed)?;
        }
    }
    let small = data.join(format!("small{round}"));
    fs::create_dir_all(&small).map_err(failed)?;
    for file in 0..SMALL_FILES {
        random_file(&small.join(format!("f{file:04}")), SMALL_BYTES)?;
    }
    Ok(())
}

/// All measures once. `part`: only this part of listing and small files, told times it.
fn measure(column: &mut Column, wan: &mut Wan, client: &SmbClient, round: usize, part: usize) -> Outcome {
    forget_page_cache()?;
    let shape = wan.shape();
    let scratch = Scratch::new()?;
    let time = |commands: &str| Ok::<f64, String>(timed(client.command(&scratch, commands)?)?.as_secs_f64());
    column.first_byte.push(first_byte(client, &format!("big{round}"))?);
    let login = time("exit")?;
    let seconds = time(&format!("get big{round} /dev/null"))? - login;
    column.cold_read.push(seconds);
    column.link_share.push(share(BIG_MIB, seconds, shape));
    let before = wan.bytes_to_b()?;
    column.again.push(time(&format!("get big{round} /dev/null"))? - login);
    column.again_bytes.push((wan.bytes_to_b()? - before) as f64 / 1024.0);
    column.listing.push((time(&listing(round, part))? - login) * part as f64);
    column.small.push((time(&small_files(round, part))? - login) * part as f64);
    wan.set(Shape { loss_percent: 0.1, ..shape })?;
    let (name, mib) = if part == 1 { ("lossy", BIG_MIB) } else { ("lossy_part", LOSSY_PART_MIB) };
    let lossy = time(&format!("get {name}{round} /dev/null"));
    wan.set(shape)?;
    column.lossy_share.push(share(mib, lossy? - login, shape));
    Ok(())
}

/// Percent of the link that reading so much in so many seconds took.
fn share(mib: u64, seconds: f64, shape: Shape) -> f64 {
    (mib << 20) as f64 * 8.0 / seconds / f64::from(shape.rate_mbit) / 1e6 * 100.0
}

fn listing(round: usize, part: usize) -> String {
    if part == 1 {
        return format!("recurse; cd tree{round}; ls");
    }
    let mut commands = String::new();
    for dir in 0..DIRS / part {
        // Writing into a String cannot fail.
        write!(commands, "ls tree{round}/d{dir:03}/*;").expect("memory");
    }
    commands
}

fn small_files(round: usize, part: usize) -> String {
    let mut commands = format!("cd small{round};");
    for file in 0..SMALL_FILES / part {
        write!(commands, "get f{file:04} /dev/null;").expect("memory");
    }
    commands
}

/// Seconds from asking to open a cold file until its first 64 KiB are here.
fn first_byte(client: &SmbClient, name: &str) -> Outcome<f64> {
    let mut command = client.net.command(PYTHON_PROGRAM);
    command
        .arg(run::root().join("e2e/clients/first_byte.py"))
        .args([&client.address.ip().to_string(), &client.address.port().to_string(), &client.share, name])
        .env("SMB_USER", &client.user)
        .env("SMB_PASSWORD", &client.password);
    let said = e2e::output(command)?;
    let said: serde_json::Value =
        serde_json::from_str(&said).map_err(|error| format!("{said:?}: {error}"))?;
    said["first_byte_s"].as_f64().ok_or_else(|| format!("first_byte.py said {said}"))
}

fn print(plan: &Plan, product: &Column, straight: &Column) {
    let shape = plan.shape;
    println!(
        "\n{} Mb/s, {} ms round trip, min / median / max of {}:\n",
        shape.rate_mbit, shape.rtt_ms, plan.rounds
    );
    let mut table = Table::new(&["measure", "farshare", "straight SMB (Samba)"]);
    let mut row = |name: &str, of: fn(&Column) -> &Figures| {
        table.row(&[name.to_owned(), of(product).text(), of(straight).text()]);
    };
    row("first byte of a cold 256 MiB file, from its open, s", |column| &column.first_byte);
    row("cold sequential read of it, s", |column| &column.cold_read);
    row("  share of the link, %", |column| &column.link_share);
    row("second read, s", |column| &column.again);
    row("  KiB over the link", |column| &column.again_bytes);
    row("cold ls -lR of 10,000 files in 500 directories, s", |column| &column.listing);
    row("1,000 cold files of 64 KiB one after another, s", |column| &column.small);
    row("cold read at 0.1 % loss, share of the link, %", |column| &column.lossy_share);
    table.print();
    if !plan.full {
        println!(
            "\nstraight SMB: listing and small files measured on a tenth, times ten; {LOSSY_PART_MIB} MiB read at loss"
        );
    }
}

//! `cargo xtask bench kernel`: the kernel's SMB client in a Linux guest, over one connection and over four channels
//! on two wires, beside Samba 4.22 over the same directory's file system. Both servers require signatures.
//!
//! Guest and servers share this machine: the figures compare servers, they are no machine's best. In user-mode
//! Linux the guest has one processor and its system calls are slow, so many small files are told too slow for all.

use super::figures::{Figures, Table, short};
use super::{build, forget_page_cache};
use crate::run::Outcome;
use crate::served::{NAMESPACE, PREFIX, Served, Server};
use crate::vm;
use e2e::{Guest, Scratch, Wires, output};
use std::collections::BTreeMap;
use std::time::Duration;

const VARIANTS: [(&str, &str); 2] =
    [("plain", "one connection"), ("channels", "four channels over two wires")];
const SERVERS: [(Server, &str); 3] = [
    (Server::Samba, "Samba 4.22"),
    (Server::Local, "farshare, local"),
    (Server::Far, "farshare, gateway + cache"),
];
const LIMIT: Duration = Duration::from_secs(600);
/// Bytes that each sequential measure moves, GiB.
const MOVED_GIB: f64 = 0.25;

/// A measure's name in the script, what it is, its unit, and what the figure is divided by.
const MEASURES: [(&str, &str, f64); 13] = [
    ("write_1m_buffered", "write 1 MiB, buffered, MB/s", 1e6),
    ("read_1m_buffered", "read 1 MiB, buffered, MB/s", 1e6),
    ("write_1m_direct", "write 1 MiB, direct, MB/s", 1e6),
    ("read_1m_direct", "read 1 MiB, direct, MB/s", 1e6),
    ("write_1m_direct_8", "write 1 MiB, direct, 8 in flight, MB/s", 1e6),
    ("read_1m_direct_8", "read 1 MiB, direct, 8 in flight, MB/s", 1e6),
    ("read_4k_random", "read 4 KiB at random, requests/s", 1.0),
    ("read_4k_random_16", "read 4 KiB at random, 16 in flight, requests/s", 1.0),
    ("write_4k_random", "write 4 KiB at random, requests/s", 1.0),
    ("untar_2000", "unpack 2,000 files, s", 1.0),
    ("walk_2000", "find and stat them, s", 1.0),
    ("read_2000", "read them, s", 1.0),
    ("remove_2000", "remove them, s", 1.0),
];

pub struct Plan {
    rounds: usize,
    backend: String,
}

pub fn plan(words: &[&str]) -> Outcome<Plan> {
    let mut plan = Plan { rounds: 3, backend: "auto".to_owned() };
    for pair in words.chunks(2) {
        match *pair {
            ["--rounds", number] => {
                plan.rounds = number.parse().map_err(|_| format!("--rounds wants a number, not {number}"))?;
            }
            ["--backend", name] => plan.backend = name.to_owned(),
            _ => return Err(format!("bench kernel does not know {}", pair.join(" "))),
        }
    }
    Ok(plan)
}

/// Of one server, mounted one way: each measure's figures and the server's CPU seconds.
#[derive(Default)]
struct Column(BTreeMap<String, (Figures, Figures)>);

pub fn bench(plan: &Plan) -> Outcome {
    build()?;
    output(vm::build_of_guest())?;
    let mut columns: BTreeMap<(usize, usize), Column> = BTreeMap::new();
    for round in 0..plan.rounds {
        for (variant, (_, mounted)) in VARIANTS.iter().enumerate() {
            for (server, (_, name)) in SERVERS.iter().enumerate() {
                eprintln!("xtask: round {} of {}: {name}, {mounted}", round + 1, plan.rounds);
                measure(plan, variant, server, columns.entry((variant, server)).or_default())?;
            }
        }
    }
    for (variant, (_, name)) in VARIANTS.iter().enumerate() {
        println!("\nkernel client, {name}, signed, min / median / max of {}:\n", plan.rounds);
        print(&columns, variant);
    }
    Ok(())
}

/// One boot over a fresh server and directory.
fn measure(plan: &Plan, variant: usize, server: usize, column: &mut Column) -> Outcome {
    forget_page_cache()?;
    let scratch = Scratch::new()?;
    let data = scratch.dir("data")?;
    let wires = Wires::up(NAMESPACE, PREFIX)?;
    let mut served = Served::start(SERVERS[server].0, &data, &wires)?;
    let mut environment = served.environment();
    environment.push(("VARIANT".to_owned(), VARIANTS[variant].0.to_owned()));
    let backend = plan.backend.clone();
    let guest = Guest { wires: &wires, backend, environment, tools: Vec::new(), limit: LIMIT };
    let (mut failed, mut ended) = (None, false);
    let obey = |order: &str| vm::obey(order, &wires, &mut served, &data);
    guest.run("bench", obey, |line| {
        eprintln!("  {line}");
        ended |= line == "end";
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["figure", name, value, cpu] => match (value.parse(), cpu.parse()) {
                (Ok(value), Ok(cpu)) => {
                    let (values, cpus) = column.0.entry((*name).to_owned()).or_default();
                    values.push(value);
                    cpus.push(cpu);
                }
                _ => failed = Some(line.to_owned()),
            },
            ["FAIL", ..] => failed = Some(line.to_owned()),
            _ => {}
        }
    })?;
    match (failed, ended) {
        (Some(line), _) => Err(format!("{}: {line}", SERVERS[server].1)),
        (None, false) => Err(format!("{}: the guest ended early", SERVERS[server].1)),
        (None, true) => Ok(()),
    }
}

fn print(columns: &BTreeMap<(usize, usize), Column>, variant: usize) {
    let mut head = vec!["measure"];
    for (_, name) in SERVERS {
        head.extend([name, "CPU-s"]);
    }
    head.push("local to Samba");
    let mut table = Table::new(&head);
    for (measure, text, unit) in MEASURES {
        let mut cells = vec![text.to_owned()];
        let mut medians = Vec::new();
        for server in 0..SERVERS.len() {
            let figures = columns.get(&(variant, server)).and_then(|column| column.0.get(measure));
            let Some((values, cpus)) = figures else {
                cells.extend(["-".to_owned(), "-".to_owned()]);
                medians.push(f64::NAN);
                continue;
            };
            medians.push(values.median());
            cells.push(values.divided_by(unit).text());
            let per_gib = if measure.contains("1m") { MOVED_GIB } else { 1.0 };
            cells.push(short(cpus.median() / per_gib));
        }
        cells.push(short(medians[1] / medians[0]));
        table.row(&cells);
    }
    table.print();
    println!(
        "\nCPU-s: the server's, for each GiB in rows of 1 MiB, else for the whole measure (5 s at random)"
    );
}

//! `cargo xtask bench fuse`: what a mount costs: farshare, bindfs and, where it is there, libfuse's passthrough_hp, each over
//! a new ext4 in turn, and that ext4 itself. One caller does one thing after the other; the CPU is the daemon's.

use super::build;
use super::figures::{Figures, Table, short};
use crate::packages;
use crate::posix::{Kind, UnderTest, mounted};
use crate::run::Outcome;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FILES: usize = 5_000;
const BLOCK_BYTES: usize = 4 << 10;
const STREAM_BYTES: usize = 1 << 20;
const FILE_BYTES: usize = 512 << 20;
const BLOCKS: usize = 20_000;
/// Kernel threads and daemons have written and forgotten by then.
const SETTLING: Duration = Duration::from_millis(500);

pub struct Plan {
    rounds: usize,
    passthrough_hp: Option<PathBuf>,
}

pub fn plan(words: &[&str]) -> Outcome<Plan> {
    let mut plan = Plan { rounds: 3, passthrough_hp: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        match *word {
            "--rounds" => {
                plan.rounds = value.parse().map_err(|_| format!("--rounds wants a number, not {value}"))?
            }
            "--passthrough-hp" => plan.passthrough_hp = Some(PathBuf::from(value)),
            word => return Err(format!("bench fuse does not know {word}")),
        }
    }
    Ok(plan)
}

/// One thing that is measured.
struct Measure {
    name: &'static str,
    /// What is counted a second.
    unit: &'static str,
    work: fn(&Path) -> Outcome<f64>,
}

const MEASURES: [Measure; 10] = [
    Measure { name: "create and write 4 KiB", unit: "/s", work: create },
    Measure { name: "stat", unit: "/s", work: stat },
    Measure { name: "open, read 4 KiB, close", unit: "/s", work: open_read },
    Measure { name: "list with attributes", unit: "/s", work: list },
    Measure { name: "rename", unit: "/s", work: rename },
    Measure { name: "unlink", unit: "/s", work: unlink },
    Measure { name: "write 1 MiB after the other", unit: "MB/s", work: write_stream },
    Measure { name: "read them, from memory", unit: "MB/s", work: read_stream },
    Measure { name: "read 4 KiB anywhere, from memory", unit: "/s", work: read_blocks },
    Measure { name: "write 4 KiB anywhere", unit: "/s", work: write_blocks },
];

/// What one kind gave, by measure.
struct Column {
    kind: Kind,
    rates: Vec<Figures>,
    /// Microseconds of the daemon's CPU for each operation, or each MB.
    costs: Vec<Figures>,
}

pub fn bench(plan: &Plan) -> Outcome {
    packages::ensure_posix()?;
    build()?;
    e2e::seclude()?;
    let mut kinds = vec![Kind::Ext4, Kind::Bindfs];
    kinds.extend(plan.passthrough_hp.clone().map(Kind::PassthroughHp));
    kinds.push(Kind::Farshare);
    let empty = || vec![Figures::default(); MEASURES.len()];
    let mut columns: Vec<Column> =
        kinds.into_iter().map(|kind| Column { kind, rates: empty(), costs: empty() }).collect();
    for round in 1..=plan.rounds {
        for column in &mut columns {
            eprintln!("xtask: round {round}: {}", column.kind.name());
            run(column)?;
        }
    }
    print(&columns);
    Ok(())
}

fn run(column: &mut Column) -> Outcome {
    let under = mounted(&column.kind)?;
    for (index, measure) in MEASURES.iter().enumerate() {
        std::thread::sleep(SETTLING);
        let before = cpu_seconds(&under);
        let begun = Instant::now();
        let count = (measure.work)(under.dir()).map_err(|why| format!("{}: {why}", measure.name))?;
        let took = begun.elapsed().as_secs_f64();
        column.rates[index].push(count / took);
        if let (Some(before), Some(after)) = (before, cpu_seconds(&under)) {
            column.costs[index].push((after - before) * 1e6 / count);
        }
    }
    Ok(())
}

fn cpu_seconds(under: &UnderTest) -> Option<f64> {
    under.daemon().map(|daemon| daemon.cpu().seconds)
}

fn print(columns: &[Column]) {
    let head: Vec<String> = columns.iter().map(|column| column.kind.name().to_owned()).collect();
    let head: Vec<&str> = std::iter::once("measure").chain(head.iter().map(String::as_str)).collect();
    println!("rates, minimum / median / maximum:\n");
    let mut rates = Table::new(&head);
    for (index, measure) in MEASURES.iter().enumerate() {
        let cells = columns.iter().map(|column| column.rates[index].text());
        rates.row(
            &std::iter::once(format!("{}, {}", measure.name, measure.unit)).chain(cells).collect::<Vec<_>>(),
        );
    }
    rates.print();
    println!("\nmicroseconds of the daemon's CPU for each, median:\n");
    let mut costs = Table::new(&head);
    for (index, measure) in MEASURES.iter().enumerate() {
        let cell = |column: &Column| match column.costs[index].is_empty() {
            true => "-".to_owned(),
            false => short(column.costs[index].median()),
        };
        costs.row(
            &std::iter::once(measure.name.to_owned()).chain(columns.iter().map(cell)).collect::<Vec<_>>(),
        );
    }
    costs.print();
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

fn files(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let dir = dir.join("files");
    (0..FILES).map(move |number| dir.join(format!("file-{number}")))
}

fn create(dir: &Path) -> Outcome<f64> {
    let below = dir.join("files");
    fs::create_dir(&below).map_err(failed(&below))?;
    for path in files(dir) {
        let mut file = File::create(&path).map_err(failed(&path))?;
        file.write_all(&[7; BLOCK_BYTES]).map_err(failed(&path))?;
    }
    Ok(FILES as f64)
}

fn stat(dir: &Path) -> Outcome<f64> {
    for path in files(dir) {
        fs::symlink_metadata(&path).map_err(failed(&path))?;
    }
    Ok(FILES as f64)
}

fn open_read(dir: &Path) -> Outcome<f64> {
    let mut block = [0; BLOCK_BYTES];
    for path in files(dir) {
        File::open(&path).and_then(|mut file| file.read_exact(&mut block)).map_err(failed(&path))?;
    }
    Ok(FILES as f64)
}

fn list(dir: &Path) -> Outcome<f64> {
    let below = dir.join("files");
    let mut seen = 0;
    for entry in fs::read_dir(&below).map_err(failed(&below))? {
        entry.and_then(|entry| entry.metadata()).map_err(failed(&below))?;
        seen += 1;
    }
    Ok(f64::from(seen))
}

fn rename(dir: &Path) -> Outcome<f64> {
    for path in files(dir) {
        fs::rename(&path, path.with_extension("moved")).map_err(failed(&path))?;
    }
    Ok(FILES as f64)
}

fn unlink(dir: &Path) -> Outcome<f64> {
    for path in files(dir) {
        let path = path.with_extension("moved");
        fs::remove_file(&path).map_err(failed(&path))?;
    }
    Ok(FILES as f64)
}

fn stream(dir: &Path) -> PathBuf {
    dir.join("stream")
}

fn write_stream(dir: &Path) -> Outcome<f64> {
    let path = stream(dir);
    let mut file = File::create(&path).map_err(failed(&path))?;
    let block = vec![7; STREAM_BYTES];
    for _ in 0..FILE_BYTES / STREAM_BYTES {
        file.write_all(&block).map_err(failed(&path))?;
    }
    Ok(FILE_BYTES as f64 / 1e6)
}

fn read_stream(dir: &Path) -> Outcome<f64> {
    let path = stream(dir);
    let mut file = File::open(&path).map_err(failed(&path))?;
    let mut block = vec![0; STREAM_BYTES];
    for _ in 0..FILE_BYTES / STREAM_BYTES {
        file.read_exact(&mut block).map_err(failed(&path))?;
    }
    Ok(FILE_BYTES as f64 / 1e6)
}

/// Offsets of blocks all over the file, the same each time.
fn places() -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..BLOCKS).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % (FILE_BYTES / BLOCK_BYTES) as u64 * BLOCK_BYTES as u64
    })
}

fn read_blocks(dir: &Path) -> Outcome<f64> {
    let path = stream(dir);
    let file = File::open(&path).map_err(failed(&path))?;
    let mut block = [0; BLOCK_BYTES];
    for at in places() {
        file.read_exact_at(&mut block, at).map_err(failed(&path))?;
    }
    Ok(BLOCKS as f64)
}

fn write_blocks(dir: &Path) -> Outcome<f64> {
    let path = stream(dir);
    let file = OpenOptions::new().write(true).open(&path).map_err(failed(&path))?;
    for at in places() {
        file.write_all_at(&[9; BLOCK_BYTES], at).map_err(failed(&path))?;
    }
    Ok(BLOCKS as f64)
}

//! One tool at one case: waiting until the mirrors are what the source is, and what that took.

use super::site::Site;
use super::tool::{Tool, Usage};
use super::tree::Tree;
use crate::run::Outcome;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Whoever is not done by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(150);
/// What is run by hand is run so often before it counts as not done.
const PASSES_MAX: usize = 3;
/// A file that comes and goes before anything is measured.
const CANARY: &str = "canary";
const PROBE_PAUSE: Duration = Duration::from_millis(5);
/// Between two comparisons of whole trees, besides twice as long as one took.
const COMPARE_PAUSE: Duration = Duration::from_millis(50);

pub const SECONDS: &str = "seconds until equal";
pub const WIRE: &str = "MB on the wire, all mirrors";
const CPU: &str = "CPU seconds";
const PEAK: &str = "peak memory of the daemon or program, MiB";

/// How much there is to mirror.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub dirs: usize,
    pub files_per_dir: usize,
    pub file_bytes: usize,
    pub big_bytes: u64,
}

/// What a case found.
#[derive(Clone, Debug)]
pub enum Value {
    Numbers(Vec<f64>),
    /// What is no number.
    Word(String),
}

pub struct Run<'a> {
    pub site: &'a Site<'a>,
    pub tool: &'a mut dyn Tool,
    pub scale: Scale,
    pub found: Vec<(String, Value)>,
}

/// When something began, and what had been used by then.
pub struct Begun {
    at: Instant,
    wire: u64,
    used: Usage,
}

/// What is cheap to ask of a mirror, and false until it is done.
pub type Probe<'a> = &'a dyn Fn(&Path) -> bool;

impl Run<'_> {
    pub fn begin(&mut self) -> Begun {
        self.tool.forget_peak();
        Begun { at: Instant::now(), wire: self.site.servers.bytes(), used: self.tool.usage() }
    }

    pub fn number(&mut self, measure: &str, number: f64) {
        self.found.push((measure.to_owned(), Value::Numbers(vec![number])));
    }

    pub fn word(&mut self, measure: &str, word: &str) {
        self.found.push((measure.to_owned(), Value::Word(word.to_owned())));
    }

    /// Has the mirrors become what the source is; an error when they do not. What is live has shown by then that it is: mirrors
    /// that were equal from the start say nothing of a tool that is still about to begin.
    pub fn settle(&mut self) -> Outcome {
        if self.tool.live() {
            let canary = self.tool.work().join(CANARY);
            let failed = |error| format!("{}: {error}", canary.display());
            fs::write(&canary, CANARY).map_err(failed)?;
            self.canary(true)?;
            fs::remove_file(&canary).map_err(failed)?;
            self.canary(false)?;
        }
        self.equal(Instant::now(), &|_| true, false)?.map(drop)
    }

    /// Waits until the canary is on all mirrors, or on none.
    fn canary(&mut self, there: bool) -> Outcome {
        let copies: Vec<PathBuf> = self.site.mirrors.iter().map(|mirror| mirror.root.join(CANARY)).collect();
        let arrived = self.work_until(PATIENCE, &|| copies.iter().all(|copy| copy.exists() == there));
        self.tool.check()?;
        let what = if there { "a first file" } else { "the removal of the first file" };
        if arrived {
            Ok(())
        } else {
            Err(format!("{what} is not on all mirrors in {} s", PATIENCE.as_secs()))
        }
    }

    /// Waits until all mirrors are what the source is, contents too, and notes what it took since `begun`.
    pub fn measure(&mut self, begun: &Begun, probe: Probe<'_>) -> Outcome {
        let equal = self.equal(begun.at, probe, true)?;
        let used = self.tool.usage() - begun.used;
        let wire = self.site.servers.bytes() - begun.wire;
        match equal {
            Ok(seconds) => self.number(SECONDS, seconds),
            Err(why) => self.word(SECONDS, &why),
        }
        self.number(WIRE, wire as f64 / 1e6);
        self.number(CPU, used.cpu_seconds);
        self.number(PEAK, used.peak_bytes as f64 / f64::from(1 << 20));
        Ok(())
    }

    /// Lets the tool work for so long.
    pub fn work_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.tool.live() {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
            } else if self.tool.pass().is_err() {
                // A mirror that is away; or what it was about to read is gone.
                std::thread::sleep(COMPARE_PAUSE);
            }
        }
    }

    /// Lets the tool work until `done`; false when it took longer than `patience`.
    pub fn work_until(&mut self, patience: Duration, done: &dyn Fn() -> bool) -> bool {
        let until = Instant::now() + patience;
        loop {
            if done() {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            // As in `work_for`.
            if !self.tool.live() && self.tool.pass().is_ok() && done() {
                return true;
            }
            std::thread::sleep(PROBE_PAUSE);
        }
    }

    /// Seconds from `begun` until the mirrors were equal, or how far they came.
    fn equal(&mut self, begun: Instant, probe: Probe<'_>, contents: bool) -> Outcome<Result<f64, String>> {
        let (mut source, mut passes) = (None, 0);
        loop {
            self.tool.check()?;
            let mut last_pass = Ok(());
            if !self.tool.live() {
                last_pass = self.tool.pass();
                passes += 1;
            }
            let at = Instant::now();
            let probed = self.site.mirrors.iter().all(|mirror| probe(&mirror.root));
            let late = at.duration_since(begun) > PATIENCE || passes >= PASSES_MAX;
            if !probed && !late {
                std::thread::sleep(PROBE_PAUSE);
                continue;
            }
            let source = source.get_or_insert_with(|| Tree::read(&self.site.source));
            let differing = self.differing(source, contents);
            if differing.is_empty() {
                return Ok(Ok(at.duration_since(begun).as_secs_f64()));
            }
            if late {
                return Ok(Err(self.told(at.duration_since(begun), &differing, last_pass)));
            }
            std::thread::sleep(COMPARE_PAUSE + 2 * at.elapsed());
        }
    }

    /// How far they came, for the table; what is behind it is said at once.
    fn told(&self, took: Duration, differing: &[Differing], last_pass: Outcome) -> String {
        for Differing { mirror, first, .. } in differing {
            eprintln!("xtask: {mirror} differs in {}", first.display());
        }
        if let Err(why) = last_pass {
            eprintln!("xtask: {why}");
        }
        let how_long = match self.tool.live() {
            true => format!("not in {} s", took.as_secs()),
            false => format!("not in {PASSES_MAX} passes"),
        };
        let each: Vec<String> =
            differing.iter().map(|mirror| format!("{} differs in {}", mirror.mirror, mirror.count)).collect();
        format!("{how_long}: {}", each.join(", "))
    }

    /// Mirrors that are not what the source is.
    fn differing(&self, source: &Tree, contents: bool) -> Vec<Differing> {
        let mut all = Vec::new();
        for mirror in &self.site.mirrors {
            let mut differing = source.differing(&Tree::read(&mirror.root));
            if differing.is_empty() && contents {
                differing = source.contents_differing(&self.site.source, &mirror.root);
            }
            if let Some(first) = differing.first() {
                let (mirror, first) = (mirror.name.clone(), first.clone());
                all.push(Differing { mirror, count: differing.len(), first });
            }
        }
        all
    }
}

struct Differing {
    mirror: String,
    count: usize,
    /// One of the names that differ.
    first: PathBuf,
}

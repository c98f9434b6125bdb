//! Order, observed: a writer whose states follow one another, and an observer of a copy of them that tells states which never
//! were.
//!
//! The writer makes the file of a generation whole, then has the pointer `CURRENT` name it, by rename. It removes nothing, so
//! whoever finds the pointer finds the files of this generation and of those before it, whole, and the pointer never
//! goes back nor away. An observer looks at a copy all the time: what it finds against this is a state that the source
//! never had. Files beyond the pointer may be there or not, and in part: so they were at the source.

use crate::Outcome;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The pointer's name.
pub const CURRENT: &str = "CURRENT";
/// What each generation's file holds, bytes.
pub const FILE_BYTES: usize = 16 << 10;
/// How many generations an observer checks at each look, from the one that the pointer names backwards.
const CHECKED: u64 = 3;
/// How many violations are told in words.
const TOLD_MAX: usize = 5;

/// Makes generations in a directory until it is stopped.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Outcome<u64>>>,
}

impl Writer {
    /// Begins in `dir`, which is there, after the generation that its pointer names, and makes one every `pace`.
    pub fn start(dir: &Path, pace: Duration) -> Outcome<Writer> {
        let dir = dir.to_owned();
        let mut generation = match pointer(&dir) {
            Ok(generation) => generation.unwrap_or(0),
            Err(why) => return Err(format!("{}: {why}", dir.display())),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                advance(&dir, generation + 1).map_err(|error| {
                    format!("generation {} in {}: {error}", generation + 1, dir.display())
                })?;
                generation += 1;
                std::thread::sleep(pace);
            }
            Ok(generation)
        });
        Ok(Writer { stop, thread: Some(thread) })
    }

    /// Ends it: the generation that it came to.
    pub fn stop(mut self) -> Outcome<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is taken only here and when dropped");
        thread.join().map_err(|_| "the writer panicked".to_owned())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Makes one generation: its file, then the pointer.
pub fn advance(dir: &Path, generation: u64) -> io::Result<()> {
    let mut file = fs::File::create(file_of(dir, generation))?;
    // In two pieces, so that a copy of half of it can be met.
    let content = content_of(generation);
    let (first, second) = content.split_at(FILE_BYTES / 2);
    file.write_all(first)?;
    file.write_all(second)?;
    drop(file);
    let next = dir.join(format!("{CURRENT}.next"));
    fs::write(&next, format!("{generation:08}\n"))?;
    fs::rename(&next, dir.join(CURRENT))
}

/// What an observer saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Looks at which a pointer was expected: all since the first one.
    pub looks: u64,
    /// Different generations that the pointer named.
    pub states: u64,
    /// Looks that found a state which never was at the source.
    pub violations: u64,
    /// The first few of these, in words.
    pub first: Vec<String>,
}

/// Looks at a copy of the writer's directory until it is stopped.
pub struct Observer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen>>,
}

impl Observer {
    /// Begins to look at `dir`, which may not be there yet, with `pause` between looks.
    pub fn start(dir: &Path, pause: Duration) -> Observer {
        let dir = dir.to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut looks = Looks::default();
            while !stopped.load(Ordering::Relaxed) {
                looks.look(&dir);
                std::thread::sleep(pause);
            }
            looks.seen
        });
        Observer { stop, thread: Some(thread) }
    }

    /// Ends it: what it saw.
    pub fn stop(mut self) -> Outcome<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is taken only here and when dropped");
        thread.join().map_err(|_| "the observer panicked".to_owned())
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// One look after the other, without a thread.
#[derive(Debug, Default)]
pub struct Looks {
    newest: Option<u64>,
    pub seen: Seen,
}

impl Looks {
    pub fn look(&mut self, dir: &Path) {
        let found = match pointer(dir) {
            Ok(None) if self.newest.is_none() => return,
            Ok(None) => Err("the pointer is gone".to_owned()),
            Ok(Some(generation)) => self.at(dir, generation),
            Err(why) => Err(why),
        };
        self.seen.looks += 1;
        let Err(why) = found else { return };
        self.seen.violations += 1;
        if self.seen.first.len() < TOLD_MAX {
            self.seen.first.push(why);
        }
    }

    /// The pointer names this generation: what must be so then.
    fn at(&mut self, dir: &Path, generation: u64) -> Outcome {
        let before = self.newest.unwrap_or(0);
        if self.newest != Some(generation) {
            self.seen.states += 1;
        }
        self.newest = Some(before.max(generation));
        if generation < before {
            return Err(format!("the pointer went back from {before} to {generation}"));
        }
        for checked in (generation.saturating_sub(CHECKED - 1).max(1)..=generation).rev() {
            match fs::read(file_of(dir, checked)) {
                Ok(content) if content == content_of(checked) => {}
                Ok(content) => {
                    let bytes = content.len();
                    return Err(format!(
                        "the pointer names {generation}, file {checked} is not whole ({bytes} bytes)"
                    ));
                }
                Err(error) => return Err(format!("the pointer names {generation}, file {checked}: {error}")),
            }
        }
        Ok(())
    }
}

fn file_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("file-{generation:08}"))
}

/// Each line says which generation and which line.
fn content_of(generation: u64) -> Vec<u8> {
    let mut content = Vec::with_capacity(FILE_BYTES + 32);
    let mut line = 0;
    while content.len() < FILE_BYTES {
        content.extend_from_slice(format!("{generation:08} {line:06}\n").as_bytes());
        line += 1;
    }
    content.truncate(FILE_BYTES);
    content
}

/// The generation that the pointer names, if there is a pointer.
fn pointer(dir: &Path) -> Outcome<Option<u64>> {
    let text = match fs::read_to_string(dir.join(CURRENT)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("the pointer: {error}")),
    };
    let number = text.strip_suffix('\n').filter(|number| number.len() == 8);
    match number.and_then(|number| number.parse().ok()) {
        Some(generation) => Ok(Some(generation)),
        None => Err(format!("the pointer holds {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    fn made(generations: u64) -> Scratch {
        let scratch = Scratch::new().unwrap();
        (1..=generations).for_each(|generation| advance(scratch.path(), generation).unwrap());
        scratch
    }

    /// One look after `spoil`; the violation that it tells.
    #[track_caller]
    fn check(spoil: impl FnOnce(&Path), expect: &str) {
        let scratch = made(4);
        let mut looks = Looks::default();
        looks.look(scratch.path());
        assert_eq!((looks.seen.looks, looks.seen.violations), (1, 0));
        spoil(scratch.path());
        looks.look(scratch.path());
        assert_eq!(looks.seen.first.join("; "), expect);
        assert_eq!(looks.seen.violations, u64::from(!expect.is_empty()));
    }

    #[test]
    fn what_the_source_had_is_no_violation() {
        check(|_| {}, "");
        check(|dir| fs::write(file_of(dir, 5), b"half").unwrap(), "");
        check(|dir| advance(dir, 5).unwrap(), "");
    }

    #[test]
    fn what_the_source_never_had_is_told() {
        let missing = "No such file or directory (os error 2)";
        check(
            |dir| fs::remove_file(file_of(dir, 4)).unwrap(),
            &format!("the pointer names 4, file 4: {missing}"),
        );
        check(
            |dir| fs::remove_file(file_of(dir, 3)).unwrap(),
            &format!("the pointer names 4, file 3: {missing}"),
        );
        check(
            |dir| fs::File::options().write(true).open(file_of(dir, 4)).unwrap().set_len(99).unwrap(),
            "the pointer names 4, file 4 is not whole (99 bytes)",
        );
        check(|dir| fs::write(dir.join(CURRENT), "00000003\n").unwrap(), "the pointer went back from 4 to 3");
        check(|dir| fs::write(dir.join(CURRENT), "").unwrap(), "the pointer holds \"\"");
        check(|dir| fs::remove_file(dir.join(CURRENT)).unwrap(), "the pointer is gone");
    }

    #[test]
    fn a_directory_without_a_pointer_was_not_looked_at() {
        let mut looks = Looks::default();
        looks.look(Path::new("/nowhere"));
        assert_eq!(looks.seen, Seen::default());
    }

    #[test]
    fn a_writer_goes_on_where_the_pointer_is() {
        let scratch = made(4);
        let (mut generation, mut looks) = (4, Looks::default());
        while generation == 4 {
            let writer = Writer::start(scratch.path(), Duration::ZERO).unwrap();
            generation = writer.stop().unwrap();
        }
        looks.look(scratch.path());
        assert_eq!((looks.newest, looks.seen.violations), (Some(generation), 0));
    }
}

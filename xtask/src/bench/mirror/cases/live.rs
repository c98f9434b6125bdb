//! Changes that go on while the mirrors are looked at: order, rewrites that size and time do not tell, and lag.

use super::super::run::{Run, Scale, Value};
use super::{Case, failed, random, write};
use crate::run::Outcome;
use e2e::order::{Observer, Seen, Writer};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const TIME: Duration = Duration::from_secs(10);
const GENERATION_PACE: Duration = Duration::from_millis(20);
const LOOK_PAUSE: Duration = Duration::from_millis(1);
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(15);
const CHANGES_PER_S: usize = 500;
/// Every so many changes one is looked for on the mirrors.
const MARKED: usize = 125;
/// The files that are rewritten in turn.
const REWRITTEN: usize = 200;
const FILE_BYTES: usize = 4096;

const OUT_OF_ORDER: &str = "looks that found a state that never was";
const APART: &str = "two rewrites of one size, 0.2 s apart: the last arrives";
const ALIKE: &str = "the same, of one size and one second, the first one there: the last arrives";
const LAG: &str = "lag, s";

pub const ORDER: Case = Case {
    name: "order",
    what: "a file whole, then the pointer to it, for 10 s; readers on the mirrors look all the time",
    prepare: prepare_order,
    run: order,
    aims: &[(OUT_OF_ORDER, "0")],
    far_aims: &[(OUT_OF_ORDER, "0")],
    floor: false,
};

pub const TWICE: Case = Case {
    name: "twice",
    what: "two rewrites of one size within one second",
    prepare: prepare_twice,
    run: twice,
    aims: &[(APART, "yes"), (ALIKE, "yes")],
    far_aims: &[(APART, "yes"), (ALIKE, "yes")],
    floor: false,
};

pub const RATE: Case = Case {
    name: "rate",
    what: "500 changes a second for 10 s; how long some of them take to be on all mirrors",
    prepare: prepare_rate,
    run: rate,
    aims: &[(LAG, "under 1")],
    far_aims: &[],
    floor: false,
};

fn prepare_order(source: &Path, _scale: &Scale) -> Outcome {
    fs::create_dir(source.join("order")).map_err(failed(source))
}

fn order(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    let observe =
        |mirror: &super::super::site::Mirror| Observer::start(&mirror.root.join("order"), LOOK_PAUSE);
    let observers: Vec<Observer> = run.site.mirrors.iter().map(observe).collect();
    let writer = Writer::start(&run.tool.work().join("order"), GENERATION_PACE)?;
    run.work_for(TIME);
    let generations = writer.stop()?;
    let begun = run.begin();
    run.measure(&begun, &|_| true)?;
    let mut all = Seen::default();
    for observer in observers {
        let seen = observer.stop()?;
        all.looks += seen.looks;
        all.states += seen.states;
        all.violations += seen.violations;
        all.first.extend(seen.first);
    }
    if let Some(first) = all.first.first() {
        eprintln!("xtask: {} looks found what never was, as: {first}", all.violations);
    }
    run.number("generations", generations as f64);
    run.number("looks, all mirrors", all.looks as f64);
    run.number("different states seen, all mirrors", all.states as f64);
    run.number(OUT_OF_ORDER, all.violations as f64);
    Ok(())
}

fn prepare_twice(source: &Path, _scale: &Scale) -> Outcome {
    let mut content = random(FILE_BYTES)?;
    (0..2).try_for_each(|number| write(&source.join(format!("twice-{number}")), &mut content, number))
}

fn twice(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    // What was there before is of another second.
    thread::sleep(Duration::from_secs(1));
    let apart = rewrite(run, "twice-0", None)?;
    run.word(APART, if apart { "yes" } else { "no" });
    let alike = rewrite(run, "twice-1", Some(SystemTime::now()))?;
    run.word(ALIKE, if alike { "yes" } else { "no" });
    Ok(())
}

/// Rewrites a file twice. With a time both are of this second, and the second comes when the first has arrived.
fn rewrite(run: &mut Run<'_>, name: &str, time: Option<SystemTime>) -> Outcome<bool> {
    let mut content = random(FILE_BYTES)?;
    let roots: Vec<PathBuf> = run.site.mirrors.iter().map(|mirror| mirror.root.join(name)).collect();
    let path = run.tool.work().join(name);
    for number in [2, 3] {
        write(&path, &mut content, number)?;
        if let Some(time) = time {
            let whole = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            let time =
                SystemTime::UNIX_EPOCH + Duration::from_secs(whole) + Duration::from_millis(100 * number);
            let file = File::options().write(true).open(&path).map_err(failed(&path))?;
            file.set_modified(time).map_err(failed(&path))?;
        }
        let arrived = || roots.iter().all(|copy| fs::read(copy).is_ok_and(|copy| copy == content));
        if number == 3 {
            return Ok(run.work_until(ARRIVAL_PATIENCE, &arrived));
        }
        match time {
            None => thread::sleep(Duration::from_millis(200)),
            Some(_) if !run.work_until(ARRIVAL_PATIENCE, &arrived) => return Ok(false),
            Some(_) => {}
        }
    }
    Ok(false)
}

fn prepare_rate(source: &Path, _scale: &Scale) -> Outcome {
    fs::create_dir(source.join("rate")).map_err(failed(source))
}

fn rate(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    let (work, ended) = (run.tool.work().join("rate"), AtomicBool::new(false));
    let roots: Vec<PathBuf> = run.site.mirrors.iter().map(|mirror| mirror.root.join("rate")).collect();
    let begun = run.begin();
    let lags = thread::scope(|scope| {
        let (told, markers) = std::sync::mpsc::channel();
        let writer = scope.spawn(move || change_at_rate(&work, &told));
        let (ended, roots) = (&ended, &roots);
        let watcher = scope.spawn(move || lags(&markers, roots, ended));
        run.work_for(TIME);
        let wrote = writer.join().map_err(|_| "the writer panicked".to_owned());
        run.work_until(ARRIVAL_PATIENCE, &|| watcher.is_finished());
        ended.store(true, Ordering::Relaxed);
        let lags = watcher.join().map_err(|_| "the watcher panicked".to_owned())?;
        wrote?.map(|()| lags)
    })?;
    let lost = lags.iter().filter(|lag| lag.is_none()).count();
    run.found.push((LAG.to_owned(), Value::Numbers(lags.into_iter().flatten().collect())));
    run.number("of these not there 15 s after the last", lost as f64);
    run.measure(&begun, &|_| true)
}

/// Rewrites files in turn, some of them with a new name; those are told.
fn change_at_rate(dir: &Path, told: &std::sync::mpsc::Sender<(String, Instant)>) -> Outcome {
    let mut content = random(FILE_BYTES)?;
    let begun = Instant::now();
    for number in 0..CHANGES_PER_S * TIME.as_secs() as usize {
        let due = begun + Duration::from_micros(number as u64 * 1_000_000 / CHANGES_PER_S as u64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if number % MARKED == MARKED - 1 {
            let name = format!("marked-{number:05}");
            write(&dir.join(&name), &mut content, number as u64)?;
            // Nobody listens any more: the watcher has panicked, which is told.
            told.send((name, Instant::now())).ok();
        } else {
            write(&dir.join(format!("file-{:03}", number % REWRITTEN)), &mut content, number as u64)?;
        }
    }
    Ok(())
}

/// How long each that is told takes to be everywhere, whole; none for those that are not there when it `ended`.
fn lags(
    markers: &std::sync::mpsc::Receiver<(String, Instant)>,
    roots: &[PathBuf],
    ended: &AtomicBool,
) -> Vec<Option<f64>> {
    let (mut lags, mut open, mut more) = (Vec::new(), Vec::new(), true);
    while (more || !open.is_empty()) && !ended.load(Ordering::Relaxed) {
        loop {
            match markers.try_recv() {
                Ok(marker) => open.push(marker),
                Err(error) => {
                    more = error == std::sync::mpsc::TryRecvError::Empty;
                    break;
                }
            }
        }
        let there = |name: &str, root: &PathBuf| {
            fs::metadata(root.join(name)).is_ok_and(|file| file.len() == FILE_BYTES as u64)
        };
        open.retain(|(name, written)| {
            let arrived = roots.iter().all(|root| there(name, root));
            if arrived {
                lags.push(Some(written.elapsed().as_secs_f64()));
            }
            !arrived
        });
        thread::sleep(Duration::from_millis(2));
    }
    lags.extend(open.iter().map(|_| None));
    lags
}

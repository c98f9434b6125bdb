//! What is on its way to a mirror in one session, and what may be begun beside it. No I/O.
//!
//! Steps are begun in their order. Of those that are not confirmed no two change the same name, and what is below a directory does not
//! change while that moves: so the names at the mirror tell later which were done.

use super::interpret::{Interpreter, Live, Steps};
use super::making::{Budget, Making};
use super::progress::Positions;
use super::remote::Remote;
use super::step::{Doing, InPlace, Step};
use super::{BUDGET_BYTES, FLYING_MAX, MAKINGS_MAX, STEPS_MAX};
use crate::log::{Feed, Log, Settled};
use crate::record::Record;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::watch;
use volume::{Change, Result, Time, VPath};

/// What is on its way to the mirror.
pub struct Session {
    pub feed: Feed,
    pub interpreter: Interpreter,
    /// Read, not interpreted.
    pub records: VecDeque<Settled>,
    pub steps: Steps,
    pub flying: FuturesUnordered<BoxFuture<'static, (Step, Result<()>)>>,
    /// The records whose steps are on their way: when they were written, and how many steps.
    pub flying_records: BTreeMap<u64, (Time, usize)>,
    /// The records that began files which are about to appear, and those that said that they are whole.
    pub flying_makings: BTreeMap<u64, Option<u64>>,
    /// The names that they change, and the objects, counted.
    pub flying_names: HashMap<VPath, usize>,
    pub flying_objects: HashMap<VPath, usize>,
    /// What is on its way takes effect by more than it has asked for at once: nothing may overtake it.
    pub flying_slow: Option<u64>,
    /// Names that were changed by what is done, while something before it is not: by record.
    pub landed_names: BTreeMap<u64, Vec<VPath>>,
    /// Directories in which something has changed.
    pub dirs: BTreeSet<VPath>,
    pub settled: watch::Receiver<u64>,
    /// What the mirror has is not known any more: it is compared when nothing is on its way.
    pub lost: bool,
}

impl Session {
    /// Nothing is on its way; `feed` comes next.
    pub fn new(log: &Log, feed: Feed) -> Session {
        Session {
            feed,
            interpreter: Interpreter::new(Arc::default()),
            records: VecDeque::new(),
            steps: VecDeque::new(),
            flying: FuturesUnordered::new(),
            flying_records: BTreeMap::new(),
            flying_makings: BTreeMap::new(),
            flying_names: HashMap::new(),
            flying_objects: HashMap::new(),
            landed_names: BTreeMap::new(),
            flying_slow: None,
            dirs: BTreeSet::new(),
            settled: log.subscribe(),
            lost: false,
        }
    }

    pub fn budget(&self) -> Arc<Budget> {
        self.interpreter.budget.clone()
    }

    /// Files that wait to appear.
    fn appearing(&self) -> impl Iterator<Item = &Making> {
        self.steps.iter().filter_map(|step| match &step.doing {
            Doing::Publish { making, .. } => Some(making),
            Doing::Change { .. }
            | Doing::Open { .. }
            | Doing::Touch { .. }
            | Doing::Close { .. }
            | Doing::Dress(_)
            | Doing::CatchUp { .. } => None,
        })
    }

    fn flying_cuts(&self) -> impl Iterator<Item = u64> {
        self.flying_makings.values().filter_map(|cut| *cut)
    }

    /// How far the mirror is; what may have been begun is known to the caller.
    pub fn positions(&self) -> Positions {
        let flying = self.flying_records.keys().next().copied();
        let waiting = self.steps.front().map(|step| step.mark.number);
        let whole = self.interpreter.makings().chain(self.appearing()).filter_map(|making| making.cut);
        let unconfirmed = flying.into_iter().chain(waiting).chain(whole).chain(self.flying_cuts());
        let confirmed = unconfirmed.min().unwrap_or(self.next_number());
        let appearing = self.appearing().map(|making| making.number);
        let begun =
            appearing.chain(self.interpreter.begun()).chain(self.flying_makings.keys().next().copied());
        let read = begun.chain([confirmed]).min().unwrap_or(confirmed);
        Positions { read, confirmed, issued: 0 }
    }

    /// When the oldest change was made that the mirror lacks.
    pub fn oldest(&self) -> Option<Time> {
        let flying = self.flying_records.values().next().map(|(at, _)| *at);
        let waiting = self.steps.front().map(|step| step.mark.at);
        flying.or(waiting).or(self.records.front().map(|record| record.at))
    }

    /// Files that are changed in place are opened anew, where the step that did it is done with.
    pub fn reopen(&mut self) {
        let mut opened: HashSet<*const InPlace> = HashSet::new();
        let mut steps = VecDeque::with_capacity(self.steps.len());
        for step in self.steps.drain(..) {
            match &step.doing {
                Doing::Open { file, .. } => drop(opened.insert(Arc::as_ptr(file))),
                Doing::Touch { file, path, .. } | Doing::Close { file, path, .. } => {
                    if opened.insert(Arc::as_ptr(file)) {
                        let doing = Doing::Open { file: file.clone(), path: path.clone() };
                        steps.push_back(Step { mark: step.mark, doing });
                    }
                }
                Doing::Change { .. } | Doing::Publish { .. } | Doing::Dress(_) | Doing::CatchUp { .. } => {}
            }
            steps.push_back(step);
        }
        self.steps = steps;
        self.leave(|file| opened.contains(&Arc::as_ptr(file)));
    }

    /// Files that are changed in place are opened anew when they are changed further.
    pub fn leave(&mut self, is_opened: impl Fn(&Arc<InPlace>) -> bool) {
        for live in self.interpreter.files.values_mut() {
            if let Live::InPlace(file) = live
                && !is_opened(file)
            {
                *live = Live::Left(file.begun);
            }
        }
    }

    /// The number of the record that is interpreted next.
    pub fn next_number(&self) -> u64 {
        self.records.front().map_or(self.feed.next(), |record| record.number)
    }

    /// `until`: the last record that is looked at besides.
    pub fn interpret_one(&mut self, until: u64) {
        let Some(record) = self.records.pop_front() else { return };
        if matches!(&*record.record, Record::Change(_) | Record::Create { .. }) {
            self.dirs.extend(record.record.paths().into_iter().filter_map(VPath::parent));
        }
        if let Record::Change(Change::Rename { from, to, .. }) = &*record.record {
            let moved: Vec<VPath> = self.dirs.iter().filter(|dir| dir.is_within(from)).cloned().collect();
            for dir in moved {
                self.dirs.remove(&dir);
                self.dirs.extend(dir.rebase(from, to));
            }
        }
        let behind = self.records.iter().take_while(|record| record.number <= until);
        self.interpreter.record(&record, behind, &mut self.steps);
    }

    pub fn is_idle(&self) -> bool {
        self.flying.is_empty() && self.steps.is_empty() && self.records.is_empty() && self.feed.is_empty()
    }

    pub fn wants_more(&self) -> bool {
        let publishes = self.steps.iter().filter(|step| matches!(step.doing, Doing::Publish { .. }));
        self.steps.len() < STEPS_MAX
            && self.interpreter.budget.used() < BUDGET_BYTES
            && publishes.take(MAKINGS_MAX).count() < MAKINGS_MAX
    }

    pub fn may_begin(&self, step: &Step, remote: &Remote, others: bool) -> bool {
        let touched = step.touched();
        let is_free = |path: &&VPath| {
            !self.flying_names.contains_key(*path) && !self.flying_objects.contains_key(*path)
        };
        let alone = self.flying_records.is_empty() && !others;
        step.is_ready()
            && (alone || (remote.in_order && !step.is_alone()))
            && self.flying_slow.is_none()
            && self.flying_records.len() < FLYING_MAX
            && touched.names.iter().all(is_free)
            && touched.object.is_none_or(|path| !self.flying_names.contains_key(path))
            && step.moved().is_none_or(|(from, to)| {
                let is_below = |path: &VPath| path.is_within(from) || path.is_within(to);
                !self.flying_names.keys().any(is_below)
            })
    }

    pub fn takes_off(&mut self, step: &Step) {
        self.flying_records.entry(step.mark.number).or_insert((step.mark.at, 0)).1 += 1;
        let touched = step.touched();
        for path in touched.names {
            *self.flying_names.entry(path.clone()).or_default() += 1;
        }
        if let Some(path) = touched.object {
            *self.flying_objects.entry(path.clone()).or_default() += 1;
        }
        if let Doing::Publish { making, .. } = &step.doing {
            self.flying_makings.insert(making.number, making.cut);
        }
    }

    pub fn lands(&mut self, step: &Step) {
        self.flying_slow = self.flying_slow.filter(|slow| *slow != step.mark.number);
        if let Some((_, left)) = self.flying_records.get_mut(&step.mark.number) {
            *left -= 1;
            if *left == 0 {
                self.flying_records.remove(&step.mark.number);
            }
        }
        let touched = step.touched();
        self.landed_names.entry(step.mark.number).or_default().extend(touched.names.into_iter().cloned());
        if let Some(path) = touched.object {
            release(&mut self.flying_objects, path);
        }
        if let Doing::Publish { making, .. } = &step.doing {
            self.flying_makings.remove(&making.number);
        }
        // Which steps were done is told from names later: so each is changed once by what is not confirmed.
        let first = self.flying_records.keys().next().copied().unwrap_or(u64::MAX);
        while let Some(done) = self.landed_names.first_entry()
            && *done.key() < first
        {
            done.remove().iter().for_each(|path| release(&mut self.flying_names, path));
        }
    }
}

fn release(counted: &mut HashMap<VPath, usize>, path: &VPath) {
    if let Entry::Occupied(mut one) = counted.entry(path.clone()) {
        *one.get_mut() -= 1;
        if *one.get() == 0 {
            one.remove();
        }
    }
}

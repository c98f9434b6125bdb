//! From records to steps. No I/O: what is read here decides, in the log's order, what a mirror does.
//!
//! A file that is made, or emptied to be written anew, is *in the making* until it is cut (closed, synced), renamed or linked; then it appears whole. A file
//! that is changed otherwise is changed *in place*, each change a step.

use super::depth::{Depth, concerned};
use super::making::{Budget, Making, Piece};
use super::remote::Touch;
use super::step::{Doing, InPlace, Mark, Step};
use crate::log::Settled;
use crate::record::{Outcome, Record, Stamp};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use volume::{Change, Kind, SetAttr, VPath};

/// The files of one mirror that are being changed, by the name that they have now.
pub struct Interpreter {
    pub files: HashMap<VPath, Live>,
    pub budget: Arc<Budget>,
}

pub enum Live {
    Making(Making),
    InPlace(Arc<InPlace>),
    /// It was changed in place since this record, and not cut; it is not open at the mirror.
    Left(u64),
}

impl Live {
    /// The record that began it.
    fn begun(&self) -> u64 {
        match self {
            Live::Making(making) => making.number,
            Live::InPlace(file) => file.begun,
            Live::Left(begun) => *begun,
        }
    }
}

/// Where steps go.
pub type Steps = VecDeque<Step>;

impl Interpreter {
    pub fn new(budget: Arc<Budget>) -> Interpreter {
        Interpreter { files: HashMap::new(), budget }
    }

    /// The oldest record that a file needs which is not cut.
    pub fn begun(&self) -> Option<u64> {
        self.files.values().map(Live::begun).min()
    }

    pub fn makings(&self) -> impl Iterator<Item = &Making> {
        self.files.values().filter_map(|live| match live {
            Live::Making(making) => Some(making),
            Live::InPlace(_) | Live::Left(_) => None,
        })
    }

    pub fn makings_mut(&mut self) -> impl Iterator<Item = &mut Making> {
        self.files.values_mut().filter_map(|live| match live {
            Live::Making(making) => Some(making),
            Live::InPlace(_) | Live::Left(_) => None,
        })
    }

    /// Interprets one record; `behind` are those that follow it, as far as they count: the same that counted when it was interpreted before.
    pub fn record<'a>(
        &mut self,
        settled: &Settled,
        behind: impl Iterator<Item = &'a Settled>,
        steps: &mut Steps,
    ) {
        let mark = Mark { number: settled.number, at: settled.at };

        let stamp = match settled.outcome {
            Outcome::Nothing => return,
            Outcome::Doubt => {
                for (path, depth) in concerned(&settled.record) {
                    self.catch_up(mark, path, depth, steps);
                }
                return;
            }
            Outcome::Done(stamp) => stamp,
        };
        match &*settled.record {
            Record::Change(change) => self.change(mark, change, stamp, steps),
            Record::Create { path } => {
                self.files.insert(path.clone(), Live::Making(Making::new(mark.number, true, stamp)));
            }
            Record::Write { path, offset, data } => {
                self.touch(mark, path, Touch::Write { offset: *offset, data: data.clone() }, steps);
            }
            Record::Zero { length: 0, .. } => {}
            Record::Zero { path, offset, length } => {
                self.touch(mark, path, Touch::Zero { offset: *offset, length: *length }, steps);
            }
            Record::SetAttr { path, set } => self.set_attr(mark, path, *set, stamp, steps),
            Record::Cut { path, stamp } => {
                if !self.is_renamed_next(path, behind) {
                    self.end(mark, path, *stamp, steps);
                } else if let Some(Live::Making(making)) = self.files.get_mut(path) {
                    making.stamp = stamp.or(making.stamp);
                    making.cut = Some(mark.number);
                }
            }
            Record::Unknown { below } => self.catch_up(mark, below, Depth::Metadata, steps),
            // What was open then has no end in the log.
            Record::Restart => {
                let mut open: Vec<VPath> = self.files.keys().cloned().collect();
                open.sort();
                for path in open {
                    self.end(mark, &path, None, steps);
                    steps.push_back(Step { mark, doing: Doing::Dress(path) });
                }
            }
        }
    }

    /// Whether the next that anybody would see is that this file gets its right name: then it appears there at once.
    fn is_renamed_next<'a>(&self, path: &VPath, behind: impl Iterator<Item = &'a Settled>) -> bool {
        for settled in behind {
            match &*settled.record {
                _ if settled.outcome == Outcome::Nothing => {}
                Record::Create { .. } => {}
                Record::Write { path, .. } | Record::Zero { path, .. } if self.is_making(path) => {}
                // Nothing has happened.
                Record::Change(Change::Rename { from, to, .. }) if from == to => {}
                Record::Change(Change::Rename { from, .. }) => return from == path,
                Record::Change(_)
                | Record::Write { .. }
                | Record::Zero { .. }
                | Record::SetAttr { .. }
                | Record::Cut { .. }
                | Record::Unknown { .. }
                | Record::Restart => return false,
            }
        }
        false
    }

    fn is_making(&self, path: &VPath) -> bool {
        matches!(self.files.get(path), Some(Live::Making(_)))
    }

    fn touch(&mut self, mark: Mark, path: &VPath, touch: Touch, steps: &mut Steps) {
        let weight = match &touch {
            Touch::Write { data, .. } => self.budget.take(data.len()),
            Touch::Zero { .. } | Touch::Size(_) => self.budget.take(0),
        };
        if let Some(Live::Making(making)) = self.files.get_mut(path) {
            making.add(Piece::Touch(touch, weight));
            return;
        }
        let file = self.in_place(mark, path, steps);
        steps.push_back(Step {
            mark,
            doing: Doing::Touch { file, path: path.clone(), touch, _weight: weight },
        });
    }

    fn in_place(&mut self, mark: Mark, path: &VPath, steps: &mut Steps) -> Arc<InPlace> {
        if let Some(Live::InPlace(file)) = self.files.get(path) {
            return file.clone();
        }
        let file = InPlace::new(self.files.get(path).map_or(mark.number, Live::begun));
        self.files.insert(path.clone(), Live::InPlace(file.clone()));
        steps.push_back(Step { mark, doing: Doing::Open { file: file.clone(), path: path.clone() } });
        file
    }

    fn set_attr(&mut self, mark: Mark, path: &VPath, set: SetAttr, stamp: Option<Stamp>, steps: &mut Steps) {
        if let Some(Live::Making(making)) = self.files.get_mut(path) {
            making.stamp = stamp.or(making.stamp);
            if let Some(size) = set.size {
                making.add(Piece::Touch(Touch::Size(size), self.budget.take(0)));
            }
            return;
        }
        let whole = stamp.is_some_and(|stamp| stamp.links == 1);
        match set.size {
            Some(0) if whole => {
                self.end(mark, path, None, steps);
                self.files.insert(path.clone(), Live::Making(Making::new(mark.number, false, stamp)));
            }
            Some(size) => self.touch(mark, path, Touch::Size(size), steps),
            None => {}
        }
        let mut set = SetAttr { size: None, ..set };
        // By halves a target would have to be asked for the other one.
        if let Some(stamp) = stamp.filter(|_| set.mtime.is_some() != set.atime.is_some()) {
            (set.mtime, set.atime) = (Some(stamp.mtime), Some(stamp.atime));
        }
        if let Some(stamp) = stamp.filter(|_| set.uid.is_some() != set.gid.is_some()) {
            (set.uid, set.gid) = (Some(stamp.uid), Some(stamp.gid));
        }
        if !set.is_empty() && !self.is_making(path) {
            let change = Change::SetAttr { path: path.clone(), set, expect: None };
            steps.push_back(Step { mark, doing: Doing::Change { change, dress: None } });
        }
    }

    /// The file is whole: it appears, or is let go.
    fn end(&mut self, mark: Mark, path: &VPath, stamp: Option<Stamp>, steps: &mut Steps) {
        match self.files.remove(path) {
            Some(Live::Making(making)) => publish(mark, making, path, stamp, steps),
            Some(Live::InPlace(file)) => {
                steps.push_back(Step { mark, doing: Doing::Close { file, path: path.clone(), stamp } });
            }
            // What was done to it was confirmed before a start, or was about attributes.
            Some(Live::Left(_)) | None => {
                let Some(stamp) = stamp else { return };
                let change = Change::SetAttr { path: path.clone(), set: stamp.of_content(), expect: None };
                steps.push_back(Step { mark, doing: Doing::Change { change, dress: None } });
            }
        }
    }

    fn change(&mut self, mark: Mark, change: &Change, stamp: Option<Stamp>, steps: &mut Steps) {
        let mut dress = None;
        match change {
            Change::MakeDir { .. } => dress = stamp.map(|stamp| (Kind::Dir, stamp)),
            Change::Symlink { .. } => dress = stamp.map(|stamp| (Kind::Symlink, stamp)),
            Change::MakeNode { node, .. } => dress = stamp.map(|stamp| (Kind::Special(*node), stamp)),
            // Nobody has ever seen it.
            Change::Remove { path, .. } if self.give_up(mark, path, steps) => return,
            Change::Remove { .. } => {}
            Change::Rename { from, to, .. } if from == to => return,
            Change::Rename { from, to, .. } => {
                if self.rename(mark, from, to, stamp, steps) {
                    return;
                }
            }
            Change::Link { from, to, .. } => {
                if self.is_making(from) {
                    self.end(mark, from, stamp, steps);
                }
                self.give_up(mark, to, steps);
            }
            Change::SetAttr { path, set, .. } => return self.set_attr(mark, path, *set, stamp, steps),
            Change::SetNamed { path, name, value, .. } => {
                if let Some(Live::Making(making)) = self.files.get_mut(path) {
                    making.add(Piece::Named { name: name.clone(), value: value.clone() });
                    return;
                }
            }
        }
        steps.push_back(Step { mark, doing: Doing::Change { change: change.clone(), dress } });
    }

    /// Whether it is all done with: what was in the making appears under its new name.
    fn rename(
        &mut self,
        mark: Mark,
        from: &VPath,
        to: &VPath,
        stamp: Option<Stamp>,
        steps: &mut Steps,
    ) -> bool {
        self.give_up(mark, to, steps);
        match self.files.remove(from) {
            Some(Live::Making(making)) if making.new => {
                publish(mark, making, to, stamp, steps);
                return true;
            }
            // What it replaces is renamed behind it.
            Some(Live::Making(making)) => publish(mark, making, from, stamp, steps),
            Some(live) => drop(self.files.insert(from.clone(), live)),
            None => {}
        }
        let moved: Vec<VPath> = self.files.keys().filter(|path| path.is_within(from)).cloned().collect();
        for path in moved {
            if let (Some(live), Some(now)) = (self.files.remove(&path), path.rebase(from, to)) {
                self.files.insert(now, live);
            }
        }
        false
    }

    /// The name goes, and what is under it. Whether a mirror has never seen it.
    fn give_up(&mut self, mark: Mark, path: &VPath, steps: &mut Steps) -> bool {
        match self.files.remove(path) {
            Some(Live::Making(making)) => {
                let new = making.new;
                making.give_up();
                new
            }
            Some(Live::InPlace(file)) => {
                let doing = Doing::Close { file, path: path.clone(), stamp: None };
                steps.push_back(Step { mark, doing });
                false
            }
            Some(Live::Left(_)) | None => false,
        }
    }

    /// It is not known what happened below; what is in the making there is sent with the rest.
    fn catch_up(&mut self, mark: Mark, below: &VPath, depth: Depth, steps: &mut Steps) {
        steps.push_back(Step { mark, doing: Doing::CatchUp { below: below.clone(), depth } });
    }
}

fn publish(mark: Mark, mut making: Making, to: &VPath, stamp: Option<Stamp>, steps: &mut Steps) {
    let stamp = stamp.or(making.stamp);
    making.add(Piece::Finish(stamp));
    steps.push_back(Step { mark, doing: Doing::Publish { making, to: to.clone() } });
}

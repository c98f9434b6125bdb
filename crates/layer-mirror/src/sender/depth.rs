//! Which trees are to be compared, and how far.

use crate::record::Record;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use volume::{Change, SetAttr, VPath};

/// How far a comparison goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// The object itself, a directory without what is in it; size and time are believed.
    Itself,
    /// And all that is below.
    Metadata,
    /// Contents are read here and there, and compared.
    Contents,
    /// Contents differ, certainly: they are sent without reading what is there.
    Sent,
}

impl Depth {
    pub fn of_attributes(set: &SetAttr) -> Depth {
        if set.size.is_some() { Depth::Sent } else { Depth::Itself }
    }
}

/// What is to be compared where it is not known how far `record` was done.
pub fn concerned(record: &Record) -> Vec<(&VPath, Depth)> {
    match record {
        Record::Change(change) => match change {
            Change::Rename { from, to, .. } => vec![(from, Depth::Contents), (to, Depth::Contents)],
            Change::Link { to, .. } => vec![(to, Depth::Contents)],
            Change::Remove { path, .. } => vec![(path, Depth::Contents)],
            Change::SetAttr { path, set, .. } => vec![(path, Depth::of_attributes(set))],
            Change::MakeDir { path, .. }
            | Change::MakeNode { path, .. }
            | Change::Symlink { path, .. }
            | Change::SetNamed { path, .. } => vec![(path, Depth::Itself)],
        },
        Record::SetAttr { path, set } => vec![(path, Depth::of_attributes(set))],
        Record::Create { path } | Record::Write { path, .. } | Record::Zero { path, .. } => {
            vec![(path, Depth::Sent)]
        }
        Record::Cut { path, .. } => vec![(path, Depth::Itself)],
        Record::Unknown { below } => vec![(below, Depth::Metadata)],
        Record::Restart => Vec::new(),
    }
}

/// Trees to be compared, none of which is covered by another.
#[derive(Default, Debug)]
pub struct Trees(BTreeMap<VPath, Depth>);

/// More trees than these are one.
const TREES_MAX: usize = 10_000;

impl Trees {
    pub fn add(&mut self, path: &VPath, depth: Depth) {
        let covers = |above: VPath| match self.0.get(&above) {
            Some(Depth::Contents) => true,
            Some(Depth::Metadata) => depth <= Depth::Metadata,
            Some(Depth::Itself | Depth::Sent) | None => false,
        };
        if std::iter::successors(path.parent(), VPath::parent).any(covers) {
            return;
        }
        let known = self.0.entry(path.clone()).or_insert(depth);
        *known = depth.max(*known);
        if self.0.len() > TREES_MAX {
            self.0 = BTreeMap::from([(VPath::root(), Depth::Contents)]);
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order in which they are to be compared: what is above comes first.
    pub fn take(self) -> Vec<(VPath, Depth)> {
        self.0.into_iter().collect()
    }
}

//! The time of the last write, where it is not to follow the writes (MS-FSA 2.1.5.15.2, UserSetModificationTime).
//!
//! Who sets that time through an open, or asks that it be left alone, does not want it moved by what he writes there. The
//! origin moves it all the same. So the one from before is kept here, shown instead of the origin's, and set again at the
//! origin when the open is flushed and when it ends. What is written through other opens moves it, and then theirs is kept.
//! What others write at the origin meanwhile cannot be told from our own writes: their time is lost.
//!
//! Of a stream nothing is kept: its content moves no time of the file.

use crate::Result;
use crate::registry::Node;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use volume::{Attr, Cx, File, Fresh, SetAttr, Time};

/// Of one file.
#[derive(Debug, Default)]
pub(crate) struct WriteTime {
    /// Opens that keep it, or did; lets others write without the mutex while zero.
    keepers: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the origin's stands for, since somebody who keeps it has written.
    kept: Option<Time>,
    /// How often it has been moved by who may.
    moves: u64,
}

impl WriteTime {
    /// What is to be shown instead of the origin's.
    pub(crate) fn kept(&self) -> Option<Time> {
        match self.keepers.load(Ordering::Acquire) {
            0 => None,
            _ => self.state.lock().kept,
        }
    }

    /// Somebody writes who does not keep it: the origin's counts again.
    pub(crate) fn moves(&self) {
        if self.keepers.load(Ordering::Acquire) > 0 {
            let mut state = self.state.lock();
            (state.kept, state.moves) = (None, state.moves + 1);
        }
    }

    /// It was set at the origin.
    fn was_set(&self, time: Time) {
        let mut state = self.state.lock();
        (state.kept, state.moves) = (state.kept.map(|_| time), state.moves + 1);
    }

    fn left(&self) {
        if self.keepers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.state.lock().kept = None;
        }
    }
}

/// What one open does with it.
#[derive(Debug)]
pub(crate) struct Keeping {
    node: Arc<Node>,
    keeps: AtomicBool,
    /// It counts among those that keep it.
    counted: AtomicBool,
    /// It has written while it kept it.
    written: AtomicBool,
}

impl Keeping {
    pub(crate) fn new(node: &Arc<Node>) -> Arc<Keeping> {
        let [keeps, counted, written] = [(); 3].map(|()| AtomicBool::new(false));
        Arc::new(Keeping { node: node.clone(), keeps, counted, written })
    }

    /// From now on its writes leave the time alone, or move it. Returns what was before.
    pub(crate) fn set(&self, keeps: bool) -> bool {
        if keeps && !self.counted.swap(true, Ordering::AcqRel) {
            self.node.write_time.keepers.fetch_add(1, Ordering::AcqRel);
        }
        self.keeps.swap(keeps, Ordering::AcqRel)
    }

    pub(crate) fn keeps(&self) -> bool {
        self.keeps.load(Ordering::Acquire)
    }

    /// It has set the time.
    pub(crate) fn has_set(&self, time: Time) {
        self.node.write_time.was_set(time);
    }

    /// Before a change of content: looks at the time that is to stay.
    pub(crate) async fn before_writing(&self, cx: &Cx, file: &dyn File) -> Result<()> {
        if !self.keeps() {
            return Ok(());
        }
        loop {
            let moves = {
                let state = self.node.write_time.state.lock();
                if state.kept.is_some() {
                    break;
                }
                state.moves
            };
            let time = file.attr(cx, Fresh::Cached).await?.mtime;
            let mut state = self.node.write_time.state.lock();
            if state.moves == moves {
                state.kept.get_or_insert(time);
                break;
            }
        }
        self.written.store(true, Ordering::Release);
        Ok(())
    }

    /// A change of content begins or has ended.
    pub(crate) fn writes(&self) {
        if !self.keeps() {
            self.node.write_time.moves();
        }
    }

    /// What is to be set at the origin, which its writes have moved.
    pub(crate) fn is_due(&self) -> Option<Time> {
        if self.written.load(Ordering::Acquire) { self.node.write_time.kept() } else { None }
    }

    /// Sets the time at the origin, if it is due; what the file is like then.
    pub(crate) async fn settle(&self, cx: &Cx, file: &dyn File) -> volume::Result<Option<Attr>> {
        let Some(time) = self.is_due() else { return Ok(None) };
        file.set_attr(cx, &SetAttr { mtime: Some(time), ..SetAttr::default() }).await.map(Some)
    }

    /// The open has ended.
    pub(crate) fn leave(&self) {
        if self.counted.swap(false, Ordering::AcqRel) {
            self.node.write_time.left();
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.leave();
    }
}

//! The time of the last write, where it is not to follow the writes (MS-FSA 2.1.5.15.2, UserSetModificationTime).
//!
//! Who sets that time through an open, or asks that it be left alone, does not want it moved by what he writes there. The
//! origin moves it all the same. So the one from before is kept here, shown instead of the origin's, and set again at the
//! origin when the open is flushed and when it ends. Then the origin's counts again, until the next write through such an
//! open. What is written through other opens moves it, and then theirs is kept. What others write at the origin between
//! a write and its FLUSH or CLOSE cannot be told from our own writes: their time is lost.
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
    /// What it was last set to at the origin, until somebody moves it or looks at it there. A write of who keeps it, one
    /// that was under way meanwhile, may move it after that.
    set: Option<Time>,
    /// How often it has been moved by who may, or set.
    moves: u64,
    /// How often a write of who keeps it has begun or ended.
    writes: u64,
}

/// What is to be set at the origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub time: Time,
    /// [`State::writes`] when it was found.
    writes: u64,
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
            (state.kept, state.set, state.moves) = (None, None, state.moves + 1);
        }
    }

    /// A write of who keeps it begins or has ended.
    fn stays(&self) {
        let mut state = self.state.lock();
        state.writes += 1;
        if state.kept.is_none() {
            state.kept = state.set.take();
        }
    }

    /// It was set at the origin.
    fn was_set(&self, time: Time) {
        let mut state = self.state.lock();
        (state.kept, state.set, state.moves) = (state.kept.map(|_| time), Some(time), state.moves + 1);
    }

    /// What was due was set. That is all, unless it is another by now, or one of those who keep it has written meanwhile.
    fn has_settled(&self, due: Due, written: &AtomicBool) {
        let mut state = self.state.lock();
        if state.kept == Some(due.time) && state.writes == due.writes {
            (state.kept, state.set, state.moves) = (None, Some(due.time), state.moves + 1);
            written.store(false, Ordering::Release);
        }
    }

    fn left(&self) {
        if self.keepers.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut state = self.state.lock();
            (state.kept, state.set) = (None, None);
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
        let state = &self.node.write_time.state;
        let moves = {
            let state = state.lock();
            state.kept.is_none().then_some(state.moves)
        };
        if let Some(moves) = moves {
            let time = file.attr(cx, Fresh::Cached).await?.mtime;
            let mut state = state.lock();
            // Once: who writes all the time would keep this write from ever beginning. What was moved meanwhile is moving
            // just now, and nothing is kept of it.
            if state.moves == moves {
                state.kept.get_or_insert(time);
                state.set = None;
            }
        }
        self.written.store(true, Ordering::Release);
        Ok(())
    }

    /// A change of content begins or has ended.
    pub(crate) fn writes(&self) {
        if self.keeps() {
            self.node.write_time.stays();
            self.written.store(true, Ordering::Release);
        } else {
            self.node.write_time.moves();
        }
    }

    /// What is to be set at the origin, which its writes have moved.
    pub(crate) fn due(&self) -> Option<Due> {
        if !self.written.load(Ordering::Acquire) {
            return None;
        }
        let state = self.node.write_time.state.lock();
        state.kept.map(|time| Due { time, writes: state.writes })
    }

    /// Sets the time at the origin, if it is due; what the file is like then.
    pub(crate) async fn settle(&self, cx: &Cx, file: &dyn File) -> volume::Result<Option<Attr>> {
        let Some(due) = self.due() else { return Ok(None) };
        let attr = file.set_attr(cx, &SetAttr { mtime: Some(due.time), ..SetAttr::default() }).await?;
        self.has_settled(due);
        Ok(Some(attr))
    }

    /// What was due was set. What is written from now on, or lands only now, makes it due again.
    pub(crate) fn has_settled(&self, due: Due) {
        self.node.write_time.has_settled(due, &self.written);
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

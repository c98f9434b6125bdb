//! Who has how much, counted: a walk through the tree beside the work.
//!
//! Each file with a descriptor is looked at under its lock, unless a change was there first; see `ledger.rs` for why
//! that is exact. A file without one counts for nobody: who gives it an owner finds it not counted yet, and counts it.
//!
//! **Names that move.** What was renamed or got a further name is looked for at its new place as well, so nothing slips
//! from where the walk has not been yet to where it has been. The walk does not end while something is on the move.
//! Where a name has gone the walk passes on: who took it away told where to, or counted it.
//!
//! What cannot be looked at is tried again, then left out, with a warning and a doubt.

use crate::config::{COUNTING_AT_ONCE, COUNTING_PAUSE, COUNTING_TRIES};
use crate::core::{Core, is_elsewhere};
use crate::ledger::{Charge, Ledger};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;
use volume::{Attr, Carries, Cx, Entry, ListHow, Priority, Result, VPath};

/// Where the count has yet to look.
#[derive(Default)]
pub(crate) struct Places {
    state: Mutex<State>,
    turned: Notify,
}

#[derive(Default)]
struct State {
    /// The last first: so there are never more than those beside the way from the root.
    queue: Vec<VPath>,
    /// Places that are being looked at, and names that are on the move.
    busy: usize,
    moving: usize,
}

/// A name is on the move.
pub(crate) struct Moving<'a>(&'a Places);

impl Places {
    pub(crate) fn moving(&self) -> Moving<'_> {
        self.state.lock().moving += 1;
        Moving(self)
    }

    fn push(&self, path: VPath) {
        self.state.lock().queue.push(path);
        self.turned.notify_waiters();
    }

    /// The next place; `None` when all was looked at.
    async fn next(&self) -> Option<VPath> {
        loop {
            let turned = self.turned.notified();
            tokio::pin!(turned);
            turned.as_mut().enable();
            {
                let mut state = self.state.lock();
                if let Some(path) = state.queue.pop() {
                    state.busy += 1;
                    return Some(path);
                }
                if state.busy + state.moving == 0 {
                    return None;
                }
            }
            turned.await;
        }
    }

    fn looked(&self) {
        self.state.lock().busy -= 1;
        self.turned.notify_waiters();
    }
}

impl Moving<'_> {
    /// It may be there now.
    pub(crate) fn to(self, ledger: &Ledger, path: &VPath) {
        if ledger.counting().is_some() {
            self.0.push(path.clone());
        }
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.state.lock().moving -= 1;
        self.0.turned.notify_waiters();
    }
}

/// One walk.
struct Walk<'a> {
    core: &'a Core,
    number: u64,
    left_out: AtomicU64,
}

/// Counts all, as count `number`.
pub(crate) async fn count(core: &Core, number: u64) {
    let walk = Walk { core, number, left_out: AtomicU64::new(0) };
    for charged in core.table.held() {
        charged.lock_in_background().await.count_unlinked();
    }
    core.places.push(VPath::root());
    let one = || async {
        while let Some(path) = core.places.next().await {
            if core.ledger.counting() == Some(number) {
                walk.look(&path).await;
            }
            core.places.looked();
        }
    };
    stream::iter(0..COUNTING_AT_ONCE).for_each_concurrent(COUNTING_AT_ONCE, |_| one()).await;
    match walk.left_out.load(Ordering::Relaxed) {
        0 => {}
        left_out => {
            tracing::warn!(left_out, "places could not be counted for quotas");
            core.ledger.doubt();
        }
    }
    core.ledger.end(number);
}

fn cx() -> Cx {
    Cx::system(Priority::Background)
}

impl Walk<'_> {
    /// What a call answers; `None` where there is nothing any more, or nobody can tell.
    async fn ask<T, F: Future<Output = Result<T>>>(&self, path: &VPath, call: impl Fn() -> F) -> Option<T> {
        for left in (0..COUNTING_TRIES).rev() {
            match call().await {
                Ok(answer) => return Some(answer),
                Err(e) if is_elsewhere(&e) => return None,
                Err(e) if left == 0 => {
                    tracing::debug!("{path} is not counted for quotas: {e}");
                    self.left_out.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => tokio::time::sleep(COUNTING_PAUSE).await,
            }
        }
        None
    }

    async fn look(&self, path: &VPath) {
        let Some(attr) = self.ask(path, || async { self.core.inner.stat(&cx(), path).await }).await else {
            return;
        };
        if !attr.is_dir() {
            return self.file(path, &attr).await;
        }
        let mut cursor = None;
        loop {
            let how = ListHow { cursor: cursor.take(), ahead: 0 };
            let page = || async { self.core.inner.list(&cx(), path, how.clone()).await };
            let Some(page) = self.ask(path, page).await else { return };
            for entry in &page.entries {
                self.entry(path, entry).await;
            }
            cursor = page.next;
            if cursor.is_none() || self.core.ledger.counting() != Some(self.number) {
                return;
            }
        }
    }

    async fn entry(&self, dir: &VPath, entry: &Entry) {
        // A path that is too long can be asked for by nobody.
        let Ok(path) = dir.join(&entry.name) else { return };
        match entry.attr.is_dir() {
            true => self.core.places.push(path),
            false => self.file(&path, &entry.attr).await,
        }
    }

    /// Counts a file, of which this was told a moment ago.
    async fn file(&self, path: &VPath, told: &Attr) {
        let core = self.core;
        if !told.is_file() || !told.carries.contains(Carries::DESCRIPTOR) || !core.ledger.is_to_count(told.id)
        {
            return;
        }
        let mut file = core.table.acquire(told.id).lock_in_background().await;
        let look = || async {
            let attr = core.inner.stat(&cx(), path).await?;
            let owner = if attr.id == told.id { core.owner(&cx(), path, &attr).await? } else { None };
            Ok((attr, owner))
        };
        if let Some((attr, owner)) = self.ask(path, look).await
            && attr.id == told.id
        {
            file.begins_anew();
            file.settle(Charge { owner, size: attr.size });
        }
    }
}

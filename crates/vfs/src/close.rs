//! The end of an open, and the removal of names that go with it.
//!
//! [`end`] is the one way out of the registry. The order matters: what the open still has on its way to the volume
//! lands first (`landing`), then locks go (others may go on), then the volume's file (so that the next opener finds what was written), then the share mode, then the name.
//!
//! Who unlinks as POSIX has it takes the name along though there are other opens: a [`volume::File`] lives through that.
//! They stand nowhere from then on, and nothing that is done by a name is done through them: another file may have it.

use crate::Carry;
use crate::accounts::Account;
use crate::caching::{Contest, LeaseId};
use crate::contend::Breaking;
use crate::core::{Core, HeldPlace, Sealed};
use crate::landing::Landings;
use crate::notify::{Filter, Watcher};
use crate::open::{Open, OpenKey};
use crate::registry::{Node, Removal};
use crate::write_time::Keeping;
use crate::{DeleteHow, Error, Result, streams};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use volume::{Attr, Change, Close, Cx, DosAttributes, ErrorKind, FileId, ListHow, Priority, VPath};

/// How long a directory that is to be doomed waits until nobody works below it, and until names there have gone that are
/// to go: who has kept one open for a cache alone closes it just then.
const SEAL_PATIENCE: Duration = Duration::from_secs(1);

/// An open that was closed and is yet to be ended.
pub(crate) struct Ended {
    pub core: Arc<Core>,
    pub node: Arc<Node>,
    pub key: OpenKey,
    pub account: Arc<Account>,
    pub file: Option<Arc<dyn volume::File>>,
    pub watcher: Option<Arc<Watcher>>,
    pub written: bool,
    /// It might have written.
    pub writes: bool,
    /// Of a stream: the open of what carries it, which ends after it.
    pub base: Option<Arc<Open>>,
    pub landings: Arc<Landings>,
    pub keeping: Arc<Keeping>,
}

pub(crate) async fn end(mut ended: Ended, cx: Cx) -> Result<Option<Attr>> {
    let base = ended.base.take();
    let answer = end_one(ended, &cx).await;
    match base.and_then(|base| base.end()) {
        // Of two errors the first is told.
        Some(base) => end_one(base, &cx).await.and(answer),
        None => answer,
    }
}

async fn end_one(ended: Ended, cx: &Cx) -> Result<Option<Attr>> {
    let Ended { core, node, key, account, file, watcher, written, writes, base: _, landings, keeping } =
        ended;
    if let Some(watcher) = &watcher {
        core.hub.remove(watcher);
    }
    landings.all_landed().await;
    node.locks.release(&account, key.id);
    let place = core.place_if_named(key)?;
    let closed = match (file, place) {
        (Some(file), Some(place)) => {
            close_file(&core, cx, (key, &node, &keeping), &*file, place, (written, writes)).await.map(Some)
        }
        (Some(file), None) => {
            settle_write_time(&keeping, cx, key, &*file).await;
            file.close(cx, Close::Commit).await.map(Some)
        }
        (None, _) => Ok(None),
    };
    keeping.leave();
    let (remove, doomed, others_told) = core.decide(|registry, told| {
        let record = registry.record(key.file, key.id);
        let dooms = record.is_some_and(|record| record.delete_on_close);
        let path = record.filter(|record| !record.unnamed).map(|record| record.path.clone());
        if dooms {
            registry.contend_doom(key.file, key.id, told);
        }
        let others_told = !told.is_empty();
        let removal = registry.leave(key.file, key.id);
        (removal, path.filter(|path| registry.is_doomed(key.file, path)), others_told)
    });
    if others_told {
        // Who was told hears of it before who closes hears that it is done.
        tokio::task::yield_now().await;
    }
    if let Some(dir) = doomed.filter(|_| key.is_dir()) {
        core.hub.delete_pending(&dir);
    }
    let removed = match remove {
        Some(removal) => remove_name(&core, cx, key.file, removal).await,
        None => Ok(false),
    };
    match (closed, removed) {
        (Ok(attr), removed) => removed.map(|gone| attr.filter(|_| !gone)),
        (Err(error), removed) => {
            if let Err(error) = removed {
                tracing::warn!(open = key.id.0, %error, "removing a name, after closing failed");
            }
            Err(error.into())
        }
    }
}

/// The time of the last write is to be as it was kept. Whether it had to be set.
async fn settle_write_time(keeping: &Keeping, cx: &Cx, key: OpenKey, file: &dyn volume::File) -> bool {
    match keeping.settle(cx, file).await {
        Ok(set) => set.is_some(),
        // What was written is there all the same.
        Err(error) => {
            tracing::warn!(open = key.id.0, %error, "a write time cannot be set to what it was to stay");
            false
        }
    }
}

/// Closes the volume's file of an open, and tells of what was written.
async fn close_file(
    core: &Arc<Core>,
    cx: &Cx,
    (key, node, keeping): (OpenKey, &Node, &Keeping),
    file: &dyn volume::File,
    (path, parent_lease): (VPath, Option<LeaseId>),
    (written, writes): (bool, bool),
) -> volume::Result<Attr> {
    let changing = core.changing(&[&path]);
    let dated = settle_write_time(keeping, cx, key, file).await.then_some(key.id);
    let closed = file.close(cx, Close::Commit).await;
    // Of a stream each change was told as it was made.
    if core.registry.lock().streams.is_stream(key.file) {
        return closed;
    }
    let what = Filter::SIZE | Filter::LAST_WRITE | Filter::ATTRIBUTES;
    match &closed {
        Ok(attr) if written || dated.is_some() => {
            core.modified(changing.began, &path, attr, what, dated, parent_lease);
        }
        Ok(attr) if writes => core.closed_unwritten(node, changing.began, &path, attr),
        // What came of it nobody knows, its client neither.
        Err(_) if written => core.shown_differently(&path, what, None),
        Ok(_) | Err(_) => {}
    }
    closed
}

/// Ends an open that was dropped.
pub(crate) fn end_later(ended: Ended) {
    let key = ended.key;
    drop(Carry::new(async move {
        if let Err(error) = end(ended, Cx::system(Priority::Interactive)).await {
            tracing::warn!(open = key.id.0, %error, "closing a dropped open");
        }
    }));
}

/// Removes a doomed name that nobody waits for.
pub(crate) fn remove_later(core: &Arc<Core>, file: FileId, removal: Removal) {
    let core = core.clone();
    drop(Carry::new(async move {
        let cx = Cx::system(Priority::Interactive);
        if let Err(error) = remove_name(&core, &cx, file, removal).await {
            tracing::warn!(open = removal.doomed_by.0, %error, "removing a name after its last open");
        }
    }));
}

/// Removes a doomed name at the volume. False when it stays: the directory has been filled meanwhile, or the
/// name stands for another file by now.
async fn remove_name(core: &Arc<Core>, cx: &Cx, file: FileId, removal: Removal) -> Result<bool> {
    let removed = remove_where_it_is(core, cx, file, removal).await;
    core.registry.lock().removed(file, removal.doomed_by);
    core.settled.notify_waiters();
    removed
}

/// The name goes where a directory above moves, until it is held, and where others move that at the origin.
async fn remove_where_it_is(core: &Arc<Core>, cx: &Cx, file: FileId, removal: Removal) -> Result<bool> {
    let stands_at = || core.registry.lock().doomed_at(file, removal.doomed_by);
    while let Some(path) = stands_at() {
        let _held = (core.enter(cx, &path).await?, core.hold(cx, &path, true).await?);
        if stands_at().as_ref() != Some(&path) {
            continue;
        }
        let stream = core.registry.lock().streams.with_base(file);
        let removed = match stream {
            Some((base, stream)) => streams::remove(core, cx, &stream, base, &path).await,
            None => try_remove(core, cx, file, &path, removal.parent_lease).await,
        };
        if removed.is_err() || stands_at().is_none_or(|now| now == path) {
            return removed;
        }
    }
    Ok(false)
}

async fn try_remove(
    core: &Arc<Core>,
    cx: &Cx,
    file: FileId,
    path: &VPath,
    parent_lease: Option<LeaseId>,
) -> Result<bool> {
    let _changing = core.changing(&[path]);
    // The name itself says whether it is a directory: a link to one is none.
    let attr = match core.volume.stat(cx, path).await {
        Ok(attr) => attr,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    let change = Change::Remove { path: path.clone(), dir: attr.is_dir(), expect: Some(file) };
    match core.volume.apply(cx, &change).await {
        Ok(_) => {
            core.registry.lock().lost_name(file, path);
            core.gone(path, attr.is_dir(), parent_lease);
            Ok(true)
        }
        Err(error) => match error.kind {
            ErrorKind::NotFound => Ok(true),
            // As on Windows: what came into the directory since it was doomed saves it.
            ErrorKind::DirectoryNotEmpty | ErrorKind::Stale => {
                tracing::debug!(%path, %error, "a doomed name stays");
                Ok(false)
            }
            _ => Err(error.into()),
        },
    }
}

/// Whether the name of an open may be doomed, if it is of a directory that is empty.
async fn check_removable(open: &Open, cx: &Cx, how: DeleteHow) -> Result<()> {
    if open.core.caps.read_only {
        return Err(Error::ReadOnly);
    }
    let path = open.named_path()?;
    if path.is_root() && open.stream.is_none() {
        return Err(Error::CannotDelete);
    }
    if !how.ignore_readonly && open.attr(cx).await?.dos.contains(DosAttributes::READONLY) {
        return Err(Error::CannotDelete);
    }
    Ok(())
}

/// Marks the name of an open to go away with its last open, or with itself.
pub(crate) async fn doom(open: &Open, cx: &Cx, how: DeleteHow) -> Result<()> {
    let (core, key) = (&open.core, open.key);
    loop {
        check_removable(open, cx, how).await?;
        let held = match key.is_dir() {
            true => Some(hold_empty(core, cx, key).await?),
            false => None,
        };
        if how.on_close {
            core.registry.lock().set_on_close(key.file, key.id, true, how.posix);
            return Ok(());
        }
        // Who only keeps it open for a cache may close it first (MS-FSA 2.1.5.15.3).
        let waits = core.decide(|r, told| r.contend(key.file, Some(key.id), Contest::Handle, told));
        let Some(node) = waits else { return open.doom(how) };
        drop(held);
        Breaking::new(core, node, key.file).settled(cx).await?;
    }
}

/// Holds the directory that is open, which is empty: sealed, but where others work below it without pause. Those may be
/// many who only look, and what they make saves it. One in which there are names that are on their way out is empty soon.
async fn hold_empty(core: &Arc<Core>, cx: &Cx, key: OpenKey) -> Result<(Option<Sealed>, HeldPlace)> {
    let until = Instant::now() + SEAL_PATIENCE;
    loop {
        let held = core.hold_place(cx, key, false).await?;
        let sealed = Sealed::new(core, &held.entered, &held.path);
        let is_going = || core.registry.lock().is_going_below(&held.path);
        let was_going = is_going();
        let late = Instant::now() >= until;
        match check_empty(core, cx, &held.path).await {
            Err(Error::DirectoryNotEmpty) if !late && (was_going || is_going()) => {}
            Ok(()) if sealed.is_none() && !late => {}
            checked => return checked.map(|()| (sealed, held)),
        }
        let dir = held.path.clone();
        drop((sealed, held));
        if let Ok(nothing) = timeout_at(until, core.nothing_goes_below(cx, &dir)).await {
            nothing?;
        }
    }
}

async fn check_empty(core: &Core, cx: &Cx, dir: &VPath) -> Result<()> {
    let mut how = ListHow::default();
    loop {
        let page = core.volume.list(cx, dir, how.clone()).await?;
        match (page.entries.is_empty(), page.next) {
            (false, _) => return Err(Error::DirectoryNotEmpty),
            (true, None) => return Ok(()),
            (true, Some(next)) => how.cursor = Some(next),
        }
    }
}

//! Listing a directory: OPENDIR, READDIRs until there are enough names, CLOSE.
//!
//! Where a directory is longer than a page its handle rests until the next page is asked for: a cursor is the number of a
//! resting handle, good for one use. When too many rest the oldest is closed, and its listing must begin again.

use crate::attr;
use crate::core::Core;
use crate::error::{Outcome, Trouble};
use crate::judge::{About, judge};
use crate::names::listed;
use crate::session::Session;
use crate::wire::{NameEntry, Request};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use volume::{Attr, Entry, ErrorKind, Kind, Listing, VPath};

/// Names of a page; the answers that are under way may make it some more.
const PAGE_ENTRIES: usize = 4096;
/// READDIRs that are asked at once. OpenSSH gives a hundred names for each.
const READS_AT_ONCE: usize = 4;
/// Directories that wait for their next page.
const RESTING_MAX: usize = 64;

/// Handles of directories that are not at their end.
#[derive(Default)]
pub(crate) struct Resting(Mutex<Table>);

#[derive(Default)]
struct Table {
    next: u64,
    handles: BTreeMap<u64, OpenDir>,
}

struct OpenDir {
    session: Arc<Session>,
    handle: Bytes,
    dir: VPath,
}

/// However it ends.
impl Drop for OpenDir {
    fn drop(&mut self) {
        self.session.close(self.handle.clone());
    }
}

impl Resting {
    /// Keeps a directory; the cursor that takes it out again.
    fn put(&self, dir: OpenDir) -> Bytes {
        let mut table = self.0.lock();
        let number = table.next;
        table.next += 1;
        if table.handles.len() >= RESTING_MAX {
            table.handles.pop_first();
        }
        table.handles.insert(number, dir);
        Bytes::copy_from_slice(&number.to_be_bytes())
    }

    fn take(&self, cursor: &Bytes, dir: &VPath) -> Option<OpenDir> {
        let number = u64::from_be_bytes(cursor.as_ref().try_into().ok()?);
        self.0.lock().handles.remove(&number).filter(|open| open.dir == *dir)
    }
}

pub(crate) async fn begin(core: &Core, dir: &VPath) -> Outcome<Listing> {
    let wire = core.path(dir)?;
    // A link is not looked into; the server would.
    let (session, looking) = core.begin(Request::LStat { path: wire.clone() })?;
    let opening = session.push(Request::OpenDir { path: wire.clone() });
    let opened = opening.answer().await.and_then(|answer| answer.handle());
    let open = opened.map(|handle| OpenDir { session: session.clone(), handle, dir: dir.clone() });
    let found = attr::told(attr::id(dir), &looking.answer().await?.attrs()?);
    match found.kind {
        Kind::Dir => {}
        Kind::Symlink => return Err(ErrorKind::Loop.into()),
        Kind::File | Kind::Special(_) => return Err(ErrorKind::NotADirectory.into()),
    }
    match open {
        Ok(open) => page(core, open, Some(found)).await,
        Err(why) => Err(judge(&session, why, About::List(&wire)).await),
    }
}

pub(crate) async fn go_on(core: &Core, dir: &VPath, cursor: &Bytes) -> Outcome<Listing> {
    let open = core.resting.take(cursor, dir).ok_or(Trouble::Here(ErrorKind::Stale))?;
    page(core, open, None).await
}

async fn page(core: &Core, open: OpenDir, found: Option<Attr>) -> Outcome<Listing> {
    let mut listing = Listing { dir: found, ..Listing::default() };
    let mut ended = false;
    while !ended && listing.entries.len() < PAGE_ENTRIES {
        let reads =
            [(); READS_AT_ONCE].map(|()| open.session.push(Request::ReadDir { handle: open.handle.clone() }));
        for read in reads {
            match read.answer().await?.names()? {
                Some(names) => listing.entries.extend(names.iter().filter_map(|name| entry(&open.dir, name))),
                None => ended = true,
            }
        }
    }
    if !ended {
        listing.next = Some(core.resting.put(open));
    }
    Ok(listing)
}

fn entry(dir: &VPath, told: &NameEntry) -> Option<Entry> {
    let name = listed(&told.name)?;
    let path = dir.join(&name).ok()?;
    Some(Entry { attr: attr::told(attr::id(&path), &told.attrs), name: name.into() })
}

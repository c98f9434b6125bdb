//! Names: attributes, listings and changes of the namespace, through what is known in memory.

use crate::blocks::{OwnChange, Place, Sets, Source};
use crate::cache::Cache;
use crate::meta::tree::{Lookup, Page, Stamp};
use crate::origin::is_out_of_reach;
use crate::{DIRECTORY_ENTRIES_MAX, LIST_AHEAD_ENTRIES, LIST_PAGE_ENTRIES};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;
use volume::{Applied, Attr, Change, Cx, Entry, Error, ErrorKind, ListHow, Listing, Result, VPath};

/// Kinds of cursor: behind a name of a listing in memory, or the origin's own.
const BEHIND_NAME: u8 = b'n';
const OF_ORIGIN: u8 = b'o';

/// A listing from the origin.
enum Fetched {
    Whole(Vec<Entry>),
    /// Too large to be kept: its first page, to be passed on.
    TooLarge(Listing),
}

impl Cache {
    /// The attributes of a name, as fresh as promised.
    pub(crate) async fn attr(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        self.attr_and_when(cx, path).await.map(|(attr, _)| attr)
    }

    /// The same, and when they were asked for or told, on the tree's clock.
    pub(crate) async fn attr_and_when(&self, cx: &Cx, path: &VPath) -> Result<(Attr, u64)> {
        let (promise, now) = (self.promise(), self.now_ms());
        let (found, clock) = {
            let mut tree = self.tree.lock();
            (tree.lookup(path, promise, now), tree.peek_when(path).map_or(0, |(_, clock)| clock))
        };
        let known = match found {
            Lookup::Believed(attr) => {
                self.counters.meta_hits.add(1);
                return Ok((attr, clock));
            }
            Lookup::Absent => {
                self.counters.meta_hits.add(1);
                return Err(Error::new(ErrorKind::NotFound, "stat", path));
            }
            Lookup::Doubtful(attr) => Some(attr),
            Lookup::Unknown => None,
        };
        match known {
            Some(attr) if self.is_offline() => Ok((attr, clock)),
            known => {
                let asked = self.ask();
                match (self.ask_attr(cx, path, asked).await, known) {
                    (Err(e), Some(attr)) if is_out_of_reach(&e) => Ok((attr, clock)),
                    (answer, _) => answer.map(|attr| (attr, asked.clock)),
                }
            }
        }
    }

    /// The attributes of a name, asked of the origin.
    pub(crate) async fn ask_attr(&self, cx: &Cx, path: &VPath, asked: Stamp) -> Result<Attr> {
        self.counters.meta_misses.add(1);
        let cx = self.origin.patient(cx);
        let answer = self.origin.call(&cx, "stat", self.origin.inner().stat(&cx, path)).await;
        match &answer {
            Ok(attr) => self.learn(path, *attr, asked),
            Err(e) if e.kind == ErrorKind::NotFound => self.tree.lock().learn_absent(path, asked),
            Err(_) => {}
        }
        answer
    }

    pub(crate) async fn list(self: &Arc<Self>, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        let after = match &how.cursor {
            None => None,
            Some(cursor) => match cursor.split_first() {
                Some((&BEHIND_NAME, name)) => match std::str::from_utf8(name) {
                    Ok(name) => Some(name.to_owned()),
                    Err(_) => return Err(Error::new(ErrorKind::InvalidArgument, "list", dir)),
                },
                Some((&OF_ORIGIN, _)) => return self.list_at_origin(cx, dir, Some(cursor.slice(1..))).await,
                Some(_) | None => return Err(Error::new(ErrorKind::InvalidArgument, "list", dir)),
            },
        };
        let walks = after.is_none() && self.walk.lock().on_list(dir, Instant::now());
        let listing = self.list_from(cx, dir, after.as_deref()).await;
        if walks && listing.is_ok() {
            self.list_further(dir);
        }
        listing
    }

    async fn list_from(self: &Arc<Self>, cx: &Cx, dir: &VPath, after: Option<&str>) -> Result<Listing> {
        let known = self.page(dir, after);
        match known {
            // A listing that was begun is gone on with, also when something changed meanwhile.
            Some(page) if page.believed || self.is_offline() || after.is_some() => {
                self.counters.meta_hits.add(1);
                Ok(self.as_listing(dir, page))
            }
            known => match (self.fetch_listing(cx, dir).await, known) {
                (Ok(Fetched::Whole(entries)), _) => Ok(self.first_page(dir, entries, after)),
                (Ok(Fetched::TooLarge(page)), _) => Ok(page),
                (Err(e), Some(page)) if is_out_of_reach(&e) => Ok(self.as_listing(dir, page)),
                (Err(e), _) => Err(e),
            },
        }
    }

    fn page(&self, dir: &VPath, after: Option<&str>) -> Option<Page> {
        let (promise, now) = (self.promise(), self.now_ms());
        self.tree.lock().page(dir, after, LIST_PAGE_ENTRIES, promise, now)
    }

    fn as_listing(&self, dir: &VPath, page: Page) -> Listing {
        let next = page.next.map(|name| cursor(BEHIND_NAME, name.as_bytes()));
        let attr = self.tree.lock().peek(dir).copied();
        Listing { entries: page.entries, next, dir: attr, ahead: Vec::new() }
    }

    fn first_page(&self, dir: &VPath, mut entries: Vec<Entry>, after: Option<&str>) -> Listing {
        if let Some(after) = after {
            entries.retain(|entry| &*entry.name > after);
        }
        let more = entries.len() > LIST_PAGE_ENTRIES;
        entries.truncate(LIST_PAGE_ENTRIES);
        let next = entries.last().filter(|_| more).map(|entry| entry.name.clone());
        self.as_listing(dir, Page { entries, next, believed: true })
    }

    /// Has a listing at hand: one request for all who want the same. Nothing to do when it is believed.
    pub(crate) async fn have_listing(&self, cx: &Cx, dir: &VPath) -> Result<()> {
        self.fetch_listing(cx, dir).await.map(|_| ())
    }

    async fn fetch_listing(&self, cx: &Cx, dir: &VPath) -> Result<Fetched> {
        let turn = self.listing.lock().entry(dir.clone()).or_default().clone();
        let held = turn.lock().await;
        let fetched = match self.page(dir, None) {
            // Somebody else fetched it while this call waited.
            Some(page) if page.believed && page.next.is_none() => Ok(Fetched::Whole(page.entries)),
            Some(_) | None => self.fetch_whole(cx, dir).await,
        };
        drop(held);
        let mut listing = self.listing.lock();
        // Two: the table's and ours. Who waits holds another.
        if Arc::strong_count(&turn) <= 2 {
            listing.remove(dir);
        }
        fetched
    }

    async fn fetch_whole(&self, cx: &Cx, dir: &VPath) -> Result<Fetched> {
        self.counters.meta_misses.add(1);
        let asked = self.ask();
        let (mut entries, mut attr) = (Vec::new(), None);
        let mut how = ListHow { cursor: None, ahead: LIST_AHEAD_ENTRIES };
        loop {
            let cx = self.origin.patient(cx);
            let first = how.cursor.is_none();
            let answer = self.origin.call(&cx, "list", self.origin.inner().list(&cx, dir, how)).await;
            let mut page = answer.inspect_err(|e| {
                if e.kind == ErrorKind::NotFound {
                    self.tree.lock().learn_absent(dir, asked);
                }
            })?;
            for directory in std::mem::take(&mut page.ahead) {
                self.observe_all(&directory.entries, asked.clock);
                self.tree.lock().learn_ahead(directory, asked);
            }
            attr = attr.or(page.dir);
            if first && page.next.is_some() && page.entries.len() > DIRECTORY_ENTRIES_MAX {
                return Ok(Fetched::TooLarge(of_origin(page)));
            }
            entries.append(&mut page.entries);
            if entries.len() > DIRECTORY_ENTRIES_MAX {
                return Ok(Fetched::TooLarge(self.list_at_origin(&cx, dir, None).await?));
            }
            match page.next {
                Some(next) => how = ListHow { cursor: Some(next), ahead: 0 },
                None => break,
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.observe_all(&entries, asked.clock);
        self.tree.lock().learn_listing(dir, attr, entries.iter().cloned(), asked);
        Ok(Fetched::Whole(entries))
    }

    fn observe_all(&self, entries: &[Entry], asked: u64) {
        entries.iter().filter(|e| e.attr.is_file()).for_each(|e| self.blocks.observe(&e.attr, asked));
    }

    async fn list_at_origin(&self, cx: &Cx, dir: &VPath, at: Option<Bytes>) -> Result<Listing> {
        let cx = self.origin.patient(cx);
        let how = ListHow { cursor: at, ahead: 0 };
        self.origin.call(&cx, "list", self.origin.inner().list(&cx, dir, how)).await.map(of_origin)
    }

    /// Changes the namespace at the origin, then here.
    pub(crate) async fn apply(self: &Arc<Self>, cx: &Cx, change: &Change) -> Result<Applied> {
        for path in losing_their_name(change) {
            self.hold_open(cx, path).await?;
        }
        let touched = self.begin_change_of(change);
        let asked = self.ask();
        let call = self.origin.inner().apply(cx, change);
        let late = |_| Err(Error::new(ErrorKind::TimedOut, change.name(), "no answer from the origin"));
        let call = tokio::time::timeout_at(cx.deadline.into(), call);
        let answer = self.origin.transfer(async { call.await.unwrap_or_else(late) }).await;
        let told = answer.as_ref().map(|applied| applied.attr).map_err(|_| ());
        self.tree.lock().own_change(change, told, asked);
        let applied = answer?;
        match change {
            Change::Rename { from, to, .. } => self.blocks.renamed(from, to, applied.attr.as_ref()),
            Change::MakeDir { .. }
            | Change::MakeNode { .. }
            | Change::Remove { .. }
            | Change::Link { .. }
            | Change::Symlink { .. }
            | Change::SetAttr { .. }
            | Change::SetNamed { .. } => {}
        }
        if let (Some((own, content)), Some(attr)) = (touched, applied.attr) {
            self.end_change_of(own, &content, sets(change), &attr).await;
        }
        Ok(applied)
    }

    /// A change of a cached file's attributes, which may give it a new version.
    fn begin_change_of(&self, change: &Change) -> Option<(OwnChange, Arc<crate::blocks::Content>)> {
        let path = match change {
            Change::Rename { from, .. } | Change::Link { from, .. } => from,
            Change::SetAttr { path, .. } | Change::SetNamed { path, .. } => path,
            Change::MakeDir { .. }
            | Change::MakeNode { .. }
            | Change::Remove { .. }
            | Change::Symlink { .. } => return None,
        };
        let id = self.tree.lock().peek(path).filter(|attr| attr.is_file())?.id;
        let content = self.blocks.find(id)?;
        Some((self.begin_own_change(&content, sets(change).size), content))
    }

    /// A change of attributes begins, of the size if `size` says so.
    pub(crate) fn begin_own_change(
        &self,
        content: &Arc<crate::blocks::Content>,
        size: Option<u64>,
    ) -> OwnChange {
        let written = self.known_since(content);
        let present = content.state.lock().size;
        let bytes = size.map_or(0..0, |size| size.min(present)..size.max(present));
        self.blocks.begin_change(content, bytes, written)
    }

    /// The origin answered to a change of attributes.
    pub(crate) async fn end_change_of(
        &self,
        own: OwnChange,
        content: &Arc<crate::blocks::Content>,
        sets: Sets,
        attr: &Attr,
    ) {
        let alone = own.alone();
        match sets.size {
            Some(size) => own.resized(size).await,
            None => own.unchanged(sets.dated),
        }
        OwnChange::settle(&self.blocks, content, alone, attr);
    }

    /// The file under this name loses it. If somebody has it open here, and it was not opened at the origin
    /// yet, that must happen now: an open file stays readable.
    async fn hold_open(self: &Arc<Self>, cx: &Cx, path: &VPath) -> Result<()> {
        let id = self.tree.lock().peek(path).filter(|attr| attr.is_file()).map(|attr| attr.id);
        let Some((place, source)) = id.and_then(|id| self.blocks.needs_origin(id)) else { return Ok(()) };
        match self.hold(cx, &place, &source).await {
            Ok(()) => Ok(()),
            // It went by itself: the change that follows will say so.
            Err(e) if matches!(e.kind, ErrorKind::NotFound | ErrorKind::Stale) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Opens a file at the origin, if it is not open there yet.
    pub(crate) async fn hold(&self, cx: &Cx, place: &Place, source: &Source) -> Result<()> {
        let asked = self.ask();
        if let Some(attr) = source.hold(cx, place).await? {
            self.blocks.observe(&attr, asked.clock);
        }
        Ok(())
    }
}

/// The names that a change takes away from the files they stand for.
fn losing_their_name(change: &Change) -> impl Iterator<Item = &VPath> {
    let path = match change {
        Change::Remove { path, dir: false, .. } => Some(path),
        Change::Rename { to, replace: true, .. } | Change::Link { to, replace: true, .. } => Some(to),
        Change::Remove { .. }
        | Change::Rename { .. }
        | Change::Link { .. }
        | Change::MakeDir { .. }
        | Change::MakeNode { .. }
        | Change::Symlink { .. }
        | Change::SetAttr { .. }
        | Change::SetNamed { .. } => None,
    };
    path.into_iter()
}

fn sets(change: &Change) -> Sets {
    match change {
        Change::SetAttr { set, .. } => Sets::of(set),
        Change::MakeDir { .. }
        | Change::MakeNode { .. }
        | Change::Remove { .. }
        | Change::Rename { .. }
        | Change::Link { .. }
        | Change::Symlink { .. }
        | Change::SetNamed { .. } => Sets::default(),
    }
}

fn cursor(kind: u8, rest: &[u8]) -> Bytes {
    [&[kind], rest].concat().into()
}

/// A page that is passed on, with its cursor marked as the origin's.
fn of_origin(page: Listing) -> Listing {
    Listing { next: page.next.map(|next| cursor(OF_ORIGIN, &next)), ..page }
}

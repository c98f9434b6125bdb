//! A walk through a directory.
//!
//! An answer to a client seldom ends where a page of the volume does. What is left of the page stays here until the
//! next answer, as far as the account of the open has room for such (`accounts`). Past that the page is given up, and
//! read again: the walk goes on at the name that would have been next, or at one of those behind it when that has gone.

use crate::accounts::{Room, What};
use crate::open::Open;
use crate::rights::Listed;
use crate::unlooked::Unlooked;
use crate::{Access, Error, Result};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use volume::{Attr, Carries, Cx, Entry, ErrorKind, Kind, ListHow, Listing, Named, NamedEntry, VPath};

/// Entries that are judged together: a far volume answers the questions for all of them in one round trip.
const JUDGED_AT_ONCE: usize = 64;
/// Names by which a walk finds its place in a page that it has given up.
const PLACE_NAMES: usize = 4;

/// One name of a directory, in the origin's spelling (an SMB front end shows [`crate::names::to_smb`] of it).
#[derive(Clone, Debug)]
pub struct DirEntry {
    pub name: Arc<str>,
    /// For a symbolic link that leads somewhere inside the volume and is followed: of what it leads to.
    pub attr: Attr,
    /// A link that leads to a directory; only looked for where links are followed or marked.
    pub leads_to_dir: bool,
}

/// What a walk tells of symbolic links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    /// What they lead to.
    Followed,
    /// The links themselves, as POSIX clients want.
    Shown,
    /// The same, and which of them lead to directories, as Windows clients want.
    Marked,
}

/// A walk through a directory: `.` and `..` first, then the names in the origin's order. It asks the volume
/// for a page at a time, when one is needed. An entry that does not fit into the caller's answer is left
/// there with [`DirCursor::peek`].
#[derive(Debug)]
pub struct DirCursor {
    open: Arc<Open>,
    links: Links,
    /// Where the directory was when it was last looked at.
    was_at: Option<VPath>,
    /// The walk is for this name alone, see [`DirCursor::only`].
    only: Option<Box<str>>,
    ready: VecDeque<Ready>,
    /// The present page at the volume; `None`: the first.
    page: Option<Bytes>,
    /// For what is ready between two answers.
    room: Option<Room>,
    /// When the present page was read, see [`crate::index::DirIndexes::begin`].
    as_of: u64,
    /// Of the present answer.
    unlooked: Unlooked,
    at: At,
}

/// An entry of the present page.
#[derive(Debug)]
struct Ready {
    entry: DirEntry,
    /// What a link that is followed leads to, where its attributes are those of that.
    leads_to: Option<VPath>,
    /// What the caller may do with it, once somebody has asked.
    allowed: Option<Access>,
}

#[derive(Debug)]
enum At {
    Start,
    Page(Bytes),
    Within(PlaceWithin),
    End,
}

/// In the page that is read from there, or behind it, at the first of these names that is found.
#[derive(Clone, Debug)]
struct PlaceWithin {
    page: Option<Bytes>,
    names: Vec<Arc<str>>,
    /// Nothing was behind them: where all have gone the walk is at its end.
    were_last: bool,
}

impl At {
    /// Behind a page after which there is this one.
    fn behind(next: Option<Bytes>) -> At {
        next.map_or(At::End, At::Page)
    }
}

impl PlaceWithin {
    /// Drops what comes before it in a page; answers where to go on behind that.
    fn reach(self, ready: &mut VecDeque<Ready>, next: Option<Bytes>) -> Result<At> {
        let place = |name: &Arc<str>| ready.iter().position(|ready| ready.entry.name == *name);
        let place = self.names.iter().find_map(place);
        ready.drain(..place.unwrap_or(ready.len()));
        match (place, next) {
            (Some(_), next) => Ok(At::behind(next)),
            (None, Some(next)) => Ok(At::Within(PlaceWithin { page: Some(next), ..self })),
            (None, None) if self.were_last => Ok(At::End),
            (None, None) => Err(Error::LimitReached("listings under way")),
        }
    }
}

/// One answer of a walk. At its end what is left of the page may be given up.
#[derive(Debug)]
pub struct Answer<'a>(&'a mut DirCursor);

impl Deref for Answer<'_> {
    type Target = DirCursor;

    fn deref(&self) -> &DirCursor {
        self.0
    }
}

impl DerefMut for Answer<'_> {
    fn deref_mut(&mut self) -> &mut DirCursor {
        self.0
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        self.0.rest();
    }
}

impl Ready {
    /// Whoever may list a directory may see it, and that it is somewhere.
    fn dots(name: &str, attr: Attr) -> Ready {
        let entry = DirEntry { name: name.into(), attr, leads_to_dir: false };
        Ready { entry, leads_to: None, allowed: Some(Access::all()) }
    }

    fn listed(&self) -> Listed<'_> {
        Listed { name: &self.entry.name, attr: &self.entry.attr, leads_to: self.leads_to.as_ref() }
    }
}

impl DirCursor {
    pub(crate) fn new(open: Arc<Open>, links: Links) -> DirCursor {
        DirCursor {
            open,
            links,
            was_at: None,
            only: None,
            ready: VecDeque::new(),
            page: None,
            room: None,
            as_of: 0,
            unlooked: Unlooked::default(),
            at: At::Start,
        }
    }

    /// Where the directory is. An answer that is under way when the open is closed goes on.
    fn dir(&self) -> Result<VPath> {
        match (self.open.named_path(), &self.was_at) {
            (Err(Error::Closed), Some(path)) => Ok(path.clone()),
            (path, _) => path,
        }
    }

    /// Begins an answer, which shows nothing that its client knows to be gone: what was removed since the present page
    /// was read is left out, as far as that is remembered.
    pub fn answer(&mut self) -> Result<Answer<'_>> {
        self.leave_out_removed()?;
        self.unlooked = Unlooked::default();
        Ok(Answer(self))
    }

    fn leave_out_removed(&mut self) -> Result<()> {
        if self.ready.is_empty() {
            return Ok(());
        }
        let dir = self.dir()?;
        let indexes = self.open.core.indexes.lock();
        let gone = indexes.gone_since(&dir, self.as_of);
        self.as_of = indexes.begin();
        drop(indexes);
        if !gone.is_empty() {
            self.ready.retain(|ready| !gone.contains(&ready.entry.name));
        }
        Ok(())
    }

    /// Between two answers.
    fn rest(&mut self) {
        self.room = None;
        if !self.ready.is_empty() {
            match self.open.account.room(What::ListedEntries, self.ready.capacity()) {
                Ok(room) => return self.room = Some(room),
                Err(_) => self.at = self.place(),
            }
        }
        self.ready = VecDeque::new();
    }

    /// Where to go on, but for what is ready.
    fn place(&self) -> At {
        match self.only {
            Some(_) => At::Start,
            None => {
                let names = self.ready.iter().take(PLACE_NAMES).map(|ready| ready.entry.name.clone());
                let were_last = matches!(self.at, At::End) && self.ready.len() <= PLACE_NAMES;
                At::Within(PlaceWithin { page: self.page.clone(), names: names.collect(), were_last })
            }
        }
    }

    /// The next entry without taking it; `None` at the end.
    pub async fn peek(&mut self, cx: &Cx) -> Result<Option<&DirEntry>> {
        self.fill(cx).await?;
        Ok(self.ready.front().map(|ready| &ready.entry))
    }

    /// Takes the next entry; `None` at the end.
    pub async fn next(&mut self, cx: &Cx) -> Result<Option<DirEntry>> {
        self.fill(cx).await?;
        Ok(self.ready.pop_front().map(|ready| ready.entry))
    }

    /// Whether the caller of the open has these rights on the next entry: for hiding what nobody may read. Those behind
    /// it that are `awaited` are judged along with it.
    pub async fn allows(
        &mut self,
        cx: &Cx,
        access: Access,
        awaited: impl FnMut(&DirEntry) -> bool,
    ) -> Result<bool> {
        Ok(self.rights(cx, awaited).await?.contains(access))
    }

    /// The rights that the caller of the open has on the next entry. Those behind it that are `awaited` are judged along
    /// with it.
    pub async fn rights(&mut self, cx: &Cx, awaited: impl FnMut(&DirEntry) -> bool) -> Result<Access> {
        self.fill(cx).await?;
        if self.ready.front().is_some_and(|first| first.allowed.is_none()) {
            self.judge(cx, awaited).await?;
        }
        // Where nobody judges, everything is allowed.
        let allowed = self.ready.front().and_then(|first| first.allowed);
        Ok(allowed.unwrap_or_else(Access::all))
    }

    /// Judges the next entry, and some of those behind it.
    async fn judge(&mut self, cx: &Cx, mut awaited: impl FnMut(&DirEntry) -> bool) -> Result<()> {
        let Some(rights) = self.open.rights().cloned() else { return Ok(()) };
        let dir = self.dir()?;
        let mut is_due =
            |at: usize, ready: &Ready| at == 0 || ready.allowed.is_none() && awaited(&ready.entry);
        let due = self.ready.iter().enumerate().filter(|(at, ready)| is_due(*at, ready));
        let places: Vec<usize> = due.map(|(at, _)| at).take(JUDGED_AT_ONCE).collect();
        let listed: Vec<Listed<'_>> = places.iter().map(|at| self.ready[*at].listed()).collect();
        let judged = self.open.core.judge_listed(cx, &dir, &listed, &*rights, &self.unlooked).await?;
        for (at, allowed) in places.into_iter().zip(judged) {
            self.ready[at].allowed = Some(allowed);
        }
        Ok(())
    }

    /// From the beginning again, for what bears this name alone, as it is spelled or else in another case, where that does
    /// not count for the open; `None`: for all. The directory is not walked through for one name, however large it is.
    pub fn only(&mut self, name: Option<&str>) {
        self.only = name.map(Box::from);
        self.restart();
    }

    /// From the beginning again, with fresh answers of the volume.
    pub fn restart(&mut self) {
        self.ready.clear();
        self.at = At::Start;
    }

    /// What of these kinds an entry carries. The volume is asked only where the entry says that there may be some; what
    /// does not answer carries nothing ([`crate::unlooked`]).
    pub async fn list_named(&self, cx: &Cx, entry: &DirEntry, kinds: Carries) -> Result<Vec<NamedEntry>> {
        let core = &self.open.core;
        if !core.caps.named || !entry.attr.carries.intersects(kinds) {
            return Ok(Vec::new());
        }
        let (path, id) = (&self.path(entry)?, Some(entry.attr.id));
        let ask = |cx| async move {
            match core.volume.list_named(&cx, path, id).await {
                // It is not there any more, or what a link leads to is elsewhere.
                Err(error) if is_elsewhere(error.kind) => Ok(Vec::new()),
                entries => Ok(entries?),
            }
        };
        let mut entries = self.unlooked.ask(cx, &entry.attr, ask).await?.unwrap_or_default();
        entries.retain(|entry| kinds.contains(entry.name.kind()));
        Ok(entries)
    }

    /// The whole value that an entry carries under a name of [`DirCursor::list_named`]; `None` when it is gone.
    pub async fn named(&self, cx: &Cx, entry: &DirEntry, name: &Named) -> Result<Option<Bytes>> {
        let (path, id) = (&self.path(entry)?, Some(entry.attr.id));
        let ask = |cx| async move {
            match self.open.core.volume.named(&cx, path, id, name).await {
                Err(error) if is_elsewhere(error.kind) => Ok(None),
                value => Ok(value?),
            }
        };
        Ok(self.unlooked.ask(cx, &entry.attr, ask).await?.flatten())
    }

    fn path(&self, entry: &DirEntry) -> Result<VPath> {
        let dir = self.dir()?;
        Ok(match &*entry.name {
            "." => dir,
            ".." => dir.parent().unwrap_or_else(VPath::root),
            name => dir.join(name)?,
        })
    }

    async fn fill(&mut self, cx: &Cx) -> Result<()> {
        while self.ready.is_empty() {
            let (page, within) = match (&self.at, self.only.clone()) {
                (At::Start, Some(name)) => return self.find(cx, &name).await,
                (At::Start, None) => (None, None),
                (At::Page(page), _) => (Some(page.clone()), None),
                (At::Within(within), _) => (within.page.clone(), Some(within.clone())),
                (At::End, _) => return Ok(()),
            };
            // Aside, until all of it is here: what is given up on the way is asked for again.
            let (mut ready, next) = self.read(cx, page.clone()).await?;
            self.at = match within {
                Some(within) => within.reach(&mut ready, next)?,
                None => At::behind(next),
            };
            (self.ready, self.page) = (ready, page);
        }
        Ok(())
    }

    /// Reads a page; answers where the next one is, too.
    async fn read(&mut self, cx: &Cx, cursor: Option<Bytes>) -> Result<(VecDeque<Ready>, Option<Bytes>)> {
        let (first, dir) = (cursor.is_none(), self.dir()?);
        self.was_at = Some(dir.clone());
        let core = self.open.core.clone();
        let how = ListHow { cursor, ahead: core.config.list_ahead };
        self.as_of = core.indexes.lock().begin();
        if !first {
            let page = core.volume.list(cx, &dir, how).await?;
            return self.ready(cx, VecDeque::new(), page).await;
        }
        // Both at once: a far origin answers them in one round trip.
        let (page, above) = tokio::join!(core.volume.list(cx, &dir, how), self.above(cx, &dir));
        let (page, above) = (page?, above?);
        let this = match page.dir {
            Some(attr) => attr,
            None => self.open.attr(cx).await?,
        };
        self.ready(cx, [Ready::dots(".", this), Ready::dots("..", above)].into(), page).await
    }

    async fn ready(
        &self,
        cx: &Cx,
        mut ready: VecDeque<Ready>,
        page: Listing,
    ) -> Result<(VecDeque<Ready>, Option<Bytes>)> {
        ready.reserve_exact(page.entries.len());
        for entry in page.entries {
            ready.push_back(self.looked_at(cx, entry).await?);
        }
        Ok((ready, page.next))
    }

    /// Looks for the one name that is wanted.
    async fn find(&mut self, cx: &Cx, name: &str) -> Result<()> {
        let dir = self.dir()?;
        self.was_at = Some(dir.clone());
        self.as_of = self.open.core.indexes.lock().begin();
        match name {
            "." => self.ready.push_back(Ready::dots(".", self.open.attr(cx).await?)),
            ".." => self.ready.push_back(Ready::dots("..", self.above(cx, &dir).await?)),
            name => {
                let rights = self.open.rights().map(|rights| &**rights);
                let case = self.open.case_sensitive;
                if let Some(entry) = self.open.core.find_in(cx, &dir, name, case, rights).await? {
                    let ready = self.looked_at(cx, entry).await?;
                    self.ready.push_back(ready);
                }
            }
        }
        self.at = At::End;
        Ok(())
    }

    /// What `..` is.
    async fn above(&self, cx: &Cx, dir: &VPath) -> Result<Attr> {
        let above = dir.parent().unwrap_or_else(|| dir.clone());
        Ok(self.open.core.volume.stat(cx, &above).await?)
    }

    /// An entry, and what it leads to.
    async fn looked_at(&self, cx: &Cx, entry: Entry) -> Result<Ready> {
        let led_to = match (self.links, entry.attr.kind) {
            (Links::Followed | Links::Marked, Kind::Symlink) => {
                let path = self.dir()?.join(&entry.name)?;
                let rights = self.open.rights().map(|rights| &**rights);
                self.open.core.led_to(cx, &path, &entry.attr, rights).await?
            }
            _ => None,
        };
        let leads_to_dir = led_to.as_ref().is_some_and(|(_, attr)| attr.is_dir());
        let followed = led_to.filter(|_| self.links == Links::Followed);
        let attr = followed.as_ref().map_or(entry.attr, |(_, attr)| *attr);
        let leads_to = followed.map(|(path, _)| path);
        let entry = DirEntry { name: entry.name, attr, leads_to_dir };
        Ok(Ready { entry, leads_to, allowed: None })
    }
}

fn is_elsewhere(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::Stale | ErrorKind::Unsupported)
}

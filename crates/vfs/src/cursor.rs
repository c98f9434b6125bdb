//! A walk through a directory.

use crate::open::Open;
use crate::resolve::Lookup;
use crate::{Error, Result};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use volume::{Attr, Carries, Cx, Entry, ErrorKind, Kind, ListHow, NamedEntry, VPath};

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
    ready: VecDeque<DirEntry>,
    at: At,
}

#[derive(Debug)]
enum At {
    Start,
    Page(Bytes),
    End,
}

impl DirCursor {
    pub(crate) fn new(open: Arc<Open>, links: Links) -> DirCursor {
        DirCursor { open, links, ready: VecDeque::new(), at: At::Start }
    }

    /// The next entry without taking it; `None` at the end.
    pub async fn peek(&mut self, cx: &Cx) -> Result<Option<&DirEntry>> {
        self.fill(cx).await?;
        Ok(self.ready.front())
    }

    /// Takes the next entry; `None` at the end.
    pub async fn next(&mut self, cx: &Cx) -> Result<Option<DirEntry>> {
        self.fill(cx).await?;
        Ok(self.ready.pop_front())
    }

    /// From the beginning again, with fresh answers of the volume.
    pub fn restart(&mut self) {
        self.ready.clear();
        self.at = At::Start;
    }

    /// The extended attributes of an entry. The volume is asked only where the entry says that there may be some.
    pub async fn extended(&self, cx: &Cx, entry: &DirEntry) -> Result<Vec<NamedEntry>> {
        let core = &self.open.core;
        if !core.caps.named || !entry.attr.carries.contains(Carries::EXTENDED) {
            return Ok(Vec::new());
        }
        let dir = self.open.path()?;
        let path = match &*entry.name {
            "." => dir,
            ".." => dir.parent().unwrap_or_else(VPath::root),
            name => dir.join(name)?,
        };
        let mut entries = match core.volume.list_named(cx, &path, Some(entry.attr.id)).await {
            Ok(entries) => entries,
            // It is not there any more, or what a link leads to is elsewhere.
            Err(error) if is_elsewhere(error.kind) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        entries.retain(|entry| entry.name.kind() == Carries::EXTENDED);
        Ok(entries)
    }

    async fn fill(&mut self, cx: &Cx) -> Result<()> {
        while self.ready.is_empty() {
            let cursor = match &self.at {
                At::Start => None,
                At::Page(next) => Some(next.clone()),
                At::End => return Ok(()),
            };
            let (first, dir) = (cursor.is_none(), self.open.path()?);
            let core = self.open.core.clone();
            let how = ListHow { cursor, ahead: core.config.list_ahead };
            let page = match first {
                true => {
                    // Both at once: a far origin answers them in one round trip.
                    let above = dir.parent().unwrap_or_else(|| dir.clone());
                    let (page, above) =
                        tokio::join!(core.volume.list(cx, &dir, how), core.volume.stat(cx, &above));
                    let (page, above) = (page?, above?);
                    let this = match page.dir {
                        Some(attr) => attr,
                        None => self.open.attr(cx).await?,
                    };
                    self.ready.push_back(DirEntry { name: ".".into(), attr: this, leads_to_dir: false });
                    self.ready.push_back(DirEntry { name: "..".into(), attr: above, leads_to_dir: false });
                    page
                }
                false => core.volume.list(cx, &dir, how).await?,
            };
            for entry in page.entries {
                let led_to = self.led_to(cx, &entry).await?;
                let attr = if self.links == Links::Followed { led_to } else { entry.attr };
                let leads_to_dir = entry.attr.kind == Kind::Symlink && led_to.is_dir();
                self.ready.push_back(DirEntry { name: entry.name, attr, leads_to_dir });
            }
            self.at = page.next.map_or(At::End, At::Page);
        }
        Ok(())
    }

    /// The attributes: of what a link leads to, or its own when it leads nowhere.
    async fn led_to(&self, cx: &Cx, entry: &Entry) -> Result<Attr> {
        if entry.attr.kind != Kind::Symlink || self.links == Links::Shown {
            return Ok(entry.attr);
        }
        let path = self.open.path()?.join(&entry.name)?;
        let how = Lookup { case_sensitive: false, follow: true, stop: false };
        match self.open.core.resolve(cx, &path, how).await.and_then(|found| found.found()) {
            Ok((_, attr)) => Ok(attr),
            Err(Error::Volume(error)) => Err(Error::Volume(error)),
            Err(_) => Ok(entry.attr),
        }
    }
}

fn is_elsewhere(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::Stale | ErrorKind::Unsupported)
}

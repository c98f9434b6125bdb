//! A directory listing, with listings of directories below it, in one body.
//!
//! Entries are written one after the other, each against the one before. A directory below is named by its
//! entry in a listing that stands earlier in the same body, so its name and attributes are written once.

use crate::WireError;
use crate::attr::{ATTR_LEAST_BYTES, REFERENCE, get_attr, put_attr};
use crate::cursor::{Reader, Writer};
use bytes::Bytes;
use std::sync::Arc;
use volume::{Attr, Directory, Entry, Listing, NAME_MAX_BYTES, VPath};

/// Paths of directories below that one listing may spell out, bytes in all: a few bytes on the wire must not
/// become gigabytes of paths.
pub const AHEAD_PATHS_MAX_BYTES: usize = 16 * 1024 * 1024;

/// A page of a listing, as it travels.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DirListing {
    /// Entries of the directory asked for.
    pub entries: Vec<Entry>,
    /// Where to go on.
    pub next: Option<Bytes>,
    /// The directory itself.
    pub dir: Option<Attr>,
    /// Complete listings of directories below, parents before children.
    pub below: Vec<Below>,
}

/// The complete listing of a directory below the one asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Below {
    /// Which listing has its entry: 0 is the directory asked for, `n` is `below[n - 1]`.
    pub parent: u32,
    /// Which entry there.
    pub entry: u32,
    pub entries: Vec<Entry>,
}

/// What an entry takes on the wire, about: for budgets. Never less than half of the truth.
pub fn entry_size_bytes(entry: &Entry) -> usize {
    64 + entry.name.len()
}

impl DirListing {
    /// What the waist wants to see: paths spelled out. `asked` is the directory asked for.
    pub fn into_listing(self, asked: &VPath) -> Result<Listing, WireError> {
        let mut ahead: Vec<Directory> = Vec::with_capacity(self.below.len());
        let mut spelled = 0;
        for below in self.below {
            let (parent, entries) = match below.parent.checked_sub(1) {
                None => (asked, &self.entries),
                Some(n) => {
                    let parent = ahead.get(n as usize).ok_or(WireError::Value("a parent"))?;
                    (&parent.path, &parent.entries)
                }
            };
            let entry = entries.get(below.entry as usize).ok_or(WireError::Value("an entry"))?;
            if !entry.attr.is_dir() {
                return Err(WireError::Value("a listing of what is no directory"));
            }
            let path = parent.join(&entry.name)?;
            spelled += path.as_str().len();
            if spelled > AHEAD_PATHS_MAX_BYTES {
                return Err(WireError::Value("the length of all paths"));
            }
            let attr = entry.attr;
            ahead.push(Directory { path, attr, entries: below.entries });
        }
        Ok(Listing { entries: self.entries, next: self.next, dir: self.dir, ahead })
    }

    pub(crate) fn encode(&self) -> Bytes {
        let all = self.entries.iter().chain(self.below.iter().flat_map(|below| &below.entries));
        let mut out = Writer::with_capacity(64 + all.map(entry_size_bytes).sum::<usize>());
        let mut last = REFERENCE;
        out.option(self.next.as_deref(), Writer::blob);
        out.option(self.dir.as_ref(), |out, attr| put_attr(out, attr, &REFERENCE));
        put_entries(&mut out, &self.entries, &mut last);
        out.number(self.below.len() as u64);
        for below in &self.below {
            out.number(u64::from(below.parent));
            out.number(u64::from(below.entry));
            put_entries(&mut out, &below.entries, &mut last);
        }
        out.finish()
    }

    pub(crate) fn decode(body: &[u8]) -> Result<DirListing, WireError> {
        let mut input = Reader::new(body);
        let mut last = REFERENCE;
        let next = input.option(Reader::blob)?.map(Bytes::copy_from_slice);
        let dir = input.option(|input| get_attr(input, &REFERENCE))?;
        let entries = get_entries(&mut input, &mut last)?;
        let count = input.count(3)?;
        let mut below = Vec::with_capacity(count);
        for _ in 0..count {
            let (parent, entry) = (input.number32()?, input.number32()?);
            below.push(Below { parent, entry, entries: get_entries(&mut input, &mut last)? });
        }
        input.end()?;
        Ok(DirListing { entries, next, dir, below })
    }
}

fn put_entries(out: &mut Writer, entries: &[Entry], last: &mut Attr) {
    out.number(entries.len() as u64);
    for entry in entries {
        out.text(&entry.name);
        put_attr(out, &entry.attr, last);
        *last = entry.attr;
    }
}

fn get_entries(input: &mut Reader<'_>, last: &mut Attr) -> Result<Vec<Entry>, WireError> {
    let count = input.count(2 + ATTR_LEAST_BYTES)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let name: Arc<str> = checked_name(input.text()?)?.into();
        *last = get_attr(input, last)?;
        entries.push(Entry { name, attr: *last });
    }
    Ok(entries)
}

/// A name that can be joined to a path.
fn checked_name(name: &str) -> Result<&str, WireError> {
    let refused =
        matches!(name, "" | "." | "..") || name.len() > NAME_MAX_BYTES || name.contains(['/', '\0']);
    if refused { Err(WireError::Value("a name")) } else { Ok(name) }
}

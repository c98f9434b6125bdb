//! Listings: a directory page by page, and what lies below it in the same answer.
//!
//! The walk goes breadth first with a few listings at once, and sends only directories that are complete. It
//! ends with the budget of entries, with the size of the answer, or when the caller has waited for it long
//! enough; what is left out the caller asks for by itself.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use peer_wire::{Below, DirListing, entry_size_bytes};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use volume::{Cx, Entry, Error, ErrorKind, ListHow, Result, VPath, Volume};

/// Size of a listing at which it goes out, bytes, about. Half a message of the link at most, since sizes are
/// estimated.
pub const LISTING_BYTES: usize = 1024 * 1024;
/// Entries of directories below that one answer may bring, whatever the peer has use for.
pub const AHEAD_ENTRIES_MAX: u32 = 32 * 1024;
/// Longest time that an answer waits for directories below.
pub const AHEAD_TIME: Duration = Duration::from_secs(1);
/// Directories that are listed at once for one answer.
const AHEAD_CONCURRENT: usize = 16;

/// Lists `dir`, and directories below it if the caller has use for them.
pub(crate) async fn list(volume: &dyn Volume, cx: &Cx, dir: &VPath, how: &ListHow) -> Result<DirListing> {
    let (mut listing, size) = page(volume, cx, dir, how.cursor.as_ref()).await?;
    let whole = how.cursor.is_none() && listing.next.is_none();
    if whole && how.ahead > 0 {
        let budget = Budget {
            entries: how.ahead.min(AHEAD_ENTRIES_MAX) as usize,
            bytes: LISTING_BYTES.saturating_sub(size),
        };
        let until = (Instant::now() + AHEAD_TIME).min(Instant::from_std(cx.deadline));
        Walk::new(volume, cx, budget, until).run(dir, &mut listing).await;
    }
    Ok(listing)
}

/// One page of about [`LISTING_BYTES`], with its estimated size.
async fn page(
    volume: &dyn Volume,
    cx: &Cx,
    dir: &VPath,
    cursor: Option<&Bytes>,
) -> Result<(DirListing, usize)> {
    let mut at = match cursor {
        Some(cursor) => Cursor::decode(cursor)
            .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "list", format!("{dir}: cursor")))?,
        None => Cursor { inner: None, skip: 0 },
    };
    let mut listing = DirListing::default();
    let mut size = 0;
    loop {
        let page = volume.list(cx, dir, ListHow { cursor: at.inner.clone(), ahead: 0 }).await?;
        listing.dir = listing.dir.or(page.dir);
        for (n, entry) in page.entries.into_iter().enumerate().skip(at.skip as usize) {
            if size >= LISTING_BYTES {
                listing.next = Some(Cursor { skip: n as u32, ..at }.encode());
                return Ok((listing, size));
            }
            size += entry_size_bytes(&entry);
            listing.entries.push(entry);
        }
        let Some(next) = page.next else { return Ok((listing, size)) };
        at = Cursor { inner: Some(next), skip: 0 };
        if size >= LISTING_BYTES {
            listing.next = Some(at.encode());
            return Ok((listing, size));
        }
    }
}

/// Where a listing goes on: at a page of the volume, behind its first entries when the page itself was too
/// large for one answer.
struct Cursor {
    inner: Option<Bytes>,
    skip: u32,
}

impl Cursor {
    fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(5 + self.inner.as_ref().map_or(0, Bytes::len));
        out.put_u32_le(self.skip);
        out.put_u8(u8::from(self.inner.is_some()));
        out.extend_from_slice(self.inner.as_deref().unwrap_or_default());
        out.freeze()
    }

    fn decode(cursor: &Bytes) -> Option<Cursor> {
        let (skip, rest) = cursor.split_first_chunk::<4>()?;
        let inner = match rest.split_first()? {
            (0, []) => None,
            (1, inner) => Some(cursor.slice_ref(inner)),
            _ => return None,
        };
        Some(Cursor { inner, skip: u32::from_le_bytes(*skip) })
    }
}

/// What may still be sent.
#[derive(Clone, Copy)]
struct Budget {
    entries: usize,
    bytes: usize,
}

impl Budget {
    /// What is left after these entries; `None` when they are too many.
    fn after(self, entries: &[Entry]) -> Option<Budget> {
        let bytes = BELOW_BYTES + entries.iter().map(entry_size_bytes).sum::<usize>();
        Some(Budget {
            entries: self.entries.checked_sub(entries.len())?,
            bytes: self.bytes.checked_sub(bytes)?,
        })
    }
}

/// What a directory takes besides its entries; counted so that empty directories are not for free.
const BELOW_BYTES: usize = 16;

/// A directory found and not yet listed.
struct Found {
    parent: u32,
    entry: u32,
    path: VPath,
}

struct Walk<'a> {
    volume: &'a dyn Volume,
    cx: &'a Cx,
    budget: Budget,
    until: Instant,
    found: VecDeque<Found>,
}

impl<'a> Walk<'a> {
    fn new(volume: &'a dyn Volume, cx: &'a Cx, budget: Budget, until: Instant) -> Walk<'a> {
        Walk { volume, cx, budget, until, found: VecDeque::new() }
    }

    async fn run(mut self, dir: &VPath, listing: &mut DirListing) {
        let (volume, cx, limit) = (self.volume, self.cx, self.budget);
        let mut running = FuturesOrdered::new();
        // Directories too large to be sent were listed in vain: that, too, has its limit.
        let mut in_vain = 0;
        self.note(0, dir, &listing.entries);
        while in_vain < AHEAD_CONCURRENT {
            while running.len() < AHEAD_CONCURRENT {
                let Some(next) = self.found.pop_front() else { break };
                running.push_back(async move { (complete(volume, cx, &next.path, limit).await, next) });
            }
            // `None`: all is listed. An error: no more time.
            let Ok(Some((entries, found))) = timeout_at(self.until, running.next()).await else { return };
            let Some((entries, rest)) =
                entries.and_then(|all| self.budget.after(&all).map(|rest| (all, rest)))
            else {
                in_vain += 1;
                continue;
            };
            self.budget = rest;
            self.note(listing.below.len() as u32 + 1, &found.path, &entries);
            listing.below.push(Below { parent: found.parent, entry: found.entry, entries });
        }
    }

    /// Remembers the directories among `entries`.
    fn note(&mut self, parent: u32, dir: &VPath, entries: &[Entry]) {
        for (n, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.attr.is_dir()) {
            // A path over the limit of its length cannot be asked for either.
            if let Ok(path) = dir.join(&entry.name) {
                self.found.push_back(Found { parent, entry: n as u32, path });
            }
        }
    }
}

/// All entries of a directory; `None` when they are over the limit, or cannot be had.
async fn complete(volume: &dyn Volume, cx: &Cx, dir: &VPath, limit: Budget) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut how = ListHow::default();
    loop {
        let page = match volume.list(cx, dir, how).await {
            Ok(page) => page,
            Err(why) => {
                tracing::debug!(%why, "a directory is not sent ahead");
                return None;
            }
        };
        entries.extend(page.entries);
        limit.after(&entries)?;
        match page.next {
            Some(next) => how = ListHow { cursor: Some(next), ahead: 0 },
            None => return Some(entries),
        }
    }
}

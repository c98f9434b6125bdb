//! Listing directories.
//!
//! Each entry comes with all its attributes but the number of links (QUERY_DIRECTORY with
//! FileIdBothDirectoryInformation, MS-FSCC 2.4.22), so nobody asks for entries one by one. A directory longer
//! than a page stays open at the server between the pages; its cursor is good once. A listing that rests too
//! long, or lost its connection, answers `Stale`: it has to begin again.

use crate::attr::Look;
use crate::core::Core;
use crate::error::{Outcome, Trouble};
use crate::handle::{Door, Entered, Handle, enter};
use crate::names;
use crate::session::{Answer, Step};
use bytes::Bytes;
use parking_lot::Mutex;
use smb_wire::create::CreateOptions;
use smb_wire::cursor::Fixed;
use smb_wire::fscc::FileAttributes;
use smb_wire::fscc::directory::DirectoryClass;
use smb_wire::fscc::file::BasicInformation;
use smb_wire::query_directory::{QueryDirectoryFlags, QueryDirectoryRequest, QueryDirectoryResponse};
use smb_wire::{AccessMask, FileId as OpenId, FileTime, NtStatus, WireError, name};
use smb2::types::Command;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use volume::{Entry, Error, ErrorKind, Listing, VPath};

/// Most bytes of entries in one answer.
pub(crate) const BUFFER_BYTES: u32 = 256 * 1024;
/// A page ends when it has so many entries.
const PAGE_ENTRIES: usize = 4096;
/// Directories that rest between two pages.
const RESTING_MAX: usize = 64;
/// How long one may rest.
const REST_MAX: Duration = Duration::from_secs(120);
/// FileIdBothDirectoryInformation up to the name.
const ENTRY_FIXED: usize = 104;

/// Directories that rest between two pages, by the number in their cursor.
#[derive(Default)]
pub(crate) struct Listings(Mutex<Resting>);

#[derive(Default)]
struct Resting {
    count: u64,
    waiting: HashMap<u64, (Enumeration, Instant)>,
}

struct Enumeration {
    handle: Handle,
    dir: VPath,
}

impl Listings {
    fn rest(&self, enumeration: Enumeration) -> Bytes {
        let mut resting = self.0.lock();
        resting.waiting.retain(|_, (_, since)| since.elapsed() < REST_MAX);
        if resting.waiting.len() >= RESTING_MAX {
            let oldest =
                resting.waiting.iter().min_by_key(|(_, (_, since))| *since).map(|(number, _)| *number);
            oldest.and_then(|number| resting.waiting.remove(&number));
        }
        resting.count += 1;
        let number = resting.count;
        resting.waiting.insert(number, (enumeration, Instant::now()));
        Bytes::copy_from_slice(&number.to_le_bytes())
    }

    fn wake(&self, cursor: &[u8], dir: &VPath) -> Option<Enumeration> {
        let number = u64::from_le_bytes(cursor.try_into().ok()?);
        let (enumeration, _) = self.0.lock().waiting.remove(&number)?;
        (enumeration.dir == *dir && !enumeration.handle.is_lost()).then_some(enumeration)
    }
}

/// The first page.
pub(crate) async fn begin(core: &Core, dir: &VPath) -> Outcome<Listing> {
    let wire = &core.wire("list", dir)?;
    let entered = core.looking(|session| async move {
        let door = Door::to(wire.clone(), AccessMask::LIST_DIRECTORY, CreateOptions::DIRECTORY_FILE);
        let first = query(OpenId::RELATED, session.listing_size);
        enter(session, door, Some(first)).await
    });
    let Entered { handle, look, along, .. } = entered.await?;
    let mut entries = Vec::new();
    let more = match along {
        Some(answer) => take(core, dir, answer, &mut entries)?,
        None => true,
    };
    let page = fill(core, Enumeration { handle, dir: dir.clone() }, entries, more).await?;
    Ok(Listing { dir: Some(core.attr(&look, dir)), ..page })
}

/// The page after `cursor`.
pub(crate) async fn go_on(core: &Core, dir: &VPath, cursor: &[u8]) -> Outcome<Listing> {
    let Some(enumeration) = core.listings.wake(cursor, dir) else { return Err(lost(dir)) };
    match fill(core, enumeration, Vec::new(), true).await {
        Err(why) if why.is_loss() => Err(lost(dir)),
        other => other,
    }
}

fn lost(dir: &VPath) -> Trouble {
    let why = "the listing has lost its place and must begin again";
    Trouble::Told(Error::new(ErrorKind::Stale, "list", dir).because(why))
}

async fn fill(core: &Core, from: Enumeration, mut entries: Vec<Entry>, mut more: bool) -> Outcome<Listing> {
    while more && entries.len() < PAGE_ENTRIES {
        let answer = from.handle.ask(&query(from.handle.id, from.handle.listing_size())).await;
        more = take(core, &from.dir, answer, &mut entries)?;
    }
    // Dropping the handle closes it, and nobody waits.
    let next = more.then(|| core.listings.rest(from));
    Ok(Listing { entries, next, dir: None, ahead: Vec::new() })
}

fn query(file_id: OpenId, length: u32) -> Step {
    let request = QueryDirectoryRequest {
        information_class: DirectoryClass::IdBothDirectory as u8,
        flags: QueryDirectoryFlags::empty(),
        file_index: 0,
        file_id,
        output_buffer_length: length,
        pattern: "*".to_owned(),
    };
    Step::sized(Command::QueryDirectory, length, |body| request.encode(body))
}

/// Takes over the entries of an answer; whether there may be more.
fn take(core: &Core, dir: &VPath, answer: Outcome<Answer>, entries: &mut Vec<Entry>) -> Outcome<bool> {
    let message = match answer {
        Ok(answer) => answer.message,
        Err(Trouble::Refused(NtStatus::NO_MORE_FILES | NtStatus::NO_SUCH_FILE)) => return Ok(false),
        Err(why) => return Err(why),
    };
    let data = QueryDirectoryResponse::decode(&message)?.data;
    if data.is_empty() {
        return Ok(false);
    }
    let mut rest: &[u8] = &data;
    loop {
        let (next, told, look) = entry(rest)?;
        if let Some(found) = named(core, dir, &told, look) {
            entries.push(found);
        }
        if next == 0 {
            return Ok(true);
        }
        rest = rest.get(next..).ok_or_else(|| Trouble::Broken("an entry ends behind its answer".into()))?;
    }
}

/// An entry of the volume; `None` for what no path can name and for what is about to vanish.
fn named(core: &Core, dir: &VPath, told: &str, look: Look) -> Option<Entry> {
    if matches!(told, "." | "..") || names::is_gone(told) {
        return None;
    }
    let name: Arc<str> = Arc::from(names::from_wire(told)?);
    let path = dir.join(&name).ok()?;
    Some(Entry { attr: core.attr(&look, &path), name })
}

/// FileIdBothDirectoryInformation (MS-FSCC 2.4.22): where the next one begins, name, attributes.
fn entry(data: &[u8]) -> Result<(usize, String, Look), WireError> {
    let what = "FileIdBothDirectoryInformation";
    let fixed = Fixed::<ENTRY_FIXED>::new(data, what)?;
    let end = ENTRY_FIXED.saturating_add(fixed.size32(60));
    let told = data.get(ENTRY_FIXED..end).ok_or(WireError::BadName { what })?;
    let attributes = FileAttributes::from_bits_retain(fixed.u32(56));
    let look = Look {
        basic: BasicInformation {
            creation_time: FileTime(fixed.u64(8)),
            last_access_time: FileTime(fixed.u64(16)),
            last_write_time: FileTime(fixed.u64(24)),
            change_time: FileTime(fixed.u64(32)),
            file_attributes: attributes,
        },
        size: fixed.u64(40),
        allocated: fixed.u64(48),
        links: 1,
        index: fixed.u64(96),
        // For a reparse point EaSize holds its tag.
        reparse_tag: if attributes.contains(FileAttributes::REPARSE_POINT) { fixed.u32(64) } else { 0 },
    };
    Ok((fixed.size32(0), name::decode(told, what)?, look))
}

/// The names that a CHANGE_NOTIFY answer tells (FILE_NOTIFY_INFORMATION, MS-FSCC 2.7.1): action and path.
pub(crate) fn notified(data: &[u8]) -> Result<Vec<(u32, String)>, WireError> {
    let what = "FILE_NOTIFY_INFORMATION";
    let mut told = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let fixed = Fixed::<12>::new(rest, what)?;
        let end = 12_usize.saturating_add(fixed.size32(8));
        let name = rest.get(12..end).ok_or(WireError::BadName { what })?;
        told.push((fixed.u32(4), name::decode(name, what)?));
        match fixed.size32(0) {
            0 => break,
            next => rest = rest.get(next..).ok_or(WireError::BadName { what })?,
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, next: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&next.to_le_bytes());
        bytes.extend_from_slice(&3_u32.to_le_bytes());
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.extend_from_slice(&(units.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&units);
        bytes
    }

    #[test]
    fn notifications_are_read_to_their_end_and_no_further() {
        let mut both = told("a\\b", 20);
        both.resize(20, 0);
        both.extend(told("c", 0));
        let names = notified(&both).unwrap();
        assert_eq!(names, [(3, "a\\b".to_owned()), (3, "c".to_owned())]);
        assert!(notified(&both[..30]).is_err());
        assert!(notified(&told("x", 400)).is_err());
        assert_eq!(notified(&[]).unwrap(), []);
    }
}

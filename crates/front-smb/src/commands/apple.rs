//! What Apple's clients find in listings after they were told of READ_DIR_ATTR (`create/apple.rs`): they need not open
//! each file to draw it. Known from Apple's published client and Samba's `vfs_fruit`.
//!
//! Finder information and resource forks are streams like others, with names that all of Apple's clients use. Only
//! entries that carry streams cost a question; only those with Finder information that the client may read cost a second.

use crate::commands::posix;
use crate::status::failed;
use smb_wire::fscc::directory::AppleAttributes;
use smb_wire::{AccessMask, NtStatus};
use vfs::{DirCursor, DirEntry};
use volume::{Attr, Carries, Cx, NamedEntry, Time};

const FINDER_STREAM: &str = "AFP_AfpInfo";
const RESOURCE_STREAM: &str = "AFP_Resource";
/// Length of the first, bytes: a head of 16, the Finder information, 12 that nobody uses.
const AFP_INFO_BYTES: usize = 60;
const AFP_INFO_MAGIC: &[u8; 4] = b"AFP\0";
const FINDER_AT: usize = 16;
/// Apple's clients count dates of the Finder from the beginning of 2000, in seconds.
const FINDER_EPOCH_SECONDS: i64 = 946_684_800;

/// The attributes of an entry on which its client has these rights.
pub(super) async fn attributes(
    cx: &Cx,
    cursor: &DirCursor,
    entry: &DirEntry,
    rights: AccessMask,
) -> Result<AppleAttributes, NtStatus> {
    let streams = cursor.list_named(cx, entry, Carries::STREAMS).await.map_err(failed)?;
    let stream = |name: &str| streams.iter().find(|stream| is_called(stream, name));
    let may_read = rights.contains(AccessMask::READ_DATA);
    let afp_info = match stream(FINDER_STREAM) {
        Some(stream) if may_read && stream.size == AFP_INFO_BYTES as u64 => {
            cursor.named(cx, entry, &stream.name).await.map_err(failed)?
        }
        Some(_) | None => None,
    };
    Ok(AppleAttributes {
        maximal_access: rights.bits(),
        resource_fork_size: stream(RESOURCE_STREAM).map_or(0, |stream| stream.size),
        finder_info: finder_info(afp_info.as_deref().unwrap_or_default(), &entry.attr),
        unix_mode: posix::st_mode(&entry.attr) as u16,
    })
}

fn is_called(entry: &NamedEntry, name: &str) -> bool {
    entry.name.name().is_some_and(|other| other.eq_ignore_ascii_case(name))
}

/// The Finder information in 16 bytes: type and creator of a file, flags, extended flags, when it was made.
fn finder_info(afp_info: &[u8], attr: &Attr) -> [u8; 16] {
    let mut short = [0; 16];
    let is_whole = afp_info.len() == AFP_INFO_BYTES && afp_info.starts_with(AFP_INFO_MAGIC);
    if is_whole {
        let finder = &afp_info[FINDER_AT..];
        if attr.is_file() {
            short[..8].copy_from_slice(&finder[..8]);
        }
        short[8..10].copy_from_slice(&finder[8..10]);
        short[10..12].copy_from_slice(&finder[24..26]);
    }
    short[12..].copy_from_slice(&finder_date(attr.btime).to_be_bytes());
    short
}

/// Seconds since 2000, of which 32 bits are kept.
fn finder_date(time: Time) -> u32 {
    (time.to_parts().0 - FINDER_EPOCH_SECONDS) as u32
}

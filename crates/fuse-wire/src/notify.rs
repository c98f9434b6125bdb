//! Notifications: what the server tells the kernel unasked (`enum fuse_notify_code`).
//!
//! Each is a whole message, to be written to the device like an answer; its head has the code where an
//! answer has its error, and no `unique`. The kernel says ENOENT about what it does not cache, which is no
//! error. It may have to wait for requests under way on the node, so nobody who holds up their answers
//! should write one.

use crate::{
    answer::{HEAD_LEN, out_header},
    fields::Filled,
};

const INVAL_INODE: i32 = 2;
const INVAL_ENTRY: i32 = 3;
const DELETE: i32 = 6;

/// Flag of a notification about a name: it is asked about again when next used, but its children stay
/// cached (`FUSE_EXPIRE_ONLY`, with [`crate::InitFlags::HAS_EXPIRE_ONLY`]).
const EXPIRE_ONLY: u32 = 1 << 0;

/// Which content of a node is not to be believed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// None; only the attributes.
    Attributes,
    /// This range; a length of 0 is all that follows. The attributes too.
    Range { offset: u64, length: u64 },
}

impl Stale {
    /// All of it, and the attributes.
    pub const ALL: Self = Self::Range { offset: 0, length: 0 };
}

/// What the kernel caches of a node is stale (`FUSE_NOTIFY_INVAL_INODE`).
pub fn inval_inode(nodeid: u64, stale: Stale) -> [u8; HEAD_LEN + 24] {
    let (offset, length) = match stale {
        Stale::Attributes => (-1, 0),
        Stale::Range { offset, length } => range(offset, length),
    };
    Filled::new()
        .bytes(0, &out_header(24, INVAL_INODE, 0))
        .u64(HEAD_LEN, nodeid)
        .u64(HEAD_LEN + 8, offset as u64)
        .u64(HEAD_LEN + 16, length as u64)
        .done()
}

/// The range as the kernel counts it: what would end beyond the largest offset has no end.
fn range(offset: u64, length: u64) -> (i64, i64) {
    let end = offset.checked_add(length).and_then(|end| i64::try_from(end).ok());
    let length = end.and_then(|_| i64::try_from(length).ok()).unwrap_or(0);
    (i64::try_from(offset).unwrap_or(i64::MAX), length)
}

/// A name in a directory is stale (`FUSE_NOTIFY_INVAL_ENTRY`). `expire_only` leaves what is below cached.
pub fn inval_entry(parent: u64, name: &[u8], expire_only: bool) -> Vec<u8> {
    let flags = if expire_only { EXPIRE_ONLY } else { 0 };
    let body: [u8; 16] = Filled::new().u64(0, parent).u32(8, name.len() as u32).u32(12, flags).done();
    named(INVAL_ENTRY, &body, name)
}

/// A name in a directory is gone, and was this node (`FUSE_NOTIFY_DELETE`): those who watch it hear of it.
pub fn delete(parent: u64, child: u64, name: &[u8]) -> Vec<u8> {
    let body: [u8; 24] = Filled::new().u64(0, parent).u64(8, child).u32(16, name.len() as u32).done();
    named(DELETE, &body, name)
}

/// A notification that ends in a name and its NUL.
fn named(code: i32, body: &[u8], name: &[u8]) -> Vec<u8> {
    [&out_header(body.len() + name.len() + 1, code, 0)[..], body, name, &[0]].concat()
}

//! Pages of a directory: the answers to READDIR and READDIRPLUS.
//!
//! A page is a row of records, each padded to 8 bytes, that is never longer than the kernel asked for. An
//! empty page is the end of the directory.

use crate::{attributes::Entry, fields::Filled};

/// What a name is (`DT_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DirentKind(pub u32);

#[allow(missing_docs)]
impl DirentKind {
    pub const UNKNOWN: Self = Self(0);
    pub const FIFO: Self = Self(1);
    pub const CHARACTER: Self = Self(2);
    pub const DIRECTORY: Self = Self(4);
    pub const BLOCK: Self = Self(6);
    pub const REGULAR: Self = Self(8);
    pub const SYMLINK: Self = Self(10);
    pub const SOCKET: Self = Self(12);

    /// Of a node with this mode, whose upper bits are the type.
    pub const fn from_mode(mode: u32) -> Self {
        Self((mode >> 12) & 0xf)
    }
}

/// Length in bytes of `struct fuse_dirent` before the name.
const DIRENT_LEN: usize = 24;

/// A page being filled.
#[derive(Debug)]
pub struct Dirents {
    page: Vec<u8>,
    limit: usize,
}

impl Dirents {
    /// An empty page of at most `limit` bytes: the size that the request has, which memory is taken for
    /// at once. Callers bound it.
    pub fn new(limit: usize) -> Self {
        Self { page: Vec::with_capacity(limit), limit }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.page.is_empty()
    }

    /// Adds a record of READDIR, unless it does not fit: then the page is full. `next_offset` is where to
    /// go on after this record; the kernel brings it back as the offset of a later request.
    ///
    /// For a name that is empty or holds a slash the kernel refuses the whole page, so callers leave it
    /// out.
    pub fn push(&mut self, ino: u64, next_offset: u64, kind: DirentKind, name: &[u8]) -> bool {
        self.record(&[], ino, next_offset, kind, name)
    }

    /// Adds a record of READDIRPLUS likewise. An entry with a node counts as a lookup; one without
    /// ([`Entry::default`]) only tells the name, as for "." and "..".
    pub fn push_plus(&mut self, entry: &Entry, next_offset: u64, kind: DirentKind, name: &[u8]) -> bool {
        self.record(&entry.encode(), entry.attributes.ino, next_offset, kind, name)
    }

    fn record(&mut self, entry: &[u8], ino: u64, next_offset: u64, kind: DirentKind, name: &[u8]) -> bool {
        debug_assert!(!name.is_empty() && !name.contains(&b'/'), "no name for the kernel: {name:?}");
        let end = self.page.len() + (entry.len() + DIRENT_LEN + name.len()).next_multiple_of(8);
        if end > self.limit {
            return false;
        }
        let dirent: [u8; DIRENT_LEN] =
            Filled::new().u64(0, ino).u64(8, next_offset).u32(16, name.len() as u32).u32(20, kind.0).done();
        self.page.extend_from_slice(entry);
        self.page.extend_from_slice(&dirent);
        self.page.extend_from_slice(name);
        self.page.resize(end, 0);
        true
    }

    /// The payload of the answer.
    pub fn finish(self) -> Vec<u8> {
        self.page
    }
}

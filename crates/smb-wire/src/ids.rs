//! Identifiers that appear in many messages.

use crate::cursor::{Fixed, Put};

/// A GUID as it stands on the wire (MS-DTYP 2.3.4.2); equal bytes mean the same GUID.
pub type Guid = [u8; 16];

/// Length of [`FileId`] in bytes.
pub const FILE_ID_LEN: usize = 16;

/// SMB2_FILEID (MS-SMB2 2.2.14.1): the name of an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FileId {
    /// Part that survives a durable reconnect.
    pub persistent: u64,
    /// Part that is new with every connect.
    pub volatile: u64,
}

impl FileId {
    /// In a related request: the file of the request before (MS-SMB2 3.3.5.2.7.2).
    pub const RELATED: Self = Self { persistent: u64::MAX, volatile: u64::MAX };

    /// Appends the 16 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u64(self.persistent);
        out.u64(self.volatile);
    }
}

impl<const N: usize> Fixed<'_, N> {
    /// The file id at `at`.
    #[inline(always)]
    pub fn file_id(&self, at: usize) -> FileId {
        FileId { persistent: self.u64(at), volatile: self.u64(at + 8) }
    }
}

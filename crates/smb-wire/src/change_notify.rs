//! CHANGE_NOTIFY (MS-SMB2 2.2.35, 2.2.36) and its entries (MS-FSCC 2.7.1).

use crate::{
    cursor::{Fixed, Put},
    error::WireError,
    ids::FileId,
    name,
    payload::payload_response,
};
use bitflags::bitflags;
use bytes::Bytes;

/// Flag of a request: watch the whole tree below the directory.
pub const WATCH_TREE: u16 = 0x0001;

bitflags! {
    /// Which changes are of interest (MS-SMB2 2.2.35).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct CompletionFilter: u32 {
        /// A file was made, removed or renamed.
        const FILE_NAME = 0x0000_0001;
        /// A directory was made, removed or renamed.
        const DIR_NAME = 0x0000_0002;
        /// Attributes changed.
        const ATTRIBUTES = 0x0000_0004;
        /// The size changed.
        const SIZE = 0x0000_0008;
        /// The last write time changed.
        const LAST_WRITE = 0x0000_0010;
        /// The last access time changed.
        const LAST_ACCESS = 0x0000_0020;
        /// The creation time changed.
        const CREATION = 0x0000_0040;
        /// Extended attributes changed.
        const EA = 0x0000_0080;
        /// The security descriptor changed.
        const SECURITY = 0x0000_0100;
        /// A stream was made, removed or renamed.
        const STREAM_NAME = 0x0000_0200;
        /// A stream's size changed.
        const STREAM_SIZE = 0x0000_0400;
        /// A stream was written.
        const STREAM_WRITE = 0x0000_0800;
        const _ = !0;
    }
}

/// SMB2 CHANGE_NOTIFY request (MS-SMB2 2.2.35).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeNotifyRequest {
    /// Watch the whole tree.
    pub watch_tree: bool,
    /// Most bytes that the client takes.
    pub output_buffer_length: u32,
    /// The directory.
    pub file_id: FileId,
    /// Which changes.
    pub completion_filter: CompletionFilter,
}

impl ChangeNotifyRequest {
    /// Reads the request out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let fixed = Fixed::<32>::body(message, "CHANGE_NOTIFY request", 32)?;
        Ok(Self {
            watch_tree: fixed.u16(2) & WATCH_TREE != 0,
            output_buffer_length: fixed.u32(4),
            file_id: fixed.file_id(8),
            completion_filter: CompletionFilter::from_bits_retain(fixed.u32(24)),
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(32);
        body.u16(u16::from(self.watch_tree));
        body.u32(self.output_buffer_length);
        self.file_id.encode(body);
        body.u32(self.completion_filter.bits());
        body.u32(0);
    }
}

payload_response!(
    ChangeNotifyResponse,
    "SMB2 CHANGE_NOTIFY response (MS-SMB2 2.2.36). Empty with `NOTIFY_ENUM_DIR`: look again for yourself.",
    "CHANGE_NOTIFY response"
);

/// What happened to a name (MS-FSCC 2.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum NotifyAction {
    /// Made.
    Added = 1,
    /// Removed.
    Removed = 2,
    /// Changed.
    Modified = 3,
    /// Renamed; this is the old name.
    RenamedOldName = 4,
    /// Renamed; this is the new name.
    RenamedNewName = 5,
    /// A stream was made.
    AddedStream = 6,
    /// A stream was removed.
    RemovedStream = 7,
    /// A stream was changed.
    ModifiedStream = 8,
}

/// FILE_NOTIFY_INFORMATION (MS-FSCC 2.7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyEntry {
    /// What happened.
    pub action: NotifyAction,
    /// Path below the watched directory, separated by `\`.
    pub name: String,
}

/// The entries as one buffer, or `None` when they exceed `max_length` bytes: then the answer is
/// `NOTIFY_ENUM_DIR` without any.
pub fn encode_notify_entries(entries: &[NotifyEntry], max_length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut previous = None;
    for entry in entries {
        out.align(0, 4);
        let start = out.len();
        if let Some(previous) = previous.replace(start) {
            out.set_size32(previous, start - previous);
        }
        out.u32(0);
        out.u32(entry.action as u32);
        out.size32(name::encoded_len(&entry.name));
        out.utf16(&entry.name);
        if out.len() > max_length {
            return None;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_linked_and_bounded() {
        let entries = [
            NotifyEntry { action: NotifyAction::Added, name: "abc".into() },
            NotifyEntry { action: NotifyAction::Removed, name: "d".into() },
        ];
        let bytes = encode_notify_entries(&entries, 1024).unwrap();
        let expect = [
            20, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, b'a', 0, b'b', 0, b'c', 0, 0, 0, // padded to 4
            0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, b'd', 0,
        ];
        assert_eq!(bytes, expect);
        assert!(encode_notify_entries(&entries, expect.len()).is_some());
        assert!(encode_notify_entries(&entries, expect.len() - 1).is_none());
    }
}

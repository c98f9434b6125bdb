//! Reparse points (MS-FSCC 2.1.2) and the symbolic link error (MS-SMB2 2.2.2.2.1).

use crate::{
    cursor::{Fixed, Put, slice},
    error::WireError,
    name,
};
use bytes::Bytes;

/// Reparse tags (MS-FSCC 2.1.2.1).
pub mod tag {
    /// A directory of another volume.
    pub const MOUNT_POINT: u32 = 0xA000_0003;
    /// A symbolic link.
    pub const SYMLINK: u32 = 0xA000_000C;
    /// A special file made by an NFS server.
    pub const NFS: u32 = 0x8000_0014;
    /// A symbolic link made by WSL.
    pub const LX_SYMLINK: u32 = 0xA000_001D;
    /// A socket.
    pub const AF_UNIX: u32 = 0x8000_0023;
    /// A pipe made by WSL.
    pub const LX_FIFO: u32 = 0x8000_0024;
    /// A character device made by WSL.
    pub const LX_CHR: u32 = 0x8000_0025;
    /// A block device made by WSL.
    pub const LX_BLK: u32 = 0x8000_0026;
}

/// Longest reparse data, in bytes (MAXIMUM_REPARSE_DATA_BUFFER_SIZE).
pub const MAX_REPARSE_LEN: usize = 16 * 1024;

const SYMLINK_FLAG_RELATIVE: u32 = 1;

/// The data of a reparse point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReparseData {
    /// A symbolic link (2.1.2.4).
    Symlink(Symlink),
    /// A mount point (2.1.2.5).
    MountPoint {
        /// Where it leads.
        substitute_name: String,
        /// What is shown.
        print_name: String,
    },
    /// Any other tag; for tags without Microsoft's bit the first 16 bytes are a GUID.
    Other {
        /// The tag.
        tag: u32,
        /// The data.
        data: Bytes,
    },
}

/// Where a symbolic link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symlink {
    /// Where it leads.
    pub substitute_name: String,
    /// What is shown.
    pub print_name: String,
    /// `substitute_name` counts from the directory of the link.
    pub relative: bool,
}

impl ReparseData {
    /// Reads a REPARSE_DATA_BUFFER.
    pub fn decode(buffer: &Bytes) -> Result<Self, WireError> {
        let what = "reparse data";
        let fixed = Fixed::<8>::new(buffer, what)?;
        let length = fixed.size16(4);
        if 8 + length != buffer.len() {
            return Err(WireError::BadRange { what, offset: 8, length });
        }
        let data = slice(buffer, 8, length, what)?;
        Ok(match fixed.u32(0) {
            tag::SYMLINK => {
                let flags = Fixed::<12>::new(&data, what)?.u32(8);
                let (substitute_name, print_name) = read_names(&data, 12)?;
                let relative = flags & SYMLINK_FLAG_RELATIVE != 0;
                Self::Symlink(Symlink { substitute_name, print_name, relative })
            }
            tag::MOUNT_POINT => {
                let (substitute_name, print_name) = read_names(&data, 8)?;
                Self::MountPoint { substitute_name, print_name }
            }
            tag => Self::Other { tag, data },
        })
    }

    /// The tag.
    pub fn tag(&self) -> u32 {
        match self {
            Self::Symlink(_) => tag::SYMLINK,
            Self::MountPoint { .. } => tag::MOUNT_POINT,
            Self::Other { tag, .. } => *tag,
        }
    }

    /// Appends a REPARSE_DATA_BUFFER.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.tag());
        let length_at = out.len();
        out.u32(0);
        match self {
            Self::Symlink(link) => link.encode(out),
            Self::MountPoint { substitute_name, print_name } => {
                put_name_table(substitute_name, print_name, 2, out);
                out.utf16(substitute_name);
                out.u16(0);
                out.utf16(print_name);
                out.u16(0);
            }
            Self::Other { data, .. } => out.bytes(data),
        }
        let length = out.len() - length_at - 4;
        out.set_size16(length_at, length);
    }
}

impl Symlink {
    fn encode(&self, out: &mut Vec<u8>) {
        put_name_table(&self.substitute_name, &self.print_name, 0, out);
        out.u32(if self.relative { SYMLINK_FLAG_RELATIVE } else { 0 });
        out.utf16(&self.substitute_name);
        out.utf16(&self.print_name);
    }

    /// The data of an ERROR response with `STOPPED_ON_SYMLINK`: where the link leads, and how many bytes at
    /// the end of the path (as UTF-16) come after the link (MS-SMB2 2.2.2.2.1).
    pub fn encode_error(&self, unparsed_path_length: u16) -> Vec<u8> {
        const SYMLINK_ERROR_TAG: u32 = 0x4C4D_5953;
        let mut out = Vec::new();
        out.u32(0);
        out.u32(SYMLINK_ERROR_TAG);
        out.u32(tag::SYMLINK);
        out.u16(0);
        out.u16(unparsed_path_length);
        let start = out.len();
        self.encode(&mut out);
        let (reparse_length, length) = (out.len() - start, out.len() - 4);
        out.set_size32(0, length);
        out.set_size16(12, reparse_length);
        out
    }
}

/// Offsets and lengths of the two names, `gap` bytes apart.
fn put_name_table(substitute_name: &str, print_name: &str, gap: usize, out: &mut Vec<u8>) {
    let substitute_length = name::encoded_len(substitute_name);
    out.size16(0);
    out.size16(substitute_length);
    out.size16(substitute_length + gap);
    out.size16(name::encoded_len(print_name));
}

fn read_names(data: &Bytes, names_at: usize) -> Result<(String, String), WireError> {
    let what = "reparse data names";
    let fixed = Fixed::<8>::new(data, what)?;
    let read = |offset_at, length_at| {
        let name = slice(data, names_at + fixed.size16(offset_at), fixed.size16(length_at), what)?;
        name::decode(&name, what)
    };
    Ok((read(0, 2)?, read(4, 6)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(data: ReparseData) {
        let mut bytes = Vec::new();
        data.encode(&mut bytes);
        assert_eq!(ReparseData::decode(&bytes.clone().into()).as_ref(), Ok(&data));
        bytes.pop();
        assert!(ReparseData::decode(&bytes.into()).is_err());
    }

    #[test]
    fn every_kind_survives() {
        let link = Symlink { substitute_name: "..\\x".into(), print_name: "../x".into(), relative: true };
        round_trip(ReparseData::Symlink(link));
        let (substitute_name, print_name) = ("\\??\\C:\\x".into(), "C:\\x".into());
        round_trip(ReparseData::MountPoint { substitute_name, print_name });
        round_trip(ReparseData::Other { tag: tag::NFS, data: Bytes::from_static(b"LNK\x01\0\0\0\0") });
    }

    #[test]
    fn symlink_error_layout() {
        let link = Symlink { substitute_name: "b".into(), print_name: "b".into(), relative: true };
        let expect = [
            28, 0, 0, 0, b'S', b'Y', b'M', b'L', 0x0C, 0, 0, 0xA0, 16, 0, 6, 0, // heads
            0, 0, 2, 0, 2, 0, 2, 0, 1, 0, 0, 0, b'b', 0, b'b', 0,
        ];
        assert_eq!(link.encode_error(6), expect);
    }
}

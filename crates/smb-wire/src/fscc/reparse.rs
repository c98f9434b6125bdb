//! Reparse points (MS-FSCC 2.1.2) and the symbolic link error (MS-SMB2 2.2.2.2.1).

use crate::{
    cursor::{Fixed, Put, Reader, slice},
    error::WireError,
    ids::Guid,
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
const SYMLINK_ERROR_TAG: u32 = 0x4C4D_5953;

/// Microsoft's bit of a tag: without it a GUID says whose reparse point it is.
const TAG_MICROSOFT: u32 = 0x8000_0000;

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
    /// A special file, in the form of NFS servers (2.1.2.6).
    Nfs(SpecialFile),
    /// A symbolic link of WSL: its target in UTF-8 (2.1.2.7).
    LinuxSymlink(Bytes),
    /// Any other tag.
    Other {
        /// The tag.
        tag: u32,
        /// Whose it is, for tags without Microsoft's bit (2.1.2.3).
        guid: Option<Guid>,
        /// The data.
        data: Bytes,
    },
}

/// What NFS and the Linux client store files as that are neither files nor directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecialFile {
    /// A symbolic link, by the target that it was made with.
    Symlink(String),
    /// A character device, by its major and minor number.
    CharacterDevice(u32, u32),
    /// A block device, by its major and minor number.
    BlockDevice(u32, u32),
    /// A pipe.
    Fifo,
    /// A socket.
    Socket,
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

/// The head of a reparse buffer: tag, GUID, and the data.
fn split(buffer: &Bytes) -> Result<(u32, Option<Guid>, Bytes), WireError> {
    let what = "reparse data";
    let fixed = Fixed::<8>::new(buffer, what)?;
    let (tag, length) = (fixed.u32(0), fixed.size16(4));
    let (guid, head) = match tag & TAG_MICROSOFT {
        0 => (Some(Fixed::<24>::new(buffer, what)?.array(8)), 24),
        _ => (None, 8),
    };
    if head + length != buffer.len() || buffer.len() > MAX_REPARSE_LEN {
        return Err(WireError::BadRange { what, offset: head, length });
    }
    Ok((tag, guid, buffer.slice(head..)))
}

/// Reads the input of FSCTL_DELETE_REPARSE_POINT (2.3.5): which tag the file must have, and for tags without
/// Microsoft's bit which GUID. The buffer must hold no data.
pub fn decode_reparse_deletion(buffer: &Bytes) -> Result<(u32, Option<Guid>), WireError> {
    let (tag, guid, data) = split(buffer)?;
    match data.len() {
        0 => Ok((tag, guid)),
        length => Err(WireError::BadValue { what: "reparse data to delete", value: length as u64 }),
    }
}

impl ReparseData {
    /// Reads a REPARSE_DATA_BUFFER or REPARSE_GUID_DATA_BUFFER: the input of FSCTL_SET_REPARSE_POINT, the output of
    /// FSCTL_GET_REPARSE_POINT.
    pub fn decode(buffer: &Bytes) -> Result<Self, WireError> {
        let what = "reparse data";
        let (tag, guid, data) = split(buffer)?;
        Ok(match tag {
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
            tag::NFS => Self::Nfs(SpecialFile::decode(&data)?),
            tag::LX_SYMLINK => match Fixed::<4>::new(&data, what)?.u32(0) {
                LX_SYMLINK_VERSION => Self::LinuxSymlink(data.slice(4..)),
                version => return Err(WireError::BadValue { what, value: u64::from(version) }),
            },
            tag => Self::Other { tag, guid, data },
        })
    }

    /// The tag.
    pub fn tag(&self) -> u32 {
        match self {
            Self::Symlink(_) => tag::SYMLINK,
            Self::MountPoint { .. } => tag::MOUNT_POINT,
            Self::Nfs(_) => tag::NFS,
            Self::LinuxSymlink(_) => tag::LX_SYMLINK,
            Self::Other { tag, .. } => *tag,
        }
    }

    /// Appends a REPARSE_DATA_BUFFER or REPARSE_GUID_DATA_BUFFER.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.tag());
        let length_at = out.len();
        out.u32(0);
        if let Self::Other { guid: Some(guid), .. } = self {
            out.bytes(guid);
        }
        let start = out.len();
        match self {
            Self::Symlink(link) => link.encode(out),
            Self::MountPoint { substitute_name, print_name } => {
                put_name_table(substitute_name, print_name, 2, out);
                out.utf16(substitute_name);
                out.u16(0);
                out.utf16(print_name);
                out.u16(0);
            }
            Self::Nfs(special) => special.encode(out),
            Self::LinuxSymlink(target) => {
                out.u32(LX_SYMLINK_VERSION);
                out.bytes(target);
            }
            Self::Other { data, .. } => out.bytes(data),
        }
        let length = out.len() - start;
        out.set_size16(length_at, length);
    }
}

const LX_SYMLINK_VERSION: u32 = 2;

impl SpecialFile {
    const LINK: u64 = 0x014B_4E4C;
    const CHARACTER: u64 = 0x0052_4843;
    const BLOCK: u64 = 0x004B_4C42;
    const FIFO: u64 = 0x4F46_4946;
    const SOCKET: u64 = 0x4B43_4F53;

    fn decode(data: &[u8]) -> Result<Self, WireError> {
        let what = "NFS reparse data";
        let mut reader = Reader::new(data, what);
        Ok(match reader.u64()? {
            Self::LINK => Self::Symlink(reader.utf16(reader.remaining())?),
            Self::CHARACTER => Self::CharacterDevice(reader.u32()?, reader.u32()?),
            Self::BLOCK => Self::BlockDevice(reader.u32()?, reader.u32()?),
            Self::FIFO => Self::Fifo,
            Self::SOCKET => Self::Socket,
            value => return Err(WireError::BadValue { what, value }),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (kind, numbers) = match self {
            Self::Symlink(_) => (Self::LINK, None),
            Self::CharacterDevice(major, minor) => (Self::CHARACTER, Some([*major, *minor])),
            Self::BlockDevice(major, minor) => (Self::BLOCK, Some([*major, *minor])),
            Self::Fifo => (Self::FIFO, None),
            Self::Socket => (Self::SOCKET, None),
        };
        out.u64(kind);
        if let Self::Symlink(target) = self {
            out.utf16(target);
        }
        numbers.into_iter().flatten().for_each(|number| out.u32(number));
    }
}

impl Symlink {
    fn encode(&self, out: &mut Vec<u8>) {
        put_name_table(&self.substitute_name, &self.print_name, 0, out);
        out.u32(if self.relative { SYMLINK_FLAG_RELATIVE } else { 0 });
        out.utf16(&self.substitute_name);
        out.utf16(&self.print_name);
    }

    /// Reads the data of an ERROR response with `STOPPED_ON_SYMLINK`; gives the length of the rest of the path too.
    pub fn decode_error(data: &Bytes) -> Result<(Self, u16), WireError> {
        let what = "symbolic link error";
        let fixed = Fixed::<16>::new(data, what)?;
        if fixed.u32(4) != SYMLINK_ERROR_TAG {
            return Err(WireError::BadValue { what, value: u64::from(fixed.u32(4)) });
        }
        // From its tag on it is a reparse buffer, but for the reserved field.
        let mut buffer = data[8..].to_vec();
        buffer.set_size16(6, 0);
        match ReparseData::decode(&buffer.into())? {
            ReparseData::Symlink(link) => Ok((link, fixed.u16(14))),
            other => Err(WireError::BadValue { what, value: u64::from(other.tag()) }),
        }
    }

    /// The data of an ERROR response with `STOPPED_ON_SYMLINK`: where the link leads, and how many bytes at
    /// the end of the path (as UTF-16) come after the link (MS-SMB2 2.2.2.2.1).
    pub fn encode_error(&self, unparsed_path_length: u16) -> Vec<u8> {
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
        round_trip(ReparseData::Nfs(SpecialFile::CharacterDevice(1, 3)));
        round_trip(ReparseData::Nfs(SpecialFile::BlockDevice(8, 0)));
        round_trip(ReparseData::Nfs(SpecialFile::Symlink("../é".into())));
        round_trip(ReparseData::Nfs(SpecialFile::Fifo));
        round_trip(ReparseData::Nfs(SpecialFile::Socket));
        round_trip(ReparseData::LinuxSymlink(Bytes::from_static(b"/x")));
        let data = Bytes::from_static(b"abc");
        round_trip(ReparseData::Other { tag: tag::AF_UNIX, guid: None, data: data.clone() });
        round_trip(ReparseData::Other { tag: 0x0000_0042, guid: Some([7; 16]), data });
    }

    /// MS-FSCC 2.1.2.6: the types are the letters of their names.
    #[test]
    fn nfs_layout() {
        let mut bytes = Vec::new();
        ReparseData::Nfs(SpecialFile::Symlink("a".into())).encode(&mut bytes);
        assert_eq!(bytes, *b"\x14\0\0\x80\x0A\0\0\0LNK\x01\0\0\0\0a\0");
        for (special, letters) in [
            (SpecialFile::CharacterDevice(1, 2), b"CHR\0"),
            (SpecialFile::BlockDevice(1, 2), b"BLK\0"),
            (SpecialFile::Fifo, b"FIFO"),
            (SpecialFile::Socket, b"SOCK"),
        ] {
            let mut bytes = Vec::new();
            ReparseData::Nfs(special).encode(&mut bytes);
            assert_eq!(bytes[8..12], *letters);
        }
        let unknown = Bytes::from_static(b"\x14\0\0\x80\x08\0\0\0XXXX\0\0\0\0");
        assert!(ReparseData::decode(&unknown).is_err());
    }

    #[test]
    fn deletions_name_the_tag_alone() {
        let link = Bytes::from_static(b"\x0C\0\0\xA0\0\0\0\0");
        assert_eq!(decode_reparse_deletion(&link), Ok((tag::SYMLINK, None)));
        let guid = [&[0x42, 0, 0, 0, 0, 0, 0, 0][..], &[7; 16]].concat();
        assert_eq!(decode_reparse_deletion(&guid.clone().into()), Ok((0x42, Some([7; 16]))));
        assert!(decode_reparse_deletion(&guid[..8].to_vec().into()).is_err(), "no GUID");
        let data = Bytes::from_static(b"\x0C\0\0\xA0\x01\0\0\0x");
        assert!(decode_reparse_deletion(&data).is_err(), "data");
        let mut long = vec![0x23, 0, 0, 0x80];
        long.size16(MAX_REPARSE_LEN - 7);
        long.resize(MAX_REPARSE_LEN + 1, 0);
        assert!(ReparseData::decode(&long.into()).is_err(), "too long");
    }

    #[test]
    fn symlink_error_layout() {
        let link = Symlink { substitute_name: "b".into(), print_name: "b".into(), relative: true };
        let expect = [
            28, 0, 0, 0, b'S', b'Y', b'M', b'L', 0x0C, 0, 0, 0xA0, 16, 0, 6, 0, // heads
            0, 0, 2, 0, 2, 0, 2, 0, 1, 0, 0, 0, b'b', 0, b'b', 0,
        ];
        assert_eq!(link.encode_error(6), expect);
        assert_eq!(Symlink::decode_error(&expect.to_vec().into()), Ok((link, 6)));
    }
}

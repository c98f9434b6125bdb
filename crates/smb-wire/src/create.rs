//! CREATE (MS-SMB2 2.2.13, 2.2.14). Its contexts live in [`context`].

pub mod apple;
pub mod context;
pub mod lease;

pub use context::{CreateContext, CreateResponseContext};
pub use lease::{LeaseContext, LeaseFlags, LeaseKey, LeaseState};

use crate::{
    HEADER_LEN,
    access::AccessMask,
    cursor::{Fixed, Put, buffer},
    error::WireError,
    fscc::FileAttributes,
    ids::FileId,
    name,
    time::FileTime,
};
use bitflags::bitflags;
use bytes::Bytes;

/// An oplock level; numbers without a name are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct OplockLevel(pub u8);

impl OplockLevel {
    /// None.
    pub const NONE: Self = Self(0x00);
    /// Level II: read caching.
    pub const LEVEL_II: Self = Self(0x01);
    /// Exclusive: read and write caching.
    pub const EXCLUSIVE: Self = Self(0x08);
    /// Batch: read, write and handle caching.
    pub const BATCH: Self = Self(0x09);
    /// A lease is asked for or granted in a context.
    pub const LEASE: Self = Self(0xFF);
}

bitflags! {
    /// What an open lets others do at the same time.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ShareAccess: u32 {
        /// Open for reading.
        const READ = 0x0000_0001;
        /// Open for writing.
        const WRITE = 0x0000_0002;
        /// Open for deleting.
        const DELETE = 0x0000_0004;
        const _ = !0;
    }
}

/// What to do when the file exists or does not. A number without a name is kept: taking up a durable open passes
/// over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CreateDisposition {
    /// Exists: replace. Else: create.
    Supersede,
    /// Exists: open. Else: fail.
    Open,
    /// Exists: fail. Else: create.
    Create,
    /// Exists: open. Else: create.
    OpenIf,
    /// Exists: open and truncate. Else: fail.
    Overwrite,
    /// Exists: open and truncate. Else: create.
    OverwriteIf,
    /// Any other number.
    Other(u32),
}

impl CreateDisposition {
    const NAMED: [Self; 6] =
        [Self::Supersede, Self::Open, Self::Create, Self::OpenIf, Self::Overwrite, Self::OverwriteIf];

    /// The disposition with this number.
    pub fn from_code(code: u32) -> Self {
        Self::NAMED.get(code as usize).copied().unwrap_or(Self::Other(code))
    }

    /// Its number.
    pub fn code(self) -> u32 {
        match self {
            Self::Supersede => 0,
            Self::Open => 1,
            Self::Create => 2,
            Self::OpenIf => 3,
            Self::Overwrite => 4,
            Self::OverwriteIf => 5,
            Self::Other(code) => code,
        }
    }
}

bitflags! {
    /// CreateOptions. Bits without a name are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct CreateOptions: u32 {
        /// Must be a directory.
        const DIRECTORY_FILE = 0x0000_0001;
        /// Writes reach stable storage before they are answered.
        const WRITE_THROUGH = 0x0000_0002;
        /// Access will be sequential.
        const SEQUENTIAL_ONLY = 0x0000_0004;
        /// No buffering between the client and the medium.
        const NO_INTERMEDIATE_BUFFERING = 0x0000_0008;
        /// Ignored by servers.
        const SYNCHRONOUS_IO_ALERT = 0x0000_0010;
        /// Ignored by servers.
        const SYNCHRONOUS_IO_NONALERT = 0x0000_0020;
        /// Must not be a directory.
        const NON_DIRECTORY_FILE = 0x0000_0040;
        /// No meaning over SMB2: refused.
        const CREATE_TREE_CONNECTION = 0x0000_0080;
        /// Do not wait for an oplock break.
        const COMPLETE_IF_OPLOCKED = 0x0000_0100;
        /// The client does not know extended attributes.
        const NO_EA_KNOWLEDGE = 0x0000_0200;
        /// Ignored by servers.
        const OPEN_REMOTE_INSTANCE = 0x0000_0400;
        /// Access will be random.
        const RANDOM_ACCESS = 0x0000_0800;
        /// Delete when the last handle closes; needs DELETE access.
        const DELETE_ON_CLOSE = 0x0000_1000;
        /// The name is a file id; answered NOT_SUPPORTED.
        const OPEN_BY_FILE_ID = 0x0000_2000;
        /// Open for backup.
        const OPEN_FOR_BACKUP_INTENT = 0x0000_4000;
        /// Do not compress.
        const NO_COMPRESSION = 0x0000_8000;
        /// Ignored by servers.
        const OPEN_REQUIRING_OPLOCK = 0x0001_0000;
        /// Ignored by servers.
        const DISALLOW_EXCLUSIVE = 0x0002_0000;
        /// Answered NOT_SUPPORTED.
        const RESERVE_OPFILTER = 0x0010_0000;
        /// Open the reparse point itself.
        const OPEN_REPARSE_POINT = 0x0020_0000;
        /// Do not recall from remote storage.
        const OPEN_NO_RECALL = 0x0040_0000;
        /// Query free space for the user.
        const OPEN_FOR_FREE_SPACE_QUERY = 0x0080_0000;
        const _ = !0;
    }
}

/// SMB2 CREATE request (MS-SMB2 2.2.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// The oplock asked for.
    pub oplock_level: OplockLevel,
    /// 0 to 3; a server answers BAD_IMPERSONATION_LEVEL above that.
    pub impersonation_level: u32,
    /// Rights asked for.
    pub desired_access: AccessMask,
    /// Attributes of a file that is created.
    pub file_attributes: FileAttributes,
    /// What others may do meanwhile.
    pub share_access: ShareAccess,
    /// What to do when the file exists or does not.
    pub create_disposition: CreateDisposition,
    /// How to open.
    pub create_options: CreateOptions,
    /// Path below the share, separated by `\`, without a leading one; empty for the root. It may hold a
    /// stream name after `:`.
    pub name: String,
    /// In the client's order.
    pub contexts: Vec<CreateContext>,
}

impl CreateRequest {
    const FIXED: usize = 56;

    /// Reads the request out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "CREATE request";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 57)?;
        let earliest = HEADER_LEN + Self::FIXED;
        let path = buffer(message, earliest, fixed.size16(44), fixed.size16(46), "CREATE name")?;
        let contexts = buffer(message, earliest, fixed.size32(48), fixed.size32(52), "CREATE contexts")?;
        Ok(Self {
            oplock_level: OplockLevel(fixed.u8(3)),
            impersonation_level: fixed.u32(4),
            desired_access: AccessMask::from_bits_retain(fixed.u32(24)),
            file_attributes: FileAttributes::from_bits_retain(fixed.u32(28)),
            share_access: ShareAccess::from_bits_retain(fixed.u32(32)),
            create_disposition: CreateDisposition::from_code(fixed.u32(36)),
            create_options: CreateOptions::from_bits_retain(fixed.u32(40)),
            name: name::decode(&path, "CREATE name")?,
            contexts: context::decode_request_list(&contexts)?,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        let start = body.len();
        body.u16(57);
        body.u8(0);
        body.u8(self.oplock_level.0);
        body.u32(self.impersonation_level);
        body.zeros(16);
        body.u32(self.desired_access.bits());
        body.u32(self.file_attributes.bits());
        body.u32(self.share_access.bits());
        body.u32(self.create_disposition.code());
        body.u32(self.create_options.bits());
        body.size16(HEADER_LEN + Self::FIXED);
        body.size16(name::encoded_len(&self.name));
        body.zeros(8);
        body.utf16(&self.name);
        if !self.contexts.is_empty() {
            body.align(start, 8);
            let at = body.len();
            context::encode_request_list(&self.contexts, body);
            let length = body.len() - at;
            body.set_size32(start + 48, HEADER_LEN + at - start);
            body.set_size32(start + 52, length);
        } else if self.name.is_empty() {
            body.u8(0);
        }
    }
}

/// What a CREATE did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CreateAction {
    /// Replaced a file.
    Superseded = 0,
    /// Opened a file.
    Opened = 1,
    /// Made a file.
    Created = 2,
    /// Truncated a file.
    Overwritten = 3,
}

/// SMB2 CREATE response (MS-SMB2 2.2.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateResponse {
    /// The oplock granted.
    pub oplock_level: OplockLevel,
    /// Bit 0: the last component of the path is a reparse point (3.x).
    pub flags: u8,
    /// What was done.
    pub create_action: CreateAction,
    /// When the file was made.
    pub creation_time: FileTime,
    /// When it was last read.
    pub last_access_time: FileTime,
    /// When its data last changed.
    pub last_write_time: FileTime,
    /// When anything about it last changed.
    pub change_time: FileTime,
    /// Space that it takes, in bytes.
    pub allocation_size: u64,
    /// Its length in bytes.
    pub end_of_file: u64,
    /// Its attributes.
    pub file_attributes: FileAttributes,
    /// The open.
    pub file_id: FileId,
    /// Answers to the request's contexts.
    pub contexts: Vec<CreateResponseContext>,
}

impl CreateResponse {
    const FIXED: usize = 88;

    /// Reads the response out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "CREATE response";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 89)?;
        let earliest = HEADER_LEN + Self::FIXED;
        let contexts = buffer(message, earliest, fixed.size32(80), fixed.size32(84), what)?;
        Ok(Self {
            oplock_level: OplockLevel(fixed.u8(2)),
            flags: fixed.u8(3),
            create_action: match fixed.u32(4) {
                0 => CreateAction::Superseded,
                1 => CreateAction::Opened,
                2 => CreateAction::Created,
                3 => CreateAction::Overwritten,
                other => {
                    let value = u64::from(other);
                    return Err(WireError::BadValue { what: "CREATE CreateAction", value });
                }
            },
            creation_time: FileTime(fixed.u64(8)),
            last_access_time: FileTime(fixed.u64(16)),
            last_write_time: FileTime(fixed.u64(24)),
            change_time: FileTime(fixed.u64(32)),
            allocation_size: fixed.u64(40),
            end_of_file: fixed.u64(48),
            file_attributes: FileAttributes::from_bits_retain(fixed.u32(56)),
            file_id: fixed.file_id(64),
            contexts: context::decode_response_list(&contexts)?,
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        let start = body.len();
        body.u16(89);
        body.u8(self.oplock_level.0);
        body.u8(self.flags);
        body.u32(self.create_action as u32);
        for time in [self.creation_time, self.last_access_time, self.last_write_time, self.change_time] {
            body.u64(time.0);
        }
        body.u64(self.allocation_size);
        body.u64(self.end_of_file);
        body.u32(self.file_attributes.bits());
        body.u32(0);
        self.file_id.encode(body);
        body.zeros(8);
        if !self.contexts.is_empty() {
            context::encode_response_list(&self.contexts, body);
            let length = body.len() - start - Self::FIXED;
            body.set_size32(start + 80, HEADER_LEN + Self::FIXED);
            body.set_size32(start + 84, length);
        }
    }
}

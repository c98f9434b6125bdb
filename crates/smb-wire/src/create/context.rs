//! Create contexts: the options of a CREATE and their answers (MS-SMB2 2.2.13.2, 2.2.14.2).
//!
//! Both directions use the same list: entries linked by offsets, each with a tag (four letters or a GUID)
//! and data. A context with a known tag and impossible data is an error; unknown tags are kept as they
//! are, and a server passes over them.

use super::lease::LeaseContext;
use crate::{
    access::AccessMask,
    cursor::{Fixed, Put, Reader, slice},
    error::WireError,
    ids::{FileId, Guid},
    sid::Sid,
    status::NtStatus,
    time::FileTime,
};
use bitflags::bitflags;
use bytes::Bytes;

/// Most contexts that a list may hold; a longer list is refused.
pub const MAX_CREATE_CONTEXTS: usize = 64;

const ENTRY_LEN: usize = 16;

const EXT_A: &[u8] = b"ExtA";
const SEC_D: &[u8] = b"SecD";
const DHNQ: &[u8] = b"DHnQ";
const DHNC: &[u8] = b"DHnC";
const DH2Q: &[u8] = b"DH2Q";
const DH2C: &[u8] = b"DH2C";
const AL_SI: &[u8] = b"AlSi";
const MX_AC: &[u8] = b"MxAc";
const TWRP: &[u8] = b"TWrp";
const QFID: &[u8] = b"QFid";
const RQLS: &[u8] = b"RqLs";
const AAPL: &[u8] = b"AAPL";
const POSIX: &[u8] = &crate::negotiate::context::POSIX_VERSION;
const APP_INSTANCE_ID: &[u8] =
    &[0x45, 0xBC, 0xA6, 0x6A, 0xEF, 0xA7, 0xF7, 0x4A, 0x90, 0x08, 0xFA, 0x46, 0x2E, 0x14, 0x4D, 0x74];
const APP_INSTANCE_VERSION: &[u8] =
    &[0xB9, 0x82, 0xD0, 0xB7, 0x3B, 0x56, 0x07, 0x4F, 0xA0, 0x7B, 0x52, 0x4A, 0x81, 0x16, 0xA0, 0x10];

bitflags! {
    /// Flags of durable handles, version 2.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct DurableFlags: u32 {
        /// The handle shall survive a restart of the server.
        const PERSISTENT = 0x0000_0002;
        const _ = !0;
    }
}

/// A context of a CREATE request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateContext {
    /// `ExtA`: extended attributes of a new file, as FILE_FULL_EA_INFORMATION ([`crate::fscc::ea`]).
    ExtendedAttributes(Bytes),
    /// `SecD`: security descriptor of a new file.
    SecurityDescriptor(Bytes),
    /// `DHnQ`: asks for a durable handle.
    DurableRequest,
    /// `DHnC`: takes a durable handle up again.
    DurableReconnect(FileId),
    /// `DH2Q`: asks for a durable or persistent handle, version 2.
    DurableRequestV2 {
        /// How long the handle shall be kept after a disconnect; 0 leaves it to the server.
        timeout_ms: u32,
        /// Durable or persistent.
        flags: DurableFlags,
        /// The client's name for this open, for replay and reconnect.
        create_guid: Guid,
    },
    /// `DH2C`: takes a handle of version 2 up again.
    DurableReconnectV2 {
        /// The handle.
        file_id: FileId,
        /// The CreateGuid with which it was made.
        create_guid: Guid,
        /// Durable or persistent.
        flags: DurableFlags,
    },
    /// `AlSi`: space to reserve, in bytes.
    AllocationSize(u64),
    /// `MxAc`: asks for the maximal access, if the file changed since the time given.
    QueryMaximalAccess(Option<FileTime>),
    /// `TWrp`: open the version of this time.
    TimeWarp(FileTime),
    /// `QFid`: asks for the file's id on disk.
    QueryOnDiskId,
    /// `RqLs`: asks for a lease.
    Lease(LeaseContext),
    /// `AAPL`: Apple's extensions ([`super::apple`]).
    Apple(Bytes),
    /// SMB3 POSIX extensions: the mode of a new file.
    Posix {
        /// Permission bits of `st_mode`.
        mode: u32,
    },
    /// Which instance of an application opens the file: another instance's open gives way.
    AppInstanceId(Guid),
    /// Version of that instance.
    AppInstanceVersion {
        /// Upper half.
        high: u64,
        /// Lower half.
        low: u64,
    },
    /// Any other tag.
    Other {
        /// The tag, at least four bytes.
        tag: Bytes,
        /// The data.
        data: Bytes,
    },
}

impl CreateContext {
    fn decode(tag: Bytes, data: Bytes) -> Result<Self, WireError> {
        let what = "create context";
        let mut reader = Reader::new(&data, what);
        Ok(match &*tag {
            EXT_A => Self::ExtendedAttributes(data),
            SEC_D => Self::SecurityDescriptor(data),
            DHNQ => {
                Fixed::<16>::new(&data, "durable request context")?;
                Self::DurableRequest
            }
            DHNC => Self::DurableReconnect(file_id(&mut reader)?),
            DH2Q => {
                let (timeout_ms, flags) = (reader.u32()?, DurableFlags::from_bits_retain(reader.u32()?));
                reader.skip(8)?;
                Self::DurableRequestV2 { timeout_ms, flags, create_guid: reader.array()? }
            }
            DH2C => Self::DurableReconnectV2 {
                file_id: file_id(&mut reader)?,
                create_guid: reader.array()?,
                flags: DurableFlags::from_bits_retain(reader.u32()?),
            },
            AL_SI => Self::AllocationSize(reader.u64()?),
            MX_AC if data.is_empty() => Self::QueryMaximalAccess(None),
            MX_AC => Self::QueryMaximalAccess(Some(FileTime(reader.u64()?))),
            TWRP => Self::TimeWarp(FileTime(reader.u64()?)),
            QFID => Self::QueryOnDiskId,
            RQLS => Self::Lease(LeaseContext::decode(&data)?),
            AAPL => Self::Apple(data),
            POSIX => Self::Posix { mode: reader.u32()? },
            APP_INSTANCE_ID => {
                reader.skip(4)?;
                Self::AppInstanceId(reader.array()?)
            }
            APP_INSTANCE_VERSION => {
                reader.skip(8)?;
                Self::AppInstanceVersion { high: reader.u64()?, low: reader.u64()? }
            }
            _ => Self::Other { tag, data },
        })
    }

    fn tag(&self) -> &[u8] {
        match self {
            Self::ExtendedAttributes(_) => EXT_A,
            Self::SecurityDescriptor(_) => SEC_D,
            Self::DurableRequest => DHNQ,
            Self::DurableReconnect(_) => DHNC,
            Self::DurableRequestV2 { .. } => DH2Q,
            Self::DurableReconnectV2 { .. } => DH2C,
            Self::AllocationSize(_) => AL_SI,
            Self::QueryMaximalAccess(_) => MX_AC,
            Self::TimeWarp(_) => TWRP,
            Self::QueryOnDiskId => QFID,
            Self::Lease(_) => RQLS,
            Self::Apple(_) => AAPL,
            Self::Posix { .. } => POSIX,
            Self::AppInstanceId(_) => APP_INSTANCE_ID,
            Self::AppInstanceVersion { .. } => APP_INSTANCE_VERSION,
            Self::Other { tag, .. } => tag,
        }
    }

    fn encode_data(&self, out: &mut Vec<u8>) {
        match self {
            Self::ExtendedAttributes(data) | Self::SecurityDescriptor(data) | Self::Apple(data) => {
                out.bytes(data);
            }
            Self::DurableRequest => out.zeros(16),
            Self::DurableReconnect(file_id) => file_id.encode(out),
            Self::DurableRequestV2 { timeout_ms, flags, create_guid } => {
                out.u32(*timeout_ms);
                out.u32(flags.bits());
                out.zeros(8);
                out.bytes(create_guid);
            }
            Self::DurableReconnectV2 { file_id, create_guid, flags } => {
                file_id.encode(out);
                out.bytes(create_guid);
                out.u32(flags.bits());
            }
            Self::AllocationSize(size) => out.u64(*size),
            Self::QueryMaximalAccess(None) | Self::QueryOnDiskId => {}
            Self::QueryMaximalAccess(Some(time)) | Self::TimeWarp(time) => out.u64(time.0),
            Self::Lease(lease) => lease.encode(out),
            Self::Posix { mode } => out.u32(*mode),
            Self::AppInstanceId(id) => {
                out.u16(20);
                out.u16(0);
                out.bytes(id);
            }
            Self::AppInstanceVersion { high, low } => {
                out.u16(24);
                out.zeros(6);
                out.u64(*high);
                out.u64(*low);
            }
            Self::Other { data, .. } => out.bytes(data),
        }
    }
}

/// A context of a CREATE response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateResponseContext {
    /// `DHnQ`: the handle is durable.
    Durable,
    /// `DH2Q`: the handle is durable or persistent.
    DurableV2 {
        /// How long it is kept after a disconnect.
        timeout_ms: u32,
        /// Durable or persistent.
        flags: DurableFlags,
    },
    /// `MxAc`: the maximal access.
    MaximalAccess {
        /// Whether the question could be answered.
        status: NtStatus,
        /// The answer.
        access: AccessMask,
    },
    /// `QFid`: where the file is on disk.
    OnDiskId {
        /// Number of the file on its volume.
        file_id: u64,
        /// Number of the volume.
        volume_id: u64,
    },
    /// `RqLs`: the lease granted.
    Lease(LeaseContext),
    /// `AAPL`: Apple's extensions ([`super::apple`]).
    Apple(Bytes),
    /// SMB3 POSIX extensions.
    Posix {
        /// Hard links.
        link_count: u32,
        /// Reparse tag, 0 for none.
        reparse_tag: u32,
        /// Type and permissions, see [`crate::fscc::posix::PosixMode`].
        mode: u32,
        /// Owner.
        owner: Sid,
        /// Group.
        group: Sid,
    },
    /// Any other tag.
    Other {
        /// The tag, at least four bytes.
        tag: Bytes,
        /// The data.
        data: Bytes,
    },
}

impl CreateResponseContext {
    fn decode(tag: Bytes, data: Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(&data, "create response context");
        Ok(match &*tag {
            DHNQ => Self::Durable,
            DH2Q => Self::DurableV2 {
                timeout_ms: reader.u32()?,
                flags: DurableFlags::from_bits_retain(reader.u32()?),
            },
            MX_AC => Self::MaximalAccess {
                status: NtStatus(reader.u32()?),
                access: AccessMask::from_bits_retain(reader.u32()?),
            },
            QFID => Self::OnDiskId { file_id: reader.u64()?, volume_id: reader.u64()? },
            RQLS => Self::Lease(LeaseContext::decode(&data)?),
            AAPL => Self::Apple(data),
            POSIX => Self::Posix {
                link_count: reader.u32()?,
                reparse_tag: reader.u32()?,
                mode: reader.u32()?,
                owner: Sid::read(&mut reader)?,
                group: Sid::read(&mut reader)?,
            },
            _ => Self::Other { tag, data },
        })
    }

    fn tag(&self) -> &[u8] {
        match self {
            Self::Durable => DHNQ,
            Self::DurableV2 { .. } => DH2Q,
            Self::MaximalAccess { .. } => MX_AC,
            Self::OnDiskId { .. } => QFID,
            Self::Lease(_) => RQLS,
            Self::Apple(_) => AAPL,
            Self::Posix { .. } => POSIX,
            Self::Other { tag, .. } => tag,
        }
    }

    fn encode_data(&self, out: &mut Vec<u8>) {
        match self {
            Self::Durable => out.zeros(8),
            Self::DurableV2 { timeout_ms, flags } => {
                out.u32(*timeout_ms);
                out.u32(flags.bits());
            }
            Self::MaximalAccess { status, access } => {
                out.u32(status.0);
                out.u32(access.bits());
            }
            Self::OnDiskId { file_id, volume_id } => {
                out.u64(*file_id);
                out.u64(*volume_id);
                out.zeros(16);
            }
            Self::Lease(lease) => lease.encode(out),
            Self::Apple(data) | Self::Other { data, .. } => out.bytes(data),
            Self::Posix { link_count, reparse_tag, mode, owner, group } => {
                out.u32(*link_count);
                out.u32(*reparse_tag);
                out.u32(*mode);
                owner.encode(out);
                group.encode(out);
            }
        }
    }
}

/// Reads the contexts of a request from the bytes of their list.
pub fn decode_request_list(list: &Bytes) -> Result<Vec<CreateContext>, WireError> {
    decode_list(list, CreateContext::decode)
}

/// Reads the contexts of a response from the bytes of their list.
pub fn decode_response_list(list: &Bytes) -> Result<Vec<CreateResponseContext>, WireError> {
    decode_list(list, CreateResponseContext::decode)
}

/// Appends the list of a request's contexts.
pub fn encode_request_list(contexts: &[CreateContext], out: &mut Vec<u8>) {
    encode_list(contexts, CreateContext::tag, CreateContext::encode_data, out);
}

/// Appends the list of a response's contexts.
pub fn encode_response_list(contexts: &[CreateResponseContext], out: &mut Vec<u8>) {
    encode_list(contexts, CreateResponseContext::tag, CreateResponseContext::encode_data, out);
}

fn file_id(reader: &mut Reader<'_>) -> Result<FileId, WireError> {
    Ok(FileId { persistent: reader.u64()?, volatile: reader.u64()? })
}

fn decode_list<C>(
    list: &Bytes,
    decode: impl Fn(Bytes, Bytes) -> Result<C, WireError>,
) -> Result<Vec<C>, WireError> {
    let what = "create context list";
    let mut contexts = Vec::new();
    let mut rest = list.clone();
    while !rest.is_empty() {
        if contexts.len() == MAX_CREATE_CONTEXTS {
            return Err(WireError::BadValue { what: "create context count", value: contexts.len() as u64 });
        }
        let fixed = Fixed::<ENTRY_LEN>::new(&rest, what)?;
        let next = fixed.size32(0);
        if next % 8 != 0 || (next != 0 && next < ENTRY_LEN) || next > rest.len() {
            return Err(WireError::BadRange { what, offset: next, length: rest.len() });
        }
        let entry = if next == 0 { rest.clone() } else { rest.slice(..next) };
        let (tag_offset, tag_length) = (fixed.size16(4), fixed.size16(6));
        let (data_offset, data_length) = (fixed.size16(10), fixed.size32(12));
        if tag_length < 4 || tag_offset < ENTRY_LEN {
            return Err(WireError::BadRange { what, offset: tag_offset, length: tag_length });
        }
        if data_length != 0 && (data_offset < tag_offset + tag_length || data_offset % 8 != 0) {
            return Err(WireError::BadRange { what, offset: data_offset, length: data_length });
        }
        let tag = slice(&entry, tag_offset, tag_length, what)?;
        let data = slice(&entry, data_offset, data_length, what)?;
        contexts.push(decode(tag, data)?);
        rest = if next == 0 { Bytes::new() } else { rest.slice(next..) };
    }
    Ok(contexts)
}

fn encode_list<C>(
    contexts: &[C],
    tag: impl Fn(&C) -> &[u8],
    encode_data: impl Fn(&C, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let mut previous = None;
    let list = out.len();
    for context in contexts {
        out.align(list, 8);
        let entry = out.len();
        if let Some(previous) = previous.replace(entry) {
            out.set_size32(previous, entry - previous);
        }
        out.u32(0);
        out.size16(ENTRY_LEN);
        out.size16(tag(context).len());
        out.zeros(8);
        out.bytes(tag(context));
        let end_of_tag = out.len();
        out.align(entry, 8);
        let data = out.len();
        encode_data(context, out);
        let length = out.len() - data;
        if length == 0 {
            out.truncate(end_of_tag);
        } else {
            out.set_size16(entry + 10, data - entry);
            out.set_size32(entry + 12, length);
        }
    }
}

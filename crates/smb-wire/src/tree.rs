//! TREE_CONNECT (MS-SMB2 2.2.9, 2.2.10) and TREE_DISCONNECT (2.2.11, 2.2.12).

use crate::{
    HEADER_LEN,
    access::AccessMask,
    cursor::{Fixed, Put, buffer},
    empty::empty_body,
    error::WireError,
    name,
};
use bitflags::bitflags;
use bytes::Bytes;

bitflags! {
    /// Flags of a TREE_CONNECT request (3.1.1; reserved before).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct TreeConnectFlags: u16 {
        /// The client reconnects to a cluster.
        const CLUSTER_RECONNECT = 0x0001;
        /// The client follows SHARE_REDIRECT errors.
        const REDIRECT_TO_OWNER = 0x0002;
        /// The request has the extended layout (2.2.9.1); its contexts are passed over.
        const EXTENSION_PRESENT = 0x0004;
        const _ = !0;
    }
}

/// SMB2 TREE_CONNECT request (MS-SMB2 2.2.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeConnectRequest {
    /// Only 3.1.1 gives them a meaning.
    pub flags: TreeConnectFlags,
    /// `\\server\share`
    pub path: String,
}

impl TreeConnectRequest {
    const FIXED: usize = 8;

    /// Reads the request out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "TREE_CONNECT request";
        let fixed = Fixed::<{ Self::FIXED }>::body(message, what, 9)?;
        let flags = TreeConnectFlags::from_bits_retain(fixed.u16(2));
        let (offset, length) = (fixed.size16(4), fixed.size16(6));
        let path = buffer(message, HEADER_LEN + Self::FIXED, offset, length, what)?;
        Ok(Self { flags, path: name::decode(&path, "TREE_CONNECT path")? })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(9);
        body.u16(self.flags.bits());
        body.size16(HEADER_LEN + Self::FIXED);
        body.size16(name::encoded_len(&self.path));
        body.utf16(&self.path);
    }
}

/// What a share is (MS-SMB2 2.2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ShareType {
    /// Files.
    Disk = 1,
    /// Named pipes (IPC$).
    Pipe = 2,
    /// A printer.
    Print = 3,
}

bitflags! {
    /// ShareFlags of a TREE_CONNECT response. No caching bit set means manual caching.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ShareFlags: u32 {
        /// Offline caching: automatic.
        const AUTO_CACHING = 0x0000_0010;
        /// Offline caching: automatic, work from the cache.
        const VDO_CACHING = 0x0000_0020;
        /// Offline caching: none.
        const NO_CACHING = 0x0000_0030;
        /// In a DFS tree.
        const DFS = 0x0000_0001;
        /// Root of a DFS tree.
        const DFS_ROOT = 0x0000_0002;
        /// Exclusive opens are not allowed.
        const RESTRICT_EXCLUSIVE_OPENS = 0x0000_0100;
        /// Files may be deleted while open.
        const FORCE_SHARED_DELETE = 0x0000_0200;
        /// Clients may cache names.
        const ALLOW_NAMESPACE_CACHING = 0x0000_0400;
        /// What the user may not list is hidden.
        const ACCESS_BASED_DIRECTORY_ENUM = 0x0000_0800;
        /// Only level II oplocks.
        const FORCE_LEVELII_OPLOCK = 0x0000_1000;
        /// Hash generation for BranchCache, version 1.
        const ENABLE_HASH_V1 = 0x0000_2000;
        /// Hash generation for BranchCache, version 2.
        const ENABLE_HASH_V2 = 0x0000_4000;
        /// Everything on the share must be encrypted.
        const ENCRYPT_DATA = 0x0000_8000;
        /// Remote identity (3.1.1).
        const IDENTITY_REMOTING = 0x0004_0000;
        /// The server compresses reads when asked.
        const COMPRESS_DATA = 0x0010_0000;
        const _ = !0;
    }
}

bitflags! {
    /// Capabilities of a share.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ShareCapabilities: u32 {
        /// In a DFS tree.
        const DFS = 0x0000_0008;
        /// Continuously available: persistent handles.
        const CONTINUOUS_AVAILABILITY = 0x0000_0010;
        /// Served by several nodes of a cluster.
        const SCALEOUT = 0x0000_0020;
        /// On a cluster.
        const CLUSTER = 0x0000_0040;
        /// May move between nodes.
        const ASYMMETRIC = 0x0000_0080;
        /// The server redirects to the owner.
        const REDIRECT_TO_OWNER = 0x0000_0100;
        const _ = !0;
    }
}

/// SMB2 TREE_CONNECT response (MS-SMB2 2.2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeConnectResponse {
    /// What the share is.
    pub share_type: ShareType,
    /// Properties of the share.
    pub share_flags: ShareFlags,
    /// Abilities of the share.
    pub capabilities: ShareCapabilities,
    /// The most that this user may get on the share.
    pub maximal_access: AccessMask,
}

impl TreeConnectResponse {
    /// Reads the response out of its whole message.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let fixed = Fixed::<16>::body(message, "TREE_CONNECT response", 16)?;
        Ok(Self {
            share_type: match fixed.u8(2) {
                1 => ShareType::Disk,
                2 => ShareType::Pipe,
                3 => ShareType::Print,
                other => {
                    let value = u64::from(other);
                    return Err(WireError::BadValue { what: "TREE_CONNECT ShareType", value });
                }
            },
            share_flags: ShareFlags::from_bits_retain(fixed.u32(4)),
            capabilities: ShareCapabilities::from_bits_retain(fixed.u32(8)),
            maximal_access: AccessMask::from_bits_retain(fixed.u32(12)),
        })
    }

    /// Appends the body.
    pub fn encode(&self, body: &mut Vec<u8>) {
        body.u16(16);
        body.u8(self.share_type as u8);
        body.u8(0);
        body.u32(self.share_flags.bits());
        body.u32(self.capabilities.bits());
        body.u32(self.maximal_access.bits());
    }
}

empty_body!(
    TreeDisconnectRequest,
    "SMB2 TREE_DISCONNECT request (MS-SMB2 2.2.11).",
    "TREE_DISCONNECT request"
);
empty_body!(
    TreeDisconnectResponse,
    "SMB2 TREE_DISCONNECT response (MS-SMB2 2.2.12).",
    "TREE_DISCONNECT response"
);

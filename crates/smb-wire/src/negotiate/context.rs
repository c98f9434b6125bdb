//! Negotiate contexts of dialect 3.1.1 (MS-SMB2 2.2.3.1, 2.2.4.1).

use crate::{
    cursor::{Put, Reader, slice},
    error::WireError,
    name,
};
use bytes::Bytes;

/// Hash algorithms of the preauthentication integrity context.
pub mod hash {
    /// SHA-512, the only one there is.
    pub const SHA_512: u16 = 0x0001;
}

/// Ciphers of the encryption context.
pub mod cipher {
    /// AES-128-CCM
    pub const AES_128_CCM: u16 = 0x0001;
    /// AES-128-GCM
    pub const AES_128_GCM: u16 = 0x0002;
    /// AES-256-CCM
    pub const AES_256_CCM: u16 = 0x0003;
    /// AES-256-GCM
    pub const AES_256_GCM: u16 = 0x0004;
}

/// Algorithms of the signing context.
pub mod signing {
    /// HMAC-SHA256
    pub const HMAC_SHA256: u16 = 0x0000;
    /// AES-CMAC
    pub const AES_CMAC: u16 = 0x0001;
    /// AES-GMAC
    pub const AES_GMAC: u16 = 0x0002;
}

/// Algorithms of the compression context.
pub mod compression {
    /// No compression.
    pub const NONE: u16 = 0x0000;
    /// LZNT1
    pub const LZNT1: u16 = 0x0001;
    /// LZ77
    pub const LZ77: u16 = 0x0002;
    /// LZ77 with Huffman coding
    pub const LZ77_HUFFMAN: u16 = 0x0003;
    /// Pattern_V1: a run of one byte
    pub const PATTERN_V1: u16 = 0x0004;
    /// LZ4
    pub const LZ4: u16 = 0x0005;
    /// Flag of the context: chained compression.
    pub const FLAG_CHAINED: u32 = 0x0000_0001;
}

/// Most contexts that a list may hold; a longer list is refused before anything is kept.
pub const MAX_CONTEXTS: usize = 64;

const PREAUTH_INTEGRITY: u16 = 0x0001;
const ENCRYPTION: u16 = 0x0002;
const COMPRESSION: u16 = 0x0003;
const NET_NAME: u16 = 0x0005;
const TRANSPORT: u16 = 0x0006;
const RDMA_TRANSFORM: u16 = 0x0007;
const SIGNING: u16 = 0x0008;
const POSIX: u16 = 0x0100;

/// The one version of the SMB3 POSIX extensions, as it stands in the context's data.
pub const POSIX_VERSION: [u8; 16] =
    [0x93, 0xAD, 0x25, 0x50, 0x9C, 0xB4, 0x11, 0xE7, 0xB4, 0x23, 0x83, 0xDE, 0x96, 0x8B, 0xCD, 0x7C];

/// One negotiate context. Lists of algorithms are in the sender's order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NegotiateContext {
    /// Hash algorithms ([`hash`]) and the sender's salt.
    PreauthIntegrity { hash_algorithms: Vec<u16>, salt: Bytes },
    /// Ciphers ([`cipher`]).
    Encryption { ciphers: Vec<u16> },
    /// Compression flags and algorithms ([`compression`]).
    Compression { flags: u32, algorithms: Vec<u16> },
    /// The name by which the client reached the server.
    NetName(String),
    /// Bit 0: the transport is secure by itself (QUIC), encryption may be left out.
    Transport { flags: u32 },
    /// RDMA transforms ([`crate::rdma::transform`]).
    RdmaTransform { transforms: Vec<u16> },
    /// Signing algorithms ([`signing`]).
    Signing { algorithms: Vec<u16> },
    /// SMB3 POSIX extensions: 16-byte version GUIDs, usually [`POSIX_VERSION`] alone.
    Posix(Bytes),
    /// A type that this crate does not know.
    Other { context_type: u16, data: Bytes },
}

impl NegotiateContext {
    fn decode(context_type: u16, data: Bytes) -> Result<Self, WireError> {
        let what = "negotiate context";
        let mut reader = Reader::new(&data, what);
        Ok(match context_type {
            PREAUTH_INTEGRITY => {
                let (count, salt_length) = (reader.u16()?, usize::from(reader.u16()?));
                let hash_algorithms = list(&mut reader, count)?;
                let salt = slice(&data, reader.position(), salt_length, what)?;
                Self::PreauthIntegrity { hash_algorithms, salt }
            }
            ENCRYPTION => {
                let count = reader.u16()?;
                Self::Encryption { ciphers: list(&mut reader, count)? }
            }
            COMPRESSION => {
                let (count, _padding, flags) = (reader.u16()?, reader.u16()?, reader.u32()?);
                Self::Compression { flags, algorithms: list(&mut reader, count)? }
            }
            NET_NAME => Self::NetName(name::decode(&data, "negotiate context NetName")?),
            TRANSPORT => Self::Transport { flags: reader.u32()? },
            RDMA_TRANSFORM => {
                let (count, _reserved) = (reader.u16()?, reader.array::<6>()?);
                Self::RdmaTransform { transforms: list(&mut reader, count)? }
            }
            SIGNING => {
                let count = reader.u16()?;
                Self::Signing { algorithms: list(&mut reader, count)? }
            }
            POSIX => Self::Posix(data),
            context_type => Self::Other { context_type, data },
        })
    }

    fn context_type(&self) -> u16 {
        match self {
            Self::PreauthIntegrity { .. } => PREAUTH_INTEGRITY,
            Self::Encryption { .. } => ENCRYPTION,
            Self::Compression { .. } => COMPRESSION,
            Self::NetName(_) => NET_NAME,
            Self::Transport { .. } => TRANSPORT,
            Self::RdmaTransform { .. } => RDMA_TRANSFORM,
            Self::Signing { .. } => SIGNING,
            Self::Posix(_) => POSIX,
            Self::Other { context_type, .. } => *context_type,
        }
    }

    fn encode_data(&self, out: &mut Vec<u8>) {
        match self {
            Self::PreauthIntegrity { hash_algorithms, salt } => {
                out.size16(hash_algorithms.len());
                out.size16(salt.len());
                put_list(hash_algorithms, out);
                out.bytes(salt);
            }
            Self::Encryption { ciphers: list } | Self::Signing { algorithms: list } => {
                out.size16(list.len());
                put_list(list, out);
            }
            Self::Compression { flags, algorithms } => {
                out.size16(algorithms.len());
                out.u16(0);
                out.u32(*flags);
                put_list(algorithms, out);
            }
            Self::NetName(server) => {
                out.utf16(server);
            }
            Self::Transport { flags } => out.u32(*flags),
            Self::RdmaTransform { transforms } => {
                out.size16(transforms.len());
                out.zeros(6);
                put_list(transforms, out);
            }
            Self::Posix(data) | Self::Other { data, .. } => out.bytes(data),
        }
    }
}

/// Reads `count` contexts at `offset` of `message`.
pub(super) fn decode_list(
    message: &Bytes,
    offset: usize,
    count: usize,
) -> Result<Vec<NegotiateContext>, WireError> {
    let what = "negotiate context list";
    if count > MAX_CONTEXTS {
        return Err(WireError::BadValue { what: "NegotiateContextCount", value: count as u64 });
    }
    let mut contexts = Vec::with_capacity(count);
    let mut at = offset;
    for index in 0..count {
        if index > 0 {
            at = at.next_multiple_of(8);
        }
        let mut reader = Reader::new(message.get(at..).unwrap_or_default(), what);
        let (context_type, length, _reserved) = (reader.u16()?, usize::from(reader.u16()?), reader.u32()?);
        let data = slice(message, at + reader.position(), length, what)?;
        at += reader.position() + length;
        contexts.push(NegotiateContext::decode(context_type, data)?);
    }
    Ok(contexts)
}

/// Appends contexts, each after the first padded to 8 bytes; `out` must be so aligned already.
pub(super) fn encode_list(contexts: &[NegotiateContext], out: &mut Vec<u8>) {
    let start = out.len();
    for context in contexts {
        out.align(start, 8);
        let head = out.len();
        out.u16(context.context_type());
        out.zeros(6);
        context.encode_data(out);
        let length = out.len() - head - 8;
        out.set_size16(head + 2, length);
    }
}

fn list(reader: &mut Reader<'_>, count: u16) -> Result<Vec<u16>, WireError> {
    let (items, _) = reader.take(usize::from(count) * 2)?.as_chunks::<2>();
    Ok(items.iter().map(|item| u16::from_le_bytes(*item)).collect())
}

fn put_list(items: &[u16], out: &mut Vec<u8>) {
    for item in items {
        out.u16(*item);
    }
}

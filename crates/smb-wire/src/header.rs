//! The SMB2 packet header (MS-SMB2 2.2.1) and chains of messages (3.3.5.2.7).

use crate::{
    cursor::{Fixed, Put},
    error::WireError,
    status::NtStatus,
};
use bitflags::bitflags;
use bytes::Bytes;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 64;

/// The first four bytes of every SMB2 message.
pub const PROTOCOL_ID: [u8; 4] = *b"\xFESMB";

/// A command code (MS-SMB2 2.2.1.2). Codes without a name are kept, because a server must answer them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Command {
    Negotiate,
    SessionSetup,
    Logoff,
    TreeConnect,
    TreeDisconnect,
    Create,
    Close,
    Flush,
    Read,
    Write,
    Lock,
    Ioctl,
    Cancel,
    Echo,
    QueryDirectory,
    ChangeNotify,
    QueryInfo,
    SetInfo,
    OplockBreak,
    Other(u16),
}

impl Command {
    /// The commands that have a name, by code.
    pub const ALL: [Self; 19] = [
        Self::Negotiate,
        Self::SessionSetup,
        Self::Logoff,
        Self::TreeConnect,
        Self::TreeDisconnect,
        Self::Create,
        Self::Close,
        Self::Flush,
        Self::Read,
        Self::Write,
        Self::Lock,
        Self::Ioctl,
        Self::Cancel,
        Self::Echo,
        Self::QueryDirectory,
        Self::ChangeNotify,
        Self::QueryInfo,
        Self::SetInfo,
        Self::OplockBreak,
    ];

    /// The command with this code.
    pub fn from_code(code: u16) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Other(code))
    }

    /// The code of this command.
    pub fn code(self) -> u16 {
        match self {
            Self::Negotiate => 0x00,
            Self::SessionSetup => 0x01,
            Self::Logoff => 0x02,
            Self::TreeConnect => 0x03,
            Self::TreeDisconnect => 0x04,
            Self::Create => 0x05,
            Self::Close => 0x06,
            Self::Flush => 0x07,
            Self::Read => 0x08,
            Self::Write => 0x09,
            Self::Lock => 0x0A,
            Self::Ioctl => 0x0B,
            Self::Cancel => 0x0C,
            Self::Echo => 0x0D,
            Self::QueryDirectory => 0x0E,
            Self::ChangeNotify => 0x0F,
            Self::QueryInfo => 0x10,
            Self::SetInfo => 0x11,
            Self::OplockBreak => 0x12,
            Self::Other(code) => code,
        }
    }
}

bitflags! {
    /// Flags of the header (MS-SMB2 2.2.1.2). Bits without a name are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Flags: u32 {
        /// A response, not a request.
        const RESPONSE = 0x0000_0001;
        /// The header carries an AsyncId in place of the TreeId.
        const ASYNC = 0x0000_0002;
        /// A later part of a chain that uses the session, tree and file of the part before.
        const RELATED = 0x0000_0004;
        /// The message is signed.
        const SIGNED = 0x0000_0008;
        /// Three bits of I/O priority (3.1.1).
        const PRIORITY_MASK = 0x0000_0070;
        /// A DFS operation.
        const DFS = 0x1000_0000;
        /// A request sent again after a lost channel.
        const REPLAY = 0x2000_0000;
        const _ = !0;
    }
}

/// The header of a message. One structure serves both layouts: `async_id` says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Credits that the message costs (64 KiB of payload each); 0 in dialect 2.0.2.
    pub credit_charge: u16,
    /// Status of a response. In a request the same bytes hold [`Header::channel_sequence`].
    pub status: NtStatus,
    /// What is asked or answered.
    pub command: Command,
    /// Credits asked for in a request, granted in a response.
    pub credits: u16,
    /// The [`Flags::ASYNC`] bit follows `async_id` when encoding.
    pub flags: Flags,
    /// Offset in bytes from this header to the next one in the chain, 0 in the last.
    pub next_command: u32,
    /// Number of the request on its connection.
    pub message_id: u64,
    /// The reserved word that old servers knew as the process id; a response gives it back.
    pub process_id: u32,
    /// Tree connect that the message belongs to; not on the wire when `async_id` is given.
    pub tree_id: u32,
    /// Id of a request that is answered later (and of its CANCEL).
    pub async_id: Option<u64>,
    /// Session that the message belongs to; 0 when there is none yet.
    pub session_id: u64,
    /// Zero unless [`Flags::SIGNED`] is set.
    pub signature: [u8; 16],
}

impl Header {
    /// A request with everything else zero.
    pub fn request(command: Command, message_id: u64) -> Self {
        Self {
            credit_charge: 0,
            status: NtStatus::SUCCESS,
            command,
            credits: 0,
            flags: Flags::empty(),
            next_command: 0,
            message_id,
            process_id: 0,
            tree_id: 0,
            async_id: None,
            session_id: 0,
            signature: [0; 16],
        }
    }

    /// The header that answers this request: same ids, charge, priority and relation; not signed yet.
    pub fn reply(&self, status: NtStatus, credits: u16) -> Self {
        let kept = Flags::RELATED | Flags::PRIORITY_MASK | Flags::DFS | Flags::REPLAY;
        Self {
            status,
            credits,
            flags: (self.flags & kept) | Flags::RESPONSE,
            next_command: 0,
            async_id: None,
            signature: [0; 16],
            ..*self
        }
    }

    /// Reads the header at the start of `message`.
    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<HEADER_LEN>::new(message, "SMB2 header")?;
        if fixed.array(0) != PROTOCOL_ID {
            let value = u64::from(fixed.u32(0));
            return Err(WireError::BadValue { what: "SMB2 header ProtocolId", value });
        }
        if fixed.size16(4) != HEADER_LEN {
            let value = u64::from(fixed.u16(4));
            return Err(WireError::BadValue { what: "SMB2 header StructureSize", value });
        }
        let flags = Flags::from_bits_retain(fixed.u32(16));
        let is_async = flags.contains(Flags::ASYNC);
        Ok(Self {
            credit_charge: fixed.u16(6),
            status: NtStatus(fixed.u32(8)),
            command: Command::from_code(fixed.u16(12)),
            credits: fixed.u16(14),
            flags,
            next_command: fixed.u32(20),
            message_id: fixed.u64(24),
            process_id: if is_async { 0 } else { fixed.u32(32) },
            tree_id: if is_async { 0 } else { fixed.u32(36) },
            async_id: is_async.then(|| fixed.u64(32)),
            session_id: fixed.u64(40),
            signature: fixed.array(48),
        })
    }

    /// Appends the 64 bytes of the header.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let mut flags = self.flags;
        flags.set(Flags::ASYNC, self.async_id.is_some());
        out.reserve(HEADER_LEN);
        out.bytes(&PROTOCOL_ID);
        out.size16(HEADER_LEN);
        out.u16(self.credit_charge);
        out.u32(self.status.0);
        out.u16(self.command.code());
        out.u16(self.credits);
        out.u32(flags.bits());
        out.u32(self.next_command);
        out.u64(self.message_id);
        match self.async_id {
            Some(id) => out.u64(id),
            None => {
                out.u32(self.process_id);
                out.u32(self.tree_id);
            }
        }
        out.u64(self.session_id);
        out.bytes(&self.signature);
    }

    /// The channel sequence of a request (3.x, MS-SMB2 3.3.5.2.10).
    pub fn channel_sequence(&self) -> u16 {
        self.status.0 as u16
    }

    /// Whether this is a response.
    pub fn is_response(&self) -> bool {
        self.flags.contains(Flags::RESPONSE)
    }
}

/// The messages of a chain, in order. Each is cut at its NextCommand, so offsets inside count from its own
/// header. After an error the chain ends.
#[derive(Debug, Clone)]
pub struct Compound {
    rest: Bytes,
}

/// Takes a transport message apart. A single message gives itself.
pub fn split_compound(message: Bytes) -> Compound {
    Compound { rest: message }
}

impl Iterator for Compound {
    type Item = Result<(Header, Bytes), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let whole = std::mem::take(&mut self.rest);
        Some(Header::decode(&whole).and_then(|header| match header.next_command as usize {
            0 => Ok((header, whole)),
            next if next % 8 != 0 || next < HEADER_LEN || next >= whole.len() => Err(WireError::BadRange {
                what: "SMB2 header NextCommand",
                offset: next,
                length: whole.len(),
            }),
            next => {
                self.rest = whole.slice(next..);
                Ok((header, whole.slice(..next)))
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_and_names_agree() {
        for (code, command) in Command::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(command.code()), code);
        }
        assert_eq!(Command::from_code(0x13), Command::Other(0x13));
    }

    fn chain(lengths: &[usize]) -> Bytes {
        let mut out = Vec::new();
        for (index, length) in lengths.iter().enumerate() {
            let mut header = Header::request(Command::Echo, index as u64);
            header.next_command = if index + 1 == lengths.len() { 0 } else { *length as u32 };
            let start = out.len();
            header.encode_into(&mut out);
            out.resize(start + length, index as u8);
        }
        Bytes::from(out)
    }

    #[test]
    fn chains_split_at_next_command() {
        let parts: Vec<_> = split_compound(chain(&[72, 80, 68])).map(Result::unwrap).collect();
        assert_eq!(parts.iter().map(|(_, bytes)| bytes.len()).collect::<Vec<_>>(), [72, 80, 68]);
        assert_eq!(parts[2].0.message_id, 2);
    }

    #[test]
    fn bad_next_command_ends_the_chain() {
        for next in [4u32, 63, 65, 1000, 72 + 68] {
            let mut bytes = chain(&[72, 68]).to_vec();
            bytes[20..24].copy_from_slice(&next.to_le_bytes());
            let mut parts = split_compound(Bytes::from(bytes));
            assert!(matches!(parts.next(), Some(Err(WireError::BadRange { .. }))), "next {next}");
            assert!(parts.next().is_none());
        }
    }

    proptest! {
        #[test]
        fn any_header_survives(mut bytes in prop::collection::vec(any::<u8>(), HEADER_LEN)) {
            bytes[..6].copy_from_slice(b"\xFESMB\x40\x00");
            let mut back = Vec::new();
            Header::decode(&bytes).unwrap().encode_into(&mut back);
            prop_assert_eq!(back, bytes);
        }
    }
}

//! Apple's extensions: the data of the `AAPL` create context.
//!
//! A client that mounts a share asks the server once, with the open of the share's root, what it can do. The
//! layout is known from Apple's published client (`smbfs`) and from Samba's `vfs_fruit`.

use crate::{
    cursor::{Put, Reader},
    error::WireError,
    name,
};
use bitflags::bitflags;

const COMMAND_SERVER_QUERY: u32 = 1;
const COMMAND_RESOLVE_ID: u32 = 2;

bitflags! {
    /// What a server query asks for and its answer holds.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AppleQueryBits: u64 {
        /// [`AppleServerCapabilities`].
        const SERVER_CAPABILITIES = 0x01;
        /// [`AppleVolumeCapabilities`].
        const VOLUME_CAPABILITIES = 0x02;
        /// The model of the server, which picks its icon.
        const MODEL = 0x04;
        const _ = !0;
    }
}

bitflags! {
    /// What a client or server can do.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AppleServerCapabilities: u64 {
        /// Listings hold [`crate::fscc::directory::AppleAttributes`].
        const READ_DIR_ATTR = 0x01;
        /// A server-side copy without chunks copies the whole file, with its streams.
        const OSX_COPYFILE = 0x02;
        /// Files have POSIX modes, which stand in access lists as entries for the NFS SIDs.
        const UNIX_BASED = 0x04;
        /// Access lists may hold entries of NFS.
        const NFS_ACE = 0x08;
        const _ = !0;
    }
}

bitflags! {
    /// What a volume can do.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AppleVolumeCapabilities: u64 {
        /// Paths can be asked for by file number.
        const RESOLVE_ID = 0x01;
        /// Names may differ in case alone.
        const CASE_SENSITIVE = 0x02;
        /// A FLUSH with reserved field 0xFFFF reaches stable storage (F_FULLFSYNC): Time Machine asks for it.
        const FULL_SYNC = 0x04;
        const _ = !0;
    }
}

/// The data of the context in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppleRequest {
    /// What can the server do?
    ServerQuery {
        /// What is asked for.
        bits: AppleQueryBits,
        /// What the client can do.
        client: AppleServerCapabilities,
    },
    /// Which path has this file?
    ResolveId {
        /// Its number.
        file_id: u64,
    },
}

impl AppleRequest {
    /// Reads the data.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let what = "AAPL context";
        let mut reader = Reader::new(data, what);
        let (command, _reserved, first) = (reader.u32()?, reader.u32()?, reader.u64()?);
        match command {
            COMMAND_SERVER_QUERY => Ok(Self::ServerQuery {
                bits: AppleQueryBits::from_bits_retain(first),
                client: AppleServerCapabilities::from_bits_retain(reader.u64()?),
            }),
            COMMAND_RESOLVE_ID => Ok(Self::ResolveId { file_id: first }),
            command => Err(WireError::BadValue { what, value: u64::from(command) }),
        }
    }

    /// Appends the data.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::ServerQuery { bits, client } => {
                out.u32(COMMAND_SERVER_QUERY);
                out.u32(0);
                out.u64(bits.bits());
                out.u64(client.bits());
            }
            Self::ResolveId { file_id } => {
                out.u32(COMMAND_RESOLVE_ID);
                out.u32(0);
                out.u64(*file_id);
            }
        }
    }
}

/// The data of the context in the response to a server query: what was asked for and is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppleServerAnswer {
    /// What the server can do.
    pub server: Option<AppleServerCapabilities>,
    /// What the volume can do.
    pub volume: Option<AppleVolumeCapabilities>,
    /// The model, for example `MacSamba`.
    pub model: Option<String>,
}

impl AppleServerAnswer {
    /// Reads the data.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let what = "AAPL answer";
        let mut reader = Reader::new(data, what);
        let (command, _reserved) = (reader.u32()?, reader.u32()?);
        if command != COMMAND_SERVER_QUERY {
            return Err(WireError::BadValue { what, value: u64::from(command) });
        }
        let bits = AppleQueryBits::from_bits_retain(reader.u64()?);
        let mut answer = Self::default();
        if bits.contains(AppleQueryBits::SERVER_CAPABILITIES) {
            answer.server = Some(AppleServerCapabilities::from_bits_retain(reader.u64()?));
        }
        if bits.contains(AppleQueryBits::VOLUME_CAPABILITIES) {
            answer.volume = Some(AppleVolumeCapabilities::from_bits_retain(reader.u64()?));
        }
        if bits.contains(AppleQueryBits::MODEL) {
            let (_padding, length) = (reader.u32()?, reader.u32()? as usize);
            answer.model = Some(reader.utf16(length)?);
        }
        Ok(answer)
    }

    /// Appends the data.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut bits = AppleQueryBits::empty();
        bits.set(AppleQueryBits::SERVER_CAPABILITIES, self.server.is_some());
        bits.set(AppleQueryBits::VOLUME_CAPABILITIES, self.volume.is_some());
        bits.set(AppleQueryBits::MODEL, self.model.is_some());
        out.u32(COMMAND_SERVER_QUERY);
        out.u32(0);
        out.u64(bits.bits());
        self.server.iter().for_each(|server| out.u64(server.bits()));
        self.volume.iter().for_each(|volume| out.u64(volume.bits()));
        if let Some(model) = &self.model {
            out.u32(0);
            out.size32(name::encoded_len(model));
            out.utf16(model);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_query_and_its_answer() {
        let query = AppleRequest::ServerQuery {
            bits: AppleQueryBits::from_bits_retain(7),
            client: AppleServerCapabilities::READ_DIR_ATTR,
        };
        let mut bytes = Vec::new();
        query.encode(&mut bytes);
        assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(AppleRequest::decode(&bytes), Ok(query));

        let answer = AppleServerAnswer {
            server: Some(AppleServerCapabilities::READ_DIR_ATTR | AppleServerCapabilities::OSX_COPYFILE),
            volume: Some(AppleVolumeCapabilities::FULL_SYNC),
            model: Some("Mac".into()),
        };
        let mut bytes = Vec::new();
        answer.encode(&mut bytes);
        let expect = [
            1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, // command and bits
            3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, // capabilities
            0, 0, 0, 0, 6, 0, 0, 0, b'M', 0, b'a', 0, b'c', 0,
        ];
        assert_eq!(bytes, expect);
        assert_eq!(AppleServerAnswer::decode(&bytes), Ok(answer));
        assert!(AppleServerAnswer::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn other_commands() {
        let resolve = AppleRequest::ResolveId { file_id: 9 };
        let mut bytes = Vec::new();
        resolve.encode(&mut bytes);
        assert_eq!(AppleRequest::decode(&bytes), Ok(resolve));
        bytes[0] = 3;
        assert!(AppleRequest::decode(&bytes).is_err());
        let nothing = AppleServerAnswer::default();
        let mut bytes = Vec::new();
        nothing.encode(&mut bytes);
        assert_eq!((bytes.len(), AppleServerAnswer::decode(&bytes)), (16, Ok(nothing)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(command in 0u8..4, bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let data = [&[command, 0, 0, 0], &bytes[..]].concat();
            let _ = AppleRequest::decode(&data);
            let _ = AppleServerAnswer::decode(&data);
        }
    }
}

//! Leases in CREATE (MS-SMB2 2.2.13.2.8, 2.2.13.2.10, 2.2.14.2.10, 2.2.14.2.11).

use crate::{
    cursor::{Put, Reader},
    error::WireError,
};
use bitflags::bitflags;

/// The client's name for a lease; together with the ClientGuid it is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LeaseKey(pub [u8; 16]);

bitflags! {
    /// What a lease allows the client to keep. Bits without a name are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct LeaseState: u32 {
        /// Data that was read.
        const READ_CACHING = 0x01;
        /// Open handles after the application closed them.
        const HANDLE_CACHING = 0x02;
        /// Data not yet written.
        const WRITE_CACHING = 0x04;
        const _ = !0;
    }
}

bitflags! {
    /// Flags of a lease context.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct LeaseFlags: u32 {
        /// Response: a break of this lease is on its way.
        const BREAK_IN_PROGRESS = 0x02;
        /// Version 2: the parent key means something.
        const PARENT_LEASE_KEY_SET = 0x04;
        const _ = !0;
    }
}

/// What version 2 of the context adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseVersion2 {
    /// Lease on the directory, see [`LeaseFlags::PARENT_LEASE_KEY_SET`].
    pub parent_key: LeaseKey,
    /// Counts the changes of the lease's state.
    pub epoch: u16,
}

/// The `RqLs` context of a request or a response, in either version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseContext {
    /// The lease.
    pub key: LeaseKey,
    /// State asked for or granted.
    pub state: LeaseState,
    /// See [`LeaseFlags`].
    pub flags: LeaseFlags,
    /// Given: version 2.
    pub version2: Option<LeaseVersion2>,
}

const VERSION_1_LEN: usize = 32;
const VERSION_2_LEN: usize = 52;

impl LeaseContext {
    /// Reads the data of the context; its length tells the version. LeaseDuration is ignored.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let what = "lease context";
        if data.len() != VERSION_1_LEN && data.len() != VERSION_2_LEN {
            return Err(WireError::BadValue { what: "lease context length", value: data.len() as u64 });
        }
        let mut reader = Reader::new(data, what);
        let mut lease = Self {
            key: LeaseKey(reader.array()?),
            state: LeaseState::from_bits_retain(reader.u32()?),
            flags: LeaseFlags::from_bits_retain(reader.u32()?),
            version2: None,
        };
        reader.skip(8)?;
        if data.len() == VERSION_2_LEN {
            let (parent_key, epoch) = (LeaseKey(reader.array()?), reader.u16()?);
            lease.version2 = Some(LeaseVersion2 { parent_key, epoch });
        }
        Ok(lease)
    }

    /// Appends the data of the context.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.bytes(&self.key.0);
        out.u32(self.state.bits());
        out.u32(self.flags.bits());
        out.u64(0);
        if let Some(version2) = &self.version2 {
            out.bytes(&version2.parent_key.0);
            out.u16(version2.epoch);
            out.u16(0);
        }
    }
}

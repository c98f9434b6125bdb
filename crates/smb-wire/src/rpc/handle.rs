//! Context handles that say by themselves what they are of, so that nothing is remembered. They give no rights: what
//! can be asked with one, can be asked by everybody who may open the pipe.

use super::{
    ndr::{ContextHandle, NdrReader},
    pdu::Fault,
};
use crate::status::NtStatus;

/// What a handle is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handle {
    /// The policy of the machine (`lsarpc`).
    Policy,
    /// The server (`samr`).
    Server,
    /// The domain of the machine's own accounts.
    AccountDomain,
    /// The domain `BUILTIN`.
    BuiltinDomain,
    /// A user of the machine, by relative id.
    User(u32),
}

const MARK: [u8; 8] = *b"farshare";
/// What a closed handle becomes.
pub(super) const CLOSED: ContextHandle = [0; 20];

impl Handle {
    pub(super) fn encode(self) -> ContextHandle {
        let (kind, value) = match self {
            Self::Policy => (1u32, 0),
            Self::Server => (2, 0),
            Self::AccountDomain => (3, 0),
            Self::BuiltinDomain => (4, 0),
            Self::User(relative_id) => (5, relative_id),
        };
        let mut handle = CLOSED;
        handle[4..12].copy_from_slice(&MARK);
        handle[12..16].copy_from_slice(&kind.to_le_bytes());
        handle[16..].copy_from_slice(&value.to_le_bytes());
        handle
    }

    /// What a handle is of; `INVALID_HANDLE` for one that was not made here.
    pub(super) fn decode(handle: &ContextHandle) -> Result<Self, NtStatus> {
        let value = u32::from_le_bytes([handle[16], handle[17], handle[18], handle[19]]);
        let all = [Self::Policy, Self::Server, Self::AccountDomain, Self::BuiltinDomain, Self::User(value)];
        all.into_iter().find(|one| one.encode() == *handle).ok_or(NtStatus::INVALID_HANDLE)
    }

    /// The handle that comes first among the arguments.
    pub(super) fn read(arguments: &mut NdrReader<'_>) -> Result<Result<Self, NtStatus>, Fault> {
        Ok(Self::decode(&arguments.handle()?))
    }

    /// Whether that is this one: what an operation answers that needs it.
    pub(super) fn expect(self, arguments: &mut NdrReader<'_>) -> Result<NtStatus, Fault> {
        let is_this = Self::read(arguments)? == Ok(self);
        Ok(if is_this { NtStatus::SUCCESS } else { NtStatus::INVALID_HANDLE })
    }
}

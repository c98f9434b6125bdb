//! Quotas of users: how much each owner has, and may have. In the terms of MS-FSCC, as attribute bits are.
//!
//! A user is the bytes of a SID (MS-DTYP 2.4.2.2), as security descriptors name owners; what it means is for those
//! above. A file counts with its size for the owner that its descriptor names; one without a descriptor is nobody's.

use crate::{Error, ErrorKind, Result, Time};
use bytes::Bytes;

/// Most users in one answer of `Volume::quotas`, and in one question by name.
pub const QUOTA_USERS_MAX: usize = 4096;

/// Longest SID, bytes (MS-DTYP 2.4.2: 15 subauthorities).
pub const QUOTA_USER_MAX_BYTES: usize = 68;

/// The quota of one user (MS-FSCC 2.4.41).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserQuota {
    pub user: Bytes,
    /// When the limits were last set; zero where they never were.
    pub changed: Time,
    /// Bytes that the user has. Not set.
    pub used: u64,
    /// Bytes from which on the user is to be warned, or [`UserQuota::UNLIMITED`].
    pub threshold: u64,
    /// Most bytes, or [`UserQuota::UNLIMITED`]. [`UserQuota::FORGET`], set, takes the user's own limits away.
    pub limit: u64,
}

impl UserQuota {
    /// No threshold, no limit.
    pub const UNLIMITED: u64 = u64::MAX;
    /// A limit that, set, takes the user's own limits away: those for everybody hold again.
    pub const FORGET: u64 = u64::MAX - 1;

    /// What is told of a user of whom nothing is known, when somebody asks for him: all zeros.
    pub fn unknown(user: Bytes) -> UserQuota {
        UserQuota { user, changed: Time(0), used: 0, threshold: 0, limit: 0 }
    }

    pub fn is_unknown(&self) -> bool {
        *self == UserQuota::unknown(self.user.clone())
    }
}

/// Whether these can be users, and are not too many at once; else an error of `op`.
pub fn check_quota_users<'a>(
    op: &'static str,
    users: impl ExactSizeIterator<Item = &'a Bytes>,
) -> Result<()> {
    if users.len() > QUOTA_USERS_MAX {
        return Err(Error::new(ErrorKind::InvalidArgument, op, "too many users at once"));
    }
    for user in users {
        if user.is_empty() || user.len() > QUOTA_USER_MAX_BYTES {
            return Err(Error::new(ErrorKind::InvalidArgument, op, "this is no SID"));
        }
    }
    Ok(())
}

/// Whose quotas are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QuotasOf {
    /// Of all who have something or own limits, in the order of their bytes: those behind `after`, at most
    /// [`QUOTA_USERS_MAX`]. An answer with none is the end.
    All { after: Option<Bytes> },
    /// Of these, in their order, each once; one of whom nothing is known has all zeros. At most [`QUOTA_USERS_MAX`].
    Users(Vec<Bytes>),
}

bitflags::bitflags! {
    /// How quotas are kept (FileSystemControlFlags, MS-FSCC 2.5.2). Others of its bits are neither told nor kept.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct QuotaFlags: u32 {
        /// Who has how much is known.
        const TRACK = 0x0000_0001;
        /// And nobody gets beyond a limit; says `TRACK` as well.
        const ENFORCE = 0x0000_0002;
        /// What is known may not be right: others changed the tree. Not set.
        const INCOMPLETE = 0x0000_0100;
        /// It is being counted anew. Not set.
        const REBUILDING = 0x0000_0200;
    }
}

impl QuotaFlags {
    /// Those that are set; the others tell how it stands.
    pub const SETTABLE: QuotaFlags = QuotaFlags::TRACK.union(QuotaFlags::ENFORCE);
}

/// What holds for all users.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotaRules {
    pub flags: QuotaFlags,
    /// For users who have none of their own: bytes, or [`UserQuota::UNLIMITED`].
    pub threshold: u64,
    pub limit: u64,
}

impl Default for QuotaRules {
    /// Where nothing was ever set: it is known who has how much, and nobody has a limit.
    fn default() -> QuotaRules {
        let unlimited = UserQuota::UNLIMITED;
        QuotaRules { flags: QuotaFlags::TRACK, threshold: unlimited, limit: unlimited }
    }
}

impl QuotaRules {
    /// What holds when somebody sets these.
    pub fn as_set(self) -> QuotaRules {
        let mut flags = self.flags & QuotaFlags::SETTABLE;
        flags.set(QuotaFlags::TRACK, !flags.is_empty());
        QuotaRules { flags, ..self }
    }
}

/// A change of quotas.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QuotaChange {
    Rules(QuotaRules),
    /// The limits of these users: all of them or, where it fails, none. At most [`QUOTA_USERS_MAX`].
    Users(Vec<UserQuota>),
}

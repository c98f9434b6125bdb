//! Who may do what with a file: Windows' rules over security descriptors (MS-DTYP 2.4.6, 2.5.3, MS-FSA
//! 2.1.5.1.2.1, 2.1.5.17).
//!
//! A descriptor says who owns a file and lists, in order, what is allowed and denied to whom. The front end
//! stores descriptors and asks here:
//!
//! | question | answer |
//! |---|---|
//! | what is the most that this user may have? | [`maximal_access`] |
//! | and when rights are asked for by name, which privileges give? | [`maximal_access_with`] |
//! | which descriptor does a new file get? | [`inherit`] |
//! | what is a file judged by that nobody gave one? | [`passed_on`] |
//! | what does a SET_INFO of its security make of it? | [`change`] |
//! | which rights must an open have for that? | [`rights_to_query`], [`rights_to_set`] |
//! | what stands for a file that has only a POSIX mode, and the other way? | [`posix`] |
//!
//! Entries count in the order in which they are stored, canonical or not, and are never sorted. Rights are
//! those of files: generic bits are replaced by what they stand for on files. Object entries count as Windows
//! counts them for an object without classes: denials always, permissions only when they name no class. A
//! conditional permission never counts and a conditional denial always, because a condition speaks of claims
//! that a token here does not have. Groups that are for denials alone allow nothing and own nothing.

mod change;
mod check;
mod inherit;
pub mod posix;
mod token;

pub use change::{change, rights_to_query, rights_to_set};
pub use check::{lent_by_backup_intent, maximal_access, maximal_access_with};
pub use inherit::{inherit, passed_on};
pub use token::{Privileges, Token};

use smb_wire::NtStatus;

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It takes a privilege that the token does not have.
    Privilege,
    /// The new owner is neither the user nor one of the user's groups.
    Owner,
    /// A new group is missing.
    Group,
    /// A list would become longer than a list can be.
    TooLong,
}

impl Denied {
    /// The status that a server answers with.
    pub fn status(self) -> NtStatus {
        match self {
            Self::Privilege => NtStatus::PRIVILEGE_NOT_HELD,
            Self::Owner => NtStatus::INVALID_OWNER,
            Self::Group => NtStatus::INVALID_PRIMARY_GROUP,
            Self::TooLong => NtStatus::BAD_INHERITANCE_ACL,
        }
    }
}

//! Who the users of this server are to Windows: security identifiers (MS-DTYP 2.4.2) and tokens.
//!
//! The server is a domain of its own, as a Windows machine without one is: its users are `S-1-5-21-a-b-c-NUMBER`,
//! with `a-b-c` out of the server's GUID, or as configured for several servers of one volume, and the number that
//! [`crate::Users`] keeps for each. Both outlive restarts, and so do descriptors that name somebody. Everybody is in
//! the groups "None" (`...-513`), which is the group of what a user makes, and Users (`S-1-5-32-545`), and in those of
//! the operator's groups that name the user: their numbers are made of their names.
//!
//! Administrators (`ServerConfig::administrators`) are in the group `S-1-5-32-544` and have the privileges of one:
//! they may take ownership, read and write system lists, make anybody the owner, and, where a client opens with
//! FILE_OPEN_FOR_BACKUP_INTENT, read and write whatever descriptors say.

use smb_core::access::{Privileges, Token};
use smb_wire::Sid;
use smb_wire::ids::Guid;

/// "None", the primary group of all users of a machine.
const NONE: u32 = 513;
/// The last number of a user; above are those of groups.
pub const USER_NUMBER_MAX: u32 = 0x3FFF_FFFF;
const NT_AUTHORITY: u64 = 5;
/// S-1-5-21: not unique by itself.
const NON_UNIQUE: u32 = 21;

/// The server's own domain, `S-1-5-21-a-b-c`.
pub(crate) fn domain(server: Guid) -> Sid {
    let part = |at: usize| u32::from_le_bytes([server[at], server[at + 1], server[at + 2], server[at + 3]]);
    // All sixteen bytes count: versions of GUIDs fix some of them.
    let parts = [NON_UNIQUE, part(0) ^ part(12), part(4), part(8)];
    Sid::new(NT_AUTHORITY, &parts).unwrap_or_else(Sid::anonymous)
}

/// The number of a group, by its name in any case (FNV-1a, 32 bits, without the two above).
pub(crate) fn group_number(name: &str) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = name.to_lowercase().bytes().fold(0x811C_9DC5, step);
    (USER_NUMBER_MAX + 1) | (hash & USER_NUMBER_MAX)
}

/// The token of a user who has logged in.
pub(crate) fn token(
    domain: &Sid,
    number: u32,
    groups: impl Iterator<Item = u32>,
    is_administrator: bool,
) -> Token {
    // A domain has room for a number: the configuration takes no other.
    let member = |number| domain.child(number).unwrap_or_else(Sid::anonymous);
    let mut groups: Vec<Sid> = [member(NONE), Sid::users()].into_iter().chain(groups.map(member)).collect();
    let mut privileges = Privileges::empty();
    if is_administrator {
        groups.push(Sid::administrators());
        privileges = Privileges::all();
    }
    Token::authenticated(member(number), groups, privileges)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Guid = *b"farshare\0server\0";

    #[test]
    fn users_are_told_apart_by_server_and_number() {
        let here = domain(SERVER);
        let alice = token(&here, 1000, [].into_iter(), false);
        assert!(alice.user.to_string().starts_with("S-1-5-21-") && alice.user.relative_id() == Some(1000));
        assert_ne!(alice.user, token(&here, 1001, [].into_iter(), false).user);
        assert_ne!(alice.user, token(&domain([7; 16]), 1000, [].into_iter(), false).user);
        assert_eq!(alice.primary_group().relative_id(), Some(NONE));
        assert!(!alice.contains(&Sid::administrators()) && alice.privileges.is_empty());
    }

    #[test]
    fn administrators_have_group_and_privileges() {
        let root = token(&domain(SERVER), 1000, [].into_iter(), true);
        assert!(root.contains(&Sid::administrators()) && root.privileges == Privileges::all());
        assert_eq!(
            root.primary_group().relative_id(),
            Some(NONE),
            "what they make is no matter of the group"
        );
    }

    #[test]
    fn the_number_of_a_group_is_no_users_and_stays() {
        let staff = group_number("Staff");
        assert_eq!(staff, group_number("staff"));
        assert_ne!(staff, group_number("stafg"));
        assert_eq!(group_number("staff"), 0x675C_A4D1, "descriptors on disks name it");
        for name in ["", "a", "artists", "Ölfässer"] {
            assert!((USER_NUMBER_MAX + 1..1 << 31).contains(&group_number(name)), "{name}");
        }
    }
}

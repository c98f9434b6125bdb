//! Who the users of this server are to Windows: security identifiers (MS-DTYP 2.4.2) and tokens.
//!
//! The server is a domain of its own, as a Windows machine without one is: its users are `S-1-5-21-a-b-c-NUMBER`,
//! with `a-b-c` out of the server's GUID, or as configured for several servers of one volume, and the number that
//! [`crate::Users`] keeps for each. Both outlive restarts, and so do descriptors that name somebody. Everybody is in
//! the groups "None" (`...-513`), which is the group of what a user makes, and Users (`S-1-5-32-545`), and in those of
//! the operator's groups that name the user: their numbers are made of their names.
//!
//! Who logs in by ticket is who the domain says in it (PAC), with the groups that it says, some for denials alone, and nobody else: no user of
//! this server, whatever the names, unless the operator says that names mean the same here and there (`Realms`). A realm
//! that says nothing of SIDs leaves that to us: a user whom the server knows by password is the same one, and any other
//! has a SID made of the principal's name, the same at every server.
//!
//! Guests are all one account, `...-501`, in Guests (`S-1-5-32-546`), which is the group of what they make, and Everyone.
//!
//! Administrators (`ServerConfig::administrators`) are in the group `S-1-5-32-544` and have the privileges of one:
//! they may take ownership, read and write system lists, make anybody the owner, and, where a client opens with
//! FILE_OPEN_FOR_BACKUP_INTENT, read and write whatever descriptors say.

use smb_core::acceptor::Ticket;
use smb_core::access::{Privileges, Token};
use smb_wire::Sid;
use smb_wire::ids::Guid;
use smb_wire::rpc::accounts::RID_GUEST;

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

/// The token of a user who has logged in, known here by a number, or by a ticket, or by both. `None`: by neither.
pub(crate) fn token(domain: &Sid, number: Option<u32>, ticket: Option<&Ticket>) -> Option<Token> {
    // A domain has room for a number: the configuration takes no other.
    let member = |number| domain.child(number).unwrap_or_else(Sid::anonymous);
    let here = number.map(member);
    let (user, mut groups, deny_only) = match ticket.map(|ticket| (&ticket.membership, &ticket.principal)) {
        Some((Some(membership), _)) => {
            let groups = membership.groups.iter().cloned().chain(here).collect();
            (membership.user.clone(), groups, membership.deny_only.clone())
        }
        Some((None, principal)) => (here.unwrap_or_else(|| principal.sid()), vec![member(NONE)], Vec::new()),
        None => (here?, vec![member(NONE)], Vec::new()),
    };
    groups.push(Sid::users());
    Some(Token { deny_only, ..Token::authenticated(user, groups, Privileges::empty()) })
}

/// The token of whoever is let in as a guest.
pub(crate) fn guest(domain: &Sid) -> Token {
    // A domain has room for a number: the configuration takes no other.
    Token::guest(domain.child(RID_GUEST).unwrap_or_else(Sid::anonymous))
}

/// The same user in further groups of the server's domain, by their numbers.
pub(crate) fn in_groups(mut token: Token, domain: &Sid, numbers: impl IntoIterator<Item = u32>) -> Token {
    token.groups.extend(numbers.into_iter().filter_map(|number| domain.child(number)));
    token
}

/// The same user as an administrator.
pub(crate) fn administrator(mut token: Token) -> Token {
    token.groups.push(Sid::administrators());
    Token { privileges: Privileges::all(), ..token }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smb_core::kerberos::{Membership, Principal};
    use smb_wire::FileTime;

    const SERVER: Guid = *b"farshare\0server\0";

    fn known(domain: &Sid, number: u32) -> Token {
        token(domain, Some(number), None).unwrap()
    }

    fn ticket(name: &str, membership: Option<Membership>) -> Ticket {
        let principal = Principal::new([name.as_bytes()], b"HOME.TEST").unwrap();
        Ticket { principal, ends: FileTime::NONE, membership }
    }

    #[test]
    fn users_are_told_apart_by_server_and_number() {
        let here = domain(SERVER);
        let alice = known(&here, 1000);
        assert!(alice.user.to_string().starts_with("S-1-5-21-") && alice.user.relative_id() == Some(1000));
        assert_ne!(alice.user, known(&here, 1001).user);
        assert_ne!(alice.user, known(&domain([7; 16]), 1000).user);
        assert_eq!(alice.primary_group().relative_id(), Some(NONE));
        assert!(!alice.contains(&Sid::administrators()) && alice.privileges.is_empty());
        assert_eq!(token(&here, None, None), None, "removed");
    }

    #[test]
    fn administrators_have_group_and_privileges() {
        let root = administrator(known(&domain(SERVER), 1000));
        assert!(root.contains(&Sid::administrators()) && root.privileges == Privileges::all());
        assert_eq!(
            root.primary_group().relative_id(),
            Some(NONE),
            "what they make is no matter of the group"
        );
    }

    #[test]
    fn a_guest_is_an_account_of_its_own_and_no_user() {
        let here = domain(SERVER);
        let guest = guest(&here);
        assert_eq!((guest.user.relative_id(), guest.primary_group()), (Some(501), &Sid::guests()));
        assert!(
            guest.user.is_child_of(&here) && guest.contains(&Sid::everyone()) && guest.privileges.is_empty()
        );
        for users in [Sid::authenticated_users(), Sid::users(), Sid::administrators(), Sid::anonymous()] {
            assert!(!guest.contains(&users), "{users}");
        }
        assert!(!guest.groups.iter().any(|group| group.is_child_of(&here)), "not in None either");
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

    #[test]
    fn a_ticket_says_who_somebody_is_where_the_realm_knows() {
        let here = domain(SERVER);
        let sid = |text: &str| text.parse::<Sid>().unwrap();
        let groups = vec![sid("S-1-5-21-7-7-7-513"), sid("S-1-5-21-7-7-7-1105")];
        let membership =
            Membership { user: sid("S-1-5-21-7-7-7-1104"), groups: groups.clone(), deny_only: Vec::new() };
        let alice = token(&here, Some(1000), Some(&ticket("alice", Some(membership)))).unwrap();
        assert_eq!((&alice.user, alice.primary_group()), (&sid("S-1-5-21-7-7-7-1104"), &groups[0]));
        assert!(alice.contains(&groups[1]) && alice.contains(&known(&here, 1000).user));
        assert!(alice.contains(&Sid::users()) && !alice.contains(&Sid::administrators()));
    }

    #[test]
    fn a_realm_without_sids_leaves_the_users_that_are_known_and_makes_others() {
        let here = domain(SERVER);
        let of = |name: &str, number| token(&here, number, Some(&ticket(name, None))).unwrap().user;
        assert_eq!(of("alice", Some(1000)), known(&here, 1000).user, "the same by password and by ticket");
        assert_eq!(of("bob", None), of("BOB", None));
        assert_ne!(of("bob", None), of("carol", None));
        assert_eq!(of("bob", None).sub_authorities().len(), 5);
    }
}

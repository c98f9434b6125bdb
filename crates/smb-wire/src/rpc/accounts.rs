//! Names for SIDs and SIDs for names: the accounts of the machine, POSIX users and groups, and what is well known
//! (MS-DTYP 2.4.2.4).

use super::ServerFacts;
use crate::sid::Sid;

/// Who is known on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountFacts {
    /// SID of the machine, whose accounts have one part more; `None` when there are none.
    pub machine: Option<Sid>,
    /// The machine's users.
    pub users: Vec<Account>,
    /// The machine's groups.
    pub groups: Vec<Account>,
    /// Names of POSIX users, by uid. Others are known by their number.
    pub unix_users: Vec<(u32, String)>,
    /// Names of POSIX groups, by gid. Others are known by their number.
    pub unix_groups: Vec<(u32, String)>,
    /// Name of the user who asks.
    pub caller: String,
}

/// A user or a group of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// Name.
    pub name: String,
    /// Name to show.
    pub full_name: String,
    /// The last part of the SID.
    pub relative_id: u32,
    /// Of a user: groups of the machine, by relative id; the first one is the primary group.
    pub groups: Vec<u32>,
}

/// Kind of an account (SID_NAME_USE, MS-LSAT 2.2.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum NameUse {
    /// A user.
    User = 1,
    /// A group of a domain.
    Group = 2,
    /// A domain.
    Domain = 3,
    /// A group of a machine.
    Alias = 4,
    /// Known everywhere.
    WellKnownGroup = 5,
    /// Not known.
    Unknown = 8,
}

/// An account that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Name of its domain; empty for those that have none.
    pub domain: String,
    /// SID of its domain.
    pub domain_sid: Sid,
    /// Name in the domain.
    pub name: String,
    /// Its SID.
    pub sid: Sid,
    /// Kind.
    pub name_use: NameUse,
}

const UNIX_USERS: (&str, &[u32]) = ("Unix User", &[1]);
const UNIX_GROUPS: (&str, &[u32]) = ("Unix Group", &[2]);
const UNIX_AUTHORITY: u64 = 22;
/// Name of the domain of groups that every machine has.
pub const BUILTIN: &str = "BUILTIN";
const NT_AUTHORITY: &str = "NT AUTHORITY";

/// SID of [`BUILTIN`].
pub fn builtin_sid() -> Sid {
    sid(5, &[32])
}

/// Domain, authority, parts before the last one, last part, name.
type WellKnown = (&'static str, u64, &'static [u32], u32, &'static str);

const WELL_KNOWN: [WellKnown; 18] = [
    ("", 1, &[], 0, "Everyone"),
    ("", 3, &[], 0, "CREATOR OWNER"),
    ("", 3, &[], 1, "CREATOR GROUP"),
    ("", 3, &[], 4, "OWNER RIGHTS"),
    (NT_AUTHORITY, 5, &[], 2, "NETWORK"),
    (NT_AUTHORITY, 5, &[], 3, "BATCH"),
    (NT_AUTHORITY, 5, &[], 4, "INTERACTIVE"),
    (NT_AUTHORITY, 5, &[], 6, "SERVICE"),
    (NT_AUTHORITY, 5, &[], 7, "ANONYMOUS LOGON"),
    (NT_AUTHORITY, 5, &[], 11, "Authenticated Users"),
    (NT_AUTHORITY, 5, &[], 18, "SYSTEM"),
    (NT_AUTHORITY, 5, &[], 19, "LOCAL SERVICE"),
    (NT_AUTHORITY, 5, &[], 20, "NETWORK SERVICE"),
    (BUILTIN, 5, &[32], 544, "Administrators"),
    (BUILTIN, 5, &[32], 545, "Users"),
    (BUILTIN, 5, &[32], 546, "Guests"),
    (BUILTIN, 5, &[32], 547, "Power Users"),
    (BUILTIN, 5, &[32], 551, "Backup Operators"),
];

/// A SID of parts that are few enough.
fn sid(authority: u64, parts: &[u32]) -> Sid {
    Sid::new(authority, parts).unwrap_or_else(Sid::everyone)
}

fn named(domain: &str, domain_sid: Sid, relative_id: u32, name: &str, name_use: NameUse) -> Option<Named> {
    let sid = domain_sid.child(relative_id)?;
    Some(Named { domain: domain.to_owned(), domain_sid, name: name.to_owned(), sid, name_use })
}

/// The groups of [`BUILTIN`], by relative id and name.
pub(super) fn builtin_groups() -> impl Iterator<Item = (u32, &'static str)> {
    let of_builtin = WELL_KNOWN.into_iter().filter(|(domain, ..)| *domain == BUILTIN);
    of_builtin.map(|(_, _, _, relative_id, name)| (relative_id, name))
}

fn well_known() -> impl Iterator<Item = Named> {
    WELL_KNOWN.into_iter().filter_map(|(domain, authority, parts, last, name)| {
        let name_use = if domain == BUILTIN { NameUse::Alias } else { NameUse::WellKnownGroup };
        named(domain, sid(authority, parts), last, name, name_use)
    })
}

fn of_machine(facts: &ServerFacts) -> impl Iterator<Item = Named> + '_ {
    let accounts = &facts.accounts;
    let users = accounts.users.iter().map(|user| (user, NameUse::User));
    let groups = accounts.groups.iter().map(|group| (group, NameUse::Alias));
    users.chain(groups).filter_map(|(account, name_use)| {
        let machine = facts.accounts.machine.clone()?;
        named(&facts.name, machine, account.relative_id, &account.name, name_use)
    })
}

/// A POSIX user or group, by its number.
fn unix(
    (domain, parts): (&str, &[u32]),
    names: &[(u32, String)],
    id: u32,
    name_use: NameUse,
) -> Option<Named> {
    let known = names.iter().find(|(known, _)| *known == id);
    let name = known.map_or_else(|| id.to_string(), |(_, name)| name.clone());
    named(domain, sid(UNIX_AUTHORITY, parts), id, &name, name_use)
}

/// Who has this SID.
pub fn by_sid(facts: &ServerFacts, wanted: &Sid) -> Option<Named> {
    let accounts = &facts.accounts;
    if wanted.authority() == UNIX_AUTHORITY {
        return match *wanted.sub_authorities() {
            [1, uid] => unix(UNIX_USERS, &accounts.unix_users, uid, NameUse::User),
            [2, gid] => unix(UNIX_GROUPS, &accounts.unix_groups, gid, NameUse::Alias),
            _ => None,
        };
    }
    let domains = [(facts.name.as_str(), accounts.machine.clone()), (BUILTIN, Some(builtin_sid()))];
    let domain = domains.into_iter().find(|(_, sid)| sid.as_ref() == Some(wanted)).map(|(name, _)| Named {
        domain: name.to_owned(),
        domain_sid: wanted.clone(),
        name: String::new(),
        sid: wanted.clone(),
        name_use: NameUse::Domain,
    });
    domain.or_else(|| well_known().chain(of_machine(facts)).find(|named| named.sid == *wanted))
}

/// Who has this name, alone or behind a domain and a backslash, in any case.
pub fn by_name(facts: &ServerFacts, wanted: &str) -> Option<Named> {
    let (domain, name) = match wanted.split_once('\\') {
        Some((domain, name)) => (Some(domain.to_lowercase()), name.to_lowercase()),
        None => (None, wanted.to_lowercase()),
    };
    let is_wanted = |named: &Named| {
        let is_domain = domain.as_ref().is_none_or(|domain| named.domain.to_lowercase() == *domain);
        is_domain && named.name.to_lowercase() == name
    };
    let accounts = &facts.accounts;
    let unix_user = |(uid, _): &(u32, String)| unix(UNIX_USERS, &accounts.unix_users, *uid, NameUse::User);
    let unix_group =
        |(gid, _): &(u32, String)| unix(UNIX_GROUPS, &accounts.unix_groups, *gid, NameUse::Alias);
    let of_unix = accounts.unix_users.iter().filter_map(unix_user);
    let of_unix = of_unix.chain(accounts.unix_groups.iter().filter_map(unix_group));
    of_machine(facts).chain(well_known()).chain(of_unix).find(is_wanted)
}

//! Names for SIDs and SIDs for names: the accounts of the machine, POSIX users and groups, and what is well known
//! (MS-DTYP 2.4.2.4).

use super::ServerFacts;
use crate::{sid::Sid, status::NtStatus};
use std::collections::{BTreeMap, HashMap};

/// Who is known on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountFacts {
    /// SID of the machine, whose accounts have one part more; `None` when there are none.
    pub machine: Option<Sid>,
    /// The machine's users.
    pub users: Accounts,
    /// The machine's groups.
    pub groups: Accounts,
    /// Names of POSIX users, by uid. Others are known by their number.
    pub unix_users: Vec<(u32, String)>,
    /// Names of POSIX groups, by gid. Others are known by their number.
    pub unix_groups: Vec<(u32, String)>,
}

/// Users or groups, found by number and by name in any case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accounts {
    by_id: BTreeMap<u32, Account>,
    ids: HashMap<String, u32>,
}

impl Accounts {
    /// These; of two with one number or name the last.
    pub fn new(accounts: impl IntoIterator<Item = Account>) -> Self {
        let mut all = Self::default();
        for account in accounts {
            all.ids.insert(account.name.to_lowercase(), account.relative_id);
            all.by_id.insert(account.relative_id, account);
        }
        all
    }

    /// In the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.by_id.values()
    }

    /// By the last part of the SID.
    pub fn by_id(&self, relative_id: u32) -> Option<&Account> {
        self.by_id.get(&relative_id)
    }

    /// By name.
    pub fn by_name(&self, name: &str) -> Option<&Account> {
        self.by_id(*self.ids.get(&name.to_lowercase())?)
    }
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
    /// Of a user: groups of the machine, by relative id.
    pub groups: Vec<u32>,
}

/// The group "None", which every user of a machine has for its primary one.
pub(super) const RID_NONE: u32 = 513;
/// Its name.
pub(super) const NONE: &str = "None";
/// The account of guests, which every machine has. It is no user's: nobody logs in by its password.
pub const RID_GUEST: u32 = 501;
/// Its name.
pub const GUEST: &str = "Guest";

/// Number, name and kind of an account in its domain.
pub(super) type Entry<'f> = (u32, &'f str, NameUse);

impl AccountFacts {
    /// The account of the machine with this number.
    pub(super) fn by_id(&self, relative_id: u32) -> Option<Entry<'_>> {
        let user = self.users.by_id(relative_id).map(|user| entry(user, NameUse::User));
        let group = || self.groups.by_id(relative_id).map(|group| entry(group, NameUse::Alias));
        user.or_else(group).or_else(|| everywhere().find(|(known, ..)| *known == relative_id))
    }

    /// The account of the machine with this name, in any case.
    pub(super) fn by_name(&self, name: &str) -> Option<Entry<'_>> {
        let user = self.users.by_name(name).map(|user| entry(user, NameUse::User));
        let group = || self.groups.by_name(name).map(|group| entry(group, NameUse::Alias));
        user.or_else(group).or_else(|| everywhere().find(|(_, known, _)| name.eq_ignore_ascii_case(known)))
    }

    fn name_in(&self, machine: &str, (relative_id, name, name_use): Entry<'_>) -> Option<Named> {
        named(machine, self.machine.clone()?, relative_id, name, name_use)
    }
}

/// The accounts that every machine has.
fn everywhere() -> impl Iterator<Item = Entry<'static>> {
    [(RID_GUEST, GUEST, NameUse::User), (RID_NONE, NONE, NameUse::Group)].into_iter()
}

fn entry(account: &Account, name_use: NameUse) -> Entry<'_> {
    (account.relative_id, &account.name, name_use)
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

/// The machine and [`BUILTIN`] themselves.
fn domains(facts: &ServerFacts) -> impl Iterator<Item = Named> {
    let all =
        [(facts.name.clone(), facts.accounts.machine.clone()), (BUILTIN.to_owned(), Some(builtin_sid()))];
    all.into_iter().filter_map(|(domain, sid)| {
        let sid = sid?;
        let name_use = NameUse::Domain;
        Some(Named { domain, domain_sid: sid.clone(), name: String::new(), sid, name_use })
    })
}

fn well_known() -> impl Iterator<Item = Named> {
    WELL_KNOWN.into_iter().filter_map(|(domain, authority, parts, last, name)| {
        let name_use = if domain == BUILTIN { NameUse::Alias } else { NameUse::WellKnownGroup };
        named(domain, sid(authority, parts), last, name, name_use)
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
    let machine = accounts.machine.as_ref();
    if machine.is_some_and(|machine| wanted.is_child_of(machine)) {
        let found = wanted.relative_id().and_then(|relative_id| accounts.by_id(relative_id))?;
        return accounts.name_in(&facts.name, found);
    }
    domains(facts).chain(well_known()).find(|named| named.sid == *wanted)
}

/// Who has this name, alone or behind a domain and a backslash, in any case. What is well known is that whoever else
/// has such a name.
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
    let of_machine = || accounts.by_name(&name).and_then(|found| accounts.name_in(&facts.name, found));
    let unix_user = |(uid, _): &(u32, String)| unix(UNIX_USERS, &accounts.unix_users, *uid, NameUse::User);
    let unix_group =
        |(gid, _): &(u32, String)| unix(UNIX_GROUPS, &accounts.unix_groups, *gid, NameUse::Alias);
    let of_unix = accounts.unix_users.iter().filter_map(unix_user);
    let mut of_unix = of_unix.chain(accounts.unix_groups.iter().filter_map(unix_group));
    let is_domain = |named: &Named| domain.is_none() && named.domain.to_lowercase() == name;
    let found = well_known().find(is_wanted).or_else(|| of_machine().filter(is_wanted));
    found.or_else(|| of_unix.find(is_wanted)).or_else(|| domains(facts).find(is_domain))
}

/// The status of a lookup of so many, of which so many were found.
pub(super) fn mapped(found: usize, asked: usize) -> NtStatus {
    match found {
        found if found == asked => NtStatus::SUCCESS,
        0 => NtStatus::NONE_MAPPED,
        _ => NtStatus::SOME_NOT_MAPPED,
    }
}

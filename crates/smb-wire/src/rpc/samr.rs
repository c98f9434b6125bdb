//! Operations of `samr` (MS-SAMR 3.1.5): the machine's users, and which groups they are in. Read-only: what changes
//! accounts is `nca_s_op_rng_error`.

mod display;

use super::{
    Account, AccountFacts, ServerFacts,
    accounts::{BUILTIN, Entry, NameUse, RID_NONE, builtin_groups, builtin_sid, mapped},
    handle::Handle,
    lsarpc::close,
    ndr::{NdrReader, NdrWriter},
    pdu::{Fault, Syntax},
};
use crate::{sid::Sid, status::NtStatus};

/// 12345778-1234-abcd-ef00-0123456789ac, version 1.0
pub const INTERFACE: Syntax = Syntax {
    uuid: [0x78, 0x57, 0x34, 0x12, 0x34, 0x12, 0xCD, 0xAB, 0xEF, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAC],
    version: 1,
};

const CONNECT: u16 = 0;
const CLOSE_HANDLE: u16 = 1;
const LOOKUP_DOMAIN: u16 = 5;
const ENUMERATE_DOMAINS: u16 = 6;
const OPEN_DOMAIN: u16 = 7;
const ENUMERATE_USERS: u16 = 13;
const ENUMERATE_ALIASES: u16 = 15;
const GET_ALIAS_MEMBERSHIP: u16 = 16;
const LOOKUP_NAMES: u16 = 17;
const LOOKUP_IDS: u16 = 18;
const OPEN_USER: u16 = 34;
const QUERY_INFORMATION_USER: u16 = 36;
const GET_GROUPS_FOR_USER: u16 = 39;
const QUERY_DISPLAY: u16 = 40;
const QUERY_DISPLAY_2: u16 = 48;
const QUERY_DISPLAY_3: u16 = 51;
const QUERY_INFORMATION_USER_2: u16 = 47;
const CONNECT_2: u16 = 57;
const CONNECT_4: u16 = 62;
const CONNECT_5: u16 = 64;

/// Classes of information about a user (MS-SAMR 2.2.6.28).
const USER_NAME: u16 = 6;
const USER_ACCOUNT_NAME: u16 = 7;
const USER_FULL_NAME: u16 = 8;
const USER_PRIMARY_GROUP: u16 = 9;
const USER_CONTROL: u16 = 16;

/// Accounts in one answer; a client comes again for the rest.
const ENUMERATED_MAX: usize = 4096;
/// A group that is always on (MS-SAMR 2.2.1.9).
const GROUP_ATTRIBUTES: u32 = 7;
/// An account of a person (MS-SAMR 2.2.1.12).
const NORMAL_ACCOUNT: u32 = 0x0000_0010;

/// Calls the operation with this number.
pub(super) fn call<'a>(
    opnum: u16,
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<(), Fault> {
    match opnum {
        CONNECT | CONNECT_2 | CONNECT_4 => put_opened(Ok(Handle::Server), result),
        CONNECT_5 => {
            // Version 1 of the revisions: revision 3, no features.
            [1, 1, 3, 0].into_iter().for_each(|word| result.u32(word));
            put_opened(Ok(Handle::Server), result);
        }
        CLOSE_HANDLE => return close(arguments, result),
        LOOKUP_DOMAIN => lookup_domain(arguments, facts, result)?,
        ENUMERATE_DOMAINS => {
            let status = Handle::Server.expect(arguments)?;
            enumerate(status, &[(0, &facts.name), (0, BUILTIN)], arguments, result)?;
        }
        OPEN_DOMAIN => open_domain(arguments, facts, result)?,
        ENUMERATE_USERS | ENUMERATE_ALIASES => enumerate_accounts(opnum, arguments, facts, result)?,
        GET_ALIAS_MEMBERSHIP => get_alias_membership(arguments, facts, result)?,
        LOOKUP_NAMES => lookup_names(arguments, facts, result)?,
        LOOKUP_IDS => lookup_ids(arguments, facts, result)?,
        OPEN_USER => open_user(arguments, facts, result)?,
        QUERY_INFORMATION_USER | QUERY_INFORMATION_USER_2 => query_user(arguments, facts, result)?,
        GET_GROUPS_FOR_USER => get_groups_for_user(arguments, facts, result)?,
        QUERY_DISPLAY | QUERY_DISPLAY_2 | QUERY_DISPLAY_3 => display::query(arguments, facts, result)?,
        _ => return Err(Fault::NO_SUCH_OPERATION),
    }
    Ok(())
}

fn put_opened(opened: Result<Handle, NtStatus>, result: &mut NdrWriter<'_>) {
    result.handle(&opened.map_or(super::handle::CLOSED, Handle::encode));
    result.u32(opened.err().unwrap_or(NtStatus::SUCCESS).0);
}

/// A domain, by its handle: the machine's accounts, or the groups that every machine has.
#[derive(Clone, Copy)]
enum Domain<'f> {
    Machine(&'f AccountFacts),
    Builtin,
}

impl<'f> Domain<'f> {
    fn of(handle: Handle, facts: &'f ServerFacts) -> Result<Self, NtStatus> {
        match handle {
            Handle::AccountDomain => Ok(Self::Machine(&facts.accounts)),
            Handle::BuiltinDomain => Ok(Self::Builtin),
            Handle::Policy | Handle::Server | Handle::User(_) => Err(NtStatus::INVALID_HANDLE),
        }
    }

    /// The domain whose handle comes first.
    fn read(arguments: &mut NdrReader<'_>, facts: &'f ServerFacts) -> Result<Result<Self, NtStatus>, Fault> {
        Ok(Handle::read(arguments)?.and_then(|handle| Self::of(handle, facts)))
    }

    fn builtin() -> impl Iterator<Item = Entry<'f>> {
        builtin_groups().map(|(id, name)| (id, name, NameUse::Alias))
    }

    fn by_id(self, wanted: u32) -> Option<Entry<'f>> {
        match self {
            Self::Machine(accounts) => accounts.by_id(wanted),
            Self::Builtin => Self::builtin().find(|(id, ..)| *id == wanted),
        }
    }

    fn by_name(self, wanted: &str) -> Option<Entry<'f>> {
        match self {
            Self::Machine(accounts) => accounts.by_name(wanted),
            Self::Builtin => Self::builtin().find(|(_, name, _)| name.eq_ignore_ascii_case(wanted)),
        }
    }

    /// Number and name of those that an operation enumerates.
    fn listed(self, opnum: u16) -> Vec<(u32, &'f str)> {
        let of = |account: &'f Account| (account.relative_id, account.name.as_str());
        match (self, opnum) {
            (Self::Machine(accounts), ENUMERATE_USERS) => accounts.users.iter().map(of).collect(),
            (Self::Machine(accounts), _) => accounts.groups.iter().map(of).collect(),
            (Self::Builtin, ENUMERATE_USERS) => Vec::new(),
            (Self::Builtin, _) => builtin_groups().collect(),
        }
    }
}

/// SamrLookupDomainInSamServer (MS-SAMR 3.1.5.11.1).
fn lookup_domain(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let status = Handle::Server.expect(arguments)?;
    let name = arguments.counted()?.to_lowercase();
    let sid = if name == BUILTIN.to_lowercase() {
        Some(builtin_sid())
    } else {
        facts.accounts.machine.clone().filter(|_| name == facts.name.to_lowercase())
    };
    let status = if status == NtStatus::SUCCESS && sid.is_none() { NtStatus::NO_SUCH_DOMAIN } else { status };
    result.sid_pointer(sid.as_ref().filter(|_| status == NtStatus::SUCCESS));
    result.flush();
    result.u32(status.0);
    Ok(())
}

/// SamrOpenDomain (MS-SAMR 3.1.5.1.5).
fn open_domain(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let status = Handle::Server.expect(arguments)?;
    let (_access, sid) = (arguments.u32()?, arguments.sid()?);
    let opened = if status != NtStatus::SUCCESS {
        Err(status)
    } else if sid == builtin_sid() {
        Ok(Handle::BuiltinDomain)
    } else if facts.accounts.machine.as_ref() == Some(&sid) {
        Ok(Handle::AccountDomain)
    } else {
        Err(NtStatus::NO_SUCH_DOMAIN)
    };
    put_opened(opened, result);
    Ok(())
}

/// SamrEnumerateUsersInDomain and SamrEnumerateAliasesInDomain (MS-SAMR 3.1.5.2.5, 3.1.5.2.3).
fn enumerate_accounts(
    opnum: u16,
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let domain = Domain::read(arguments, facts)?;
    let status = domain.err().unwrap_or(NtStatus::SUCCESS);
    let entries = domain.map(|domain| domain.listed(opnum)).unwrap_or_default();
    enumerate(status, &entries, arguments, result)
}

/// Entries from where the client says that it stopped, whatever length it prefers.
fn enumerate(
    status: NtStatus,
    entries: &[(u32, &str)],
    arguments: &mut NdrReader<'_>,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let entries = if status == NtStatus::SUCCESS { entries } else { &[] };
    let asked_from = arguments.u32()?;
    let from = (asked_from as usize).min(entries.len());
    let to = entries.len().min(from + ENUMERATED_MAX);
    let is_more = to < entries.len();
    let entries = &entries[from..to];
    let count = entries.len() as u32;
    result.u32(asked_from.wrapping_add(count));
    result.pointer();
    result.array_head(entries.len());
    for (relative_id, name) in entries {
        result.u32(*relative_id);
        result.counted(*name);
    }
    result.flush();
    result.u32(count);
    result.u32(if is_more { NtStatus::MORE_ENTRIES } else { status }.0);
    Ok(())
}

/// SamrLookupNamesInDomain (MS-SAMR 3.1.5.11.2).
fn lookup_names(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let domain = Domain::read(arguments, facts)?;
    let count = arguments.u32()?;
    arguments.varying_array(count)?;
    let names = arguments.counted_array(count)?;
    let found = domain.map(|domain| names.iter().map(|name| domain.by_name(name)).collect::<Vec<_>>());
    let (ids, uses) = match &found {
        Ok(found) => found
            .iter()
            .map(|found| {
                found.map_or((0, NameUse::Unknown as u32), |(id, _, name_use)| (id, name_use as u32))
            })
            .unzip(),
        Err(_) => (Vec::new(), Vec::new()),
    };
    result.u32_array(&ids);
    result.u32_array(&uses);
    result.u32(outcome(&found).0);
    Ok(())
}

/// SamrLookupIdsInDomain (MS-SAMR 3.1.5.11.3).
fn lookup_ids(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let domain = Domain::read(arguments, facts)?;
    let count = arguments.u32()?;
    arguments.varying_array(count)?;
    let ids: Vec<u32> = (0..count).map(|_| arguments.u32()).collect::<Result<_, _>>()?;
    let found = domain.map(|domain| ids.iter().map(|id| domain.by_id(*id)).collect::<Vec<_>>());
    let entries: &[_] = found.as_deref().unwrap_or_default();
    result.array_head(entries.len());
    entries.iter().for_each(|found| result.counted(found.map_or("", |(_, name, _)| name)));
    result.flush();
    let use_of =
        |found: &Option<Entry<'_>>| found.map_or(NameUse::Unknown, |(_, _, name_use)| name_use) as u32;
    result.u32_array(&entries.iter().map(use_of).collect::<Vec<_>>());
    result.u32(outcome(&found).0);
    Ok(())
}

/// The status of a lookup.
fn outcome<T>(found: &Result<Vec<Option<T>>, NtStatus>) -> NtStatus {
    match found {
        Err(status) => *status,
        Ok(found) => mapped(found.iter().flatten().count(), found.len()),
    }
}

/// SamrOpenUser (MS-SAMR 3.1.5.1.9).
fn open_user(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let domain = Domain::read(arguments, facts)?;
    let (_access, relative_id) = (arguments.u32()?, arguments.u32()?);
    let opened = domain.and_then(|domain| match domain {
        Domain::Machine(accounts) if accounts.users.by_id(relative_id).is_some() => {
            Ok(Handle::User(relative_id))
        }
        Domain::Machine(_) | Domain::Builtin => Err(NtStatus::NO_SUCH_USER),
    });
    put_opened(opened, result);
    Ok(())
}

/// The user whose handle comes first.
fn user<'f>(
    arguments: &mut NdrReader<'_>,
    facts: &'f ServerFacts,
) -> Result<Result<&'f Account, NtStatus>, Fault> {
    let handle = Handle::read(arguments)?;
    let user = handle.ok().and_then(|handle| match handle {
        Handle::User(relative_id) => facts.accounts.users.by_id(relative_id),
        Handle::Policy | Handle::Server | Handle::AccountDomain | Handle::BuiltinDomain => None,
    });
    Ok(user.ok_or(NtStatus::INVALID_HANDLE))
}

/// SamrQueryInformationUser (MS-SAMR 3.1.5.5.6), the classes that tell names and the primary group.
fn query_user(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let (user, class) = (user(arguments, facts)?, arguments.u16()?);
    let is_known =
        matches!(class, USER_NAME | USER_ACCOUNT_NAME | USER_FULL_NAME | USER_PRIMARY_GROUP | USER_CONTROL);
    let user = match user {
        Ok(user) if is_known => user,
        other => {
            result.null();
            result.u32(other.err().unwrap_or(NtStatus::INVALID_INFO_CLASS).0);
            return Ok(());
        }
    };
    result.pointer();
    result.u16(class);
    match class {
        USER_PRIMARY_GROUP => result.u32(RID_NONE),
        USER_CONTROL => result.u32(NORMAL_ACCOUNT),
        USER_FULL_NAME => result.counted(&*user.full_name),
        USER_ACCOUNT_NAME => result.counted(&*user.name),
        _ => {
            result.counted(&*user.name);
            result.counted(&*user.full_name);
        }
    }
    result.flush();
    result.u32(NtStatus::SUCCESS.0);
    Ok(())
}

/// SamrGetGroupsForUser (MS-SAMR 3.1.5.9.1): the groups of the domain, of which a machine has the primary one alone.
fn get_groups_for_user(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    match user(arguments, facts)? {
        Ok(_) => {
            result.pointer();
            result.u32(1);
            result.pointer();
            result.u32(1);
            result.u32(RID_NONE);
            result.u32(GROUP_ATTRIBUTES);
            result.u32(NtStatus::SUCCESS.0);
        }
        Err(status) => {
            result.null();
            result.u32(status.0);
        }
    }
    Ok(())
}

/// SamrGetAliasMembership (MS-SAMR 3.1.5.9.2): the groups of the machine that the users among these SIDs are in.
fn get_alias_membership(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let domain = Domain::read(arguments, facts)?;
    let sids = arguments.sid_array()?;
    let mut groups: Vec<u32> = Vec::new();
    if let Ok(Domain::Machine(accounts)) = domain
        && let Some(machine) = &accounts.machine
    {
        let ours = sids.iter().filter(|sid| sid.is_child_of(machine)).filter_map(Sid::relative_id);
        let users = ours.filter_map(|relative_id| accounts.users.by_id(relative_id));
        groups = users.flat_map(|user| user.groups.iter().copied()).collect();
        groups.sort_unstable();
        groups.dedup();
    }
    result.u32_array(&groups);
    result.u32(domain.err().unwrap_or(NtStatus::SUCCESS).0);
    Ok(())
}

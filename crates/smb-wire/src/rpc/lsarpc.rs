//! Operations of `lsarpc`: the policy of the machine (MS-LSAD 3.1.4.4), names for SIDs and SIDs for names (MS-LSAT
//! 3.1.4). Windows' Explorer asks here for what its Security tab shows.

use super::{
    ServerFacts,
    accounts::{self, NameUse, Named},
    handle::{CLOSED, Handle},
    ndr::{NdrReader, NdrWriter},
    pdu::{Fault, Syntax},
};
use crate::{sid::Sid, status::NtStatus};

/// 12345778-1234-abcd-ef00-0123456789ab, version 0.0
pub const INTERFACE: Syntax = Syntax {
    uuid: [0x78, 0x57, 0x34, 0x12, 0x34, 0x12, 0xCD, 0xAB, 0xEF, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB],
    version: 0,
};

const CLOSE: u16 = 0;
const OPEN_POLICY: u16 = 6;
const QUERY_INFORMATION_POLICY: u16 = 7;
const LOOKUP_NAMES: u16 = 14;
const LOOKUP_SIDS: u16 = 15;
const OPEN_POLICY_2: u16 = 44;
const GET_USER_NAME: u16 = 45;
const QUERY_INFORMATION_POLICY_2: u16 = 46;
const LOOKUP_SIDS_2: u16 = 57;
const LOOKUP_NAMES_2: u16 = 58;
const LOOKUP_NAMES_3: u16 = 68;
const LOOKUP_SIDS_3: u16 = 76;
const LOOKUP_NAMES_4: u16 = 77;
const OPEN_POLICY_3: u16 = 130;

/// Classes of information about the policy (MS-LSAD 2.2.4.1).
const PRIMARY_DOMAIN: u16 = 3;
const ACCOUNT_DOMAIN: u16 = 5;
const SERVER_ROLE: u16 = 6;
const DNS_DOMAIN: u16 = 12;
/// A 16-bit word, aligned as the widest arm of its union and padded.
const ROLE_PRIMARY: u32 = 3;

/// Calls the operation with this number.
pub(super) fn call<'a>(
    opnum: u16,
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<(), Fault> {
    match opnum {
        CLOSE => close(arguments, result),
        OPEN_POLICY | OPEN_POLICY_2 => {
            result.handle(&Handle::Policy.encode());
            result.u32(NtStatus::SUCCESS.0);
            Ok(())
        }
        OPEN_POLICY_3 => {
            // Version 1 of the revisions: revision 1, no features.
            [1, 1, 1, 0].into_iter().for_each(|word| result.u32(word));
            result.handle(&Handle::Policy.encode());
            result.u32(NtStatus::SUCCESS.0);
            Ok(())
        }
        QUERY_INFORMATION_POLICY | QUERY_INFORMATION_POLICY_2 => query_policy(arguments, facts, result),
        GET_USER_NAME => get_user_name(arguments, facts, result),
        LOOKUP_SIDS | LOOKUP_SIDS_2 | LOOKUP_SIDS_3 => lookup_sids(opnum, arguments, facts, result),
        LOOKUP_NAMES | LOOKUP_NAMES_2 | LOOKUP_NAMES_3 | LOOKUP_NAMES_4 => {
            lookup_names(opnum, arguments, facts, result)
        }
        _ => Err(Fault::NO_SUCH_OPERATION),
    }
}

/// LsarClose (MS-LSAD 3.1.4.9.4); SamrCloseHandle is the same.
pub(super) fn close(arguments: &mut NdrReader<'_>, result: &mut NdrWriter<'_>) -> Result<(), Fault> {
    let status = Handle::read(arguments)?.err().unwrap_or(NtStatus::SUCCESS);
    result.handle(&CLOSED);
    result.u32(status.0);
    Ok(())
}

/// LsarQueryInformationPolicy (MS-LSAD 3.1.4.4.4). The machine is in no domain: its own accounts are all there are.
fn query_policy(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let (status, class) = (Handle::Policy.expect(arguments)?, arguments.u16()?);
    let is_known = matches!(class, PRIMARY_DOMAIN | ACCOUNT_DOMAIN | SERVER_ROLE | DNS_DOMAIN);
    if status != NtStatus::SUCCESS || !is_known {
        result.null();
        result.u32(if is_known { status } else { NtStatus::INVALID_PARAMETER }.0);
        return Ok(());
    }
    result.pointer();
    result.u16(class);
    match class {
        SERVER_ROLE => result.u32(ROLE_PRIMARY),
        ACCOUNT_DOMAIN => {
            result.counted(&*facts.name);
            result.sid_pointer(facts.accounts.machine.as_ref());
        }
        PRIMARY_DOMAIN => {
            result.counted(&*facts.domain);
            result.null();
        }
        _ => {
            result.counted(&*facts.domain);
            result.counted("");
            result.counted("");
            // No GUID, no SID: no domain.
            (0..5).for_each(|_| result.u32(0));
        }
    }
    result.flush();
    result.u32(NtStatus::SUCCESS.0);
    Ok(())
}

/// LsarGetUserName (MS-LSAT 3.1.4.2).
fn get_user_name(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let _system = arguments.string_pointer()?;
    if arguments.u32()? != 0 {
        arguments.counted()?;
    }
    let wants_domain = arguments.u32()? != 0;
    result.pointer();
    result.counted(&*facts.caller);
    result.flush();
    if wants_domain {
        result.pointer();
        result.pointer();
        result.counted(&*facts.name);
        result.flush();
    } else {
        result.null();
    }
    result.u32(NtStatus::SUCCESS.0);
    Ok(())
}

/// The domains that an answer refers to, each once.
#[derive(Default)]
struct Domains(Vec<(String, Sid)>);

impl Domains {
    /// The number of an account's domain; -1 for nobody.
    fn index_of(&mut self, named: Option<&Named>) -> u32 {
        let Some(named) = named else { return u32::MAX };
        let known = self.0.iter().position(|(_, sid)| *sid == named.domain_sid);
        known.unwrap_or_else(|| {
            self.0.push((named.domain.clone(), named.domain_sid.clone()));
            self.0.len() - 1
        }) as u32
    }

    /// LSAPR_REFERENCED_DOMAIN_LIST (MS-LSAT 2.2.12) behind its pointer.
    fn put(&self, result: &mut NdrWriter<'_>) {
        let count = self.0.len() as u32;
        result.pointer();
        result.u32(count);
        if count == 0 {
            result.null();
            return result.u32(0);
        }
        result.pointer();
        result.u32(count);
        result.u32(count);
        for (name, sid) in &self.0 {
            result.counted(name.clone());
            result.sid_pointer(Some(sid));
        }
        result.flush();
    }
}

/// Whether a lookup may go on: all but the last operation of each kind begin with a handle.
fn may_look_up(has_handle: bool, arguments: &mut NdrReader<'_>) -> Result<NtStatus, Fault> {
    if has_handle { Handle::Policy.expect(arguments) } else { Ok(NtStatus::SUCCESS) }
}

/// LsarLookupSids, 2 and 3 (MS-LSAT 3.1.4.9 to 3.1.4.11).
fn lookup_sids(
    opnum: u16,
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let status = may_look_up(opnum != LOOKUP_SIDS_3, arguments)?;
    let sids = arguments.sid_array()?;
    let look_up = || sids.iter().map(|sid| accounts::by_sid(facts, sid)).collect();
    put_found(status, look_up, opnum != LOOKUP_SIDS, result, |nth, named, result| {
        // Nobody's name is the SID itself.
        result.counted(named.map_or_else(|| sids[nth].to_string(), |named| named.name.clone()));
    });
    Ok(())
}

/// LsarLookupNames, 2, 3 and 4 (MS-LSAT 3.1.4.5 to 3.1.4.8).
fn lookup_names(
    opnum: u16,
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let status = may_look_up(opnum != LOOKUP_NAMES_4, arguments)?;
    let (count, size) = (arguments.u32()?, arguments.u32()?);
    if count != size {
        return Err(Fault::BAD_ARGUMENTS);
    }
    let names = arguments.counted_array(count)?;
    let look_up = || names.iter().map(|name| accounts::by_name(facts, name)).collect();
    put_found(status, look_up, opnum != LOOKUP_NAMES, result, |_, named, result| match opnum {
        LOOKUP_NAMES | LOOKUP_NAMES_2 => result.u32(relative_id(named)),
        _ => result.sid_pointer(named.map(|named| &named.sid)),
    });
    Ok(())
}

/// The answer to a lookup: the domains, then kind, `put` and domain of each that was asked for, with flags after it
/// (LSAPR_TRANSLATED_NAME, LSAPR_TRANSLATED_SID and their successors, MS-LSAT 2.2.14 to 2.2.25), then the outcome.
fn put_found(
    status: NtStatus,
    look_up: impl FnOnce() -> Vec<Option<Named>>,
    flags: bool,
    result: &mut NdrWriter<'_>,
    put: impl Fn(usize, Option<&Named>, &mut NdrWriter<'_>),
) {
    if status != NtStatus::SUCCESS {
        result.null();
        result.array_head(0);
        result.u32(0);
        return result.u32(status.0);
    }
    let found = look_up();
    let mut domains = Domains::default();
    let indexes: Vec<u32> = found.iter().map(|named| domains.index_of(named.as_ref())).collect();
    domains.put(result);
    result.array_head(found.len());
    for (nth, (named, index)) in found.iter().zip(indexes).enumerate() {
        result.u32(named.as_ref().map_or(NameUse::Unknown, |named| named.name_use) as u32);
        put(nth, named.as_ref(), result);
        result.u32(index);
        if flags {
            result.u32(0);
        }
    }
    result.flush();
    let count = found.iter().flatten().count();
    result.u32(count as u32);
    result.u32(accounts::mapped(count, found.len()).0);
}

/// The number of an account in its domain; a domain has none (MS-LSAT 2.2.14).
fn relative_id(named: Option<&Named>) -> u32 {
    match named {
        Some(named) if named.name_use == NameUse::Domain => u32::MAX,
        named => named.and_then(|named| named.sid.relative_id()).unwrap_or(0),
    }
}

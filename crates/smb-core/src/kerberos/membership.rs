//! Who a user is to Windows, out of the PAC that a domain puts into its tickets (MS-PAC).
//!
//! The PAC counts when it is signed with the service's key, as only the domain and the service can sign, and when it
//! was made for this ticket: a client may put things into a ticket too, and one from elsewhere must not pass. The
//! domain's own signature is for the domain; a service has no key to verify it.
//!
//! A ticket is for the name that was asked for, and a domain may have taken another account for it: for `root`, where
//! nobody is called so, that of the machine `root$`, which any user may have made (CVE-2020-25717, CVE-2020-25719). The
//! PAC says which account it was, and a ticket for any other name is refused.

use super::Refusal;
use super::encryption::{Key, Usage};
use super::messages::TicketPart;
use crate::names::same_user;
use smb_wire::pac::{ClientInfo, GroupAttributes, LogonInfo, Pac, PacKind, PacSignature};
use smb_wire::{FileTime, Sid};
use std::collections::HashSet;

/// Most groups of one user, as in a token of Windows.
pub const MAX_GROUPS: usize = 1024;
/// S-1-5-32: groups of the machine itself, which no domain fills.
const BUILTIN: (u64, u32) = (5, 32);

/// A user and the user's groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// The user.
    pub user: Sid,
    /// The groups; the first is the primary one.
    pub groups: Vec<Sid>,
    /// Groups that count for what is denied to them alone.
    pub deny_only: Vec<Sid>,
}

/// Reads a ticket's PAC. `None` inside when the realm says nothing of SIDs: a KDC that is no domain controller signs
/// a PAC without them.
pub(super) fn of_ticket(
    ticket: &TicketPart<'_>,
    pac: &[u8],
    service: &Key,
) -> Result<Option<Membership>, Refusal> {
    let bad = |_| Refusal::BadPac;
    let parsed = Pac::decode(pac).map_err(bad)?;
    verify(&parsed, pac, service)?;
    let client = parsed.buffer(PacKind::CLIENT_INFO).ok_or(Refusal::BadPac)?;
    let client = ClientInfo::decode(client).map_err(bad)?;
    let name = ticket.client.name();
    let is_same = client.name == name || client.name == ticket.client.to_string();
    if !is_same || !same_second(client.authenticated, ticket.authenticated) {
        return Err(Refusal::BadPac);
    }
    let Some(logon) = parsed.buffer(PacKind::LOGON_INFO) else { return Ok(None) };
    let logon = LogonInfo::decode(logon).map_err(bad)?;
    if !same_user(&logon.account, &name) {
        let account = format!("{}\\{}", logon.domain_name, logon.account);
        return Err(Refusal::AnotherAccount { name, account });
    }
    membership(logon).map(Some)
}

/// The signature covers the whole PAC with both signatures taken as zero (MS-PAC 2.8.1).
fn verify(parsed: &Pac, pac: &[u8], service: &Key) -> Result<(), Refusal> {
    let signature = parsed.buffer(PacKind::SERVER_SIGNATURE).ok_or(Refusal::BadPac)?;
    let signature = PacSignature::decode(signature).map_err(|_| Refusal::BadPac)?;
    let kind = service.kind();
    if signature.kind != kind.checksum_code() {
        return Err(Refusal::BadPac);
    }
    let mut unsigned = pac.to_vec();
    for kind in [PacKind::SERVER_SIGNATURE, PacKind::KDC_SIGNATURE] {
        if let Some(range) = parsed.range(kind) {
            PacSignature::blank(&mut unsigned[range]);
        }
    }
    let given = signature.signature.get(..kind.checksum_len()).ok_or(Refusal::BadPac)?;
    match service.verify(Usage::Pac, &[&unsigned], given) {
        true => Ok(()),
        false => Err(Refusal::BadPac),
    }
}

fn same_second(a: FileTime, b: FileTime) -> bool {
    const TICKS: u64 = 10_000_000;
    a.0 / TICKS == b.0 / TICKS
}

fn membership(logon: LogonInfo) -> Result<Membership, Refusal> {
    let within = |domain: &Sid, id: u32| domain.child(id).ok_or(Refusal::BadPac);
    let mut named = Vec::new();
    for group in &logon.groups {
        named.push((within(&logon.domain, group.id)?, group.attributes));
    }
    named.extend(logon.extra);
    if let Some(domain) = &logon.resource_domain {
        for group in &logon.resource_groups {
            named.push((within(domain, group.id)?, group.attributes));
        }
    }
    let of = |counts: fn(GroupAttributes) -> bool| {
        named.iter().filter(move |(_, attributes)| counts(*attributes)).map(|(sid, _)| sid.clone())
    };
    let primary = within(&logon.domain, logon.primary_group)?;
    let groups = each_once(std::iter::once(primary).chain(of(GroupAttributes::is_enabled)));
    let deny_only = each_once(of(GroupAttributes::only_denies));
    if groups.len() + deny_only.len() > MAX_GROUPS {
        return Err(Refusal::TooManyGroups);
    }
    Ok(Membership { user: within(&logon.domain, logon.user)?, groups, deny_only })
}

/// Without those of the machine itself.
fn each_once(groups: impl Iterator<Item = Sid>) -> Vec<Sid> {
    let is_builtin =
        |sid: &Sid| (sid.authority(), sid.sub_authorities().first()) == (BUILTIN.0, Some(&BUILTIN.1));
    let mut known = HashSet::new();
    groups.filter(|group| !is_builtin(group) && known.insert(group.clone())).collect()
}

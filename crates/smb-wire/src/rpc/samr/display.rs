//! SamrQueryDisplayInformation and its two younger forms, which are called alike (MS-SAMR 3.1.5.3.1 to 3.1.5.3.3): accounts
//! for a list that a person looks at, as the object picker of Windows shows it.

use super::{
    Account, AccountFacts, Domain, ENUMERATED_MAX, GROUP_ATTRIBUTES, NORMAL_ACCOUNT, NdrReader, NdrWriter,
    NtStatus, ServerFacts,
};
use crate::name;
use crate::rpc::{
    accounts::{NONE, RID_NONE},
    pdu::Fault,
};

/// Kinds of lists (DOMAIN_DISPLAY_INFORMATION, MS-SAMR 2.2.8.1).
const USERS: u16 = 1;
const MACHINES: u16 = 2;
const GROUPS: u16 = 3;
const OEM_GROUPS: u16 = 5;

/// An account in a list. Descriptions there are none.
struct Shown<'f> {
    relative_id: u32,
    attributes: u32,
    name: &'f str,
    /// Of a user.
    full_name: Option<&'f str>,
}

impl<'f> Shown<'f> {
    fn user(account: &'f Account) -> Self {
        let (name, full_name) = (&account.name, Some(&*account.full_name));
        Shown { relative_id: account.relative_id, attributes: NORMAL_ACCOUNT, name, full_name }
    }

    /// Its bytes, about: what the client's buffer is to hold.
    fn len(&self) -> u32 {
        const WORDS: usize = 3;
        const COUNTED_LEN: usize = 8;
        let text = |text: &str| COUNTED_LEN + name::encoded_len(text);
        let length = WORDS * 4 + COUNTED_LEN + text(self.name) + self.full_name.map_or(0, text);
        u32::try_from(length).unwrap_or(u32::MAX)
    }

    /// As the element with this number (MS-SAMR 2.2.8.2, 2.2.8.4).
    fn encode(&self, index: u32, result: &mut NdrWriter<'_>) {
        [index, self.relative_id, self.attributes].into_iter().for_each(|word| result.u32(word));
        result.counted(self.name);
        result.counted("");
        if let Some(full_name) = self.full_name {
            result.counted(full_name);
        }
    }
}

/// Who is in such a list. The groups of a machine are aliases, which no list shows, but for the one that is every
/// user's primary group.
fn listed(accounts: &AccountFacts, kind: u16) -> Vec<Shown<'_>> {
    match kind {
        USERS => accounts.users.iter().map(Shown::user).collect(),
        GROUPS => {
            vec![Shown { relative_id: RID_NONE, attributes: GROUP_ATTRIBUTES, name: NONE, full_name: None }]
        }
        _ => Vec::new(),
    }
}

/// Answers with accounts from where the client says on, as many as it wants, and as fit into its buffer; one in any case.
pub(super) fn query(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    let domain = Domain::read(arguments, facts)?;
    let kind = arguments.u16()?;
    let (from, wanted, buffer) = (arguments.u32()?, arguments.u32()?, arguments.u32()?);
    if !(USERS..=OEM_GROUPS).contains(&kind) {
        return Err(Fault::BAD_ARGUMENTS);
    }
    let (all, status) = match domain {
        Ok(Domain::Machine(accounts)) if matches!(kind, USERS | MACHINES | GROUPS) => {
            (listed(accounts, kind), NtStatus::SUCCESS)
        }
        Ok(Domain::Builtin) if matches!(kind, USERS | MACHINES | GROUPS) => (Vec::new(), NtStatus::SUCCESS),
        Ok(_) => (Vec::new(), NtStatus::INVALID_INFO_CLASS),
        Err(status) => (Vec::new(), status),
    };
    let rest = all.get(from as usize..).unwrap_or_default();
    let mut returned = 0u32;
    let fits = |shown: &&Shown<'_>| {
        let first = returned == 0;
        returned = returned.saturating_add(shown.len());
        first || returned <= buffer
    };
    let most = ENUMERATED_MAX.min(wanted as usize);
    let count = rest.iter().take(most).take_while(fits).count();
    let length = |shown: &[Shown<'_>]| shown.iter().map(Shown::len).fold(0, u32::saturating_add);
    result.u32(length(&all));
    result.u32(length(&rest[..count]));
    result.u16(kind);
    result.array_head(count);
    for (shown, index) in rest[..count].iter().zip(from.saturating_add(1)..) {
        shown.encode(index, result);
    }
    result.flush();
    result.u32(if count < rest.len() { NtStatus::MORE_ENTRIES } else { status }.0);
    Ok(())
}

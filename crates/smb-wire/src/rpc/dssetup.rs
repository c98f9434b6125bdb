//! The one operation that is left of MS-DSSP: what a machine is to a domain. Windows asks it on `\pipe\lsarpc` before it
//! lets a person choose users and groups of that machine.

use super::{
    ServerFacts,
    ndr::{NdrReader, NdrWriter},
    pdu::{Fault, Syntax},
};

/// 3919286a-b10c-11d0-9ba8-00c04fd92ef5, version 0.0
pub const INTERFACE: Syntax = Syntax {
    uuid: [0x6A, 0x28, 0x19, 0x39, 0x0C, 0xB1, 0xD0, 0x11, 0x9B, 0xA8, 0x00, 0xC0, 0x4F, 0xD9, 0x2E, 0xF5],
    version: 0,
};

const GET_PRIMARY_DOMAIN_INFORMATION: u16 = 0;

/// DSROLE_PRIMARY_DOMAIN_INFO_LEVEL (MS-DSSP 2.2.7).
const BASIC: u16 = 1;
const UPGRADE_STATUS: u16 = 2;
const OPERATION_STATE: u16 = 3;
/// DSROLE_MACHINE_ROLE (MS-DSSP 2.2.1): a server that is in no domain.
const STANDALONE_SERVER: u32 = 2;
/// No flag, no upgrade, no operation, and no state before.
const NONE: u32 = 0;

const ERROR_SUCCESS: u32 = 0;
const ERROR_INVALID_PARAMETER: u32 = 87;

/// Calls the operation with this number.
pub(super) fn call<'a>(
    opnum: u16,
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<(), Fault> {
    match opnum {
        GET_PRIMARY_DOMAIN_INFORMATION => get_primary_domain_information(arguments, facts, result),
        _ => Err(Fault::NO_SUCH_OPERATION),
    }
}

/// DsRolerGetPrimaryDomainInformation (MS-DSSP 3.2.5.1). Users of the machine are of a domain of the machine's name.
fn get_primary_domain_information<'a>(
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<(), Fault> {
    let level = arguments.u16()?;
    if !(BASIC..=OPERATION_STATE).contains(&level) {
        result.null();
        result.u32(ERROR_INVALID_PARAMETER);
        return Ok(());
    }
    result.pointer();
    result.u16(level);
    match level {
        BASIC => {
            result.u32(STANDALONE_SERVER);
            result.u32(NONE);
            result.string_pointer(&facts.domain);
            // No DNS domain, no forest, no GUID of a domain.
            result.null();
            result.null();
            (0..4).for_each(|_| result.u32(0));
        }
        UPGRADE_STATUS => (0..2).for_each(|_| result.u32(NONE)),
        _ => result.u32(NONE),
    }
    result.flush();
    result.u32(ERROR_SUCCESS);
    Ok(())
}

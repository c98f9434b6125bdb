//! Operations of `wkssvc` (MS-WKST 3.2.4): what the machine is.

use super::{
    ServerFacts,
    ndr::{NdrReader, NdrWriter},
    pdu::{Fault, Syntax},
    srvsvc::{NERR_SUCCESS, begin_info},
};

/// 6bffd098-a112-3610-9833-46c3f87e345a, version 1.0
pub const INTERFACE: Syntax = Syntax {
    uuid: [0x98, 0xD0, 0xFF, 0x6B, 0x12, 0xA1, 0x10, 0x36, 0x98, 0x33, 0x46, 0xC3, 0xF8, 0x7E, 0x34, 0x5A],
    version: 1,
};

const NETR_WKSTA_GET_INFO: u16 = 0;

/// Calls the operation with this number.
pub(super) fn call<'a>(
    opnum: u16,
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<(), Fault> {
    match opnum {
        NETR_WKSTA_GET_INFO => workstation_get_info(arguments, facts, result),
        _ => Err(Fault::NO_SUCH_OPERATION),
    }
}

/// NetrWkstaGetInfo (MS-WKST 3.2.4.1).
fn workstation_get_info<'a>(
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<(), Fault> {
    let Some(level) = begin_info(arguments, facts, result)? else { return Ok(()) };
    result.string_pointer(&facts.domain);
    result.u32(facts.version.0);
    result.u32(facts.version.1);
    if level >= 101 {
        result.string_pointer("");
    }
    if level == 102 {
        result.u32(facts.users);
    }
    result.flush();
    result.u32(NERR_SUCCESS);
    Ok(())
}

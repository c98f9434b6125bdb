//! Operations of `srvsvc` (MS-SRVS 3.1.4): shares, the server, its clock.

use super::{
    ServerFacts, ShareFacts,
    ndr::{NdrReader, NdrWriter},
    pdu::{Fault, Syntax},
};
use crate::time::civil_date;

/// 4b324fc8-1670-01d3-1278-5a47bf6ee188, version 3.0
pub const INTERFACE: Syntax = Syntax {
    uuid: [0xC8, 0x4F, 0x32, 0x4B, 0x70, 0x16, 0xD3, 0x01, 0x12, 0x78, 0x5A, 0x47, 0xBF, 0x6E, 0xE1, 0x88],
    version: 3,
};

/// Type of a share: files.
pub const STYPE_DISKTREE: u32 = 0x0000_0000;
/// Type of a share: named pipes.
pub const STYPE_IPC: u32 = 0x0000_0003;
/// Added to the type of an administrative share.
pub const STYPE_SPECIAL: u32 = 0x8000_0000;

/// Windows NT and its successors.
const PLATFORM_ID_NT: u32 = 500;
const ERROR_INVALID_LEVEL: u32 = 124;
pub(super) const NERR_SUCCESS: u32 = 0;
const NERR_NET_NAME_NOT_FOUND: u32 = 2310;

const NETR_SHARE_ENUM: u16 = 15;
const NETR_SHARE_GET_INFO: u16 = 16;
const NETR_SERVER_GET_INFO: u16 = 21;
const NETR_REMOTE_TOD: u16 = 28;
/// As the plain one: shares here are all kept through a restart (MS-SRVS 3.1.4.9).
const NETR_SHARE_ENUM_STICKY: u16 = 36;

/// Calls the operation with this number.
pub(super) fn call<'a>(
    opnum: u16,
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<(), Fault> {
    match opnum {
        NETR_SHARE_ENUM | NETR_SHARE_ENUM_STICKY => share_enum(arguments, facts, result),
        NETR_SHARE_GET_INFO => share_get_info(arguments, facts, result),
        NETR_SERVER_GET_INFO => server_get_info(arguments, facts, result),
        NETR_REMOTE_TOD => remote_time_of_day(arguments, facts, result),
        _ => Err(Fault::NO_SUCH_OPERATION),
    }
}

/// What a level of information tells about a share (MS-SRVS 2.2.4.22 to 2.2.4.26, 2.2.4.29).
#[derive(Clone, Copy, PartialEq, Eq)]
enum ShareLevel {
    Name,
    Comment,
    Usage,
    Flags,
    Security,
    FlagsAlone,
}

impl ShareLevel {
    fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::Name,
            1 => Self::Comment,
            2 => Self::Usage,
            501 => Self::Flags,
            502 => Self::Security,
            1005 => Self::FlagsAlone,
            _ => return None,
        })
    }

    /// Writes the structure of the level without its strings.
    fn put<'a>(self, share: &'a ShareFacts, result: &mut NdrWriter<'a>) {
        if self == Self::FlagsAlone {
            return result.u32(share.flags);
        }
        result.string_pointer(&share.name);
        if self == Self::Name {
            return;
        }
        result.u32(share.share_type);
        result.string_pointer(&share.comment);
        if self == Self::Flags {
            return result.u32(share.flags);
        }
        if self == Self::Usage || self == Self::Security {
            result.u32(0);
            result.u32(share.max_users);
            result.u32(share.current_users);
            result.string_pointer(&share.path);
            result.null();
        }
        if self == Self::Security {
            result.u32(0);
            result.null();
        }
    }
}

/// NetrShareEnum (MS-SRVS 3.1.4.8). All shares but hidden ones are given at once, whatever length the client prefers.
fn share_enum<'a>(
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<(), Fault> {
    let _server = arguments.string_pointer()?;
    let (code, discriminant) = (arguments.u32()?, arguments.u32()?);
    if discriminant != code {
        return Err(Fault::BAD_ARGUMENTS);
    }
    if arguments.u32()? != 0 {
        let (_entries, buffer) = (arguments.u32()?, arguments.u32()?);
        if buffer != 0 {
            return Err(Fault::BAD_ARGUMENTS);
        }
    }
    let _preferred_length = arguments.u32()?;
    let resume = arguments.u32_pointer()?;

    result.u32(code);
    result.u32(code);
    let level = ShareLevel::from_code(code).filter(|level| *level != ShareLevel::FlagsAlone);
    let Some(level) = level else {
        result.u32(0);
        result.u32_pointer(resume);
        result.u32(ERROR_INVALID_LEVEL);
        return Ok(());
    };
    let listed: Vec<&ShareFacts> = facts.shares.iter().filter(|share| !share.hidden).collect();
    let count = listed.len() as u32;
    result.pointer();
    result.u32(count);
    result.pointer();
    result.u32(count);
    for share in listed {
        level.put(share, result);
    }
    result.flush();
    result.u32(count);
    result.u32_pointer(resume.map(|_| 0));
    result.u32(NERR_SUCCESS);
    Ok(())
}

/// NetrShareGetInfo (MS-SRVS 3.1.4.10).
fn share_get_info<'a>(
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<(), Fault> {
    let _server = arguments.string_pointer()?;
    let (name, code) = (arguments.string()?, arguments.u32()?);
    result.u32(code);
    let Some(level) = ShareLevel::from_code(code) else {
        result.u32(ERROR_INVALID_LEVEL);
        return Ok(());
    };
    let name = name.to_lowercase();
    let Some(share) = facts.shares.iter().find(|share| share.name.to_lowercase() == name) else {
        result.null();
        result.u32(NERR_NET_NAME_NOT_FOUND);
        return Ok(());
    };
    result.pointer();
    level.put(share, result);
    result.flush();
    result.u32(NERR_SUCCESS);
    Ok(())
}

/// The beginning of what is told of the machine, here and by `wkssvc`: level, platform, name. `None` when the answer
/// is that there is no such level.
pub(super) fn begin_info<'a>(
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<Option<u32>, Fault> {
    let _server = arguments.string_pointer()?;
    let level = arguments.u32()?;
    result.u32(level);
    if !matches!(level, 100..=102) {
        result.u32(ERROR_INVALID_LEVEL);
        return Ok(None);
    }
    result.pointer();
    result.u32(PLATFORM_ID_NT);
    result.string_pointer(&facts.name);
    Ok(Some(level))
}

/// NetrServerGetInfo (MS-SRVS 3.1.4.17).
fn server_get_info<'a>(
    arguments: &mut NdrReader<'_>,
    facts: &'a ServerFacts,
    result: &mut NdrWriter<'a>,
) -> Result<(), Fault> {
    let Some(level) = begin_info(arguments, facts, result)? else { return Ok(()) };
    if level >= 101 {
        result.u32(facts.version.0);
        result.u32(facts.version.1);
        result.u32(facts.server_type);
        result.string_pointer(&facts.comment);
    }
    if level == 102 {
        // Users, minutes to disconnect (never), hidden, announce every n seconds, its spread, licences.
        for value in [facts.users, u32::MAX, 0, 240, 3000, 0] {
            result.u32(value);
        }
        result.string_pointer("");
    }
    result.flush();
    result.u32(NERR_SUCCESS);
    Ok(())
}

/// NetrRemoteTOD (MS-SRVS 3.1.4.21): the server's clock, in UTC.
fn remote_time_of_day(
    arguments: &mut NdrReader<'_>,
    facts: &ServerFacts,
    result: &mut NdrWriter<'_>,
) -> Result<(), Fault> {
    /// Clock resolution that Windows answers, in 0.1 ms.
    const TICK: u32 = 310;
    let _server = arguments.string_pointer()?;
    let seconds = facts.now_unix_ms.div_euclid(1000);
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u32);
    let (year, month, day) = civil_date(days);
    result.pointer();
    result.u32(seconds as u32);
    result.u32(facts.uptime_ms as u32);
    result.u32(second_of_day / 3600);
    result.u32(second_of_day / 60 % 60);
    result.u32(second_of_day % 60);
    result.u32(facts.now_unix_ms.rem_euclid(1000) as u32 / 10);
    result.u32(facts.timezone_minutes_west as u32);
    result.u32(TICK);
    result.u32(day);
    result.u32(month);
    result.u32(year);
    // 1970-01-01 was a Thursday, day 4 of the week.
    result.u32((days + 4).rem_euclid(7) as u32);
    result.u32(NERR_SUCCESS);
    Ok(())
}

//! Extended attributes: given with a CREATE, asked for by QUERY_INFO, set by SET_INFO (MS-FSCC 2.4.16, MS-FSA
//! 2.1.5.12.14, 2.1.5.15.5).
//!
//! A name is found in any case and shown as it was first set; on the wire it is UTF-8. `FILE_NEED_EA` is taken and not
//! kept. Who asks without naming attributes walks through them, in the order of their names, from one request of an
//! open to the next.

use crate::open::{FileOpen, Open};
use crate::status::failed;
use bytes::Bytes;
use smb_wire::create::{CreateContext, CreateRequest};
use smb_wire::fscc::ea::{self, ExtendedAttribute, FLAG_NEED_EA};
use smb_wire::query_info::{QueryInfoFlags, QueryInfoRequest};
use smb_wire::{AccessMask, NtStatus};
use std::sync::atomic::Ordering;
use volume::{Attr, Caps, Carries, Cx, Named, NamedEntry};

/// Most bytes that all extended attributes given at once may take.
const LIST_MAX_BYTES: usize = 64 << 10;

/// Longest value that a list on the wire has room for, bytes.
const VALUE_MAX_BYTES: usize = u16::MAX as usize;

/// Bytes that an attribute takes besides name and value, and all of them together, in the size that clients are told
/// (MS-FSCC 2.4.13).
const ENTRY_BYTES: u64 = 5;
const HEAD_BYTES: u64 = 4;

/// Characters that a name must not have (MS-FSCC 2.4.16).
const NAME_FORBIDDEN: &[char] = &['"', '*', '+', ',', '/', ':', ';', '<', '=', '>', '?', '[', '\\', ']', '|'];

/// An attribute to be set; taken away with `None`.
pub(super) struct Setting(Named, Option<Bytes>);

/// What a CREATE gives to a new or emptied file.
pub(super) fn asked(decoded: &CreateRequest, caps: &Caps) -> Result<Vec<Setting>, NtStatus> {
    let list = decoded.contexts.iter().find_map(|context| match context {
        CreateContext::ExtendedAttributes(list) => Some(list),
        _ => None,
    });
    match list {
        None => Ok(Vec::new()),
        Some(list) => settings(&decode(list)?, caps),
    }
}

/// Gives it to a file with these attributes; answers them then.
pub(super) async fn give(
    cx: &Cx,
    open: &vfs::Open,
    mut attr: Attr,
    settings: &[Setting],
) -> Result<Attr, NtStatus> {
    for Setting(name, value) in settings {
        open.set_named(cx, name, value.clone()).await.map_err(failed)?;
        attr.carries |= Carries::EXTENDED;
    }
    Ok(attr)
}

fn decode(list: &Bytes) -> Result<Vec<ExtendedAttribute>, NtStatus> {
    if list.len() > LIST_MAX_BYTES {
        return Err(NtStatus::EA_TOO_LARGE);
    }
    ea::decode_full_ea_list(list).map_err(|_| NtStatus::EA_LIST_INCONSISTENT)
}

/// What a list sets, all of it checked before any is set.
fn settings(list: &[ExtendedAttribute], caps: &Caps) -> Result<Vec<Setting>, NtStatus> {
    if !caps.named {
        return Err(NtStatus::EAS_NOT_SUPPORTED);
    }
    let setting = |attribute: &ExtendedAttribute| {
        if attribute.flags & !FLAG_NEED_EA != 0 {
            return Err(NtStatus::INVALID_EA_NAME);
        }
        if attribute.value.len() > caps.named_max as usize {
            return Err(NtStatus::EA_TOO_LARGE);
        }
        let value = Some(attribute.value.clone()).filter(|value| !value.is_empty());
        Ok(Setting(named(&attribute.name)?, value))
    };
    list.iter().map(setting).collect()
}

fn named(name: &[u8]) -> Result<Named, NtStatus> {
    let name = std::str::from_utf8(name).map_err(|_| NtStatus::INVALID_EA_NAME)?;
    let bad = |c: char| c.is_ascii_control() || NAME_FORBIDDEN.contains(&c);
    if name.is_empty() || name.contains(bad) {
        return Err(NtStatus::INVALID_EA_NAME);
    }
    Ok(Named::extended(name))
}

/// SET_INFO of FileFullEaInformation.
pub(super) async fn set(
    cx: &Cx,
    open: &Open,
    file: &FileOpen,
    caps: &Caps,
    list: &Bytes,
) -> Result<(), NtStatus> {
    open.needs_any(AccessMask::WRITE_EA)?;
    for Setting(name, value) in settings(&decode(list)?, caps)? {
        file.vfs.set_named(cx, &name, value).await.map_err(failed)?;
    }
    Ok(())
}

/// The extended attributes of a file, by name; those with names that the wire has no room for are not shown.
async fn list(cx: &Cx, file: &FileOpen) -> Result<Vec<NamedEntry>, NtStatus> {
    let mut entries = file.vfs.list_named(cx, Carries::EXTENDED).await.map_err(failed)?;
    entries.retain(|entry| match &entry.name {
        Named::Extended(name) => name.len() <= usize::from(u8::MAX),
        Named::System(_) | Named::Stream(_) | Named::Descriptor => false,
    });
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// How much room they take, as clients count it (MS-FSCC 2.4.13): nothing without any.
pub(super) fn size(entries: &[NamedEntry]) -> u32 {
    let of = |entry: &NamedEntry| match &entry.name {
        Named::Extended(name) => ENTRY_BYTES + name.len() as u64 + entry.size,
        Named::System(_) | Named::Stream(_) | Named::Descriptor => 0,
    };
    let all: u64 = entries.iter().map(of).sum();
    if all == 0 { 0 } else { u32::try_from(all + HEAD_BYTES).unwrap_or(u32::MAX) }
}

/// The same of a file. Clients ask for it with whatever else they want to know: the origin, which may be far away, is
/// asked only where the attributes tell of some.
pub(super) async fn size_of(cx: &Cx, file: &FileOpen) -> Result<u32, NtStatus> {
    let attr = file.attr(cx).await.map_err(failed)?;
    if !attr.carries.contains(Carries::EXTENDED) {
        return Ok(0);
    }
    Ok(size(&list(cx, file).await?))
}

/// QUERY_INFO of FileFullEaInformation: the list, and whether it is cut.
pub(super) async fn query(
    cx: &Cx,
    open: &Open,
    file: &FileOpen,
    decoded: &QueryInfoRequest,
) -> Result<(Vec<u8>, bool), NtStatus> {
    open.needs_any(AccessMask::READ_EA)?;
    let room = decoded.output_buffer_length as usize;
    let single = decoded.flags.contains(QueryInfoFlags::RETURN_SINGLE_ENTRY);
    if !decoded.input.is_empty() {
        return of_names(cx, file, &decoded.input, single, room).await;
    }
    let entries = list(cx, file).await?;
    if entries.is_empty() {
        return Err(NtStatus::NO_EAS_ON_FILE);
    }
    let first = if decoded.flags.contains(QueryInfoFlags::INDEX_SPECIFIED) {
        // They are counted from one.
        let index = (decoded.additional_information as usize).checked_sub(1);
        index.filter(|index| *index < entries.len()).ok_or(NtStatus::NONEXISTENT_EA_ENTRY)?
    } else if decoded.flags.contains(QueryInfoFlags::RESTART_SCAN) {
        0
    } else {
        file.next_ea.load(Ordering::Relaxed)
    };
    if first >= entries.len() {
        return Err(NtStatus::NO_MORE_EAS);
    }
    let (mut gathered, mut places) = (Gathered::up_to(room), Vec::new());
    let mut next = first;
    for entry in &entries[first..] {
        let value = file.vfs.named(cx, &entry.name).await.map_err(failed)?;
        next += 1;
        // One that went meanwhile is not told.
        let Some(value) = value.filter(|value| value.len() <= VALUE_MAX_BYTES) else { continue };
        let is_full = gathered.add(attribute(entry.name.name().unwrap_or_default(), value));
        places.push(next - 1);
        if single || is_full {
            break;
        }
    }
    if gathered.attributes.is_empty() {
        file.next_ea.store(next, Ordering::Relaxed);
        return Err(NtStatus::NO_MORE_EAS);
    }
    let (bytes, fit) = gathered.encode()?;
    file.next_ea.store(places.get(fit).copied().unwrap_or(next), Ordering::Relaxed);
    Ok((bytes, fit < gathered.attributes.len()))
}

/// Those that are named, in that order; with an empty value what the file has not.
async fn of_names(
    cx: &Cx,
    file: &FileOpen,
    names: &Bytes,
    single: bool,
    room: usize,
) -> Result<(Vec<u8>, bool), NtStatus> {
    if names.len() > LIST_MAX_BYTES {
        return Err(NtStatus::EA_TOO_LARGE);
    }
    let names = ea::decode_get_ea_list(names).map_err(|_| NtStatus::EA_LIST_INCONSISTENT)?;
    let mut gathered = Gathered::up_to(room);
    for name in names {
        let value = file.vfs.named(cx, &named(&name)?).await.map_err(failed)?.unwrap_or_default();
        if value.len() > VALUE_MAX_BYTES {
            return Err(NtStatus::EA_TOO_LARGE);
        }
        let is_full = gathered.add(ExtendedAttribute { flags: 0, name, value });
        if single || is_full {
            break;
        }
    }
    let (bytes, fit) = gathered.encode()?;
    Ok((bytes, fit < gathered.attributes.len()))
}

/// What an answer tells. No more is fetched than it has room for, and one: a client may ask for the same again and again.
struct Gathered {
    attributes: Vec<ExtendedAttribute>,
    length: usize,
    room: usize,
}

impl Gathered {
    fn up_to(room: usize) -> Gathered {
        Gathered { attributes: Vec::new(), length: 0, room }
    }

    /// One more; whether there is no room left.
    fn add(&mut self, attribute: ExtendedAttribute) -> bool {
        self.length = self.length.next_multiple_of(4) + attribute.encoded_length();
        self.attributes.push(attribute);
        self.length >= self.room
    }

    /// As many as fit, and how many that are; one at least.
    fn encode(&self) -> Result<(Vec<u8>, usize), NtStatus> {
        let mut bytes = Vec::new();
        let fit = ea::encode_full_ea_list(&self.attributes, self.room, &mut bytes);
        if fit == 0 && !self.attributes.is_empty() {
            return Err(NtStatus::BUFFER_TOO_SMALL);
        }
        Ok((bytes, fit))
    }
}

fn attribute(name: &str, value: Bytes) -> ExtendedAttribute {
    ExtendedAttribute { flags: 0, name: Bytes::copy_from_slice(name.as_bytes()), value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(flags: u8, name: &[u8], value: &[u8]) -> ExtendedAttribute {
        ExtendedAttribute { flags, name: Bytes::copy_from_slice(name), value: Bytes::copy_from_slice(value) }
    }

    fn caps() -> Caps {
        use volume::Volume;
        testkit::MemVolume::new().caps()
    }

    #[test]
    fn names_that_windows_refuses_are_refused() {
        for good in ["user.x", "DOSATTRIB", "größe", "a b"] {
            assert_eq!(named(good.as_bytes()), Ok(Named::extended(good)));
        }
        for bad in [&b""[..], b"a:b", b"a\x01", b"a*", b"a\\b", b"a/b", b"\xFF"] {
            assert_eq!(named(bad), Err(NtStatus::INVALID_EA_NAME), "{bad:?}");
        }
    }

    #[test]
    fn a_list_is_checked_before_any_of_it_is_set() {
        let check = |list: &[ExtendedAttribute]| settings(list, &caps()).map(|settings| settings.len());
        let good = attribute(FLAG_NEED_EA, b"a", b"1");
        assert_eq!(check(&[good.clone(), attribute(0, b"b", b"")]), Ok(2));
        assert_eq!(check(&[good.clone(), attribute(1, b"b", b"")]), Err(NtStatus::INVALID_EA_NAME));
        assert_eq!(check(&[good.clone(), attribute(0, b"b|", b"")]), Err(NtStatus::INVALID_EA_NAME));
        let small = Caps { named_max: 3, ..caps() };
        assert!(matches!(settings(&[attribute(0, b"a", b"four")], &small), Err(NtStatus::EA_TOO_LARGE)));
        let none = Caps { named: false, ..caps() };
        assert!(matches!(settings(&[good], &none), Err(NtStatus::EAS_NOT_SUPPORTED)));
    }

    #[test]
    fn a_list_that_is_too_long_or_none_is_refused() {
        let of = |bytes: Vec<u8>| decode(&bytes.into()).map(|list| list.len());
        assert_eq!(of(Vec::new()), Ok(0));
        assert_eq!(of(vec![0; LIST_MAX_BYTES + 1]), Err(NtStatus::EA_TOO_LARGE));
        assert_eq!(of(vec![0; LIST_MAX_BYTES]), Err(NtStatus::EA_LIST_INCONSISTENT));
    }

    #[test]
    fn their_size_is_that_of_the_old_list() {
        let entry = |name: &str, size| NamedEntry { name: Named::extended(name), size };
        assert_eq!(size(&[]), 0);
        assert_eq!(size(&[entry("EAONE", 6)]), 4 + 5 + 5 + 6);
        assert_eq!(size(&[entry("EAONE", 6), entry("SECONDEA", 8)]), 4 + 16 + 21);
    }
}

//! Extended attributes: FileFullEaInformation (MS-FSCC 2.4.16) and FileGetEaInformation (2.4.16.1).
//!
//! Names are bytes of an OEM character set. Lists are linked by offsets that are multiples of 4.

use crate::{
    cursor::{Fixed, Put, slice},
    error::WireError,
};
use bytes::Bytes;

/// An application that does not know this attribute must not touch the file.
pub const FLAG_NEED_EA: u8 = 0x80;

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedAttribute {
    /// 0 or [`FLAG_NEED_EA`].
    pub flags: u8,
    /// 1 to 255 bytes without NUL.
    pub name: Bytes,
    /// At most 64 KiB; in a set request an empty value removes the attribute.
    pub value: Bytes,
}

const FULL_FIXED: usize = 8;
const GET_FIXED: usize = 5;

impl ExtendedAttribute {
    /// Bytes that it takes in a FILE_FULL_EA_INFORMATION list, without what aligns the next.
    pub fn encoded_length(&self) -> usize {
        FULL_FIXED + self.name.len() + 1 + self.value.len()
    }
}

/// Reads a FILE_FULL_EA_INFORMATION list. An empty list is no attributes.
pub fn decode_full_ea_list(list: &Bytes) -> Result<Vec<ExtendedAttribute>, WireError> {
    let what = "FILE_FULL_EA_INFORMATION";
    linked(list, what, |entry| {
        let fixed = Fixed::<FULL_FIXED>::new(entry, what)?;
        let (name_length, value_length) = (usize::from(fixed.u8(5)), fixed.size16(6));
        let name = terminated(entry, FULL_FIXED, name_length, what)?;
        let value = slice(entry, FULL_FIXED + name_length + 1, value_length, what)?;
        Ok(ExtendedAttribute { flags: fixed.u8(4), name, value })
    })
}

/// Reads a FILE_GET_EA_INFORMATION list: the names asked for.
pub fn decode_get_ea_list(list: &Bytes) -> Result<Vec<Bytes>, WireError> {
    let what = "FILE_GET_EA_INFORMATION";
    linked(list, what, |entry| {
        let fixed = Fixed::<GET_FIXED>::new(entry, what)?;
        terminated(entry, GET_FIXED, usize::from(fixed.u8(4)), what)
    })
}

/// Appends a FILE_GET_EA_INFORMATION list.
pub fn encode_get_ea_list(names: &[Bytes], out: &mut Vec<u8>) {
    let list = out.len();
    for (index, name) in names.iter().enumerate() {
        out.align(list, 4);
        let length = (GET_FIXED + name.len() + 1).next_multiple_of(4);
        out.size32(if index + 1 == names.len() { 0 } else { length });
        out.u8(name.len() as u8);
        out.bytes(name);
        out.u8(0);
    }
}

/// Appends a FILE_FULL_EA_INFORMATION list: as many whole attributes as fit into `max_length` bytes. Gives
/// how many that were.
pub fn encode_full_ea_list(attributes: &[ExtendedAttribute], max_length: usize, out: &mut Vec<u8>) -> usize {
    let list = out.len();
    let mut previous = None;
    for (count, attribute) in attributes.iter().enumerate() {
        let start = list + (out.len() - list).next_multiple_of(4);
        if start - list + attribute.encoded_length() > max_length {
            return count;
        }
        out.align(list, 4);
        if let Some(previous) = previous.replace(start) {
            out.set_size32(previous, start - previous);
        }
        out.u32(0);
        out.u8(attribute.flags);
        out.u8(attribute.name.len() as u8);
        out.size16(attribute.value.len());
        out.bytes(&attribute.name);
        out.u8(0);
        out.bytes(&attribute.value);
    }
    attributes.len()
}

/// The name at `at` of `entry`, which a NUL must follow.
fn terminated(entry: &Bytes, at: usize, length: usize, what: &'static str) -> Result<Bytes, WireError> {
    match entry.get(at + length) {
        Some(0) if length > 0 => slice(entry, at, length, what),
        _ => Err(WireError::BadName { what }),
    }
}

/// Reads entries that begin with the offset of the next one.
fn linked<T>(
    list: &Bytes,
    what: &'static str,
    decode: impl Fn(&Bytes) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let mut entries = Vec::new();
    let mut rest = list.clone();
    while !rest.is_empty() {
        let next = Fixed::<4>::new(&rest, what)?.size32(0);
        if next == 0 {
            entries.push(decode(&rest)?);
            break;
        }
        if next % 4 != 0 || next >= rest.len() {
            return Err(WireError::BadRange { what, offset: next, length: rest.len() });
        }
        let tail = rest.split_off(next);
        entries.push(decode(&rest)?);
        rest = tail;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute() -> impl Strategy<Value = ExtendedAttribute> {
        let name = prop::collection::vec(1u8.., 1..20);
        let value = prop::collection::vec(any::<u8>(), 0..40);
        (any::<u8>(), name, value).prop_map(|(flags, name, value)| ExtendedAttribute {
            flags,
            name: name.into(),
            value: value.into(),
        })
    }

    proptest! {
        #[test]
        fn lists_survive(attributes in prop::collection::vec(attribute(), 0..6)) {
            let mut out = Vec::new();
            prop_assert_eq!(encode_full_ea_list(&attributes, usize::MAX, &mut out), attributes.len());
            prop_assert_eq!(decode_full_ea_list(&out.into()).unwrap(), attributes.clone());
            let names: Vec<Bytes> = attributes.into_iter().map(|attribute| attribute.name).collect();
            let mut out = Vec::new();
            encode_get_ea_list(&names, &mut out);
            prop_assert_eq!(decode_get_ea_list(&out.into()).unwrap(), names);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let bytes = Bytes::from(bytes);
            let _ = decode_full_ea_list(&bytes);
            let _ = decode_get_ea_list(&bytes);
        }
    }

    #[test]
    fn names_asked_for() {
        let list = Bytes::from_static(b"\x09\0\0\0\x03abc\0\0\0\0\0\x01d\0");
        assert!(decode_get_ea_list(&list).is_err(), "second entry is misplaced");
        let list = Bytes::from_static(b"\x0C\0\0\0\x03abc\0...\0\0\0\0\x01d\0");
        assert_eq!(decode_get_ea_list(&list).unwrap(), [&b"abc"[..], b"d"]);
    }
}

//! Strings on the wire: UTF-16LE, which need not be well formed.
//!
//! NTFS and its clients treat names as 16-bit units, so a name may hold a surrogate without its partner.
//! A Rust string cannot, so each such unit becomes a code point of the last private-use block: unit
//! `0xD800 + n` is kept as `U+10F800 + n`. A pair that encodes a code point of this very block is kept as
//! its two halves. Turning any bytes into a string and back therefore gives the same bytes.

use crate::error::WireError;

/// First of the 2048 code points that stand for the surrogates 0xD800..=0xDFFF.
const ESCAPE_BASE: u32 = 0x10_F800;
const SURROGATE_BASE: u16 = 0xD800;

/// Decodes UTF-16LE. Fails when `bytes` is not a whole number of code units.
pub fn decode(bytes: &[u8], what: &'static str) -> Result<String, WireError> {
    let (units, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(WireError::BadName { what });
    }
    let mut out = String::with_capacity(units.len());
    for decoded in char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit))) {
        match decoded {
            Ok(c) if (c as u32) < ESCAPE_BASE => out.push(c),
            Ok(c) => out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|half| escape(*half))),
            Err(lone) => out.push(escape(lone.unpaired_surrogate())),
        }
    }
    Ok(out)
}

/// The UTF-16 code units of a string, escaped surrogates turned back.
pub fn units(text: &str) -> impl Iterator<Item = u16> + '_ {
    text.chars().flat_map(|c| {
        let mut buffer = [0; 2];
        let count = if c as u32 >= ESCAPE_BASE {
            buffer[0] = SURROGATE_BASE + (c as u32 - ESCAPE_BASE) as u16;
            1
        } else {
            c.encode_utf16(&mut buffer).len()
        };
        buffer.into_iter().take(count)
    })
}

/// Length in bytes of a string as UTF-16LE.
pub fn encoded_len(text: &str) -> usize {
    units(text).count() * 2
}

fn escape(surrogate: u16) -> char {
    let code_point = ESCAPE_BASE + u32::from(surrogate & 0x7FF);
    char::from_u32(code_point).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Put;
    use proptest::prelude::*;

    #[test]
    fn lone_surrogates_become_private_use() {
        assert_eq!(decode(&[0x00, 0xD8, 0x41, 0x00], "name").unwrap(), "\u{10F800}A");
        assert_eq!(decode(&[0xFF, 0xDF], "name").unwrap(), "\u{10FFFF}");
        assert_eq!(decode(&[0x3D, 0xD8, 0x00, 0xDE], "name").unwrap(), "\u{1F600}");
    }

    #[test]
    fn odd_length_is_refused() {
        assert_eq!(decode(&[0x41, 0, 0x42], "name"), Err(WireError::BadName { what: "name" }));
    }

    proptest! {
        #[test]
        fn any_units_survive(units in prop::collection::vec(prop_oneof![any::<u16>(), 0xD800u16..=0xDFFF], 0..40)) {
            let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let text = decode(&bytes, "name").unwrap();
            let mut back = Vec::new();
            back.utf16(&text);
            prop_assert_eq!(back, bytes);
        }
    }
}

//! Names of a POSIX file system (bytes) and names of the volume (UTF-8), mapped both ways without loss.
//!
//! A name that is UTF-8 stays as it is. Each byte that is not part of a well-formed UTF-8 sequence becomes one
//! character U+EF80 to U+EFFF of the private use area: U+EF00 plus the byte. A name on disk that holds such
//! a character in well-formed UTF-8 has its three bytes mapped one by one, so that no two names on disk look
//! alike. The other way, a name that could not have come from disk (escapes that spell well-formed UTF-8) is
//! `InvalidName`. An escape takes three bytes, so the longest name on disk fits `NAME_MAX_BYTES`.

use crate::ErrorKind;
use std::borrow::Cow;

const ESCAPE_BASE: u32 = 0xef00;
/// First byte of each escape in UTF-8.
const ESCAPE_LEAD: u8 = 0xee;

fn is_escape(character: char) -> bool {
    (0xef80..=0xefff).contains(&u32::from(character))
}

fn push_escaped(text: &mut String, bytes: &[u8]) {
    let escapes = bytes.iter().filter_map(|&byte| char::from_u32(ESCAPE_BASE + u32::from(byte)));
    text.extend(escapes);
}

/// A name, a path or a symlink's target, as the volume tells it.
pub fn name_from_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !(bytes.contains(&ESCAPE_LEAD) && text.chars().any(is_escape))
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match is_escape(character) {
                true => push_escaped(&mut text, character.encode_utf8(&mut [0; 4]).as_bytes()),
                false => text.push(character),
            }
        }
        push_escaped(&mut text, chunk.invalid());
    }
    Cow::Owned(text)
}

/// The bytes of a name, a path or a target. `InvalidName` for what could not have come from bytes.
pub fn name_to_bytes(text: &str) -> Result<Cow<'_, [u8]>, ErrorKind> {
    if !(text.as_bytes().contains(&ESCAPE_LEAD) && text.chars().any(is_escape)) {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match is_escape(character) {
            true => bytes.push((u32::from(character) - ESCAPE_BASE) as u8),
            false => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    match name_from_bytes(&bytes) == text {
        true => Ok(Cow::Owned(bytes)),
        false => Err(ErrorKind::InvalidName),
    }
}

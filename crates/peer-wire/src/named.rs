//! What objects carry, as bytes: [`Named`] and lists of them.

use crate::WireError;
use crate::cursor::{Reader, Writer};
use bytes::Bytes;
use volume::{Named, NamedEntry};

const EXTENDED: u8 = 0;
const STREAM: u8 = 1;
const DESCRIPTOR: u8 = 2;
const SYSTEM: u8 = 3;

/// Least bytes that an entry of a list takes: its kind and its size.
const ENTRY_LEAST_BYTES: usize = 2;

pub(crate) fn put_named(out: &mut Writer, name: &Named) {
    match name {
        Named::Extended(name) => {
            out.byte(EXTENDED);
            out.text(name);
        }
        Named::System(name) => {
            out.byte(SYSTEM);
            out.text(name);
        }
        Named::Stream(name) => {
            out.byte(STREAM);
            out.text(name);
        }
        Named::Descriptor => out.byte(DESCRIPTOR),
    }
}

pub(crate) fn get_named(input: &mut Reader<'_>) -> Result<Named, WireError> {
    Ok(match input.byte()? {
        EXTENDED => Named::extended(input.text()?),
        STREAM => Named::stream(input.text()?),
        DESCRIPTOR => Named::Descriptor,
        SYSTEM => Named::system(input.text()?),
        _ => return Err(WireError::Value("a kind of value")),
    })
}

pub(crate) fn encode_list(entries: &[NamedEntry]) -> Bytes {
    let mut out = Writer::with_capacity(16 + entries.len() * 32);
    out.number(entries.len() as u64);
    for entry in entries {
        put_named(&mut out, &entry.name);
        out.number(entry.size);
    }
    out.finish()
}

pub(crate) fn decode_list(body: &[u8]) -> Result<Vec<NamedEntry>, WireError> {
    let mut input = Reader::new(body);
    let count = input.count(ENTRY_LEAST_BYTES)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(NamedEntry { name: get_named(&mut input)?, size: input.number()? });
    }
    input.end()?;
    Ok(entries)
}

//! Network data representation (C706 chapter 14), as far as two services need it: 32-bit words, strings and
//! unique pointers.
//!
//! A pointer is written as a non-zero referent where it stands; what it points to follows after the
//! structure or array that holds it. [`NdrWriter::string_pointer`] keeps the strings, and
//! [`NdrWriter::flush`] writes them.

use crate::{
    cursor::{Put, Reader},
    error::WireError,
    name,
};

/// Reads arguments.
#[derive(Debug, Clone)]
pub struct NdrReader<'a> {
    reader: Reader<'a>,
}

impl<'a> NdrReader<'a> {
    /// Reads the stub data of a request.
    pub fn new(stub: &'a [u8]) -> Self {
        Self { reader: Reader::new(stub, "RPC arguments") }
    }

    /// A 32-bit word.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.reader.align(4)?;
        self.reader.u32()
    }

    /// A conformant varying string of 16-bit characters, its terminator removed.
    pub fn string(&mut self) -> Result<String, WireError> {
        let what = "RPC string";
        let (max_count, offset, count) = (self.u32()?, self.u32()?, self.u32()?);
        if offset != 0 || count > max_count {
            return Err(WireError::BadValue { what, value: u64::from(count) });
        }
        let length = (count as usize).checked_mul(2).ok_or(WireError::BadName { what })?;
        let bytes = self.reader.take(length)?;
        name::decode(bytes.strip_suffix(&[0, 0]).unwrap_or(bytes), what)
    }

    /// A string behind a unique pointer, which may be null.
    pub fn string_pointer(&mut self) -> Result<Option<String>, WireError> {
        match self.u32()? {
            0 => Ok(None),
            _ => self.string().map(Some),
        }
    }

    /// A 32-bit word behind a unique pointer, which may be null.
    pub fn u32_pointer(&mut self) -> Result<Option<u32>, WireError> {
        match self.u32()? {
            0 => Ok(None),
            _ => self.u32().map(Some),
        }
    }
}

/// Writes results.
#[derive(Debug, Default)]
pub struct NdrWriter<'a> {
    bytes: Vec<u8>,
    referents: u32,
    strings: Vec<&'a str>,
}

impl<'a> NdrWriter<'a> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A 32-bit word.
    pub fn u32(&mut self, value: u32) {
        self.bytes.align(0, 4);
        self.bytes.u32(value);
    }

    /// A pointer to what the caller writes next in line.
    pub fn pointer(&mut self) {
        self.referents += 1;
        self.u32(0x0002_0000 + self.referents * 4);
    }

    /// A null pointer.
    pub fn null(&mut self) {
        self.u32(0);
    }

    /// A pointer to a 32-bit word, and the word; or null.
    pub fn u32_pointer(&mut self, value: Option<u32>) {
        match value {
            None => self.null(),
            Some(value) => {
                self.pointer();
                self.u32(value);
            }
        }
    }

    /// A pointer to a string that [`NdrWriter::flush`] writes.
    pub fn string_pointer(&mut self, text: &'a str) {
        self.pointer();
        self.strings.push(text);
    }

    /// Writes the strings pointed to since the last flush, in order.
    pub fn flush(&mut self) {
        for text in std::mem::take(&mut self.strings) {
            let count = name::units(text).count() + 1;
            self.u32(count as u32);
            self.u32(0);
            self.u32(count as u32);
            self.bytes.utf16(text);
            self.bytes.u16(0);
        }
    }

    /// The stub data of the response.
    pub fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.bytes
    }
}

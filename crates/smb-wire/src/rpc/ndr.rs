//! Network data representation (C706 chapter 14), as far as these services need it: words, strings, SIDs, context
//! handles and unique pointers.
//!
//! A pointer is written as a non-zero referent where it stands; what it points to follows after the
//! structure or array that holds it. [`NdrWriter::string_pointer`], [`NdrWriter::counted`] and
//! [`NdrWriter::sid_pointer`] keep what they point to, and [`NdrWriter::flush`] writes it.

use crate::{
    cursor::{Put, Reader},
    error::WireError,
    name,
    sid::Sid,
};

/// A context handle (C706 14.2.16.6): attributes and a UUID.
pub type ContextHandle = [u8; 20];

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

    /// A 16-bit word.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.reader.align(2)?;
        self.reader.u16()
    }

    /// Passes over so many bytes, which begin with a 32-bit word or a part of one.
    pub(crate) fn skip(&mut self, count: usize) -> Result<(), WireError> {
        self.reader.align(4)?;
        self.reader.skip(count)
    }

    /// A context handle.
    pub fn handle(&mut self) -> Result<ContextHandle, WireError> {
        self.reader.align(4)?;
        self.reader.array()
    }

    /// The head of a counted string (RPC_UNICODE_STRING, MS-DTYP 2.3.10): whether characters follow.
    pub(crate) fn counted_head(&mut self) -> Result<bool, WireError> {
        let (_length, _maximum) = (self.u16()?, self.u16()?);
        self.u32().map(|pointer| pointer != 0)
    }

    /// A counted string that stands alone; a null one is empty.
    pub fn counted(&mut self) -> Result<String, WireError> {
        if self.counted_head()? { self.string() } else { Ok(String::new()) }
    }

    /// The elements of an array of `count` counted strings.
    pub fn counted_array(&mut self, count: u32) -> Result<Vec<String>, WireError> {
        let heads: Vec<bool> = (0..count).map(|_| self.counted_head()).collect::<Result<_, _>>()?;
        heads.into_iter().map(|follows| if follows { self.string() } else { Ok(String::new()) }).collect()
    }

    /// A SID as conformant structure (RPC_SID, MS-DTYP 2.4.2.3).
    pub fn sid(&mut self) -> Result<Sid, WireError> {
        let count = self.u32()?;
        let sid = Sid::read(&mut self.reader)?;
        match sid.sub_authorities().len() as u32 == count {
            true => Ok(sid),
            false => Err(WireError::BadValue { what: "RPC SID", value: u64::from(count) }),
        }
    }

    /// A count and a pointer to a conformant array of pointers to SIDs.
    pub fn sid_array(&mut self) -> Result<Vec<Sid>, WireError> {
        let what = "RPC array of SIDs";
        let (count, pointer) = (self.u32()?, self.u32()?);
        if pointer == 0 {
            return if count == 0 {
                Ok(Vec::new())
            } else {
                Err(WireError::BadValue { what, value: u64::from(count) })
            };
        }
        if self.u32()? != count {
            return Err(WireError::BadValue { what, value: u64::from(count) });
        }
        let pointers: Vec<u32> = (0..count).map(|_| self.u32()).collect::<Result<_, _>>()?;
        pointers.into_iter().filter(|pointer| *pointer != 0).map(|_| self.sid()).collect()
    }

    /// The head of a conformant varying array of `count` elements, as big as the other side likes.
    pub fn varying_array(&mut self, count: u32) -> Result<(), WireError> {
        let (maximum, offset, actual) = (self.u32()?, self.u32()?, self.u32()?);
        match offset == 0 && actual == count && actual <= maximum {
            true => Ok(()),
            false => Err(WireError::BadValue { what: "RPC array", value: u64::from(actual) }),
        }
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
    deferred: Vec<Deferred<'a>>,
}

/// What a pointer that is written already points to.
#[derive(Debug)]
enum Deferred<'a> {
    /// A string with its terminator.
    Terminated(&'a str),
    /// The characters of a counted string.
    Counted(String),
    /// A SID.
    Sid(Sid),
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
        self.deferred.push(Deferred::Terminated(text));
    }

    /// A 16-bit word.
    pub fn u16(&mut self, value: u16) {
        self.bytes.align(0, 2);
        self.bytes.u16(value);
    }

    /// A context handle.
    pub fn handle(&mut self, handle: &ContextHandle) {
        self.bytes.align(0, 4);
        self.bytes.bytes(handle);
    }

    /// A counted string (RPC_UNICODE_STRING) whose characters [`NdrWriter::flush`] writes.
    pub fn counted(&mut self, text: impl Into<String>) {
        let text = text.into();
        let length = name::encoded_len(&text);
        self.bytes.align(0, 4);
        self.bytes.size16(length);
        self.bytes.size16(length);
        self.pointer();
        self.deferred.push(Deferred::Counted(text));
    }

    /// A pointer to a SID that [`NdrWriter::flush`] writes; or null.
    pub fn sid_pointer(&mut self, sid: Option<&Sid>) {
        match sid {
            None => self.null(),
            Some(sid) => {
                self.pointer();
                self.deferred.push(Deferred::Sid(sid.clone()));
            }
        }
    }

    /// A count and a pointer to a conformant array of so many elements, which the caller writes next; of none it is
    /// null.
    pub fn array_head(&mut self, count: usize) {
        self.u32(count as u32);
        if count == 0 {
            return self.null();
        }
        self.pointer();
        self.u32(count as u32);
    }

    /// A count and a pointer to a conformant array of 32-bit words, and the words.
    pub fn u32_array(&mut self, values: &[u32]) {
        self.array_head(values.len());
        values.iter().for_each(|value| self.u32(*value));
    }

    /// Writes what was pointed to since the last flush, in order.
    pub fn flush(&mut self) {
        for deferred in std::mem::take(&mut self.deferred) {
            match deferred {
                Deferred::Terminated(text) => {
                    self.characters(text, 1);
                    self.bytes.u16(0);
                }
                Deferred::Counted(text) => self.characters(&text, 0),
                Deferred::Sid(sid) => {
                    self.u32(sid.sub_authorities().len() as u32);
                    sid.encode(&mut self.bytes);
                }
            }
        }
    }

    /// The head of a conformant varying string, and its characters; `more` of them follow.
    fn characters(&mut self, text: &str, more: usize) {
        let count = name::units(text).count() + more;
        self.u32(count as u32);
        self.u32(0);
        self.u32(count as u32);
        self.bytes.utf16(text);
    }

    /// The stub data of the response.
    pub fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.bytes
    }
}

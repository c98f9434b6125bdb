//! DER, as far as SPNEGO and Kerberos need it: one-byte tags, definite lengths.

/// Longest length field understood: four bytes after the first.
const MAX_LENGTH_BYTES: usize = 4;

pub(crate) const TAG_INTEGER: u8 = 0x02;
pub(crate) const TAG_BIT_STRING: u8 = 0x03;
pub(crate) const TAG_OCTET_STRING: u8 = 0x04;
pub(crate) const TAG_OID: u8 = 0x06;
pub(crate) const TAG_ENUMERATED: u8 = 0x0a;
pub(crate) const TAG_GENERALIZED_TIME: u8 = 0x18;
pub(crate) const TAG_GENERAL_STRING: u8 = 0x1b;
pub(crate) const TAG_SEQUENCE: u8 = 0x30;

/// Context-specific, constructed tag `[n]`.
pub(crate) const fn context(n: u8) -> u8 {
    0xa0 | n
}

/// Constructed tag `[APPLICATION n]`.
pub(crate) const fn application(n: u8) -> u8 {
    0x60 | n
}

/// Reads elements one after the other.
pub(crate) struct Reader<'t>(&'t [u8]);

impl<'t> Reader<'t> {
    pub fn new(bytes: &'t [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element's tag and content; `None` at the end or if it is malformed.
    ///
    /// A length need not be in its shortest form: not every client's encoder cares.
    pub fn next(&mut self) -> Option<(u8, &'t [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (len, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let (bytes, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
            if bytes.is_empty() || bytes.len() > MAX_LENGTH_BYTES {
                return None;
            }
            let len = bytes.iter().fold(0u32, |len, byte| len << 8 | u32::from(*byte));
            (usize::try_from(len).ok()?, rest)
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'t [u8] {
        self.0
    }

    /// The content of the next element if it has this tag; nothing is read otherwise.
    pub fn optional(&mut self, tag: u8) -> Option<Option<&'t [u8]>> {
        if self.0.first() == Some(&tag) { self.expect(tag).map(Some) } else { Some(None) }
    }

    /// The content of the next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'t [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

/// One element with this content.
pub(crate) fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    wrap_all(tag, &[content])
}

/// One element whose content is all of these in a row.
pub(crate) fn wrap_all(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let len: usize = contents.iter().map(|content| content.len()).sum();
    let mut out = Vec::with_capacity(len + 2 + MAX_LENGTH_BYTES);
    out.push(tag);
    if len < 0x80 {
        out.push(len as u8);
    } else {
        let bytes = (len as u32).to_be_bytes();
        let skipped = bytes.iter().take_while(|byte| **byte == 0).count();
        out.push(0x80 | (bytes.len() - skipped) as u8);
        out.extend_from_slice(&bytes[skipped..]);
    }
    contents.iter().for_each(|content| out.extend_from_slice(content));
    out
}

//! DER, as far as SPNEGO needs it: one-byte tags, definite lengths.

/// Longest length field understood: four bytes after the first.
const MAX_LENGTH_BYTES: usize = 4;

/// Reads elements one after the other.
pub(super) struct Reader<'t>(&'t [u8]);

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

    /// The content of the next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'t [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

/// One element with this content.
pub(super) fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    wrap_all(tag, &[content])
}

/// One element whose content is all of these in a row.
pub(super) fn wrap_all(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
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

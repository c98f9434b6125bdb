//! The keys of a service in MIT's file format, version 0x0502, as `kadmin`, `ktpass` and `samba-tool` write it.
//!
//! ```text
//! 05 02, then entries: { length i32, entry }; a negative length is a hole of so many bytes, zero is the end
//! entry: parts u16, realm, part..., name type u32, time u32, version u8, encryption type u16, key,
//!        version u32 (may be absent; counts when it is not zero)      strings and keys: length u16, bytes
//! ```
//!
//! All numbers are big-endian. Who has the file can be the service towards anybody, and anybody towards the service.

use super::encryption::{EncryptionType, Key};
use super::principal::Principal;

const MAGIC: [u8; 2] = [5, 2];
/// Most keys in one file.
pub const MAX_KEYS: usize = 1024;
/// Largest file, bytes.
pub const MAX_KEYTAB_LEN: usize = 1024 * 1024;

/// One key of one principal.
#[derive(Clone, Debug)]
pub struct KeytabEntry {
    /// Whose key it is.
    pub principal: Principal,
    /// The number of the key among those that the principal has had.
    pub version: u32,
    /// The key itself.
    pub key: Key,
}

/// The keys of a service.
#[derive(Clone, Debug)]
pub struct Keytab {
    entries: Vec<KeytabEntry>,
    passed_over: usize,
}

/// What is wrong with a keytab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeytabError {
    /// Another kind of file, or another version of the format.
    NotAKeytab,
    /// It is cut off, or an entry is not what it must be.
    Malformed,
    /// More than [`MAX_KEYS`] or [`MAX_KEYTAB_LEN`].
    TooLong,
    /// No key of a type that is taken: so many of other types.
    NoUsableKey(usize),
}

impl std::fmt::Display for KeytabError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAKeytab => f.write_str("not a keytab of version 0x0502"),
            Self::Malformed => f.write_str("a keytab that is cut off or broken"),
            Self::TooLong => write!(f, "a keytab of more than {MAX_KEYS} keys or {MAX_KEYTAB_LEN} bytes"),
            Self::NoUsableKey(others) => {
                write!(f, "no AES key in it ({others} of other types); DES and RC4 are not taken")
            }
        }
    }
}

impl std::error::Error for KeytabError {}

impl Keytab {
    /// Reads a file's content. Keys of types that are not taken are passed over.
    ///
    /// # Errors
    /// What is not a keytab, or has no key that is of use.
    pub fn parse(file: &[u8]) -> Result<Keytab, KeytabError> {
        if file.len() > MAX_KEYTAB_LEN {
            return Err(KeytabError::TooLong);
        }
        let mut rest = file.strip_prefix(&MAGIC).ok_or(KeytabError::NotAKeytab)?;
        let mut keytab = Keytab { entries: Vec::new(), passed_over: 0 };
        while !rest.is_empty() {
            let length = i32::from_be_bytes(take(&mut rest).ok_or(KeytabError::Malformed)?);
            if length == 0 {
                break;
            }
            let bytes = slice(&mut rest, length.unsigned_abs() as usize).ok_or(KeytabError::Malformed)?;
            if length < 0 {
                continue;
            }
            match entry(bytes).ok_or(KeytabError::Malformed)? {
                Some(entry) => keytab.entries.push(entry),
                None => keytab.passed_over += 1,
            }
            if keytab.entries.len() + keytab.passed_over > MAX_KEYS {
                return Err(KeytabError::TooLong);
            }
        }
        match keytab.entries.is_empty() {
            true => Err(KeytabError::NoUsableKey(keytab.passed_over)),
            false => Ok(keytab),
        }
    }

    /// The keys that are of use.
    pub fn entries(&self) -> &[KeytabEntry] {
        &self.entries
    }

    /// How many keys are of types that are not taken.
    pub fn passed_over(&self) -> usize {
        self.passed_over
    }

    /// The keys of a type, likely ones first: those of the service that the ticket names, in the version that it
    /// names. The others count too: a service has several names for one key, and versions of one keytab and of the
    /// realm may have parted.
    pub(super) fn candidates(
        &self,
        kind: EncryptionType,
        service: &Principal,
        version: Option<u32>,
    ) -> Vec<&KeytabEntry> {
        let mut keys: Vec<_> = self.entries.iter().filter(|entry| entry.key.kind() == kind).collect();
        // A stable sort: false comes before true.
        keys.sort_by_key(|entry| (entry.principal != *service, version.is_some_and(|v| v != entry.version)));
        keys
    }
}

/// `None` inside: a key of a type that is not taken.
fn entry(mut bytes: &[u8]) -> Option<Option<KeytabEntry>> {
    let parts = u16::from_be_bytes(take(&mut bytes)?);
    let realm = counted(&mut bytes)?;
    let parts: Vec<&[u8]> = (0..parts).map(|_| counted(&mut bytes)).collect::<Option<_>>()?;
    let _name_type_and_time: [u8; 8] = take(&mut bytes)?;
    let [short_version] = take(&mut bytes)?;
    let kind = u16::from_be_bytes(take(&mut bytes)?);
    let key = counted(&mut bytes)?;
    let version = take(&mut bytes).map(u32::from_be_bytes).filter(|version| *version != 0);
    let Some(kind) = EncryptionType::from_code(i32::from(kind)) else { return Some(None) };
    Some(Some(KeytabEntry {
        principal: Principal::new(parts, realm)?,
        version: version.unwrap_or(u32::from(short_version)),
        key: Key::new(kind, key)?,
    }))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn slice<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn counted<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u16::from_be_bytes(take(bytes)?);
    slice(bytes, usize::from(length))
}

//! What a request may carry after its body (`struct fuse_ext_header`, since 7.38).
//!
//! Each extension begins with its length and type. Types up to [`SECURITY_CONTEXTS_MAX`] are a number of
//! security contexts (`struct fuse_secctx_header`); they and unknown types are passed over.

use crate::{error::WireError, fields::Fixed};

/// Types up to this one are security contexts (`FUSE_MAX_NR_SECCTX`).
pub const SECURITY_CONTEXTS_MAX: u32 = 31;
/// Type of the caller's supplementary groups (`FUSE_EXT_GROUPS`).
pub const GROUPS: u32 = 32;

const WHAT: &str = "fuse_ext_header";

/// The extensions of one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    /// Groups of the caller besides the one in the header: the kernel sends the one that the parent
    /// directory has, if the caller is in it (`FUSE_CREATE_SUPP_GROUP`).
    pub groups: Vec<u32>,
}

impl Extensions {
    /// Reads all of `bytes`.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, WireError> {
        let mut extensions = Self::default();
        while !bytes.is_empty() {
            let head = Fixed::<8>::new(bytes, WHAT)?;
            let (size, kind) = (head.u32(0), head.u32(4));
            if size < 8 || !size.is_multiple_of(8) {
                return Err(WireError::BadValue { what: WHAT, value: u64::from(size) });
            }
            let (extension, rest) = bytes.split_at_checked(size as usize).ok_or(WireError::Short {
                what: WHAT,
                need: size as usize,
                have: bytes.len(),
            })?;
            if kind == GROUPS {
                read_groups(&extension[8..], &mut extensions.groups)?;
            }
            bytes = rest;
        }
        Ok(extensions)
    }
}

/// Reads `struct fuse_supp_groups`.
fn read_groups(bytes: &[u8], groups: &mut Vec<u32>) -> Result<(), WireError> {
    let what = "fuse_supp_groups";
    let count = Fixed::<4>::new(bytes, what)?.u32(0) as usize;
    let listed = &bytes[4..];
    let need = count.saturating_mul(4);
    let listed = listed.get(..need).ok_or(WireError::Short { what, need, have: listed.len() })?;
    let (listed, _) = listed.as_chunks::<4>();
    groups.extend(listed.iter().map(|group| u32::from_ne_bytes(*group)));
    Ok(())
}

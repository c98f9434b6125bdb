//! Requests about extended attributes. Their names have their namespace before them and may hold slashes.

use crate::{
    error::WireError,
    fields::Body,
    flags::{InitFlags, SetxattrExtFlags, SetxattrFlags},
};
use bytes::Bytes;

/// `struct fuse_getxattr_in`: how long the answer may be.
pub(super) fn size(body: &mut Body) -> Result<u32, WireError> {
    body.fixed::<8, _>(|fixed| fixed.u32(0))
}

/// An extended attribute to set (`struct fuse_setxattr_in`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setxattr {
    /// Its name.
    pub name: Bytes,
    /// Its value.
    pub value: Bytes,
    /// Whether it must be there or must not.
    pub flags: SetxattrFlags,
    /// What else; empty without [`InitFlags::SETXATTR_EXT`].
    pub ext_flags: SetxattrExtFlags,
}

impl Setxattr {
    pub(super) fn decode(body: &mut Body, agreed: InitFlags) -> Result<Self, WireError> {
        let (size, flags) = body.fixed::<8, _>(|fixed| (fixed.u32(0), fixed.u32(4)))?;
        let ext_flags = match agreed.contains(InitFlags::SETXATTR_EXT) {
            true => body.fixed::<8, _>(|fixed| fixed.u32(0))?,
            false => 0,
        };
        Ok(Self {
            name: body.name()?,
            value: body.data(size as usize)?,
            flags: SetxattrFlags::from_bits_retain(flags),
            ext_flags: SetxattrExtFlags::from_bits_retain(ext_flags),
        })
    }
}

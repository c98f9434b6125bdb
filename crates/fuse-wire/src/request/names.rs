//! Requests that make, move and forget names.

use crate::{
    device::Device,
    error::WireError,
    fields::{Body, Fixed},
    flags::{OpenRequestFlags, RenameFlags},
};
use bytes::Bytes;

/// Lookups of one node that are taken back (`struct fuse_forget_one`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forget {
    /// The node.
    pub nodeid: u64,
    /// How many.
    pub lookups: u64,
}

/// `struct fuse_batch_forget_in` with what follows.
pub(super) fn batch_forget(body: &mut Body) -> Result<Vec<Forget>, WireError> {
    let count = body.fixed::<8, _>(|fixed| fixed.u32(0))? as usize;
    let what = body.what();
    let listed = body.data(count.saturating_mul(16))?;
    let read = |one| Fixed::<16>::new(one, what).map(|fixed| (fixed.u64(0), fixed.u64(8)));
    listed.chunks(16).map(|one| read(one).map(|(nodeid, lookups)| Forget { nodeid, lookups })).collect()
}

/// A node to make (`struct fuse_mknod_in`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mknod {
    /// Its name.
    pub name: Bytes,
    /// Type and permissions; the umask is applied, unless with [`crate::InitFlags::DONT_MASK`].
    pub mode: u32,
    /// Of a device node, which device.
    pub rdev: Device,
    /// The caller's.
    pub umask: u32,
}

impl Mknod {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        let (mode, rdev, umask) = body.fixed::<16, _>(|fixed| (fixed.u32(0), fixed.u32(4), fixed.u32(8)))?;
        Ok(Self { name: body.component()?, mode, rdev: Device::from_wire(rdev), umask })
    }
}

/// A directory to make (`struct fuse_mkdir_in`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mkdir {
    /// Its name.
    pub name: Bytes,
    /// Permissions; the umask is applied, unless with [`crate::InitFlags::DONT_MASK`].
    pub mode: u32,
    /// The caller's.
    pub umask: u32,
}

impl Mkdir {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        let (mode, umask) = body.fixed::<8, _>(|fixed| (fixed.u32(0), fixed.u32(4)))?;
        Ok(Self { name: body.component()?, mode, umask })
    }
}

/// A rename (`struct fuse_rename_in`, `struct fuse_rename2_in`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The old name.
    pub name: Bytes,
    /// The directory it goes to.
    pub new_parent: u64,
    /// The new name.
    pub new_name: Bytes,
    /// How.
    pub flags: RenameFlags,
}

impl Rename {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        let new_parent = body.fixed::<8, _>(|fixed| fixed.u64(0))?;
        Self::names(body, new_parent, RenameFlags::empty())
    }

    pub(super) fn decode2(body: &mut Body) -> Result<Self, WireError> {
        let (new_parent, flags) = body.fixed::<16, _>(|fixed| (fixed.u64(0), fixed.u32(8)))?;
        Self::names(body, new_parent, RenameFlags::from_bits_retain(flags))
    }

    fn names(body: &mut Body, new_parent: u64, flags: RenameFlags) -> Result<Self, WireError> {
        Ok(Self { name: body.component()?, new_parent, new_name: body.component()?, flags })
    }
}

/// A file to make and open (`struct fuse_create_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Creation {
    /// `O_*` of the caller.
    pub flags: u32,
    /// Type and permissions; the umask is applied, unless with [`crate::InitFlags::DONT_MASK`].
    pub mode: u32,
    /// The caller's.
    pub umask: u32,
    /// What else.
    pub open_flags: OpenRequestFlags,
}

impl Creation {
    pub(super) fn decode(body: &mut Body) -> Result<Self, WireError> {
        body.fixed::<16, _>(|fixed| Self {
            flags: fixed.u32(0),
            mode: fixed.u32(4),
            umask: fixed.u32(8),
            open_flags: OpenRequestFlags::from_bits_retain(fixed.u32(12)),
        })
    }
}

//! A change of the namespace, as a value: journal, quota, cache and audit see the same thing.

use crate::{Attr, DosAttributes, FileId, Maker, Named, SetAttr, Special, VPath};
use bytes::Bytes;

/// One change. Match it without `_`: a new kind of change must be thought about everywhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Makes one directory; its parent must be there.
    MakeDir { path: VPath, mode: u32, dos: DosAttributes, maker: Option<Maker> },
    /// Makes a FIFO, a socket or a device. `Unsupported` where `Caps::posix` is false.
    MakeNode { path: VPath, node: Special, mode: u32, maker: Option<Maker> },
    /// Removes a file, a symlink or, with `dir`, an empty directory. With `expect` only if it still is
    /// that file, else `Stale`.
    Remove { path: VPath, dir: bool, expect: Option<FileId> },
    /// Moves a file or a directory. With `replace` an existing target file gives way in one step, else
    /// `AlreadyExists`.
    Rename { from: VPath, to: VPath, replace: bool, expect: Option<FileId> },
    /// A second name for a file. `replace` as for `Rename`.
    Link { from: VPath, to: VPath, replace: bool, expect: Option<FileId> },
    /// A symbolic link whose content is `target`, uninterpreted.
    Symlink { path: VPath, target: String, maker: Option<Maker> },
    /// Sets attributes by name.
    SetAttr { path: VPath, set: SetAttr, expect: Option<FileId> },
    /// Sets a value that a file or directory carries, or takes it away with `None` (also where there is none).
    /// `NoSpace` for one that the origin has no room for.
    SetNamed { path: VPath, name: Named, value: Option<Bytes>, expect: Option<FileId> },
}

/// What came of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The object under its (new) name afterwards; `None` after `Remove`, and at an origin that would have to be asked
    /// once more for it.
    pub attr: Option<Attr>,
}

impl Change {
    /// The paths that this change touches.
    pub fn paths(&self) -> impl Iterator<Item = &VPath> {
        let (first, second) = match self {
            Change::MakeDir { path, .. }
            | Change::MakeNode { path, .. }
            | Change::Remove { path, .. }
            | Change::Symlink { path, .. }
            | Change::SetAttr { path, .. }
            | Change::SetNamed { path, .. } => (path, None),
            Change::Rename { from, to, .. } | Change::Link { from, to, .. } => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }

    /// A word for logs and errors.
    pub fn name(&self) -> &'static str {
        match self {
            Change::MakeDir { .. } => "mkdir",
            Change::MakeNode { .. } => "mknod",
            Change::Remove { .. } => "remove",
            Change::Rename { .. } => "rename",
            Change::Link { .. } => "link",
            Change::Symlink { .. } => "symlink",
            Change::SetAttr { .. } => "setattr",
            Change::SetNamed { .. } => "setnamed",
        }
    }
}

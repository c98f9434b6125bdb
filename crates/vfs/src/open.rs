//! An open.
use crate::*;
use bytes::Bytes;
use std::sync::Arc;
use volume::{Attr, Cx, SetAttr, SyncKind, VPath};

/// An open file or directory. Dropping it without [`Open::close`] closes it in the background.
#[derive(Debug)]
pub struct Open {
    id: OpenId,
    owner: Owner,
    access: Access,
}

fn unsupported() -> Error {
    Error::Volume(volume::Error::new(volume::ErrorKind::Unsupported, "vfs", "not yet"))
}

impl Open {
    pub fn id(&self) -> OpenId {
        self.id
    }
    pub fn owner(&self) -> Owner {
        self.owner
    }
    pub fn access(&self) -> Access {
        self.access
    }
    pub fn is_dir(&self) -> bool {
        false
    }
    /// Where the object is now, in the origin's spelling; follows renames through this `Vfs`.
    pub fn path(&self) -> VPath {
        VPath::root()
    }
    /// Attributes now, within the volume's promise on freshness.
    pub async fn attr(&self, _cx: &Cx) -> Result<Attr> {
        Err(unsupported())
    }
    /// Sets attributes. A size needs `WRITE_DATA`.
    pub async fn set_attr(&self, _cx: &Cx, _set: &SetAttr) -> Result<Attr> {
        Err(unsupported())
    }
    /// Sets the length of the file, bytes.
    pub async fn set_size(&self, cx: &Cx, size: u64) -> Result<Attr> {
        self.set_attr(cx, &SetAttr::size(size)).await
    }
    /// Sets the room taken, bytes: a smaller one than the size cuts the file (MS-FSA 2.1.5.15.1), a larger one is a hint.
    pub async fn set_allocation(&self, _cx: &Cx, _bytes: u64) -> Result<Attr> {
        Err(unsupported())
    }
    /// Reads up to `length` bytes; shorter only at the end of the file, empty at or behind it.
    pub async fn read(&self, _cx: &Cx, _offset: u64, _length: u32) -> Result<Bytes> {
        Err(unsupported())
    }
    /// Writes all of `data`.
    pub async fn write(&self, _cx: &Cx, _offset: u64, _data: Bytes) -> Result<()> {
        Err(unsupported())
    }
    /// Writes at the end of the file; returns the offset. Appends of all opens come one after another.
    pub async fn append(&self, _cx: &Cx, _data: Bytes) -> Result<u64> {
        Err(unsupported())
    }
    /// Returns when everything written is durable at the volume.
    pub async fn sync(&self, _cx: &Cx, _kind: SyncKind) -> Result<()> {
        Err(unsupported())
    }
    /// Locks a range at once, or `LockNotGranted`.
    pub fn try_lock(&self, _range: Range, _exclusive: bool) -> Result<()> {
        Err(unsupported())
    }
    /// Locks a range, waiting as long as it takes, in the order of asking. Dropping the future withdraws
    /// the request; `Closed` when the open is closed meanwhile.
    pub async fn lock(&self, _range: Range, _exclusive: bool) -> Result<()> {
        Err(unsupported())
    }
    /// Unlocks exactly this range, else `RangeNotLocked`.
    pub fn unlock(&self, _range: Range) -> Result<()> {
        Err(unsupported())
    }
    /// A walk through this directory.
    pub fn list(self: &Arc<Self>) -> Result<DirCursor> {
        Err(unsupported())
    }
    /// Gives the object another name. Needs `DELETE`.
    pub async fn rename(&self, _cx: &Cx, _to: &VPath, _how: RenameHow) -> Result<()> {
        Err(unsupported())
    }
    /// Gives the file a further name.
    pub async fn link(&self, _cx: &Cx, _to: &VPath, _how: RenameHow) -> Result<()> {
        Err(unsupported())
    }
    /// Marks the name to go away with its last open, or takes that back (MS-FSA 2.1.5.15.3). Needs `DELETE`.
    pub async fn set_delete_on_close(&self, _cx: &Cx, _on: bool) -> Result<()> {
        Err(unsupported())
    }
    /// Whether the name goes away with its last open.
    pub fn delete_pending(&self) -> bool {
        false
    }
    /// Waits for changes in this directory. The first call sets what is watched; later ones keep it, as
    /// Windows does. Dropping the future loses no event. `DeletePending` when the directory goes away,
    /// `Closed` when the open is closed.
    pub async fn notify(&self, _filter: Filter, _recursive: bool) -> Result<NotifyBatch> {
        Err(unsupported())
    }
    /// Ends the open: releases its locks and share mode, removes the name if that was asked for. Returns
    /// the last attributes where the object is still there. Runs to its end also when the future is dropped.
    pub async fn close(&self, _cx: &Cx) -> Result<Option<Attr>> {
        Err(unsupported())
    }
}

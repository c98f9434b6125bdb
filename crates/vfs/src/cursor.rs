//! Listing.
use crate::{Open, Result};
use std::sync::Arc;
use volume::{Attr, Cx};

/// One name of a directory, in the origin's spelling (an SMB front end shows [`crate::names::to_smb`] of it).
#[derive(Clone, Debug)]
pub struct DirEntry {
    pub name: Arc<str>,
    /// For a symbolic link inside the volume: of what it points to.
    pub attr: Attr,
}

/// A walk through a directory: `.` and `..` first, then the names in the origin's order.
pub struct DirCursor {
    #[allow(dead_code)]
    open: Arc<Open>,
}

impl DirCursor {
    /// The next entry without taking it; `None` at the end.
    pub async fn peek(&mut self, _cx: &Cx) -> Result<Option<&DirEntry>> {
        Ok(None)
    }
    /// Takes the next entry; `None` at the end.
    pub async fn next(&mut self, _cx: &Cx) -> Result<Option<DirEntry>> {
        Ok(None)
    }
    /// From the beginning again, with fresh answers of the volume.
    pub fn restart(&mut self) {}
}

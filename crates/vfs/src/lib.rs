//! The core between every front end and a [`volume::Volume`].

pub mod names;

mod cursor;
mod error;
mod notify;
mod open;
mod range_lock;
mod request;
mod vfs;

pub use cursor::{DirCursor, DirEntry};
pub use error::{Error, Result};
pub use notify::{Filter, NotifyAction, NotifyBatch, NotifyEvent};
pub use open::Open;
pub use range_lock::Range;
pub use request::{Access, Action, Disposition, OpenId, OpenRequest, Opened, Owner, RenameHow, Share, Want};
pub use vfs::{Limits, OpenInfo, OpensSummary, SYMLINKS_MAX, Vfs, VfsConfig};

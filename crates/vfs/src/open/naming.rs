//! What an open does to names: its own, and those in its directory.

use super::{Open, OpenKey};
use crate::Carry;
use crate::close;
use crate::cursor::{DirCursor, Links};
use crate::notify::{Filter, NotifyBatch, Watcher};
use crate::rename::{self, Mover, Renamed};
use crate::{Access, DeleteHow, Error, RenameHow, Result};
use std::sync::Arc;
use volume::{Cx, VPath};

impl Open {
    /// A walk through this directory. Needs `READ_DATA`.
    pub fn list(self: &Arc<Self>, links: Links) -> Result<DirCursor> {
        self.check(Access::READ_DATA)?;
        if !self.is_dir() {
            return Err(Error::NotADirectory);
        }
        Ok(DirCursor::new(self.clone(), links))
    }

    /// Gives the object another name, in the client's spelling; tells both. Needs `DELETE`. An existing file that
    /// gives way hands its spelling on.
    ///
    /// # Errors
    /// `Exists`; `AccessDenied` for a target that is open, READONLY or a directory, and for a directory with opens
    /// below it (but see [`RenameHow`]); `SharingViolation` when the target's directory is open so
    /// that it does not share writing, or for `DELETE`.
    pub async fn rename(&self, cx: &Cx, to: &VPath, how: RenameHow) -> Result<Renamed> {
        self.check(Access::DELETE)?;
        self.check_itself()?;
        let who = self.mover();
        Carry::new(rename::rename(self.core.clone(), cx.clone(), who, to.clone(), how)).await
    }

    /// Gives the file a further name.
    pub async fn link(&self, cx: &Cx, to: &VPath, how: RenameHow) -> Result<()> {
        self.check(Access::empty())?;
        self.check_itself()?;
        let who = self.mover();
        Carry::new(rename::link(self.core.clone(), cx.clone(), who, to.clone(), how)).await
    }

    /// Marks the name to go away with its last open, or takes that back (MS-FSA 2.1.5.15.3). Needs `DELETE`.
    ///
    /// # Errors
    /// `CannotDelete` for a read-only file and the root, `DirectoryNotEmpty`.
    pub async fn set_delete_on_close(&self, cx: &Cx, on: bool) -> Result<()> {
        self.set_deletion(cx, on, DeleteHow::default()).await
    }

    /// The same, with more to be said of it.
    pub async fn set_deletion(&self, cx: &Cx, on: bool, how: DeleteHow) -> Result<()> {
        self.check(Access::DELETE)?;
        let OpenKey { file, id, .. } = self.key;
        // A stream has no name that others could have.
        let how = DeleteHow { posix: how.posix && self.stream.is_none(), ..how };
        match (on, how.on_close) {
            (true, _) => close::doom(self, cx, how).await,
            (false, true) => {
                self.core.registry.lock().set_on_close(file, id, false, false);
                Ok(())
            }
            (false, false) => {
                let mut registry = self.core.registry.lock();
                registry.set_unlinks(file, id, false);
                registry.set_doomed(file, id, false)
            }
        }
    }

    /// The name goes away with its last open, or with this one; whether it may was asked before.
    pub(crate) fn doom(&self, how: DeleteHow) -> Result<()> {
        let OpenKey { file, id, .. } = self.key;
        let mut registry = self.core.registry.lock();
        registry.set_unlinks(file, id, how.posix);
        registry.set_doomed(file, id, true)
    }

    /// Whether the name goes away with its last open, or has gone before it. Not yet so for one opened with
    /// `delete_on_close`: that is decided when it is closed.
    pub fn delete_pending(&self) -> bool {
        let OpenKey { file, id, .. } = self.key;
        let registry = self.core.registry.lock();
        let record = registry.record(file, id);
        record.is_some_and(|record| record.unnamed || registry.is_doomed(file, &record.path))
    }

    /// Waits for changes in this directory. The first call sets what is watched and collects from then on;
    /// later ones keep it, as Windows does. Dropping the future loses no event.
    ///
    /// # Errors
    /// `DeletePending` when the directory goes away, `Closed` when the open is closed.
    pub async fn notify(&self, filter: Filter, recursive: bool) -> Result<NotifyBatch> {
        self.watch(filter, recursive)?.next().await
    }

    fn watch(&self, filter: Filter, recursive: bool) -> Result<Arc<Watcher>> {
        if !self.is_dir() {
            return Err(Error::InvalidArgument("only directories are watched"));
        }
        let mut watcher = self.watcher.lock();
        // Looked at under the mutex that closing takes: a watcher never outlives its open.
        self.check(Access::empty())?;
        if let Some(watcher) = &*watcher {
            return Ok(watcher.clone());
        }
        let (hub, limit) = (&self.core.hub, self.core.config.limits.notify_events);
        let new = hub.add_where_it_stands(|| self.named_path(), (filter, recursive), limit, &self.account)?;
        // Who dooms the directory from here on finds the watcher; who has done so before does not look again.
        if self.delete_pending() {
            hub.remove(&new);
            return Err(Error::DeletePending);
        }
        Ok(watcher.insert(new).clone())
    }

    fn mover(&self) -> Mover {
        Mover { key: self.key, rights: self.rights.clone(), case_sensitive: self.case_sensitive }
    }

    /// A stream has no name in a directory.
    pub(crate) fn check_itself(&self) -> Result<()> {
        match self.stream {
            None => Ok(()),
            Some(_) => Err(Error::InvalidArgument("a stream is not named by a path")),
        }
    }
}

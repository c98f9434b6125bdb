//! Byte-range locks of an open.
//!
//! Beside a lock nobody reads from a cache: who does is told before it is taken, and once more when it is there.

use super::Open;
use crate::range_lock::{Range, RangeLock};
use crate::{Access, Error, Result};

impl Open {
    /// Locks a range at once, or `LockNotGranted`.
    pub fn try_lock(&self, range: Range, exclusive: bool) -> Result<()> {
        self.core.content_changes(&self.node, self.key.file, self.key.id);
        self.node.locks.try_lock(&self.account, &self.closed, self.lock_of(range, exclusive)?)?;
        self.core.range_is_locked(&self.node, self.key.file, self.key.id);
        Ok(())
    }

    /// Locks a range, waiting as long as it takes, in the order of asking. Dropping the future withdraws
    /// the request; `Closed` when the open is closed meanwhile.
    pub async fn lock(&self, range: Range, exclusive: bool) -> Result<()> {
        self.core.content_changes(&self.node, self.key.file, self.key.id);
        self.node.locks.lock(&self.account, &self.closed, self.lock_of(range, exclusive)?).await?;
        self.core.range_is_locked(&self.node, self.key.file, self.key.id);
        Ok(())
    }

    /// Unlocks exactly this range, else `RangeNotLocked`.
    pub fn unlock(&self, range: Range) -> Result<()> {
        self.check(Access::empty())?;
        self.node.locks.unlock(&self.account, self.key.id, range)
    }

    /// Takes back a lock that nobody was told of. It may be gone already, with the open.
    pub fn revoke_lock(&self, range: Range, exclusive: bool) {
        self.node.locks.revoke(&self.account, RangeLock { owner: self.key.id, range, exclusive });
    }

    /// The byte-range locks that the open holds, exclusive ones with `true`.
    pub fn locks(&self) -> Vec<(Range, bool)> {
        self.node.locks.of(self.key.id)
    }

    /// Whether the open holds byte-range locks.
    pub fn holds_locks(&self) -> bool {
        self.node.locks.held_by(self.key.id)
    }

    fn lock_of(&self, range: Range, exclusive: bool) -> Result<RangeLock> {
        if self.is_dir() {
            return Err(Error::InvalidArgument("directories have no bytes to lock"));
        }
        Ok(RangeLock { owner: self.key.id, range, exclusive })
    }
}

//! What all calls share: the origin, the books, the locks, and how it is found out what a file counts for.

use crate::charged::{Locked, Table};
use crate::config::SETTLING_PATIENCE;
use crate::count::Places;
use crate::lately::Lately;
use crate::ledger::{Charge, Ledger};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::RwLock;
use volume::{Attr, Carries, Carry, Cx, Error, ErrorKind, Named, Result, VPath, Volume, owner_of};

pub(crate) struct Core {
    pub(crate) inner: Arc<dyn Volume>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) table: Arc<Table>,
    /// Held for reading by whoever relies on it that a name goes on to stand for what it stood for, for writing by who
    /// renames a directory, and with it all names below.
    pub(crate) names: Arc<RwLock<()>>,
    /// Where the count has yet to look.
    pub(crate) places: Places,
    /// Directories that were made or moved here just now.
    pub(crate) lately: Lately,
}

impl Core {
    pub(crate) fn new(inner: Arc<dyn Volume>, ledger: Ledger) -> Core {
        let ledger = Arc::new(ledger);
        Core {
            inner,
            table: Table::new(ledger.clone()),
            ledger,
            names: Arc::default(),
            places: Places::default(),
            lately: Lately::default(),
        }
    }

    pub(crate) async fn owner(&self, cx: &Cx, path: &VPath, attr: &Attr) -> Result<Option<Bytes>> {
        if !attr.carries.contains(Carries::DESCRIPTOR) {
            return Ok(None);
        }
        let descriptor = self.inner.named(cx, path, Some(attr.id), &Named::Descriptor).await?;
        Ok(descriptor.as_ref().and_then(owner_of))
    }

    /// Finds out what a file counts for. `attr` comes from a look under its lock.
    pub(crate) async fn meet(
        &self,
        cx: &Cx,
        file: &mut Locked,
        path: Option<&VPath>,
        attr: &Attr,
    ) -> Result<()> {
        if attr.links > 0 {
            file.begins_anew();
        }
        if self.ledger.epoch() == 0 {
            return Ok(());
        }
        if file.charge().is_some() {
            file.settle_size(Some(attr.size));
            return Ok(());
        }
        // Whose a file without a name is, nobody can be asked. No count will find it.
        let owner = match path {
            _ if attr.links == 0 || !attr.carries.contains(Carries::DESCRIPTOR) => None,
            Some(path) => self.owner(cx, path, attr).await?,
            None => return Err(Error::new(ErrorKind::Stale, "charge", "a file whose name is not known")),
        };
        file.settle(Charge { owner, size: attr.size });
        Ok(())
    }
}

/// Whether an error says that something else has the name by now, or nothing.
pub(crate) fn is_elsewhere(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::NotFound
            | ErrorKind::Stale
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::Loop
    )
}

/// Whether what was begun may go on in spite of an error.
pub(crate) fn is_open(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::TimedOut | ErrorKind::Offline)
}

/// Does what the books are kept of, to its end, though the caller goes away: until his deadline, and what came of it is
/// looked for after that, too.
pub(crate) async fn carried<T: Send + 'static>(
    cx: &Cx,
    op: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let late = |_| Err(Error::new(ErrorKind::TimedOut, op, "the origin takes long"));
    tokio::time::timeout_at(cx.deadline.into(), Carry::new(work)).await.unwrap_or_else(late)
}

/// Nothing begins whose caller has been told by now that it takes too long.
pub(crate) fn in_time(cx: &Cx, op: &'static str) -> Result<()> {
    match cx.deadline > std::time::Instant::now() {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::TimedOut, op, "nothing was done")),
    }
}

/// For looking what came of a change, after the caller's deadline too.
pub(crate) fn patient(cx: &Cx) -> Cx {
    cx.within(SETTLING_PATIENCE)
}

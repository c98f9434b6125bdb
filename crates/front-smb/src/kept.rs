//! Durable opens: those that outlive the connections of their client (MS-SMB2 3.3.5.9.6 to 3.3.5.9.12).
//!
//! ```text
//! in a session --last channel lost--> kept --reconnect--> in a session, under a new volatile id
//!                                      | time is up, or somebody else wants the file
//!                                      v
//!                                    closed
//! ```
//!
//! An open is durable when its client asked for it and may keep the handle: with a batch oplock, or a lease with
//! handle caching; or when it is persistent (`persistent`). While it is kept its locks, its share mode and what it may cache stand as they stood. Nobody can
//! be told of a break then, so the first one ends it ([`Kept::purge`]). A persistent one stays: whoever is in its way
//! waits as for a client that does not answer, and the client is told when it is back.

use crate::limits;
use crate::open::{self, FileOpen, Kind, Open};
use crate::persistent::OpenRecords;
use crate::session::{Target, Tree};
use parking_lot::Mutex;
use smb_wire::ids::Guid;
use smb_wire::{AccessMask, NtStatus};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use vfs::Caching;

/// How an open outlives its client's connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Durability {
    pub(crate) timeout: Duration,
    /// The client's name for it, in the second form.
    pub(crate) create_guid: Option<Guid>,
    /// Whose client it is.
    pub(crate) client: u128,
    /// It is written down, and survives the end of the process.
    pub(crate) persistent: bool,
    /// It is kept whatever it may cache (MS-SMB2 3.3.5.15.9).
    pub(crate) resilient: bool,
}

/// An open whose client is away.
pub(crate) struct KeptOpen {
    pub(crate) file: Arc<FileOpen>,
    pub(crate) granted: AccessMask,
    pub(crate) user: Arc<str>,
    pub(crate) share: String,
    /// Tells this stay from a later one.
    stay: u64,
    /// Goes when the stay is over, whichever way: nobody waits for its time any more.
    _wait: Option<oneshot::Sender<()>>,
}

/// One stay of an open.
struct Stay {
    number: u64,
    over: oneshot::Receiver<()>,
}

/// All opens that are kept, by the persistent half of their id.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Table>);

#[derive(Default)]
struct Table {
    opens: HashMap<u64, KeptOpen>,
    stays: u64,
}

impl Table {
    /// Keeps an open.
    fn insert(&mut self, id: u64, kept: KeptOpen) -> Stay {
        self.stays += 1;
        let (wait, over) = oneshot::channel();
        self.opens.insert(id, KeptOpen { stay: self.stays, _wait: Some(wait), ..kept });
        Stay { number: self.stays, over }
    }

    fn there(&self, id: u64) -> Result<&KeptOpen, NtStatus> {
        let kept = self.opens.get(&id).filter(|kept| !kept.file.vfs.is_closed());
        kept.ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)
    }
}

impl KeptOpen {
    pub(crate) fn new(file: Arc<FileOpen>, granted: AccessMask, user: Arc<str>, share: String) -> KeptOpen {
        KeptOpen { file, granted, user, share, stay: 0, _wait: None }
    }

    /// Whoever wants the file, it is kept: what it cached goes, its locks and share mode stand.
    fn stays(&self) -> bool {
        let durability = *self.file.durability.lock();
        durability.is_some_and(|durability| durability.persistent || durability.resilient)
    }

    fn is_persistent(&self) -> bool {
        self.file.durability.lock().is_some_and(|durability| durability.persistent)
    }
}

/// Whether the client may keep the handle.
pub(crate) fn may_be_durable(caching: Caching) -> bool {
    caching.contains(Caching::HANDLE)
}

impl Kept {
    /// Takes what is durable of a session that has ended; gives the rest back, to be closed.
    pub(crate) fn keep(
        self: &Arc<Self>,
        opens: Vec<Arc<Open>>,
        user: &Arc<str>,
        trees: &[Arc<Tree>],
        records: Option<&OpenRecords>,
    ) -> Vec<Arc<Open>> {
        let gone = |open: &Arc<Open>| !self.keep_one(open, user, trees, records.cloned());
        opens.into_iter().filter(gone).collect()
    }

    fn keep_one(
        self: &Arc<Self>,
        open: &Arc<Open>,
        user: &Arc<str>,
        trees: &[Arc<Tree>],
        records: Option<OpenRecords>,
    ) -> bool {
        let Kind::File(file) = &open.kind else { return false };
        let Some(durability) = *file.durability.lock() else { return false };
        let tree = trees.iter().find(|tree| tree.id == open.tree_id);
        let Some(Target::Disk(share)) = tree.map(|tree| &tree.target) else { return false };
        let id = open.id.persistent;
        let stay = {
            let mut table = self.0.lock();
            // Looked at under the mutex that a break takes (`purge`): one that comes later finds it here.
            let granted = file.vfs.granted();
            let may_be = may_be_durable(granted.caching) && !granted.breaking && !file.vfs.is_closed();
            // Locks need the right to keep writes back: else somebody may have to see them (MS-SMB2 3.3.7.1).
            let locks = file.vfs.holds_locks() && !granted.caching.contains(Caching::WRITE);
            let stays = durability.persistent || durability.resilient || (may_be && !locks);
            if !stays || file.vfs.is_closed() || table.opens.len() >= limits::KEPT_OPENS_MAX {
                return false;
            }
            let (file, user) = (Arc::clone(file), Arc::clone(user));
            table.insert(id, KeptOpen::new(file, open.granted, user, share.name.clone()))
        };
        self.end_in_time(id, stay, durability, records);
        true
    }

    /// Keeps an open that came back after a start.
    pub(crate) fn put(
        self: &Arc<Self>,
        id: u64,
        kept: KeptOpen,
        durability: Durability,
        records: Option<OpenRecords>,
    ) {
        let stay = self.0.lock().insert(id, kept);
        self.end_in_time(id, stay, durability, records);
    }

    fn end_in_time(
        self: &Arc<Self>,
        id: u64,
        stay: Stay,
        durability: Durability,
        records: Option<OpenRecords>,
    ) {
        let kept = Arc::downgrade(self);
        tokio::spawn(async move {
            if timeout(durability.timeout, stay.over).await.is_ok() {
                return;
            }
            let over = kept.upgrade().and_then(|kept| kept.take_stay(id, stay.number));
            if let Some(over) = over {
                open::close_file(&over.file).await;
                if let Some(records) = records.filter(|_| durability.persistent) {
                    records.forget(id, &over.file);
                }
            }
        });
    }

    fn take_stay(&self, id: u64, stay: u64) -> Option<KeptOpen> {
        let mut table = self.0.lock();
        table.opens.get(&id).filter(|kept| kept.stay == stay)?;
        table.opens.remove(&id)
    }

    /// An open that a client wants back, if `check` agrees; it stays where it is.
    ///
    /// # Errors
    /// As with [`Kept::take`].
    pub(crate) fn find(
        &self,
        id: u64,
        check: impl FnOnce(&KeptOpen) -> Result<(), NtStatus>,
    ) -> Result<Arc<FileOpen>, NtStatus> {
        let table = self.0.lock();
        let kept = table.there(id)?;
        check(kept)?;
        Ok(Arc::clone(&kept.file))
    }

    /// Gives an open to a client that came back: `enter` puts it into its session, and fails where it cannot; then
    /// the open stays kept.
    ///
    /// # Errors
    /// `OBJECT_NAME_NOT_FOUND` when it is not kept, or not any more; what `enter` says.
    pub(crate) fn take<T>(
        &self,
        id: u64,
        enter: impl FnOnce(&KeptOpen) -> Result<T, NtStatus>,
    ) -> Result<T, NtStatus> {
        let mut table = self.0.lock();
        let entered = enter(table.there(id)?)?;
        table.opens.remove(&id);
        Ok(entered)
    }

    /// Takes out what is to end for good; false when it is not kept.
    pub(crate) fn take_out(&self, id: u64) -> bool {
        self.0.lock().opens.remove(&id).is_some()
    }

    /// Ends what is kept and meant: somebody else wants it. True when something of it is resilient: that stays, and
    /// what it cached is gone.
    pub(crate) fn purge(&self, is_meant: impl Fn(&Arc<FileOpen>) -> bool) -> bool {
        let resilient = |kept: &KeptOpen| {
            let durability = *kept.file.durability.lock();
            is_meant(&kept.file) && durability.is_some_and(|it| it.resilient && !it.persistent)
        };
        let (ended, stays): (Vec<_>, bool) = {
            let mut table = self.0.lock();
            let ends = |kept: &KeptOpen| is_meant(&kept.file) && !kept.stays();
            let ended = table.opens.extract_if(|_, kept| ends(kept)).map(|(_, kept)| kept.file).collect();
            (ended, table.opens.values().any(resilient))
        };
        if !ended.is_empty() {
            tokio::spawn(async move {
                for file in ended {
                    open::close_file(&file).await;
                }
            });
        }
        stays
    }

    /// Whether an open that was made with this name by this client is kept.
    pub(crate) fn has_named(&self, client: u128, create_guid: Guid) -> bool {
        self.named(client, create_guid).is_some()
    }

    /// The one of that name, if it is persistent: the persistent half of its id.
    pub(crate) fn persistent_named(&self, client: u128, create_guid: Guid) -> Option<u64> {
        self.named(client, create_guid).filter(|(_, durability)| durability.persistent).map(|(id, _)| id)
    }

    fn named(&self, client: u128, create_guid: Guid) -> Option<(u64, Durability)> {
        let table = self.0.lock();
        let all = table.opens.iter().filter_map(|(id, kept)| Some((*id, (*kept.file.durability.lock())?)));
        all.into_iter().find(|(_, it)| it.create_guid == Some(create_guid) && it.client == client)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().opens.len()
    }

    /// Closes all: the server ends. What is persistent leaves its name in peace, and its record.
    pub(crate) async fn close_all(&self) {
        let all: Vec<_> = self.0.lock().opens.drain().map(|(_, kept)| kept).collect();
        for kept in all {
            match kept.is_persistent() {
                true => open::leave_file(&kept.file).await,
                false => open::close_file(&kept.file).await,
            }
        }
    }
}

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
//! handle caching; or when it is persistent (`persistent`). While it is kept its locks, its share mode and what it may
//! cache stand as they stood. Nobody can be told of a break then, so the first one ends it ([`Kept::purge`]). A
//! persistent one stays: whoever is in its way waits as for a client that does not answer, and the client is told when
//! it is back. What its client was never told of is not kept, unless it is persistent: that one can be asked for by the
//! name which its CREATE had, the others by an id that nobody knows.
//!
//! What its requests have begun goes on meanwhile (`tenure`). Its client has the open again when that has ended, and not
//! before: a change of then would land on what it does since.
//!
//! Each user has room of his own ([`room`]).

pub(crate) mod room;

use crate::limits;
use crate::open::{self, FileOpen, Kind, Open};
use crate::server::State;
use crate::session::Tree;
use crate::tenure::Former;
use futures_util::StreamExt;
use parking_lot::{Mutex, MutexGuard};
use room::{Room, Rooms};
use smb_wire::ids::Guid;
use smb_wire::{AccessMask, NtStatus, Sid};
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};
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
    pub(crate) durability: Durability,
    pub(crate) granted: AccessMask,
    pub(crate) user: Arc<str>,
    /// Whose it is (MS-SMB2 3.3.1.10, Open.DurableOwner): names may be the same where people are not.
    pub(crate) owner: Sid,
    pub(crate) share: String,
    /// What its requests have begun before, which may still be under way.
    pub(crate) former: Former,
}

/// One stay of an open.
struct Stay {
    open: KeptOpen,
    /// Tells it from a later one.
    number: u64,
    /// That of a persistent one is the open's, wherever that is.
    _room: Option<Room>,
    /// Goes when the stay is over, whichever way: nobody waits for its time any more.
    _wait: oneshot::Sender<()>,
}

/// All opens that are kept.
pub(crate) struct Kept {
    table: Mutex<Table>,
    rooms: Rooms,
    state: Weak<State>,
}

#[derive(Default)]
struct Table {
    /// By the persistent half of their ids.
    stays: HashMap<u64, Stay>,
    /// Those of the second form: by client, its name for them, id.
    named: BTreeSet<(u128, Guid, u64)>,
    last_stay: u64,
    /// The server ends: nothing comes in any more.
    closed: bool,
}

impl Table {
    /// Keeps an open. Answers the number of its stay, and what tells of the end of that.
    fn insert(&mut self, id: u64, open: KeptOpen, room: Option<Room>) -> (u64, oneshot::Receiver<()>) {
        self.last_stay += 1;
        let (wait, over) = oneshot::channel();
        self.named.extend(open.name(id));
        self.stays.insert(id, Stay { open, number: self.last_stay, _room: room, _wait: wait });
        (self.last_stay, over)
    }

    fn remove(&mut self, id: u64) -> Option<KeptOpen> {
        let Stay { open, .. } = self.stays.remove(&id)?;
        if let Some(name) = open.name(id) {
            self.named.remove(&name);
        }
        Some(open)
    }

    fn there(&self, id: u64) -> Result<&KeptOpen, NtStatus> {
        let kept = self.stays.get(&id).map(|stay| &stay.open).filter(|kept| !kept.file.vfs.is_closed());
        kept.ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)
    }
}

impl KeptOpen {
    fn name(&self, id: u64) -> Option<(u128, Guid, u64)> {
        Some((self.durability.client, self.durability.create_guid?, id))
    }

    /// Whoever wants the file, it is kept: what it cached goes, its locks and share mode stand.
    fn stays(&self) -> bool {
        self.durability.persistent || self.durability.resilient
    }

    /// What is cached by it has no way to its client: the answer that would have told of it was lost.
    fn is_untold(&self, caching: Caching) -> bool {
        let caches = self.file.lease().is_some() || !caching.is_empty();
        caches && self.file.way.lock().is_none()
    }
}

/// Whether the client may keep the handle.
pub(crate) fn may_be_durable(caching: Caching) -> bool {
    caching.contains(Caching::HANDLE)
}

impl Kept {
    pub(crate) fn new(state: Weak<State>) -> Arc<Kept> {
        Arc::new(Kept { table: Mutex::default(), rooms: Rooms::default(), state })
    }

    /// Takes what is durable of a session that has ended; gives that back, and then the rest, which is to be closed.
    pub(crate) fn keep(
        &self,
        opens: Vec<Arc<Open>>,
        (user, owner): (&Arc<str>, &Sid),
        trees: &[Arc<Tree>],
    ) -> (Vec<Arc<Open>>, Vec<Arc<Open>>) {
        let is_kept = |open: &Arc<Open>| {
            let tree = trees.iter().find(|tree| tree.id == open.tree_id);
            let share = tree.and_then(|tree| tree.share());
            share.is_some_and(|share| self.keep_one(open, (user, owner), &share.name))
        };
        opens.into_iter().partition(is_kept)
    }

    fn keep_one(&self, open: &Arc<Open>, (user, owner): (&Arc<str>, &Sid), share: &str) -> bool {
        let Kind::File(file) = &open.kind else { return false };
        let Some(durability) = *file.durability.lock() else { return false };
        let table = self.table.lock();
        // Looked at under the mutex that a break takes (`purge`): one that comes later finds it here.
        let granted = file.vfs.granted();
        let may_be = may_be_durable(granted.caching) && !granted.breaking;
        // Locks need the right to keep writes back: else somebody may have to see them (MS-SMB2 3.3.7.1).
        let locks = file.vfs.holds_locks() && !granted.caching.contains(Caching::WRITE);
        let kept = KeptOpen {
            file: Arc::clone(file),
            durability,
            granted: open.granted,
            user: Arc::clone(user),
            owner: owner.clone(),
            share: share.to_owned(),
            former: Former::default(),
        };
        let stays = kept.stays() || (may_be && !locks);
        let lost = !durability.persistent && kept.is_untold(granted.caching);
        let is_late = table.closed && !durability.persistent;
        if !stays || lost || is_late || file.vfs.is_closed() {
            return false;
        }
        // One that is persistent has had room since it was promised to be.
        let room = if durability.persistent { None } else { self.rooms.take(user) };
        if room.is_none() && !durability.persistent {
            return false;
        }
        let former = open.tenure.end();
        self.enter(table, open.id.persistent, KeptOpen { former, ..kept }, room);
        true
    }

    /// Room for an open that is to be persistent; `None`: its user has as many as he may.
    pub(crate) fn take_room(&self, user: &str) -> Option<Room> {
        self.rooms.take(user)
    }

    /// Keeps an open that came back after a start.
    pub(crate) fn put(&self, id: u64, kept: KeptOpen) {
        *kept.file.room.lock() = self.rooms.take_anyhow(&kept.user);
        self.enter(self.table.lock(), id, kept, None);
    }

    /// Where the server ends a persistent one is left to the next start.
    fn enter(&self, mut table: MutexGuard<'_, Table>, id: u64, kept: KeptOpen, room: Option<Room>) {
        if table.closed {
            drop(table);
            open::spare_name(&kept.file);
            tokio::spawn(async move { open::close_file(&kept.file).await });
            return;
        }
        let time = kept.durability.timeout;
        let (stay, over) = table.insert(id, kept, room);
        drop(table);
        self.end_in_time(id, stay, over, time);
    }

    fn end_in_time(&self, id: u64, stay: u64, over: oneshot::Receiver<()>, time: Duration) {
        let state = self.state.clone();
        tokio::spawn(async move {
            if timeout(time, over).await.is_ok() {
                return;
            }
            let Some(state) = state.upgrade() else { return };
            if let Some(kept) = state.kept.take_stay(id, stay) {
                open::end_file(&state, id, &kept.file).await;
            }
        });
    }

    fn take_stay(&self, id: u64, number: u64) -> Option<KeptOpen> {
        let mut table = self.table.lock();
        table.stays.get(&id).filter(|stay| stay.number == number)?;
        table.remove(id)
    }

    /// An open that a client wants back, if `check` agrees, and what was begun through it before; it stays where it is.
    ///
    /// # Errors
    /// As with [`Kept::take`].
    pub(crate) fn find(
        &self,
        id: u64,
        check: impl FnOnce(&KeptOpen) -> Result<(), NtStatus>,
    ) -> Result<(Arc<FileOpen>, Former), NtStatus> {
        let table = self.table.lock();
        let kept = table.there(id)?;
        check(kept)?;
        Ok((Arc::clone(&kept.file), kept.former.clone()))
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
        let mut table = self.table.lock();
        let entered = enter(table.there(id)?)?;
        table.remove(id);
        Ok(entered)
    }

    /// Takes out what is to end for good; false when it is not kept.
    pub(crate) fn take_out(&self, id: u64) -> bool {
        self.table.lock().remove(id).is_some()
    }

    /// Ends what is kept and meant: somebody else wants it. True when something of it is resilient: that stays, and
    /// what it cached is gone.
    pub(crate) fn purge(&self, is_meant: impl Fn(&Arc<FileOpen>) -> bool) -> bool {
        let (mut ended, mut stays) = (Vec::new(), false);
        let mut table = self.table.lock();
        for (id, Stay { open, .. }) in table.stays.iter().filter(|(_, stay)| is_meant(&stay.open.file)) {
            match open.stays() {
                true => stays |= !open.durability.persistent,
                false => ended.push(*id),
            }
        }
        let ended: Vec<_> = ended.into_iter().filter_map(|id| Some((id, table.remove(id)?.file))).collect();
        drop(table);
        let state = self.state.upgrade().filter(|_| !ended.is_empty());
        if let Some(state) = state {
            tokio::spawn(async move {
                for (id, file) in ended {
                    open::end_file(&state, id, &file).await;
                }
            });
        }
        stays
    }

    /// Whether the one of this id is kept.
    pub(crate) fn is_there(&self, id: u64) -> bool {
        self.table.lock().there(id).is_ok()
    }

    /// Whether such an open is kept.
    pub(crate) fn has(&self, is_meant: impl Fn(&Arc<FileOpen>) -> bool) -> bool {
        self.table.lock().stays.values().any(|stay| is_meant(&stay.open.file))
    }

    /// Whether an open that was made with this name by this client is kept.
    pub(crate) fn has_named(&self, client: u128, create_guid: Guid) -> bool {
        self.table.lock().named.range(all_of(client, create_guid)).next().is_some()
    }

    /// The one of that name, if it is persistent: the persistent half of its id.
    pub(crate) fn persistent_named(&self, client: u128, create_guid: Guid) -> Option<u64> {
        let table = self.table.lock();
        let mut ids = table.named.range(all_of(client, create_guid)).map(|(.., id)| *id);
        ids.find(|id| table.stays.get(id).is_some_and(|stay| stay.open.durability.persistent))
    }

    pub(crate) fn len(&self) -> usize {
        self.table.lock().stays.len()
    }

    /// Closes all, many at a time: the server ends. What is persistent leaves its name in peace, and its record: that is
    /// settled at once, as nobody may wait for the rest.
    pub(crate) fn close_all(&self) -> impl Future<Output = ()> + use<> {
        let all = std::mem::replace(&mut *self.table.lock(), Table { closed: true, ..Table::default() });
        let opens: Vec<KeptOpen> = all.stays.into_values().map(|stay| stay.open).collect();
        opens.iter().filter(|open| open.durability.persistent).for_each(|open| open::spare_name(&open.file));
        async move {
            let close = async |open: KeptOpen| open::close_file(&open.file).await;
            futures_util::stream::iter(opens).for_each_concurrent(limits::CLOSES_AT_ONCE, close).await;
        }
    }
}

/// Opens of that name, whatever their ids.
fn all_of(client: u128, create_guid: Guid) -> RangeInclusive<(u128, Guid, u64)> {
    (client, create_guid, 0)..=(client, create_guid, u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Share;
    use crate::order::ChannelOrder;
    use crate::session::Target;
    use crate::tenure::Tenure;
    use smb_wire::FileId;
    use smb_wire::create::CreateAction;
    use std::sync::atomic::AtomicBool;
    use testkit::ease;
    use vfs::{Access, Disposition, OpenRequest, Owner, Vfs, VfsConfig};
    use volume::{Cx, Priority, VPath, Volume};

    const ALICES: u128 = 1;
    const BOBS: u128 = 2;

    /// Persistent opens of one file, with ids from `first` on.
    struct Opens {
        vfs: Arc<vfs::Open>,
        tree: Arc<Tree>,
    }

    impl Opens {
        async fn new() -> Opens {
            Opens::of(Vfs::new(testkit::MemVolume::new(), VfsConfig::default()), |_| {}).await
        }

        async fn of(vfs: Vfs, change: impl FnOnce(&mut OpenRequest)) -> Opens {
            let path = VPath::parse("file").unwrap();
            let mut request = OpenRequest {
                disposition: Disposition::OpenIf,
                ..OpenRequest::new(path, Access::READ_DATA, Owner(0))
            };
            change(&mut request);
            let open = vfs.open(&Cx::system(Priority::Interactive), request).await.unwrap().open;
            let target = Target::Disk(Arc::new(Share::new("share", vfs)));
            let tree = Arc::new(Tree { id: 1, target, maximal_access: AccessMask::empty() });
            Opens { vfs: open, tree }
        }

        fn one(&self, id: u64, client: u128, create_guid: Guid) -> Arc<Open> {
            let file = FileOpen::new(self.vfs.clone(), 0, CreateAction::Opened, None, Arc::default());
            let timeout = limits::DURABLE_TIMEOUT_MAX;
            let create_guid = Some(create_guid);
            *file.durability.lock() =
                Some(Durability { timeout, create_guid, client, persistent: true, resilient: false });
            Arc::new(Open {
                id: FileId { persistent: id, volatile: id },
                tree_id: self.tree.id,
                granted: AccessMask::empty(),
                kind: Kind::File(Arc::new(file)),
                order: Mutex::new(ChannelOrder::new(0)),
                tenure: Tenure::default(),
                unused: AtomicBool::new(false),
            })
        }

        /// How many of these are kept.
        fn keep(&self, kept: &Kept, user: &str, opens: Vec<Arc<Open>>) -> usize {
            kept.keep(opens, (&user.into(), &Sid::everyone()), std::slice::from_ref(&self.tree)).0.len()
        }
    }

    /// A resilient or persistent open of "file", which goes with it.
    async fn deleting(vfs: &Vfs, persistent: bool) -> (Opens, Arc<Open>) {
        let opens = Opens::of(vfs.clone(), |request| {
            (request.access, request.delete_on_close) = (Access::DELETE, true);
        })
        .await;
        let one = opens.one(5, ALICES, [1; 16]);
        let mut durability = one.file().unwrap().durability.lock();
        *durability = durability.take().map(|was| Durability { persistent, resilient: true, ..was });
        drop(durability);
        (opens, one)
    }

    /// Waits until nothing is open and "file" has stayed or gone.
    async fn ends(vfs: &Vfs, volume: &dyn Volume, stays: bool) {
        let path = VPath::parse("file").unwrap();
        ease::within(Duration::from_secs(10), "the end of the open", async {
            while vfs.opens().opens > 0 || volume.stat(&ease::cx(), &path).await.is_ok() != stays {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_stop_that_is_cut_off_leaves_names_of_persistent_opens_and_no_others() {
        let mem = testkit::MemVolume::new();
        for (persistent, stays) in [(true, true), (false, false)] {
            let vfs = Vfs::new(mem.clone(), VfsConfig::default());
            let (opens, one) = deleting(&vfs, persistent).await;
            let kept = Kept::new(Weak::new());
            assert_eq!(opens.keep(&kept, "alice", vec![one]), 1);
            drop(opens);
            drop(kept.close_all());
            ends(&vfs, &*mem, stays).await;
        }
    }

    /// A connection that does not end in time may end when all that is kept is closed.
    #[tokio::test]
    async fn what_comes_after_the_end_leaves_its_name_where_it_is_persistent_and_is_closed() {
        let mem = testkit::MemVolume::new();
        for persistent in [true, false] {
            let vfs = Vfs::new(mem.clone(), VfsConfig::default());
            let (opens, one) = deleting(&vfs, persistent).await;
            let kept = Kept::new(Weak::new());
            drop(kept.close_all());
            assert_eq!(opens.keep(&kept, "alice", vec![one]), usize::from(persistent));
            assert_eq!(kept.len(), 0);
            drop(opens);
            ends(&vfs, &*mem, persistent).await;
        }
    }

    #[tokio::test]
    async fn what_is_persistent_is_kept_however_many_there_are() {
        let (opens, kept) = (Opens::new().await, Kept::new(Weak::new()));
        let most = limits::KEPT_OPENS_PER_USER_MAX;
        let resilient = |id| {
            let one = opens.one(id, ALICES, [1; 16]);
            let mut durability = one.file().unwrap().durability.lock();
            *durability = durability.map(|was| Durability { persistent: false, resilient: true, ..was });
            drop(durability);
            one
        };
        let many = (0..most as u64 + 2).map(resilient).collect();
        assert_eq!(opens.keep(&kept, "alice", many), most);
        assert!(kept.take_room("alice").is_none(), "nothing more is promised");
        assert_eq!(opens.keep(&kept, "bob", vec![opens.one(u64::MAX, BOBS, [2; 16])]), 1);
        assert_eq!(opens.keep(&kept, "Alice", vec![resilient(u64::MAX - 1)]), 0);
        assert_eq!(opens.keep(&kept, "Alice", vec![opens.one(u64::MAX - 2, ALICES, [3; 16])]), 1);
        assert!(kept.take_out(0));
        assert_eq!(opens.keep(&kept, "Alice", vec![resilient(u64::MAX - 1)]), 1);
    }

    #[tokio::test]
    async fn an_open_is_found_by_its_name_as_long_as_it_is_kept() {
        let (opens, kept) = (Opens::new().await, Kept::new(Weak::new()));
        let (name, other) = ([1; 16], [2; 16]);
        let all = vec![opens.one(5, ALICES, name), opens.one(6, ALICES, name), opens.one(7, ALICES, other)];
        assert_eq!(opens.keep(&kept, "alice", all), 3);
        for (gone, is_there) in [(6, true), (7, true), (5, false)] {
            assert!(kept.take_out(gone));
            assert_eq!(kept.has_named(ALICES, name), is_there);
            assert_eq!(kept.persistent_named(ALICES, name), is_there.then_some(5));
        }
        assert!(!kept.has_named(ALICES, other) && !kept.has_named(BOBS, name));
        let table = kept.table.lock();
        assert!(table.named.is_empty());
    }
}

//! An open as SMB sees it: an id, the rights granted, and a file of `vfs` or a pipe behind it.

use crate::breaks::Way;
use crate::change_times::ChangeTimes;
use crate::kept::Durability;
use crate::kept::room::Room;
use crate::leases::{self, Lease};
use crate::limits;
use crate::lock_replays::LockReplays;
use crate::order::ChannelOrder;
use crate::persistent;
use crate::pipe::Pipe;
use crate::request::Request;
use crate::server::State;
use crate::tenure::{Former, Tenure};
use futures_util::StreamExt;
use smb_core::wildcard::Pattern;
use smb_wire::create::{CreateAction, CreateOptions, LeaseKey};
use smb_wire::{AccessMask, FileId, NtStatus};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Mutex;
use vfs::Carry;
use volume::{Attr, Cx, Priority, Time};

/// Rights that change nothing.
const READS: AccessMask = AccessMask::READ_DATA
    .union(AccessMask::EXECUTE)
    .union(AccessMask::READ_EA)
    .union(AccessMask::READ_ATTRIBUTES)
    .union(AccessMask::READ_CONTROL)
    // Of a system list; who sets one is asked for the present besides.
    .union(AccessMask::ACCESS_SYSTEM_SECURITY);

pub(crate) struct Open {
    pub(crate) id: FileId,
    pub(crate) tree_id: u32,
    pub(crate) granted: AccessMask,
    pub(crate) kind: Kind,
    pub(crate) order: parking_lot::Mutex<ChannelOrder>,
    pub(crate) tenure: Tenure,
    /// No request has named it yet, other than as the one of its chain: a CREATE that is sent again means this one.
    pub(crate) unused: AtomicBool,
}

pub(crate) enum Kind {
    File(Arc<FileOpen>),
    Pipe(Pipe),
    /// The quotas of the volume, and where a walk through them is.
    Quota(crate::commands::quota::Place),
}

/// A file or directory. What of it is here outlives the session where the open does (`kept`).
pub(crate) struct FileOpen {
    pub(crate) vfs: Arc<vfs::Open>,
    /// CreateOptions that FileModeInformation reports, and FILE_WRITE_THROUGH.
    mode: AtomicU32,
    /// What became of the name when it was opened; told again when the CREATE is replayed.
    pub(crate) action: CreateAction,
    /// Opened with the POSIX extensions.
    pub(crate) posix: bool,
    /// The lease that it shares.
    pub(crate) lease: Option<SharedLease>,
    /// It lies in a snapshot, and is only read.
    pub(crate) in_snapshot: bool,
    /// How its client is told of breaks.
    pub(crate) way: parking_lot::Mutex<Option<Arc<Way>>>,
    /// Whether and how long it outlives its client's connections.
    pub(crate) durability: parking_lot::Mutex<Option<Durability>>,
    /// Where it is persistent: it is kept whatever else is.
    pub(crate) room: parking_lot::Mutex<Option<Room>>,
    /// CurrentByteOffset of FilePositionInformation: behind the last byte read, or what the client has set.
    pub(crate) position: AtomicU64,
    /// How many extended attributes a walk through them has told.
    pub(crate) next_ea: AtomicUsize,
    /// Room that the first CHANGE_NOTIFY gave, bytes.
    pub(crate) notify_room: OnceLock<u32>,
    /// The walk of QUERY_DIRECTORY.
    pub(crate) walk: Mutex<Option<Walk>>,
    /// Room that the client asked for through this open, bytes; shown, though the origin may not keep it
    /// (MS-FSA 2.1.5.15.1).
    pub(crate) allocation: AtomicU64,
    /// Change times that clients have set.
    change_times: Arc<ChangeTimes>,
    /// The one that was set through this open: nothing that it does moves it (MS-FSA 2.1.4.17, UserSetChangeTime).
    change_time: parking_lot::Mutex<Option<Time>>,
    pub(crate) lock_replays: LockReplays,
}

/// A lease, as its client speaks of it.
pub(crate) struct SharedLease {
    pub(crate) part: leases::Part,
    /// Key of the lease on the directory, where the client named one.
    pub(crate) parent: Option<LeaseKey>,
}

impl FileOpen {
    pub(crate) fn new(
        vfs: Arc<vfs::Open>,
        mode: u32,
        action: CreateAction,
        lease: Option<SharedLease>,
        change_times: Arc<ChangeTimes>,
    ) -> FileOpen {
        FileOpen {
            vfs,
            mode: AtomicU32::new(mode),
            action,
            posix: false,
            lease,
            in_snapshot: false,
            way: parking_lot::Mutex::default(),
            durability: parking_lot::Mutex::default(),
            room: parking_lot::Mutex::default(),
            position: AtomicU64::new(0),
            next_ea: AtomicUsize::new(0),
            notify_room: OnceLock::new(),
            walk: Mutex::default(),
            allocation: AtomicU64::new(0),
            change_times,
            change_time: parking_lot::Mutex::default(),
            lock_replays: LockReplays::default(),
        }
    }

    /// Whether it is written down, and changes of it must be.
    pub(crate) fn is_persistent(&self) -> bool {
        self.durability.lock().is_some_and(|durability| durability.persistent)
    }

    /// The lease that it shares.
    pub(crate) fn lease(&self) -> Option<&Arc<Lease>> {
        self.lease.as_ref().map(|lease| &lease.part.lease)
    }

    /// The attributes as this open's client is to see them.
    pub(crate) async fn attr(&self, cx: &Cx) -> vfs::Result<Attr> {
        self.vfs.attr(cx).await.map(|attr| self.show(attr))
    }

    pub(crate) fn mode(&self) -> CreateOptions {
        CreateOptions::from_bits_retain(self.mode.load(Ordering::Relaxed))
    }

    pub(crate) fn set_mode(&self, mode: CreateOptions) {
        self.mode.store(mode.bits(), Ordering::Relaxed);
    }

    /// Sets the change time that is shown.
    pub(crate) fn set_change_time(&self, attr: &Attr, time: Time) {
        *self.change_time.lock() = Some(time);
        self.change_times.set(attr, time);
    }

    /// The file is now `attr` by what was done through this open.
    pub(crate) fn keep_change_time(&self, attr: &Attr) {
        if let Some(time) = *self.change_time.lock() {
            self.change_times.set(attr, time);
        }
    }

    /// Returns when nothing that was begun through it in a former session is under way any more.
    pub(crate) async fn landed(&self, former: &Former) {
        former.done().await;
        // What they have left on its way.
        self.vfs.landed().await;
    }

    /// Whether nothing is.
    pub(crate) fn has_landed(&self, former: &Former) -> bool {
        former.is_done() && self.vfs.has_landed()
    }

    pub(crate) fn has_change_time(&self) -> bool {
        self.change_time.lock().is_some()
    }

    pub(crate) fn show(&self, mut attr: Attr) -> Attr {
        attr.mtime = self.vfs.write_time().unwrap_or(attr.mtime);
        attr.allocated = attr.allocated.max(self.allocation.load(Ordering::Relaxed));
        self.change_times.show(attr)
    }
}

/// A walk through a directory, from one QUERY_DIRECTORY to the next.
pub(crate) struct Walk {
    pub(crate) cursor: vfs::DirCursor,
    pub(crate) pattern: Pattern,
    /// Whether anything was found yet: decides between NO_SUCH_FILE and NO_MORE_FILES.
    pub(crate) found: bool,
}

impl Walk {
    pub(crate) fn new(cursor: vfs::DirCursor, pattern: &str) -> Walk {
        let mut walk = Walk { cursor, pattern: Pattern::new(""), found: false };
        walk.look_for(pattern);
        walk
    }

    /// From the beginning again. A name without wildcards is one name: the volume is asked for that.
    pub(crate) fn look_for(&mut self, pattern: &str) {
        self.pattern = Pattern::new(pattern);
        self.cursor.only(Some(pattern).filter(|_| self.pattern.is_literal()));
        self.found = false;
    }

    /// From the beginning again, with the same pattern.
    pub(crate) fn restart(&mut self) {
        self.cursor.restart();
        self.found = false;
    }
}

impl Open {
    /// One that a request makes.
    pub(crate) fn new(request: &Request, tree_id: u32, id: FileId, granted: AccessMask, kind: Kind) -> Open {
        let order = parking_lot::Mutex::new(ChannelOrder::new(request.header.channel_sequence()));
        let (tenure, unused) = (Tenure::default(), AtomicBool::new(true));
        Open { id, tree_id, granted, kind, order, tenure, unused }
    }

    /// One that no request has made.
    #[cfg(test)]
    pub(crate) fn of_nothing(id: FileId, tree_id: u32) -> Open {
        let order = parking_lot::Mutex::new(ChannelOrder::new(0));
        let unused = AtomicBool::new(false);
        Open {
            id,
            tree_id,
            granted: AccessMask::empty(),
            kind: Kind::Quota(Default::default()),
            order,
            tenure: Tenure::default(),
            unused,
        }
    }

    /// The session that it was in is over: returns when nothing that was begun there is under way any more.
    pub(crate) async fn landed(&self) {
        if let Kind::File(file) = &self.kind {
            file.landed(&self.tenure.former()).await;
        }
    }

    /// The file behind it; a pipe is none.
    pub(crate) fn file(&self) -> Result<&Arc<FileOpen>, NtStatus> {
        match &self.kind {
            Kind::File(file) => Ok(file),
            Kind::Pipe(_) | Kind::Quota(_) => Err(NtStatus::INVALID_DEVICE_REQUEST),
        }
    }

    /// Refuses what changes a file of the past.
    pub(crate) fn needs_present(&self) -> Result<(), NtStatus> {
        match &self.kind {
            Kind::File(file) if file.in_snapshot => Err(NtStatus::MEDIA_WRITE_PROTECTED),
            Kind::File(_) | Kind::Pipe(_) | Kind::Quota(_) => Ok(()),
        }
    }

    /// Refuses unless one of `rights` was granted.
    pub(crate) fn needs_any(&self, rights: AccessMask) -> Result<(), NtStatus> {
        if !rights.intersects(READS) {
            self.needs_present()?;
        }
        if self.granted.intersects(rights) { Ok(()) } else { Err(NtStatus::ACCESS_DENIED) }
    }

    /// Refuses unless all of `rights` were granted.
    pub(crate) fn needs_all(&self, rights: AccessMask) -> Result<(), NtStatus> {
        if !READS.contains(rights) {
            self.needs_present()?;
        }
        if self.granted.contains(rights) { Ok(()) } else { Err(NtStatus::ACCESS_DENIED) }
    }
}

/// Closes one, with this persistent half of its id, for its client, and forgets what is written down of it: both, though
/// the client may not wait so long.
pub(crate) fn close(
    state: &Arc<State>,
    id: u64,
    file: &Arc<FileOpen>,
    cx: Cx,
) -> Carry<vfs::Result<Option<Attr>>> {
    state.returns.left(id);
    let (state, file) = (Arc::clone(state), Arc::clone(file));
    Carry::new(async move {
        let closed = file.vfs.close(&cx).await;
        persistent::closed(&state, id, &file).await;
        closed
    })
}

/// Closes what nobody can name any more, many at a time: each may cost a round trip, and the client may be back
/// before. To the end, whoever waits. Errors have no reader here; they go to the log.
pub(crate) fn close_all(state: &Arc<State>, opens: Vec<Arc<Open>>) -> Carry<()> {
    let state = Arc::clone(state);
    Carry::new(async move {
        let close = async |open: Arc<Open>| match &open.kind {
            Kind::File(file) => end_file(&state, open.id.persistent, file).await,
            Kind::Pipe(pipe) => pipe.end(),
            Kind::Quota(_) => {}
        };
        futures_util::stream::iter(opens).for_each_concurrent(limits::CLOSES_AT_ONCE, close).await;
    })
}

/// The same for one, with the persistent half of its id.
pub(crate) fn end_file(state: &Arc<State>, id: u64, file: &Arc<FileOpen>) -> Carry<()> {
    state.returns.left(id);
    let (state, file) = (Arc::clone(state), Arc::clone(file));
    Carry::new(async move {
        close_file(&file).await;
        persistent::left(&state, id, &file).await;
    })
}

pub(crate) async fn close_file(file: &FileOpen) {
    match file.vfs.close(&Cx::system(Priority::Interactive)).await {
        Ok(_) | Err(vfs::Error::Closed) => {}
        Err(error) => tracing::warn!(open = ?file.vfs.id(), %error, "closing after the client left"),
    }
}

/// An open ends that is to come back after the next start.
pub(crate) fn spare_name(file: &FileOpen) {
    match file.vfs.spare_name() {
        Ok(()) | Err(vfs::Error::Closed) => {}
        Err(error) => tracing::warn!(open = ?file.vfs.id(), %error, "sparing the name of a persistent open"),
    }
}

//! The volume as front ends see it, and how it is configured.

use crate::by_name::{self, Short};
use crate::case::Case;
use crate::contend::Breaking;
use crate::core::Core;
use crate::resolve::Lookup;
use crate::{
    Access, AckRefused, Caching, Carry, DeleteHow, Error, Former, LeaseId, NewNode, Open, OpenId,
    OpenRequest, Opened, Owner, RenameHow, Result, Share, create, nodes, restore, streams, watch,
};
use bytes::Bytes;
use std::sync::Arc;
use volume::{
    Attr, Caps, Cx, FileId, Freshness, Maker, Named, NamedEntry, QuotaChange, QuotaRules, QuotasOf, Space,
    UserQuota, VPath, Volume,
};

/// Most symbolic links that are followed for one path.
pub const SYMLINKS_MAX: usize = 40;

/// What one volume may hold at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Opens of the volume, over all front ends.
    pub opens: usize,
    /// Those of one account ([`OpenRequest::account`]): others always find room.
    pub opens_per_account: usize,
    /// Those of one account of one file: each further open of it is judged beside them.
    pub opens_of_file_per_account: usize,
    /// Byte-range locks on all files together, held and waiting.
    pub locks: usize,
    /// Those of one account.
    pub locks_per_account: usize,
    /// Byte-range locks of one file, held and waiting together.
    pub locks_per_file: usize,
    /// Events kept for one watcher between two requests.
    pub notify_events: usize,
    /// Room for what is kept for all watchers, bytes.
    pub notify_bytes: usize,
    /// For those of one account.
    pub notify_bytes_per_account: usize,
    /// Entries of directories kept for listings that are under way, between two answers.
    pub listed_entries: usize,
    /// For those of one account.
    pub listed_entries_per_account: usize,
    /// Names in all folded directory indexes together.
    pub index_names: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            opens: 262_144,
            opens_per_account: 131_072,
            opens_of_file_per_account: 16_384,
            locks: 1 << 20,
            locks_per_account: 1 << 17,
            locks_per_file: 16_384,
            notify_events: 4_096,
            notify_bytes: 128 << 20,
            notify_bytes_per_account: 16 << 20,
            listed_entries: 1 << 20,
            listed_entries_per_account: 1 << 17,
            index_names: 500_000,
        }
    }
}

/// How a volume is served.
#[derive(Clone, Debug, Default)]
pub struct VfsConfig {
    pub limits: Limits,
    /// Nothing may be changed through this `Vfs`, whatever the volume can do.
    pub read_only: bool,
    /// How many entries of directories below a listing asks for along with its own ([`volume::ListHow::ahead`]).
    pub list_ahead: u32,
}

/// One open, for `status`.
#[derive(Clone, Debug)]
pub struct OpenInfo {
    pub id: OpenId,
    pub owner: Owner,
    pub path: VPath,
    pub access: Access,
    pub share: Share,
    pub caching: Caching,
    pub delete_pending: bool,
}

/// What is open, for `status`.
#[derive(Clone, Debug, Default)]
pub struct OpensSummary {
    pub opens: usize,
    /// Different files and directories among them.
    pub files: usize,
    /// Byte-range locks held.
    pub locks: usize,
    /// Directories watched.
    pub watchers: usize,
}

/// What [`Vfs::try_open`] gave.
#[derive(Debug)]
pub enum Tried {
    Opened(Opened),
    Breaking(Breaking),
}

/// One volume, served. Cheap to clone; all clones are the same registry of opens.
#[derive(Clone)]
pub struct Vfs(Arc<Core>);

impl Vfs {
    /// Serves `volume`. Must be called inside a tokio runtime: listens to the volume's notices where it has
    /// such.
    pub fn new(volume: Arc<dyn Volume>, config: VfsConfig) -> Vfs {
        let core = Arc::new(Core::new(volume, config));
        watch::start(&core);
        Vfs(core)
    }

    /// A fresh account for opens.
    pub fn new_owner(&self) -> Owner {
        Owner(self.0.new_id())
    }

    /// Opens, makes or empties a file or directory.
    ///
    /// # Errors
    /// `NotFound`, `PathNotFound`, `Exists`, `IsADirectory`, `NotADirectory`, `SharingViolation`,
    /// `DeletePending`, `AccessDenied` (read-only file, attributes that do not match when emptying),
    /// `CannotDelete`, `LinkRefused`, `LimitReached`, `ReadOnly`, and what the volume answers.
    pub async fn open(&self, cx: &Cx, request: OpenRequest) -> Result<Opened> {
        loop {
            match self.try_open(cx, &request).await? {
                Tried::Opened(opened) => return Ok(opened),
                Tried::Breaking(breaking) => breaking.settled(cx).await?,
            }
        }
    }

    /// The same, without waiting for clients that cache what stands against it: they are told, and the
    /// caller waits, for [`Breaking::settled`], then tries again.
    pub async fn try_open(&self, cx: &Cx, request: &OpenRequest) -> Result<Tried> {
        match &request.stream {
            None => create::open(&self.0, cx, request).await,
            Some(name) => streams::open(&self.0, cx, request, name).await,
        }
    }

    /// Opens again what was open before the process ended.
    ///
    /// # Errors
    /// `Stale` when it is not that file any more, `SharingViolation` when somebody has it open so that this cannot be,
    /// `LockNotGranted`, and what the volume answers.
    pub async fn restore(&self, cx: &Cx, former: &Former) -> Result<Arc<Open>> {
        restore::restore(&self.0, cx, former).await
    }

    /// The volume that an open is of.
    pub fn of(open: &Open) -> Vfs {
        Vfs(open.core.clone())
    }

    /// Whether the open is one of this volume.
    pub fn has(&self, open: &Open) -> bool {
        Arc::ptr_eq(&self.0, &open.core)
    }

    /// Whether this name of an open file goes away with its last open ([`Open::delete_pending`]).
    pub fn is_going(&self, file: FileId, name: &VPath) -> bool {
        self.0.registry.lock().is_doomed(file, name)
    }

    /// Where what stands at `path`, in whatever spelling stands for it here, is after `from` has become `to`; `None` when it
    /// is not within `from`.
    pub fn rebase(&self, path: &VPath, from: &VPath, to: &VPath) -> Option<VPath> {
        Case::of(self.0.caps.case_sensitive).rebase(path, from, to)
    }

    /// Looks at a name without opening it, following links, ignoring case.
    pub async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        let how = Lookup { case_sensitive: false, follow: true, stop: false, rights: None };
        Ok(self.0.resolve(cx, path, how).await?.found()?.1)
    }

    /// Looks at exactly this name, a link as itself, as POSIX callers mean it.
    pub async fn look(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        Ok(self.0.volume.stat(cx, path).await?)
    }

    /// Where the link of exactly this name leads, uninterpreted.
    pub async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        Ok(self.0.volume.read_link(cx, path).await?)
    }

    /// The whole value that what has exactly this name carries; `None` when there is none. Unlike an open's, exactly of
    /// that name too.
    pub async fn named(&self, cx: &Cx, path: &VPath, name: &Named) -> Result<Option<Bytes>> {
        Ok(self.0.volume.named(cx, path, None, name).await?)
    }

    /// All that it carries.
    pub async fn list_named(&self, cx: &Cx, path: &VPath) -> Result<Vec<NamedEntry>> {
        Ok(self.0.volume.list_named(cx, path, None).await?)
    }

    /// Makes what has no content to be opened, under exactly this name. Once begun it runs to its end, also when the
    /// future is dropped.
    ///
    /// # Errors
    /// `Exists`, `PathNotFound`, `DeletePending` in a directory that goes away, `ReadOnly`, and what the volume answers.
    pub async fn make_node(
        &self,
        cx: &Cx,
        path: &VPath,
        node: NewNode,
        maker: Option<Maker>,
    ) -> Result<Attr> {
        Carry::new(nodes::make(self.0.clone(), cx.clone(), path.clone(), node, maker)).await
    }

    /// Removes what stands under a name, as an open like this one would that is for `DELETE`, is marked by `how` and ends.
    ///
    /// # Errors
    /// Those of opening, of [`Open::set_deletion`] and of [`Open::close`].
    pub async fn remove(&self, cx: &Cx, request: OpenRequest, how: DeleteHow) -> Result<()> {
        if by_name::remove(&self.0, cx, &request, how).await? == Short::Done {
            return Ok(());
        }
        let open = self.open(cx, request).await?.open;
        match open.set_deletion(cx, true, how).await {
            Ok(()) => open.close(cx).await.map(drop),
            Err(error) => {
                ended(&open, cx).await;
                Err(error)
            }
        }
    }

    /// Gives what stands under a name another one, as an open like this one would that is for `DELETE`.
    ///
    /// # Errors
    /// Those of opening and of [`Open::rename`].
    pub async fn rename(&self, cx: &Cx, request: OpenRequest, to: &VPath, how: RenameHow) -> Result<()> {
        if by_name::rename(&self.0, cx, &request, to, how).await? == Short::Done {
            return Ok(());
        }
        let open = self.open(cx, request).await?.open;
        let renamed = open.rename(cx, to, how).await;
        ended(&open, cx).await;
        renamed.map(drop)
    }

    /// A client has given back all of a lease but `keeps`, as it was told to. Answers what it keeps.
    ///
    /// # Errors
    /// [`AckRefused`]; a lease is not lost by it.
    pub fn acknowledge_lease(&self, lease: LeaseId, keeps: Caching) -> Result<Caching, AckRefused> {
        self.0.decide(|registry, told| registry.acknowledge_lease(lease, keeps, told))
    }

    /// The client of a lease cannot be told any more: what it cached is gone, and nobody waits for it.
    pub fn give_up_lease(&self, lease: LeaseId) {
        self.0.registry.lock().give_up_lease(lease);
    }

    /// Room at the origin, as seen from the root.
    pub async fn space(&self, cx: &Cx) -> Result<Space> {
        Ok(self.0.volume.space(cx, &VPath::root()).await?)
    }

    /// What holds for the quotas of all users. `Unsupported` where the volume keeps none, as for the two below.
    pub async fn quota_rules(&self, cx: &Cx) -> Result<QuotaRules> {
        Ok(self.0.volume.quota_rules(cx).await?)
    }

    /// Quotas of users.
    pub async fn quotas(&self, cx: &Cx, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        Ok(self.0.volume.quotas(cx, of).await?)
    }

    /// Sets what holds for all, or limits of some. `ReadOnly` where nothing may be changed through this `Vfs`.
    pub async fn set_quotas(&self, cx: &Cx, change: &QuotaChange) -> Result<()> {
        if self.0.caps.read_only {
            return Err(Error::ReadOnly);
        }
        Ok(self.0.volume.set_quotas(cx, change).await?)
    }

    /// What the volume can do, `read_only` by configuration included.
    pub fn caps(&self) -> Caps {
        self.0.caps
    }

    /// The present promise on freshness of what others change at the origin; `None` where the volume does
    /// not tell of changes, or has not yet begun to.
    pub fn freshness(&self) -> Option<Freshness> {
        self.0.freshness.lock().as_ref().map(|freshness| *freshness.borrow())
    }

    /// Counts, for `status`.
    pub fn opens(&self) -> OpensSummary {
        let (opens, files, locks) = self.0.registry.lock().counts();
        OpensSummary { opens, files, locks, watchers: self.0.hub.len() }
    }

    /// Up to `most` opens, for `status`.
    pub fn list_opens(&self, most: usize) -> Vec<OpenInfo> {
        self.0.registry.lock().list(most)
    }
}

/// Ends an open that served one deed. What is to be told of that was told.
async fn ended(open: &Open, cx: &Cx) {
    if let Err(error) = open.close(cx).await {
        tracing::warn!(%error, "an open that served one operation does not end well");
    }
}

/// Whether it is the same registry of opens.
impl PartialEq for Vfs {
    fn eq(&self, other: &Vfs) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Vfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vfs").field("opens", &self.opens()).finish_non_exhaustive()
    }
}

//! The volume: each call a question, and what is known of the volume itself.

use crate::file;
use crate::follow;
use crate::inbox::Inbox;
use crate::peer::Peer;
use async_trait::async_trait;
use bytes::Bytes;
use link::{Link, LinkState, LinkStats};
use peer_wire::{Answer, Ask, IO_MAX_BYTES};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use volume::{
    Applied, Attr, Caps, Change, Cx, Error, ErrorKind, FileId, ListHow, Listing, Named, NamedEntry,
    Namespace, OpenHow, Opened, Priority, QuotaChange, QuotaRules, QuotasOf, Result, Space, Ticket,
    UserQuota, VPath, Volume, Watch, check_quota_users,
};

/// How long to wait before asking again what the volume can do, when the answer was an error.
const INFO_RETRY: Duration = Duration::from_secs(2);

/// What is said of a volume whose gateway was never reached: nothing that would have to be taken back.
const UNKNOWN_CAPS: Caps = Caps {
    namespace: Namespace::Tree,
    stable_ids: false,
    atomic_rename: false,
    random_write: false,
    hard_links: false,
    symlinks: false,
    set_times: false,
    dos_attributes: false,
    named: false,
    named_max: 0,
    case_sensitive: true,
    watch: false,
    holes: false,
    copies: false,
    clones: false,
    compression: false,
    quotas: false,
    posix: false,
    read_only: false,
    io_size: IO_MAX_BYTES,
};

/// A volume of another site.
pub struct PeerVolume {
    peer: Arc<Peer>,
    caps: Arc<watch::Sender<Option<Caps>>>,
    acquaint: JoinHandle<()>,
}

impl Drop for PeerVolume {
    fn drop(&mut self) {
        self.acquaint.abort();
    }
}

impl PeerVolume {
    /// The volume named `volume` at the link's site. `inbox` is the service of the node that the link belongs
    /// to. Asks nothing yet; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// `Io` when the system gives no random numbers; `InvalidArgument` for a name over its limit.
    pub fn new(link: Link, volume: &str, inbox: Arc<Inbox>) -> Result<Arc<PeerVolume>> {
        if volume.len() > peer_wire::VOLUME_NAME_MAX_BYTES {
            return Err(Error::new(ErrorKind::InvalidArgument, "volume", volume));
        }
        let peer = Arc::new(Peer::new(link, volume, inbox)?);
        let caps = Arc::new(watch::Sender::new(None));
        let acquaint = tokio::spawn(acquaint(peer.clone(), caps.clone()));
        Ok(Arc::new(PeerVolume { peer, caps, acquaint }))
    }

    /// What the volume can do, as soon as its gateway has said so. Before that [`Volume::caps`] promises
    /// nothing.
    ///
    /// # Errors
    /// `Offline` when the gateway was not reached by the deadline; what the gateway answers, such as `NotFound`
    /// for a volume that it does not offer to this site.
    pub async fn known(&self, cx: &Cx) -> Result<Caps> {
        if let Some(caps) = *self.caps.borrow() {
            return Ok(caps);
        }
        let caps = ask_info(&self.peer, cx).await?;
        self.caps.send_replace(Some(caps));
        Ok(caps)
    }

    /// Whether the gateway can be reached, now and from now on.
    pub fn link_state(&self) -> watch::Receiver<LinkState> {
        self.peer.link.state()
    }

    /// Counters of the link; all volumes of one site share it.
    pub fn link_stats(&self) -> LinkStats {
        self.peer.link.stats()
    }
}

async fn ask_info(peer: &Peer, cx: &Cx) -> Result<Caps> {
    match peer.ask(cx, Ask::VolumeInfo { volume: peer.volume.clone() }).await? {
        Answer::Info(caps) => {
            Ok(Caps { io_size: IO_MAX_BYTES, named_max: caps.named_max.min(IO_MAX_BYTES), ..caps })
        }
        _ => Err(peer.unexpected("volume info")),
    }
}

/// Learns what the volume can do, from each gateway process anew.
async fn acquaint(peer: Arc<Peer>, known: Arc<watch::Sender<Option<Caps>>>) {
    let mut state = peer.link.state();
    let mut session = None;
    loop {
        let new = |state: &LinkState| state.is_up() && state.session() != session;
        let Ok(up) = state.wait_for(new).await.map(|state| state.session()) else { return };
        match ask_info(&peer, &Cx::system(Priority::Interactive)).await {
            Ok(caps) => {
                session = up;
                if known.send_replace(Some(caps)).is_some_and(|before| before != caps) {
                    tracing::warn!(
                        volume = peer.name(),
                        ?caps,
                        "the gateway's volume can do other things now"
                    );
                }
            }
            Err(why) => {
                tracing::warn!(%why, "cannot learn what the volume can do; trying again");
                tokio::time::sleep(INFO_RETRY).await;
            }
        }
    }
}

#[async_trait]
impl Volume for PeerVolume {
    fn caps(&self) -> Caps {
        self.caps.borrow().unwrap_or(UNKNOWN_CAPS)
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        self.peer.ask_attr(cx, Ask::Stat { volume: self.peer.volume.clone(), path: path.clone() }).await
    }

    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        let ask = Ask::List { volume: self.peer.volume.clone(), dir: dir.clone(), how };
        match self.peer.ask(cx, ask).await? {
            Answer::Listing(listing) => listing
                .into_listing(dir)
                .map_err(|why| crate::error::from_wire("list", &self.peer.name(), why)),
            _ => Err(self.peer.unexpected("list")),
        }
    }

    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        file::open(&self.peer, cx, path, how).await
    }

    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        file::reopen(&self.peer, cx, ticket).await
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        if let Change::SetNamed { value: Some(value), .. } = change
            && value.len() > IO_MAX_BYTES as usize
        {
            return Err(Error::new(ErrorKind::NoSpace, change.name(), self.peer.name()));
        }
        let ask = Ask::Apply { volume: self.peer.volume.clone(), change: change.clone() };
        match self.peer.ask(cx, ask).await? {
            Answer::Applied(attr) => Ok(Applied { attr }),
            _ => Err(self.peer.unexpected(change.name())),
        }
    }

    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        let ask = Ask::ReadLink { volume: self.peer.volume.clone(), path: path.clone() };
        match self.peer.ask(cx, ask).await? {
            Answer::Target(target) => Ok(target),
            _ => Err(self.peer.unexpected("readlink")),
        }
    }

    async fn named(
        &self,
        cx: &Cx,
        path: &VPath,
        expect: Option<FileId>,
        name: &Named,
    ) -> Result<Option<Bytes>> {
        let (volume, path, name) = (self.peer.volume.clone(), path.clone(), name.clone());
        match self.peer.ask(cx, Ask::Named { volume, path, expect, name }).await? {
            Answer::Named(value) => Ok(value),
            _ => Err(self.peer.unexpected("named")),
        }
    }

    async fn list_named(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<Vec<NamedEntry>> {
        let (volume, path) = (self.peer.volume.clone(), path.clone());
        match self.peer.ask(cx, Ask::ListNamed { volume, path, expect }).await? {
            Answer::NamedList(entries) => Ok(entries),
            _ => Err(self.peer.unexpected("list_named")),
        }
    }

    async fn sync_dir(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<()> {
        let (volume, path) = (self.peer.volume.clone(), path.clone());
        match self.peer.ask(cx, Ask::SyncDir { volume, path, expect }).await? {
            Answer::Done => Ok(()),
            _ => Err(self.peer.unexpected("sync_dir")),
        }
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        let ask = Ask::Space { volume: self.peer.volume.clone(), path: path.clone() };
        match self.peer.ask(cx, ask).await? {
            Answer::Space(space) => Ok(space),
            _ => Err(self.peer.unexpected("space")),
        }
    }

    async fn quota_rules(&self, cx: &Cx) -> Result<QuotaRules> {
        match self.peer.ask(cx, Ask::QuotaRules { volume: self.peer.volume.clone() }).await? {
            Answer::QuotaRules(rules) => Ok(rules),
            _ => Err(self.peer.unexpected("quota_rules")),
        }
    }

    async fn quotas(&self, cx: &Cx, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        if let QuotasOf::Users(users) = of {
            check_quota_users("quotas", users.iter())?;
        }
        let ask = Ask::Quotas { volume: self.peer.volume.clone(), of: of.clone() };
        match self.peer.ask(cx, ask).await? {
            Answer::Quotas(quotas) => Ok(quotas),
            _ => Err(self.peer.unexpected("quotas")),
        }
    }

    async fn set_quotas(&self, cx: &Cx, change: &QuotaChange) -> Result<()> {
        if let QuotaChange::Users(users) = change {
            check_quota_users("set_quotas", users.iter().map(|user| &user.user))?;
        }
        let ask = Ask::SetQuotas { volume: self.peer.volume.clone(), change: change.clone() };
        match self.peer.ask(cx, ask).await? {
            Answer::Done => Ok(()),
            _ => Err(self.peer.unexpected("set_quotas")),
        }
    }

    /// While the link is down the watch begins `Offline`. When it turns out that the gateway's volume has no
    /// watch, the notices end.
    async fn watch(&self, cx: &Cx) -> Result<Watch> {
        follow::watch(&self.peer, cx).await
    }
}

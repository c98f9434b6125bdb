//! The volume: the calls of the waist, each bounded by its caller's patience.

use crate::attr;
use crate::change;
use crate::config::SftpConfig;
use crate::core::{Core, within};
use crate::error::{Outcome, Trouble};
use crate::listing;
use crate::log_on::Server;
use crate::open;
use crate::wire::{Request, StatVfs};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use volume::{
    Applied, Attr, Caps, Change, Cx, Error, ErrorKind, FileId, Kind, ListHow, Listing, Named, NamedEntry,
    Namespace, OpenHow, Opened, QuotaChange, QuotaRules, QuotasOf, Result, Space, Ticket, UserQuota, VPath,
    Volume, Watch, name_from_bytes,
};

/// A directory on an SSH server.
pub struct SftpVolume {
    core: Arc<Core>,
}

impl SftpVolume {
    /// Does nothing yet: the first call dials, inside a tokio runtime. Until then `caps` says what OpenSSH 9 can do.
    pub fn new(config: SftpConfig) -> SftpVolume {
        SftpVolume { core: Arc::new(Core::new(config)) }
    }

    /// Reaches the server now, if it is not reached, and looks whether the root is a directory.
    ///
    /// # Errors
    /// `Offline`: nobody answers there. `PermissionDenied`: the host's key is not known, or the server does not let the user
    /// in. `NotFound`, `NotADirectory`: the root is not there. The cause says what to do about it.
    pub async fn connect(&self) -> Result<Server> {
        let config = self.core.line.config();
        self.core.line.forget_failure();
        let looking = tokio::time::timeout(config.connect_timeout + Cx::DEFAULT_PATIENCE, self.reach()).await;
        let reached = looking.unwrap_or(Err(ErrorKind::TimedOut.into()));
        reached.map_err(|why| why.into_error("connect", config.label()))
    }

    /// How many connections there were so far: another number says that the connection is another one, and that what was
    /// under way at the time between may or may not have happened.
    pub fn connection(&self) -> u64 {
        self.core.line.connections()
    }

    async fn reach(&self) -> Outcome<Server> {
        // The root may be a link: it is the server's.
        let (_, looking) = self.core.begin(Request::Stat { path: self.core.path(&VPath::root())? })?;
        let attrs = looking.answer().await?.attrs()?;
        if attr::kind(attrs.mode) != Kind::Dir {
            return Err(ErrorKind::NotADirectory.into());
        }
        let server = self.core.line.server().ok_or(Trouble::Here(ErrorKind::Offline))?;
        Ok((*server).clone())
    }

    async fn link_content(&self, path: &VPath) -> Outcome<String> {
        let (_, reading) = self.core.begin(Request::ReadLink { path: self.core.path(path)? })?;
        match reading.answer().await?.names()?.as_deref() {
            Some([content]) => Ok(name_from_bytes(&content.name).into_owned()),
            Some(_) | None => Err(ErrorKind::Corrupt.into()),
        }
    }

    async fn free_space(&self, path: &VPath) -> Outcome<Space> {
        let (_, asking) = self.core.begin(Request::StatVfs { path: self.core.path(path)? })?;
        let told = StatVfs::read(asking.answer().await?.extended()?)?;
        let unit = told.unit.clamp(1, u64::from(u32::MAX));
        let bytes = |blocks: u64| blocks.saturating_mul(unit);
        let total = bytes(told.blocks);
        let free = bytes(told.free).min(total);
        Ok(Space { total, free, available: bytes(told.available).min(total), unit: unit as u32 })
    }
}

fn unsupported<T>(op: &'static str, context: impl std::fmt::Display) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, op, context))
}

#[async_trait]
impl Volume for SftpVolume {
    fn caps(&self) -> Caps {
        let server = self.core.line.server();
        // Before the first connection: as OpenSSH 9.
        let has = |name: &str| {
            server
                .as_ref()
                .is_none_or(|server| server.extensions.iter().any(|(announced, _)| announced == name))
        };
        let io_size =
            server.as_ref().map_or(crate::IO_SIZE_MAX_BYTES, |server| server.read_max.min(server.write_max));
        Caps {
            namespace: Namespace::Tree,
            stable_ids: false,
            atomic_rename: has("posix-rename@openssh.com"),
            random_write: true,
            hard_links: has("hardlink@openssh.com"),
            symlinks: true,
            set_times: true,
            dos_attributes: false,
            case_sensitive: true,
            named: false,
            named_max: 0,
            watch: false,
            holes: false,
            copies: has("copy-data"),
            clones: false,
            compression: false,
            quotas: false,
            posix: false,
            read_only: false,
            io_size,
        }
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        let look = async {
            let (_, attrs) = self.core.look(&self.core.path(path)?).await?;
            Ok(attr::told(attr::id(path), &attrs))
        };
        within(cx, "stat", path, look).await
    }

    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        match &how.cursor {
            None => within(cx, "list", dir, listing::begin(&self.core, dir)).await,
            Some(cursor) => within(cx, "list", dir, listing::go_on(&self.core, dir, cursor)).await,
        }
    }

    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        within(cx, "open", path, open::open(&self.core, path, &how)).await
    }

    async fn reopen(&self, _cx: &Cx, _ticket: &Ticket) -> Result<Opened> {
        unsupported("reopen", "a ticket")
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        let root = VPath::root();
        let path = change.paths().next().unwrap_or(&root);
        within(cx, change.name(), path, change::apply(&self.core, change)).await
    }

    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        within(cx, "readlink", path, self.link_content(path)).await
    }

    async fn named(
        &self,
        _cx: &Cx,
        path: &VPath,
        _expect: Option<FileId>,
        _name: &Named,
    ) -> Result<Option<Bytes>> {
        unsupported("named", path)
    }

    async fn list_named(&self, _cx: &Cx, path: &VPath, _expect: Option<FileId>) -> Result<Vec<NamedEntry>> {
        unsupported("list_named", path)
    }

    async fn sync_dir(&self, _cx: &Cx, path: &VPath, _expect: Option<FileId>) -> Result<()> {
        unsupported("sync_dir", path)
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        within(cx, "space", path, self.free_space(path)).await
    }

    async fn quota_rules(&self, _cx: &Cx) -> Result<QuotaRules> {
        unsupported("quota_rules", "this volume")
    }

    async fn quotas(&self, _cx: &Cx, _of: &QuotasOf) -> Result<Vec<UserQuota>> {
        unsupported("quotas", "this volume")
    }

    async fn set_quotas(&self, _cx: &Cx, _change: &QuotaChange) -> Result<()> {
        unsupported("set_quotas", "this volume")
    }

    async fn watch(&self, _cx: &Cx) -> Result<Watch> {
        unsupported("watch", "this volume")
    }
}

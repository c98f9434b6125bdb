//! The volume: the calls of the waist, each bounded by its caller's patience.

use crate::attr;
use crate::change;
use crate::config::SmbConfig;
use crate::core::Core;
use crate::error::{Outcome, Trouble};
use crate::file::within;
use crate::handle::{Door, enter};
use crate::listing;
use crate::open;
use crate::ticket;
use crate::watch;
use async_trait::async_trait;
use bytes::Bytes;
use smb_wire::AccessMask;
use smb_wire::create::CreateOptions;
use smb_wire::cursor::Fixed;
use smb_wire::fscc::file_system::{FileSystemClass, SizeInformation};
use std::sync::Arc;
use volume::{
    Applied, Attr, Caps, Change, Cx, Error, ErrorKind, FileId, ListHow, Listing, Named, NamedEntry, OpenHow,
    Opened, QuotaChange, QuotaRules, QuotasOf, Result, Space, Ticket, UserQuota, VPath, Volume, Watch,
};

/// A share of an SMB file server, or a directory of one.
pub struct SmbVolume {
    core: Arc<Core>,
}

impl SmbVolume {
    /// Dials the server, logs on and looks at the root; from then on connections come and go by themselves.
    /// Must be called inside a tokio runtime. Takes [`crate::SmbLimits::dial`] and
    /// [`crate::SmbLimits::answer`] at most.
    ///
    /// # Errors
    /// `Offline`: nobody answers there. `PermissionDenied`: user, domain or password are wrong, or the user has
    /// no right to the share. `NotFound`: no such share or directory. The cause says what to do about it.
    pub async fn connect(config: SmbConfig) -> Result<Arc<SmbVolume>> {
        let core = Box::pin(Core::connect(config)).await?;
        Ok(Arc::new(SmbVolume { core: Arc::new(core) }))
    }
}

impl SmbVolume {
    async fn free_space(&self, path: &VPath) -> Outcome<Space> {
        let wire = &self.core.wire("space", path)?;
        let told = self.core.looking(|session| async move {
            let door = Door::to(wire.clone(), AccessMask::empty(), CreateOptions::empty());
            let entered = enter(session, door, None).await?;
            let length = SizeInformation::FULL_SIZE_LEN as u32;
            let class = FileSystemClass::FULL_SIZE;
            let step = crate::session::Step::query_file_system(entered.handle.id, class, length);
            entered.handle.ask(&step).await?.info()
        });
        // FileFsFullSizeInformation (MS-FSCC 2.5.4)
        let told = told.await?;
        let fixed = Fixed::<{ SizeInformation::FULL_SIZE_LEN }>::new(&told, "FileFsFullSizeInformation")?;
        let unit = fixed.u32(24).saturating_mul(fixed.u32(28)).max(1);
        let bytes = |units: u64| units.saturating_mul(u64::from(unit));
        let total = bytes(fixed.u64(0));
        let free = bytes(fixed.u64(16)).min(total);
        Ok(Space { total, free, available: bytes(fixed.u64(8)).min(total), unit })
    }

    async fn open_again(&self, ticket: &Ticket) -> Outcome<Opened> {
        let Some(content) = ticket::read(ticket) else {
            return Err(Trouble::Told(Error::new(
                ErrorKind::InvalidArgument,
                "reopen",
                "a ticket of another kind",
            )));
        };
        let path = content.path;
        let gone = |why| self.core.stale("reopen", &path, why);
        let how = OpenHow { access: content.access, expect: Some(content.id), ..OpenHow::read() };
        let opened = match open::open(&self.core, &path, &how).await {
            Ok(opened) => opened,
            Err(why) => {
                return Err(match why.into_error("reopen", &path) {
                    error if error.kind == ErrorKind::NotFound => gone("it has lost its name"),
                    error => Trouble::Told(error),
                });
            }
        };
        match opened.attr.btime == attr::time(content.born) {
            true => Ok(opened),
            false => Err(gone("another file has its name now")),
        }
    }
}

#[async_trait]
impl Volume for SmbVolume {
    fn caps(&self) -> Caps {
        self.core.caps
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        let look = within(cx, "stat", path, self.core.look("stat", path)).await?;
        Ok(self.core.attr(&look, path))
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

    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        within(cx, "reopen", &VPath::root(), self.open_again(ticket)).await
    }

    /// Once begun, a change is carried through, also when the caller goes away.
    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        let (core, work) = (self.core.clone(), change.clone());
        let done = tokio::spawn(async move { change::apply(&core, &work).await });
        let Some(path) = change.paths().next() else {
            return Err(Error::new(ErrorKind::InvalidArgument, change.name(), "a change of nothing"));
        };
        let done = async { done.await.map_err(|why| Trouble::Broken(why.into()))? };
        within(cx, change.name(), path, done).await
    }

    async fn read_link(&self, _cx: &Cx, path: &VPath) -> Result<String> {
        Err(Error::new(ErrorKind::Unsupported, "readlink", path))
    }

    async fn named(
        &self,
        _cx: &Cx,
        path: &VPath,
        _expect: Option<FileId>,
        _name: &Named,
    ) -> Result<Option<Bytes>> {
        Err(Error::new(ErrorKind::Unsupported, "named", path))
    }

    async fn list_named(&self, _cx: &Cx, path: &VPath, _expect: Option<FileId>) -> Result<Vec<NamedEntry>> {
        Err(Error::new(ErrorKind::Unsupported, "list_named", path))
    }

    async fn sync_dir(&self, _cx: &Cx, path: &VPath, _expect: Option<FileId>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "sync_dir", path))
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        within(cx, "space", path, self.free_space(path)).await
    }

    async fn quota_rules(&self, _cx: &Cx) -> Result<QuotaRules> {
        Err(Error::new(ErrorKind::Unsupported, "quota_rules", "this volume"))
    }

    async fn quotas(&self, _cx: &Cx, _of: &QuotasOf) -> Result<Vec<UserQuota>> {
        Err(Error::new(ErrorKind::Unsupported, "quotas", "this volume"))
    }

    async fn set_quotas(&self, _cx: &Cx, _change: &QuotaChange) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "set_quotas", "this volume"))
    }

    async fn watch(&self, cx: &Cx) -> Result<Watch> {
        watch::watch(&self.core, cx).await
    }
}

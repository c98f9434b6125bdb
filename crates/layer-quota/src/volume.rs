//! The volume that callers see.

use crate::TICKET;
use crate::config::{QuotaConfig, TURNS_MAX};
use crate::core::Core;
use crate::file::QuotaFile;
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::names;
use crate::recount::{OthersAreTold, follow, keep_counted};
use async_trait::async_trait;
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use volume::{
    Access, Applied, Attr, Caps, Carry, Change, Cx, Error, ErrorKind, File, FileId, ListHow, Listing, Named,
    NamedEntry, Namespace, OpenHow, Opened, Priority, QuotaChange, QuotaRules, QuotasOf, Result, SetAttr,
    Space, Ticket, UserQuota, VPath, Volume, Watch,
};

/// A volume that keeps quotas of users. Dropping it stops its counting; open files stay usable and are kept right.
pub struct QuotaVolume {
    core: Arc<Core>,
    /// Where the limits are; held while they are changed.
    limits: Arc<Mutex<PathBuf>>,
    _tasks: JoinSet<()>,
}

impl QuotaVolume {
    /// Around `inner`, which nobody else changes by way of this process. Counting begins.
    ///
    /// Errors: `Unsupported` where `inner` has no trees or keeps no descriptors, `Io` when the limits cannot be read, a
    /// newer format among it.
    pub async fn open(inner: Arc<dyn Volume>, config: QuotaConfig) -> Result<Arc<QuotaVolume>> {
        let caps = inner.caps();
        let unsupported = |why| Err(Error::new(ErrorKind::Unsupported, "keep quotas", why));
        if caps.namespace == Namespace::Keys {
            return unsupported("the origin holds keys, and no tree of files");
        }
        if !caps.named {
            return unsupported("the origin keeps no security descriptors, so nobody owns its files");
        }
        let path = config.limits.clone();
        let limits = blocking(move || Limits::read(&path)).await?;
        let mut watch = match caps.watch {
            true => Some(inner.watch(&Cx::system(Priority::Interactive)).await?),
            false => None,
        };
        let told = Arc::new(OthersAreTold::by(watch.as_mut()));
        let core = Arc::new(Core::new(inner, Ledger::new(limits)));
        let mut tasks = JoinSet::new();
        if let Some(watch) = watch {
            tasks.spawn(follow(core.clone(), watch, told.clone()));
        }
        let limits = Arc::new(Mutex::new(config.limits.clone()));
        tasks.spawn(keep_counted(core.clone(), config, told));
        Ok(Arc::new(QuotaVolume { core, limits, _tasks: tasks }))
    }

    /// What holds for all users, and whether what is known of them is right.
    pub fn rules(&self) -> QuotaRules {
        self.core.ledger.rules()
    }

    /// Counts all anew, unless that is under way or nothing is tracked.
    pub fn recount(&self) {
        self.core.ledger.begin();
    }

    /// Returns when no count is under way.
    pub async fn counted(&self) {
        loop {
            let turned = self.core.ledger.turned.notified();
            tokio::pin!(turned);
            turned.as_mut().enable();
            if self.core.ledger.counting().is_none() {
                return;
            }
            turned.await;
        }
    }

    fn file(&self, inner: Arc<dyn File>, path: Option<&VPath>) -> QuotaFile {
        QuotaFile::new(self.core.clone(), inner, path.cloned())
    }

    /// Opens for writing: whose the file is must be known before its name goes elsewhere.
    async fn open_to_write(&self, cx: &Cx, path: &VPath, how: &OpenHow) -> Result<(Opened, QuotaFile)> {
        for turn in 1.. {
            let opened = self.core.inner.open(cx, path, how.clone()).await?;
            let file = self.file(opened.file.clone(), Some(path));
            match file.meet(cx).await {
                Ok(false) if !opened.created && turn < TURNS_MAX => continue,
                Ok(true) => {}
                Ok(false) => self.core.ledger.doubt(),
                Err(e) => {
                    tracing::debug!("whose {path} is: {e}");
                    self.core.ledger.doubt();
                }
            }
            return Ok((opened, file));
        }
        unreachable!("the last turn returns")
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(failure) => {
                Err(Error::new(ErrorKind::Io, "quotas", "the runtime shuts down").because(failure))
            }
        },
    }
}

#[async_trait]
impl Volume for QuotaVolume {
    fn caps(&self) -> Caps {
        Caps { quotas: true, ..self.core.inner.caps() }
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        self.core.inner.stat(cx, path).await
    }

    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        self.core.inner.list(cx, dir, how).await
    }

    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        if !how.access.contains(Access::WRITE) {
            let opened = self.core.inner.open(cx, path, how).await?;
            let file = self.file(opened.file, Some(path));
            return Ok(Opened { file: Arc::new(file), ..opened });
        }
        // A file is emptied under its lock, once it is known which.
        let first = how.first.filter(|_| !how.truncate);
        let emptied = how.truncate;
        let how = OpenHow { truncate: false, first, ..how };
        let (mut opened, file) = self.open_to_write(cx, path, &how).await?;
        if emptied && !opened.created {
            opened.attr = file.set_attr(cx, &SetAttr::size(0)).await?;
        }
        Ok(Opened { file: Arc::new(file), ..opened })
    }

    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        let (path, ticket) = ticket.split(TICKET);
        let opened = self.core.inner.reopen(cx, &ticket).await?;
        let file = self.file(opened.file, path.as_ref());
        // Now, while nobody has moved it yet; else a count finds out whose it is.
        if let Err(e) = file.meet(cx).await {
            tracing::debug!("whose {} is that comes back: {e}", file.id());
        }
        Ok(Opened { file: Arc::new(file), ..opened })
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        names::apply(&self.core, cx, change).await
    }

    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        self.core.inner.read_link(cx, path).await
    }

    async fn named(
        &self,
        cx: &Cx,
        path: &VPath,
        expect: Option<FileId>,
        name: &Named,
    ) -> Result<Option<Bytes>> {
        self.core.inner.named(cx, path, expect, name).await
    }

    async fn list_named(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<Vec<NamedEntry>> {
        self.core.inner.list_named(cx, path, expect).await
    }

    async fn sync_dir(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<()> {
        self.core.inner.sync_dir(cx, path, expect).await
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        self.core.inner.space(cx, path).await
    }

    async fn quota_rules(&self, _cx: &Cx) -> Result<QuotaRules> {
        Ok(self.rules())
    }

    async fn quotas(&self, _cx: &Cx, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        self.core.ledger.quotas(of)
    }

    async fn set_quotas(&self, _cx: &Cx, change: &QuotaChange) -> Result<()> {
        let (core, path, change) =
            (self.core.clone(), self.limits.clone().lock_owned().await, change.clone());
        Carry::new(async move {
            let limits = core.ledger.limits().with(&change)?;
            let (kept, written) = (path.clone(), limits.clone());
            blocking(move || written.write(&kept)).await?;
            core.ledger.set(limits);
            Ok(())
        })
        .await
    }

    async fn watch(&self, cx: &Cx) -> Result<Watch> {
        self.core.inner.watch(cx).await
    }
}

//! The shell: the volume that callers see.

use crate::CacheConfig;
use crate::blocks::Sets;
use crate::cache::Cache;
use crate::file::CachedFile;
use crate::notices;
use crate::origin::is_out_of_reach;
use crate::ticket;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use tokio::task::JoinSet;
use volume::{
    Access, Applied, Attr, Caps, Change, Create, Cx, Error, ErrorKind, FileId, Kind, ListHow, Listing, Named,
    NamedEntry, OpenHow, Opened, QuotaChange, QuotaRules, QuotasOf, Result, Space, Ticket, UserQuota, VPath,
    Volume, Watch,
};

/// A cache in front of a volume that is far away. Dropping it stops its tasks; open files stay usable, but
/// nothing they cache from then on is remembered: see [`CacheVolume::shut_down`].
pub struct CacheVolume {
    pub(crate) cache: Arc<Cache>,
    pub(crate) tasks: parking_lot::Mutex<JoinSet<()>>,
}

impl CacheVolume {
    /// Opens the cache in `config.directory`, making it when it is not there, and subscribes to the changes of
    /// `inner`. Works also while the origin is out of reach.
    ///
    /// Errors: `Busy` when another process uses the directory, `InvalidArgument` when it belongs to another
    /// origin, `Io` for everything else about the disk, a newer format among it.
    pub async fn open(inner: Arc<dyn Volume>, config: CacheConfig) -> Result<Arc<CacheVolume>> {
        let cache = Cache::open(inner, config).await?;
        let watch = notices::subscribe(&cache).await;
        let mut tasks = JoinSet::new();
        tasks.spawn(notices::follow(cache.clone(), watch));
        tasks.spawn(notices::probe(cache.clone()));
        tasks.spawn(cache.blocks.clone().keep_index());
        tasks.spawn(cache.blocks.clone().keep_room());
        Ok(Arc::new(CacheVolume { cache, tasks: parking_lot::Mutex::new(tasks) }))
    }

    async fn open_for_reading(&self, cx: &Cx, path: &VPath, how: &OpenHow) -> Result<Opened> {
        let cache = &self.cache;
        let (attr, told) = cache.attr_and_when(cx, path).await?;
        match attr.kind {
            Kind::File => {}
            Kind::Dir => return Err(Error::new(ErrorKind::IsADirectory, "open", path)),
            Kind::Symlink => return Err(Error::new(ErrorKind::Loop, "open", path)),
            Kind::Special(_) => return Err(Error::new(ErrorKind::Unsupported, "open", path)),
        }
        if how.expect.is_some_and(|expected| expected != attr.id) {
            return Err(Error::new(ErrorKind::Stale, "open", path));
        }
        // An unsettled own change needs an answer that was asked for now.
        let unsettled = cache.blocks.find(attr.id).is_some_and(|content| content.is_unsettled());
        let (attr, asked) = if unsettled && !cache.is_offline() {
            let asked = cache.ask();
            (cache.ask_attr(cx, path, asked).await?, asked.clock)
        } else {
            (attr, told)
        };
        let content = cache.blocks.acquire(path, &attr, asked);
        let file = Arc::new(CachedFile::new(cache.clone(), how.access, attr, content, None));
        Ok(Opened { file, attr, created: false, first: None })
    }

    /// Opens at the origin at once: for writing, for making or emptying a file.
    async fn open_at_origin(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        let cache = &self.cache;
        let (access, first, truncate) = (how.access, how.first, how.truncate);
        let asked = cache.ask();
        let late = |_| Err(Error::new(ErrorKind::TimedOut, "open", path));
        let known = cache.tree.lock().peek(path).map(|known| known.id);
        let emptied = known.filter(|_| truncate).and_then(|id| cache.blocks.find(id));
        let emptying = emptied.as_ref().map(|content| cache.begin_own_change(content, Some(0)));
        let call = tokio::time::timeout_at(cx.deadline.into(), cache.origin.inner().open(cx, path, how));
        let opened = cache.origin.transfer(async { call.await.unwrap_or_else(late) }).await?;
        if opened.created || truncate {
            cache.tree.lock().own_file(path, opened.attr, asked);
        } else {
            cache.tree.lock().learn(path, opened.attr, asked);
        }
        if let (Some(change), Some(content)) = (emptying, emptied)
            && content.id == opened.attr.id
        {
            let sets = Sets { size: Some(0), dated: false };
            cache.end_change_of(change, &content, sets, &opened.attr).await;
        }
        let content = cache.blocks.acquire(path, &opened.attr, asked.clock);
        if access.contains(Access::WRITE) {
            cache.blocks.expect_echo(&content);
        }
        if let (Some((offset, _)), Some(bytes)) = (first, &opened.first) {
            cache.blocks.deposit(&content, offset, bytes.clone()).await;
        }
        let file = CachedFile::new(cache.clone(), access, opened.attr, content, Some(opened.file));
        Ok(Opened { file: Arc::new(file), ..opened })
    }
}

#[async_trait]
impl Volume for CacheVolume {
    fn caps(&self) -> Caps {
        self.cache.origin.inner().caps()
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        self.cache.attr(cx, path).await
    }

    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        self.cache.list(cx, dir, how).await
    }

    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        let only_reads = how.access == Access::READ && how.create == Create::Never && !how.truncate;
        if only_reads {
            self.open_for_reading(cx, path, &how).await
        } else {
            self.open_at_origin(cx, path, how).await
        }
    }

    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        let Some(reopen) = ticket::read(ticket) else {
            return Err(Error::new(ErrorKind::Stale, "reopen", "a ticket of another kind"));
        };
        let Some(inner) = reopen.inner else {
            let how = OpenHow { access: reopen.access, expect: Some(reopen.id), ..OpenHow::read() };
            let gone = |e: Error| match e.kind {
                ErrorKind::NotFound => Error::new(ErrorKind::Stale, "reopen", &reopen.path).because(e),
                _ => e,
            };
            return self.open_for_reading(cx, &reopen.path, &how).await.map_err(gone);
        };
        let asked = self.cache.ask();
        let opened = self.cache.origin.transfer(self.cache.origin.inner().reopen(cx, &inner)).await?;
        let content = self.cache.blocks.acquire(&reopen.path, &opened.attr, asked.clock);
        let (cache, attr) = (self.cache.clone(), opened.attr);
        let file = CachedFile::new(cache, reopen.access, attr, content, Some(opened.file));
        Ok(Opened { file: Arc::new(file), ..opened })
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        self.cache.apply(cx, change).await
    }

    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        let cx = self.cache.origin.patient(cx);
        self.cache.origin.call(&cx, "read_link", self.cache.origin.inner().read_link(&cx, path)).await
    }

    async fn named(
        &self,
        cx: &Cx,
        path: &VPath,
        expect: Option<FileId>,
        name: &Named,
    ) -> Result<Option<Bytes>> {
        let cx = self.cache.origin.patient(cx);
        let asked = self.cache.origin.inner().named(&cx, path, expect, name);
        self.cache.origin.call(&cx, "named", asked).await
    }

    async fn list_named(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<Vec<NamedEntry>> {
        let cx = self.cache.origin.patient(cx);
        let asked = self.cache.origin.inner().list_named(&cx, path, expect);
        self.cache.origin.call(&cx, "list_named", asked).await
    }

    async fn sync_dir(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<()> {
        let cx = self.cache.origin.patient(cx);
        let asked = self.cache.origin.inner().sync_dir(&cx, path, expect);
        self.cache.origin.call(&cx, "sync_dir", asked).await
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        let cx = self.cache.origin.patient(cx);
        let answer = self.cache.origin.call(&cx, "space", self.cache.origin.inner().space(&cx, path)).await;
        let mut known = self.cache.space.lock();
        match answer {
            Ok(space) => Ok(*known.insert(space)),
            Err(e) if is_out_of_reach(&e) => known.ok_or(e),
            Err(e) => Err(e),
        }
    }

    async fn quota_rules(&self, cx: &Cx) -> Result<QuotaRules> {
        let cx = self.cache.origin.patient(cx);
        let asked = self.cache.origin.inner().quota_rules(&cx);
        self.cache.origin.call(&cx, "quota_rules", asked).await
    }

    async fn quotas(&self, cx: &Cx, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        let cx = self.cache.origin.patient(cx);
        let asked = self.cache.origin.inner().quotas(&cx, of);
        self.cache.origin.call(&cx, "quotas", asked).await
    }

    async fn set_quotas(&self, cx: &Cx, change: &QuotaChange) -> Result<()> {
        let cx = self.cache.origin.patient(cx);
        let asked = self.cache.origin.inner().set_quotas(&cx, change);
        self.cache.origin.call(&cx, "set_quotas", asked).await
    }

    async fn watch(&self, _cx: &Cx) -> Result<Watch> {
        if !self.caps().watch {
            return Err(Error::new(ErrorKind::Unsupported, "watch", "the origin does not tell of changes"));
        }
        Ok(Watch::without_authors(self.cache.upward.subscribe(), self.cache.promise.subscribe()))
    }
}

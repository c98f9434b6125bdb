//! The layer: a volume whose changes are written down before they are made.
//!
//! Each change holds its names (`names.rs`) and the order of the open files it concerns (`opens.rs`) from before its record is
//! written until the volume behind has answered, so the log has the changes of each object in the order in which they
//! happened. What only reads passes through. A caller who goes away changes nothing of this: what was begun is done
//! and settled.

use crate::TICKET;
use crate::core::Core;
use crate::file::MirrorFile;
use crate::record::{Outcome, Record, Stamp};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;
use volume::{
    Access, Applied, Attr, Caps, Carry, Change, Create, Cx, FileId, ListHow, Listing, Named, NamedEntry,
    OpenHow, Opened, QuotaChange, QuotaRules, QuotasOf, Result, SetAttr, Space, Ticket, UserQuota, VPath,
    Volume, Watch,
};

/// A volume with a log of its changes.
pub struct Recorded {
    core: Arc<Core>,
}

impl Recorded {
    pub(crate) fn new(core: Arc<Core>) -> Recorded {
        Recorded { core }
    }
}

#[async_trait]
impl Volume for Recorded {
    fn caps(&self) -> Caps {
        self.core.inner.caps()
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        self.core.inner.stat(cx, path).await
    }

    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        self.core.inner.list(cx, dir, how).await
    }

    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        let (core, cx, path) = (self.core.clone(), cx.clone(), path.clone());
        Carry::new(async move { open(&core, &cx, &path, how).await }).await
    }

    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        let (path, ticket) = ticket.split(TICKET);
        let opened = self.core.inner.reopen(cx, &ticket).await?;
        let file = self.core.opens.acquire(opened.file.id(), path.as_ref());
        Ok(Opened { file: Arc::new(MirrorFile::new(self.core.clone(), opened.file, file, true)), ..opened })
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        let (core, cx, change) = (self.core.clone(), cx.clone(), change.clone());
        Carry::new(async move { apply(&core, &cx, &change).await }).await
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
        self.core.inner.sync_dir(cx, path, expect).await?;
        self.core.sync("sync").await
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        self.core.inner.space(cx, path).await
    }

    async fn quota_rules(&self, cx: &Cx) -> Result<QuotaRules> {
        self.core.inner.quota_rules(cx).await
    }

    async fn quotas(&self, cx: &Cx, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        self.core.inner.quotas(cx, of).await
    }

    async fn set_quotas(&self, cx: &Cx, change: &QuotaChange) -> Result<()> {
        self.core.inner.set_quotas(cx, change).await
    }

    async fn watch(&self, cx: &Cx) -> Result<Watch> {
        self.core.inner.watch(cx).await
    }
}

async fn open(core: &Arc<Core>, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
    let _holding = core.names.hold(&[path]).await;
    let emptied = how.truncate;
    let first = how.first.filter(|_| !emptied);
    let make = how.create != Create::Never;
    // It is emptied once it is known which file it is, in that file's order.
    let open = core.inner.open(cx, path, OpenHow { truncate: false, first, ..how });
    let mut opened = match make {
        false => open.await?,
        true => {
            let made = |opened: &Opened| match opened.created {
                true => Outcome::Done(Some(Stamp::of(&opened.attr))),
                false => Outcome::Nothing,
            };
            core.recorded("open", Record::Create { path: path.clone() }, open, made).await?
        }
    };
    let file = core.opens.acquire(opened.file.id(), Some(path));
    if opened.created {
        file.note_changed();
    }
    // What was made appears at a mirror when it is cut, also where nobody writes to it.
    let writes = how.access.contains(Access::WRITE) || opened.created;
    let file = MirrorFile::new(core.clone(), opened.file, file, writes);
    if emptied && !opened.created {
        opened.attr = file.change_attr(cx, &SetAttr::size(0)).await?;
    }
    Ok(Opened { file: Arc::new(file), ..opened })
}

async fn apply(core: &Core, cx: &Cx, change: &Change) -> Result<Applied> {
    let paths: Vec<&VPath> = change.paths().collect();
    let _holding = core.names.hold(&paths).await;
    let concerned = core.opens.below(&paths);
    let mut orders: Vec<OwnedMutexGuard<()>> = Vec::with_capacity(concerned.len());
    for file in &concerned {
        orders.push(file.order().await);
    }
    let stamp = |applied: &Applied| Outcome::Done(applied.attr.as_ref().map(Stamp::of));
    let applied =
        core.recorded(change.name(), Record::of(change), core.inner.apply(cx, change), stamp).await?;
    if let Change::SetAttr { path, set: SetAttr { size: Some(_), .. }, .. } = change {
        // It is whole again, but where others have it open and say so later.
        concerned.iter().for_each(|file| file.note_changed());
        if concerned.is_empty() {
            let stamp = applied.attr.as_ref().map(Stamp::of);
            core.begin(change.name(), Record::Cut { path: path.clone(), stamp }).await?;
        }
    }
    for file in &concerned {
        match change {
            // Nothing has happened.
            Change::Rename { from, to, .. } if from == to => {}
            Change::Remove { path, .. } => file.unlinked(path),
            Change::Rename { from, to, .. } => {
                // Two names of one file stay as they are (POSIX rename).
                if applied.attr.is_none_or(|attr| attr.links < 2 || attr.id != file.id) {
                    file.unlinked(to);
                }
                file.renamed(from, to);
            }
            Change::Link { from, to, .. } => file.linked(from, to),
            Change::MakeDir { .. }
            | Change::MakeNode { .. }
            | Change::Symlink { .. }
            | Change::SetAttr { .. }
            | Change::SetNamed { .. } => {}
        }
    }
    Ok(applied)
}

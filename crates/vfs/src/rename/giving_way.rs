//! An empty directory gives way to another: not every volume does that in one step with the rename. Where the rename
//! fails after that, the directory is made again, with what it carried.

use crate::Result;
use crate::caching::LeaseId;
use crate::core::Core;
use bytes::Bytes;
use std::sync::Arc;
use volume::{Attr, Change, Cx, FileId, Named, SetAttr, VPath};

/// A directory that has given way.
pub(super) struct Gone {
    path: VPath,
    was: Attr,
    carried: Vec<(Named, Bytes)>,
    parent_lease: Option<LeaseId>,
}

impl Gone {
    /// Removes the directory if it is empty.
    pub(super) async fn remove(
        core: &Arc<Core>,
        cx: &Cx,
        path: &VPath,
        was: Attr,
        parent_lease: Option<LeaseId>,
    ) -> Result<Gone, volume::Error> {
        let carried = carried(core, cx, path, &was).await?;
        let _changing = core.changing(&[path]);
        core.volume
            .apply(cx, &Change::Remove { path: path.clone(), dir: true, expect: Some(was.id) })
            .await?;
        core.registry.lock().lost_name(was.id, path);
        core.hub.delete_pending(path);
        core.gone(path, true, parent_lease);
        Ok(Gone { path: path.clone(), was, carried, parent_lease })
    }

    /// Makes one like it in its place. It is another all the same: opens of the former have lost their name.
    pub(super) async fn make_again(self, core: &Arc<Core>, cx: &Cx) {
        let Gone { path, was, carried, parent_lease } = self;
        let _changing = core.changing(&[&path]);
        let made = make_like(core, cx, &path, &was, carried).await;
        if let Err(error) = &made {
            tracing::warn!(%path, %error, "a directory that gave way in vain is not as it was");
        }
        if let Ok(attr) = core.volume.stat(cx, &path).await {
            core.made(&path, &attr, parent_lease);
        }
    }
}

/// What a directory carries, whole.
async fn carried(core: &Core, cx: &Cx, path: &VPath, dir: &Attr) -> volume::Result<Vec<(Named, Bytes)>> {
    let mut carried = Vec::new();
    if dir.carries.is_empty() {
        return Ok(carried);
    }
    for entry in core.volume.list_named(cx, path, Some(dir.id)).await? {
        if let Some(value) = core.volume.named(cx, path, Some(dir.id), &entry.name).await? {
            carried.push((entry.name, value));
        }
    }
    Ok(carried)
}

/// What keeps others out comes first.
async fn make_like(
    core: &Core,
    cx: &Cx,
    path: &VPath,
    was: &Attr,
    mut carried: Vec<(Named, Bytes)>,
) -> volume::Result<()> {
    let make = Change::MakeDir { path: path.clone(), mode: was.mode, dos: was.dos, maker: None };
    let now = match core.volume.apply(cx, &make).await?.attr {
        Some(attr) => attr,
        None => core.volume.stat(cx, path).await?,
    };
    carried.sort_by_key(|(name, _)| *name != Named::Descriptor);
    for (name, value) in carried {
        set_named(core, cx, path, now.id, (name, value)).await?;
    }
    if (now.uid, now.gid) != (was.uid, was.gid) {
        let set = SetAttr { uid: Some(was.uid), gid: Some(was.gid), ..SetAttr::default() };
        core.volume.apply(cx, &Change::SetAttr { path: path.clone(), set, expect: Some(now.id) }).await?;
    }
    Ok(())
}

async fn set_named(
    core: &Core,
    cx: &Cx,
    path: &VPath,
    dir: FileId,
    (name, value): (Named, Bytes),
) -> volume::Result<()> {
    let set = Change::SetNamed { path: path.clone(), name, value: Some(value), expect: Some(dir) };
    core.volume.apply(cx, &set).await.map(drop)
}

//! What is done on the spot, and what on a blocking thread.
//!
//! On the spot only what touches memory alone, in a file system that answers (`beneath.rs`, `brisk.rs`); all else, and what
//! turns out to have to wait, on a blocking thread (`pool.rs`). Where the caller's thread may wait itself
//! ([`volume::may_wait_here`]), names are worked on there; content is not, of which much may be under way at a time.

use crate::attributes::{self, Keeps};
use crate::beneath::Patience;
use crate::error::{Failure, Outcome};
use crate::pool::Lies;
use crate::volume::Disk;
use rustix::io::Errno;
use std::sync::Arc;
use volume::{Attr, Change, Cx, Result, VPath};

/// Longest file that is removed on the spot, bytes: its blocks and pages are given back in about 0.1 ms.
const BRIEF_REMOVE_MAX_BYTES: u64 = 1 << 20;

/// Whether a lookup without waiting found that it would have to.
pub(crate) fn must_wait<T>(outcome: &Outcome<T>) -> bool {
    matches!(outcome, Err(Failure::Errno(Errno::AGAIN | Errno::XDEV)))
}

impl Disk {
    /// Runs `work` on `paths` on a blocking thread: of those for what may not answer, where one of them leads there.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        cx: &Cx,
        op: &'static str,
        paths: Vec<VPath>,
        work: impl FnOnce(&Disk, Lies) -> T + Send + 'static,
    ) -> Result<T> {
        let disk = self.clone();
        let here = move || match paths.iter().any(|path| disk.root.leaves(path)) {
            true => Err(work),
            false => Ok(work(&disk, Lies::Here)),
        };
        let done = match volume::may_wait_here() {
            true => here(),
            false => self.pool.run(cx, op, Lies::Here, here).await?,
        };
        match done {
            Ok(done) => Ok(done),
            Err(work) => {
                let disk = self.clone();
                self.pool.run(cx, op, Lies::Beyond, move || work(&disk, Lies::Beyond)).await
            }
        }
    }

    /// The name that a change is about which touches a few blocks in memory, as a short write does: what has no content comes, a
    /// directory or a small file goes. A large one takes as long as it is large.
    pub(crate) fn brief<'a>(&self, change: &'a Change) -> Option<&'a VPath> {
        if self.config.sync_changes {
            return None;
        }
        match change {
            Change::MakeDir { path, .. }
            | Change::MakeNode { path, .. }
            | Change::Symlink { path, .. }
            | Change::Remove { path, dir: true, .. } => Some(path),
            Change::Remove { path, dir: false, .. } => {
                let stat = self.root.handle(path, Patience::None).and_then(|handle| {
                    let stat = attributes::look(&handle)?;
                    Ok(stat)
                });
                stat.is_ok_and(|stat| stat.stx_size <= BRIEF_REMOVE_MAX_BYTES).then_some(path)
            }
            Change::Rename { .. }
            | Change::Link { .. }
            | Change::SetAttr { .. }
            | Change::SetNamed { .. } => None,
        }
    }

    /// Applies a change on the spot, or not at all.
    pub(crate) fn applied_here(&self, change: &Change, keeps: Keeps) -> Option<Outcome<Option<Attr>>> {
        if volume::may_wait_here() {
            let done = self.apply(change, keeps, Patience::Here);
            return (!must_wait(&done)).then_some(done);
        }
        let path = self.brief(change)?;
        let extras = matches!(change, Change::MakeDir { dos, .. } if !dos.is_empty());
        self.on_the_spot(path, extras, |disk| disk.apply(change, keeps, Patience::Disk))
    }

    /// Does `work` on a name on the spot, or not at all; neither where it sets `extras` and would wait for somebody else who
    /// does, however slow the disk is for that one, nor where something is mounted on the way.
    pub(crate) fn on_the_spot<T>(
        &self,
        path: &VPath,
        extras: bool,
        work: impl FnOnce(&Disk) -> T,
    ) -> Option<T> {
        let _one_at_a_time = match extras && self.keeps.dos {
            true => Some(self.setting_extras.try_lock()?),
            false => None,
        };
        self.brisk.attempt(|| self.root.keeps_here(path).then(|| work(self))).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalConfig, LocalVolume};

    #[test]
    fn what_is_large_is_not_removed_on_the_spot() {
        let dir = tempfile::tempdir().unwrap();
        let sized = |name: &str, size: u64| {
            std::fs::File::create(dir.path().join(name)).unwrap().set_len(size).unwrap();
        };
        sized("small", BRIEF_REMOVE_MAX_BYTES);
        sized("large", BRIEF_REMOVE_MAX_BYTES + 1);
        let check = |config: LocalConfig, name: &str, expect: bool| {
            let volume = LocalVolume::open(dir.path(), config).unwrap();
            let path = VPath::parse(name).unwrap();
            let change = Change::Remove { path, dir: false, expect: None };
            assert_eq!(volume.disk.brief(&change).is_some(), expect, "{name}");
        };
        check(LocalConfig::default(), "small", true);
        check(LocalConfig::default(), "large", false);
        check(LocalConfig::default(), "missing", false);
        check(LocalConfig { sync_changes: true, ..LocalConfig::default() }, "small", false);
    }
}

//! The way up: notices and the promise of freshness.

use crate::ease::{NOTICE_PATIENCE, apply, cx, fails, mkdir, notice, p, put, remove, rename, within};
use volume::{Change, ErrorKind, Freshness, Named, Notice, VPath, Volume, Watch};

/// Whether a notice says that the thing under `path` may have changed.
fn covers(notice: &Notice, path: &VPath) -> bool {
    match notice {
        Notice::Changed { path: changed, .. } => changed == path,
        Notice::Moved { from, to, .. } => path.is_within(from) || path.is_within(to),
        Notice::Unknown { below } => path.is_within(below),
    }
}

/// Waits until no notice can be missed.
async fn promised(watch: &mut Watch) {
    let promise = watch.freshness.wait_for(|f| matches!(f, Freshness::Notified | Freshness::Leased));
    within(NOTICE_PATIENCE, "freshness Notified or Leased", promise).await.expect("the watch ended");
}

pub(super) async fn watch_tells_own_changes(volume: &dyn Volume) {
    if !volume.caps().watch {
        fails(volume.watch(&cx()).await, ErrorKind::Unsupported);
        return;
    }
    tells(volume, volume).await;
}

/// Whether subscribers of `volume` are told what `other`, a second way to the same empty tree, changes.
pub async fn tells_of_others(volume: &dyn Volume, other: &dyn Volume) {
    tells(volume, other).await;
}

async fn tells(volume: &dyn Volume, writer: &dyn Volume) {
    let mut watch = volume.watch(&cx()).await.expect("watch");
    promised(&mut watch).await;
    let mut told = async |what: &str, path: &str| {
        let path = p(path);
        notice(&mut watch, what, |notice| covers(notice, &path)).await
    };
    put(writer, "f", "1").await;
    told("a new file", "f").await;
    mkdir(writer, "d").await;
    told("a new directory", "d").await;
    put(writer, "d/g", "2").await;
    told("a new file in a new directory", "d/g").await;
    put(writer, "d/g", "changed").await;
    told("other content", "d/g").await;
    if writer.caps().named {
        let (path, name) = (p("d/g"), Named::stream("s"));
        apply(writer, Change::SetNamed { path, name, value: Some("v".into()), expect: None }).await;
        told("a value beside the content", "d/g").await;
    }
    rename(writer, "d", "e").await;
    told("a directory moved away", "d").await;
    put(writer, "e/g", "changed again").await;
    told("other content below a moved directory", "e/g").await;
    rename(writer, "e/g", "e/h").await;
    told("a file moved", "e/h").await;
    remove(writer, "e/h").await;
    told("a file removed", "e/h").await;
    remove(writer, "f").await;
    let gone = told("a file removed at the root", "f").await;
    if let Notice::Changed { attr, .. } = &gone {
        // A coalescing origin may first tell of the file's last change.
        if attr.is_some() {
            notice(&mut watch, "f is gone", |n| matches!(n, Notice::Changed { attr: None, .. })).await;
        }
    }
}

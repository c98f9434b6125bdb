//! Opens that come back after the process ended.

use crate::tools::{DELETE, Site, WRITE, ask, site};
use testkit::ease::{cx, p};
use vfs::{Error, Former, Range, Share};

/// What is written down of an open of `path` that takes its name along and holds this lock.
async fn former(site: &Site, path: &str, lock: Range) -> Former {
    let open = site.create(path).await;
    let mut request = ask(path, WRITE | DELETE);
    (request.share, request.delete_on_close) = (Share::all(), true);
    let former = Former {
        request,
        file: open.file_id(),
        ticket: open.ticket(),
        locks: vec![(lock, true)],
        delete_pending: true,
    };
    open.leave(&cx()).await.unwrap();
    former
}

#[tokio::test]
async fn one_that_finds_its_range_locked_leaves_its_name_alone() {
    let site = site();
    let range = Range::new(0, 8);
    let former = former(&site, "file", range).await;
    let other = site.share("file", WRITE, Share::all()).await.unwrap();
    other.try_lock(range, true).unwrap();
    let refused = site.vfs.restore(&cx(), &former).await;
    assert!(matches!(refused, Err(Error::LockNotGranted)), "{refused:?}");
    other.unlock(range).unwrap();
    assert!(site.vfs.stat(&cx(), &p("file")).await.is_ok(), "its client may still come for it");
    let back = site.vfs.restore(&cx(), &former).await.unwrap();
    assert!(back.delete_pending());
    for open in [other, back] {
        open.close(&cx()).await.unwrap();
    }
    assert!(matches!(site.vfs.stat(&cx(), &p("file")).await, Err(Error::NotFound)));
}

//! Opens that come back after the process ended.

use crate::caching::{hold, watched};
use crate::tools::{DELETE, Site, WRITE, ask, site};
use testkit::ease::{cx, p};
use vfs::{Caching, Error, Former, Range, Share};

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

#[tokio::test]
async fn one_that_does_not_come_back_yet_spares_no_name_that_another_takes_along() {
    let site = site();
    let range = Range::new(0, 8);
    let late = former(&site, "file", range).await;
    let first = Former { locks: Vec::new(), ..late.clone() };
    let first = site.vfs.restore(&cx(), &first).await.unwrap();
    first.try_lock(range, true).unwrap();
    let refused = site.vfs.restore(&cx(), &late).await;
    assert!(matches!(refused, Err(Error::LockNotGranted)), "{refused:?}");
    assert!(first.delete_pending());
    first.close(&cx()).await.unwrap();
    assert!(matches!(site.vfs.stat(&cx(), &p("file")).await, Err(Error::NotFound)));
}

/// A right to cache that somebody got while the open was not back, as he may by another name of the file, and what the
/// open that comes back leaves of it.
#[tokio::test]
async fn who_came_before_it_and_keeps_writes_back_is_waited_for() {
    let (read, batch) = (Caching::READ, Caching::all());
    let (all, alone) = (Share::all(), Share::empty());
    for (held, share) in [(batch, all), (read | Caching::WRITE, all), (batch, alone)] {
        let site = watched().await;
        let mut former = former(&site, "file", Range::new(0, 8)).await;
        (former.delete_pending, former.request.delete_on_close) = (false, false);
        former.request.caching = batch;
        let bob = hold(&site, "file", held, |request| request.share = share).await;
        assert_eq!(bob.got, held);
        let refused = site.vfs.restore(&cx(), &former).await;
        assert!(matches!(refused, Err(Error::SharingViolation)), "{refused:?}");
        assert_eq!(bob.told(), [(read, true)]);
        bob.open.acknowledge(read).unwrap();
        match share == alone {
            // Who only kept it for its cache has closed it.
            true => drop(bob.open.close(&cx()).await.unwrap()),
            false => assert_eq!(bob.open.caching(), read),
        }
        let back = site.vfs.restore(&cx(), &former).await.unwrap();
        back.close(&cx()).await.unwrap();
    }
}

/// What was cached before the process ended stood beside it then.
#[tokio::test]
async fn those_that_come_back_together_leave_each_other_in_peace() {
    let site = site();
    let mut first = former(&site, "file", Range::new(0, 8)).await;
    (first.delete_pending, first.request.delete_on_close) = (false, false);
    first.request.caching = Caching::all();
    let second = Former { locks: Vec::new(), ..first.clone() };
    let first = site.vfs.restore(&cx(), &first).await.unwrap();
    let _second = site.vfs.restore(&cx(), &second).await.unwrap();
    let granted = first.granted();
    assert_eq!((granted.caching, granted.breaking), (Caching::all(), false));
}

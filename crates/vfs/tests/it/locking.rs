use crate::tools::{READ, Site, WRITE, site, word};
use bytes::Bytes;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use testkit::MemVolume;
use testkit::ease::{cx, put};
use vfs::{Limits, Range, Vfs, VfsConfig};

const RANGE: Range = Range { offset: 10, length: 10 };

#[tokio::test]
async fn locks_keep_others_from_reading_and_writing() {
    let site = site();
    let mine = site.create("file").await;
    let other = site.open("file", WRITE).await;
    mine.write(&cx(), 0, Bytes::from(vec![7; 30])).await.unwrap();
    mine.try_lock(RANGE, true).unwrap();
    assert_eq!(word(other.try_lock(RANGE, false)), "LockNotGranted");
    assert_eq!(word(other.read(&cx(), 0, 11).await), "LockConflict");
    assert_eq!(word(other.write(&cx(), 19, Bytes::from_static(b"xx")).await), "LockConflict");
    assert_eq!(word(other.append(&cx(), Bytes::from_static(b"x")).await), "Ok");
    other.read(&cx(), 0, 10).await.unwrap();
    mine.read(&cx(), 0, 30).await.unwrap();
    assert_eq!(word(other.unlock(RANGE)), "RangeNotLocked");
    mine.unlock(RANGE).unwrap();
    other.read(&cx(), 0, 30).await.unwrap();
    assert_eq!(word(mine.try_lock(Range::new(2, u64::MAX), true)), "RangeInvalid");
    assert_eq!(
        word(site.open("", READ).await.try_lock(RANGE, true)),
        "InvalidArgument(\"directories have no bytes to lock\")"
    );
}

#[tokio::test]
async fn who_waits_gets_the_lock_in_turn() {
    let site = site();
    let holder = site.create("file").await;
    holder.try_lock(RANGE, true).unwrap();
    let (order, mut got) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = Vec::new();
    for i in 0..20 {
        let open = site.open("file", READ).await;
        let order = order.clone();
        tasks.push(tokio::spawn(async move {
            open.lock(RANGE, true).await.unwrap();
            order.send(i).unwrap();
            // Between having it and letting go the others may try.
            tokio::task::yield_now().await;
            open.unlock(RANGE).unwrap();
            open
        }));
        tokio::task::yield_now().await;
    }
    holder.close(&cx()).await.unwrap();
    for i in 0..20 {
        assert_eq!(got.recv().await, Some(i));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(site.vfs.opens().locks, 0);
}

#[tokio::test]
async fn a_withdrawn_request_leaves_no_lock_behind() {
    let site = site();
    let (holder, waiter, third) =
        (site.create("file").await, site.open("file", READ).await, site.open("file", READ).await);
    holder.try_lock(RANGE, true).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut waiting = pin!(waiter.lock(RANGE, true));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
    }
    {
        // Granted, but dropped before it was told.
        let mut waiting = pin!(waiter.lock(RANGE, true));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        holder.unlock(RANGE).unwrap();
        assert_eq!(word(third.try_lock(RANGE, true)), "LockNotGranted");
    }
    assert_eq!(site.vfs.opens().locks, 0);
    third.try_lock(RANGE, true).unwrap();
}

#[tokio::test]
async fn closing_ends_ones_own_waiting_and_helps_others() {
    let site = site();
    let (holder, waiter) = (site.create("file").await, site.open("file", READ).await);
    holder.try_lock(RANGE, false).unwrap();
    holder.try_lock(RANGE, false).unwrap();
    let waiting = tokio::spawn({
        let waiter = waiter.clone();
        async move { waiter.lock(RANGE, true).await }
    });
    tokio::task::yield_now().await;
    holder.unlock(RANGE).unwrap();
    assert!(!waiting.is_finished(), "two were stacked");
    waiter.close(&cx()).await.unwrap();
    assert_eq!(word(waiting.await.unwrap()), "Closed");
    assert_eq!(word(waiter.try_lock(Range::new(0, 1), false)), "Closed");
    let next = site.open("file", READ).await;
    let waiting = tokio::spawn(async move { next.lock(RANGE, true).await });
    tokio::task::yield_now().await;
    holder.close(&cx()).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn no_account_takes_all_locks_of_a_volume() {
    let limits = Limits { locks: 6, locks_per_account: 4, ..Limits::default() };
    let mem = MemVolume::new();
    let vfs = Vfs::new(mem.clone(), VfsConfig { limits, ..VfsConfig::default() });
    let site = Site { vfs, mem };
    for name in ["a", "b"] {
        put(&*site.mem, name, "").await;
    }
    let open = async |name: &str, account: &str| {
        site.try_open(name, WRITE, |r| r.account = Some(account.into())).await.unwrap().open
    };
    let lock = |open: &vfs::Open, at: u64| word(open.try_lock(Range::new(at, 1), true));
    let too_many = "LimitReached(\"locks of one account\")";
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        let (a, again, b) = (open("a", "one").await, open("a", "one").await, open("b", "one").await);
        let other = open("b", "two").await;
        assert_eq!(
            [lock(&a, 0), lock(&a, 1), lock(&b, 0), lock(&again, 0)],
            ["Ok", "Ok", "Ok", "LockNotGranted"]
        );
        {
            let mut waits = pin!(again.lock(Range::new(0, 1), true));
            assert!(waits.as_mut().poll(&mut context).is_pending());
            assert_eq!([lock(&b, 1), lock(&again, 9)], [too_many, too_many]);
            assert_eq!(word(again.lock(Range::new(9, 1), true).await), too_many);
            assert_eq!([lock(&other, 5), lock(&other, 6)], ["Ok", "Ok"]);
            assert_eq!(lock(&other, 7), "LimitReached(\"locks\")");
        }
        // Who waits no more has none, and whoever unlocks.
        assert_eq!([lock(&b, 1), lock(&b, 2)], ["Ok", too_many]);
        b.unlock(Range::new(0, 1)).unwrap();
        assert_eq!(word(b.unlock(Range::new(0, 1))), "RangeNotLocked");
        assert_eq!([lock(&b, 2), lock(&b, 3)], ["Ok", too_many]);
        b.revoke_lock(Range::new(2, 1), true);
        b.revoke_lock(Range::new(2, 1), true);
        // Granted to who waits, it is his.
        let mut waits = pin!(again.lock(Range::new(0, 1), true));
        assert!(waits.as_mut().poll(&mut context).is_pending());
        a.unlock(Range::new(0, 1)).unwrap();
        waits.await.unwrap();
        assert_eq!([lock(&b, 2), lock(&b, 3)], ["Ok", too_many]);
        b.unlock(Range::new(2, 1)).unwrap();
        // It ends with the open, and is not there any more when its future is dropped.
        let mut ended = pin!(again.lock(Range::new(1, 1), true));
        assert!(ended.as_mut().poll(&mut context).is_pending());
        for open in [&a, &again, &b, &other] {
            open.close(&cx()).await.unwrap();
        }
    }
}

use crate::tools::{READ, WRITE, site, word};
use bytes::Bytes;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use testkit::ease::cx;
use vfs::Range;

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

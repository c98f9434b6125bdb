//! Writes through the cache.

use crate::{BLOCK, Site, content, open, read, until, wait_for};
use bytes::Bytes;
use std::ops::Range;
use std::time::Duration;
use testkit::Op;
use testkit::ease::{apply, cx, fails, get, p, put, stat};
use volume::{Carries, Change, Close, Copying, Create, ErrorKind, Fresh, Named, OpenHow, SetAttr, Volume};

/// A file of ten blocks that is whole in the cache.
async fn cached(site: &Site) -> Vec<u8> {
    let bytes = content(10 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    assert_eq!(get(&*site.cache, "f").await, bytes);
    wait_for("it is stored", || site.cache.stats().size == 10 * BLOCK as u64).await;
    bytes
}

#[tokio::test]
async fn an_own_write_reaches_the_origin_and_stays_where_it_is_whole() {
    let site = Site::new().await;
    let mut bytes = cached(&site).await;
    let file = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    let before = site.fetched();
    for (at, length) in [(3 * BLOCK, BLOCK), (5 * BLOCK + 10, 2000), (10 * BLOCK - 5, 3 * BLOCK)] {
        let new = content(length, at as u64);
        file.write_at(&cx(), at as u64, Bytes::from(new.clone())).await.unwrap();
        bytes.resize(bytes.len().max(at + length), 0);
        bytes[at..at + length].copy_from_slice(&new);
        assert_eq!(file.attr(&cx(), Fresh::Cached).await.unwrap().size, bytes.len() as u64);
    }
    file.close(&cx(), Close::Commit).await.unwrap();
    drop(file);
    assert_eq!(get(&*site.origin, "f").await, bytes);
    assert_eq!(get(&*site.cache, "f").await, bytes);
    let again = site.fetched() - before;
    assert!(again <= (bytes.len() - 3 * BLOCK) as u64, "blocks 3, 10 and 11 are wholly ours: {again}");
    assert_eq!(site.cache.stats().corrupt_blocks, 0);
}

#[tokio::test]
async fn a_foreign_write_that_no_notice_tells_apart_from_ours_is_seen() {
    let site = Site::new().await;
    let mut bytes = cached(&site).await;
    let ours = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    let theirs = site.origin.other().open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    // As where notices are coalesced: only the last version is told.
    site.origin.mute(true);
    ours.write_at(&cx(), 2 * BLOCK as u64, Bytes::from_static(b"first")).await.unwrap();
    theirs.write_at(&cx(), 7 * BLOCK as u64, Bytes::from_static(b"theirs")).await.unwrap();
    ours.write_at(&cx(), 3 * BLOCK as u64, Bytes::from_static(b"second")).await.unwrap();
    site.origin.mute(false);
    bytes[2 * BLOCK..2 * BLOCK + 5].copy_from_slice(b"first");
    bytes[7 * BLOCK..7 * BLOCK + 6].copy_from_slice(b"theirs");
    bytes[3 * BLOCK..3 * BLOCK + 6].copy_from_slice(b"second");
    ours.close(&cx(), Close::Commit).await.unwrap();
    drop(ours);
    assert_eq!(get(&*site.cache, "f").await, bytes);
}

#[tokio::test]
async fn own_writes_survive_a_restart() {
    let mut site = Site::new().await;
    put(&*site.cache, "new", content(3 * BLOCK, 5)).await;
    site.restart().await;
    assert_eq!(get(&*site.cache, "new").await, content(3 * BLOCK, 5));
    assert_eq!(site.fetched(), 0, "what we wrote is here");
}

#[tokio::test]
async fn a_foreign_write_between_ours_is_not_lost_from_sight() {
    for site in [Site::new().await, Site::polled(Duration::ZERO).await] {
        let mut bytes = cached(&site).await;
        let ours = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
        let theirs = site.origin.other().open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
        theirs.write_at(&cx(), 7 * BLOCK as u64, Bytes::from_static(b"theirs")).await.unwrap();
        ours.write_at(&cx(), 2 * BLOCK as u64, Bytes::from_static(b"ours")).await.unwrap();
        bytes[7 * BLOCK..7 * BLOCK + 6].copy_from_slice(b"theirs");
        bytes[2 * BLOCK..2 * BLOCK + 4].copy_from_slice(b"ours");
        ours.close(&cx(), Close::Commit).await.unwrap();
        until("both are seen", || async { (get(&*site.cache, "f").await == bytes).then_some(()) }).await;
        assert_eq!(get(&*site.cache, "f").await, bytes);
    }
}

#[tokio::test]
async fn truncating_and_extending_are_seen() {
    let site = Site::new().await;
    let mut bytes = cached(&site).await;
    let file = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    for size in [7 * BLOCK + 3, BLOCK / 2, 4 * BLOCK] {
        let attr = file.set_attr(&cx(), &SetAttr::size(size as u64)).await.unwrap();
        bytes.resize(size, 0);
        assert_eq!(attr.size, size as u64);
        assert_eq!(read(&*file, 0, 10 * BLOCK).await, bytes, "{size}");
    }
    drop(file);
    assert_eq!(get(&*site.cache, "f").await, bytes);
    assert_eq!(stat(&*site.cache, "f").await.size, 4 * BLOCK as u64);
}

#[tokio::test]
async fn a_failed_write_leaves_no_claim() {
    for lost in [false, true] {
        let site = Site::new().await;
        cached(&site).await;
        let file = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
        match lost {
            true => site.far.lose_answer(Op::Write, 1, ErrorKind::Io),
            false => site.far.fail(Op::Write, 1, ErrorKind::NoSpace),
        }
        let error = if lost { ErrorKind::Io } else { ErrorKind::NoSpace };
        fails(file.write_at(&cx(), 100, Bytes::from_static(b"perhaps")).await, error);
        drop(file);
        assert_eq!(get(&*site.cache, "f").await, get(&*site.origin, "f").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_its_caller_gave_up_leaves_no_claim() {
    let site = Site::new().await;
    cached(&site).await;
    let file = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    let gate = site.far.gate(Op::Write);
    let writer = tokio::spawn({
        let file = file.clone();
        async move { file.write_at(&cx(), 100, Bytes::from_static(b"perhaps")).await }
    });
    gate.arrived(1).await;
    writer.abort();
    assert!(writer.await.is_err());
    gate.release();
    drop(file);
    assert_eq!(get(&*site.cache, "f").await, get(&*site.origin, "f").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_fetched_while_we_write_are_not_kept() {
    let site = Site::new().await;
    put(&*site.origin, "f", content(40 * BLOCK, 1)).await;
    let file = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    let reader = open(&*site.cache, "f").await;
    // The request is on its way, with the old bytes, while the write is done.
    let gate = site.far.gate(Op::Open);
    let early = tokio::spawn({
        let reader = reader.clone();
        async move { read(&*reader, 5 * BLOCK, 100).await }
    });
    gate.arrived(1).await;
    file.write_at(&cx(), 5 * BLOCK as u64, Bytes::from(vec![7; BLOCK])).await.unwrap();
    gate.release();
    early.await.unwrap();
    assert_eq!(read(&*reader, 5 * BLOCK, BLOCK).await, vec![7; BLOCK]);
    assert_eq!(read(&*file, 5 * BLOCK, BLOCK).await, vec![7; BLOCK]);
}

#[tokio::test]
async fn handles_do_what_they_were_opened_for() {
    let site = Site::new().await;
    cached(&site).await;
    let reader = open(&*site.cache, "f").await;
    fails(reader.write_at(&cx(), 0, Bytes::from_static(b"x")).await, ErrorKind::PermissionDenied);
    let how = OpenHow { access: volume::Access::WRITE, ..OpenHow::create(Create::IfMissing) };
    let writer = site.cache.open(&cx(), &p("f"), how).await.unwrap().file;
    fails(writer.read_at(&cx(), 0, 1).await, ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_value_beside_the_content_leaves_the_cached_blocks() {
    let site = Site::new().await;
    let bytes = cached(&site).await;
    let reader = open(&*site.cache, "f").await;
    let id = stat(&*site.cache, "f").await.id;
    let before = site.fetched();
    for value in [Some(Bytes::from_static(b"beside")), None] {
        let name = Named::stream("s");
        let carries = if value.is_some() { Carries::STREAMS } else { Carries::empty() };
        let change =
            Change::SetNamed { path: p("f"), name: name.clone(), value: value.clone(), expect: Some(id) };
        let attr = apply(&*site.cache, change).await.unwrap();
        let looks = site.calls(Op::Stat);
        assert_eq!((attr.carries, stat(&*site.cache, "f").await), (carries, attr));
        assert_eq!(site.calls(Op::Stat), looks, "the answer was taken in");
        assert_eq!(site.cache.named(&cx(), &p("f"), Some(id), &name).await.unwrap(), value);
        assert_eq!(
            site.cache.list_named(&cx(), &p("f"), None).await.unwrap().len(),
            usize::from(value.is_some())
        );
        site.heard().await;
        assert_eq!(read(&*reader, 0, 10 * BLOCK).await, bytes);
    }
    assert_eq!(get(&*site.cache, "f").await, bytes);
    assert_eq!(site.fetched(), before, "all blocks are here still");
}

#[tokio::test]
async fn a_value_that_others_set_is_seen() {
    let site = Site::new().await;
    cached(&site).await;
    assert_eq!(stat(&*site.cache, "f").await.carries, Carries::empty());
    let (path, name) = (p("f"), Named::Descriptor);
    let change = Change::SetNamed { path, name: name.clone(), value: Some("theirs".into()), expect: None };
    apply(&*site.origin.other(), change).await;
    site.heard().await;
    assert_eq!(stat(&*site.cache, "f").await.carries, Carries::DESCRIPTOR);
    assert_eq!(site.cache.named(&cx(), &p("f"), None, &name).await.unwrap(), Some("theirs".into()));
}

#[tokio::test]
async fn zeros_are_seen_between_what_was_cached_and_what_we_wrote() {
    let site = Site::new().await;
    let mut bytes = cached(&site).await;
    let file = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    // Wholly ours before, and not any more.
    file.write_at(&cx(), 4 * BLOCK as u64, Bytes::from(vec![4; 2 * BLOCK])).await.unwrap();
    bytes[4 * BLOCK..6 * BLOCK].fill(4);
    let (from, to) = (2 * BLOCK + 10, 5 * BLOCK);
    file.zero(&cx(), from as u64, (to - from) as u64).await.unwrap();
    bytes[from..to].fill(0);
    let before = site.fetched();
    assert_eq!(read(&*file, 0, bytes.len()).await, bytes);
    assert_eq!(site.fetched() - before, 9 * BLOCK as u64, "all but block 5, which we wrote");
    file.zero(&cx(), 9 * BLOCK as u64 + 5, u64::MAX).await.unwrap();
    bytes[9 * BLOCK + 5..].fill(0);
    assert_eq!(read(&*file, 0, bytes.len()).await, bytes);
    file.close(&cx(), Close::Commit).await.unwrap();
    assert_eq!((get(&*site.cache, "f").await, get(&*site.origin, "f").await), (bytes.clone(), bytes));
}

#[tokio::test]
async fn a_copy_is_made_at_the_origin_and_nothing_of_it_comes_here() {
    let site = Site::new().await;
    let source = cached(&site).await;
    put(&*site.cache, "g", content(3 * BLOCK + 5, 2)).await;
    let mut bytes = get(&*site.cache, "g").await;
    let reader = open(&*site.cache, "f").await;
    let target = site.cache.open(&cx(), &p("g"), OpenHow::read_write()).await.unwrap().file;
    site.far.counts().reset();
    let before = site.fetched();
    let (at, from, length) = (2 * BLOCK + 1, BLOCK, 2 * BLOCK);
    let copied = target.copy_from(&cx(), at as u64, &reader, from as u64, length as u64, Copying::Any).await;
    assert_eq!(copied.unwrap(), length as u64);
    let counts = site.far.counts();
    assert_eq!((counts.of(Op::Copy), counts.bytes_read(), counts.bytes_written()), (1, 0, 0), "{counts:?}");
    assert_eq!(site.fetched(), before);
    bytes.resize(at + length, 0);
    bytes[at..].copy_from_slice(&source[from..from + length]);
    assert_eq!(target.attr(&cx(), Fresh::Cached).await.unwrap().size, bytes.len() as u64);
    assert_eq!(read(&*target, 0, bytes.len()).await, bytes);
    target.close(&cx(), Close::Commit).await.unwrap();
    assert_eq!((get(&*site.cache, "g").await, get(&*site.origin, "g").await), (bytes.clone(), bytes));
    assert_eq!(get(&*site.cache, "f").await, source);
}

#[tokio::test]
async fn a_source_whose_name_went_is_copied_from_still() {
    let site = Site::new().await;
    put(&*site.origin, "f", "source").await;
    let reader = open(&*site.cache, "f").await;
    testkit::ease::remove(&*site.cache, "f").await;
    let how = OpenHow::create(Create::New);
    let target = site.cache.open(&cx(), &p("g"), how).await.unwrap().file;
    let copied = target.copy_from(&cx(), 0, &reader, 0, 100, Copying::Any).await.unwrap();
    assert_eq!((copied, get(&*site.cache, "g").await), (6, b"source".to_vec()));
}

#[tokio::test]
async fn a_failed_zeroing_or_copy_leaves_no_claim() {
    for (op, lost) in [(Op::Zero, false), (Op::Zero, true), (Op::Copy, false), (Op::Copy, true)] {
        let site = Site::new().await;
        cached(&site).await;
        put(&*site.origin, "source", vec![9; BLOCK]).await;
        let source = open(&*site.cache, "source").await;
        let file = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
        match lost {
            true => site.far.lose_answer(op, 1, ErrorKind::Io),
            false => site.far.fail(op, 1, ErrorKind::Io),
        }
        match op {
            Op::Zero => drop(fails(file.zero(&cx(), 100, 3 * BLOCK as u64).await, ErrorKind::Io)),
            _ => {
                let copied = file.copy_from(&cx(), 100, &source, 0, 50, Copying::Any).await;
                fails(copied, ErrorKind::Io);
            }
        }
        drop(file);
        assert_eq!(get(&*site.cache, "f").await, get(&*site.origin, "f").await, "{op:?}, lost: {lost}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_fetched_while_zeros_are_made_are_not_kept() {
    let site = Site::new().await;
    put(&*site.origin, "f", content(40 * BLOCK, 1)).await;
    let file = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    let reader = open(&*site.cache, "f").await;
    // The origin makes the zeros, and its answer is held up; a read from before it comes after it.
    let (reading, zeroing) = (site.far.gate(Op::Open), site.far.gate(Op::Zero));
    let early = tokio::spawn({
        let reader = reader.clone();
        async move { read(&*reader, 5 * BLOCK, 100).await }
    });
    reading.arrived(1).await;
    let zeros = tokio::spawn({
        let file = file.clone();
        async move { file.zero(&cx(), 5 * BLOCK as u64, BLOCK as u64).await }
    });
    zeroing.arrived(1).await;
    zeroing.release();
    zeros.await.unwrap().unwrap();
    reading.release();
    early.await.unwrap();
    assert_eq!(read(&*reader, 5 * BLOCK, BLOCK).await, vec![0; BLOCK]);
    assert_eq!(read(&*file, 5 * BLOCK, BLOCK).await, vec![0; BLOCK]);
}

#[tokio::test]
async fn reserving_room_leaves_the_cached_blocks() {
    let site = Site::new().await;
    let bytes = cached(&site).await;
    let before = site.fetched();
    let file = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    let attr = file.allocate(&cx(), 1 << 30).await.unwrap();
    assert_eq!((attr.size, attr.allocated), (10 * BLOCK as u64, 1 << 30));
    assert_eq!(stat(&*site.cache, "f").await, attr);
    assert_eq!(file.ranges(&cx(), 0, u64::MAX).await.unwrap(), [Range { start: 0, end: attr.size }]);
    file.close(&cx(), Close::Commit).await.unwrap();
    assert_eq!(get(&*site.cache, "f").await, bytes);
    assert_eq!(site.fetched(), before);
}

#[tokio::test]
async fn what_a_file_carries_shows_through_a_handle_that_wrote() {
    let site = Site::new().await;
    cached(&site).await;
    let file = site.cache.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    file.write_at(&cx(), 0, Bytes::from_static(b"first")).await.unwrap();
    let (path, name) = (p("f"), Named::stream("s"));
    let change = Change::SetNamed { path, name, value: Some("beside".into()), expect: Some(file.id()) };
    apply(&*site.cache, change).await;
    file.write_at(&cx(), 0, Bytes::from_static(b"second")).await.unwrap();
    assert_eq!(file.attr(&cx(), Fresh::Cached).await.unwrap().carries, Carries::STREAMS);
}

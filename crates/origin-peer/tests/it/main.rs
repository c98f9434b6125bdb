//! The whole way: `PeerVolume`, a real link on loopback, `PeerServer`, a volume in memory.

mod pair;
mod restart;
mod watching;

use bytes::Bytes;
use front_peer::PeerLimits;
use pair::{PATIENCE, Pair};
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{self, cx, fails, p, put, within};
use testkit::{FaultVolume, MemConfig, MemVolume, Op, contract, model};
use volume::{Change, Close, Copying, Create, Cx, DosAttributes, ErrorKind, ListHow, OpenHow, Volume};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_across_the_link() {
    contract::run(|| async {
        let pair = Pair::patient(MemVolume::new()).await;
        let volume = pair.volume().await;
        volume as Arc<dyn Volume>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_for_an_origin_that_sends_nothing_along() {
    contract::run(|| async {
        let plain = MemConfig { sends_along: false, page_entries: 7, ..MemConfig::default() };
        let pair = Pair::patient(MemVolume::with(plain.and_quotas())).await;
        let volume = pair.volume().await;
        volume as Arc<dyn Volume>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_agrees() {
    let pair = Pair::patient(MemVolume::new()).await;
    model::run(&*pair.volume().await, 7, 400).await;
}

#[tokio::test]
async fn a_volume_that_is_not_offered_looks_like_none() {
    let pair = Pair::serving(MemVolume::new()).await;
    let mut told = Vec::new();
    for name in ["secret", "no-such"] {
        let volume = pair.named(name);
        fails(volume.known(&cx()).await, ErrorKind::NotFound);
        fails(volume.open(&cx(), &p("f"), OpenHow::create(Create::New)).await, ErrorKind::NotFound);
        fails(volume.watch(&cx()).await, ErrorKind::NotFound);
        let error = fails(volume.stat(&cx(), &p("")).await, ErrorKind::NotFound);
        told.push(error.to_string().replace(name, "NAME"));
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn five_hundred_directories_come_in_one_round_trip() {
    let memory = MemVolume::with(MemConfig { sends_along: false, ..MemConfig::default() });
    for n in 0..500 {
        let dir = format!("dir-{n:03}");
        ease::mkdir(&*memory, &dir).await;
        for k in 0..20 {
            let how = OpenHow::create(Create::New);
            memory.open(&cx(), &p(&format!("{dir}/file-{k:02}.txt")), how).await.unwrap();
        }
    }
    let pair = Pair::serving(memory).await;
    let volume = pair.volume().await;
    let before = volume.link_stats().calls;
    let listing = volume.list(&cx(), &p(""), ListHow { cursor: None, ahead: 20_000 }).await.unwrap();
    assert_eq!(volume.link_stats().calls - before, 1);
    assert_eq!(listing.entries.len(), 500);
    assert_eq!(listing.next, None);
    assert_eq!(listing.ahead.len(), 500);
    for below in &listing.ahead {
        assert_eq!(below.entries.len(), 20, "{:?}", below.path);
    }
    assert_eq!(listing.ahead[7].attr, ease::stat(&*volume, listing.ahead[7].path.as_str()).await);
    let small = volume.list(&cx(), &p(""), ListHow { cursor: None, ahead: 45 }).await.unwrap();
    assert_eq!((small.entries.len(), small.ahead.len()), (500, 2));
}

#[tokio::test]
async fn a_huge_directory_comes_in_pages() {
    let memory = MemVolume::new();
    let long = "n".repeat(200);
    for n in 0..9000 {
        let path = p(&format!("{long}{n:05}"));
        let dir = Change::MakeDir { path, mode: 0o755, dos: DosAttributes::empty(), maker: None };
        memory.apply(&cx(), &dir).await.unwrap();
    }
    let pair = Pair::serving(memory).await;
    let volume = pair.volume().await;
    let first = volume.list(&cx(), &p(""), ListHow { cursor: None, ahead: 100 }).await.unwrap();
    assert!(first.next.is_some() && first.ahead.is_empty());
    let names = ease::names(&*volume, "").await;
    assert_eq!(names.len(), 9000);
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "a name came twice");
}

#[tokio::test]
async fn the_first_bytes_come_with_the_open() {
    let memory = MemVolume::with(MemConfig { sends_along: false, ..MemConfig::default() });
    put(&*memory, "f", "0123456789").await;
    let pair = Pair::serving(memory).await;
    let volume = pair.volume().await;
    let before = volume.link_stats().calls;
    let how = OpenHow { first: Some((2, 5)), ..OpenHow::read() };
    let opened = volume.open(&cx(), &p("f"), how).await.unwrap();
    assert_eq!(opened.first.as_deref(), Some(&b"23456"[..]));
    assert_eq!(volume.link_stats().calls - before, 1);
}

#[tokio::test]
async fn a_file_that_was_read_is_closed_without_waiting() {
    let memory = FaultVolume::new(MemVolume::new());
    put(&*memory, "f", "content").await;
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    let opened = volume.open(&cx(), &p("f"), OpenHow::read()).await.unwrap();
    let gate = memory.gate(Op::Close);
    let attr = within(PATIENCE, "close", opened.file.close(&cx(), Close::Commit)).await.unwrap();
    assert_eq!(attr, opened.attr);
    fails(opened.file.read_at(&cx(), 0, 1).await, ErrorKind::Stale);
    gate.arrived(1).await;
    gate.release();
    pair.until_handles(0).await;
}

#[tokio::test]
async fn a_file_that_was_written_is_closed_with_its_error() {
    let memory = FaultVolume::new(MemVolume::new());
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    let opened = volume.open(&cx(), &p("f"), OpenHow::create(Create::New)).await.unwrap();
    memory.fail(Op::Close, 1, ErrorKind::NoSpace);
    fails(opened.file.close(&cx(), Close::Commit).await, ErrorKind::NoSpace);
}

#[tokio::test]
async fn handles_that_nobody_holds_are_closed() {
    let memory = FaultVolume::new(MemVolume::new());
    put(&*memory, "f", "content").await;
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    // Dropped without close.
    drop(volume.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap());
    pair.until_handles(0).await;
    // Given up while the gateway opens it.
    let gate = memory.gate(Op::Open);
    let (given_up, path) = (volume.clone(), p("f"));
    let open = tokio::spawn(async move { given_up.open(&cx(), &path, OpenHow::read()).await.is_ok() });
    gate.arrived(1).await;
    assert_eq!(pair.server.peers()[0].handles, 1);
    open.abort();
    gate.release();
    pair.until_handles(0).await;
}

#[tokio::test]
async fn the_limit_on_handles_is_an_answer() {
    let limits = PeerLimits { handles: 3, ..PeerLimits::default() };
    let memory = MemVolume::new();
    put(&*memory, "f", "x").await;
    let pair = Pair::with(memory, limits).await;
    let volume = pair.volume().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(volume.open(&cx(), &p("f"), OpenHow::read()).await.unwrap());
    }
    fails(volume.open(&cx(), &p("f"), OpenHow::read()).await, ErrorKind::TooManyOpen);
    open.pop();
    pair.until_handles(2).await;
    volume.open(&cx(), &p("f"), OpenHow::read()).await.unwrap();
}

#[tokio::test]
async fn long_reads_and_writes_go_in_pieces() {
    let pair = Pair::serving(MemVolume::new()).await;
    let volume = pair.volume().await;
    let content: Bytes = (0..9 * 1024 * 1024u32).map(|n| (n / 7) as u8).collect();
    let opened = volume.open(&cx(), &p("big"), OpenHow::create(Create::New)).await.unwrap();
    opened.file.write_at(&cx(), 3, content.clone()).await.unwrap();
    let read = opened.file.read_at(&cx(), 3, 64 * 1024 * 1024).await.unwrap();
    assert!(read == content, "{} bytes read of {}", read.len(), content.len());
    let end = opened.file.read_at(&cx(), 3 + content.len() as u64, 64 * 1024 * 1024).await.unwrap();
    assert!(end.is_empty());
}

#[tokio::test]
async fn without_a_link_everything_is_offline_and_nothing_is_promised() {
    let pair = Pair::serving(MemVolume::new()).await;
    pair.wire.cut();
    pair.until_down().await;
    let volume = pair.named("projects");
    let caps = volume.caps();
    assert!(!caps.watch && !caps.stable_ids && !caps.random_write);
    let quick = Cx::within(&cx(), Duration::from_secs(5));
    fails(volume.stat(&quick, &p("")).await, ErrorKind::Offline);
    fails(volume.open(&quick, &p("f"), OpenHow::create(Create::New)).await, ErrorKind::Offline);
    pair.wire.mend();
    pair.until_up().await;
    assert!(volume.known(&cx()).await.unwrap().watch);
    assert!(volume.caps().watch);
}

#[tokio::test]
async fn a_deadline_is_kept() {
    let memory = FaultVolume::new(MemVolume::new());
    let pair = Pair::serving(memory.clone()).await;
    let volume = pair.volume().await;
    let gate = memory.gate(Op::Stat);
    let soon = cx().within(Duration::from_millis(50));
    fails(volume.stat(&soon, &p("")).await, ErrorKind::TimedOut);
    drop(gate);
    volume.stat(&cx(), &p("")).await.unwrap();
}

#[tokio::test]
async fn a_copy_crosses_the_link_as_one_call_without_its_bytes() {
    let memory = MemVolume::new();
    let content = testkit::Rng::new(1).bytes(200_000);
    put(&*memory, "source", &content).await;
    let pair = Pair::serving(memory).await;
    let volume = pair.volume().await;
    let source = volume.open(&cx(), &p("source"), OpenHow::read()).await.unwrap().file;
    let target = volume.open(&cx(), &p("target"), OpenHow::create(Create::New)).await.unwrap().file;
    let before = volume.link_stats();
    let copied = target.copy_from(&cx(), 3, &source, 0, 200_000, Copying::Any).await.unwrap();
    let after = volume.link_stats();
    assert_eq!((copied, after.calls - before.calls), (200_000, 1));
    let moved = (after.bytes_in - before.bytes_in) + (after.bytes_out - before.bytes_out);
    assert!(moved < 10_000, "{moved} bytes on the wire");
    assert_eq!(ease::get(&*volume, "target").await[3..], content);
    let other = pair.named("projects");
    let foreign = other.open(&cx(), &p("source"), OpenHow::read()).await.unwrap().file;
    let refused = target.copy_from(&cx(), 0, &foreign, 0, 5, Copying::Any).await;
    fails(refused, ErrorKind::Unsupported);
}

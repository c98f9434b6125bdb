//! What objects carry, holes and copies, as front ends ask for them.

use crate::tools::{LOOK, READ, Site, WRITE, ask, site, word};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use testkit::ease::{cx, get, p};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use vfs::{Access, Caching, Disposition, Filter, NotifyBatch, Range, RenameHow, Vfs, VfsConfig, Want};
use volume::{Carries, Change, Copying, Named, NamedEntry, Volume};

const MIB: u64 = 1 << 20;

fn bytes(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

fn names(entries: Vec<NamedEntry>) -> Vec<Named> {
    let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

/// A volume that cannot do some things.
fn lesser(change: impl FnOnce(&mut volume::Caps)) -> Site {
    let mut config = MemConfig::default();
    change(&mut config.caps);
    let mem = MemVolume::with(config);
    Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem }
}

#[tokio::test]
async fn values_are_found_in_any_spelling_and_the_same_spelling_wins() {
    let site = site();
    let open = site.create("file").await;
    for (name, value) in [(Named::stream("Zone.Identifier"), "zone"), (Named::extended("Größe"), "size")] {
        open.set_named(&cx(), &name, bytes(value)).await.unwrap();
        let other = match &name {
            Named::Stream(_) => Named::stream("ZONE.identifier"),
            _ => Named::extended("GRÖßE"),
        };
        assert_eq!(open.named(&cx(), &name).await.unwrap(), bytes(value));
        assert_eq!(open.named(&cx(), &other).await.unwrap(), bytes(value));
        open.set_named(&cx(), &other, bytes("new")).await.unwrap();
        let listed = names(open.list_named(&cx(), name.kind()).await.unwrap());
        assert_eq!(listed, std::slice::from_ref(&name), "what is there keeps its spelling");
        assert_eq!(open.named(&cx(), &name).await.unwrap(), bytes("new"));
        let attr = open.set_named(&cx(), &other, None).await.unwrap();
        assert!(!attr.carries.intersects(name.kind()));
        assert_eq!(open.named(&cx(), &name).await.unwrap(), None);
    }
    // Linux users may have made both.
    for (name, value) in [("both", "lower"), ("BOTH", "upper")] {
        let (path, name) = (p("file"), Named::extended(name));
        let change = Change::SetNamed { path, name, value: bytes(value), expect: None };
        site.mem.apply(&cx(), &change).await.unwrap();
    }
    for (name, value) in [("both", "lower"), ("BOTH", "upper"), ("Both", "upper")] {
        assert_eq!(open.named(&cx(), &Named::extended(name)).await.unwrap(), bytes(value), "{name}");
    }
    let invalid = open.set_named(&cx(), &Named::stream("a\0"), bytes("x")).await;
    assert_eq!(word(invalid), "NameInvalid");
}

#[tokio::test]
async fn a_plain_file_is_asked_for_no_streams_and_no_descriptor() {
    let mem = MemVolume::new();
    let far = FaultVolume::new(mem.clone());
    let site = Site { vfs: Vfs::new(far.clone(), VfsConfig::default()), mem };
    let open = site.create("file").await;
    let plain = Carries::STREAMS | Carries::DESCRIPTOR;
    assert!(open.list_named(&cx(), plain).await.unwrap().is_empty());
    for name in [Named::Descriptor, Named::stream("s")] {
        assert_eq!(open.named(&cx(), &name).await.unwrap(), None);
        open.set_named(&cx(), &name, None).await.unwrap();
    }
    let asked = |op| far.counts().of(op);
    assert_eq!((asked(Op::Named), asked(Op::ListNamed), asked(Op::Apply)), (0, 0, 0));
    open.set_named(&cx(), &Named::Descriptor, bytes("d")).await.unwrap();
    assert_eq!(open.named(&cx(), &Named::Descriptor).await.unwrap(), bytes("d"));
    assert_eq!((asked(Op::Named), asked(Op::ListNamed), asked(Op::Apply)), (1, 0, 1));
}

#[tokio::test]
async fn values_follow_the_name_of_files_and_directories() {
    let site = site();
    let dir = site.make_dir("dir").await;
    dir.set_named(&cx(), &Named::Descriptor, bytes("of dir")).await.unwrap();
    drop(site.create("dir/file").await);
    let file = site.open("dir/file", LOOK).await;
    file.set_named(&cx(), &Named::stream("s"), bytes("of file")).await.unwrap();
    let how = RenameHow { posix: true, ..RenameHow::default() };
    dir.rename(&cx(), &p("moved"), how).await.unwrap();
    assert_eq!(dir.named(&cx(), &Named::Descriptor).await.unwrap(), bytes("of dir"));
    assert_eq!(file.named(&cx(), &Named::stream("s")).await.unwrap(), bytes("of file"));
    file.set_named(&cx(), &Named::stream("S"), bytes("again")).await.unwrap();
    let there = site.mem.named(&cx(), &p("moved/file"), None, &Named::stream("s")).await.unwrap();
    assert_eq!(there, bytes("again"));
    file.close(&cx()).await.unwrap();
    assert_eq!(word(file.named(&cx(), &Named::stream("s")).await), "Closed");
    assert_eq!(word(file.set_named(&cx(), &Named::stream("s"), None).await), "Closed");
}

#[tokio::test]
async fn watchers_are_told_which_kind_of_value_was_set() {
    let site = lesser(|caps| caps.watch = false);
    let open = site.create("file").await;
    for (name, filter, others) in [
        (Named::extended("a"), Filter::EA, Filter::all() - Filter::EA),
        (Named::Descriptor, Filter::SECURITY, Filter::all() - Filter::SECURITY),
        (Named::stream("s"), Filter::STREAM_NAME, Filter::all() - Filter::STREAM_NAME),
    ] {
        let (root, deaf) = (site.open("", READ).await, site.open("", READ).await);
        let mut told = Box::pin(root.notify(filter, false));
        let mut untold = Box::pin(deaf.notify(others, false));
        assert!(look(&mut told).is_none() && look(&mut untold).is_none());
        open.set_named(&cx(), &name, bytes("v")).await.unwrap();
        assert!(look(&mut untold).is_none(), "{name}");
        match told.await.unwrap() {
            NotifyBatch::Events(events) => assert_eq!(&*events[0].name, "file"),
            NotifyBatch::Overflow => panic!("one event is not too many"),
        }
    }
}

/// One look at a future.
fn look<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn where_nothing_can_be_set() {
    let site = lesser(|caps| caps.named = false);
    let open = site.create("file").await;
    assert_eq!(open.named(&cx(), &Named::extended("a")).await.unwrap(), None);
    assert!(open.list_named(&cx(), Carries::all()).await.unwrap().is_empty());
    for value in [bytes("v"), None] {
        assert_eq!(word(open.set_named(&cx(), &Named::extended("a"), value).await), "Unsupported");
    }
    let config = VfsConfig { read_only: true, ..VfsConfig::default() };
    let read_only = Site { vfs: Vfs::new(site.mem.clone(), config), mem: site.mem.clone() };
    let open = read_only.open("file", LOOK).await;
    assert_eq!(word(open.set_named(&cx(), &Named::Descriptor, bytes("v")).await), "ReadOnly");
    let site = crate::tools::site();
    let open = site.create("file").await;
    let too_much = Bytes::from(vec![0; site.mem.caps().named_max as usize + 1]);
    assert_eq!(word(open.set_named(&cx(), &Named::stream("s"), Some(too_much)).await), "NoSpace");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_spellings_at_once_are_one_value() {
    for _ in 0..50 {
        let site = site();
        drop(site.create("file").await);
        let (one, two) = (site.open("file", LOOK).await, site.open("file", LOOK).await);
        let set = |open: Arc<vfs::Open>, name: &'static str| {
            tokio::spawn(async move { open.set_named(&cx(), &Named::stream(name), bytes("v")).await })
        };
        let (first, second) = (set(one.clone(), "stream"), set(two, "STREAM"));
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(one.list_named(&cx(), Carries::STREAMS).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_value_whose_caller_went_away_is_set() {
    let mem = MemVolume::new();
    let far = FaultVolume::new(mem.clone());
    let site = Site { vfs: Vfs::new(far.clone(), VfsConfig::default()), mem };
    let open = site.create("file").await;
    let gate = far.gate(Op::Apply);
    let setting = tokio::spawn({
        let open = open.clone();
        async move { open.set_named(&cx(), &Named::Descriptor, bytes("d")).await }
    });
    gate.arrived(1).await;
    setting.abort();
    assert!(setting.await.is_err());
    let closing = tokio::spawn(async move { open.close(&cx()).await });
    tokio::task::yield_now().await;
    assert!(!closing.is_finished(), "an open ends after its last change");
    gate.release();
    closing.await.unwrap().unwrap();
    let there = site.mem.named(&cx(), &p("file"), None, &Named::Descriptor).await.unwrap();
    assert_eq!(there, bytes("d"));
}

#[tokio::test]
async fn zeros_and_ranges_with_holes_and_without() {
    for site in [site(), lesser(|caps| caps.holes = false)] {
        let holes = site.mem.caps().holes;
        let open = site.create("file").await;
        let size = 3 * MIB + 5;
        open.write(&cx(), 0, Bytes::from(vec![7; size as usize])).await.unwrap();
        open.zero(&cx(), 10, 2 * MIB).await.unwrap();
        open.zero(&cx(), size - 3, u64::MAX / 2).await.unwrap();
        open.zero(&cx(), 0, 0).await.unwrap();
        let mut wanted = vec![7; size as usize];
        wanted[10..10 + 2 * MIB as usize].fill(0);
        wanted[size as usize - 3..].fill(0);
        assert!(get(&*site.mem, "file").await == wanted, "holes: {holes}");
        let ranges = open.ranges(&cx(), 5, u64::MAX).await.unwrap();
        match holes {
            true => {
                assert!(ranges.len() == 2 && ranges[0].start == 5 && ranges[1].start >= 2 * MIB, "{ranges:?}")
            }
            false => assert_eq!(ranges, [std::ops::Range { start: 5, end: size }]),
        }
        assert!(open.ranges(&cx(), size, 10).await.unwrap().is_empty());
        let reserved = open.reserve(&cx(), 5 * MIB).await;
        match holes {
            true => assert_eq!(reserved.unwrap().allocated, 5 * MIB),
            false => assert_eq!(word(reserved), "Unsupported"),
        }
        let reader = site.open("file", READ).await;
        assert_eq!(word(reader.zero(&cx(), 0, 1).await), "AccessDenied");
        assert_eq!(word(reader.reserve(&cx(), 1).await), "AccessDenied");
        assert_eq!(word(site.open("file", LOOK).await.ranges(&cx(), 0, 1).await), "AccessDenied");
        assert_eq!(word(open.zero(&cx(), u64::MAX, 2).await), "InvalidArgument(\"a change beyond 2^64\")");
    }
}

#[tokio::test]
async fn copies_with_the_origins_help_and_without() {
    for site in [site(), lesser(|caps| (caps.copies, caps.clones) = (false, false))] {
        let content = testkit::Rng::new(1).bytes(3 * MIB as usize + 77);
        let size = content.len() as u64;
        let source = site.create("source").await;
        source.write(&cx(), 0, Bytes::from(content.clone())).await.unwrap();
        let target = site.create("target").await;
        let patience = cx();
        let copy =
            |offset, from, length| target.copy_from(&patience, &source, offset, from, length, Copying::Any);
        assert_eq!(copy(3, 5, u64::MAX - 100).await.unwrap(), size - 5, "to the end of the source");
        let mut wanted = [&[0; 3], &content[5..]].concat();
        assert!(get(&*site.mem, "target").await == wanted);
        assert_eq!(copy(0, size, 10).await.unwrap(), 0);
        assert_eq!(copy(0, 0, 0).await.unwrap(), 0);
        assert_eq!(copy(1, 0, 2 * MIB).await.unwrap(), 2 * MIB);
        wanted[1..1 + 2 * MIB as usize].copy_from_slice(&content[..2 * MIB as usize]);
        assert!(get(&*site.mem, "target").await == wanted);
        let cloned = target.copy_from(&cx(), &source, 0, 0, MIB, Copying::Clone).await;
        match site.mem.caps().clones {
            true => assert_eq!(cloned.unwrap(), MIB),
            false => assert_eq!(word(cloned), "Unsupported"),
        }
    }
}

#[tokio::test]
async fn what_overlaps_is_copied_as_if_it_had_been_read_first() {
    let site = site();
    let length = 3 * MIB as usize + 500;
    for (from, to) in [(0, 100), (100, 0), (0, MIB as usize + 3), (2 * MIB as usize, 5), (9, 9)] {
        let mut content = testkit::Rng::new(2).bytes(5 * MIB as usize);
        let open =
            site.try_open("file", WRITE, |r| r.disposition = Disposition::OverwriteIf).await.unwrap().open;
        open.write(&cx(), 0, Bytes::from(content.clone())).await.unwrap();
        let (to_at, from_at) = (to as u64, from as u64);
        let copied = open.copy_from(&cx(), &open, to_at, from_at, length as u64, Copying::Any).await.unwrap();
        let done = copied as usize;
        assert_eq!(done, length.min(content.len() - from));
        content.copy_within(from..from + done, to);
        assert!(get(&*site.mem, "file").await[..content.len()] == content, "{from} to {to}");
        open.close(&cx()).await.unwrap();
    }
}

#[tokio::test]
async fn files_of_two_volumes_are_copied_through_here() {
    let (one, two) = (site(), site());
    let (source, target) = (one.create("source").await, two.create("target").await);
    source.write(&cx(), 0, Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(target.copy_from(&cx(), &source, 1, 2, 100, Copying::Any).await.unwrap(), 8);
    assert_eq!(get(&*two.mem, "target").await, b"\x0023456789");
    let cloned = target.copy_from(&cx(), &source, 0, 0, 5, Copying::Clone).await;
    assert_eq!(word(cloned), "Unsupported");
}

#[tokio::test]
async fn locks_in_either_file_refuse_zeros_and_copies() {
    let site = site();
    let (source, target) = (site.create("source").await, site.create("target").await);
    for open in [&source, &target] {
        open.write(&cx(), 0, Bytes::from(vec![1; 100])).await.unwrap();
    }
    let patience = cx();
    let copy = |to, from| target.copy_from(&patience, &source, to, from, 10, Copying::Any);
    let other = site.open("source", WRITE).await;
    other.try_lock(Range::new(50, 10), true).unwrap();
    assert_eq!(word(copy(0, 45).await), "LockConflict");
    assert_eq!(word(copy(0, 60).await), "Ok");
    other.unlock(Range::new(50, 10)).unwrap();
    let other = site.open("target", WRITE).await;
    other.try_lock(Range::new(50, 10), false).unwrap();
    assert_eq!(word(copy(45, 0).await), "LockConflict");
    assert_eq!(word(target.zero(&cx(), 0, 51).await), "LockConflict");
    assert_eq!(word(target.zero(&cx(), 0, 50).await), "Ok");
    let (reader, writer) = (site.open("source", READ).await, site.open("target", Access::WRITE_DATA).await);
    assert_eq!(word(reader.copy_from(&cx(), &target, 0, 0, 1, Copying::Any).await), "AccessDenied");
    assert_eq!(word(reader.copy_from(&cx(), &writer, 0, 0, 1, Copying::Any).await), "AccessDenied");
    let dir =
        site.try_open("dir", READ, |r| (r.disposition, r.want) = (Disposition::Create, Want::Dir)).await;
    assert_eq!(
        word(target.copy_from(&cx(), &dir.unwrap().open, 0, 0, 1, Copying::Any).await),
        "IsADirectory"
    );
}

#[tokio::test]
async fn zeros_and_copies_break_who_reads_from_a_cache() {
    let site = crate::caching::watched().await;
    let source = site.create("source").await;
    source.write(&cx(), 0, Bytes::from_static(b"source")).await.unwrap();
    for zeroes in [true, false] {
        let name = if zeroes { "zeroed" } else { "copied" };
        let target = site.create(name).await;
        target.write(&cx(), 0, Bytes::from_static(b"target")).await.unwrap();
        let request = vfs::OpenRequest { caching: Caching::READ, ..ask(name, READ) };
        let reader = site.vfs.open(&cx(), request).await.unwrap();
        assert_eq!(reader.granted.caching, Caching::READ);
        let told: Arc<Mutex<Vec<Caching>>> = Arc::default();
        let ear = told.clone();
        reader.open.listen(Arc::new(move |what| ear.lock().push(what.left)));
        match zeroes {
            true => target.zero(&cx(), 0, 3).await.unwrap(),
            false => drop(target.copy_from(&cx(), &source, 0, 0, 3, Copying::Any).await.unwrap()),
        }
        assert_eq!(*told.lock(), [Caching::empty()], "{name}");
    }
}

//! What is held to limits, and that limits last.

use crate::{Site, UNLIMITED, config, own, owned_by, rules, try_own, user};
use layer_quota::{QuotaConfig, QuotaVolume};
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{cx, fails, get, mkdir, p, put, remove, rename, stat};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use volume::{
    Change, Copying, Create, ErrorKind, File, FileId, Named, Namespace, OpenHow, QuotaFlags, QuotasOf,
    SetAttr, Volume,
};

async fn owned_file(site: &Site, path: &str, owner: &bytes::Bytes) -> Arc<dyn File> {
    let file = site.quotas.open(&cx(), &p(path), OpenHow::create(Create::New)).await.unwrap().file;
    own(&*site.quotas, path, owner).await;
    file
}

#[tokio::test]
async fn a_write_fits_to_the_last_byte_and_not_one_further() {
    let (site, alice) = (Site::counted(MemVolume::new()).await, user(1));
    site.enforce(10).await;
    let file = owned_file(&site, "f", &alice).await;
    file.write_at(&cx(), 0, "0123456789".into()).await.unwrap();
    fails(file.write_at(&cx(), 10, "x".into()).await, ErrorKind::QuotaExceeded);
    fails(file.write_at(&cx(), 100, "x".into()).await, ErrorKind::QuotaExceeded);
    assert_eq!((site.used(&alice).await, get(&*site.quotas, "f").await), (10, b"0123456789".to_vec()));
    let other = owned_file(&site, "g", &alice).await;
    fails(other.write_at(&cx(), 0, "x".into()).await, ErrorKind::QuotaExceeded);
    fails(other.set_attr(&cx(), &SetAttr::size(1)).await, ErrorKind::QuotaExceeded);
    other.write_at(&cx(), 5, "".into()).await.unwrap();
    assert_eq!(stat(&*site.quotas, "g").await.size, 0);

    // Within the size, and shorter, it goes on; what was given back can be taken again.
    file.write_at(&cx(), 0, "abcdefghij".into()).await.unwrap();
    file.set_attr(&cx(), &SetAttr::size(4)).await.unwrap();
    other.write_at(&cx(), 0, "012345".into()).await.unwrap();
    fails(other.write_at(&cx(), 6, "6".into()).await, ErrorKind::QuotaExceeded);
    assert_eq!(site.used(&alice).await, 10);
    // Nobody is held to anything.
    put(&*site.quotas, "nobody's", [0; 100]).await;
    assert_eq!(site.used(&alice).await, 10);
}

#[tokio::test]
async fn nobody_reserves_more_room_than_he_may_have() {
    let (site, alice) = (Site::counted(MemVolume::new()).await, user(1));
    site.enforce(10_000).await;
    let file = owned_file(&site, "f", &alice).await;
    fails(file.allocate(&cx(), 10_001).await, ErrorKind::QuotaExceeded);
    file.allocate(&cx(), 10_000).await.unwrap();
    assert_eq!((site.used(&alice).await, stat(&*site.quotas, "f").await.size), (0, 0));
}

/// What a caller was told that it failed does not begin after that.
#[tokio::test]
async fn what_has_timed_out_before_it_began_is_not_done_later() {
    let faults = FaultVolume::new(MemVolume::new());
    let site = Site::counted(faults.clone()).await;
    put(&*site.quotas, "f", "x").await;
    let file = site.quotas.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    let short = || cx().within(Duration::from_millis(50));
    let gate = faults.gate(Op::Stat);
    gate.let_pass(1);
    let remove = Change::Remove { path: p("f"), dir: false, expect: None };
    fails(site.quotas.apply(&short(), &remove).await, ErrorKind::TimedOut);
    gate.release();
    let gate = faults.gate(Op::Write);
    fails(file.write_at(&short(), 1, "y".into()).await, ErrorKind::TimedOut);
    gate.release();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(get(&*faults, "f").await, b"x");
}

#[tokio::test]
async fn every_way_to_more_is_held_to_limits() {
    let (site, alice, bob) = (Site::counted(MemVolume::new()).await, user(1), user(2));
    let quotas = &*site.quotas;
    site.enforce(10).await;
    put(quotas, "long", [7; 11]).await;
    fails(try_own(quotas, "long", &alice).await, ErrorKind::QuotaExceeded);
    assert_eq!(quotas.named(&cx(), &p("long"), None, &Named::Descriptor).await.unwrap(), None);
    let file = owned_file(&site, "f", &alice).await;
    let long = quotas.open(&cx(), &p("long"), OpenHow::read()).await.unwrap().file;
    for how in [Copying::Any, Copying::Clone] {
        let copied = file.copy_from(&cx(), 0, &long, 0, 11, how).await;
        fails(copied, ErrorKind::QuotaExceeded);
    }
    assert_eq!(file.copy_from(&cx(), 0, &long, 2, 100, Copying::Any).await.unwrap(), 9);
    assert_eq!(file.copy_from(&cx(), 50, &long, 11, 100, Copying::Any).await.unwrap(), 0);
    let longer = Change::SetAttr { path: p("f"), set: SetAttr::size(11), expect: None };
    fails(quotas.apply(&cx(), &longer).await, ErrorKind::QuotaExceeded);
    assert_eq!((site.used(&alice).await, stat(quotas, "f").await.size), (9, 9));

    // An own limit goes before that of all; what is there already stays, and counts for its new owner.
    site.limit(&bob, 20).await;
    own(quotas, "long", &bob).await;
    site.limit(&bob, 3).await;
    assert_eq!((site.used(&bob).await, site.quota(&bob).await.limit), (11, 3));
    let long = quotas.open(&cx(), &p("long"), OpenHow::read_write()).await.unwrap().file;
    long.write_at(&cx(), 0, "within".into()).await.unwrap();
    long.set_attr(&cx(), &SetAttr::size(8)).await.unwrap();
    fails(long.write_at(&cx(), 8, "x".into()).await, ErrorKind::QuotaExceeded);
    // An empty file costs nothing, also who has too much.
    put(quotas, "empty", "").await;
    own(quotas, "empty", &bob).await;
    own(quotas, "long", &bob).await;
    assert_eq!(site.used(&bob).await, 8);
}

#[tokio::test]
async fn what_goes_is_given_back_once_nobody_has_it() {
    let (site, alice) = (Site::counted(MemVolume::new()).await, user(1));
    let quotas = &*site.quotas;
    for path in ["a", "b", "c"] {
        put(quotas, path, [1; 10]).await;
        own(quotas, path, &alice).await;
    }
    let link = Change::Link { from: p("a"), to: p("a2"), replace: false, expect: None };
    quotas.apply(&cx(), &link).await.unwrap();
    assert_eq!(site.used(&alice).await, 30);
    remove(quotas, "a").await;
    assert_eq!(site.used(&alice).await, 30);
    let reader = quotas.open(&cx(), &p("b"), OpenHow::read()).await.unwrap();
    // "b" gives way and is held, then the last name of "a" gives way.
    rename(quotas, "c", "b").await;
    assert_eq!(site.used(&alice).await, 30);
    drop(reader);
    assert_eq!(site.used(&alice).await, 20);
    let link = Change::Link { from: p("b"), to: p("a2"), replace: true, expect: None };
    quotas.apply(&cx(), &link).await.unwrap();
    assert_eq!(site.used(&alice).await, 10);
    let emptied = OpenHow { truncate: true, ..OpenHow::read_write() };
    assert_eq!(quotas.open(&cx(), &p("b"), emptied).await.unwrap().attr.size, 0);
    assert!(quotas.quotas(&cx(), &QuotasOf::All { after: None }).await.unwrap().is_empty());
    remove(quotas, "b").await;
    remove(quotas, "a2").await;
    assert_eq!(site.used(&alice).await, 0);
}

#[tokio::test]
async fn what_comes_to_a_name_just_before_it_is_replaced_is_given_back() {
    for link in [false, true] {
        let faults = FaultVolume::new(MemVolume::new());
        let (site, alice) = (Site::counted(faults.clone()).await, user(1));
        put(&*site.quotas, "f", "01").await;
        let held = faults.gate(Op::Apply);
        let (from, to, replace, expect) = (p("f"), p("g"), true, None);
        let change = match link {
            true => Change::Link { from, to, replace, expect },
            false => Change::Rename { from, to, replace, expect },
        };
        let quotas = site.quotas.clone();
        let moving = tokio::spawn(async move { quotas.apply(&cx(), &change).await });
        held.arrived(1).await;
        // Those that come now do not wait.
        faults.gate(Op::Apply).release();
        put(&*site.quotas, "g", "0123").await;
        own(&*site.quotas, "g", &alice).await;
        assert_eq!(site.used(&alice).await, 4);
        held.release();
        moving.await.unwrap().unwrap();
        assert_eq!((get(&*site.quotas, "g").await, site.used(&alice).await), (b"01".to_vec(), 0));
    }
}

#[tokio::test]
async fn a_copy_is_no_longer_than_its_source_was() {
    let faults = FaultVolume::new(MemVolume::new());
    let (site, alice) = (Site::counted(faults.clone()).await, user(1));
    let file = owned_file(&site, "f", &alice).await;
    file.write_at(&cx(), 0, "0123".into()).await.unwrap();
    put(&*site.quotas, "source", "ab").await;
    let source = site.quotas.open(&cx(), &p("source"), OpenHow::read_write()).await.unwrap().file;
    let copies = faults.gate(Op::Copy);
    let copying = tokio::spawn({
        let source = source.clone();
        async move { file.copy_from(&cx(), 0, &source, 0, 100, Copying::Any).await }
    });
    copies.arrived(1).await;
    source.write_at(&cx(), 2, "cdefgh".into()).await.unwrap();
    copies.release();
    assert_eq!(copying.await.unwrap().unwrap(), 2);
    assert_eq!((get(&*site.quotas, "f").await, site.used(&alice).await), (b"ab23".to_vec(), 4));
}

#[tokio::test]
async fn no_directory_moves_while_something_below_is_replaced() {
    let faults = FaultVolume::new(MemVolume::new());
    let (site, alice) = (Site::counted(faults.clone()).await, user(1));
    for (dir, content) in [("d", "0123"), ("e", "01")] {
        mkdir(&*site.quotas, dir).await;
        put(&*site.quotas, &format!("{dir}/t"), content).await;
        own(&*site.quotas, &format!("{dir}/t"), &alice).await;
    }
    put(&*site.quotas, "f", "").await;
    let held = faults.gate(Op::Apply);
    let renaming = |from: &'static str, to: &'static str| {
        let quotas = site.quotas.clone();
        tokio::spawn(async move { rename(&*quotas, from, to).await })
    };
    let replacing = renaming("f", "d/t");
    held.arrived(1).await;
    // Those that come now do not wait, and still none gets there.
    faults.gate(Op::Apply).release();
    let (first, second) = (renaming("d", "g"), renaming("e", "d"));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.used(&alice).await, 6);
    held.release();
    replacing.await.unwrap();
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!((site.used(&alice).await, get(&*site.quotas, "d/t").await), (2, b"01".to_vec()));
}

#[tokio::test]
async fn what_fails_at_the_origin_is_given_back() {
    let faults = FaultVolume::new(MemVolume::new());
    let (site, alice, bob) = (Site::counted(faults.clone()).await, user(1), user(2));
    let quotas = &*site.quotas;
    site.enforce(10).await;
    let file = owned_file(&site, "f", &alice).await;
    faults.fail(Op::Write, 1, ErrorKind::NoSpace);
    fails(file.write_at(&cx(), 0, "0123456789".into()).await, ErrorKind::NoSpace);
    assert_eq!(site.used(&alice).await, 0);
    faults.lose_answer(Op::Write, 1, ErrorKind::Io);
    fails(file.write_at(&cx(), 0, "01234567".into()).await, ErrorKind::Io);
    assert_eq!(site.used(&alice).await, 8);
    faults.fail(Op::SetAttr, 1, ErrorKind::Io);
    fails(file.set_attr(&cx(), &SetAttr::size(10)).await, ErrorKind::Io);
    assert_eq!(site.used(&alice).await, 8);
    faults.fail(Op::Apply, 1, ErrorKind::Io);
    fails(try_own(quotas, "f", &bob).await, ErrorKind::Io);
    assert_eq!((site.used(&alice).await, site.used(&bob).await), (8, 0));
    faults.lose_answer(Op::Apply, 1, ErrorKind::Io);
    fails(try_own(quotas, "f", &bob).await, ErrorKind::Io);
    assert_eq!((site.used(&alice).await, site.used(&bob).await), (0, 8));
    faults.lose_answer(Op::Apply, 1, ErrorKind::Io);
    let gone = Change::Remove { path: p("f"), dir: false, expect: None };
    fails(quotas.apply(&cx(), &gone).await, ErrorKind::Io);
    assert_eq!(site.used(&bob).await, 8, "a handle has it");
    drop(file);
    assert_eq!(site.used(&bob).await, 0);
    assert_eq!(site.flags().await, QuotaFlags::TRACK | QuotaFlags::ENFORCE);
}

#[tokio::test]
async fn what_nobody_can_tell_is_a_doubt() {
    let faults = FaultVolume::new(MemVolume::new());
    let (site, alice) = (Site::counted(faults.clone()).await, user(1));
    let file = owned_file(&site, "f", &alice).await;
    faults.lose_answer(Op::Write, 1, ErrorKind::Io);
    faults.fail(Op::Attr, 1, ErrorKind::Io);
    fails(file.write_at(&cx(), 0, "0123".into()).await, ErrorKind::Io);
    assert_eq!(site.flags().await, QuotaFlags::TRACK | QuotaFlags::INCOMPLETE);
    site.quotas.recount();
    site.quotas.counted().await;
    assert_eq!((site.flags().await, site.used(&alice).await), (QuotaFlags::TRACK, 4));
}

#[tokio::test]
async fn who_gives_up_a_write_has_it_counted_all_the_same() {
    let faults = FaultVolume::new(MemVolume::new());
    let (site, alice) = (Site::counted(faults.clone()).await, user(1));
    let file = owned_file(&site, "f", &alice).await;
    let gate = faults.gate(Op::Write);
    let writing = tokio::spawn({
        let file = file.clone();
        async move { file.write_at(&cx(), 0, "0123".into()).await }
    });
    gate.arrived(1).await;
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    gate.release();
    // The next change waits for it.
    file.write_at(&cx(), 4, "45".into()).await.unwrap();
    assert_eq!((site.used(&alice).await, get(&*site.quotas, "f").await), (6, b"012345".to_vec()));
}

#[tokio::test]
async fn within_the_size_nothing_is_asked_and_writes_go_side_by_side() {
    let faults = FaultVolume::new(MemVolume::new());
    let (site, alice) = (Site::counted(faults.clone()).await, user(1));
    let file = owned_file(&site, "f", &alice).await;
    file.set_attr(&cx(), &SetAttr::size(8)).await.unwrap();
    let before = faults.counts().total();
    let gate = faults.gate(Op::Write);
    let cx = cx();
    let both =
        async { tokio::join!(file.write_at(&cx, 0, "0123".into()), file.write_at(&cx, 4, "4567".into())) };
    let released = async {
        gate.arrived(2).await;
        gate.let_pass(2);
    };
    let ((first, second), ()) = tokio::join!(both, released);
    first.and(second).unwrap();
    assert_eq!(faults.counts().total() - before, 2);
}

#[tokio::test]
async fn limits_outlive_the_volume() {
    let (mem, alice) = (MemVolume::new(), user(1));
    let Site { quotas, dir } = Site::counted(mem.clone()).await;
    let site = Site { quotas, dir };
    site.limit(&alice, 10).await;
    site.enforce(7).await;
    let set = site.quota(&alice).await;
    put(&*site.quotas, "f", "01234567").await;
    own(&*site.quotas, "f", &alice).await;
    let Site { quotas, dir } = site;
    drop(quotas);
    let quotas = QuotaVolume::open(mem, config(&dir)).await.unwrap();
    quotas.counted().await;
    let site = Site { quotas, dir };
    assert_eq!(site.quota(&alice).await, volume::UserQuota { used: 8, ..set });
    let rules = site.quotas.quota_rules(&cx()).await.unwrap();
    assert_eq!((rules.flags, rules.limit), (QuotaFlags::TRACK | QuotaFlags::ENFORCE, 7));
    let file = site.quotas.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    fails(file.write_at(&cx(), 8, "890".into()).await, ErrorKind::QuotaExceeded);
    file.write_at(&cx(), 8, "89".into()).await.unwrap();
}

#[tokio::test]
async fn limits_that_cannot_be_kept_do_not_hold() {
    let site = Site::counted(MemVolume::new()).await;
    let before = site.quotas.quota_rules(&cx()).await.unwrap();
    std::fs::create_dir(config(&site.dir).limits).unwrap();
    let rules = volume::QuotaRules { flags: QuotaFlags::ENFORCE, threshold: 1, limit: 1 };
    let set = site.quotas.set_quotas(&cx(), &volume::QuotaChange::Rules(rules)).await;
    fails(set, ErrorKind::Io);
    assert_eq!(site.quotas.quota_rules(&cx()).await.unwrap(), before);
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let limits = dir.path().join("quotas.json");
    let open = |caps: fn(&mut volume::Caps)| {
        let mut mem = MemConfig::default();
        caps(&mut mem.caps);
        QuotaVolume::open(MemVolume::with(mem), QuotaConfig::new(&limits))
    };
    fails(open(|caps| caps.named = false).await.map(drop), ErrorKind::Unsupported);
    fails(open(|caps| caps.namespace = Namespace::Keys).await.map(drop), ErrorKind::Unsupported);
    std::fs::write(&limits, "{\"version\": 2}").unwrap();
    let error = fails(open(|_| ()).await.map(drop), ErrorKind::Io);
    assert!(error.to_string().contains("its version is 2"), "{error}");
    assert_eq!(std::fs::read_to_string(&limits).unwrap(), "{\"version\": 2}");
}

#[tokio::test]
async fn where_nothing_is_tracked_nothing_is_counted_until_it_is() {
    let (site, alice) = (Site::counted(MemVolume::new()).await, user(1));
    let quotas = &*site.quotas;
    let file = owned_file(&site, "f", &alice).await;
    file.write_at(&cx(), 0, "0123".into()).await.unwrap();
    assert_eq!(site.used(&alice).await, 4);
    rules(quotas, QuotaFlags::empty(), 1).await;
    assert_eq!((site.used(&alice).await, site.flags().await), (0, QuotaFlags::empty()));
    file.write_at(&cx(), 4, "4567".into()).await.unwrap();
    put(quotas, "g", "01").await;
    own(quotas, "g", &alice).await;
    assert_eq!(site.used(&alice).await, 0);
    rules(quotas, QuotaFlags::TRACK, UNLIMITED).await;
    quotas.counted().await;
    file.write_at(&cx(), 8, "8".into()).await.unwrap();
    assert_eq!(site.used(&alice).await, 11);
}

#[tokio::test]
async fn what_is_expected_and_is_not_there_is_stale() {
    let (site, alice) = (Site::counted(MemVolume::new()).await, user(1));
    let quotas = &*site.quotas;
    put(quotas, "f", "0123").await;
    own(quotas, "f", &alice).await;
    let expect = Some(FileId { hi: 9, lo: 9 });
    let value = Some(owned_by(&user(2)));
    for change in [
        Change::Remove { path: p("f"), dir: false, expect },
        Change::SetAttr { path: p("f"), set: SetAttr::size(0), expect },
        Change::SetNamed { path: p("f"), name: Named::Descriptor, value, expect },
        Change::Rename { from: p("f"), to: p("g"), replace: true, expect },
        Change::Link { from: p("f"), to: p("g"), replace: true, expect },
    ] {
        fails(quotas.apply(&cx(), &change).await, ErrorKind::Stale);
    }
    assert_eq!(site.used(&alice).await, 4);
}

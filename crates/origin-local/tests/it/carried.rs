//! What files carry, as others on this machine see it and change it.

use crate::fresh;
use origin_local::LocalVolume;
use rustix::fs::{XattrFlags, getxattr, listxattr, removexattr, setxattr};
use std::path::Path;
use testkit::ease::{self, cx, fails, p, stat};
use volume::{Attr, Carries, Change, DosAttributes, ErrorKind, Named, Result, SetAttr, Volume};

async fn try_set(volume: &LocalVolume, path: &str, name: Named, value: Option<&[u8]>) -> Result<Attr> {
    let value = value.map(|value| value.to_vec().into());
    let change = Change::SetNamed { path: p(path), name, value, expect: None };
    volume.apply(&cx(), &change).await.map(|applied| applied.attr.expect("attributes"))
}

async fn set(volume: &LocalVolume, path: &str, name: Named, value: &[u8]) -> Carries {
    try_set(volume, path, name, Some(value)).await.unwrap().carries
}

async fn value(volume: &LocalVolume, path: &str, name: Named) -> Option<Vec<u8>> {
    volume.named(&cx(), &p(path), None, &name).await.unwrap().map(|value| value.to_vec())
}

fn there(path: &Path, attribute: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 4096];
    let length = getxattr(path, attribute, &mut buffer[..]).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

#[tokio::test]
async fn what_linux_users_set_is_seen_and_the_other_way_round() {
    let (dir, volume) = fresh();
    ease::put(&*volume, "f", "x").await;
    let file = dir.path().join("f");
    setxattr(&file, "user.theirs", b"1", XattrFlags::empty()).unwrap();
    assert_eq!(stat(&*volume, "f").await.carries, Carries::empty(), "a hint, for those set here alone");
    assert_eq!(volume.list_named(&cx(), &p("f"), None).await.unwrap().len(), 1);
    assert_eq!(value(&volume, "f", Named::extended("theirs")).await, Some(b"1".to_vec()));
    set(&volume, "f", Named::extended("ours"), b"2").await;
    assert_eq!(there(&file, "user.ours"), Some(b"2".to_vec()));
    let left = try_set(&volume, "f", Named::extended("ours"), None).await.unwrap().carries;
    assert_eq!(left, Carries::EXTENDED, "theirs is there still");
}

#[tokio::test]
async fn what_is_ours_is_hidden_and_refused() {
    let (dir, volume) = fresh();
    ease::put(&*volume, "f", "x").await;
    set(&volume, "f", Named::stream("s"), b"stream").await;
    set(&volume, "f", Named::Descriptor, b"descriptor").await;
    let file = dir.path().join("f");
    assert_eq!(there(&file, "user.farshare.stream.s"), Some(b"stream".to_vec()));
    assert_eq!(there(&file, "user.farshare.security"), Some(b"descriptor".to_vec()));
    let listed = volume.list_named(&cx(), &p("f"), None).await.unwrap();
    assert!(listed.iter().all(|entry| !matches!(entry.name, Named::Extended(_))), "{listed:?}");
    for name in ["farshare.attr", "farshare.security", "farshare.stream.s", "farshare.x"] {
        assert_eq!(value(&volume, "f", Named::extended(name)).await, None, "{name}");
        for order in [Some(&b"x"[..]), None] {
            fails(try_set(&volume, "f", Named::extended(name), order).await, ErrorKind::InvalidName);
        }
    }
    assert_eq!(value(&volume, "f", Named::stream("s")).await, Some(b"stream".to_vec()));
}

#[tokio::test]
async fn flags_and_bits_share_an_attribute_and_leave_each_other_alone() {
    let (dir, volume) = fresh();
    ease::put(&*volume, "f", "x").await;
    let bits = |dos| Change::SetAttr {
        path: p("f"),
        set: SetAttr { dos: Some(dos), ..SetAttr::default() },
        expect: None,
    };
    ease::apply(&*volume, bits(DosAttributes::HIDDEN)).await;
    set(&volume, "f", Named::stream("s"), b"1").await;
    assert_eq!(stat(&*volume, "f").await.dos, DosAttributes::HIDDEN);
    ease::apply(&*volume, bits(DosAttributes::empty())).await;
    assert_eq!(ease::list(&*volume, "").await[0].attr.carries, Carries::STREAMS);
    try_set(&volume, "f", Named::stream("s"), None).await.unwrap();
    let mut names = [0; 256];
    let length = listxattr(dir.path().join("f"), &mut names[..]).unwrap();
    let names = String::from_utf8_lossy(&names[..length]).into_owned();
    assert!(!names.contains("farshare"), "nothing stays behind: {names:?}");
}

#[tokio::test]
async fn an_end_between_flag_and_value_says_too_much_and_never_too_little() {
    let (dir, volume) = fresh();
    ease::put(&*volume, "f", "x").await;
    set(&volume, "f", Named::Descriptor, b"d").await;
    removexattr(dir.path().join("f"), "user.farshare.security").unwrap();
    assert_eq!(stat(&*volume, "f").await.carries, Carries::DESCRIPTOR);
    assert_eq!(value(&volume, "f", Named::Descriptor).await, None);
    let attr = try_set(&volume, "f", Named::Descriptor, None).await.unwrap();
    assert_eq!(attr.carries, Carries::empty(), "mended by the next change of it");
}

#[tokio::test]
async fn what_finds_no_room_changes_nothing() {
    let (_dir, volume) = fresh();
    ease::put(&*volume, "f", "x").await;
    ease::mkdir(&*volume, "d").await;
    for path in ["f", "d"] {
        let large = vec![1; 60_000];
        let mut refused = None;
        for number in 0..200 {
            let name = Named::stream(format!("s{number}"));
            if let Err(e) = try_set(&volume, path, name.clone(), Some(&large)).await {
                refused = Some((name, e));
                break;
            }
        }
        let Some((name, error)) = refused else {
            eprintln!("skipped: this file system has room for twelve megabytes beside one object");
            return;
        };
        assert_eq!(error.kind, ErrorKind::NoSpace);
        let listed = volume.list_named(&cx(), &p(path), None).await.unwrap();
        assert!(listed.iter().all(|entry| entry.name != name));
        let carries = stat(&*volume, path).await.carries;
        assert_eq!(carries.contains(Carries::STREAMS), !listed.is_empty(), "no flag for nothing");
    }
}

#[tokio::test]
async fn names_that_are_not_utf8_come_back() {
    let (dir, volume) = fresh();
    ease::put(&*volume, "f", "x").await;
    setxattr(dir.path().join("f"), &b"user.caf\xe9"[..], b"1", XattrFlags::empty()).unwrap();
    let listed = volume.list_named(&cx(), &p("f"), None).await.unwrap();
    assert_eq!(listed[0].name, Named::extended("caf\u{efe9}"));
    assert_eq!(value(&volume, "f", listed[0].name.clone()).await, Some(b"1".to_vec()));
}

#[tokio::test]
async fn without_extended_attributes_it_says_so() {
    let config = origin_local::LocalConfig::default();
    let volume = LocalVolume::open(Path::new("/proc/self"), config).expect("a volume");
    assert!(!volume.caps().named);
    fails(volume.list_named(&cx(), &p("status"), None).await, ErrorKind::Unsupported);
    fails(volume.named(&cx(), &p("status"), None, &Named::Descriptor).await, ErrorKind::Unsupported);
    fails(try_set(&volume, "status", Named::Descriptor, Some(b"x")).await, ErrorKind::Unsupported);
}

//! What objects carry besides their content: attributes, streams, descriptors.

use crate::ease::{apply, cx, fails, fails_with, get, mkdir, p, put, remove, rename, stat};
use bytes::Bytes;
use std::collections::BTreeMap;
use volume::{Applied, Carries, Change, ErrorKind, FileId, Named, OpenHow, Result, Volume};

fn setting(path: &str, name: &Named, value: Option<&[u8]>) -> Change {
    let value = value.map(Bytes::copy_from_slice);
    Change::SetNamed { path: p(path), name: name.clone(), value, expect: None }
}

async fn set(volume: &dyn Volume, path: &str, name: &Named, value: &[u8]) -> Carries {
    let attr = apply(volume, setting(path, name, Some(value))).await;
    attr.expect("setting a value tells the attributes").carries
}

async fn take(volume: &dyn Volume, path: &str, name: &Named) -> Carries {
    let attr = apply(volume, setting(path, name, None)).await;
    attr.expect("taking a value away tells the attributes").carries
}

async fn try_set(volume: &dyn Volume, path: &str, name: &Named, value: &[u8]) -> Result<Applied> {
    volume.apply(&cx(), &setting(path, name, Some(value))).await
}

async fn value(volume: &dyn Volume, path: &str, name: &Named) -> Option<Bytes> {
    let came = volume.named(&cx(), &p(path), None, name).await;
    came.unwrap_or_else(|e| panic!("{name} of {path}: {e}"))
}

/// Names and sizes.
async fn carried(volume: &dyn Volume, path: &str) -> BTreeMap<Named, u64> {
    let came = volume.list_named(&cx(), &p(path), None).await.unwrap_or_else(|e| panic!("{path}: {e}"));
    let count = came.len();
    let all: BTreeMap<_, _> = came.into_iter().map(|entry| (entry.name, entry.size)).collect();
    assert_eq!(all.len(), count, "a name came twice");
    all
}

fn three() -> [Named; 3] {
    [Named::extended("origin"), Named::stream("Zone.Identifier"), Named::Descriptor]
}

/// Whether the volume can; where it cannot, that it says so.
async fn can(volume: &dyn Volume) -> bool {
    if volume.caps().named {
        assert!(volume.caps().named_max > 0);
        return true;
    }
    put(volume, "f", "x").await;
    for name in three() {
        fails(volume.named(&cx(), &p("f"), None, &name).await, ErrorKind::Unsupported);
        fails(try_set(volume, "f", &name, b"x").await, ErrorKind::Unsupported);
    }
    fails(volume.list_named(&cx(), &p("f"), None).await, ErrorKind::Unsupported);
    assert_eq!(stat(volume, "f").await.carries, Carries::empty());
    false
}

pub(super) async fn named_values_are_kept(volume: &dyn Volume) {
    if !can(volume).await {
        return;
    }
    put(volume, "f", "content").await;
    mkdir(volume, "d").await;
    for path in ["f", "d", ""] {
        assert_eq!(stat(volume, path).await.carries, Carries::empty());
        assert!(carried(volume, path).await.is_empty());
        let mut carries = Carries::empty();
        for (number, name) in three().iter().enumerate() {
            assert_eq!(value(volume, path, name).await, None);
            carries |= name.kind();
            let bytes = vec![number as u8; 10 + number];
            assert_eq!(set(volume, path, name, &bytes).await, carries, "{name} of {path:?}");
            assert_eq!(stat(volume, path).await.carries, carries);
            assert_eq!(value(volume, path, name).await, Some(bytes.into()));
        }
        assert_eq!(carried(volume, path).await, three().into_iter().zip([10, 11, 12]).collect());
        let [attribute, stream, descriptor] = three();
        set(volume, path, &stream, b"").await;
        assert_eq!(value(volume, path, &stream).await, Some(Bytes::new()), "an empty value is one");
        set(volume, path, &descriptor, b"\0other\xff").await;
        assert_eq!(value(volume, path, &descriptor).await, Some(Bytes::from_static(b"\0other\xff")));
        assert_eq!(take(volume, path, &stream).await, Carries::EXTENDED | Carries::DESCRIPTOR);
        assert_eq!(take(volume, path, &stream).await, Carries::EXTENDED | Carries::DESCRIPTOR, "none there");
        assert_eq!(value(volume, path, &stream).await, None);
        assert_eq!(take(volume, path, &descriptor).await, Carries::EXTENDED);
        assert_eq!(take(volume, path, &attribute).await, Carries::empty());
        assert_eq!(stat(volume, path).await.carries, Carries::empty());
    }
}

pub(super) async fn named_values_are_told_apart(volume: &dyn Volume) {
    if !volume.caps().named {
        return;
    }
    put(volume, "f", "x").await;
    let names = [
        Named::extended("a"),
        Named::extended("A"),
        Named::stream("a"),
        Named::stream("A"),
        Named::extended("with space/slash.and:more"),
        Named::stream("ünï côdé 日本 🦀"),
        Named::extended("attr"),
        Named::extended("security"),
        Named::stream("security"),
        Named::Descriptor,
    ];
    for (number, name) in names.iter().enumerate() {
        set(volume, "f", name, number.to_string().as_bytes()).await;
    }
    for (number, name) in names.iter().enumerate() {
        assert_eq!(value(volume, "f", name).await, Some(number.to_string().into()), "{name}");
    }
    let all: BTreeMap<_, _> = names.iter().cloned().map(|name| (name, 1)).collect();
    assert_eq!(carried(volume, "f").await, all);
    for name in &names[..2] {
        assert!(take(volume, "f", name).await.contains(Carries::EXTENDED), "others are left");
    }
}

pub(super) async fn named_values_go_with_the_object(volume: &dyn Volume) {
    if !volume.caps().named {
        return;
    }
    let [attribute, stream, _] = three();
    put(volume, "f", "content").await;
    set(volume, "f", &stream, b"of f").await;
    let file = volume.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    set(volume, "f", &attribute, b"too").await;
    assert_eq!(get(volume, "f").await, b"content");
    assert_eq!(stat(volume, "f").await.size, 7, "no part of the content");
    if volume.caps().random_write {
        file.write_at(&cx(), 0, Bytes::from_static(b"CONTENT")).await.unwrap();
    }
    put(volume, "g", "another").await;
    set(volume, "g", &stream, b"of g").await;
    rename(volume, "f", "g").await;
    assert_eq!(value(volume, "g", &stream).await, Some("of f".into()));
    assert_eq!(stat(volume, "g").await.carries, Carries::EXTENDED | Carries::STREAMS);
    if volume.caps().hard_links {
        let order = Change::Link { from: p("g"), to: p("h"), replace: false, expect: None };
        apply(volume, order).await;
        set(volume, "h", &stream, b"shared").await;
        assert_eq!(value(volume, "g", &stream).await, Some("shared".into()));
        remove(volume, "h").await;
    }
    remove(volume, "g").await;
    drop(file);
    put(volume, "g", "new").await;
    assert_eq!(stat(volume, "g").await.carries, Carries::empty());
    assert!(carried(volume, "g").await.is_empty());
}

pub(super) async fn named_values_expecting_an_object(volume: &dyn Volume) {
    if !volume.caps().named || !volume.caps().stable_ids {
        return;
    }
    let [name, ..] = three();
    let f = put(volume, "f", "x").await;
    let g = put(volume, "g", "x").await;
    let d = mkdir(volume, "d").await;
    let order = |path: &str, id: FileId| Change::SetNamed {
        path: p(path),
        name: three()[0].clone(),
        value: Some("v".into()),
        expect: Some(id),
    };
    for (path, right, wrong) in [("f", f.id, g.id), ("d", d.id, f.id)] {
        fails(volume.apply(&cx(), &order(path, wrong)).await, ErrorKind::Stale);
        assert_eq!(volume.named(&cx(), &p(path), Some(right), &name).await.unwrap(), None);
        volume.apply(&cx(), &order(path, right)).await.unwrap();
        fails(volume.named(&cx(), &p(path), Some(wrong), &name).await, ErrorKind::Stale);
        fails(volume.list_named(&cx(), &p(path), Some(wrong)).await, ErrorKind::Stale);
        assert_eq!(volume.list_named(&cx(), &p(path), Some(right)).await.unwrap().len(), 1);
    }
}

pub(super) async fn named_values_that_cannot_be(volume: &dyn Volume) {
    if !volume.caps().named {
        return;
    }
    let [_, stream, _] = three();
    put(volume, "f", "x").await;
    for name in [Named::extended(""), Named::stream(""), Named::extended("a\0b"), Named::stream("\0")] {
        fails(try_set(volume, "f", &name, b"x").await, ErrorKind::InvalidName);
    }
    let long = "n".repeat(10_000);
    for name in [Named::extended(&*long), Named::stream(&*long)] {
        fails(try_set(volume, "f", &name, b"x").await, ErrorKind::NameTooLong);
    }
    set(volume, "f", &stream, b"small").await;
    let too_much = vec![7; volume.caps().named_max as usize + 1];
    fails(try_set(volume, "f", &stream, &too_much).await, ErrorKind::NoSpace);
    assert_eq!(value(volume, "f", &stream).await, Some("small".into()), "what was there stays");
    match try_set(volume, "f", &stream, &too_much[1..]).await {
        Ok(_) => assert_eq!(value(volume, "f", &stream).await, Some(too_much[1..].to_vec().into())),
        refused => {
            fails(refused, ErrorKind::NoSpace);
        }
    }
    fails(try_set(volume, "none", &stream, b"x").await, ErrorKind::NotFound);
    fails(volume.named(&cx(), &p("none"), None, &stream).await, ErrorKind::NotFound);
    fails(volume.list_named(&cx(), &p("none"), None).await, ErrorKind::NotFound);
    if volume.caps().symlinks {
        apply(volume, Change::Symlink { path: p("l"), target: "f".into(), maker: None }).await;
        fails(try_set(volume, "l", &stream, b"x").await, ErrorKind::Unsupported);
        fails_with(volume.named(&cx(), &p("l"), None, &stream).await, &[ErrorKind::Unsupported]);
        fails_with(volume.list_named(&cx(), &p("l"), None).await, &[ErrorKind::Unsupported]);
    }
}

//! Listing directories.

use super::naming::NO_SUCH_PATH;
use crate::ease::{cx, fails_with, list, mkdir, names, p, put, remove, stat};
use std::collections::BTreeSet;
use volume::{ErrorKind, Kind, ListHow, Volume};

/// More than one page of any origin that pages by 4096 or less.
const MANY: usize = 5000;

pub(super) async fn list_tells_what_stat_tells(volume: &dyn Volume) {
    put(volume, "file", "content").await;
    mkdir(volume, "dir").await;
    put(volume, "dir/inner", "x").await;
    let entries = list(volume, "").await;
    assert_eq!(entries.len(), 2, "no `.` and `..`, nothing twice: {entries:?}");
    for entry in entries {
        let attr = stat(volume, &entry.name).await;
        assert_eq!((entry.attr.id, entry.attr.kind, entry.attr.size), (attr.id, attr.kind, attr.size));
        assert_eq!((entry.attr.version, entry.attr.mtime), (attr.version, attr.mtime));
    }
    let page = volume.list(&cx(), &p("dir"), ListHow::default()).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    if let Some(dir) = page.dir {
        assert_eq!((dir.id, dir.kind), (stat(volume, "dir").await.id, Kind::Dir));
    }
}

async fn make_many(volume: &dyn Volume, dir: &str) -> BTreeSet<String> {
    mkdir(volume, dir).await;
    let mut made = BTreeSet::new();
    for number in 0..MANY {
        let name = format!("entry {number:05}");
        let path = p(&format!("{dir}/{name}"));
        let how = volume::OpenHow::create(volume::Create::New);
        volume.open(&cx(), &path, how).await.unwrap_or_else(|e| panic!("make {path}: {e}"));
        made.insert(name);
    }
    made
}

pub(super) async fn list_in_pages(volume: &dyn Volume) {
    let made = make_many(volume, "d").await;
    let listed = names(volume, "d").await;
    assert_eq!(listed.len(), MANY, "each exactly once");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), made);
    mkdir(volume, "empty").await;
    let empty = volume.list(&cx(), &p("empty"), ListHow::default()).await.unwrap();
    assert_eq!((empty.entries.len(), empty.next), (0, None));
}

pub(super) async fn list_while_changing(volume: &dyn Volume) {
    let made = make_many(volume, "d").await;
    let first = volume.list(&cx(), &p("d"), ListHow::default()).await.unwrap();
    let Some(mut next) = first.next else { return };
    let mut seen: Vec<String> = first.entries.iter().map(|e| e.name.to_string()).collect();
    remove(volume, &format!("d/{}", seen[0])).await;
    remove(volume, &format!("d/{}", seen[seen.len() - 1])).await;
    put(volume, "d/another", "").await;
    loop {
        let how = ListHow { cursor: Some(next), ahead: 0 };
        let page = volume.list(&cx(), &p("d"), how).await.unwrap();
        seen.extend(page.entries.iter().map(|e| e.name.to_string()));
        match page.next {
            Some(more) => next = more,
            None => break,
        }
    }
    let unique: BTreeSet<_> = seen.iter().filter(|name| *name != "another").cloned().collect();
    let stayed = seen.len() - seen.iter().filter(|name| *name == "another").count();
    assert_eq!(unique.len(), stayed, "nothing twice");
    assert_eq!(unique, made, "what stayed all the time is listed");
}

pub(super) async fn list_ahead(volume: &dyn Volume) {
    for dir in ["d", "d/a", "d/b", "d/a/deep"] {
        mkdir(volume, dir).await;
        put(volume, &format!("{dir}/file"), "x").await;
    }
    let how = ListHow { cursor: None, ahead: 100 };
    let page = volume.list(&cx(), &p("d"), how).await.unwrap();
    assert_eq!(page.entries.len(), 3);
    for directory in page.ahead {
        assert!(directory.path.is_within(&p("d")) && directory.path != p("d"));
        let alone: BTreeSet<_> = names(volume, directory.path.as_str()).await.into_iter().collect();
        let along: BTreeSet<_> = directory.entries.iter().map(|e| e.name.to_string()).collect();
        assert_eq!(along, alone, "of {}", directory.path);
    }
    let none = volume.list(&cx(), &p("d"), ListHow::default()).await.unwrap();
    assert!(none.ahead.is_empty(), "not asked for");
}

pub(super) async fn list_of_other_kinds(volume: &dyn Volume) {
    put(volume, "f", "x").await;
    fails_with(volume.list(&cx(), &p("f"), ListHow::default()).await, &[ErrorKind::NotADirectory]);
    fails_with(volume.list(&cx(), &p("f/g"), ListHow::default()).await, NO_SUCH_PATH);
}

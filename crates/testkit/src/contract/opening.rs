//! Opening files, and what a handle holds.

use crate::ease::{cx, exists, fails, fails_with, get, mkdir, p, put, read_all, remove, rename, stat};
use bytes::Bytes;
use volume::{
    Access, Change, Close, Create, DosAttributes, ErrorKind, File, FileId, Fresh, OpenHow, Opened, Volume,
};

async fn open(volume: &dyn Volume, path: &str, how: OpenHow) -> Opened {
    volume.open(&cx(), &p(path), how).await.unwrap_or_else(|e| panic!("open {path}: {e}"))
}

async fn write(file: &dyn File, offset: u64, data: &'static str) {
    file.write_at(&cx(), offset, Bytes::from_static(data.as_bytes())).await.unwrap();
}

pub(super) async fn create_modes(volume: &dyn Volume) {
    fails(volume.open(&cx(), &p("f"), OpenHow::read_write()).await, ErrorKind::NotFound);
    let made = open(volume, "f", OpenHow::create(Create::New)).await;
    assert!(made.created);
    assert_eq!((made.attr.size, made.attr.is_file()), (0, true));
    assert_eq!(made.file.id(), made.attr.id);
    write(&*made.file, 0, "content").await;
    made.file.close(&cx(), Close::Commit).await.unwrap();

    fails(volume.open(&cx(), &p("f"), OpenHow::create(Create::New)).await, ErrorKind::AlreadyExists);
    let there = open(volume, "f", OpenHow::create(Create::IfMissing)).await;
    assert!(!there.created);
    assert_eq!((there.attr.id, there.attr.size), (made.attr.id, 7));
    let emptied = open(volume, "f", OpenHow { truncate: true, ..OpenHow::read_write() }).await;
    assert_eq!((emptied.attr.id, emptied.attr.size, emptied.created), (made.attr.id, 0, false));
    assert!(get(volume, "f").await.is_empty());
    assert!(open(volume, "g", OpenHow::create(Create::IfMissing)).await.created);

    let how = OpenHow { truncate: true, ..OpenHow::read() };
    fails(volume.open(&cx(), &p("f"), how).await, ErrorKind::InvalidArgument);
    fails(volume.open(&cx(), &p("no/f"), OpenHow::create(Create::New)).await, ErrorKind::NotFound);
}

pub(super) async fn new_files_take_mode_and_attributes(volume: &dyn Volume) {
    let dos = DosAttributes::ARCHIVE | DosAttributes::HIDDEN;
    let how = OpenHow { mode: 0o640, dos, ..OpenHow::create(Create::New) };
    let made = open(volume, "f", how.clone()).await;
    assert_eq!(made.file.attr(&cx(), Fresh::Now).await.unwrap().id, made.attr.id);
    if volume.caps().dos_attributes {
        assert_eq!(made.attr.dos, dos);
        assert_eq!(stat(volume, "f").await.dos, dos);
        let how = OpenHow { create: Create::IfMissing, dos: DosAttributes::SYSTEM, ..how };
        assert_eq!(open(volume, "f", how).await.attr.dos, dos, "only a new file takes them");
    }
}

pub(super) async fn open_of_other_kinds(volume: &dyn Volume) {
    mkdir(volume, "d").await;
    fails(volume.open(&cx(), &p("d"), OpenHow::read()).await, ErrorKind::IsADirectory);
    fails(volume.open(&cx(), &p(""), OpenHow::read()).await, ErrorKind::IsADirectory);
    let how = OpenHow::create(Create::IfMissing);
    fails(volume.open(&cx(), &p("d"), how).await, ErrorKind::IsADirectory);
    fails(volume.open(&cx(), &p("d"), OpenHow::create(Create::New)).await, ErrorKind::AlreadyExists);
}

pub(super) async fn open_expecting_a_file(volume: &dyn Volume) {
    if !volume.caps().stable_ids {
        return;
    }
    let attr = put(volume, "f", "1").await;
    let other = put(volume, "g", "2").await;
    assert_ne!(attr.id, other.id);
    let how = |id: FileId| OpenHow { expect: Some(id), ..OpenHow::read() };
    assert_eq!(open(volume, "f", how(attr.id)).await.attr.id, attr.id);
    fails(volume.open(&cx(), &p("f"), how(other.id)).await, ErrorKind::Stale);
    let emptying = OpenHow { truncate: true, expect: Some(other.id), ..OpenHow::read_write() };
    fails(volume.open(&cx(), &p("f"), emptying).await, ErrorKind::Stale);
    assert_eq!(get(volume, "f").await, b"1", "a refused open empties nothing");
    fails_with(volume.open(&cx(), &p("none"), how(attr.id)).await, &[ErrorKind::NotFound, ErrorKind::Stale]);
}

pub(super) async fn access_is_kept(volume: &dyn Volume) {
    put(volume, "f", "content").await;
    let reader = open(volume, "f", OpenHow::read()).await.file;
    fails(reader.write_at(&cx(), 0, Bytes::from_static(b"x")).await, ErrorKind::PermissionDenied);
    fails(reader.set_attr(&cx(), &volume::SetAttr::size(0)).await, ErrorKind::PermissionDenied);
    let writer = open(volume, "f", OpenHow { access: Access::WRITE, ..OpenHow::read() }).await.file;
    fails(writer.read_at(&cx(), 0, 1).await, ErrorKind::PermissionDenied);
    assert_eq!(get(volume, "f").await, b"content");
}

pub(super) async fn first_bytes_along(volume: &dyn Volume) {
    put(volume, "f", "0123456789").await;
    for (range, wanted) in [((0, 4), "0123"), ((8, 10), "89"), ((100, 1), "")] {
        let opened = open(volume, "f", OpenHow { first: Some(range), ..OpenHow::read() }).await;
        if let Some(first) = opened.first {
            assert_eq!(first, wanted, "the bytes at {range:?}");
        }
        assert_eq!(opened.file.read_at(&cx(), range.0, range.1).await.unwrap(), wanted);
    }
}

pub(super) async fn open_survives_rename(volume: &dyn Volume) {
    mkdir(volume, "d").await;
    put(volume, "d/f", "before").await;
    let handle = open(volume, "d/f", OpenHow::read_write()).await.file;
    rename(volume, "d/f", "g").await;
    rename(volume, "d", "e").await;
    if volume.caps().random_write {
        write(&*handle, 0, "behind").await;
        assert_eq!(get(volume, "g").await, b"behind");
    }
    assert_eq!(handle.attr(&cx(), Fresh::Now).await.unwrap().size, 6);
    if volume.caps().stable_ids {
        assert_eq!(stat(volume, "g").await.id, handle.id());
    }
}

pub(super) async fn open_survives_removal(volume: &dyn Volume) {
    put(volume, "f", "before").await;
    let handle = open(volume, "f", OpenHow::read_write()).await.file;
    remove(volume, "f").await;
    assert!(!exists(volume, "f").await);
    assert_eq!(read_all(&*handle).await, b"before");
    write(&*handle, 6, " and after").await;
    assert_eq!(read_all(&*handle).await, b"before and after");
    put(volume, "f", "another").await;
    assert_eq!(read_all(&*handle).await, b"before and after");
    assert_eq!(get(volume, "f").await, b"another");
    handle.close(&cx(), Close::Commit).await.unwrap();
}

pub(super) async fn open_survives_replacement(volume: &dyn Volume) {
    put(volume, "f", "old").await;
    put(volume, "g", "new").await;
    let handle = open(volume, "f", OpenHow::read()).await.file;
    rename(volume, "g", "f").await;
    assert_eq!(read_all(&*handle).await, b"old");
    assert_eq!(get(volume, "f").await, b"new");
}

pub(super) async fn tickets(volume: &dyn Volume) {
    put(volume, "f", "content").await;
    let handle = open(volume, "f", OpenHow::read_write()).await.file;
    let Some(ticket) = handle.ticket() else { return };
    drop(handle);
    let again = volume.reopen(&cx(), &ticket).await.unwrap();
    assert!(!again.created);
    assert_eq!(read_all(&*again.file).await, b"content");
    write(&*again.file, 7, "!").await;
    assert_eq!(get(volume, "f").await, b"content!");
    drop(again);
    let gone = Change::Remove { path: p("f"), dir: false, expect: None };
    volume.apply(&cx(), &gone).await.unwrap();
    put(volume, "f", "another").await;
    fails(volume.reopen(&cx(), &ticket).await, ErrorKind::Stale);
}

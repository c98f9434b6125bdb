//! What is in files, and names that are no text.

use crate::rig::Rig;
use bytes::Bytes;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use testkit::Rng;
use testkit::ease::{cx, fails, get, names, p, put, stat};
use volume::{
    Change, Close, Create, DosAttributes, ErrorKind, OpenHow, SetAttr, SyncKind, Time, Volume,
    name_from_bytes,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_file_goes_there_and_back() {
    let Some(rig) = Rig::start() else { return };
    let volume = rig.volume();
    let content = Bytes::from(Rng::new(1).bytes((20 << 20) + 4321));
    let file = volume.open(&cx(), &p("f"), OpenHow::create(Create::New)).await.unwrap().file;
    file.write_at(&cx(), 0, content.clone()).await.unwrap();
    file.sync(&cx(), SyncKind::Data).await.unwrap();
    assert!(fs::read(rig.data().join("f")).unwrap() == content);
    let read = file.read_at(&cx(), 0, content.len() as u32 + 100).await.unwrap();
    assert!(read == content, "{} bytes for {}", read.len(), content.len());
    assert_eq!(file.read_at(&cx(), 7, 1_000_000).await.unwrap(), content[7..1_000_007]);
    assert_eq!(file.close(&cx(), Close::Commit).await.unwrap().size, content.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_bytes() {
    let Some(rig) = Rig::start() else { return };
    let volume = rig.volume();
    let odd: [&[u8]; 5] = [b"\xff\xfe", b"line\nbreak", "né".as_bytes(), b"half\xc3", b"-rf *?[a]"];
    let mut wanted = Vec::new();
    for bytes in odd {
        let name = name_from_bytes(bytes).into_owned();
        put(&volume, &name, bytes).await;
        assert_eq!(fs::read(rig.data().join(OsStr::from_bytes(bytes))).unwrap(), bytes);
        assert_eq!(get(&volume, &name).await, bytes);
        wanted.push(name);
    }
    wanted.sort();
    assert_eq!(names(&volume, "").await, wanted);
    let target = name_from_bytes(b"to/\xff").into_owned();
    let link = Change::Symlink { path: p("l"), target: target.clone(), maker: None };
    volume.apply(&cx(), &link).await.unwrap();
    assert_eq!(fs::read_link(rig.data().join("l")).unwrap().as_os_str().as_bytes(), b"to/\xff");
    assert_eq!(volume.read_link(&cx(), &p("l")).await.unwrap(), target);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_and_times_are_set_and_links_are_not_followed() {
    let Some(rig) = Rig::start() else { return };
    let volume = rig.volume();
    let dir = Change::MakeDir { path: p("d"), mode: 0o777, dos: DosAttributes::empty(), maker: None };
    volume.apply(&cx(), &dir).await.unwrap();
    assert_eq!(fs::metadata(rig.data().join("d")).unwrap().permissions().mode() & 0o7777, 0o777);
    put(&volume, "f", "x").await;
    let link = Change::Symlink { path: p("l"), target: "f".into(), maker: None };
    volume.apply(&cx(), &link).await.unwrap();
    let before = fs::metadata(rig.data().join("f")).unwrap();
    let mtime = Some(Time::from_parts(1_000_000_000, 0));
    let set = |path, set| Change::SetAttr { path: p(path), set, expect: None };
    volume.apply(&cx(), &set("l", SetAttr { mtime, ..SetAttr::default() })).await.unwrap();
    assert_eq!(fs::symlink_metadata(rig.data().join("l")).unwrap().mtime(), 1_000_000_000);
    let after = fs::metadata(rig.data().join("f")).unwrap();
    assert_eq!((after.mtime(), after.atime()), (before.mtime(), before.atime()));
    volume
        .apply(&cx(), &set("f", SetAttr { mtime, mode: Some(0o4711), ..SetAttr::default() }))
        .await
        .unwrap();
    let attr = stat(&volume, "f").await;
    assert_eq!((attr.mode, Some(attr.mtime), attr.atime.to_parts().0), (0o4711, mtime, before.atime()));
}

/// What OpenSSH answers to all of this is FAILURE.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root"]
async fn a_disk_that_is_full_or_read_only_says_so() {
    let Some(rig) = Rig::start() else { return };
    let at = rig.data();
    let mount =
        |words: &[&str]| assert!(Command::new("mount").args(words).arg(&at).status().unwrap().success());
    mount(&["-t", "tmpfs", "-o", "size=1m", "none"]);
    let volume = rig.volume();
    let file = volume.open(&cx(), &p("f"), OpenHow::create(Create::New)).await.unwrap().file;
    let written = file.write_at(&cx(), 0, Bytes::from(vec![1; 2 << 20])).await;
    let closed = file.close(&cx(), Close::Commit).await;
    mount(&["-o", "remount,ro"]);
    let made = volume.open(&cx(), &p("g"), OpenHow::create(Create::New)).await;
    let removed = volume.apply(&cx(), &Change::Remove { path: p("f"), dir: false, expect: None }).await;
    drop(volume);
    assert!(Command::new("umount").arg("-l").arg(&at).status().unwrap().success());
    fails(written, ErrorKind::NoSpace);
    closed.unwrap();
    fails(made, ErrorKind::ReadOnly);
    fails(removed, ErrorKind::ReadOnly);
}

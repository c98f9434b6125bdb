//! Each kind of change arrives, and what was there before.

use crate::rig::{Life, Rig, path};
use bytes::Bytes;
use std::os::unix::fs::PermissionsExt;
use volume::{Change, Close, Create, Cx, OpenHow, Priority, SetAttr, Special, SyncKind, Time, Volume};

fn cx() -> Cx {
    Cx::system(Priority::Interactive)
}

pub async fn write(volume: &dyn Volume, name: &str, content: &[u8]) {
    let how = OpenHow { truncate: true, ..OpenHow::create(Create::IfMissing) };
    let file = volume.open(&cx(), &path(name), how).await.unwrap().file;
    file.write_at(&cx(), 0, Bytes::copy_from_slice(content)).await.unwrap();
    file.close(&cx(), Close::Commit).await.unwrap();
}

fn rename(from: &str, to: &str) -> Change {
    Change::Rename { from: path(from), to: path(to), replace: true, expect: None }
}

fn make_dir(name: &str) -> Change {
    Change::MakeDir { path: path(name), mode: 0o750, dos: Default::default(), maker: None }
}

/// Does the changes in one life, waits, and compares.
fn check<F: Future<Output = ()>>(
    prepare: impl FnOnce(&Rig),
    changes: impl FnOnce(std::sync::Arc<dyn Volume>) -> F,
) {
    let rig = Rig::new(&["m1", "m2"]);
    prepare(&rig);
    let life = rig.live();
    rig.settle(&life);
    rig.check_equal();
    life.run(changes(life.volume.clone()));
    settle_and_check(&rig, &life);
    life.end();
    rig.check_equal();
}

fn settle_and_check(rig: &Rig, life: &Life) {
    rig.settle(life);
    rig.check_equal();
}

#[test]
fn what_was_there_before_arrives_and_what_is_not_here_goes() {
    let prepare = |rig: &Rig| {
        let here = rig.here();
        std::fs::create_dir_all(here.join("a/b/c")).unwrap();
        std::fs::write(here.join("a/b/file"), b"content").unwrap();
        std::fs::hard_link(here.join("a/b/file"), here.join("a/link")).unwrap();
        std::os::unix::fs::symlink("nowhere", here.join("dangling")).unwrap();
        std::fs::write(here.join("line\nfeed"), b"").unwrap();
        std::fs::set_permissions(here.join("a/b/file"), std::fs::Permissions::from_mode(0o751)).unwrap();
        let there = rig.there("m1");
        std::fs::create_dir_all(there.join("old/tree")).unwrap();
        std::fs::write(there.join("old/tree/file"), b"old").unwrap();
        // Of another kind, and of another content.
        std::fs::write(there.join("a"), b"a file").unwrap();
        std::fs::write(there.join("dangling"), b"a file").unwrap();
    };
    check(prepare, |_| async {});
}

#[test]
fn names_come_move_and_go() {
    check(
        |_| {},
        |volume| async move {
            let apply = async |change: Change| volume.apply(&cx(), &change).await.unwrap();
            for dir in ["d", "d/e", "gone"] {
                apply(make_dir(dir)).await;
            }
            write(&*volume, "d/e/file", b"one").await;
            write(&*volume, "d/other", b"two").await;
            apply(rename("d/other", "d/e/moved")).await;
            apply(rename("d/e", "f")).await;
            apply(Change::Link { from: path("f/file"), to: path("linked"), replace: false, expect: None })
                .await;
            apply(Change::Symlink { path: path("s"), target: "../up".into(), maker: None }).await;
            let fifo = Change::MakeNode { path: path("p"), node: Special::Fifo, mode: 0o640, maker: None };
            apply(fifo).await;
            apply(Change::Remove { path: path("gone"), dir: true, expect: None }).await;
            write(&*volume, "victim", b"replaced").await;
            apply(rename("f/moved", "victim")).await;
            write(&*volume, "never", b"seen").await;
            apply(Change::Remove { path: path("never"), dir: false, expect: None }).await;
            let set =
                SetAttr { mode: Some(0o4711), mtime: Some(Time::from_parts(1, 2)), ..SetAttr::default() };
            apply(Change::SetAttr { path: path("linked"), set, expect: None }).await;
        },
    );
}

#[test]
fn contents_are_written_in_the_middle_cut_and_extended() {
    check(
        |rig| std::fs::write(rig.here().join("old"), vec![7; 300_000]).unwrap(),
        |volume| async move {
            let old = volume.open(&cx(), &path("old"), OpenHow::read_write()).await.unwrap().file;
            old.write_at(&cx(), 100_000, Bytes::from(vec![8; 5000])).await.unwrap();
            old.set_attr(&cx(), &SetAttr::size(200_000)).await.unwrap();
            old.zero(&cx(), 10, 4096).await.unwrap();
            old.sync(&cx(), SyncKind::Full).await.unwrap();
            old.write_at(&cx(), 250_000, Bytes::from_static(b"behind a hole")).await.unwrap();
            old.close(&cx(), Close::Commit).await.unwrap();
            let how = OpenHow::create(Create::New);
            let new = volume.open(&cx(), &path("new"), how).await.unwrap().file;
            new.write_at(&cx(), 0, Bytes::from(vec![1; 3 << 20])).await.unwrap();
            // Renamed while it is open.
            volume.apply(&cx(), &rename("new", "newer")).await.unwrap();
            new.write_at(&cx(), 5, Bytes::from_static(b"later")).await.unwrap();
            new.close(&cx(), Close::Commit).await.unwrap();
            for content in [&b"aaaa"[..], b"bbbb", b"cc"] {
                write(&*volume, "same", content).await;
            }
        },
    );
}

#[test]
fn what_stays_open_arrives_all_the_same() {
    let rig = Rig::new(&["m1"]);
    let life = rig.live();
    rig.settle(&life);
    let how = OpenHow::create(Create::New);
    let log = life.run(async { life.volume.open(&cx(), &path("log"), how).await.unwrap().file });
    for (at, line) in [(0, "first\n"), (6, "second\n")] {
        life.run(log.write_at(&cx(), at, Bytes::from_static(line.as_bytes()))).unwrap();
        let expect = std::fs::read(rig.here().join("log")).unwrap();
        let began = std::time::Instant::now();
        while std::fs::read(rig.there("m1").join("log")).unwrap_or_default() != expect {
            assert!(began.elapsed().as_secs() < 20, "it has not arrived");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

//! Deleting as POSIX has it: the name goes with the open that deletes, and others go on with the file.

use crate::tools::{DELETE, LOOK, READ, Site, WRITE, ask, site, word};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{cx, exists, get, mkdir, names, p, put, within};
use testkit::{FaultVolume, MemVolume, Op};
use vfs::{DeleteHow, Disposition, Links, Open, OpenRequest, RenameHow, Vfs, VfsConfig};
use volume::{ErrorKind, SetAttr};

const PATIENCE: Duration = Duration::from_secs(5);
const POSIX: DeleteHow = DeleteHow { posix: true, ignore_readonly: false, on_close: false };
/// Asks the volume for nothing.
const IGNORING: DeleteHow = DeleteHow { posix: false, ignore_readonly: true, on_close: false };

fn unlinking(request: &mut OpenRequest) {
    (request.delete_on_close, request.posix_deletion) = (true, true);
}

/// The ways in which an open deletes so: it was opened for that, it is marked, or it is marked to do so at its end.
async fn unlinkers(site: &Site, path: &str, way: usize) -> Arc<Open> {
    let how = match way {
        0 => return site.try_open(path, DELETE, unlinking).await.unwrap().open,
        1 => POSIX,
        _ => DeleteHow { on_close: true, ..POSIX },
    };
    let open = site.open(path, DELETE).await;
    open.set_deletion(&cx(), true, how).await.unwrap();
    open
}

#[tokio::test]
async fn a_name_goes_with_the_open_that_unlinks_it_and_others_go_on() {
    for way in 0..3 {
        let site = site();
        put(&*site.mem, "file", "old").await;
        let other = site.open("file", WRITE | DELETE).await;
        let unlinker = unlinkers(&site, "file", way).await;
        assert!(exists(&*site.mem, "file").await);
        assert_eq!(other.delete_pending(), way == 1);
        unlinker.close(&cx()).await.unwrap();
        assert!(!exists(&*site.mem, "file").await, "{way}");
        assert!(other.delete_pending());

        let new = site.create("file").await;
        new.write(&cx(), 0, Bytes::from_static(b"new")).await.unwrap();
        assert_ne!(new.file_id(), other.file_id());
        other.write(&cx(), 3, Bytes::from_static(b" and open")).await.unwrap();
        assert_eq!(other.read(&cx(), 0, 99).await.unwrap(), "old and open");
        other.set_size(&cx(), 3).await.unwrap();
        assert_eq!(other.attr(&cx()).await.unwrap().size, 3);
        other.close(&cx()).await.unwrap();
        new.close(&cx()).await.unwrap();
        assert_eq!(get(&*site.mem, "file").await, b"new");
        assert_eq!(site.vfs.opens().files, 0);
    }
}

/// Whatever the other open is told to do, it does it to nothing of that name.
#[tokio::test]
async fn an_open_without_a_name_does_nothing_to_who_has_it_by_now() {
    let site = site();
    put(&*site.mem, "file", "old").await;
    let other = site.try_open("file", WRITE | DELETE, |ask| ask.delete_on_close = true).await.unwrap().open;
    let looker = site.open("file", LOOK | DELETE).await;
    unlinkers(&site, "file", 0).await.close(&cx()).await.unwrap();
    put(&*site.mem, "file", "new").await;
    assert_eq!(word(other.rename(&cx(), &p("moved"), RenameHow::default()).await), "DeletePending");
    assert_eq!(word(other.link(&cx(), &p("second"), RenameHow::default()).await), "DeletePending");
    assert_eq!(word(other.set_delete_on_close(&cx(), true).await), "DeletePending");
    assert_eq!(word(looker.attr(&cx()).await), "DeletePending");
    let set = SetAttr { mode: Some(0o600), ..SetAttr::default() };
    assert_eq!(word(looker.set_attr(&cx(), &set).await), "DeletePending");
    let new = site.open("file", READ).await;
    for open in [other, looker] {
        assert_eq!(open.path().unwrap(), p("file"), "where it was");
        open.close(&cx()).await.unwrap();
    }
    assert!(!new.delete_pending());
    assert_eq!(names(&*site.mem, "").await, ["file"]);
    assert_eq!(get(&*site.mem, "file").await, b"new");
}

#[tokio::test]
async fn a_directory_goes_at_once_in_which_an_open_file_was() {
    let site = site();
    mkdir(&*site.mem, "dir").await;
    put(&*site.mem, "dir/file", "x").await;
    let file = site.open("dir/file", READ).await;
    let dir = site.open("dir", READ).await;
    unlinkers(&site, "dir/file", 0).await.close(&cx()).await.unwrap();
    site.try_open("dir", DELETE, unlinking).await.unwrap().open.close(&cx()).await.unwrap();
    assert!(!exists(&*site.mem, "dir").await);
    let again = site.make_dir("dir").await;
    again.rename(&cx(), &p("moved"), RenameHow::default()).await.unwrap();
    assert_eq!(file.read(&cx(), 0, 9).await.unwrap(), "x");
    // It shows nothing of another directory that has its name.
    mkdir(&*site.mem, "dir").await;
    put(&*site.mem, "dir/secret", "x").await;
    let mut walk = dir.list(Links::Shown).unwrap();
    assert_eq!(word(walk.next(&cx()).await), "DeletePending");
    for open in [file, dir, again] {
        open.close(&cx()).await.unwrap();
    }
    assert_eq!(names(&*site.mem, "").await, ["dir", "moved"]);
}

#[tokio::test]
async fn unlinking_is_taken_back_and_a_mark_of_another_waits_for_the_last() {
    let site = site();
    put(&*site.mem, "file", "x").await;
    let one = unlinkers(&site, "file", 1).await;
    one.set_deletion(&cx(), false, POSIX).await.unwrap();
    let other = site.open("file", READ | DELETE).await;
    other.set_delete_on_close(&cx(), true).await.unwrap();
    one.close(&cx()).await.unwrap();
    assert!(exists(&*site.mem, "file").await);
    other.close(&cx()).await.unwrap();
    assert!(!exists(&*site.mem, "file").await);
}

/// It is on its way out by then, and its end has been answered as if it had gone.
#[tokio::test]
async fn what_is_being_unlinked_goes_whatever_another_marks() {
    for (fails, on) in [(false, true), (false, false), (true, true)] {
        let fault = FaultVolume::new(MemVolume::new());
        let vfs = Vfs::new(fault.clone(), VfsConfig::default());
        put(&*fault, "file", "x").await;
        let other = vfs.open(&cx(), ask("file", READ | DELETE)).await.unwrap().open;
        let mut request = ask("file", DELETE);
        unlinking(&mut request);
        let unlinker = vfs.open(&cx(), request).await.unwrap().open;
        // Before it looks what has the name.
        let gate = fault.gate(Op::Stat);
        let closing = tokio::spawn(async move { word(unlinker.close(&cx()).await.map(drop)) });
        within(PATIENCE, "it is removed", gate.arrived(1)).await;
        let marked = other.set_deletion(&cx(), on, IGNORING).await;
        assert_eq!(word(marked), if on { "Ok" } else { "DeletePending" });
        if fails {
            fault.fail(Op::Apply, 1, ErrorKind::Offline);
        }
        gate.release();
        assert_eq!(closing.await.unwrap(), if fails { "Offline" } else { "Ok" });
        assert_eq!(exists(&*fault, "file").await, fails);
        assert!(other.delete_pending());
        other.close(&cx()).await.unwrap();
        assert!(!exists(&*fault, "file").await, "its own mark counts");
        assert_eq!(vfs.opens().files, 0);
    }
}

#[tokio::test]
async fn of_several_names_the_one_goes_that_is_unlinked() {
    let site = site();
    put(&*site.mem, "file", "x").await;
    let other = site.open("file", READ | DELETE).await;
    other.link(&cx(), &p("second"), RenameHow::default()).await.unwrap();
    let second = site.open("second", READ | DELETE).await;
    unlinkers(&site, "file", 0).await.close(&cx()).await.unwrap();
    assert_eq!(names(&*site.mem, "").await, ["second"]);
    assert_eq!((other.delete_pending(), second.delete_pending()), (true, false));
    second.rename(&cx(), &p("third"), RenameHow::default()).await.unwrap();
    assert_eq!(names(&*site.mem, "").await, ["third"]);
}

/// A stream lives in what carries it.
#[tokio::test]
async fn a_file_waits_for_its_open_streams_all_the_same() {
    let site = site();
    put(&*site.mem, "file", "x").await;
    let stream = |ask: &mut OpenRequest| {
        (ask.stream, ask.disposition) = (Some("stream".into()), Disposition::Create);
    };
    let stream = site.try_open("file", WRITE, stream).await.unwrap().open;
    unlinkers(&site, "file", 0).await.close(&cx()).await.unwrap();
    assert!(exists(&*site.mem, "file").await);
    stream.close(&cx()).await.unwrap();
    assert!(!exists(&*site.mem, "file").await);
}

#[tokio::test]
async fn what_cannot_be_unlinked_stays_with_all_its_opens() {
    let fault = FaultVolume::new(MemVolume::new());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    put(&*fault, "file", "x").await;
    let other = vfs.open(&cx(), ask("file", READ | DELETE)).await.unwrap().open;
    let mut request = ask("file", DELETE);
    unlinking(&mut request);
    let unlinker = vfs.open(&cx(), request).await.unwrap().open;
    fault.fail(Op::Apply, 1, ErrorKind::Offline);
    assert_eq!(word(unlinker.close(&cx()).await), "Offline");
    assert!(!other.delete_pending());
    other.rename(&cx(), &p("moved"), RenameHow::default()).await.unwrap();
    assert!(exists(&*fault, "moved").await);
}

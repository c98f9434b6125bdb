use crate::tools::{DELETE, LOOK, READ, WRITE, site, word};
use bytes::Bytes;
use testkit::ease::{apply, cx, exists, get, mkdir, p, put};
use testkit::{FaultVolume, MemVolume, Op};
use vfs::{Disposition, Error, RenameHow, Share, Vfs, VfsConfig, Want};
use volume::{Change, ErrorKind};

#[tokio::test]
async fn a_name_goes_with_the_last_open() {
    let site = site();
    put(&*site.mem, "file", "x").await;
    let reader = site.open("file", READ).await;
    let deleter = site.try_open("FILE", DELETE, |r| r.delete_on_close = true).await.unwrap().open;
    assert!(!reader.delete_pending());
    site.open("file", READ).await.close(&cx()).await.unwrap();
    deleter.close(&cx()).await.unwrap();
    assert!(reader.delete_pending() && exists(&*site.mem, "file").await);
    assert_eq!(word(site.try_open("file", LOOK, |_| {}).await), "DeletePending");
    let again = site.try_open("file", WRITE, |r| r.disposition = Disposition::OpenIf).await;
    assert_eq!(word(again), "DeletePending");
    assert_eq!(reader.read(&cx(), 0, 1).await.unwrap(), "x");
    assert!(reader.close(&cx()).await.unwrap().is_none());
    assert!(!exists(&*site.mem, "file").await);
    site.create("file").await;
}

#[tokio::test]
async fn disposition_is_set_and_taken_back() {
    let site = site();
    let file = site.create("file").await;
    file.set_delete_on_close(&cx(), true).await.unwrap();
    assert!(file.delete_pending());
    assert_eq!(word(site.try_open("file", LOOK, |_| {}).await), "DeletePending");
    file.set_delete_on_close(&cx(), false).await.unwrap();
    site.open("file", LOOK).await;
    file.close(&cx()).await.unwrap();
    assert!(exists(&*site.mem, "file").await);
    let reader = site.open("file", READ).await;
    assert_eq!(word(reader.set_delete_on_close(&cx(), true).await), "AccessDenied");
    assert_eq!(word(site.open("", DELETE).await.set_delete_on_close(&cx(), true).await), "CannotDelete");
    let no_right = site.try_open("file", READ, |r| r.delete_on_close = true).await;
    assert_eq!(word(no_right), "AccessDenied");
}

#[tokio::test]
async fn directories_go_only_empty() {
    let site = site();
    let dir = site.make_dir("dir").await;
    put(&*site.mem, "dir/file", "x").await;
    assert_eq!(word(dir.set_delete_on_close(&cx(), true).await), "DirectoryNotEmpty");
    let doomed = site.try_open("dir", DELETE, |r| r.delete_on_close = true).await.unwrap().open;
    dir.close(&cx()).await.unwrap();
    doomed.close(&cx()).await.unwrap();
    assert!(exists(&*site.mem, "dir/file").await, "what came into it saves it");
    testkit::ease::remove(&*site.mem, "dir/file").await;
    let dir = site.open("dir", DELETE).await;
    dir.set_delete_on_close(&cx(), true).await.unwrap();
    let below = site.try_open("dir/new", WRITE, |r| r.disposition = Disposition::Create).await;
    assert_eq!(word(below), "DeletePending");
    dir.close(&cx()).await.unwrap();
    assert!(!exists(&*site.mem, "dir").await);
}

#[tokio::test]
async fn a_doomed_name_is_followed_through_a_rename_and_hard_links_stay() {
    let site = site();
    let file = site.create("file").await;
    file.link(&cx(), &p("second"), RenameHow::default()).await.unwrap();
    let doomed = site.try_open("file", DELETE, |r| r.delete_on_close = true).await.unwrap().open;
    file.rename(&cx(), &p("moved"), RenameHow::default()).await.unwrap();
    doomed.close(&cx()).await.unwrap();
    assert_eq!(word(file.rename(&cx(), &p("again"), RenameHow::default()).await), "AccessDenied");
    site.open("second", READ).await;
    file.write(&cx(), 0, Bytes::from_static(b"kept")).await.unwrap();
    file.close(&cx()).await.unwrap();
    assert!(!exists(&*site.mem, "moved").await && !exists(&*site.mem, "file").await);
    assert_eq!(get(&*site.mem, "second").await, b"kept");
}

#[tokio::test]
async fn a_name_that_stands_for_another_file_by_now_is_left_alone() {
    let site = site();
    let file = site.create("file").await;
    file.set_delete_on_close(&cx(), true).await.unwrap();
    let other = site.mem.other();
    put(&*other, "new", "somebody's").await;
    let replace = volume::Change::Rename { from: p("new"), to: p("file"), replace: true, expect: None };
    testkit::ease::apply(&*other, replace).await;
    file.close(&cx()).await.unwrap();
    assert_eq!(get(&*site.mem, "file").await, b"somebody's");
}

#[tokio::test]
async fn deleting_a_link_leaves_what_it_leads_to() {
    let site = site();
    put(&*site.mem, "target", "x").await;
    let link = volume::Change::Symlink { path: p("link"), target: "target".into(), maker: None };
    testkit::ease::apply(&*site.mem, link).await;
    let open = site.try_open("link", DELETE, |r| r.delete_on_close = true).await.unwrap().open;
    open.close(&cx()).await.unwrap();
    assert!(exists(&*site.mem, "target").await && !exists(&*site.mem, "link").await);
}

#[tokio::test]
async fn a_removal_that_fails_is_told_and_leaves_the_name_usable() {
    let fault = FaultVolume::new(MemVolume::new());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    let mut request = crate::tools::ask("file", WRITE | DELETE);
    (request.disposition, request.delete_on_close) = (Disposition::Create, true);
    let file = vfs.open(&cx(), request).await.unwrap().open;
    fault.fail(Op::Apply, 1, ErrorKind::Offline);
    assert_eq!(word(file.close(&cx()).await), "Offline");
    vfs.open(&cx(), crate::tools::ask("file", READ)).await.unwrap();
}

#[tokio::test]
async fn closing_that_is_cancelled_still_removes() {
    let fault = FaultVolume::new(MemVolume::new());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    let mut request = crate::tools::ask("file", WRITE | DELETE);
    (request.disposition, request.delete_on_close) = (Disposition::Create, true);
    let file = vfs.open(&cx(), request).await.unwrap().open;
    let gate = fault.gate(Op::Apply);
    let closing = tokio::spawn(async move { file.close(&cx()).await });
    gate.arrived(1).await;
    closing.abort();
    assert!(closing.await.unwrap_err().is_cancelled());
    // Whoever asks for the name meanwhile waits for the removal.
    let asking = tokio::spawn({
        let vfs = vfs.clone();
        async move { word(vfs.open(&cx(), crate::tools::ask("file", LOOK)).await) }
    });
    gate.release();
    assert_eq!(asking.await.unwrap(), "NotFound");
    assert_eq!(vfs.opens().files, 0);
}

#[tokio::test]
async fn removed_directories_and_share_modes_of_deleters() {
    let site = site();
    mkdir(&*site.mem, "dir").await;
    let watcher = site.share("dir", READ, Share::READ | Share::WRITE).await.unwrap();
    let deleter = site.try_open("dir", DELETE, |r| (r.delete_on_close, r.want) = (true, Want::Dir)).await;
    assert_eq!(word(deleter), "SharingViolation");
    watcher.close(&cx()).await.unwrap();
    let deleter = site.try_open("dir", DELETE, |r| (r.delete_on_close, r.want) = (true, Want::Dir)).await;
    deleter.unwrap().open.close(&cx()).await.unwrap();
    assert!(!exists(&*site.mem, "dir").await);
}

/// POSIX clients have both, where case tells them apart.
#[tokio::test]
async fn names_of_one_file_that_differ_by_case_go_each_for_itself() {
    let site = site();
    put(&*site.mem, "name", "x").await;
    let link = Change::Link { from: p("name"), to: p("NAME"), replace: false, expect: None };
    apply(&*site.mem, link).await;
    let mut opens = Vec::new();
    for path in ["name", "NAME"] {
        opens.push(site.try_open(path, DELETE, |ask| ask.case_sensitive = true).await.unwrap().open);
    }
    opens[0].set_delete_on_close(&cx(), true).await.unwrap();
    assert_eq!((opens[0].delete_pending(), opens[1].delete_pending()), (true, false));
    opens[1].set_delete_on_close(&cx(), true).await.unwrap();
    for open in opens {
        open.close(&cx()).await.unwrap();
    }
    assert_eq!((exists(&*site.mem, "name").await, exists(&*site.mem, "NAME").await), (false, false));
}

/// Its CREATE has failed, which asks for nothing more.
#[tokio::test]
async fn what_is_taken_back_and_stays_is_not_deleted_by_what_its_create_has_said() {
    let site = site();
    let made = |r: &mut vfs::OpenRequest| (r.disposition, r.delete_on_close) = (Disposition::Create, true);
    let made = site.try_open("file", WRITE | DELETE, made).await.unwrap().open;
    let other = site.open("file", WRITE).await;
    other.write(&cx(), 0, Bytes::from_static(b"content")).await.unwrap();
    other.close(&cx()).await.unwrap();
    assert!(!made.take_back(&cx()).await.unwrap(), "it stays");
    assert_eq!(get(&*site.mem, "file").await, b"content");
}

/// By who looks whether something is there, as scanners and desktops do all the time.
/// A client that has kept a file open for its cache alone says that it gives that up, and closes it then.
#[tokio::test]
async fn a_directory_goes_whose_last_name_is_on_its_way_out() {
    let mem = MemVolume::new();
    mkdir(&*mem, "dir").await;
    put(&*mem, "dir/f", "x").await;
    let fault = FaultVolume::new(mem);
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    let kept = vfs.open(&cx(), crate::tools::ask("dir/f", READ)).await.unwrap().open;
    let remover = vfs.open(&cx(), crate::tools::ask("dir/f", DELETE)).await.unwrap().open;
    remover.set_delete_on_close(&cx(), true).await.unwrap();
    remover.close(&cx()).await.unwrap();
    let dir = vfs.open(&cx(), crate::tools::ask("dir", DELETE)).await.unwrap().open;
    // Whoever has it open still.
    let refused = dir.set_delete_on_close(&cx(), true).await;
    assert!(matches!(refused, Err(Error::DirectoryNotEmpty)), "{refused:?}");
    for op in [Op::Close, Op::Apply] {
        fault.delay(op, std::time::Duration::from_millis(50));
    }
    let closing = tokio::spawn(async move { kept.close(&cx()).await });
    dir.set_delete_on_close(&cx(), true).await.unwrap();
    closing.await.unwrap().unwrap();
    dir.close(&cx()).await.unwrap();
    assert!(!exists(&*fault, "dir").await);
}

#[tokio::test]
async fn an_empty_directory_is_deleted_though_others_look_into_it_without_pause() {
    let mem = MemVolume::new();
    mkdir(&*mem, "dir").await;
    let fault = FaultVolume::new(mem);
    fault.delay(Op::Stat, std::time::Duration::from_millis(5));
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    let lookers: Vec<_> = (0..3)
        .map(|nth| {
            let vfs = vfs.clone();
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(3 * nth)).await;
                loop {
                    let mut request = crate::tools::ask("dir/desktop.ini", READ);
                    request.case_sensitive = true;
                    assert!(vfs.open(&cx(), request).await.is_err());
                }
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let dir = vfs.open(&cx(), crate::tools::ask("dir", DELETE)).await.unwrap().open;
    let marked = async { dir.set_delete_on_close(&cx(), true).await };
    let marked = tokio::time::timeout(std::time::Duration::from_secs(8), marked).await;
    lookers.iter().for_each(|looker| looker.abort());
    marked.expect("it is waited for until nobody looks").unwrap();
}

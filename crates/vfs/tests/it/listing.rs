use crate::tools::{DELETE, LOOK, READ, Site, site, word};
use testkit::ease::{apply, cx, mkdir, p, put};
use testkit::{MemConfig, MemVolume};
use vfs::{DirCursor, Links, RenameHow, Vfs, VfsConfig};
use volume::Change;

async fn rest(cursor: &mut DirCursor) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(entry) = cursor.next(&cx()).await.unwrap() {
        names.push(entry.name.to_string());
    }
    names
}

#[tokio::test]
async fn pages_are_walked_through_and_walked_again() {
    let mem = MemVolume::with(MemConfig { page_entries: 2, ..MemConfig::default() });
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem };
    mkdir(&*site.mem, "dir").await;
    for name in ["a", "b", "c", "d", "e"] {
        put(&*site.mem, &format!("dir/{name}"), name).await;
    }
    let dir = site.open("dir", READ).await;
    let mut cursor = dir.list(Links::Followed).unwrap();
    assert_eq!(&*cursor.peek(&cx()).await.unwrap().unwrap().name, ".");
    assert_eq!(rest(&mut cursor).await, [".", "..", "a", "b", "c", "d", "e"]);
    assert!(cursor.next(&cx()).await.unwrap().is_none());
    put(&*site.mem, "dir/f", "").await;
    cursor.restart();
    assert_eq!(rest(&mut cursor).await.len(), 8);
}

#[tokio::test]
async fn what_is_removed_while_a_page_waits_is_left_out_and_what_came_back_is_not() {
    let site = site();
    mkdir(&*site.mem, "dir").await;
    for name in ["back", "gone", "moved", "stays"] {
        put(&*site.mem, &format!("dir/{name}"), name).await;
    }
    let dir = site.open("dir", READ).await;
    let mut cursor = dir.list(Links::Followed).unwrap();
    assert_eq!(&*cursor.next(&cx()).await.unwrap().unwrap().name, ".");
    for name in ["dir/back", "dir/gone"] {
        let doomed = site.try_open(name, DELETE, |r| r.delete_on_close = true).await.unwrap().open;
        doomed.close(&cx()).await.unwrap();
    }
    site.create("dir/back").await;
    let moved = site.open("dir/moved", DELETE).await;
    moved.rename(&cx(), &p("elsewhere"), RenameHow::default()).await.unwrap();
    cursor.leave_out_removed().unwrap();
    assert_eq!(rest(&mut cursor).await, ["..", "back", "stays"]);
}

#[tokio::test]
async fn dot_and_dot_dot_have_their_attributes() {
    let site = site();
    let made = mkdir(&*site.mem, "dir").await;
    let root = site.vfs.stat(&cx(), &p("")).await.unwrap();
    for (path, this, above) in [("dir", made.id, root.id), ("", root.id, root.id)] {
        let mut cursor = site.open(path, READ).await.list(Links::Followed).unwrap();
        let ids = [cursor.next(&cx()).await.unwrap().unwrap(), cursor.next(&cx()).await.unwrap().unwrap()];
        assert_eq!(ids.map(|entry| entry.attr.id), [this, above], "{path:?}");
    }
}

#[tokio::test]
async fn links_show_what_they_lead_to() {
    let site = site();
    mkdir(&*site.mem, "real").await;
    for (path, target) in [("l1", "real"), ("l2", "nowhere"), ("l3", "/etc")] {
        apply(&*site.mem, Change::Symlink { path: p(path), target: target.into() }).await;
    }
    let mut cursor = site.open("", READ).await.list(Links::Followed).unwrap();
    let mut kinds = Vec::new();
    while let Some(entry) = cursor.next(&cx()).await.unwrap() {
        kinds.push((entry.name.to_string(), entry.attr.is_dir()));
    }
    let kinds: Vec<_> = kinds.iter().map(|(name, dir)| (name.as_str(), *dir)).collect();
    assert_eq!(
        kinds,
        [(".", true), ("..", true), ("l1", true), ("l2", false), ("l3", false), ("real", true)]
    );
}

#[tokio::test]
async fn only_directories_opened_for_reading_are_listed() {
    let site = site();
    put(&*site.mem, "file", "").await;
    assert_eq!(word(site.open("file", READ).await.list(Links::Followed)), "NotADirectory");
    assert_eq!(word(site.open("", LOOK).await.list(Links::Followed)), "AccessDenied");
}

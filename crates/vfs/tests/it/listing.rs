use crate::tools::{DELETE, LOOK, READ, Site, site, word};
use testkit::ease::{apply, cx, mkdir, p, put};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use vfs::{DirCursor, Links, RenameHow, Vfs, VfsConfig};
use volume::{Change, ErrorKind};

async fn rest(cursor: &mut DirCursor) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(entry) = cursor.next(&cx()).await.unwrap() {
        names.push(entry.name.to_string());
    }
    names
}

/// A volume of two entries a page, with these files in `dir`.
async fn with_files<const N: usize>(names: [&str; N]) -> Site {
    let mem = MemVolume::with(MemConfig { page_entries: 2, ..MemConfig::default() });
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem };
    mkdir(&*site.mem, "dir").await;
    for name in names {
        put(&*site.mem, &format!("dir/{name}"), name).await;
    }
    site
}

#[tokio::test]
async fn pages_are_walked_through_and_walked_again() {
    let site = with_files(["a", "b", "c", "d", "e"]).await;
    let dir = site.open("dir", READ).await;
    let mut cursor = dir.list(Links::Followed).unwrap();
    assert_eq!(&*cursor.peek(&cx()).await.unwrap().unwrap().name, ".");
    assert_eq!(rest(&mut cursor).await, [".", "..", "a", "b", "c", "d", "e"]);
    assert!(cursor.next(&cx()).await.unwrap().is_none());
    put(&*site.mem, "dir/f", "").await;
    cursor.restart();
    assert_eq!(rest(&mut cursor).await.len(), 8);
}

/// Closed by another request of the client, while an answer is made.
#[tokio::test]
async fn a_listing_that_is_under_way_when_its_open_is_closed_goes_on() {
    let site = with_files(["a", "b", "c", "d", "e"]).await;
    let dir = site.open("dir", READ).await;
    let mut cursor = dir.list(Links::Followed).unwrap();
    assert_eq!(&*cursor.next(&cx()).await.unwrap().unwrap().name, ".");
    dir.close(&cx()).await.unwrap();
    assert_eq!(rest(&mut cursor).await, ["..", "a", "b", "c", "d", "e"]);
    assert_eq!(word(dir.list(Links::Followed).map(drop)), "Closed", "there is no other");
}

#[tokio::test]
async fn one_name_is_found_in_any_case_and_the_directory_is_not_walked_through() {
    let site = with_files(["a", "b", "Name", "a:b", "x", "X"]).await;
    let mut cursor = site.open("dir", READ).await.list(Links::Followed).unwrap();
    site.mem.counts().reset();
    let is_there = [(".", "."), ("..", ".."), ("Name", "Name"), ("x", "x"), ("X", "X")];
    for (asked, name) in is_there.into_iter().chain([("a\u{F022}b", "a:b")]) {
        cursor.only(Some(asked));
        assert_eq!(rest(&mut cursor).await, [name]);
        assert!(cursor.next(&cx()).await.unwrap().is_none());
        cursor.restart();
        assert_eq!(rest(&mut cursor).await, [name]);
    }
    assert_eq!(site.mem.counts().of(Op::List), 0);
    // Another case: the names are read once, and known from then on.
    for (asked, names) in [("NAME", vec!["Name"]), ("naMe", vec!["Name"]), ("none", vec![]), ("B", vec!["b"])]
    {
        cursor.only(Some(asked));
        assert_eq!(rest(&mut cursor).await, names, "{asked}");
    }
    assert_eq!(site.mem.counts().of(Op::List), 3, "six names, two on a page");
    for no_name in ["", "a/b", "no\0name", &"n".repeat(300)] {
        cursor.only(Some(no_name));
        assert!(rest(&mut cursor).await.is_empty(), "{no_name:?}");
    }
    cursor.only(None);
    assert_eq!(rest(&mut cursor).await.len(), 8);
}

#[tokio::test]
async fn one_name_is_told_as_an_origin_without_case_has_it() {
    let mut config = MemConfig::default();
    config.caps.case_sensitive = false;
    let mem = MemVolume::with(config);
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem };
    put(&*site.mem, "Name", "").await;
    let mut cursor = site.open("", READ).await.list(Links::Followed).unwrap();
    for asked in ["NAME", "name", "Name"] {
        cursor.only(Some(asked));
        assert_eq!(rest(&mut cursor).await, ["Name"]);
    }
    assert_eq!(site.mem.counts().of(Op::List), 1);
    // What others make is not in what is known of the names yet.
    site.mem.mute(true);
    put(&*site.mem.other(), "Later", "").await;
    cursor.only(Some("LATER"));
    assert_eq!(rest(&mut cursor).await, ["Later"]);
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
    // Alone no other than among the rest.
    for (name, dir) in [("l1", true), ("l2", false), ("L3", false)] {
        cursor.only(Some(name));
        assert_eq!(cursor.next(&cx()).await.unwrap().unwrap().attr.is_dir(), dir, "{name}");
    }
}

#[tokio::test]
async fn only_directories_opened_for_reading_are_listed() {
    let site = site();
    put(&*site.mem, "file", "").await;
    assert_eq!(word(site.open("file", READ).await.list(Links::Followed)), "NotADirectory");
    assert_eq!(word(site.open("", LOOK).await.list(Links::Followed)), "AccessDenied");
}

/// An answer that failed, or that nobody waited for, half-way through a page.
#[tokio::test]
async fn what_was_given_up_half_way_is_listed_once() {
    for given_up in [false, true] {
        let mem = MemVolume::new();
        let faults = FaultVolume::new(mem.clone());
        let site = Site { vfs: Vfs::new(faults.clone(), VfsConfig::default()), mem: mem.clone() };
        put(&*mem, "a", "").await;
        apply(&*mem, Change::Symlink { path: p("l"), target: "a".into() }).await;
        put(&*mem, "z", "").await;
        let mut cursor = site.open("", READ).await.list(Links::Followed).unwrap();
        if given_up {
            let (gate, cx) = (faults.gate(Op::ReadLink), cx());
            tokio::select! {
                _ = cursor.peek(&cx) => panic!("it waits"),
                () = gate.arrived(1) => {}
            }
        } else {
            faults.fail(Op::ReadLink, 1, ErrorKind::TimedOut);
            assert_eq!(word(cursor.peek(&cx()).await.map(drop)), "TimedOut");
        }
        assert_eq!(rest(&mut cursor).await, [".", "..", "a", "l", "z"], "given up {given_up}");
    }
}

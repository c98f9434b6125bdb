use crate::tools::{DELETE, LOOK, READ, Site, site, word};
use testkit::ease::{apply, cx, mkdir, p, put, remove};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use vfs::{DirCursor, Limits, Links, RenameHow, Vfs, VfsConfig};
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

/// As POSIX clients do, who spell names as they are stored.
#[tokio::test]
async fn one_name_is_found_in_its_own_case_by_who_tells_them_apart() {
    let site = with_files(["Name", "a:b", "x", "X"]).await;
    let open = site.try_open("dir", READ, |ask| ask.case_sensitive = true).await.unwrap().open;
    let mut cursor = open.list(Links::Shown).unwrap();
    for (asked, names) in [("NAME", vec![]), ("Name", vec!["Name"]), ("X", vec!["X"]), ("a:b", vec!["a:b"])] {
        cursor.only(Some(asked));
        assert_eq!(rest(&mut cursor).await, names, "{asked}");
    }
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
    assert_eq!(rest(&mut cursor.answer().unwrap()).await, ["..", "back", "stays"]);
}

/// A volume of pages of this length with these files in its root, of which an account keeps no more than 30 entries.
async fn with_little_room(page_entries: usize, files: impl Iterator<Item = String>) -> Site {
    let mem = MemVolume::with(MemConfig { page_entries, ..MemConfig::default() });
    let limits = Limits { listed_entries_per_account: 30, ..Limits::default() };
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig { limits, ..VfsConfig::default() }), mem };
    for name in files {
        put(&*site.mem, &name, "").await;
    }
    site
}

async fn walk(site: &Site, account: &str) -> DirCursor {
    let root = site.try_open("", READ, |r| r.account = Some(account.into())).await.unwrap().open;
    root.list(Links::Followed).unwrap()
}

/// An answer with one name.
async fn one(cursor: &mut DirCursor) -> Option<String> {
    let mut answer = cursor.answer().unwrap();
    answer.next(&cx()).await.unwrap().map(|entry| entry.name.to_string())
}

async fn one_by_one(cursor: &mut DirCursor) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(name) = one(cursor).await {
        names.push(name);
    }
    names
}

#[tokio::test]
async fn what_listings_keep_is_bounded_for_an_account_and_past_that_read_again() {
    let files = || (0..20).map(|at| format!("{at:0>2}"));
    let site = with_little_room(100, files()).await;
    let all: Vec<String> = [".".to_owned(), "..".to_owned()].into_iter().chain(files()).collect();
    let reads = || site.mem.counts().of(Op::List);
    let mut kept = walk(&site, "one").await;
    assert_eq!(one(&mut kept).await.unwrap(), ".");
    // It has told what is removed then, as one who empties a directory does.
    let mut given_up = walk(&site, "one").await;
    let (mut told, before) = (Vec::new(), reads());
    while let Some(name) = one(&mut given_up).await {
        if name.starts_with('1') {
            remove(&*site.mem.other(), &name).await;
        }
        told.push(name);
    }
    assert_eq!((told, reads() - before), (all.clone(), all.len() as u64));
    let before = reads();
    assert_eq!(one_by_one(&mut kept).await, all[1..]);
    assert_eq!(reads(), before);
    // There is room again, and for another there was all the time.
    for account in ["one", "two"] {
        let (mut walk, before) = (walk(&site, account).await, reads());
        assert_eq!(one_by_one(&mut walk).await, all[..12]);
        assert_eq!(reads() - before, 1);
    }
}

#[tokio::test]
async fn a_listing_that_gave_its_page_up_finds_its_place_or_says_that_it_cannot() {
    let site = with_little_room(5, (0..40).map(|at| format!("b{at:0>2}"))).await;
    let mut walks = Vec::new();
    for _ in 0..10 {
        let mut walk = walk(&site, "one").await;
        assert_eq!(one(&mut walk).await.unwrap(), ".");
        walks.push(walk);
    }
    let mut walk = walks.pop().unwrap();
    let mut told = Vec::new();
    for _ in 0..5 {
        told.extend(one(&mut walk).await);
    }
    assert_eq!(told, ["..", "b00", "b01", "b02", "b03"]);
    // What is next now stands on a later page.
    for name in ["a0", "a1", "a2", "a3", "a4", "a5"] {
        put(&*site.mem, name, "").await;
    }
    assert_eq!(one(&mut walk).await.unwrap(), "b04");
    for _ in 5..20 {
        one(&mut walk).await;
    }
    for at in 20..23 {
        remove(&*site.mem.other(), &format!("b{at}")).await;
    }
    assert_eq!(one(&mut walk).await.unwrap(), "b23");
    for at in 24..40 {
        remove(&*site.mem.other(), &format!("b{at}")).await;
    }
    let lost = walk.answer().unwrap().next(&cx()).await.map(drop);
    assert_eq!(word(lost), "LimitReached(\"listings under way\")");
    walk.restart();
    assert_eq!(one(&mut walk).await.unwrap(), ".");
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
        apply(&*site.mem, Change::Symlink { path: p(path), target: target.into(), maker: None }).await;
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
        apply(&*mem, Change::Symlink { path: p("l"), target: "a".into(), maker: None }).await;
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

#[tokio::test]
async fn a_walk_without_room_whose_last_names_are_removed_is_at_its_end() {
    let mem = MemVolume::new();
    let limits = Limits { listed_entries: 0, ..Limits::default() };
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig { limits, ..VfsConfig::default() }), mem };
    mkdir(&*site.mem, "dir").await;
    for name in ["a", "b"] {
        put(&*site.mem, &format!("dir/{name}"), name).await;
    }
    let mut cursor = site.open("dir", READ).await.list(Links::Followed).unwrap();
    for _ in [".", "..", "a"] {
        cursor.answer().unwrap().next(&cx()).await.unwrap().unwrap();
    }
    let last = site.open("dir/b", DELETE).await;
    last.set_delete_on_close(&cx(), true).await.unwrap();
    last.close(&cx()).await.unwrap();
    assert_eq!(word(cursor.answer().unwrap().next(&cx()).await.map(|entry| entry.is_none())), "Ok");
}

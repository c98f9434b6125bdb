use crate::tools::{LOOK, READ, Site, WRITE, site, word};
use testkit::ease::{apply, cx, mkdir, names, p, put};
use testkit::{MemConfig, MemVolume, Op};
use vfs::{Disposition, Vfs, VfsConfig};
use volume::{Change, Kind};

async fn content(site: &Site, path: &str) -> String {
    let open = site.try_open(path, READ, |_| {}).await.unwrap_or_else(|e| panic!("{path}: {e}")).open;
    String::from_utf8(open.read(&cx(), 0, 100).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn any_spelling_finds_the_file_and_the_same_spelling_wins() {
    let site = site();
    mkdir(&*site.mem, "Projects").await;
    mkdir(&*site.mem, "Projects/Überblick").await;
    put(&*site.mem, "Projects/Überblick/ReadMe.TXT", "mixed").await;
    put(&*site.mem, "Projects/Überblick/readme.txt", "lower").await;
    assert_eq!(content(&site, "Projects/Überblick/readme.txt").await, "lower");
    assert_eq!(content(&site, "PROJECTS/überBLICK/ReadMe.TXT").await, "mixed");
    assert_eq!(content(&site, "projects/ÜBERBLICK/README.TXT").await, "mixed");
    let open = site.open("PROJECTS/ÜBERBLICK/readme.txt", READ).await;
    assert_eq!(open.path().unwrap(), p("Projects/Überblick/readme.txt"));
    let exact = site.try_open("projects", LOOK, |r| r.case_sensitive = true).await;
    assert_eq!(word(exact), "NotFound");
}

#[tokio::test]
async fn what_is_made_keeps_its_spelling_in_the_directory_that_is_there() {
    let site = site();
    mkdir(&*site.mem, "Dir").await;
    site.create("DIR/New File").await;
    assert_eq!(names(&*site.mem, "Dir").await, ["New File"]);
    let again = site.try_open("dir/new file", WRITE, |r| r.disposition = Disposition::Create).await;
    assert_eq!(word(again), "Exists");
    let posix = |r: &mut vfs::OpenRequest| (r.disposition, r.case_sensitive) = (Disposition::Create, true);
    site.try_open("Dir/new file", WRITE, posix).await.unwrap();
    assert_eq!(names(&*site.mem, "Dir").await, ["New File", "new file"]);
}

#[tokio::test]
async fn a_directory_is_listed_once_for_many_new_names() {
    let site = site();
    mkdir(&*site.mem, "dir").await;
    site.mem.counts().reset();
    for i in 0..50 {
        site.create(&format!("dir/file {i}")).await.close(&cx()).await.unwrap();
    }
    assert_eq!(site.mem.counts().of(Op::List), 1);
    assert_eq!(site.mem.counts().of(Op::Stat), 51, "one look for each, one at the directory");
    assert_eq!(word(site.try_open("DIR/FILE 7", LOOK, |_| {}).await), "Ok");
}

#[tokio::test]
async fn an_origin_without_case_is_never_listed() {
    let mut config = MemConfig::default();
    config.caps.case_sensitive = false;
    let mem = MemVolume::with(config);
    let vfs = Vfs::new(mem.clone(), VfsConfig::default());
    let site = Site { vfs, mem };
    site.create("File").await;
    site.open("FILE", LOOK).await;
    assert_eq!(word(site.try_open("none", LOOK, |_| {}).await), "NotFound");
    assert_eq!(site.mem.counts().of(Op::List), 0);
}

#[tokio::test]
async fn what_others_make_and_remove_is_seen() {
    let site = site();
    assert_eq!(word(site.try_open("FILE", LOOK, |_| {}).await), "NotFound");
    let other = site.mem.other();
    put(&*other, "file", "x").await;
    // The notice is on its way.
    while word(site.try_open("FILE", LOOK, |_| {}).await) != "Ok" {
        tokio::task::yield_now().await;
    }
    site.mem.mute(true);
    testkit::ease::remove(&*other, "file").await;
    assert_eq!(word(site.try_open("FILE", LOOK, |_| {}).await), "NotFound", "an index gone stale is no loop");
}

#[tokio::test]
async fn names_that_smb_cannot_say_are_reached() {
    let site = site();
    put(&*site.mem, "what: a \"name\"?", "posix").await;
    put(&*site.mem, "raw\u{F022}mac", "raw").await;
    for (smb, expect) in [("what\u{F022} a \u{F020}NAME\u{F020}\u{F025}", "posix"), ("RAW\u{F022}mac", "raw")]
    {
        let path = vfs::names::from_smb(smb).unwrap();
        assert_eq!(content(&site, path.as_str()).await, expect);
    }
}

#[tokio::test]
async fn links_are_followed_inside_and_never_out() {
    let site = site();
    mkdir(&*site.mem, "real").await;
    put(&*site.mem, "real/file", "x").await;
    let long = (0..50).map(|i| (format!("chain{i}"), format!("chain{}", i + 1)));
    let links =
        [("dir", "real"), ("up", "real/../real/file"), ("out", "../x"), ("abs", "/etc"), ("dead", "no")];
    let links = links.map(|(a, b)| (a.to_owned(), b.to_owned())).into_iter().chain(long);
    for (path, target) in links {
        apply(&*site.mem, Change::Symlink { path: p(&path), target, maker: None }).await;
    }
    assert_eq!(content(&site, "dir/file").await, "x");
    assert_eq!(content(&site, "DIR/FILE").await, "x");
    assert_eq!(content(&site, "up").await, "x");
    assert_eq!(site.open("dir", LOOK).await.path().unwrap(), p("real"));
    for (path, error) in
        [("out", "LinkRefused"), ("abs", "LinkRefused"), ("chain0", "LinkRefused"), ("dead", "NotFound")]
    {
        assert_eq!(word(site.try_open(path, READ, |_| {}).await), error, "{path}");
    }
    assert_eq!(word(site.try_open("abs/passwd", READ, |_| {}).await), "LinkRefused");
    let itself = site.try_open("abs", LOOK, |r| r.open_link = true).await.unwrap();
    assert_eq!(itself.attr.kind, Kind::Symlink);
    site.create("dir/made").await;
    assert_eq!(names(&*site.mem, "real").await, ["file", "made"]);
    assert!(site.vfs.stat(&cx(), &p("DIR")).await.unwrap().is_dir());
}

use crate::{as_nobody, fresh, fresh_with};
use origin_local::{COALESCE_AT_MOST, FOUND_MAX, LocalConfig, LocalVolume};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;
use testkit::{contract, ease};
use volume::{Author, Freshness, Notice, Volume, Watch};

pub async fn watching(volume: &LocalVolume) -> Watch {
    let mut watch = volume.watch(&ease::cx()).await.expect("watch");
    promises(&mut watch, Freshness::Notified).await;
    watch
}

/// Everything that is told until nothing came for a while.
pub async fn told(watch: &mut Watch) -> Vec<Notice> {
    let mut notices = Vec::new();
    let patience = COALESCE_AT_MOST * 3;
    while let Ok(Some(notice)) = tokio::time::timeout(patience, watch.notices.recv()).await {
        notices.push(notice);
    }
    notices
}

pub fn summary(notices: &[Notice]) -> Vec<String> {
    let line = |notice: &Notice| match notice {
        Notice::Changed { path, attr: Some(attr), .. } => format!("{path} {}", attr.size),
        Notice::Changed { path, attr: None, .. } => format!("{path} gone"),
        Notice::Moved { from, to, attr, .. } => format!("{from} to {to} {}", attr.is_some()),
        Notice::Unknown { below } => format!("{below} unknown"),
    };
    notices.iter().map(line).collect()
}

pub fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

#[tokio::test]
async fn changes_of_others_are_told() {
    let (dir, volume) = fresh();
    let other = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
    contract::tells_of_others(&*volume, &*other).await;
}

#[tokio::test]
async fn what_is_told_in_which_order() {
    tells_in_order(true).await;
    tells_in_order(false).await;
}

async fn tells_in_order(by_inotify: bool) {
    let (dir, volume) = fresh_with(LocalConfig { by_inotify, ..LocalConfig::default() });
    std::fs::create_dir(dir.path().join("d")).unwrap();
    write(&dir.path().join("d/f"), "1");
    let mut watch = watching(&volume).await;
    write(&dir.path().join("d/f"), "12");
    write(&dir.path().join("new"), "123");
    std::fs::rename(dir.path().join("d"), dir.path().join("e")).unwrap();
    write(&dir.path().join("e/f"), "1234");
    std::fs::rename(dir.path().join("e/f"), dir.path().join("g")).unwrap();
    std::fs::remove_file(dir.path().join("new")).unwrap();
    let told = summary(&told(&mut watch).await);
    let at =
        |what: &str| told.iter().position(|line| line == what).unwrap_or_else(|| panic!("{what}: {told:?}"));
    assert!(at("d to e true") < at("e/f to g true"), "{told:?}");
    // By fanotify both ends of its life come as one, unless the first was read before the second came.
    assert!(!by_inotify || at("e/f to g true") < at("new gone"), "{told:?}");
    assert!(told.contains(&"new gone".to_owned()), "{told:?}");
}

#[tokio::test]
async fn many_writes_are_one_notice() {
    let (dir, volume) = fresh();
    let mut watch = watching(&volume).await;
    let mut file = std::fs::File::create(dir.path().join("f")).unwrap();
    for _ in 0..1000 {
        file.write_all(b"x").unwrap();
    }
    drop(file);
    let told = summary(&told(&mut watch).await);
    assert!(told.len() <= 3, "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("f 1000"), "the last notice tells how it is now");
}

#[tokio::test]
async fn what_was_in_a_directory_before_it_was_watched_is_told() {
    let (dir, volume) = fresh();
    let aside = tempfile::tempdir_in(dir.path().parent().unwrap()).unwrap();
    std::fs::create_dir_all(aside.path().join("d/deep")).unwrap();
    write(&aside.path().join("d/deep/f"), "x");
    let mut watch = watching(&volume).await;
    std::fs::rename(aside.path().join("d"), dir.path().join("d")).unwrap();
    let lines = summary(&told(&mut watch).await);
    assert!(lines[0].starts_with("d ") && lines[1].starts_with("d/deep "), "{lines:?}");
    assert_eq!(lines[2..], ["d/deep/f 1"]);
    write(&dir.path().join("d/deep/f"), "xyz");
    assert!(summary(&told(&mut watch).await).contains(&"d/deep/f 3".to_owned()));
    std::fs::rename(dir.path().join("d"), aside.path().join("d")).unwrap();
    assert_eq!(summary(&told(&mut watch).await), ["d gone"]);
    write(&aside.path().join("d/deep/f"), "outside");
    assert_eq!(summary(&told(&mut watch).await), [""; 0], "what left is not watched any more");
}

#[tokio::test]
async fn what_changed_below_a_directory_that_moves_at_once_is_told_at_its_new_place() {
    let (dir, volume) = fresh();
    let at = |path: &str| dir.path().join(path);
    std::fs::create_dir_all(at("d/deep")).unwrap();
    std::fs::create_dir(at("other")).unwrap();
    for path in ["d/f", "d/deep/f", "other/f"] {
        write(&at(path), "1");
    }
    let mut watch = watching(&volume).await;
    write(&at("d/f"), "12");
    write(&at("d/deep/f"), "123");
    std::fs::rename(at("d"), at("e")).unwrap();
    std::fs::rename(at("other"), at("d")).unwrap();
    let lines = summary(&told(&mut watch).await);
    let place = |what: &str| lines.iter().position(|line| line == what);
    let moved = place("d to e true").unwrap_or_else(|| panic!("{lines:?}"));
    assert!(place("e/f 2") > Some(moved) && place("e/deep/f 3") > Some(moved), "{lines:?}");
    assert!(!lines.iter().any(|line| line.ends_with("unknown")), "{lines:?}");
}

#[tokio::test]
async fn directories_that_move_before_they_could_be_watched_are() {
    let (dir, volume) = fresh();
    let at = |path: String| dir.path().join(path);
    let mut watch = watching(&volume).await;
    for round in 0..50 {
        std::fs::create_dir_all(at(format!("a{round}/b/c"))).unwrap();
        std::fs::rename(at(format!("a{round}")), at(format!("x{round}"))).unwrap();
        std::fs::create_dir(at(format!("a{round}"))).unwrap();
        std::fs::rename(at(format!("x{round}")), at(format!("y{round}"))).unwrap();
    }
    told(&mut watch).await;
    for round in 0..50 {
        write(&at(format!("y{round}/b/c/f")), "found");
        write(&at(format!("a{round}/f")), "found");
    }
    let lines = summary(&told(&mut watch).await);
    for round in 0..50 {
        for path in [format!("y{round}/b/c/f 5"), format!("a{round}/f 5")] {
            assert!(lines.contains(&path), "{path}: {lines:?}");
        }
    }
}

#[tokio::test]
async fn names_that_are_exchanged_are_told_and_watched_both() {
    let (dir, volume) = fresh();
    let at = |path: &str| dir.path().join(path);
    let exchange = |a: &str, b: &str| {
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(rustix::fs::CWD, at(a), rustix::fs::CWD, at(b), flags).unwrap();
    };
    std::fs::create_dir(at("a")).unwrap();
    std::fs::create_dir(at("b")).unwrap();
    write(&at("a/f"), "1");
    write(&at("b/g"), "12");
    write(&at("short"), "1");
    write(&at("long"), "12345");
    let mut watch = watching(&volume).await;
    exchange("short", "long");
    let lines = summary(&told(&mut watch).await);
    let last = |name: &str| lines.iter().rev().find(|line| line.split(' ').any(|word| word == name));
    assert_eq!(last("long").map(String::as_str), Some("long 1"), "{lines:?}");
    exchange("a", "b");
    let lines = summary(&told(&mut watch).await);
    assert!(lines.contains(&"a/g 2".to_owned()) && lines.contains(&"b/f 1".to_owned()), "{lines:?}");
    write(&at("a/g"), "changed");
    write(&at("b/f"), "changed too");
    let lines = summary(&told(&mut watch).await);
    assert!(lines.contains(&"a/g 7".to_owned()) && lines.contains(&"b/f 11".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn a_large_tree_that_appears_is_unknown_below() {
    let (dir, volume) = fresh();
    let aside = tempfile::tempdir_in(dir.path().parent().unwrap()).unwrap();
    std::fs::create_dir(aside.path().join("d")).unwrap();
    (0..=FOUND_MAX).for_each(|number| write(&aside.path().join(format!("d/{number}")), ""));
    let mut watch = watching(&volume).await;
    std::fs::rename(aside.path().join("d"), dir.path().join("d")).unwrap();
    let lines = summary(&told(&mut watch).await);
    assert!(lines[0].starts_with("d ") && lines[1..] == ["d unknown"], "{lines:?}");
}

#[tokio::test]
async fn a_name_that_came_and_went_is_told_as_gone_once() {
    let (dir, volume) = fresh_with(LocalConfig { by_inotify: true, ..LocalConfig::default() });
    let mut watch = watching(&volume).await;
    for _ in 0..50 {
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::remove_dir(dir.path().join("d")).unwrap();
    }
    let told = summary(&told(&mut watch).await);
    assert_eq!(told.iter().filter(|line| *line == "d gone").count(), 50, "{told:?}");
}

#[tokio::test]
async fn a_name_that_came_and_went_while_nobody_read_is_told_as_gone_and_no_more() {
    let (dir, volume) = fresh();
    let mut watch = watching(&volume).await;
    for _ in 0..50 {
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::remove_dir(dir.path().join("d")).unwrap();
        write(&dir.path().join("f"), "");
        std::fs::remove_file(dir.path().join("f")).unwrap();
    }
    let told = summary(&told(&mut watch).await);
    for name in ["d", "f"] {
        let last = told.iter().rfind(|line| line.starts_with(name));
        assert_eq!(last, Some(&format!("{name} gone")), "{told:?}");
    }
    assert!(!told.iter().any(|line| line.ends_with("unknown")), "{told:?}");
}

/// What another process does: a line of a shell.
fn others_do(dir: &Path, what: &str) {
    let done = std::process::Command::new("sh").current_dir(dir).args(["-ec", what]).status().unwrap();
    assert!(done.success(), "{what}");
}

/// Who changed what, the same said several times in a row once.
fn authors(notices: &[Notice]) -> Vec<String> {
    let line = |notice: &Notice| match notice {
        Notice::Changed { path, attr: Some(_), by } => format!("{path} {by:?}"),
        Notice::Changed { path, attr: None, by } => format!("{path} gone {by:?}"),
        Notice::Moved { from, to, by, .. } => format!("{from} to {to} {by:?}"),
        Notice::Unknown { below } => format!("{below} unknown"),
    };
    let mut lines: Vec<String> = notices.iter().map(line).collect();
    lines.dedup();
    lines
}

async fn tells_who_made_a_change(sole: bool, by_inotify: bool, us: Author, others: Author) {
    let (dir, volume) = fresh_with(LocalConfig { sole, by_inotify, ..LocalConfig::default() });
    let mut watch = watching(&volume).await;
    assert_eq!(*watch.authors.borrow(), us == Author::Us);
    let at = |name: &str| dir.path().join(name);
    write(&at("a"), "by us");
    others_do(dir.path(), "echo >b");
    assert_eq!(authors(&told(&mut watch).await), [format!("a {us:?}"), format!("b {others:?}")]);
    std::fs::rename(at("a"), at("c")).unwrap();
    others_do(dir.path(), "mv b d");
    assert_eq!(authors(&told(&mut watch).await), [format!("a to c {us:?}"), format!("b to d {others:?}")]);
    let size = |size: u64| move |file: std::fs::File| file.set_len(size).unwrap();
    std::fs::File::options().write(true).open(at("d")).map(size(9)).unwrap();
    others_do(dir.path(), "chmod 600 c");
    let mut lines = authors(&told(&mut watch).await);
    lines.sort();
    assert_eq!(lines, [format!("c {others:?}"), format!("d {us:?}")]);
    std::fs::remove_file(at("c")).unwrap();
    others_do(dir.path(), "rm d; mkdir e");
    let expected = [format!("c gone {us:?}"), format!("d gone {others:?}"), format!("e {others:?}")];
    assert_eq!(authors(&told(&mut watch).await), expected);
    std::fs::set_permissions(at("e"), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(authors(&told(&mut watch).await), [format!("e {us:?}")]);
}

#[tokio::test]
async fn who_made_a_change_is_told() {
    tells_who_made_a_change(true, false, Author::Us, Author::Others).await;
    tells_who_made_a_change(false, false, Author::Unknown, Author::Others).await;
    tells_who_made_a_change(true, true, Author::Unknown, Author::Unknown).await;
}

#[test]
fn who_made_a_change_is_told_to_who_has_no_privilege() {
    as_nobody(|| tells_who_made_a_change(true, false, Author::Us, Author::Others));
}

#[tokio::test]
async fn what_this_process_does_is_not_told_as_ours_once_the_volume_has_another_user() {
    let (dir, volume) = fresh_with(LocalConfig { sole: true, ..LocalConfig::default() });
    let mut watch = watching(&volume).await;
    write(&dir.path().join("a"), "by us");
    assert_eq!(authors(&told(&mut watch).await), ["a Us"]);
    volume.share();
    assert!(!*watch.authors.borrow());
    write(&dir.path().join("b"), "by somebody here");
    others_do(dir.path(), "echo >c");
    assert_eq!(authors(&told(&mut watch).await), ["/ unknown", "b Unknown", "c Others"]);
}

#[tokio::test]
async fn what_others_did_is_told_as_theirs_whatever_we_do_at_the_same_time() {
    let (dir, volume) = fresh_with(LocalConfig { sole: true, ..LocalConfig::default() });
    let at = |name: &str| dir.path().join(name);
    ["a", "b", "c"].into_iter().for_each(|name| write(&at(name), "1"));
    let mut watch = watching(&volume).await;
    write(&at("a"), "2");
    others_do(dir.path(), "echo >>a; echo >>b; echo >>c");
    write(&at("a"), "3");
    std::fs::rename(at("b"), at("d")).unwrap();
    std::fs::remove_file(at("c")).unwrap();
    write(&at("c"), "made anew");
    let lines = authors(&told(&mut watch).await);
    let has = |line: &str| assert!(lines.iter().any(|told| told == line), "{line}: {lines:?}");
    ["a Others", "b to d Us", "d Others", "c gone Us", "c Us"].into_iter().for_each(has);
}

#[tokio::test]
async fn who_made_what_is_found_in_a_directory_before_it_is_watched_is_not_known() {
    let (dir, volume) = fresh_with(LocalConfig { sole: true, ..LocalConfig::default() });
    let aside = tempfile::tempdir_in(dir.path().parent().unwrap()).unwrap();
    std::fs::create_dir(aside.path().join("d")).unwrap();
    write(&aside.path().join("d/f"), "x");
    let mut watch = watching(&volume).await;
    std::fs::rename(aside.path().join("d"), dir.path().join("d")).unwrap();
    assert_eq!(authors(&told(&mut watch).await), ["d Us", "d/f Unknown"]);
}

#[tokio::test]
async fn what_is_written_to_a_file_without_a_name_is_no_news() {
    let (dir, volume) = fresh();
    let mut file = std::fs::File::create(dir.path().join("f")).unwrap();
    let mut watch = watching(&volume).await;
    std::fs::remove_file(dir.path().join("f")).unwrap();
    assert_eq!(summary(&told(&mut watch).await), ["f gone"]);
    file.write_all(b"nobody sees it").unwrap();
    assert_eq!(summary(&told(&mut watch).await), [""; 0]);
}

#[tokio::test]
async fn trees_that_grow_quickly_are_watched_to_the_last_directory() {
    let (dir, volume) = fresh();
    let mut watch = watching(&volume).await;
    let mut deepest = dir.path().to_owned();
    for depth in 0..30 {
        deepest.push(format!("d{depth}"));
        std::fs::create_dir(&deepest).unwrap();
    }
    told(&mut watch).await;
    write(&deepest.join("f"), "found");
    let below = deepest.strip_prefix(dir.path()).unwrap().join("f");
    let path = ease::p(below.to_str().unwrap());
    ease::notice(
        &mut watch,
        "a file in the deepest",
        |n| matches!(n, Notice::Changed { path: p, .. } if *p == path),
    )
    .await;
}

#[tokio::test]
async fn more_directories_than_can_be_watched_take_the_promise_away() {
    let (dir, volume) = fresh_with(LocalConfig { watched_dirs_max: 3, ..LocalConfig::default() });
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    let mut watch = watching(&volume).await;
    std::fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
    promises(&mut watch, Freshness::Direct).await;
    write(&dir.path().join("f"), "x");
    assert!(summary(&told(&mut watch).await).contains(&"f 1".to_owned()), "what is watched is still told");
}

pub fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn of_a_name_that_cannot_be_looked_at_its_directory_is_told() {
    as_nobody(|| async {
        let (dir, volume) = fresh();
        let closed = dir.path().join("d");
        std::fs::create_dir(&closed).unwrap();
        let mut watch = watching(&volume).await;
        // Each time it may just have been looked at before the directory was closed.
        for round in 0.. {
            write(&closed.join(format!("{round}")), "x");
            chmod(&closed, 0o600);
            let lines = summary(&told(&mut watch).await);
            chmod(&closed, 0o700);
            if lines.contains(&"d unknown".to_owned()) {
                return;
            }
            assert!(lines.contains(&format!("d/{round} 1")), "{lines:?}");
        }
    });
}

pub async fn promises(watch: &mut Watch, freshness: Freshness) {
    let promised = watch.freshness.wait_for(|f| *f == freshness);
    ease::within(Duration::from_secs(10), &format!("{freshness:?}"), promised)
        .await
        .expect("the watch ended");
}

fn mkdir_of(path: &Path, mode: u32) {
    std::fs::DirBuilder::new().mode(mode).create(path).unwrap();
}

#[test]
fn what_nobody_reaches_through_us_takes_no_promise_away() {
    as_nobody(|| async {
        let (dir, volume) = fresh();
        let [early, listed, late] = ["early", "listed", "late"].map(|name| dir.path().join(name));
        mkdir_of(&early, 0);
        std::fs::create_dir_all(listed.join("below")).unwrap();
        chmod(&listed, 0o600);
        let mut watch = watching(&volume).await;
        mkdir_of(&late, 0);
        assert!(summary(&told(&mut watch).await)[0].starts_with("late "));
        assert!(!watch.freshness.has_changed().unwrap(), "it is Notified all the time");
        for (path, dir) in [(&early, early.clone()), (&late, late.clone()), (&listed, listed.join("below"))] {
            chmod(path, 0o700);
            told(&mut watch).await;
            write(&dir.join("f"), "found");
            let name = dir.strip_prefix(path.parent().unwrap()).unwrap().display();
            assert!(summary(&told(&mut watch).await).contains(&format!("{name}/f 5")), "it is watched now");
        }
    });
}

/// As a directory that is closed while others, who may pass or have files open in it, go on.
#[test]
fn what_nobody_reaches_any_more_is_told_as_unknown_and_takes_no_promise_away() {
    as_nobody(|| async {
        let (dir, volume) = fresh();
        let closed = dir.path().join("d");
        std::fs::create_dir(&closed).unwrap();
        let mut files: Vec<_> =
            (0..50).map(|n| std::fs::File::create(closed.join(n.to_string())).unwrap()).collect();
        let mut watch = watching(&volume).await;
        // Each time it may just have been looked at before the directory was closed.
        for round in 0.. {
            (0..100).for_each(|n| std::fs::create_dir(dir.path().join(format!("{round}-{n}"))).unwrap());
            std::fs::create_dir(closed.join(format!("d{round}"))).unwrap();
            chmod(&closed, 0);
            let unseen = summary(&told(&mut watch).await).contains(&"d unknown".to_owned());
            files.iter_mut().for_each(|file| file.write_all(b"x").unwrap());
            let lines = summary(&told(&mut watch).await);
            assert!(!lines.is_empty() && lines.iter().all(|line| line == "d unknown"), "{lines:?}");
            chmod(&closed, 0o700);
            told(&mut watch).await;
            assert!(!watch.freshness.has_changed().unwrap(), "it is Notified all the time");
            write(&closed.join(format!("d{round}/f")), "found");
            let lines = summary(&told(&mut watch).await);
            assert!(lines.contains(&format!("d/d{round}/f 5")), "unseen {unseen}: {lines:?}");
            if unseen {
                return;
            }
        }
    });
}

#[test]
fn a_directory_that_cannot_be_watched_takes_the_promise_away_while_it_is_there() {
    as_nobody(|| async {
        let (dir, volume) = fresh();
        let aside = tempfile::tempdir_in(dir.path().parent().unwrap()).unwrap();
        let closed = dir.path().join("d");
        let mut watch = watching(&volume).await;
        for ends in ["removed", "moved away", "opened"] {
            mkdir_of(&closed, 0o300);
            promises(&mut watch, Freshness::Direct).await;
            match ends {
                "removed" => std::fs::remove_dir(&closed).unwrap(),
                "moved away" => std::fs::rename(&closed, aside.path().join("d")).unwrap(),
                _ => chmod(&closed, 0o700),
            }
            promises(&mut watch, Freshness::Notified).await;
        }
        told(&mut watch).await;
        write(&closed.join("f"), "found");
        assert!(summary(&told(&mut watch).await).contains(&"d/f 5".to_owned()));
    });
}

#[tokio::test]
async fn a_dropped_volume_ends_its_watches_and_subscribers_come_and_go() {
    let (dir, volume) = fresh();
    drop(watching(&volume).await);
    let mut first = watching(&volume).await;
    let mut second = watching(&volume).await;
    write(&dir.path().join("f"), "x");
    for watch in [&mut first, &mut second] {
        ease::notice(watch, "f", |n| matches!(n, Notice::Changed { .. })).await;
    }
    drop(volume);
    let ended = async { while first.notices.recv().await.is_some() {} };
    ease::within(Duration::from_secs(10), "the end", ended).await;
    // So that a file system can be unmounted, long before the thread would have looked by itself.
    let let_go = async {
        while holds(dir.path()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    ease::within(Duration::from_secs(5), "the directory to be let go", let_go).await;
}

/// Whether this process has a directory, or something below it, open.
fn holds(dir: &Path) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok()).any(|at| at.starts_with(dir))
}

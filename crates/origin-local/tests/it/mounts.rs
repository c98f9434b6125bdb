//! What is mounted below the root while it is watched: only what is noticed is promised.

use crate::mounting::{Mount, Served, run};
use crate::watch::{chmod, promises, summary, told, watching, write};
use crate::{as_nobody, fresh};
use origin_local::{LocalConfig, LocalVolume, MOUNTED_CALLS_MAX};
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::ease;
use volume::{Cx, ErrorKind, Freshness, Volume, Watch};

/// A volume with a directory `d` in it that is watched, and a file `d/f` and a directory `e`.
async fn site() -> (TempDir, Arc<LocalVolume>, PathBuf, Watch) {
    let (dir, volume) = fresh();
    let at = dir.path().join("d");
    std::fs::create_dir(&at).unwrap();
    std::fs::create_dir(dir.path().join("e")).unwrap();
    write(&at.join("f"), "below");
    let watch = watching(&volume).await;
    (dir, volume, at, watch)
}

/// What is told of a file that somebody else writes.
async fn tells(watch: &mut Watch, path: &Path) -> bool {
    told(watch).await;
    write(path, "by others");
    let name = path.file_name().unwrap().display();
    summary(&told(watch).await).iter().any(|line| line.ends_with(&format!("/{name} 9")))
}

fn now(watch: &Watch) -> Freshness {
    *watch.freshness.borrow()
}

#[tokio::test]
#[ignore = "needs root"]
async fn what_is_mounted_below_is_watched_and_so_is_what_comes_to_light_again() {
    let (_dir, _volume, at, mut watch) = site().await;
    let mount = Mount::new(&["-t", "tmpfs", "none"], &at);
    assert!(summary(&told(&mut watch).await).contains(&"/ unknown".to_owned()));
    assert!(tells(&mut watch, &at.join("mounted")).await);
    assert_eq!(now(&watch), Freshness::Notified);
    chmod(&at, 0o700);
    assert!(summary(&told(&mut watch).await)[0].starts_with("d "), "of its own attributes, too");
    drop(mount);
    assert!(tells(&mut watch, &at.join("f")).await);
    assert_eq!(now(&watch), Freshness::Notified);
}

#[tokio::test]
#[ignore = "needs root"]
async fn where_not_all_is_noticed_nothing_is_promised_while_it_is_mounted() {
    let (dir, _volume, at, mut watch) = site().await;
    let mount = Mount::new(&["-t", "mqueue", "none"], &at);
    promises(&mut watch, Freshness::Direct).await;
    assert!(summary(&told(&mut watch).await).contains(&"d unknown".to_owned()));
    assert!(tells(&mut watch, &dir.path().join("e/beside")).await, "what is noticed is told all the same");
    let late = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
    let mut late = late.watch(&ease::cx()).await.unwrap();
    assert!(tells(&mut late, &dir.path().join("e/beside")).await);
    assert_eq!((now(&watch), now(&late)), (Freshness::Direct, Freshness::Direct));
    drop(mount);
    promises(&mut watch, Freshness::Notified).await;
    assert!(tells(&mut watch, &at.join("f")).await);
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_root_where_not_all_is_noticed_promises_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mount = Mount::new(&["-t", "mqueue", "none"], dir.path());
    let volume = LocalVolume::open(mount.at(), LocalConfig::default()).unwrap();
    let mut watch = volume.watch(&ease::cx()).await.unwrap();
    // All that is found in the beginning has been told by then.
    assert_eq!(summary(&told(&mut watch).await), [""; 0]);
    write(&mount.at().join("q"), "");
    assert!(!told(&mut watch).await.is_empty());
    assert_eq!(now(&watch), Freshness::Direct);
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_file_system_that_does_not_answer_holds_up_nothing() {
    let (dir, _volume, at, mut watch) = site().await;
    let mut covered = File::options().append(true).open(at.join("f")).unwrap();
    // Nobody serves it: whoever touches it waits.
    let device = match File::options().read(true).write(true).open("/dev/fuse") {
        Ok(device) => device,
        Err(why) => return eprintln!("skipped: no FUSE here: {why}"),
    };
    let stdin = Stdio::from(device.try_clone().unwrap());
    let words = ["-i", "-t", "fuse", "none", "-o", "fd=0,rootmode=40000,user_id=0,group_id=0"];
    let mount = match Mount::by(Command::new("mount").stdin(stdin).args(words), &at) {
        Ok(mount) => mount,
        Err(why) => return eprintln!("skipped: no FUSE here: {why}"),
    };
    // In this order, also when the test fails: `umount` would wait as well.
    let silent = (device, mount);
    promises(&mut watch, Freshness::Direct).await;
    told(&mut watch).await;
    covered.write_all(b"unseen").unwrap();
    assert!(tells(&mut watch, &dir.path().join("e/beside")).await);
    let late = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
    let mut late = late.watch(&ease::cx()).await.unwrap();
    assert!(tells(&mut late, &dir.path().join("e/beside")).await, "nor one who begins now");
    drop(silent);
    promises(&mut watch, Freshness::Notified).await;
}

/// As a disk that is mounted in an NFS share whose server goes away.
#[tokio::test]
#[ignore = "needs root"]
async fn what_is_mounted_in_a_file_system_that_does_not_answer_holds_up_nothing() {
    let (dir, _volume, at, mut watch) = site().await;
    let mut served = match Served::at(&at) {
        Ok(served) => served,
        Err(why) => return eprintln!("skipped: no FUSE here: {why}"),
    };
    // Goes with what it is mounted in.
    run(Command::new("mount").args(["-i", "-t", "tmpfs", "none"]).arg(at.join("x"))).unwrap();
    promises(&mut watch, Freshness::Direct).await;
    assert!(tells(&mut watch, &dir.path().join("e/beside")).await, "while it answers");
    served.falls_silent();
    // The table of mounts is looked at again.
    let further = Mount::new(&["-t", "tmpfs", "none"], &dir.path().join("e"));
    let heard = tells(&mut watch, &dir.path().join("e/beside")).await;
    drop((served, further));
    assert!(heard, "of what has nothing to do with it nothing is told any more");
}

#[tokio::test]
#[ignore = "needs root"]
async fn what_mounts_when_it_is_touched_is_not_touched() {
    let (dir, _volume, at, mut watch) = site().await;
    let (requests, pipe) = std::io::pipe().unwrap();
    // Of another process group than ours, so that a touch of ours would be a request.
    let mut daemon = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
    let options = format!("fd=0,pgrp={},minproto=5,maxproto=5,direct", daemon.id());
    let words = ["-i", "-t", "autofs", "none", "-o", &options];
    let mounted = Mount::by(Command::new("mount").stdin(Stdio::from(pipe)).args(words), &at);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let mount = match mounted {
        Ok(mount) => mount,
        Err(why) => return eprintln!("skipped: no autofs here: {why}"),
    };
    // In this order, also when the test fails: `umount` would ask, too.
    let silent = (requests, mount);
    promises(&mut watch, Freshness::Direct).await;
    let late = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
    let mut late = late.watch(&ease::cx()).await.unwrap();
    for watch in [&mut watch, &mut late] {
        assert!(tells(watch, &dir.path().join("e/beside")).await);
    }
    assert_eq!(rustix::io::ioctl_fionread(&silent.0).unwrap(), 0, "nobody was asked to mount anything");
    drop(silent);
    promises(&mut watch, Freshness::Notified).await;
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_directory_seen_at_two_places_takes_the_promise_away() {
    let (dir, _volume, at, mut watch) = site().await;
    for source in [at.as_path(), dir.path()] {
        let other = dir.path().join("e");
        let mount = Mount::new(&["--bind", source.to_str().unwrap()], &other);
        promises(&mut watch, Freshness::Direct).await;
        assert!(tells(&mut watch, &at.join("f")).await);
        drop(mount);
        promises(&mut watch, Freshness::Notified).await;
        assert!(tells(&mut watch, &at.join("f")).await && tells(&mut watch, &other.join("f")).await);
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_mounted_file_takes_the_promise_away() {
    let (dir, _volume, at, mut watch) = site().await;
    let source = tempfile::NamedTempFile::new_in(dir.path().parent().unwrap()).unwrap();
    let mount = Mount::new(&["--bind", source.path().to_str().unwrap()], &at.join("f"));
    promises(&mut watch, Freshness::Direct).await;
    drop(mount);
    promises(&mut watch, Freshness::Notified).await;
    assert!(tells(&mut watch, &at.join("f")).await);
}

#[tokio::test]
#[ignore = "needs root"]
async fn what_nobody_can_write_to_takes_nothing_away_and_is_told() {
    let (_dir, _volume, at, mut watch) = site().await;
    let mount = Mount::new(&["-t", "tmpfs", "-o", "ro", "none"], &at);
    assert_eq!(summary(&told(&mut watch).await), ["d unknown"]);
    drop(mount);
    let lines = summary(&told(&mut watch).await);
    assert!(lines[0] == "d unknown" && !watch.freshness.has_changed().unwrap(), "{lines:?}");
    assert!(tells(&mut watch, &at.join("f")).await);
}

/// Ends the silence of a file system that somebody waits for, when a test takes too long, which fails then.
fn watchdog(at: &Path) -> mpsc::Sender<()> {
    let (done, is_done) = mpsc::channel();
    let at = at.to_owned();
    std::thread::spawn(move || {
        if is_done.recv_timeout(Duration::from_secs(30)) == Err(mpsc::RecvTimeoutError::Timeout) {
            run(Command::new("umount").args(["-i", "-c", "-f"]).arg(at)).unwrap_or_default();
        }
    });
    done
}

/// As a network share whose server goes away.
#[tokio::test]
#[ignore = "needs root"]
async fn who_asks_what_does_not_answer_takes_nothing_from_who_asks_for_something_else() {
    let (dir, volume) = fresh();
    let at = dir.path().join("d");
    std::fs::create_dir(&at).unwrap();
    write(&dir.path().join("f"), "beside");
    let mut served = match Served::at(&at) {
        Ok(served) => served,
        Err(why) => return eprintln!("skipped: no FUSE here: {why}"),
    };
    assert!(ease::stat(&*volume, "d/x").await.is_dir(), "while it answers");
    served.falls_silent();
    let done = watchdog(&at);
    let hang = |path: &'static str| {
        let volume = volume.clone();
        tokio::spawn(async move { volume.stat(&ease::cx(), &ease::p(path)).await.map(drop) })
    };
    let hanging: Vec<_> = (0..2 * MOUNTED_CALLS_MAX).map(|number| hang(["d", "d/x"][number % 2])).collect();
    tokio::task::yield_now().await;
    let soon = Cx { deadline: Instant::now() + Duration::from_millis(50), ..ease::cx() };
    let late = volume.stat(&soon, &ease::p("d")).await;
    assert_eq!(late.unwrap_err().kind, ErrorKind::TimedOut);
    assert_eq!(ease::get(&*volume, "f").await, b"beside");
    ease::put(&*volume, "g", "new").await;
    // What is beside it is listed, and it itself as the kernel remembers it.
    assert_eq!(ease::names(&*volume, "").await, ["d", "f", "g"]);
    assert!(hanging.iter().all(|call| !call.is_finished()));
    done.send(()).unwrap();
    drop(served);
    // With an error, or with what lay under it.
    for call in hanging {
        call.await.unwrap().unwrap_or_default();
    }
}

#[test]
#[ignore = "needs root"]
fn an_entry_that_cannot_be_looked_at_hides_none_of_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let at = dir.path().join("d");
    std::fs::create_dir(&at).unwrap();
    write(&dir.path().join("f"), "beside");
    // Of the user who mounted it alone.
    let _served = match Served::at(&at) {
        Ok(served) => served,
        Err(why) => return eprintln!("skipped: no FUSE here: {why}"),
    };
    let root = dir.path().to_owned();
    as_nobody(|| async move {
        let volume = LocalVolume::open(&root, LocalConfig::default()).unwrap();
        assert_eq!(ease::names(&*volume, "").await, ["f"]);
    });
}

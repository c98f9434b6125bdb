//! Two threads swap a directory for a symlink out of the root while calls go through its name. No call may
//! ever touch what is outside.

use crate::fresh;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::{Swaps, ease};
use volume::{Access, Change, Create, DosAttributes, ErrorKind, OpenHow, SetAttr, Volume};

const RACE: Duration = Duration::from_secs(2);

/// What a call made of it: nothing wrong, refused, or busy racing.
fn harmless<T>(result: volume::Result<T>) -> bool {
    match result {
        Ok(_) => true,
        Err(e) => {
            let refused = [
                ErrorKind::NotFound,
                ErrorKind::Loop,
                ErrorKind::NotADirectory,
                ErrorKind::IsADirectory,
                ErrorKind::AlreadyExists,
                ErrorKind::Busy,
            ];
            assert!(refused.contains(&e.kind), "{e}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapped_directories_never_lead_outside() {
    let (dir, volume) = fresh();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::write(dir.path().join("d/secret"), "public").unwrap();

    let swaps = Swaps::begin(dir.path(), outside.path());
    let start = Instant::now();
    let (mut calls, mut successes) = (0_u64, 0_u64);
    while start.elapsed() < RACE {
        for result in one_round(&*volume, calls).await {
            calls += 1;
            successes += u64::from(result);
        }
    }
    swaps.end();
    assert!(successes > 100 && successes < calls, "{successes} of {calls} calls succeeded");
    let left: Vec<_> = std::fs::read_dir(outside.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["secret"], "made, moved or removed outside");
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"secret", "written outside");
    let value = rustix::fs::getxattr(outside.path().join("secret"), "user.farshare.attr", &mut [0_u8; 64]);
    assert!(value.is_err(), "attributes set outside");
}

/// One call of each kind through the name that is swapped.
async fn one_round(volume: &dyn Volume, number: u64) -> Vec<bool> {
    let cx = ease::cx();
    let secret = ease::p("d/secret");
    let mut results = Vec::new();
    match volume.open(&cx, &secret, OpenHow::read_write()).await {
        Ok(opened) => {
            let content = ease::read_all(&*opened.file).await;
            assert_ne!(content, b"secret", "read from outside");
            results.push(harmless(opened.file.write_at(&cx, 0, "PUBLIC".into()).await));
        }
        failed => results.push(harmless(failed)),
    }
    if let Ok(attr) = volume.stat(&cx, &ease::p("d")).await {
        results.push(attr.is_dir());
    }
    let name = format!("d/new{number}");
    let how = OpenHow { access: Access::WRITE, ..OpenHow::create(Create::New) };
    results.push(harmless(volume.open(&cx, &ease::p(&name), how).await));
    let dos = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
    for change in [
        Change::MakeDir {
            path: ease::p(&format!("d/dir{number}")),
            mode: 0o755,
            dos: DosAttributes::ARCHIVE,
            maker: None,
        },
        Change::SetAttr { path: secret.clone(), set: dos, expect: None },
        Change::Link { from: secret.clone(), to: ease::p("linked"), replace: true, expect: None },
        Change::Rename { from: ease::p(&name), to: ease::p("d/moved"), replace: true, expect: None },
        Change::Remove { path: ease::p("d/moved"), dir: false, expect: None },
        Change::Remove { path: ease::p(&format!("d/dir{number}")), dir: true, expect: None },
    ] {
        results.push(harmless(volume.apply(&cx, &change).await));
    }
    if let Ok(page) = volume.list(&cx, &ease::p("d"), Default::default()).await {
        let listed = page.entries.iter().find(|e| &*e.name == "secret");
        assert!(listed.is_none_or(|e| e.attr.size == 6));
    }
    results
}

#[tokio::test]
async fn links_that_lead_out_are_not_made() {
    let (dir, volume) = fresh();
    ease::mkdir(&*volume, "d").await;
    let link = |path: &str, target: &str| Change::Symlink {
        path: ease::p(path),
        target: target.to_owned(),
        maker: None,
    };
    for target in ["/etc", "../../x", "f/../../.."] {
        ease::fails(volume.apply(&ease::cx(), &link("d/l", target)).await, ErrorKind::InvalidArgument);
        assert!(dir.path().join("d/l").symlink_metadata().is_err());
    }
    ease::apply(&*volume, link("d/l", "../f")).await;
}

#[tokio::test]
async fn links_are_never_followed() {
    let (dir, volume) = fresh();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("f"), "outside").unwrap();
    std::fs::create_dir(dir.path().join("inside")).unwrap();
    for (name, target) in [("abs", outside.path()), ("up", Path::new("../..")), ("in", Path::new("inside"))] {
        symlink(target, dir.path().join(name)).unwrap();
    }
    symlink(outside.path().join("f"), dir.path().join("file")).unwrap();
    symlink("/proc/self/root", dir.path().join("magic")).unwrap();
    let cx = ease::cx();
    for path in ["abs/f", "up/etc", "in/x", "magic/etc"] {
        let path = ease::p(path);
        ease::fails(volume.stat(&cx, &path).await, ErrorKind::Loop);
        ease::fails(volume.open(&cx, &path, OpenHow::create(Create::IfMissing)).await, ErrorKind::Loop);
        let change = Change::Remove { path, dir: false, expect: None };
        ease::fails(volume.apply(&cx, &change).await, ErrorKind::Loop);
    }
    for how in [OpenHow::read(), OpenHow { truncate: true, ..OpenHow::create(Create::IfMissing) }] {
        ease::fails(volume.open(&cx, &ease::p("file"), how).await, ErrorKind::Loop);
    }
    let change = Change::SetAttr { path: ease::p("file"), set: SetAttr::size(0), expect: None };
    ease::fails(volume.apply(&cx, &change).await, ErrorKind::InvalidArgument);
    assert_eq!(std::fs::read(outside.path().join("f")).unwrap(), b"outside");
}

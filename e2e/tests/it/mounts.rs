//! `farshare mount`: a directory of this machine by way of FUSE.

use e2e::{Outcome, Running, Scratch, output, program, wait_until};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
/// A user who is not root, and his group.
const SOMEBODY: (u32, u32) = (65_534, 65_534);

struct Site {
    running: Running,
    dir: PathBuf,
    at: PathBuf,
    scratch: Scratch,
}

impl Site {
    fn new(words: &[&str]) -> Site {
        let scratch = Scratch::new().unwrap();
        let (dir, at) = (scratch.dir("dir").unwrap(), scratch.dir("at").unwrap());
        std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let running = mount(&dir, &at, &scratch, words);
        Site { running, dir, at, scratch }
    }

    fn mount_again(&mut self) {
        self.running = mount(&self.dir, &self.at, &self.scratch, &[]);
    }

    /// Has somebody who is not root do it in the mount.
    fn as_somebody(&self, script: &str) -> Outcome<String> {
        let mut command = Command::new("setpriv");
        let (uid, gid) = (SOMEBODY.0.to_string(), SOMEBODY.1.to_string());
        command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups", "sh", "-ec", script]);
        command.current_dir(&self.at);
        output(command)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.running.kill();
        if !wait_until(PATIENCE, || !is_mounted(&self.at)) {
            eprintln!("{} stays mounted", self.at.display());
        }
    }
}

fn mount(dir: &Path, at: &Path, scratch: &Scratch, words: &[&str]) -> Running {
    let mut command = Command::new(program());
    command.arg("mount").arg(dir).arg(at).args(words);
    let running = Running::start("farshare mount", command, &scratch.path().join("log")).unwrap();
    assert!(wait_until(PATIENCE, || is_mounted(at)), "{}", running.log());
    running
}

fn is_mounted(at: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let at = at.to_str().unwrap();
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(at))
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn what_is_made_in_a_mount_is_its_makers_and_all_of_it_is_in_the_directory() {
    let site = Site::new(&[]);
    std::fs::set_permissions(&site.at, PermissionsExt::from_mode(0o777)).unwrap();
    site.as_somebody(
        "umask 027; mkdir d; echo text >d/f; ln d/f d/g; ln -s /nowhere l; mkfifo p; \
         printf x >\"$(printf 'a\\377b\\nc')\"; mv d/g d/h; chmod u+s d/f; truncate -s 1M d/h; \
         test ! -u d/f; chmod u+s d/f",
    )
    .unwrap();
    let of = |name: &str| std::fs::symlink_metadata(site.dir.join(name)).unwrap();
    for (name, mode) in [("d", 0o750), ("d/f", 0o4640), ("p", 0o640)] {
        let made = of(name);
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (SOMEBODY.0, SOMEBODY.1, mode), "{name}");
    }
    assert_eq!((of("d/f").nlink(), of("d/f").ino(), of("d/f").len()), (2, of("d/h").ino(), 1 << 20));
    assert!(of("p").file_type().is_fifo());
    assert_eq!(std::fs::read_link(site.dir.join("l")).unwrap(), Path::new("/nowhere"));
    assert!(site.dir.join(OsStr::from_bytes(b"a\xffb\nc")).exists(), "names are bytes");
    site.as_somebody("mkdir own; chmod 700 own").unwrap();
    assert!(site.as_somebody("chown 0 own").is_err(), "who may not, may not here");
    let theirs = site.dir.join("root's");
    std::fs::write(&theirs, "").unwrap();
    std::fs::set_permissions(&theirs, PermissionsExt::from_mode(0o600)).unwrap();
    assert!(site.as_somebody("cat \"root's\"").is_err());
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn what_was_synced_is_there_when_the_daemon_was_killed() {
    let mut site = Site::new(&[]);
    let mut file = std::fs::File::create(site.at.join("f")).unwrap();
    file.write_all(&[7; 300_000]).unwrap();
    file.sync_all().unwrap();
    std::fs::rename(site.at.join("f"), site.at.join("g")).unwrap();
    site.running.kill();
    drop(file);
    assert!(wait_until(PATIENCE, || !is_mounted(&site.at)), "nobody is told for ever that nobody answers");
    site.mount_again();
    assert_eq!(std::fs::read(site.at.join("g")).unwrap(), [7; 300_000]);
    assert!(!site.at.join("f").exists());
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_mount_ends_when_it_is_asked_to_and_files_that_are_open_are_read_to_their_end() {
    let mut site = Site::new(&[]);
    std::fs::write(site.at.join("f"), "content").unwrap();
    let mut open = std::fs::File::open(site.at.join("f")).unwrap();
    site.running.signal(15);
    assert!(wait_until(PATIENCE, || !is_mounted(&site.at)));
    let mut content = String::new();
    open.read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
    drop(open);
    assert_eq!(site.running.wait(PATIENCE).unwrap(), Some(0), "{}", site.running.log());
    assert_eq!(std::fs::read(site.dir.join("f")).unwrap(), b"content");
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_file_without_a_name_lives_as_long_as_it_is_open() {
    let site = Site::new(&[]);
    let (path, other) = (site.at.join("f"), site.at.join("other"));
    std::fs::write(&path, "first").unwrap();
    let mut open = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    std::fs::write(&other, "second").unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"second");
    open.write_all(b"FIRST and more").unwrap();
    let attributes = open.metadata().unwrap();
    assert_eq!((attributes.nlink(), attributes.len()), (0, 14));
    open.set_permissions(PermissionsExt::from_mode(0o600)).unwrap();
    open.set_len(5).unwrap();
    assert_eq!(open.metadata().unwrap().len(), 5);
    assert_eq!(std::fs::read(&path).unwrap(), b"second");
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn nothing_changes_in_a_mount_that_is_read_only_and_devices_mean_nothing_in_any() {
    let site = Site::new(&["--read-only"]);
    std::fs::write(site.dir.join("f"), "content").unwrap();
    assert_eq!(std::fs::read(site.at.join("f")).unwrap(), b"content");
    assert!(std::fs::write(site.at.join("f"), "").is_err());
    assert!(std::fs::create_dir(site.at.join("d")).is_err());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let line = mounts.lines().find(|line| line.contains(site.at.to_str().unwrap())).unwrap();
    for option in ["ro", "nosuid", "nodev"] {
        assert!(line.split([' ', ',']).any(|word| word == option), "{line}");
    }
}

/// Somebody changes the directory itself: the mount shows it, at the latest when what the kernel believes is old.
#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn what_others_change_in_the_directory_is_seen() {
    let site = Site::new(&["--valid-ms", "50"]);
    std::fs::write(site.at.join("f"), "before").unwrap();
    assert_eq!(std::fs::read(site.at.join("f")).unwrap(), b"before");
    std::fs::write(site.dir.join("f"), "after it").unwrap();
    std::fs::rename(site.dir.join("f"), site.dir.join("g")).unwrap();
    let is_seen = || {
        std::fs::read(site.at.join("g")).is_ok_and(|content| content == b"after it")
            && !site.at.join("f").exists()
    };
    assert!(wait_until(PATIENCE, is_seen));
}

/// What the kernel reads and writes itself (passthrough) is what the directory has, at once and both ways.
#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn what_is_written_by_one_way_is_read_by_the_other_at_once() {
    let site = Site::new(&[]);
    let (here, there) = (site.at.join("f"), site.dir.join("f"));
    let mut written = std::fs::File::create(&here).unwrap();
    written.write_all(b"first").unwrap();
    assert_eq!(std::fs::read(&there).unwrap(), b"first");
    let mut open = std::fs::File::open(&here).unwrap();
    std::fs::OpenOptions::new().append(true).open(&there).unwrap().write_all(b" and more").unwrap();
    let mut all = String::new();
    open.read_to_string(&mut all).unwrap();
    assert_eq!(all, "first and more");
    written.set_len(2).unwrap();
    assert_eq!(
        (std::fs::read(&here).unwrap(), std::fs::read(&there).unwrap()),
        (b"fi".to_vec(), b"fi".to_vec())
    );
    let mut appending = std::fs::OpenOptions::new().append(true).open(&here).unwrap();
    appending.write_all(b"nally").unwrap();
    appending.sync_all().unwrap();
    assert_eq!(std::fs::read(&there).unwrap(), b"finally");
    assert_eq!(here.metadata().unwrap().len(), 7);
}

/// Also when they came to be after he has opened the file, and though this process does not see what he writes.
#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn setuid_bits_go_when_another_than_root_writes() {
    let site = Site::new(&[]);
    let path = site.at.join("f");
    std::fs::write(&path, "content").unwrap();
    let mode = || site.dir.join("f").metadata().unwrap().mode() & 0o7777;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o6777)).unwrap();
    site.as_somebody("printf x >> f").unwrap();
    assert_eq!(mode(), 0o777, "opened after that");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(&site.at, PermissionsExt::from_mode(0o777)).unwrap();
    std::thread::scope(|scope| {
        let script = "exec 3>>f; mkdir is-open; while [ ! -d go ]; do sleep 0.01; done; printf y >&3";
        let writer = scope.spawn(|| site.as_somebody(script));
        assert!(wait_until(PATIENCE, || site.dir.join("is-open").exists()));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o6777)).unwrap();
        std::fs::create_dir(site.at.join("go")).unwrap();
        writer.join().unwrap().unwrap();
    });
    assert_eq!(mode(), 0o777, "opened before that");
    assert_eq!(std::fs::read(&path).unwrap(), b"contentxy");
}

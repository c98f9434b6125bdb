//! A directory that is mounted and mirrored to real SSH servers.

use e2e::order::{Observer, Writer};
use e2e::{Outcome, Running, Scratch, Servers, output, program, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A node with a mounted volume and two SFTP mirrors.
struct Site {
    running: Running,
    servers: Servers,
    scratch: Scratch,
}

impl Site {
    fn new() -> Site {
        Site::prepared(|_| {})
    }

    fn prepared(prepare: impl FnOnce(&Path)) -> Site {
        let scratch = Scratch::new().unwrap();
        for name in ["source", "m1", "m2", "mnt", "keys"] {
            scratch.dir(name).unwrap();
        }
        prepare(scratch.path());
        let servers = Servers::start(&scratch.path().join("keys"), 2, None).unwrap();
        scratch.file("mirrors.toml", &config(&scratch, &servers, 2)).unwrap();
        let running = serve(&scratch);
        Site { running, servers, scratch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Runs a script in the mount.
    fn script(&self, script: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(self.path("mnt"));
        output(command).unwrap()
    }

    fn farshare(&self, words: &[&str]) -> Outcome<String> {
        let mut command = Command::new(program());
        command.args(words).arg("--state").arg(self.path("state"));
        output(command)
    }

    /// Waits until all mirrors have everything.
    fn settle(&self) {
        // Nobody answers while it starts.
        let lines = || self.farshare(&["mirror", "list"]).unwrap_or_default();
        let is_live = |line: &str| line.contains(": live, has everything");
        let all = || lines().lines().filter(|line| is_live(line)).count() == 2;
        assert!(wait_until(PATIENCE, all), "{}\n{}", lines(), self.running.log());
    }

    fn check_equal(&self) {
        for mirror in ["m1", "m2"] {
            let mut command = Command::new("diff");
            command.args(["-r", "--no-dereference", "-x", ".farshare-mirror", "source", mirror]);
            command.current_dir(self.scratch.path());
            let told = output(command);
            assert!(told.is_ok(), "{mirror}: {told:?}");
        }
    }

    fn kill_and_start(&mut self) {
        self.running.kill();
        assert!(wait_until(PATIENCE, || !is_mounted(&self.path("mnt"))));
        self.running = serve(&self.scratch);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.running.kill();
        if !wait_until(PATIENCE, || !is_mounted(&self.path("mnt"))) {
            eprintln!("{} stays mounted", self.path("mnt").display());
        }
    }
}

fn config(scratch: &Scratch, servers: &Servers, mirrors: usize) -> String {
    let at = scratch.path().display();
    let mut text = format!(
        "[node]\nname = \"here\"\nstate = \"{at}/state\"\n[volume.web]\norigin = \"file://{at}/source\"\n\
         mirror_log = \"256MiB\"\n[fuse.web]\nvolume = \"web\"\nat = \"{at}/mnt\"\n"
    );
    for (number, wire) in (1..).zip(&servers.wires).take(mirrors) {
        text += &format!(
            "[[volume.web.mirror]]\nname = \"m{number}\"\nto = \"sftp://root@127.0.0.1:{}{at}/m{number}\"\nkey = \"{}\"\n\
             known_hosts = \"{}\"\n",
            wire.port(),
            servers.key.display(),
            servers.known_hosts.display(),
        );
    }
    text
}

fn serve(scratch: &Scratch) -> Running {
    let mut command = Command::new(program());
    command.args(["serve", "--config"]).arg(scratch.path().join("mirrors.toml"));
    let running = Running::start("farshare serve", command, &scratch.path().join("log")).unwrap();
    assert!(wait_until(PATIENCE, || is_mounted(&scratch.path().join("mnt"))), "{}", running.log());
    running
}

fn is_mounted(at: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let at = at.to_str().unwrap();
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(at))
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn what_is_there_and_what_changes_arrives_by_sftp() {
    let site = Site::prepared(|at| {
        fs::create_dir_all(at.join("source/old/deep")).unwrap();
        fs::write(at.join("source/old/deep/file"), "was there").unwrap();
        fs::write(at.join("m1/not-here"), "goes").unwrap();
    });
    site.settle();
    site.check_equal();
    site.script(
        "mkdir -p d/e; echo one >d/e/f; ln d/e/f d/g; ln -s /nowhere l; mv d/e d/h; echo two >>d/h/f; chmod 4751 d/h/f; \
         touch -d 2001-02-03T04:05:06 d/h/f; printf x >\"$(printf 'a\\377b\\nc')\"; truncate -s 1M sparse; rm -r old; \
         echo never >t; rm t; dd if=/dev/zero of=big bs=1M count=3 status=none; dd if=/dev/urandom of=big bs=4k seek=100 \
         count=3 conv=notrunc status=none",
    );
    site.settle();
    site.check_equal();
    let stat = |root: &str| {
        let mut command = Command::new("stat");
        command.args(["-c", "%a %Y %h %U", "d/h/f"]).current_dir(site.path(root));
        output(command).unwrap()
    };
    assert_eq!(stat("m1"), stat("source"));
    assert_eq!(stat("m2"), stat("source"));
    assert_eq!(site.farshare(&["mirror", "verify", "web"]).unwrap(), "m1: equal\nm2: equal\n");
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_mirror_that_was_away_and_a_process_that_was_killed_lose_nothing() {
    let mut site = Site::new();
    site.settle();
    site.servers.wires[1].cut();
    site.script(
        "for i in $(seq 200); do mkdir -p d$((i % 7)); echo $i >d$((i % 7))/f$i; done; mv d1 moved; rm d2/f2",
    );
    assert!(site.farshare(&["status"]).unwrap().contains("mirror m2 of web: away"));
    site.kill_and_start();
    site.script("mv moved back; for i in $(seq 50); do echo again >d3/g$i; done");
    site.servers.wires[1].heal();
    site.settle();
    site.check_equal();
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn nobody_sees_at_a_mirror_what_never_was_also_while_the_process_is_killed() {
    let mut site = Site::new();
    site.settle();
    let observers = ["m1", "m2"].map(|name| Observer::start(&site.path(name), Duration::from_millis(1)));
    for _ in 0..4 {
        let writer = Writer::start(&site.path("mnt"), Duration::from_millis(2)).unwrap();
        std::thread::sleep(Duration::from_millis(700));
        // The writer is told that the mount has gone, or ends before.
        drop(writer.stop());
        site.kill_and_start();
    }
    site.settle();
    for observer in observers {
        let seen = observer.stop().unwrap();
        assert!(seen.looks > 100 && seen.violations == 0, "{seen:?}");
    }
    site.check_equal();
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn mirrors_are_paused_told_what_differs_and_taken_away_while_the_node_runs() {
    let site = Site::new();
    site.settle();
    site.farshare(&["mirror", "pause", "web", "m1"]).unwrap();
    site.script("echo one >file");
    assert!(wait_until(PATIENCE, || site.path("m2/file").exists()));
    assert!(site.farshare(&["mirror", "list"]).unwrap().contains("m1 (sftp://"));
    assert!(!site.path("m1/file").exists());
    site.farshare(&["mirror", "resume", "web", "m1"]).unwrap();
    site.settle();
    site.check_equal();
    fs::write(site.path("m1/file"), "somebody else").unwrap();
    let told = site.farshare(&["mirror", "verify", "web", "m1"]).unwrap_err();
    assert!(told.contains("file: content"), "{told}");
    site.farshare(&["mirror", "resync", "web", "m1"]).unwrap();
    assert!(wait_until(PATIENCE, || fs::read(site.path("m1/file")).is_ok_and(|text| text == b"one\n")));
    fs::write(site.path("mirrors.toml"), config(&site.scratch, &site.servers, 1)).unwrap();
    assert!(site.farshare(&["reload"]).unwrap().contains("mirror m2 of web is none any more"));
    site.script("echo two >file");
    assert!(wait_until(PATIENCE, || fs::read(site.path("m1/file")).is_ok_and(|text| text == b"two\n")));
    assert_eq!(fs::read_to_string(site.path("m2/file")).unwrap(), "one\n");
}

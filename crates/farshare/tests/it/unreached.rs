//! A node some of whose origins are out of reach.

use crate::{check, farshare, run};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

/// A running `farshare serve` or `try`; killed at the end of the test.
struct Serve(Child);

impl Serve {
    fn start(dir: &Path, line: &[&str]) -> Serve {
        let mut command = farshare();
        command.current_dir(dir).args(line).stdout(Stdio::null()).stderr(Stdio::null());
        Serve(command.spawn().unwrap())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `farshare status`, as soon as it is as wanted.
#[track_caller]
fn until(dir: &Path, state: &str, wanted: impl Fn(&str) -> bool) -> String {
    let until = Instant::now() + SOON;
    loop {
        let output = run(dir, &format!("status --state {state}"));
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() && wanted(&page) {
            return page;
        }
        assert!(Instant::now() < until, "{page}{}", String::from_utf8_lossy(&output.stderr));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[track_caller]
fn until_status(dir: &Path, state: &str, text: &str) -> String {
    until(dir, state, |page| page.contains(text))
}

#[track_caller]
fn until_status_without(dir: &Path, state: &str, text: &str) -> String {
    until(dir, state, |page| !page.contains(text))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_file_server_that_is_down_stops_nobody_else_and_is_served_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("here")).unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let secret = dir.path().join("pw");
    std::fs::write(&secret, "swordfish\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let port = free_port();
    let text = format!(
        "[node]\nname = \"dc1\"\nstate = \"s\"\n\
         [volume.away]\norigin = \"smb://127.0.0.1:{port}/data\"\nuser = \"me\"\npassword = {{ file = \"pw\" }}\n\
         [volume.here]\norigin = \"file://{}\"\n\
         [smb]\nlisten = \"127.0.0.1:0\"\n\
         [smb.share.here]\nvolume = \"here\"\n[smb.share.away]\nvolume = \"away\"\n",
        dir.path().join("here").display()
    );
    std::fs::write(dir.path().join("f.toml"), text).unwrap();
    let node = Serve::start(dir.path(), &["serve", "--config", "f.toml"]);
    let page = until_status(dir.path(), "s", "! volume away: not served, its origin was never reached");
    assert!(page.contains("nobody answers at 127.0.0.1"), "{page}");
    assert!(!page.contains("! volume here"), "{page}");
    check(&run(dir.path(), "cache stat away --state s"), 1, "", "away is not served yet");

    // Another farshare is the file server.
    let smb = format!("127.0.0.1:{port}");
    let line = ["try", "data", "--direct", "--json", "--smb", &smb, "--user", "me", "--password-file", "pw"];
    let server = Serve::start(dir.path(), &line);
    until_status_without(dir.path(), "s", "! volume away");
    drop((node, server));

    // It is remembered: the share is there, whatever the file server does.
    let _node = Serve::start(dir.path(), &["serve", "--config", "f.toml"]);
    let page = until_status(dir.path(), "s", "! volume away: its origin");
    assert!(page.contains("share away of volume away"), "{page}");
}

#[test]
fn a_peer_that_comes_later_is_served_then_and_loses_its_right_by_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    for line in ["certs init --dir c", "certs issue dc1 --dir c", "certs issue dc2 --dir c"] {
        check(&run(dir.path(), line), 0, "", "");
    }
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let port = free_port();
    let gateway = |allow: &str| {
        let text = format!(
            "[node]\nname = \"dc1\"\nstate = \"s1\"\n[link]\nlisten = \"127.0.0.1:{port}\"\ncerts = \"c\"\n\
             [volume.p]\norigin = \"file://{}\"\nallow = {allow}\n",
            dir.path().join("data").display()
        );
        std::fs::write(dir.path().join("dc1.toml"), text).unwrap();
    };
    gateway("[\"dc2\"]");
    let text = format!(
        "[node]\nname = \"dc2\"\nstate = \"s2\"\n[link]\ndial = [\"dc1=127.0.0.1:{port}\"]\ncerts = \"c\"\n\
         [volume.p]\norigin = \"peer://dc1/p\"\n\
         [smb]\nlisten = \"127.0.0.1:0\"\n[smb.share.p]\nvolume = \"p\"\n"
    );
    std::fs::write(dir.path().join("dc2.toml"), text).unwrap();
    let _entrypoint = Serve::start(dir.path(), &["serve", "--config", "dc2.toml"]);
    until_status(dir.path(), "s2", "! volume p: not served");
    assert!(!dir.path().join("s2/volumes/p.json").exists());
    let _gateway = Serve::start(dir.path(), &["serve", "--config", "dc1.toml"]);
    until_status(dir.path(), "s2", "freshness   notified");
    assert!(dir.path().join("s2/volumes/p.json").exists());

    gateway("[]");
    check(&run(dir.path(), "reload --state s1"), 0, "who may use p", "");
    until_status(dir.path(), "s2", "! volume p: its origin");
}

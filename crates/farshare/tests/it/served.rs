//! `farshare try` as a process, with Samba's smbclient as the client where it is installed.

use crate::{check, farshare, run};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A running `farshare try`; killed when the test ends early.
struct Try {
    child: Child,
    ready: serde_json::Value,
}

impl Try {
    fn start(dir: &Path, state: &Path, options: &[&str]) -> Try {
        let mut command = farshare();
        command
            .args(["try", "--json", "--smb", "127.0.0.1:0", "--user", "me", "--state"])
            .arg(state)
            .arg(dir);
        command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut why = String::new();
            child.stderr.as_mut().unwrap().read_to_string(&mut why).unwrap();
            panic!("farshare try did not get ready: {why}");
        }
        Try { child, ready: serde_json::from_str(&line).unwrap() }
    }

    fn text(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", self.ready))
    }

    /// Runs commands of smbclient; `None` where that is not installed.
    fn smbclient(&self, password: &str, commands: &str) -> Option<Output> {
        let (host, port) = self.text("smb").rsplit_once(':').unwrap();
        let mut command = Command::new("smbclient");
        command
            .arg(format!("//{host}/{}", self.text("share")))
            .args(["-p", port, "-U", "me", "-c", commands]);
        command.env("PASSWD", password).stdin(Stdio::null());
        match command.output() {
            Ok(output) => Some(output),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("smbclient is not installed: not driven");
                None
            }
            Err(cause) => panic!("{cause}"),
        }
    }

    /// Waits for the end and returns the exit status and what was logged.
    fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes through SMB, reads the file at the origin, writes at the origin, reads through SMB.
fn there_and_back(options: &[&str]) {
    let all = tempfile::tempdir().unwrap();
    let (dir, state) = (all.path().join("data"), all.path().join("state"));
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("origin.txt"), "from the origin").unwrap();
    std::fs::write(all.path().join("local.txt"), "from the client").unwrap();
    let node = Try::start(&dir, &state, options);
    assert_eq!(node.text("share"), "data");
    let password = node.text("password").to_owned();

    let (put, got) = (all.path().join("local.txt"), all.path().join("got.txt"));
    let commands = format!("put {} new.txt; get origin.txt {}; ls", put.display(), got.display());
    if let Some(output) = node.smbclient(&password, &commands) {
        check(&output, 0, "new.txt", "");
        assert_eq!(std::fs::read_to_string(dir.join("new.txt")).unwrap(), "from the client");
        assert_eq!(std::fs::read_to_string(&got).unwrap(), "from the origin");
        let refused = node.smbclient("wrong", "ls").unwrap();
        assert!(String::from_utf8_lossy(&refused.stdout).contains("NT_STATUS_LOGON_FAILURE"), "{refused:?}");
    }

    let at = format!("--state {}", state.display());
    check(&run(all.path(), &format!("status {at}")), 0, "share data of volume try", "");
    let json = run(all.path(), &format!("status --json {at}"));
    let json = String::from_utf8(json.stdout).unwrap();
    assert!(!json.contains(&password));
    check(&run(all.path(), &format!("reload {at}")), 1, "", "no configuration to read again");
    check(&run(all.path(), &format!("stop {at}")), 0, "ends", "");
    let (status, log) = node.ended();
    assert_eq!(status, Some(0), "{log}");
    assert!(!log.contains(&password), "{log}");
    assert!(!state.join("admin.sock").exists());
}

#[test]
fn over_link_and_cache() {
    there_and_back(&[]);
}

#[test]
fn over_the_link_alone() {
    there_and_back(&["--no-cache"]);
}

#[test]
fn over_the_directory_itself() {
    there_and_back(&["--direct"]);
}

#[test]
fn sigterm_drains_and_a_temporary_state_is_removed() {
    let all = tempfile::tempdir().unwrap();
    let (dir, scratch) = (all.path().join("data"), all.path().join("tmp"));
    std::fs::create_dir(&dir).unwrap();
    std::fs::create_dir(&scratch).unwrap();
    let mut command = farshare();
    command.args(["try", "--direct", "--smb", "127.0.0.1:0"]).arg(&dir).env("TMPDIR", &scratch);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut page = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Ctrl-C ends it") {
        line.clear();
        assert_ne!(page.read_line(&mut line).unwrap(), 0, "ended early");
    }
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 1);
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0, "the state stayed behind");
}

#[test]
fn an_address_that_was_asked_for_and_is_taken_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(dir.path(), &format!("try . --direct --smb {address}"));
    check(&output, 1, "", &format!("cannot listen on {address}"));
}

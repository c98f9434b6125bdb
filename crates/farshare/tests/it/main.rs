//! The program as its users meet it: exit status, words, files.

mod alerted;
mod served;
mod unreached;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary, without what the environment of the tests might say.
fn farshare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farshare"));
    command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET");
    command
}

#[track_caller]
fn check(output: &Output, status: i32, stdout: &str, stderr: &str) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}{err}");
    assert!(out.contains(stdout), "stdout: {out}");
    assert!(err.contains(stderr), "stderr: {err}");
}

fn run(dir: &Path, line: &str) -> Output {
    farshare().current_dir(dir).args(line.split(' ')).output().unwrap()
}

fn with_stdin(dir: &Path, line: &str, stdin: &str) -> Output {
    let mut command = farshare();
    command.current_dir(dir).args(line.split(' '));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_wrong_configuration_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    check(&run(dir.path(), "serve --config no.toml"), 2, "", "no.toml: no such file; --config FILE");
    let text = "[node]\nname = \"a\"\nstate = \"state\"\n[volume.v]\norigin = \"file:///srv\"\nsise = 3\n";
    std::fs::write(dir.path().join("bad.toml"), text).unwrap();
    for command in ["serve", "check"] {
        let output = run(dir.path(), &format!("{command} --config bad.toml"));
        check(&output, 2, "", "farshare: bad.toml:6:1: unknown key `sise`, expected one of `origin`");
    }
    assert!(!dir.path().join("state").exists());
}

#[test]
fn commands_that_are_not_there_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for line in ["mirror list", "top", "tasks", "user add alice --password x"] {
        assert_eq!(run(dir.path(), line).status.code(), Some(2), "{line}");
    }
}

#[test]
fn users_are_kept_apart_from_everybody() {
    let dir = tempfile::tempdir().unwrap();
    check(&with_stdin(dir.path(), "user add alice --state s", "swordfish\n"), 0, "added alice", "");
    check(
        &with_stdin(dir.path(), "user add ALICE --state s", "x\n"),
        1,
        "",
        "there is a user \"ALICE\" already",
    );
    check(&with_stdin(dir.path(), "user add bob --state s", ""), 1, "", "no password on stdin");
    let secret = dir.path().join("pw");
    std::fs::write(&secret, "swordfish\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    check(&run(dir.path(), "user add bob --state s --password-file pw"), 2, "", "chmod 600 pw");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    check(&run(dir.path(), "user add bob --state s --password-file pw"), 0, "added bob", "");
    check(&run(dir.path(), "user list --state s"), 0, "alice\nbob\n", "");
    check(&run(dir.path(), "user remove alice --state s"), 0, "removed alice", "");
    check(&run(dir.path(), "user remove alice --state s"), 1, "", "no user \"alice\"");
    let (state, users) = (dir.path().join("s"), dir.path().join("s/users"));
    assert_eq!((mode(&state), mode(&users)), (0o700, 0o600));
    assert!(!std::fs::read_to_string(users).unwrap().contains("swordfish"));
}

#[test]
fn certificates_from_authority_to_renewal() {
    let dir = tempfile::tempdir().unwrap();
    check(&run(dir.path(), "certs issue dc1 --dir c"), 1, "", "farshare certs init");
    check(&run(dir.path(), "certs init --dir c"), 0, "next: farshare certs issue NAME", "");
    check(&run(dir.path(), "certs init --dir c"), 1, "", "there is one already");
    check(&run(dir.path(), "certs issue dc1 --dir c"), 0, "copy dc1.crt, dc1.key and ca.crt", "");
    check(&run(dir.path(), "certs issue DC1 --dir c"), 1, "", "site name");
    check(&run(dir.path(), "certs show --dir c"), 0, "dc1              node", "");
    check(&run(dir.path(), "certs renew dc1 --dir c"), 0, "farshare reload", "");
    assert_eq!(mode(&dir.path().join("c/dc1.key")), 0o600);
    check(&run(dir.path(), "certs revoke dc1 --dir c"), 0, "its key stands in c/revoked", "");
    check(&run(dir.path(), "certs show --dir c"), 0, "REVOKED", "");
    check(&run(dir.path(), "certs renew dc1 --dir c"), 1, "", "is revoked");
    let text = "[node]\nname = \"dc1\"\nstate = \"s\"\n[link]\ncerts = \"c\"\n";
    std::fs::write(dir.path().join("f.toml"), text).unwrap();
    check(&run(dir.path(), "certs show --config f.toml"), 0, "authority", "");
}

#[test]
fn a_node_that_does_not_run_is_called_so() {
    let dir = tempfile::tempdir().unwrap();
    for line in ["status --state s", "stop --state s", "reload --state s", "cache stat v --state s"] {
        check(&run(dir.path(), line), 1, "", "is the node running? --state DIR or --config FILE");
    }
}

#[test]
fn check_tells_each_thing_apart_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for line in ["certs init --dir c", "certs issue dc2 --dir c"] {
        check(&run(dir.path(), line), 0, "", "");
    }
    // Nobody listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!(
        "[node]\nname = \"dc2\"\nstate = \"s\"\n[link]\ndial = [\"dc1={free}\"]\ncerts = \"c\"\n\
         [volume.p]\norigin = \"peer://dc1/p\"\ncache = {{ path = \"cache\", size = \"64MiB\" }}\n"
    );
    std::fs::write(dir.path().join("f.toml"), text).unwrap();
    let output = run(dir.path(), "check --config f.toml");
    check(&output, 1, "WRONG    peer dc1", "");
    check(&output, 1, "ok       identity", "");
    check(&output, 1, "WRONG    volume p", "");
    check(&output, 1, "made at the start", "");
    assert!(!dir.path().join("s").exists() && !dir.path().join("cache").exists());
}

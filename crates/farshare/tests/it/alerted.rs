//! `farshare alert test` and what `check` says of `[alerts]`.

use crate::{check, run};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

/// Answers one request with `status`; what came is its result.
fn hook(status: &'static str) -> (SocketAddr, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut came, mut buffer) = (Vec::new(), [0; 4096]);
        // The object ends the request.
        while !came.ends_with(b"}") {
            match stream.read(&mut buffer).unwrap() {
                0 => break,
                length => came.extend_from_slice(&buffer[..length]),
            }
        }
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).unwrap();
        String::from_utf8(came).unwrap()
    });
    (address, server)
}

fn node(dir: &Path, alerts: &str) {
    let root = dir.display();
    let text = format!(
        "[node]\nname = \"dc1\"\nstate = \"state\"\n[volume.v]\norigin = \"file://{root}\"\n{alerts}"
    );
    std::fs::write(dir.join("f.toml"), text).unwrap();
}

#[test]
fn a_test_tells_of_each_channel() {
    let dir = tempfile::tempdir().unwrap();
    let alerts =
        |address| format!("[alerts]\nsyslog = false\nwebhook = {{ url = \"http://{address}/x\" }}\n");
    let (address, server) = hook("204 No Content");
    node(dir.path(), &alerts(address));
    let output = run(dir.path(), "alert test --config f.toml");
    check(&output, 0, &format!("ok      webhook http://{address}\n"), "");
    let came = server.join().unwrap();
    assert!(came.starts_with("POST /x HTTP/1.1\r\n") && came.contains("\"state\":\"test\""), "{came}");
    let (address, server) = hook("403 Forbidden");
    node(dir.path(), &alerts(address));
    let output = run(dir.path(), "alert test --config f.toml");
    check(&output, 1, &format!("FAILED  webhook http://{address}: it answers 403 Forbidden"), "");
    server.join().unwrap();
    let output = run(dir.path(), "check --config f.toml");
    check(&output, 0, "warning  alerts by webhook", "");
}

#[test]
fn without_the_section_there_is_nothing_to_try() {
    let dir = tempfile::tempdir().unwrap();
    node(dir.path(), "");
    check(
        &run(dir.path(), "alert test --config f.toml"),
        2,
        "",
        "f.toml: nobody is told of anything; add [alerts]",
    );
    check(&run(dir.path(), "check --config f.toml"), 0, "nobody is told of serious errors", "");
}

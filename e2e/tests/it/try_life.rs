//! The life of `farshare try`: ready, status, drained, cut off.

use crate::near::{Near, has, noise};
use crate::tell::{Proof, ensure};
use e2e::{Scratch, wait_until};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A client in the middle of a write: it puts what comes out of a named pipe.
struct Writer {
    client: Child,
    pipe: fs::File,
    _scratch: Scratch,
}

impl Writer {
    fn start(near: &Near) -> Proof<Writer> {
        let scratch = Scratch::new()?;
        let path = scratch.path().join("pipe");
        e2e::output({
            let mut command = Command::new("mkfifo");
            command.arg(&path);
            command
        })?;
        let commands = format!("put {} held", path.display());
        let mut command = near.farshare.client().command(&scratch, &commands)?;
        let client = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut pipe = fs::File::options().write(true).open(&path)?;
        std::io::Write::write_all(&mut pipe, &noise(3, 2 << 20))?;
        let writer = Writer { client, pipe, _scratch: scratch };
        let begun = wait_until(Duration::from_secs(10), || near.data.join("held").exists());
        ensure(begun, || "the client did not begin to write".to_owned())?;
        Ok(writer)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended with its server.
        self.client.kill().ok();
        self.client.wait().ok();
    }
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn sigterm_ends_it_orderly() -> Proof {
    let mut near = Near::new(&[])?;
    near.farshare.client().run("mkdir d")?;
    near.farshare.running.signal(libc::SIGTERM);
    let status = near.farshare.running.wait(Duration::from_secs(15))?;
    ensure(status == Some(0), || format!("exit status {status:?}:\n{}", near.farshare.running.log()))?;
    ensure(near.data.join("d").is_dir(), || "what was done stays done".to_owned())?;
    let log = near.farshare.running.log();
    ensure(!log.contains("ERROR") && !log.contains("panicked"), || format!("an orderly end is quiet:\n{log}"))
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn sigterm_does_not_wait_for_a_client_for_ever() -> Proof {
    let mut near = Near::new(&[])?;
    let _writer = Writer::start(&near)?;
    near.farshare.running.signal(libc::SIGTERM);
    let status = near.farshare.running.wait(Duration::from_secs(14))?;
    ensure(status == Some(0), || format!("exit status {status:?}:\n{}", near.farshare.running.log()))
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_second_interrupt_ends_it_at_once() -> Proof {
    let mut near = Near::new(&[])?;
    let mut writer = Writer::start(&near)?;
    near.farshare.running.signal(libc::SIGINT);
    // The writer goes on while the server drains.
    std::io::Write::write_all(&mut writer.pipe, &noise(4, 1 << 16)).ok();
    let begun = Instant::now();
    near.farshare.running.signal(libc::SIGINT);
    let status = near.farshare.running.wait(Duration::from_secs(5))?;
    // 130 = cut off; 0 when the first one had nothing left to wait for.
    ensure(matches!(status, Some(130 | 0)), || format!("exit status {status:?}"))?;
    ensure(begun.elapsed() < Duration::from_secs(3), || format!("it took {:?}", begun.elapsed()))
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn status_health_and_metrics_tell_the_same() -> Proof {
    let near = Near::new(&[])?;
    fs::write(near.data.join("f"), noise(5, 200_000))?;
    e2e::fetch(&near.farshare.client(), "f")?;
    e2e::fetch(&near.farshare.client(), "f")?;
    let status = near.status()?;
    let volume = &status["volumes"][0];
    for (what, value) in [
        ("miss_bytes", &volume["cache"]["miss_bytes"]),
        ("hit_bytes", &volume["cache"]["hit_bytes"]),
        ("read_bytes", &status["smb"]["read_bytes"]),
    ] {
        ensure(value.as_u64() >= Some(200_000), || format!("{what} is {value} after two reads: {status}"))?;
    }
    ensure(volume["freshness"]["word"] == "notified", || format!("freshness: {}", volume["freshness"]))?;
    ensure(status["link"]["peers"][0]["up"] == true, || format!("the link: {}", status["link"]))?;
    let (code, over_http) = near.get("/status")?;
    let over_http: serde_json::Value = serde_json::from_str(&over_http)?;
    ensure(code == 200 && over_http["volumes"] == status["volumes"], || format!("/status: {over_http}"))?;
    let (code, health) = near.get("/health")?;
    ensure(code == 200, || format!("/health: {code} {health}"))?;
    let (code, metrics) = near.get("/metrics")?;
    ensure(code == 200, || format!("/metrics: {code}"))?;
    has(&metrics, &["farshare_smb_read_bytes_total 400000", "farshare_volume_online{volume=\"try\"} 1"])?;
    ensure(near.get("/no-such")?.0 == 404, || "an unknown page is 404".to_owned())
}

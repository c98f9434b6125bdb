//! Quotas of users, as Samba's own tool for them sees and sets them, and as a client meets its limit.

use crate::near::has;
use crate::tell::{Proof, ensure};
use e2e::{Lan, Outcome, Scratch, SmbClient, Solo, output, wait_until};
use std::net::SocketAddr;
use std::time::Duration;

/// The longest that the few files of a test take to be counted.
const COUNT_PATIENCE: Duration = Duration::from_secs(20);
const KIB: usize = 1024;

/// A node whose volume keeps quotas, at the port that smbcquotas knows.
struct Counted {
    server: Solo,
    address: SocketAddr,
    scratch: Scratch,
    lan: Lan,
}

impl Counted {
    fn new() -> Proof<Counted> {
        let scratch = Scratch::new()?;
        let data = scratch.dir("data")?;
        let lan = Lan::up("fsquota", 1)?;
        let address = SocketAddr::from((Lan::address(0), 445));
        let share = "[volume.data.quota]\nusers = true";
        let server = Solo::start(&data, &lan.server(), address, "signing = \"enabled\"", share)?;
        Ok(Counted { server, address, scratch, lan })
    }

    /// smbclient as an ordinary user.
    fn client(&self) -> SmbClient {
        SmbClient {
            net: self.lan.client(),
            address: self.address,
            share: Solo::SHARE.into(),
            user: Solo::USER.into(),
            password: Solo::PASSWORD.into(),
            options: Vec::new(),
        }
    }

    /// smbcquotas as `user`.
    fn quotas(&self, user: &str, words: &[&str]) -> Outcome<String> {
        let credentials = format!("username = {user}\npassword = {}\n", Solo::PASSWORD);
        let credentials = self.scratch.file("credentials", &credentials)?;
        let mut command = self.lan.client().command("smbcquotas");
        command
            .arg(format!("//{}/{}", self.address.ip(), Solo::SHARE))
            .arg("-A")
            .arg(credentials)
            .args(words);
        let said = output(command)?;
        match said.contains("NT_STATUS_") {
            true => Err(said),
            false => Ok(said),
        }
    }

    fn put(&self, name: &str, bytes: usize) -> Outcome<String> {
        let from = self.scratch.file("from", &"x".repeat(bytes))?;
        self.client().run(&format!("put {} {name}", from.display()))
    }

    /// Waits until smbcquotas tells that the user has so many bytes, and gives the whole line.
    fn counts(&self, bytes: usize) -> Proof<String> {
        let line = || self.quotas(Solo::ADMINISTRATOR, &["-u", Solo::USER]);
        let wanted = format!("{bytes}/");
        let counted = |line: &String| line.replace(' ', "").contains(&format!(":{wanted}"));
        let up = wait_until(COUNT_PATIENCE, || line().is_ok_and(|line| counted(&line)));
        let line = line()?;
        ensure(up, || format!("not {bytes} bytes: {line}"))?;
        Ok(line)
    }
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn smbcquotas_sees_and_sets_quotas() -> Proof {
    let mut counted = Counted::new()?;
    let chief = Solo::ADMINISTRATOR;
    counted.put("f", 100 * KIB)?;
    counted.counts(100 * KIB)?;
    counted.quotas(chief, &["-S", "FSQFLAGS:QUOTA_ENABLED/DENY_DISK"])?;
    let limit = format!("UQLIM:{}:{}/{}", Solo::USER, 150 * KIB, 200 * KIB);
    counted.quotas(chief, &["-S", &limit])?;
    has(&counted.counts(100 * KIB)?, &[&(150 * KIB).to_string(), &(200 * KIB).to_string()])?;
    counted.quotas(chief, &["-S", "FSQLIM:9000000/10000000"])?;
    let all = ["Default Hard Limit:", "10000000", "Quotas Enabled: On", "Deny Disk:      On"];
    has(&counted.quotas(chief, &["-F"])?, &all)?;
    has(&counted.server.farshare(&["status"])?, &["quotas      of users, held to limits"])?;
    let who = format!("\\{} ", Solo::USER);
    has(&counted.quotas(chief, &["-L"])?, &[&who, &(100 * KIB).to_string()])?;
    let others = counted.quotas(Solo::USER, &["-L"]);
    ensure(others.is_err(), || format!("others' quotas are told to everybody: {others:?}"))?;

    counted.put("g", 100 * KIB)?;
    let full = counted.put("h", 1).err().ok_or("beyond the limit")?;
    has(&full, &["NT_STATUS_DISK_FULL"])?;
    counted.client().run("del g")?;
    counted.put("h", 1)?;
    counted.counts(100 * KIB + 1)?;

    // Limits are on the medium when they are set, and what everybody has is counted again.
    counted.server.kill();
    counted.server.serve()?;
    has(&counted.counts(100 * KIB + 1)?, &[&(200 * KIB).to_string()])?;
    counted.put("i", 90 * KIB)?;
    let full = counted.put("j", 10 * KIB).err().ok_or("beyond the limit after a restart")?;
    has(&full, &["NT_STATUS_DISK_FULL"])
}

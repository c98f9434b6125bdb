//! Users and groups by their names: rpcclient, smbcacls and impacket.

use crate::cables::{PASSWORD, Server, USER};
use crate::near::has;
use crate::tell::Proof;
use e2e::{Lan, Outcome, output};
use std::path::{Path, PathBuf};

/// A server `DEPOT` with a group `staff` of its one user, and a client.
struct Depot {
    server: Server,
    credentials: PathBuf,
    address: String,
}

impl Depot {
    fn new(name: &str) -> Proof<Depot> {
        let more = format!("server_name = \"DEPOT\"\n[groups]\nstaff = [\"{USER}\"]");
        let server = Server::new(name, 1, &more)?;
        let credentials = format!("username = {USER}\npassword = {PASSWORD}\n");
        let credentials = server.scratch.file("credentials", &credentials)?;
        Ok(Depot { server, credentials, address: Lan::address(0).to_string() })
    }

    /// What rpcclient prints.
    fn asks(&self, commands: &str) -> Outcome<String> {
        let mut command = self.server.lan.client().command("rpcclient");
        command.arg(&self.address).arg("-A").arg(&self.credentials).args(["-c", commands]);
        output(command)
    }

    /// The SID of an account, as rpcclient tells it.
    fn sid(&self, name: &str) -> Proof<String> {
        let said = self.asks(&format!("lookupnames {name}"))?;
        Ok(said.split(' ').nth(1).ok_or_else(|| format!("no SID: {said}"))?.to_owned())
    }

    fn access_list(&self, words: &[&str]) -> Outcome<String> {
        let mut command = self.server.lan.client().command("smbcacls");
        command
            .arg(format!("//{}/data", self.address))
            .arg("dir")
            .arg("-A")
            .arg(&self.credentials)
            .args(words);
        output(command)
    }
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn clients_find_accounts_by_name_and_by_number() -> Proof {
    let depot = Depot::new("names")?;
    let user = depot.sid(USER)?;
    let (domain, _number) = user.rsplit_once('-').ok_or("no number")?;
    has(
        &depot.asks(&format!("lookupnames depot\\\\{USER} DEPOT\\\\Staff Everyone"))?,
        &[&format!("{user} (User: 1)"), "(Local Group: 4)", "S-1-1-0 (Well-known Group: 5)"],
    )?;
    has(
        &depot.asks(&format!("lookupsids {user} {domain}-513 {domain}-999"))?,
        &[&format!("{user} DEPOT\\{USER} (1)"), "DEPOT\\None (2)", "*unknown*"],
    )?;
    has(
        &depot.asks(&format!(
            "enumdomusers; enumalsgroups domain; queryuseraliases domain {user}; getusername; querydispinfo; \
             querydispinfo2; querydispinfo3"
        ))?,
        &[
            &format!("user:[{USER}] rid:[0x3e8]"),
            "group:[staff]",
            "group rid:[0x",
            &format!("Account Name: {USER}, Authority Name: DEPOT"),
            &format!("acb: 0x00000010 Account: {USER}\tName: {USER}"),
        ],
    )?;
    has(&depot.asks("dsroledominfo")?, &["Machine Role = [2]", "Directory Service not running"])?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/lookup_sids.py");
    let mut command = depot.server.lan.client().command("python3");
    command.arg(script).args([&depot.address, USER]).env("SMB_PASSWORD", PASSWORD);
    has(&output(command)?, &[&format!("{user} DEPOT {USER} 1")])
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn access_lists_are_written_and_shown_with_names() -> Proof {
    let depot = Depot::new("lists")?;
    std::fs::create_dir(depot.server.data.join("dir"))?;
    depot.access_list(&["-a", "ACL:DEPOT\\staff:ALLOWED/OI|CI/READ"])?;
    depot.access_list(&["-a", &format!("ACL:{USER}:ALLOWED/OI|CI/FULL")])?;
    has(
        &depot.access_list(&[])?,
        &[
            &format!("OWNER:DEPOT\\{USER}"),
            "GROUP:DEPOT\\None",
            "ACL:DEPOT\\staff:ALLOWED/OI|CI/READ",
            &format!("ACL:DEPOT\\{USER}:ALLOWED/OI|CI/FULL"),
        ],
    )
}

/// Nobody, as rpcclient and smbclient log in with `-U %`.
#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn nobody_lists_shares_where_that_is_switched_on_and_gets_nothing_else() -> Proof {
    let server = Server::new("nobody", 1, "anonymous = true")?;
    let address = Lan::address(0).to_string();
    let asks = |program: &str, words: &[&str]| {
        let mut command = server.lan.client().command(program);
        command.args(["-U", "%"]).args(words);
        output(command)
    };
    has(&asks("smbclient", &["-L", &address])?, &["data", "IPC$"])?;
    for (program, words) in [
        ("smbclient", &[&format!("//{address}/data") as &str, "-c", "ls"][..]),
        ("rpcclient", &[&address, "-c", "enumdomusers"]),
        ("rpcclient", &[&address, "-c", "lookupnames Everyone"]),
    ] {
        let refused = asks(program, words).err().ok_or("it was let in")?;
        has(&refused, &["NT_STATUS_ACCESS_DENIED"])?;
    }
    Ok(())
}

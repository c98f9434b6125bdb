//! Guests of a share: smbclient without a password and under a name that nobody has, impacket and smbprotocol.

use crate::near::has;
use crate::tell::{Proof, ensure};
use e2e::{Net, Outcome, Scratch, SmbClient, Solo, free_port, output};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

const CLOSED: &str = "closed";

/// A node with a share that admits guests and one that does not, both of one directory.
struct Open {
    server: Solo,
    address: SocketAddr,
    scratch: Scratch,
}

impl Open {
    fn new() -> Proof<Open> {
        let scratch = Scratch::new()?;
        let data = scratch.dir("data")?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let share = format!("guests = true\n[smb.share.{CLOSED}]\nvolume = \"data\"");
        let server = Solo::start(&data, &Net::Host, address, "signing = \"enabled\"", &share)?;
        Ok(Open { server, address, scratch })
    }

    fn says(&self, share: &str, user: &str, password: &str, commands: &str) -> Outcome<String> {
        let client = SmbClient {
            net: Net::Host,
            address: self.address,
            share: share.into(),
            user: user.into(),
            password: password.into(),
            options: Vec::new(),
        };
        client.run(commands)
    }

    /// smbclient without a password, under whatever name it likes.
    fn nameless(&self, words: &[&str]) -> Outcome<String> {
        let mut command = Command::new("smbclient");
        command.args(["-N", "-p", &self.address.port().to_string()]).args(words);
        output(command)
    }
}

fn refused(said: Outcome<String>, status: &str) -> Proof {
    let why = said.err().ok_or("it was let in")?;
    has(&why, &[status])
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn guests_come_where_a_share_admits_them_and_to_no_other() -> Proof {
    let open = Open::new()?;
    let from = open.scratch.file("from", "of a guest\n")?;
    let stranger = ["stranger", "whatever"];
    let put = format!("put {} made; ls", from.display());
    has(&open.says(Solo::SHARE, stranger[0], stranger[1], &put)?, &["made"])?;
    let to = open.scratch.path().join("to");
    let share = format!("//127.0.0.1/{}", Solo::SHARE);
    open.nameless(&[&share, "-c", &format!("get made {}; del made", to.display())])?;
    ensure(std::fs::read(&to)? == b"of a guest\n", || "another content".to_owned())?;
    has(&open.nameless(&["-L", "127.0.0.1"])?, &[Solo::SHARE, CLOSED, "IPC$"])?;

    refused(open.says(CLOSED, stranger[0], stranger[1], "ls"), "NT_STATUS_ACCESS_DENIED")?;
    refused(open.nameless(&[&format!("//127.0.0.1/{CLOSED}"), "-c", "ls"]), "NT_STATUS_ACCESS_DENIED")?;
    refused(open.says(Solo::SHARE, Solo::USER, "wrong", "ls"), "NT_STATUS_LOGON_FAILURE")?;
    for share in [Solo::SHARE, CLOSED] {
        open.says(share, Solo::USER, Solo::PASSWORD, "ls")?;
    }
    has(&open.server.farshare(&["check"])?, &["warning", "guests"])
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn impacket_and_smbprotocol_work_as_guests() -> Proof {
    let open = Open::new()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/as_guest.py");
    let mut command = Command::new("python3");
    command.arg(script).args(["127.0.0.1", &open.address.port().to_string(), Solo::SHARE, CLOSED]);
    has(&output(command)?, &["all well"])
}

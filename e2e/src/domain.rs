//! A domain as Windows has them, by Samba: its KDC alone, in a namespace, for it listens on port 88.

use crate::Outcome;
use crate::kdc::RealmUser;
use crate::lan::Lan;
use crate::process::{Net, Running, Scratch, output, wait_until};
use crate::samba::listens;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const START_PATIENCE: Duration = Duration::from_secs(30);
/// msDS-SupportedEncryptionTypes: AES with SHA-1, both key lengths.
const AES: &str = "24";

/// A domain controller.
pub struct Domain {
    pub user: RealmUser,
    _running: Running,
    lan: Lan,
    scratch: Scratch,
}

impl Domain {
    pub const REALM: &'static str = "AD.TEST";
    /// The name that clients know the file server by.
    pub const HOST: &'static str = "files.ad.test";

    /// Makes a domain; the namespace is `NAME-s`.
    pub fn start(name: &str) -> Outcome<Domain> {
        let lan = Lan::up(name, 0)?;
        let scratch = Scratch::new()?;
        let target = scratch.dir("dc")?;
        let mut provision = Command::new("samba-tool");
        provision.args(["domain", "provision", "--realm=AD.TEST", "--domain=ADT", "--server-role=dc"]);
        provision.args(["--adminpass=Passw0rd!x", "--host-name=dc1", "--host-ip=127.0.0.1"]);
        provision.args(["--option=server services = kdc", "--option=interfaces = lo"]);
        provision.arg("--option=bind interfaces only = yes").arg(format!("--targetdir={}", target.display()));
        output(provision)?;
        let user = RealmUser::new(lan.server(), scratch.path(), Domain::REALM, Domain::HOST, 88)?;
        let mut samba = user.command("samba");
        samba.args(["-i", "-M", "single", "-s"]).arg(configuration(&scratch));
        let running = Running::start("samba", samba, &scratch.path().join("samba.log"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], 88));
        match wait_until(START_PATIENCE, || listens(&lan.server(), address)) {
            true => Ok(Domain { user, _running: running, lan, scratch }),
            false => Err(format!("samba does not listen:\n{}", running.log())),
        }
    }

    /// Where all of it is.
    pub fn net(&self) -> Net {
        self.lan.server()
    }

    /// A command of the domain's administrator.
    pub fn administer(&self, words: &str) -> Outcome<String> {
        let mut command = Command::new("samba-tool");
        command.args(words.split(' '));
        command.arg(format!("--configfile={}", configuration(&self.scratch).display()));
        output(command)
    }

    /// An account for the file server, and its keytab, mode 0600.
    pub fn keytab(&self) -> Outcome<PathBuf> {
        let service = format!("cifs/{}", Domain::HOST);
        self.administer("user create svc Passw0rd!z")?;
        self.administer(&format!("spn add {service} svc"))?;
        let mut modify = Command::new("/usr/bin/python3");
        modify.args(["-c", WITH_AES]).arg(configuration(&self.scratch));
        modify.arg(self.scratch.path().join("dc/private/sam.ldb")).arg(AES);
        output(modify)?;
        // Keys are made with the password.
        self.administer("user setpassword svc --newpassword=Passw0rd!zz")?;
        let path = self.scratch.path().join("svc.keytab");
        self.administer(&format!("domain exportkeytab {} --principal={service}", path.display()))?;
        Ok(path)
    }

    /// The SID of a group.
    pub fn group(&self, name: &str) -> Outcome<String> {
        let said = self.administer(&format!("group show {name}"))?;
        let sid = said.lines().find_map(|line| line.strip_prefix("objectSid: "));
        sid.map(str::to_owned).ok_or_else(|| format!("no SID of {name}:\n{said}"))
    }
}

fn configuration(scratch: &Scratch) -> PathBuf {
    Path::new(scratch.path()).join("dc/etc/smb.conf")
}

/// What `samba-tool` of this age has no word for.
const WITH_AES: &str = "\
import sys, ldb
from samba.samdb import SamDB
from samba.param import LoadParm
from samba.auth import system_session
lp = LoadParm()
lp.load(sys.argv[1])
db = SamDB(url=sys.argv[2], session_info=system_session(), lp=lp)
message = ldb.Message(db.search(expression='(sAMAccountName=svc)')[0].dn)
message['kinds'] = ldb.MessageElement(sys.argv[3], ldb.FLAG_MOD_REPLACE, 'msDS-SupportedEncryptionTypes')
db.modify(message)
";

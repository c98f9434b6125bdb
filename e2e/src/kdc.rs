//! A realm of MIT Kerberos on loopback: a KDC with a database of its own. Neither the machine's `/etc/krb5.conf` nor
//! any resolver is asked.

use crate::Outcome;
use crate::process::{Net, Running, Scratch, free_port, output, wait_until};
use crate::secluded::Mounted;
use crate::smbclient::SmbClient;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const START_PATIENCE: Duration = Duration::from_secs(20);

/// What tells programs where the KDC is.
const CONFIG: &str = "krb5.conf";

/// Somebody's programs in a realm: where its KDC is, and a cache for tickets.
pub struct RealmUser {
    net: Net,
    here: PathBuf,
    realm: String,
    host: &'static str,
}

/// A KDC with a realm.
pub struct Kdc {
    pub user: RealmUser,
    _running: Running,
    _scratch: Scratch,
}

impl Kdc {
    pub const REALM: &'static str = "FAR.TEST";
    /// The name that clients know the file server by.
    pub const HOST: &'static str = "files.far.test";

    /// Encryption types of a key as most services have it.
    pub const AES: &'static str = "aes256-cts-hmac-sha1-96:normal,aes128-cts-hmac-sha1-96:normal";

    /// Makes a realm with no users and starts its KDC.
    pub fn start() -> Outcome<Kdc> {
        let scratch = Scratch::new()?;
        let (here, realm, port) = (scratch.path().display(), Kdc::REALM, free_port());
        let server = format!(
            "[realms]\n {realm} = {{\n  database_name = {here}/principal\n  key_stash_file = {here}/stash\n  \
             acl_file = {here}/acl\n  kdc_listen = 127.0.0.1:{port}\n  kdc_tcp_listen = 127.0.0.1:{port}\n }}\n\
             [logging]\n kdc = FILE:{here}/kdc.log\n"
        );
        scratch.file("kdc.conf", &server)?;
        let user = RealmUser::new(Net::Host, scratch.path(), realm, Kdc::HOST, port)?;
        let mut make = user.command("/usr/sbin/kdb5_util");
        make.args(["create", "-s", "-r", realm, "-P", "master"]);
        output(make)?;
        let mut kdc = user.command("/usr/sbin/krb5kdc");
        kdc.arg("-n");
        let running = Running::start("krb5kdc", kdc, &scratch.path().join("kdc.err"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        match wait_until(START_PATIENCE, || TcpStream::connect(address).is_ok()) {
            true => Ok(Kdc { user, _running: running, _scratch: scratch }),
            false => Err(format!("krb5kdc does not listen:\n{}", running.log())),
        }
    }

    /// A command of the realm's administrator.
    pub fn administer(&self, words: &str) -> Outcome<String> {
        let mut command = self.user.command("/usr/sbin/kadmin.local");
        command.args(["-q", words]);
        output(command)
    }

    /// Adds somebody with a password.
    pub fn add_user(&self, name: &str, password: &str) -> Outcome {
        self.administer(&format!("addprinc -pw {password} {name}")).map(drop)
    }

    /// A new key for a service, in a keytab of its own, mode 0600. `kinds`: the encryption types of the key.
    pub fn keytab(&self, service: &str, kinds: &str) -> Outcome<PathBuf> {
        let path = self.user.here.join(format!("{}.keytab", service.replace('/', "-")));
        if path.exists() {
            std::fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if !self.administer(&format!("getprinc {service}"))?.contains("Principal: ") {
            self.administer(&format!("addprinc -randkey {service}"))?;
        }
        self.administer(&format!("ktadd -k {} -e {kinds} {service}", path.display()))?;
        Ok(path)
    }
}

impl RealmUser {
    /// What tells a program in a chroot ([`RealmUser::show`]) where the KDC is: its `KRB5_CONFIG`.
    pub const SHOWN_CONFIG: &'static str = "/mnt/krb5.conf";

    /// Writes down in `here` where the KDC listens: on loopback of `net`.
    pub(crate) fn new(
        net: Net,
        here: &Path,
        realm: &str,
        host: &'static str,
        port: u16,
    ) -> Outcome<RealmUser> {
        let domain = realm.to_lowercase();
        let config = format!(
            "[libdefaults]\n default_realm = {realm}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n \
             dns_canonicalize_hostname = false\n rdns = false\n[realms]\n {realm} = {{\n  kdc = 127.0.0.1:{port}\n }}\n\
             [domain_realm]\n .{domain} = {realm}\n"
        );
        let path = here.join(CONFIG);
        std::fs::write(&path, config).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(RealmUser { net, here: here.to_path_buf(), realm: realm.to_owned(), host })
    }

    /// The section of a file server's configuration that lets this realm's users in; it follows `[smb]`.
    pub fn section(&self, keytab: &Path) -> String {
        format!("[smb.kerberos]\nkeytab = \"{}\"\nrealm = \"{}\"\n", keytab.display(), self.realm)
    }

    /// Shows the realm to programs in the chroot `root`, and a file server of loopback by its name, as long as what is
    /// given lives. Only where this process has mounts of its own ([`crate::seclude`]).
    pub fn show(&self, root: &Path) -> Outcome<[Mounted; 2]> {
        let hosts = self.here.join("hosts");
        std::fs::write(&hosts, format!("127.0.0.1 localhost {}\n", self.host))
            .map_err(|error| format!("{}: {error}", hosts.display()))?;
        Ok([Mounted::bind(&self.here, &root.join("mnt"))?, Mounted::bind(&hosts, &root.join("etc/hosts"))?])
    }

    /// Logs a user in at the realm: the ticket lies in the cache that [`RealmUser::smbclient`] uses.
    pub fn log_in(&self, user: &str, password: &str, words: &[&str]) -> Outcome {
        let mut command = self.command("kinit");
        command.args(words).arg(user).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("kinit: {error}"))?;
        let mut stdin = child.stdin.take().ok_or("kinit: no stdin")?;
        writeln!(stdin, "{password}").map_err(|error| format!("kinit: {error}"))?;
        drop(stdin);
        let ended = child.wait_with_output().map_err(|error| format!("kinit: {error}"))?;
        match ended.status.success() {
            true => Ok(()),
            false => Err(format!("kinit {user}: {}", String::from_utf8_lossy(&ended.stderr))),
        }
    }

    /// A program that lives in this realm.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.net.command(program);
        command
            .env("KRB5_CONFIG", self.here.join(CONFIG))
            .env("KRB5_KDC_PROFILE", self.here.join("kdc.conf"))
            .env("KRB5CCNAME", format!("FILE:{}", self.cache().display()));
        command
    }

    /// Runs smbclient by ticket alone; gives what it prints.
    pub fn smbclient(
        &self,
        address: SocketAddr,
        share: &str,
        options: &[&str],
        say: &str,
    ) -> Outcome<String> {
        let mut command = self.command("smbclient");
        command
            .arg(format!("//{}/{share}", self.host))
            .args(["-I", &address.ip().to_string(), "-p", &address.port().to_string(), "-t", "60"])
            .args(["--use-kerberos=required", &format!("--use-krb5-ccache={}", self.cache().display())])
            .args(options)
            .args(["-c", say]);
        SmbClient::judge(say, output(command)?)
    }

    /// Where tickets lie.
    fn cache(&self) -> PathBuf {
        self.here.join("tickets")
    }
}

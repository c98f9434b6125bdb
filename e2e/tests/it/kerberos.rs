//! Log-in by ticket against a real KDC (MIT) with Samba's client, and with impacket for what that one never does.

use crate::near::has;
use crate::tell::{Proof, Why, ensure};
use e2e::{Domain, Kdc, Net, Outcome, Scratch, SmbClient, Solo, free_port, output};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// A realm with alice in it, and a server with a keytab of the service that clients ask for.
struct Realm {
    kdc: Kdc,
    server: Solo,
    address: SocketAddr,
    scratch: Scratch,
}

impl Realm {
    /// `kinds`: of the service's key. `smb`, `share`: further lines of the configuration.
    fn new(kinds: &str, smb: &str, share: &str) -> Result<Realm, Why> {
        let kdc = Kdc::start()?;
        kdc.add_user("alice", "secret")?;
        let keytab = kdc.keytab(&format!("cifs/{}", Kdc::HOST), kinds)?;
        let scratch = Scratch::new()?;
        let data = scratch.dir("data")?;
        fs::write(data.join("hello"), "from the server\n")?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let smb = format!("{smb}\n{}", kdc.user.section(&keytab));
        let server = Solo::start(&data, &Net::Host, address, &smb, share)?;
        Ok(Realm { kdc, server, address, scratch })
    }

    fn say(&self, options: &[&str], say: &str) -> Outcome<String> {
        self.kdc.user.smbclient(self.address, Solo::SHARE, options, say)
    }

    fn by_password(&self) -> SmbClient {
        SmbClient {
            net: Net::Host,
            address: self.address,
            share: Solo::SHARE.into(),
            user: Solo::USER.into(),
            password: Solo::PASSWORD.into(),
            options: vec!["--use-kerberos=off".into()],
        }
    }
}

/// Fails unless the server refused with this status.
fn refused(what: &str, said: Outcome<String>, status: &str) -> Proof {
    match said {
        Err(why) if why.contains(status) => Ok(()),
        Err(why) => Err(format!("{what}: {why}\ninstead of {status}").into()),
        Ok(said) => Err(format!("{what} is let in:\n{said}").into()),
    }
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_ticket_lists_reads_and_writes_signed_and_sealed() -> Proof {
    for kinds in [Kdc::AES, "aes256-cts-hmac-sha384-192:normal", "aes128-cts-hmac-sha256-128:normal"] {
        let realm = Realm::new(kinds, "", "users = [\"alice@FAR.TEST\"]")?;
        realm.kdc.user.log_in("alice", "secret", &[])?;
        let (to, from) =
            (realm.scratch.path().join("got"), realm.scratch.file("to-put", "from the client\n")?);
        for protection in ["sign", "encrypt"] {
            let options = [format!("--client-protection={protection}")];
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let say = format!("ls; get hello {}; put {} written", to.display(), from.display());
            has(&realm.say(&options, &say)?, &["hello"])?;
            ensure(fs::read(&to)? == b"from the server\n", || format!("{kinds}, {protection}: read"))?;
            let written = realm.scratch.path().join("data/written");
            ensure(fs::read(&written)? == b"from the client\n", || {
                format!("{kinds}, {protection}: written")
            })?;
            fs::remove_file(&written)?;
        }
        // By password as before, but not to a share that names alice alone.
        refused("another user", realm.by_password().run("ls"), "NT_STATUS_ACCESS_DENIED")?;
    }
    Ok(())
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn encryption_that_the_server_wants_goes_with_a_ticket() -> Proof {
    let realm = Realm::new(Kdc::AES, "encryption = \"required\"", "")?;
    realm.kdc.user.log_in("alice", "secret", &[])?;
    has(&realm.say(&[], "ls")?, &["hello"])?;
    has(&realm.by_password().run("ls")?, &["hello"])
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_password_is_refused_when_ntlm_is_off() -> Proof {
    let realm = Realm::new(Kdc::AES, "ntlm = false", "")?;
    refused("a password", realm.by_password().run("ls"), "NT_STATUS_NTLM_BLOCKED")?;
    realm.kdc.user.log_in("alice", "secret", &[])?;
    has(&realm.say(&[], "ls")?, &["hello"])
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_keytab_that_is_not_the_kdcs_refuses_until_it_is_read_again() -> Proof {
    let mut realm = Realm::new(Kdc::AES, "", "")?;
    realm.kdc.user.log_in("alice", "secret", &[])?;
    let path = realm.kdc.keytab(&format!("cifs/{}", Kdc::HOST), Kdc::AES)?;
    refused("a ticket for a newer key", realm.say(&[], "ls"), "NT_STATUS_LOGON_FAILURE")?;
    let log = realm.server.running().log();
    has(&log, &["no key in the keytab opens the ticket for cifs/files.far.test@FAR.TEST, version 3"])?;
    ensure(path.exists(), || "no keytab".into())?;
    let said = realm.server.farshare(&["reload"])?;
    has(&said, &["keytab"])?;
    has(&realm.say(&[], "ls")?, &["hello"])?;
    let said = realm.server.farshare(&["check"])?;
    has(&said, &["keytab", "cifs/files.far.test@FAR.TEST version 3"])
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_ticket_that_has_ended_and_one_that_comes_twice_are_refused() -> Proof {
    let mut realm = Realm::new(Kdc::AES, "", "")?;
    realm.kdc.user.log_in("alice", "secret", &["-l", "8s"])?;
    has(&realm.say(&[], "ls")?, &["hello"])?;
    std::thread::sleep(Duration::from_secs(9));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/kerberos_replay.py");
    let run = |how: &str| {
        let mut command = realm.kdc.user.command("python3");
        let port = realm.address.port().to_string();
        command.arg(&script).args([how, Kdc::HOST, "127.0.0.1", &port]);
        output(command)
    };
    // The ticket for the server is in the cache; impacket does not look at its end.
    has(&run("once")?, &["first 0xc000006d"])?;
    realm.kdc.user.log_in("alice", "secret", &[])?;
    realm.say(&[], "ls")?;
    has(&run("twice")?, &["first 0x0", "second 0xc000006d"])?;
    let log = realm.server.running().log();
    has(&log, &["ticket has expired", "authenticator was used before"])
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn groups_of_a_domain_open_shares_and_nothing_else_does() -> Proof {
    let domain = Domain::start("addc")?;
    domain.administer("user create bob Passw0rd!y")?;
    domain.administer("user create eve Passw0rd!y")?;
    domain.administer("group add staff")?;
    domain.administer("group addmembers staff bob")?;
    let keytab = domain.keytab()?;
    let scratch = Scratch::new()?;
    let data = scratch.dir("data")?;
    fs::write(data.join("hello"), "from the server\n")?;
    let address = SocketAddr::from(([127, 0, 0, 1], 4455));
    let smb = format!("ntlm = false\n{}", domain.user.section(&keytab));
    let share = format!("users = [\"{}\"]", domain.group("staff")?);
    let mut server = Solo::start(&data, &domain.net(), address, &smb, &share)?;
    let say = |user: &str| {
        domain.user.log_in(user, "Passw0rd!y", &[])?;
        domain.user.smbclient(address, Solo::SHARE, &[], "ls")
    };
    has(&say("bob")?, &["hello"])?;
    refused("who is in no such group", say("eve"), "NT_STATUS_ACCESS_DENIED")?;
    // Nobody is called mallory, and the KDC takes the machine for it.
    domain.administer("computer create mallory")?;
    domain.administer("user setpassword mallory$ --newpassword=Passw0rd!y")?;
    domain.administer("group addmembers staff mallory$")?;
    has(&say("mallory$")?, &["hello"])?;
    refused("a machine under another name", say("mallory"), "NT_STATUS_LOGON_FAILURE")?;
    has(&server.running().log(), &["ticket for mallory is of the account", "mallory$"])
}

//! Table tests: each bad file with the line and the words of its complaint.

use super::*;

/// The two examples of the manual, in the order in which they stand there.
fn manual() -> [&'static str; 2] {
    let page = include_str!("../../../../docs/manual.md");
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<_> = blocks.collect();
    blocks.try_into().expect("two examples")
}

const ENTRYPOINT: &str = r#"
[node]
name  = "dc2"
state = "/var/lib/farshare"
[link]
dial  = ["dc1=gateway.example:7440"]
certs = "certs"
[volume.projects]
origin = "peer://dc1/projects"
cache  = { path = "/var/cache/farshare", size = "500GiB", write = "through" }
[smb]
listen = "0.0.0.0:445"
[smb.share.projects]
volume = "projects"
[admin]
listen = "127.0.0.1:7441"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/farshare/farshare.toml"), text)
}

#[test]
fn the_gateway_of_the_manual() {
    let config = parse(manual()[0]).unwrap();
    assert_eq!(config.name.0, "dc1");
    let volume = config.volume("projects").unwrap();
    assert_eq!(volume.origin.to_string(), "file:///srv/projects");
    assert_eq!(volume.allow, [NodeName("dc2".into())]);
    assert!(config.smb.is_none() && volume.cache.is_none());
}

#[test]
fn the_entrypoint_of_the_manual() {
    let config = parse(manual()[1]).unwrap();
    assert_eq!(config.volumes, parse(ENTRYPOINT).unwrap().volumes);
    let config = parse(ENTRYPOINT).unwrap();
    let link = config.link.as_ref().unwrap();
    assert_eq!(link.dial[0].address, "gateway.example:7440");
    assert_eq!(link.certs, Path::new("/etc/farshare/certs"), "relative to the file");
    let cache = config.volume("projects").unwrap().cache.clone().unwrap();
    assert_eq!(cache.directory, Path::new("/var/cache/farshare/projects"));
    assert_eq!(cache.size.0, 500 << 30);
    let smb = config.smb.unwrap();
    assert_eq!(smb.listen, ["0.0.0.0:445".parse().unwrap()]);
    assert_eq!(smb.shares, [ShareSettings::new("projects", "projects")]);
    assert_eq!(config.admin.listen, Some("127.0.0.1:7441".parse().unwrap()));
}

#[test]
fn a_cache_that_is_off_is_none() {
    let config = parse(&ENTRYPOINT.replace("\"through\"", "\"off\"")).unwrap();
    assert_eq!(config.volumes[0].cache, None);
}

/// `from` in the entrypoint's file becomes `to`; the complaint stands in `line` and contains `expect`.
#[track_caller]
fn check(from: &str, to: &str, line: usize, expect: &str) {
    assert!(ENTRYPOINT.contains(from), "{from:?} is not in the file");
    let error = parse(&ENTRYPOINT.replacen(from, to, 1)).expect_err(to);
    assert!(error.message().contains(expect), "{error}");
    assert_eq!(error.line(), Some(line), "{error}");
}

#[test]
fn nobody_may_log_in_only_where_that_leads_somewhere() {
    let listen = "listen = \"0.0.0.0:445\"";
    let with = |more: &str| ENTRYPOINT.replacen(listen, &format!("{listen}\n{more}"), 1);
    let anonymous = |more: &str| parse(&with(more)).unwrap().smb.unwrap().anonymous;
    assert!(!anonymous("") && !anonymous("anonymous = false\nencryption = \"required\""));
    assert!(anonymous("anonymous = true\nencryption = \"desired\""));
    let encrypted = format!("{listen}\nanonymous = true\nencryption = \"required\"");
    check(listen, &encrypted, 13, "leave one of them out");
}

#[test]
fn guests_may_connect_only_where_nothing_takes_a_key() {
    let (listen, volume) = ("listen = \"0.0.0.0:445\"", "volume = \"projects\"");
    let with = |smb: &str, share: &str| {
        let text = ENTRYPOINT.replacen(listen, &format!("{listen}\n{smb}"), 1);
        text.replacen(volume, &format!("{volume}\n{share}"), 1)
    };
    let guests = |smb: &str, share: &str| parse(&with(smb, share)).unwrap().smb.unwrap().shares[0].guests;
    assert!(!guests("", "") && !guests("", "guests = false"));
    assert!(guests("signing = \"enabled\"", "guests = true"));
    assert!(guests("signing = \"enabled\"\nencryption = \"desired\"", "guests = true\nread_only = true"));
    let refused = |smb: &str, share: &str, expect: &str| {
        let error = parse(&with(smb, &format!("guests = true\n{share}"))).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
    };
    refused("", "", "add signing = \"enabled\" to [smb]");
    refused("signing = \"enabled\"\nencryption = \"required\"", "", "no key to encrypt with");
    refused("signing = \"enabled\"", "encrypt = \"required\"", "no key to encrypt with");
    refused("signing = \"enabled\"", "users = [\"alice\"]", "strangers could connect");
    refused(
        "signing = \"enabled\"",
        "groups = [\"staff\"]\n[groups]\nstaff = [\"alice\"]",
        "strangers could connect",
    );
}

#[test]
fn unknown_and_missing_keys() {
    check("size =", "sise =", 10, "unknown key `sise`, expected one of `path`, `size`");
    check("[smb]\n", "[smbd]\n", 11, "unknown key `smbd`");
    check("certs = \"certs\"\n", "", 5, "missing key `certs`");
    check("volume = \"projects\"", "volume = 3", 14, "expected a string");
    check("name  = \"dc2\"", "name  = \"dc2", 3, "");
}

#[test]
fn bad_values() {
    check("\"dc2\"", "\"DC 2\"", 3, "not a node's name");
    check("\"500GiB\"", "\"500 cows\"", 10, "write for example \"500GiB\"");
    check("\"500GiB\"", "\"1MiB\"", 10, "at least 64 MiB");
    check("\"0.0.0.0:445\"", "\"fileserver:445\"", 12, "is not ADDRESS:PORT");
    check("\"0.0.0.0:445\"", "[]", 12, "at least one address");
    check("dc1=gateway.example:7440", "gateway.example:7440", 6, "is not NAME=HOST:PORT");
    check("peer://dc1/projects", "s3://a/b", 9, "s3:// origins are not in this version");
    check("\"through\"", "\"sideways\"", 10, "unknown variant `sideways`");
    check("write = \"through\"", "poll = \"0s\"", 10, "a time of zero");
    check("write = \"through\"", "poll = \"2 weeks\"", 10, "not a duration");
    check("listen = \"0.0.0.0:445\"", "signing = \"no\"", 12, "unknown variant `no`");
    check("listen = \"0.0.0.0:445\"", "server_name = \"a b\"", 12, "not a server's name");
}

#[test]
fn what_one_key_demands_of_another() {
    check("\"through\"", "\"back\"", 10, "\"back\" is not in this version of farshare; write \"through\"");
    check("dial  = [\"dc1=gateway.example:7440\"]\n", "", 5, "neither listens nor dials");
    check("dc1=gateway", "dc3=gateway", 9, "add \"dc1=HOST:7440\" to dial");
    check("dc1=gateway", "dc2=gateway", 6, "this node itself");
    check("peer://dc1/", "peer://dc2/", 9, "this node itself");
    check("volume = \"projects\"", "volume = \"project\"", 14, "no [volume.project]; there is: projects");
    check("[smb.share.projects]", "[smb.share.'a/b']", 13, "not a share's name");
    check("[smb.share.projects]", "[smb.share.'ipc$']", 13, "not a share's name");
    check("[volume.projects]", "[volume.'a b']", 8, "not a volume's name");
    check("\"127.0.0.1:7441\"", "\"0.0.0.0:7441\"", 16, "add token");
    check("cache  =", "allow = [\"dc3\"]\ncache =", 10, "let dc1 offer it, and dc3 dial there");
    check("cache  =", "user = \"x\"\ncache =", 10, "takes no user, domain or password");
    check("cache  =", "watch = \"hints\"\ncache =", 10, "watch is for smb:// origins");
    check("cache  =", "sync_changes = true\ncache =", 10, "sync_changes is for file:// origins");
    let nobody = "volume = \"projects\"\nusers = []";
    check("volume = \"projects\"", nobody, 15, "leave `users` out for everybody");
    let two = "listen = \"0.0.0.0:445\"\nmin_dialect = \"3.0\"\nmax_dialect = \"2.1\"";
    check("listen = \"0.0.0.0:445\"", two, 14, "no client could connect");
    let twice = "[smb.share.PROJECTS]\nvolume = \"projects\"\n[smb.share.projects]";
    check("[smb.share.projects]", twice, 15, "case does not matter");
    check("\"dc1=gateway.example:7440\"", "\"dc1=a:1\", \"dc1=b:1\"", 6, "dialed twice");
}

#[test]
fn signing_algorithms_and_ciphers_in_their_order() {
    use smb_core::algorithm::{Cipher, SigningAlgorithm};
    let listen = "listen = \"0.0.0.0:445\"";
    let with = |what: &str| format!("{listen}\n{what}");
    let all = parse(ENTRYPOINT).unwrap().smb.unwrap();
    assert_eq!(all.signing_algorithms, SigningAlgorithm::PREFERENCE);
    assert_eq!(all.ciphers, Cipher::PREFERENCE);
    let some = with("signing_algorithms = [\"aes-cmac\"]\nciphers = [\"aes-256-gcm\", \"aes-128-ccm\"]");
    let some = parse(&ENTRYPOINT.replacen(listen, &some, 1)).unwrap().smb.unwrap();
    assert_eq!(some.signing_algorithms, [SigningAlgorithm::AesCmac]);
    assert_eq!(some.ciphers, [Cipher::Aes256Gcm, Cipher::Aes128Ccm]);
    check(listen, &with("signing_algorithms = []"), 13, "leave it out for all of them, or take \"aes-cmac\"");
    check(listen, &with("ciphers = []"), 13, "leave it out for all of them, or take \"aes-128-gcm\"");
    let known = "expected one of `aes-gmac`, `aes-cmac`, `hmac-sha256`";
    check(listen, &with("signing_algorithms = [\"gmac\"]"), 13, known);
    check(listen, &with("ciphers = [\"aes-128-gcm\", \"rc4\"]"), 13, "expected one of `aes-128-gcm`");
}

#[test]
fn who_users_are_to_descriptors() {
    let listen = "listen = \"0.0.0.0:445\"";
    let with = |what: &str| format!("{listen}\n{what}");
    let good = with("sid = \"S-1-5-21-1-2-3\"\nadministrators = [\"alice\"]");
    let smb = parse(&ENTRYPOINT.replacen(listen, &good, 1)).unwrap().smb.unwrap();
    assert_eq!(smb.sid.unwrap().to_string(), "S-1-5-21-1-2-3");
    assert_eq!(smb.administrators, ["alice"]);
    let staff = with("administrators = [\"staff\", \"eve\"]\n[groups]\nstaff = [\"alice\", \"bob\"]");
    let smb = parse(&ENTRYPOINT.replacen(listen, &staff, 1)).unwrap().smb.unwrap();
    assert_eq!(smb.administrators, ["alice", "bob", "eve"]);
    assert_eq!((&*smb.groups[0].name, smb.groups[0].members.len()), ("staff", 2));
    let twice = with("[groups]\nstaff = [\"alice\"]\nSTAFF = [\"bob\"]");
    check(listen, &twice, 14, "clients could not tell the groups");
    for bad in ["S-1-5-21-1-2", "S-1-5-32-1-2-3", "S-1-5-21-1-2-3-1000", "S-1-5-21-1-2-4294967296", "alice"] {
        check(listen, &with(&format!("sid = \"{bad}\"")), 13, "is not the SID of a domain");
    }
}

#[test]
fn listings_hide_nothing_unless_it_is_asked_for() {
    let volume = "volume = \"projects\"";
    let hides = |text: &str| parse(text).unwrap().smb.unwrap().shares[0].hide_unreadable;
    assert!(!hides(ENTRYPOINT));
    assert!(hides(&ENTRYPOINT.replacen(volume, &format!("{volume}\nhide_unreadable = true"), 1)));
}

#[test]
fn interfaces_and_channels() {
    let listen = "listen = \"0.0.0.0:445\"";
    let with = |more: &str| format!("{listen}\n{more}");
    let list = "interfaces = [\"eth0\", { address = \"10.0.0.5\", speed = \"10Gbit\" }]";
    let smb = parse(&ENTRYPOINT.replacen(listen, &with(list), 1)).unwrap().smb.unwrap();
    assert_eq!((smb.multichannel, smb.interfaces.unwrap().len()), (true, 2));
    let smb = parse(&ENTRYPOINT.replacen(listen, &with("multichannel = false"), 1)).unwrap().smb.unwrap();
    assert_eq!((smb.multichannel, smb.interfaces), (false, None));
    check(listen, &with("interfaces = []"), 13, "write multichannel = false");
    check(listen, &with("interfaces = [\"a/b\"]"), 13, "is not an interface's name");
    check(listen, &with("multichannel = false\ninterfaces = [\"eth0\"]"), 14, "which is off; take it out");
}

#[test]
fn what_is_compressed() {
    let (listen, volume) = ("listen = \"0.0.0.0:445\"", "volume = \"projects\"");
    let with = |smb: &str, share: &str| {
        let text = ENTRYPOINT.replacen(listen, &format!("{listen}\n{smb}"), 1);
        let smb = parse(&text.replacen(volume, &format!("{volume}\n{share}"), 1)).unwrap().smb.unwrap();
        (smb.compression, smb.shares[0].compress)
    };
    assert_eq!(with("", ""), (false, false));
    assert_eq!(with("compression = true", "compress = true"), (true, true));
    assert_eq!(with("compression = false", "compress = false"), (false, false));
    check(volume, &format!("{volume}\ncompress = true"), 15, "add compression = true to [smb]");
    let old = format!("{listen}\nmax_dialect = \"3.0.2\"\ncompression = true");
    check(listen, &old, 14, "compression begins with 3.1.1");
}

#[test]
fn nothing_is_announced_unless_it_is_asked_for() {
    let shares = "[smb.share.projects]";
    let with = |more: &str| ENTRYPOINT.replacen(shares, &format!("[smb.discovery]\n{more}\n{shares}"), 1);
    let ways = |text: &str| parse(text).unwrap().smb.map(|smb| (smb.mdns, smb.ws_discovery)).unwrap();
    assert_eq!((ways(ENTRYPOINT), ways(&with(""))), ((false, false), (false, false)));
    assert_eq!((ways(&with("mdns = true")), ways(&with("ws = true"))), ((true, false), (false, true)));
    let unknown = format!("[smb.discovery]\nnetbios = true\n{shares}");
    check(shares, &unknown, 14, "unknown key `netbios`, expected `mdns` or `ws`");
}

#[test]
fn where_macs_back_up_to() {
    let shares = "[smb.share.projects]";
    let found = format!("[smb.discovery]\nmdns = true\n{shares}");
    let text = ENTRYPOINT.replacen(shares, &format!("{found}\ntime_machine = true"), 1);
    assert!(parse(&text).unwrap().smb.unwrap().shares[0].time_machine);
    check(shares, &format!("{shares}\ntime_machine = true"), 14, "add mdns = true to [smb.discovery]");
    check(shares, &format!("{found}\ntime_machine = true\nread_only = true"), 16, "that is read only");
    let long = found.replace("projects", &format!("\"{}\"", "\u{1F4BE}".repeat(60)));
    check(shares, &format!("{long}\ntime_machine = true"), 16, "at most 200 bytes");
}

#[test]
fn quic_needs_a_certificate_and_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    ::link::certs::init(dir.path()).unwrap();
    for name in ["one", "other"] {
        ::link::certs::issue(dir.path(), name).unwrap();
    }
    let section = |cert: &str, key: &str| {
        let (cert, key) = (path(cert), path(key));
        format!("[smb.quic]\ncertificate = {cert:?}\nkey = {key:?}\n[smb.share.projects]")
    };
    let shares = "[smb.share.projects]";
    let quic =
        parse(&ENTRYPOINT.replacen(shares, &section("one.crt", "one.key"), 1)).unwrap().smb.unwrap().quic;
    let quic = quic.unwrap();
    assert_eq!((quic.listen[0].port(), quic.certificate.clone()), (443, path("one.crt")));
    check(shares, &section("one.crt", "none.key"), 15, "No such file");
    check(shares, &section("none.crt", "one.key"), 14, "No such file");
    check(shares, &section("one.crt", "one.crt"), 15, "chmod 600");
    check(shares, &section("one.crt", "other.key"), 14, "the key is not the certificate's");
    let no_key = section("one.crt", "one.key").replace("key = ", "kee = ");
    check(shares, &no_key, 15, "unknown key `kee`");
    let old = format!("max_dialect = \"3.0.2\"\n{}", section("one.crt", "one.key"));
    check(shares, &old, 14, "QUIC carries 3.1.1 and nothing older");
}

#[test]
fn what_a_share_shows_and_to_whom() {
    let volume = "volume = \"projects\"";
    let with = |more: &str| ENTRYPOINT.replacen(volume, &format!("{volume}\n{more}"), 1);
    let groups = "[groups]\nartists = [\"Anna\", \"ben\"]\n";
    let text = groups.to_owned() + &with("users = [\"carl\", \"anna\"]\ngroups = [\"artists\"]");
    assert_eq!(parse(&text).unwrap().smb.unwrap().shares[0].users, ["carl", "anna", "ben"]);
    let text =
        groups.to_owned() + &with("groups = [\"artists\"]\nencrypt = \"required\"\nveto = [\"*.exe\"]");
    let share = parse(&text).unwrap().smb.unwrap().shares.remove(0);
    assert_eq!(share.users, ["Anna", "ben"]);
    assert_eq!((share.encrypt, share.veto), (ShareEncryption::Required, vec!["*.exe".to_owned()]));
    let worse = |more: &str| format!("{volume}\n{more}");
    check(volume, &worse("groups = [\"artists\"]"), 15, "add it to [groups]");
    check(volume, &worse("encrypt = \"yes\""), 15, "unknown variant `yes`");
    check(volume, &worse("veto = [\"a/b\"]"), 15, "is not a pattern");
    check(volume, &worse("veto = [\"\"]"), 15, "is not a pattern");
    check("[smb]", "[groups]\nartists = []\n[smb]", 12, "nobody is in this group");
    check("[smb]", "[groups]\nartists = [\"a:b\"]\n[smb]", 12, "not a user's name");
    let old = "[smb]\nmax_dialect = \"2.1\"";
    let text = ENTRYPOINT.replacen("[smb]", old, 1).replacen(volume, &worse("encrypt = \"required\""), 1);
    assert!(parse(&text).unwrap_err().message().contains("encryption begins with 3.0"));
}

#[test]
fn quotas_are_kept_where_all_ways_to_the_tree_are_known() {
    let gateway = |more: &str| {
        let own = "[volume.a]\norigin = \"file:///srv/farshare-a\"\nquota = { users = true }\n";
        parse(&format!("[node]\nname = \"dc1\"\nstate = \"/var/lib/farshare-dc1\"\n{own}{more}"))
    };
    assert!(gateway("").unwrap().volumes[0].user_quotas);
    let below = gateway("[volume.b]\norigin = \"file:///srv/farshare-a/b\"\n").unwrap_err();
    assert!(below.message().contains("give it a tree of its own"), "{below}");
    check("cache  =", "quota = { users = true }\ncache =", 10, "quotas of users are kept at file:// origins");
}

#[test]
fn jobs_of_later_versions_are_called_so() {
    check(
        "[smb]",
        "[[volume.projects.mirror]]\nto = \"s3://a/b\"\n[smb]",
        12,
        "s3:// mirrors are not in this version",
    );
    check("cache  =", "quota = { backend = \"auto\" }\ncache =", 10, "`backend` is not in this version");
    check("[smb]", "[volume.projects.tier]\nto = \"s3://a/b\"\n[smb]", 11, "`tier` is not in this version");
    check("[admin]", "[s3]\nlisten = \"0.0.0.0:9000\"\n[admin]", 15, "`s3` is not in this version");
}

#[test]
fn secrets_stand_in_files_that_only_the_owner_reads() {
    let origin = "origin = \"peer://dc1/projects\"";
    let smb = "origin = \"smb://fileserver/projects\"";
    check(origin, smb, 9, "needs a login; add user");
    let inline = format!("{smb}\nuser = \"svc\"\npassword = \"swordfish\"");
    check(origin, &inline, 11, "a secret does not belong into this file");
    let error = parse(&ENTRYPOINT.replacen(origin, &inline, 1)).unwrap_err();
    assert!(!error.message().contains("swordfish"));
    let missing = format!("{smb}\nuser = \"svc\"\npassword = {{ file = \"/nonexistent/pw\" }}");
    check(origin, &missing, 11, "/nonexistent/pw: No such file");
    let wrong_key = format!("{smb}\nuser = \"svc\"\npassword = {{ path = \"/nonexistent/pw\" }}");
    check(origin, &wrong_key, 11, "unknown key `path`");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pw");
    std::fs::write(&path, "swordfish\n").unwrap();
    let given = format!("{smb}\nuser = \"svc\"\npassword = {{ file = {path:?} }}\nwatch = \"trusted\"");
    let mode = |mode| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644);
    check(origin, &given, 11, "chmod 600");
    mode(0o600);
    let config = parse(&ENTRYPOINT.replacen(origin, &given, 1)).unwrap();
    let login = config.volumes[0].login.clone().unwrap();
    assert_eq!((login.user.as_str(), login.password.0.as_path()), ("svc", path.as_path()));
    assert_eq!(config.volumes[0].watch, Watch::Trusted);
    assert!(!format!("{config:?}").contains("swordfish"));
}

#[test]
fn a_complaint_shows_the_line_and_underlines_the_place() {
    let error = parse(&ENTRYPOINT.replacen("\"500GiB\"", "\"lots\"", 1)).unwrap_err();
    let expect = "/etc/farshare/farshare.toml:10:49: \"lots\" is not a size; write for example \"500GiB\" or \"64MB\"\n  \
                  10 | cache  = { path = \"/var/cache/farshare\", size = \"lots\", write = \"through\" }\n     \
                  |                                                 ^^^^^^";
    assert_eq!(error.to_string(), expect);
}

#[test]
fn no_volume_and_no_file() {
    let error = parse("[node]\nname = \"a\"\nstate = \"/x\"\n").unwrap_err();
    assert!(error.to_string().contains("no volume; add [volume.NAME]"), "{error}");
    let error = Config::load(Path::new("/nonexistent/farshare.toml")).unwrap_err();
    assert!(error.to_string().contains("no such file; --config FILE"), "{error}");
}

#[test]
fn kerberos_needs_a_keytab_that_only_the_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let write = |name: &str, content: &[u8], mode| {
        std::fs::write(path(name), content).unwrap();
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // One AES-256 key of cifs/files@HOME.TEST.
    let names = b"\0\x02\0\x09HOME.TEST\0\x04cifs\0\x05files";
    let entry = [&names[..], b"\0\0\0\x01\0\0\0\0\x01\0\x12\0\x20", &[7; 32]].concat();
    let keytab = [&[5, 2][..], &(entry.len() as u32).to_be_bytes(), &entry].concat();
    write("good", &keytab, 0o600);
    write("open", &keytab, 0o644);
    write("text", b"no keytab", 0o600);
    let shares = "[smb.share.projects]";
    let section = |keytab: &str, more: &str| {
        format!("[smb.kerberos]\nkeytab = {:?}\nrealm = \"HOME.TEST\"\n{more}\n{shares}", path(keytab))
    };
    let people = "users = [\"alice@HOME.TEST\", \"bob@FAR.TEST\", \"S-1-5-21-1-2-3-1105\"]";
    let good = format!("{}\n{people}", section("good", "trust = [\"FAR.TEST\"]"));
    let smb = parse(&ENTRYPOINT.replacen(shares, &good, 1)).unwrap().smb.unwrap();
    assert_eq!(smb.shares[0].users, ["alice@HOME.TEST", "bob@FAR.TEST", "S-1-5-21-1-2-3-1105"]);
    let kerberos = smb.kerberos.unwrap();
    assert_eq!((kerberos.realms.trusted.len(), kerberos.load().unwrap().entries().len()), (1, 1));
    assert!(kerberos.realms.needs_pac && !kerberos.realms.local_names);
    let open = section("good", "pac = \"optional\"\nlocal_names = true");
    let realms = parse(&ENTRYPOINT.replacen(shares, &open, 1)).unwrap().smb.unwrap().kerberos.unwrap().realms;
    assert!(!realms.needs_pac && realms.local_names);
    check(shares, &section("good", "pac = \"off\""), 16, "unknown variant `off`");
    check(shares, &section("open", ""), 14, "chmod 600");
    check(shares, &section("text", ""), 14, "not a keytab");
    check(shares, &section("none", ""), 14, "No such file");
    check(shares, &section("good", "trust = [\"a@b\"]"), 16, "not a realm's name");
    let listen = "listen = \"0.0.0.0:445\"";
    check(listen, &format!("{listen}\nntlm = false"), 13, "nobody could log in");
    let by_ticket = format!("{listen}\nanonymous = true\nntlm = false\n{}", section("good", ""));
    check(&format!("{listen}\n{shares}"), &by_ticket, 13, "NTLM, which is switched off");
    let by_ticket = format!("{listen}\nntlm = false\n{}\nguests = true", section("good", ""));
    check(&format!("{listen}\n{shares}"), &by_ticket, 19, "guests log in by NTLM");
    check(shares, &format!("{shares}\nusers = [\"S-1-x\"]"), 14, "is not a SID");
}

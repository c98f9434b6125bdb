//! Certificates on disk.

use crate::support::authority;
use link::certs::{self, CA_LIFETIME, CertRole, SITE_LIFETIME};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

fn error<T>(result: Result<T, link::LinkError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn files_have_the_right_modes_and_nothing_else_is_left() {
    let outer = tempfile::tempdir().expect("temporary directory");
    let dir = outer.path().join("etc/certs");
    certs::init(&dir).expect("init");
    certs::issue(&dir, "dc1").expect("issue");
    certs::renew_all(&dir).expect("renew");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("metadata").mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let mut files: Vec<_> =
        fs::read_dir(&dir).expect("list").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    let names: Vec<_> = files.iter().map(|path| path.file_name().expect("name").to_owned()).collect();
    assert_eq!(names, ["ca.crt", "ca.key", "dc1.crt", "dc1.key"]);
    assert_eq!(files.iter().map(|path| mode(path)).collect::<Vec<_>>(), [0o644, 0o600, 0o644, 0o600]);
}

#[test]
fn show_names_roles_and_ends() {
    let dir = authority();
    let all = certs::show(dir.path()).expect("show");
    let names: Vec<_> = all.iter().map(|cert| (cert.name.as_str(), cert.role)).collect();
    let site = CertRole::Site;
    assert_eq!(names, [("ca", CertRole::Authority), ("dc1", site), ("dc2", site), ("dc3", site)]);
    let day = Duration::from_secs(86_400);
    for cert in &all {
        let life = if cert.role == CertRole::Site { SITE_LIFETIME } else { CA_LIFETIME };
        let end = SystemTime::now() + life;
        assert!(cert.not_after > end - day && cert.not_after < end + day, "{cert:?}");
        assert_eq!((cert.fingerprint.len(), cert.serial.len()), (64, 32));
    }
}

#[test]
fn renewing_keeps_the_key_and_changes_the_certificate() {
    let dir = authority();
    let read = |name: &str| fs::read(dir.path().join(name)).expect("read");
    let (key, cert, ca) = (read("dc1.key"), read("dc1.crt"), read("ca.crt"));
    let renewed = certs::renew(dir.path(), "dc1").expect("renew");
    assert_eq!(renewed.name, "dc1");
    assert_eq!((read("dc1.key") == key, read("dc1.crt") == cert, read("ca.crt") == ca), (true, false, true));
    certs::renew(dir.path(), "ca").expect("renew");
    assert_ne!(read("ca.crt"), ca);
    certs::load_site(dir.path(), "dc1").expect("still of this authority");
}

#[test]
fn nothing_is_overwritten() {
    let dir = authority();
    assert!(error(certs::init(dir.path())).contains("ca.key: there is one already"));
    assert!(error(certs::issue(dir.path(), "dc1")).contains("dc1.key: there is one already; renew it"));
}

#[test]
fn errors_name_the_file_and_the_mend() {
    let dir = authority();
    let path = |name: &str| dir.path().join(name);
    for name in ["", "ca", "DC1", "1dc", "dc1-", "a.b", "../dc1", &"x".repeat(64)] {
        assert!(error(certs::issue(dir.path(), name)).contains("site name"), "{name}");
    }
    assert!(error(certs::load(dir.path())).contains("several sites (dc1, dc2, dc3)"));
    assert!(error(certs::load_site(dir.path(), "dc4")).contains("dc4.crt: not found; make it with"));
    fs::set_permissions(path("dc1.key"), Permissions::from_mode(0o640)).expect("chmod");
    assert!(
        error(certs::load_site(dir.path(), "dc1"))
            .contains("dc1.key: others can read this key (mode 640); chmod")
    );
    fs::copy(path("dc3.crt"), path("dc2.crt")).expect("copy");
    assert!(error(certs::load_site(dir.path(), "dc2")).contains("dc2.crt: is the certificate of site dc3"));
    fs::write(path("dc3.crt"), "nonsense").expect("write");
    assert!(error(certs::load_site(dir.path(), "dc3")).contains("dc3.crt: not a PEM certificate"));
    fs::remove_file(path("ca.key")).expect("remove");
    assert!(error(certs::issue(dir.path(), "dc5")).contains("ca.key: not found"));
}

#[test]
fn what_was_revoked_is_neither_used_nor_renewed() {
    let dir = authority();
    let list = dir.path().join("revoked");
    assert!(error(certs::revoke(dir.path(), "dc9")).contains("dc9.crt: not found"));
    assert!(certs::revoke(dir.path(), "dc2").expect("revoke").revoked);
    let once = fs::read_to_string(&list).expect("the list");
    certs::revoke(dir.path(), "dc2").expect("again");
    assert_eq!(fs::read_to_string(&list).expect("the list"), once);
    assert!(error(certs::load_site(dir.path(), "dc2")).contains("dc2.crt: is revoked; issue a new key"));
    assert!(error(certs::renew(dir.path(), "dc2")).contains("is revoked"));
    assert_eq!(certs::renew_all(dir.path()).expect("the others").len(), 2);
    assert!(certs::load_site(dir.path(), "dc1").is_ok());
    // By hand: a serial number or the SHA-256 of a certificate, as `openssl x509` prints them.
    let dc1 =
        certs::show(dir.path()).expect("show").into_iter().find(|cert| cert.name == "dc1").expect("dc1");
    let colons = |hex: &str| {
        hex.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair)).collect::<Vec<_>>().join(":")
    };
    for entry in [dc1.serial.clone(), colons(&dc1.fingerprint).to_uppercase(), format!("00{}", dc1.serial)] {
        fs::write(&list, format!("# by hand\n\n{entry}  # lost\n")).expect("write");
        assert!(error(certs::load_site(dir.path(), "dc1")).contains("is revoked"), "{entry}");
        assert!(certs::load_site(dir.path(), "dc2").is_ok());
    }
    fs::write(&list, "dc1\nlaptop\n").expect("write");
    assert!(error(certs::load_site(dir.path(), "dc3")).contains("revoked: line 2: not a serial"));
}

#[test]
fn a_node_needs_only_its_own_files() {
    let all = authority();
    let node = tempfile::tempdir().expect("temporary directory");
    for file in ["ca.crt", "dc2.crt", "dc2.key"] {
        fs::copy(all.path().join(file), node.path().join(file)).expect("copy");
    }
    assert_eq!(certs::load(node.path()).expect("load").site(), "dc2");
    fs::copy(all.path().join("dc1.key"), node.path().join("dc2.key")).expect("copy");
    assert!(error(certs::load(node.path())).contains("dc2.key: unusable with dc2.crt"));
}

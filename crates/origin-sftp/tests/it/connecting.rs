//! Who is let in, and who is believed.

use crate::rig::Rig;
use origin_sftp::{SftpConfig, SftpVolume};
use std::fs;
use std::process::Command;
use testkit::ease::{cx, fails, names, p};
use volume::{ErrorKind, Retry, Volume};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_reached_with_keys_of_every_kind() {
    let rig = Rig::start();
    for key in ["user", "rsa", "ecdsa"] {
        let volume = SftpVolume::new(SftpConfig { key: Some(rig.at(key)), ..rig.config() });
        assert_eq!(volume.connection(), 0, "nothing is dialed before it is needed");
        let server = volume.connect().await.unwrap_or_else(|why| panic!("{key}: {why}"));
        assert!(server.banner.starts_with("OpenSSH"), "{server:?}");
        assert!(server.in_order && server.read_max > 32 * 1024, "{server:?}");
        assert_eq!(volume.connection(), 1);
        assert_eq!(names(&volume, "").await, [""; 0]);
        assert_eq!(volume.connection(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_host_key_is_refused() {
    let rig = Rig::start();
    let other = fs::read_to_string(rig.at("other.pub")).unwrap();
    fs::write(rig.at("known_hosts"), format!("[127.0.0.1]:{} {other}", rig.port())).unwrap();
    let error = rig.volume().connect().await.unwrap_err();
    let told = error.to_string();
    assert_eq!((error.kind, error.retry), (ErrorKind::PermissionDenied, Retry::Never));
    assert!(told.contains("another one") && told.contains("line 1") && told.contains("SHA256:"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_host_key_is_refused_and_learned_by_the_line_that_is_told() {
    let rig = Rig::start();
    let keys = rig.at("keys");
    let config = SftpConfig { known_hosts: keys.clone(), ..rig.config() };
    let error = fails(SftpVolume::new(config.clone()).stat(&cx(), &p("")).await, ErrorKind::PermissionDenied);
    let told = error.to_string();
    let line = format!("ssh-keyscan -p {} -t ed25519 127.0.0.1 >> {}", rig.port(), keys.display());
    assert!(told.contains(&line), "{told}");
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    SftpVolume::new(config.clone()).connect().await.unwrap();
    // The same with its name hashed.
    assert!(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&keys).status().unwrap().success());
    assert!(fs::read_to_string(&keys).unwrap().contains("|1|"));
    SftpVolume::new(config).connect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_users_key_is_refused() {
    let rig = Rig::start();
    let volume = SftpVolume::new(SftpConfig { key: Some(rig.at("other")), ..rig.config() });
    let told = fails(volume.stat(&cx(), &p("")).await, ErrorKind::PermissionDenied).to_string();
    assert!(told.contains("does not let") && told.contains("the key SHA256:"), "{told}");
    let volume = SftpVolume::new(SftpConfig { key: Some(rig.at("none")), ..rig.config() });
    let told = fails(volume.stat(&cx(), &p("")).await, ErrorKind::PermissionDenied).to_string();
    assert!(told.contains("ssh-add"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_offline_and_a_root_that_is_not_is_not_found() {
    let rig = Rig::start();
    let volume =
        SftpVolume::new(SftpConfig { root: format!("{}/none", rig.data().display()), ..rig.config() });
    assert_eq!(volume.connect().await.unwrap_err().kind, ErrorKind::NotFound);
    let volume = SftpVolume::new(SftpConfig { root: "relative".into(), ..rig.config() });
    assert_eq!(volume.connect().await.unwrap_err().kind, ErrorKind::InvalidArgument);
    let config = rig.config();
    drop(rig);
    let error = SftpVolume::new(config).connect().await.unwrap_err();
    // The key file went with the server.
    assert!(matches!(error.kind, ErrorKind::Offline | ErrorKind::PermissionDenied), "{error}");
}

//! Who is let in, and who is believed.

use crate::rig::Rig;
use origin_sftp::{SftpConfig, SftpVolume};
use std::fs;
use std::process::Command;
use testkit::ease::{cx, fails, names, p};
use volume::{ErrorKind, Retry, Volume};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_reached_with_keys_of_every_kind() {
    let Some(rig) = Rig::start() else { return };
    for key in ["ed25519", "rsa", "ecdsa"] {
        let file = Some(rig.key(key, key));
        rig.authorize(key);
        let volume = SftpVolume::new(SftpConfig { key: file, ..rig.config() });
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
    let Some(rig) = Rig::start() else { return };
    rig.key("other", "ed25519");
    let other = fs::read_to_string(rig.at("other.pub")).unwrap();
    fs::write(rig.at("known_hosts"), format!("[127.0.0.1]:{} {other}", rig.port())).unwrap();
    let error = rig.volume().connect().await.unwrap_err();
    let told = error.to_string();
    assert_eq!((error.kind, error.retry), (ErrorKind::PermissionDenied, Retry::Never));
    assert!(told.contains("another one") && told.contains("line 1") && told.contains("SHA256:"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_host_key_is_refused_and_learned_by_the_line_that_is_told() {
    let Some(rig) = Rig::start() else { return };
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
    let Some(rig) = Rig::start() else { return };
    let volume = SftpVolume::new(SftpConfig { key: Some(rig.key("other", "ed25519")), ..rig.config() });
    let told = fails(volume.stat(&cx(), &p("")).await, ErrorKind::PermissionDenied).to_string();
    assert!(told.contains("does not let") && told.contains("the key SHA256:"), "{told}");
    let volume = SftpVolume::new(SftpConfig { key: Some(rig.at("none")), ..rig.config() });
    let told = fails(volume.stat(&cx(), &p("")).await, ErrorKind::PermissionDenied).to_string();
    assert!(told.contains("ssh-add"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_offline_and_a_root_that_is_not_is_not_found() {
    let Some(rig) = Rig::start() else { return };
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

/// Set for [`by_an_agent`]: where the rig is that the test below has started.
const CONFIG: &str = "ORIGIN_SFTP_TEST_AGENT";

#[test]
fn the_agent_signs() {
    let Some(rig) = Rig::start() else { return };
    let key = rig.key("rsa", "rsa");
    rig.authorize("rsa");
    let socket = rig.at("agent");
    let mut agent = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).spawn().expect("ssh-agent");
    while !socket.exists() {
        assert!(agent.try_wait().unwrap().is_none(), "the agent has ended");
        std::thread::yield_now();
    }
    let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).status();
    // The agent is found by the environment, which a process has but once.
    let logged_on = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "connecting::by_an_agent", "--nocapture"])
        .env("SSH_AUTH_SOCK", &socket)
        .env(CONFIG, format!("{} {} {}", rig.port(), rig.at("known_hosts").display(), rig.config().user))
        .status();
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(added.unwrap().success() && logged_on.unwrap().success());
}

#[tokio::test]
async fn by_an_agent() {
    let Ok(told) = std::env::var(CONFIG) else { return };
    let [port, known_hosts, user] = told.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let mut config = SftpConfig::new("127.0.0.1", user, "/", known_hosts);
    config.port = port.parse().unwrap();
    fails(SftpVolume::new(config.clone()).stat(&cx(), &p("")).await, ErrorKind::PermissionDenied);
    config.agent = true;
    SftpVolume::new(config).connect().await.unwrap();
}

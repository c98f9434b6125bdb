//! What the administrator is told when it does not work.

use crate::rig::Rig;
use origin_smb::{SmbConfig, SmbVolume};
use testkit::ease::{cx, fails, get, p, put};
use volume::{ErrorKind, Volume};

async fn refused(config: SmbConfig, kind: ErrorKind, story: &str) {
    let error = fails(SmbVolume::connect(config).await, kind).to_string();
    assert!(error.contains(story), "{story:?} is not said in: {error}");
    assert!(!error.contains("rig-password"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn each_wrong_setting_is_named() {
    let rig = Rig::start();
    let wrong = SmbConfig { password: "wrong".into(), ..rig.config() };
    refused(wrong, ErrorKind::PermissionDenied, "check user, domain and password").await;
    let nobody = SmbConfig { user: "nobody-here".into(), ..rig.config() };
    refused(nobody, ErrorKind::PermissionDenied, "nobody-here").await;
    let elsewhere = SmbConfig { share: "none".into(), ..rig.config() };
    refused(elsewhere, ErrorKind::NotFound, "no share \"none\"").await;
    let pipes = SmbConfig { share: "IPC$".into(), ..rig.config() };
    refused(pipes, ErrorKind::InvalidArgument, "no share of files").await;
    let below = SmbConfig { subdir: Some("not/there".into()), ..rig.config() };
    refused(below, ErrorKind::NotFound, "no such directory").await;
    let above = SmbConfig { subdir: Some("../etc".into()), ..rig.config() };
    refused(above, ErrorKind::InvalidArgument, "..").await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let config = SmbConfig::new(format!("127.0.0.1:{}", e2e::free_port()), "data", "user", "rig-password");
    refused(config, ErrorKind::Offline, "nobody answers at 127.0.0.1").await;
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let greeting = tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH\r\n").await;
            drop(greeting);
        }
    });
    let config = SmbConfig::new(address.to_string(), "data", "user", "rig-password");
    refused(config, ErrorKind::Offline, "is that an SMB server?").await;
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_directory_of_a_share_is_a_volume_that_nobody_leaves() {
    let rig = Rig::start();
    let whole = rig.volume().await;
    put(&*whole, "outside", "x").await;
    let part = rig.fresh().await;
    put(&*part, "inside", "y").await;
    assert_eq!(get(&*whole, "fresh 0/inside").await, b"y");
    fails(part.stat(&cx(), &p("outside")).await, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn what_the_server_asks_of_its_clients_is_given() {
    for settings in [
        "mandatory",
        "disabled",
        "default\nserver smb encrypt = required",
        "default\nserver smb encrypt = required\nserver max protocol = SMB3_02",
        "default\nserver max protocol = SMB2_02",
        "default\nserver max protocol = SMB3_00",
        "default\nsmb2 max credits = 64\nsmb2 max read = 65536",
    ] {
        let rig = Rig::with(settings);
        let connected = SmbVolume::connect(rig.config()).await;
        let volume = connected.unwrap_or_else(|why| panic!("with {settings:?}: {why}"));
        let content = testkit::Rng::new(3).bytes(3 << 20);
        put(&*volume, "f", &content).await;
        assert!(get(&*volume, "f").await == content, "with {settings}");
        assert_eq!(testkit::ease::names(&*volume, "").await, ["f"], "with {settings}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_share_that_wants_encryption_gets_it() {
    let rig = Rig::with(
        "default\n[sealed]\npath = DIR\nread only = no\nforce user = root\nserver smb encrypt = required",
    );
    let config = SmbConfig { share: "sealed".into(), ..rig.config() };
    let volume = SmbVolume::connect(config).await.unwrap_or_else(|why| panic!("{why}"));
    put(&*volume, "f", "sealed").await;
    assert_eq!(get(&*volume, "f").await, b"sealed");
    let mut plain = rig.smbclient();
    plain.share = "sealed".to_owned();
    plain.options = vec!["--max-protocol=SMB2_10".to_owned()];
    assert!(plain.run("ls").is_err(), "a dialect without encryption does not get in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs samba: cargo xtask test"]
async fn a_share_that_nobody_may_write_is_a_read_only_volume() {
    let rig = Rig::with("default\nread list = root");
    std::fs::write(rig.path().join("f"), "x").unwrap();
    let volume = rig.volume().await;
    assert!(volume.caps().read_only);
    assert_eq!(get(&*volume, "f").await, b"x");
    testkit::contract::run(|| async { rig.volume().await as std::sync::Arc<dyn Volume> }).await;
}

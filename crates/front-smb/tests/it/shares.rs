//! What the operator says of a share.

use crate::{Client, One, volume};
use front_smb::{Server, ServerConfig, Share, SnapshotPattern, Veto};
use smb_wire::negotiate::Dialect;
use smb2::types::status::NtStatus;
use smb2::{Error, SmbClient, Tree};
use std::sync::Arc;
use testkit::ease::{apply, exists, get, mkdir, p, put};
use testkit::{MemConfig, MemVolume};
use volume::Change;

const ACCESS_DENIED: NtStatus = NtStatus(0xC000_0022);
const NAME_NOT_FOUND: NtStatus = NtStatus(0xC000_0034);
const PATH_NOT_FOUND: NtStatus = NtStatus(0xC000_003A);

/// A server with the share as `change` makes it.
async fn serve(max_dialect: Dialect, change: impl FnOnce(&mut Share)) -> (Server, String) {
    let config = ServerConfig::new(vec![([127, 0, 0, 1], 0).into()], Arc::new(One));
    let mut share = Share::new("share", volume().await);
    change(&mut share);
    let shares = vec![share, Share::new("plain", volume().await)];
    let server = Server::start(ServerConfig { max_dialect, ..config }, shares).await.unwrap();
    let address = server.local_addrs()[0].to_string();
    (server, address)
}

async fn connect(address: &str) -> SmbClient {
    smb2::connect(address, "user", "pass").await.unwrap()
}

#[track_caller]
fn check<T>(outcome: smb2::Result<T>, expect: NtStatus) {
    match outcome {
        Err(Error::Protocol { status, .. }) => assert_eq!(status, expect),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("let through instead of {expect:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_demands_encryption_takes_nothing_else() {
    let (_server, address) = serve(Dialect::SMB_3_1_1, |share| share.encrypt = true).await;
    let mut smb = connect(&address).await;
    let tree = smb.connect_share("share").await.unwrap();
    assert!(tree.encrypt_data, "the client is told");
    tree.write_file(smb.connection_mut(), "a", b"sealed").await.unwrap();
    assert_eq!(tree.read_file(smb.connection_mut(), "a").await.unwrap(), b"sealed");

    // One that could and does not.
    let mut smb = connect(&address).await;
    let tree = Tree::connect(smb.connection_mut(), "share").await.unwrap();
    check(tree.read_file(smb.connection_mut(), "a").await, ACCESS_DENIED);
    check(tree.write_file(smb.connection_mut(), "a", b"plain").await, ACCESS_DENIED);
    let plain = Tree::connect(smb.connection_mut(), "plain").await.unwrap();
    plain.write_file(smb.connection_mut(), "a", b"plain").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_cannot_encrypt_does_not_get_in_there() {
    let (_server, address) = serve(Dialect::SMB_2_1, |share| share.encrypt = true).await;
    let mut smb = connect(&address).await;
    check(smb.connect_share("share").await, ACCESS_DENIED);
    smb.connect_share("plain").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vetoed_names_are_neither_seen_nor_opened_nor_given() {
    let vfs = volume().await;
    let all = Share { veto: Veto::new(["*.exe", ".trash"]), ..Share::new("share", vfs.clone()) };
    let config = ServerConfig::new(vec![([127, 0, 0, 1], 0).into()], Arc::new(One));
    let server = Server::start(config, vec![all, Share::new("plain", vfs)]).await.unwrap();
    let mut plain = connect(&server.local_addrs()[0].to_string()).await;
    let open = plain.connect_share("plain").await.unwrap();
    open.create_directory(plain.connection_mut(), ".Trash").await.unwrap();
    for name in ["a.exe", "a.txt", ".Trash/b.txt"] {
        open.write_file(plain.connection_mut(), name, b"x").await.unwrap();
    }

    let Client { mut smb, tree } = Client::new(&server.local_addrs()[0].to_string()).await;
    let smb = smb.connection_mut();
    let listed = tree.list_directory(smb, "").await.unwrap();
    let names: Vec<&str> =
        listed.iter().map(|entry| &*entry.name).filter(|name| !name.starts_with("..")).collect();
    assert!(names.contains(&"a.txt") && !names.contains(&"a.exe") && !names.contains(&".Trash"), "{names:?}");
    check(tree.read_file(smb, "A.EXE").await, NAME_NOT_FOUND);
    check(tree.read_file(smb, ".trash/b.txt").await, PATH_NOT_FOUND);
    check(tree.write_file(smb, "new.exe", b"x").await, ACCESS_DENIED);
    check(tree.rename(smb, "a.txt", "a.exe").await, ACCESS_DENIED);
    check(tree.create_directory(smb, "d.exe").await, ACCESS_DENIED);
    assert_eq!(tree.read_file(smb, "a.txt").await.unwrap(), b"x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_link_leads_to_a_vetoed_name_and_the_past_may_lie_below_one() {
    let mem = MemVolume::new();
    let past = ".snapshots/2026-11-21_07.05.09";
    mkdir(&*mem, ".snapshots").await;
    mkdir(&*mem, past).await;
    for (path, content) in [(&*format!("{past}/f"), "then"), ("f", "now"), ("a.exe", "x")] {
        put(&*mem, path, content).await;
    }
    for (path, target) in [("file", "a.exe"), ("dir", "./.Snapshots"), ("fine", "f")] {
        apply(&*mem, Change::Symlink { path: p(path), target: target.into(), maker: None }).await;
    }
    let vfs = vfs::Vfs::new(mem, vfs::VfsConfig::default());
    let snapshots = SnapshotPattern::parse(".snapshots/%Y-%m-%d_%H.%M.%S").unwrap().into();
    let veto = Veto::new(["*.exe", ".snapshots"]);
    let share = Share { veto, snapshots, ..Share::new("share", vfs) };
    let config = ServerConfig::new(vec![([127, 0, 0, 1], 0).into()], Arc::new(One));
    let server = Server::start(config, vec![share]).await.unwrap();
    let Client { mut smb, tree } = Client::new(&server.local_addrs()[0].to_string()).await;
    let smb = smb.connection_mut();
    assert_eq!(tree.read_file(smb, "fine").await.unwrap(), b"now");
    check(tree.read_file(smb, "file").await, PATH_NOT_FOUND);
    check(tree.read_file(smb, "dir/2026-11-21_07.05.09/f").await, PATH_NOT_FOUND);
    check(tree.rename(smb, "f", "dir/f").await, PATH_NOT_FOUND);
    check(tree.read_file(smb, &format!("{past}/f")).await, PATH_NOT_FOUND);
    assert_eq!(tree.read_file(smb, "@GMT-2026.11.21-07.05.09/f").await.unwrap(), b"then");
}

/// Private characters stand for a dot and a space at the end of a name; in its midst they are none, and find one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vetoed_name_is_not_found_by_a_spelling_that_the_veto_does_not_know() {
    let mem = MemVolume::new();
    let past = ".snapshots/2026-11-21_07.05.09";
    for path in [".trash", ".snapshots", past] {
        mkdir(&*mem, path).await;
    }
    for path in ["a.exe", ".trash/b", "for me", "\u{10400}", "fine", &format!("{past}/a.exe")] {
        put(&*mem, path, "x").await;
    }
    apply(&*mem, Change::Symlink { path: p("link"), target: "a\u{F029}exe".into(), maker: None }).await;
    let vfs = vfs::Vfs::new(mem.clone(), vfs::VfsConfig::default());
    let veto = Veto::new(["*.exe", ".trash", ".snapshots", "for me", "\u{10400}"]);
    let snapshots = SnapshotPattern::parse(".snapshots/%Y-%m-%d_%H.%M.%S").unwrap().into();
    let share = Share { veto, snapshots, ..Share::new("share", vfs) };
    let config = ServerConfig::new(vec![([127, 0, 0, 1], 0).into()], Arc::new(One));
    let server = Server::start(config, vec![share]).await.unwrap();
    let Client { mut smb, tree } = Client::new(&server.local_addrs()[0].to_string()).await;
    let smb = smb.connection_mut();
    for name in [
        "a\u{F029}exe",
        "A\u{F029}EXE",
        "\u{F029}trash/b",
        "\u{F029}snapshots/2026-11-21_07.05.09/a.exe",
        "for\u{F028}me",
        "\u{10428}",
        "@GMT-2026.11.21-07.05.09/a\u{F029}exe",
    ] {
        assert!(tree.read_file(smb, name).await.is_err(), "{name:?} is read");
        assert!(tree.write_file(smb, name, b"y").await.is_err(), "{name:?} is emptied");
        assert!(tree.rename(smb, "fine", name).await.is_err(), "{name:?} gives way");
        assert!(tree.delete_file(smb, name).await.is_err(), "{name:?} is removed");
    }
    check(tree.read_file(smb, "link").await, PATH_NOT_FOUND);
    for name in ["new\u{F029}exe", "new.exe\u{F029}", "new.exe\u{F028}", "new.exe \u{F029}"] {
        check(tree.write_file(smb, name, b"y").await, ACCESS_DENIED);
        check(tree.rename(smb, "fine", name).await, ACCESS_DENIED);
    }
    for path in ["a.exe", ".trash/b", "for me", "\u{10400}"] {
        assert_eq!(get(&*mem, path).await, b"x", "{path:?}");
    }
    assert!(!exists(&*mem, "new.exe").await && exists(&*mem, "fine").await);
}

/// The origin joins the Kelvin sign with the letter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vetoed_name_is_not_found_by_characters_that_the_origin_takes_for_the_same() {
    let mut config = MemConfig::default();
    config.caps.case_sensitive = false;
    let mem = MemVolume::with(config);
    mkdir(&*mem, "Keys").await;
    for path in ["key", "Keys/a", "Käse", "fine"] {
        put(&*mem, path, "x").await;
    }
    let vfs = vfs::Vfs::new(mem.clone(), vfs::VfsConfig::default());
    let all = Share { veto: Veto::new(["key*"]), ..Share::new("share", vfs.clone()) };
    let config = ServerConfig::new(vec![([127, 0, 0, 1], 0).into()], Arc::new(One));
    let server = Server::start(config, vec![all, Share::new("plain", vfs)]).await.unwrap();
    let address = server.local_addrs()[0].to_string();
    let Client { mut smb, tree } = Client::new(&address).await;
    let smb = smb.connection_mut();
    check(tree.read_file(smb, "\u{212A}EY").await, NAME_NOT_FOUND);
    check(tree.read_file(smb, "\u{212A}eys/a").await, PATH_NOT_FOUND);
    check(tree.write_file(smb, "\u{212A}eys/b", b"y").await, PATH_NOT_FOUND);
    assert!(tree.write_file(smb, "\u{212A}ey", b"y").await.is_err());
    assert!(tree.rename(smb, "fine", "\u{212A}ey").await.is_err());
    assert_eq!(tree.read_file(smb, "KÄSE").await.unwrap(), b"x");
    assert_eq!(get(&*mem, "key").await, b"x");

    let mut plain = connect(&address).await;
    let open = plain.connect_share("plain").await.unwrap();
    assert_eq!(open.read_file(plain.connection_mut(), "\u{212A}EY").await.unwrap(), b"x", "without a veto");
}

//! Two threads swap a directory for a symlink out of the share while clients go through its name. No request
//! may ever reach what is outside.

use crate::site::{ALICE, Site, User};
use origin_local::{LocalConfig, LocalVolume};
use smb_raw::requests;
use smb_wire::create::CreateResponse;
use smb_wire::query_info::InfoType;
use smb_wire::{NtStatus, Request};
use std::time::{Duration, Instant};
use testkit::Swaps;

/// How long the race is run at least, and at most where other work holds it up.
const RACE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);
/// Opens that succeed at least.
const SUCCESSES: u64 = 10;
/// What lies outside; the second is never asked for by its name.
const OUTSIDE: [&str; 3] = ["file", "never-named", "only-outside"];
const BASIC: u8 = 4;
const RENAME: u8 = 10;

/// One open by this name, and all that can be done with it; gives whether it succeeded.
async fn through(user: &mut User, name: &str) -> bool {
    let reply = user.call(&requests::open(name)).await.unwrap();
    if reply.status() != NtStatus::SUCCESS {
        return false;
    }
    let file = CreateResponse::decode(&reply.message).unwrap().file_id;
    let reply = user.call(&requests::read(file, 0, 64)).await.unwrap();
    if reply.status() == NtStatus::SUCCESS {
        assert!(!reply.message.windows(6).any(|window| window == b"secret"), "{name} was read");
    }
    let mut times = vec![0; 40];
    times[..8].copy_from_slice(&130_000_000_000_000_000u64.to_le_bytes());
    for request in [
        requests::write(file, 0, b"public"),
        requests::set_info(file, InfoType::FILE, BASIC, &times),
        requests::query_info(file, InfoType::FILE, 18),
        requests::close(file),
    ] {
        user.status(&request).await;
    }
    true
}

/// Moves a file of the share into the directory.
async fn rename_into(user: &mut User, number: u64) {
    let name = format!("mine{number}");
    let Ok(reply) = user.call(&requests::open(&name)).await else { panic!("the connection is gone") };
    if reply.status() != NtStatus::SUCCESS {
        return;
    }
    let file = CreateResponse::decode(&reply.message).unwrap().file_id;
    let target: Vec<u8> = format!(r"d\moved{number}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut rename = vec![0; 16];
    rename.extend((target.len() as u32).to_le_bytes());
    rename.extend(target);
    user.status(&requests::set_info(file, InfoType::FILE, RENAME, &rename)).await;
    user.status(&requests::close(file)).await;
}

/// Lists the directory; what is outside has other names.
async fn list(user: &mut User) {
    let reply = user.call(&requests::directory("d")).await.unwrap();
    if reply.status() == NtStatus::SUCCESS {
        let id = CreateResponse::decode(&reply.message).unwrap().file_id;
        let listing = user.call(&requests::query_directory(id, "*")).await.unwrap();
        let outside: Vec<u8> = OUTSIDE[1].encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(!listing.message.windows(outside.len()).any(|window| window == outside), "listed outside");
        user.status(&requests::close(id)).await;
    }
}

async fn removes(user: &mut User, name: &str) {
    let mut create = requests::create(name);
    create.create_options |= smb_wire::create::CreateOptions::DELETE_ON_CLOSE;
    let reply = user.call(&Request::Create(create)).await.unwrap();
    if reply.status() == NtStatus::SUCCESS {
        let id = CreateResponse::decode(&reply.message).unwrap().file_id;
        user.status(&requests::close(id)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_swapped_for_a_link_never_leads_outside() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in OUTSIDE {
        std::fs::write(outside.path().join(name), "secret").unwrap();
    }
    let before = std::fs::metadata(outside.path().join("file")).unwrap().modified().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::write(dir.path().join("d/file"), "public").unwrap();
    let volume = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
    let site = Site::over(vfs::Vfs::new(volume, vfs::VfsConfig::default()), |_| {}).await;
    let mut user = site.log_in(&ALICE).await;

    let swaps = Swaps::begin(dir.path(), outside.path());
    let begun = Instant::now();
    let (mut rounds, mut successes) = (0, 0);
    while begun.elapsed() < PATIENCE {
        if begun.elapsed() >= RACE && swaps.enough() && successes > SUCCESSES {
            break;
        }
        for name in [r"d\file", r"d\only-outside", &format!(r"d\new{rounds}"), r"D\FILE"] {
            successes += u64::from(through(&mut user, name).await);
        }
        rename_into(&mut user, rounds).await;
        removes(&mut user, r"d\only-outside").await;
        list(&mut user).await;
        rounds += 1;
    }
    swaps.end();
    assert!(successes > SUCCESSES && successes < rounds * 4, "{successes} of {} opens succeeded", rounds * 4);
    let mut left: Vec<_> =
        std::fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, OUTSIDE, "made, moved or removed outside");
    for name in OUTSIDE {
        assert_eq!(std::fs::read(outside.path().join(name)).unwrap(), b"secret", "written outside");
    }
    let after = std::fs::metadata(outside.path().join("file")).unwrap().modified().unwrap();
    assert_eq!(before, after, "times set outside");
}

//! Modes and owners of POSIX clients, which come as SIDs of NFS in descriptors.

use crate::posix::{information, opened, posix, posix_user};
use crate::site::{ALICE, BOB, Site};
use front_smb::People;
use smb_core::access::posix as by_mode;
use smb_raw::requests;
use smb_wire::create::{CreateDisposition, CreateRequest};
use smb_wire::query_info::SecurityInformation;
use smb_wire::security_descriptor::{Ace, AceFlags, AceType, Acl, Control, SecurityDescriptor};
use smb_wire::{AccessMask, NtStatus, Request, Sid};
use std::sync::Arc;
use testkit::MemVolume;
use testkit::ease::{mkdir, put, stat};
use volume::Carries;

const OK: NtStatus = NtStatus::SUCCESS;
const DENIED: NtStatus = NtStatus::ACCESS_DENIED;
const DACL: SecurityInformation = SecurityInformation::DACL;

fn nfs(kind: u32, number: u32) -> Sid {
    Sid::new(5, &[88, kind, number]).unwrap()
}

fn list(aces: Vec<Ace>) -> SecurityDescriptor {
    let control = Control::DACL_PRESENT | Control::SELF_RELATIVE;
    SecurityDescriptor { control, dacl: Some(Acl::new(aces)), ..SecurityDescriptor::default() }
}

/// What Linux sends from 6.13 on.
fn chmod(mode: u32) -> SecurityDescriptor {
    list(vec![Ace::new(AceType::ACCESS_ALLOWED, AccessMask::empty(), nfs(3, mode))])
}

async fn site() -> (Site, Arc<MemVolume>) {
    let mem = MemVolume::new();
    mkdir(&*mem, "dir").await;
    put(&*mem, "dir/file", "content").await;
    (Site::over(vfs::Vfs::new(mem.clone(), vfs::VfsConfig::default()), |_| {}).await, mem)
}

fn existing(name: &str, desired_access: AccessMask) -> CreateRequest {
    CreateRequest { desired_access, create_disposition: CreateDisposition::Open, ..posix(name, 0) }
}

#[tokio::test]
async fn chmod_sets_the_mode_and_keeps_nobody_out() {
    let (site, mem) = site().await;
    let mut user = posix_user(&site).await;
    for (name, mode) in [("dir/file", 0o755), ("dir/file", 0o1640), ("dir", 0o711)] {
        let (open, _) = opened(&mut user, existing(name, AccessMask::FILE_ALL)).await;
        assert_eq!(user.secures(open, DACL, &chmod(mode)).await, OK);
        let told = information(&mut user, open).await.mode.to_st_mode().unwrap();
        assert_eq!(told & 0o7777, mode, "{name}");
        let there = stat(&*mem, name).await;
        assert_eq!(there.mode, mode);
        assert!(!there.carries.contains(Carries::DESCRIPTOR), "nothing is stored");
        let all = DACL | SecurityInformation::OWNER | SecurityInformation::GROUP;
        let descriptor = user.reads_security(open, all).await.unwrap();
        assert_eq!(by_mode::mode(&descriptor), mode & 0o777);
        let again = AccessMask::READ_DATA | AccessMask::WRITE_DATA | AccessMask::WRITE_DAC;
        assert_eq!(user.status(&Request::Create(existing(name, again))).await, OK);
    }
    let (reader, _) = opened(&mut user, existing("dir/file", AccessMask::READ_DATA)).await;
    assert_eq!(user.secures(reader, DACL, &chmod(0o777)).await, DENIED, "that takes the right to it");
    // Nobody means it so without the extensions.
    let mut plain = site.log_in(&ALICE).await;
    let open = plain.open(&requests::open(r"dir\file")).await;
    assert_eq!(plain.secures(open, DACL, &chmod(0o777)).await, OK);
    assert_eq!(stat(&*mem, "dir/file").await.mode & 0o077, 0);
    assert!(stat(&*mem, "dir/file").await.carries.contains(Carries::DESCRIPTOR));
}

#[tokio::test]
async fn a_descriptor_that_is_there_follows_chmod() {
    let (site, mem) = site().await;
    let (mut plain, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let alice_sid = plain.sid().await;
    let everything = AccessMask::FILE_ALL;
    let inherited = AceFlags::OBJECT_INHERIT | AceFlags::CONTAINER_INHERIT;
    let mine = Ace { flags: inherited, ..Ace::new(AceType::ACCESS_ALLOWED, everything, alice_sid) };
    let all_read = Ace::new(AceType::ACCESS_ALLOWED, AccessMask::FILE_GENERIC_READ, Sid::everyone());
    let plain_file = plain.open(&requests::open(r"dir\file")).await;
    assert_eq!(plain.secures(plain_file, DACL, &list(vec![mine.clone()])).await, OK);
    let plain_dir = plain.open(&requests::directory("dir")).await;
    assert_eq!(plain.secures(plain_dir, DACL, &list(vec![mine.clone(), all_read.clone()])).await, OK);
    let mut user = posix_user(&site).await;
    let (file, _) = opened(&mut user, existing("dir/file", AccessMask::FILE_ALL)).await;
    let reading = |name: &str| {
        let desired_access = AccessMask::READ_DATA;
        let create_disposition = CreateDisposition::Open;
        Request::Create(CreateRequest { desired_access, create_disposition, ..requests::create(name) })
    };
    // Both are of its group.
    for (mode, status) in [(0o644, OK), (0o640, OK), (0o604, DENIED), (0o600, DENIED), (0o000, DENIED)] {
        assert_eq!(plain.secures(plain_file, DACL, &list(vec![mine.clone(), all_read.clone()])).await, OK);
        assert_eq!(user.secures(file, DACL, &chmod(mode)).await, OK);
        assert_eq!(stat(&*mem, "dir/file").await.mode, mode);
        assert_eq!(bob.status(&reading(r"dir\file")).await, status, "{mode:o}");
    }
    // What the list gives to nobody else no mode does.
    assert_eq!(plain.secures(plain_file, DACL, &list(vec![mine.clone()])).await, OK);
    assert_eq!(user.secures(file, DACL, &chmod(0o666)).await, OK);
    assert_eq!(stat(&*mem, "dir/file").await.mode, 0o600);
    assert_eq!(bob.status(&reading(r"dir\file")).await, DENIED);
    let owners = Request::Create(existing("dir/file", AccessMask::WRITE_DAC | AccessMask::READ_CONTROL));
    assert_eq!(user.status(&owners).await, OK, "the owner gives it back");
    // What the directory passes on is no matter of its own mode.
    let (dir, _) = opened(&mut user, existing("dir", AccessMask::FILE_ALL)).await;
    assert_eq!(user.secures(dir, DACL, &chmod(0o777)).await, OK);
    assert_eq!(bob.status(&reading("dir")).await, OK);
    let (new, _) = opened(&mut user, posix("dir/new", 0o600)).await;
    assert_eq!(bob.status(&reading(r"dir\new")).await, DENIED);
    assert!(
        user.reads_security(new, DACL)
            .await
            .unwrap()
            .dacl
            .unwrap()
            .aces
            .iter()
            .any(|ace| { ace.mask() == Some(everything) && ace.sid() == mine.sid() })
    );
}

#[tokio::test]
async fn owners_are_set_by_administrators() {
    let (site, mem) = site().await;
    let parts = SecurityInformation::OWNER | SecurityInformation::GROUP;
    let chown = SecurityDescriptor {
        control: Control::SELF_RELATIVE,
        owner: Some(nfs(1, 1234)),
        group: Some(nfs(2, 5678)),
        ..SecurityDescriptor::default()
    };
    let mut user = posix_user(&site).await;
    let (file, _) = opened(&mut user, existing("dir/file", AccessMask::FILE_ALL)).await;
    assert_eq!(user.secures(file, parts, &chown).await, NtStatus::INVALID_OWNER);
    let vfs = vfs::Vfs::new(mem.clone(), vfs::VfsConfig::default());
    let site = Site::over(vfs, |config| config.administrators = People::new(["ALICE"])).await;
    let mut user = posix_user(&site).await;
    let (file, _) = opened(&mut user, existing("dir/file", AccessMask::FILE_ALL)).await;
    assert_eq!(user.secures(file, parts, &chown).await, OK);
    let there = stat(&*mem, "dir/file").await;
    assert_eq!((there.uid, there.gid), (1234, 5678));
    assert!(!there.carries.contains(Carries::DESCRIPTOR));
    assert_eq!(user.owner_of(file).await, Sid::unix_user(1234));
}

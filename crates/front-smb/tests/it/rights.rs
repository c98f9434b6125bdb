//! Security descriptors between two users of a share, and an administrator.

mod domain;
mod groups;
mod guests;
pub(crate) mod hiding;
mod replacing;

use crate::fsctl::{control, itself, link as link_to};
use crate::site::{ALICE, BOB, Site, User};
use front_smb::People;
use smb_core::access::posix;
use smb_raw::requests;
use smb_wire::create::{
    CreateContext, CreateDisposition, CreateOptions, CreateRequest, CreateResponse, CreateResponseContext,
};
use smb_wire::fscc::file::FileClass;
use smb_wire::fscc::reparse::tag;
use smb_wire::ioctl::Fsctl;
use smb_wire::query_info::{InfoType, QueryInfoRequest, QueryInfoResponse, SecurityInformation};
use smb_wire::security_descriptor::{Ace, AceFlags, AceType, Acl, Control, SecurityDescriptor};
use smb_wire::set_info::SetInfoRequest;
use smb_wire::{AccessMask, FileId, NtStatus, Request, Sid};
use std::sync::Arc;
use testkit::MemVolume;
use testkit::ease::{put, stat};

const DENIED: NtStatus = NtStatus::ACCESS_DENIED;
const OK: NtStatus = NtStatus::SUCCESS;
const READ: AccessMask = AccessMask::FILE_GENERIC_READ;
const WRITE: AccessMask = AccessMask::FILE_GENERIC_WRITE;
const INHERITED_BY_ALL: AceFlags = AceFlags::OBJECT_INHERIT.union(AceFlags::CONTAINER_INHERIT);

fn ace(kind: AceType, mask: AccessMask, sid: &Sid) -> Ace {
    Ace::new(kind, mask, sid.clone())
}

fn allow(mask: AccessMask, sid: &Sid) -> Ace {
    ace(AceType::ACCESS_ALLOWED, mask, sid)
}

fn list(aces: Vec<Ace>) -> SecurityDescriptor {
    let control = Control::DACL_PRESENT | Control::SELF_RELATIVE;
    SecurityDescriptor { control, dacl: Some(Acl::new(aces)), ..SecurityDescriptor::default() }
}

fn bytes(descriptor: &SecurityDescriptor) -> Vec<u8> {
    let mut bytes = Vec::new();
    descriptor.encode(&mut bytes);
    bytes
}

/// Opens what is there with these rights.
fn existing(name: &str, desired_access: AccessMask) -> CreateRequest {
    CreateRequest { desired_access, create_disposition: CreateDisposition::Open, ..requests::create(name) }
}

impl User {
    /// What opening with these rights answers.
    async fn opens(&mut self, name: &str, access: AccessMask) -> NtStatus {
        self.creates(existing(name, access)).await
    }

    async fn creates(&mut self, request: CreateRequest) -> NtStatus {
        let reply = self.call(&Request::Create(request)).await.unwrap();
        if reply.status() == OK {
            let id = CreateResponse::decode(&reply.message).unwrap().file_id;
            assert_eq!(self.status(&requests::close(id)).await, OK);
        }
        reply.status()
    }

    pub async fn secures(
        &mut self,
        id: FileId,
        parts: SecurityInformation,
        what: &SecurityDescriptor,
    ) -> NtStatus {
        let Request::SetInfo(set) = requests::set_info(id, InfoType::SECURITY, 0, &bytes(what)) else {
            unreachable!()
        };
        let set = SetInfoRequest { additional_information: parts.bits(), ..set };
        self.status(&Request::SetInfo(set)).await
    }

    pub async fn reads_security(
        &mut self,
        id: FileId,
        parts: SecurityInformation,
    ) -> Result<SecurityDescriptor, NtStatus> {
        let Request::QueryInfo(query) = requests::query_info(id, InfoType::SECURITY, 0) else {
            unreachable!()
        };
        let query = QueryInfoRequest { additional_information: parts.bits(), ..query };
        let reply = self.call(&Request::QueryInfo(query)).await.unwrap();
        match reply.status() {
            OK => {
                let data = QueryInfoResponse::decode(&reply.message).unwrap().data;
                Ok(SecurityDescriptor::decode(&data).unwrap())
            }
            refused => Err(refused),
        }
    }

    pub async fn owner_of(&mut self, id: FileId) -> Sid {
        self.reads_security(id, SecurityInformation::OWNER).await.unwrap().owner.unwrap()
    }

    /// Who this user is.
    pub async fn sid(&mut self) -> Sid {
        let root = self.open(&requests::directory("")).await;
        self.owner_of(root).await
    }
}

/// Two users, a directory `dir` and a file in it that the first has made.
struct Two {
    site: Site,
    mem: Arc<MemVolume>,
    alice: User,
    bob: User,
    alice_sid: Sid,
    bob_sid: Sid,
}

impl Two {
    async fn new() -> Two {
        let mem = MemVolume::new();
        let vfs = vfs::Vfs::new(mem.clone(), vfs::VfsConfig::default());
        let site = Site::over(vfs, |_| {}).await;
        let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
        let (alice_sid, bob_sid) = (alice.sid().await, bob.sid().await);
        alice.open(&requests::directory("dir")).await;
        Two { site, mem, alice, bob, alice_sid, bob_sid }
    }
}

#[tokio::test]
async fn what_has_no_descriptor_is_everybodys_until_somebody_gives_it_one() {
    let Two { site: _site, mem, mut alice, mut bob, alice_sid, bob_sid, .. } = Two::new().await;
    assert_ne!(alice_sid, bob_sid);
    let file = alice.file(r"dir\file", b"content").await;
    assert_eq!(bob.opens(r"dir\file", AccessMask::FILE_ALL).await, OK);
    assert_eq!(alice.secures(file, SecurityInformation::DACL, &list(vec![allow(READ, &bob_sid)])).await, OK);
    assert_eq!(alice.owner_of(file).await, alice_sid);
    assert_eq!(bob.opens(r"dir\file", READ).await, OK);
    assert_eq!(bob.opens(r"dir\file", WRITE).await, DENIED);
    assert_eq!(bob.opens(r"dir\file", AccessMask::WRITE_DAC).await, DENIED, "alice has claimed it");
    assert_eq!(alice.opens(r"dir\file", WRITE).await, DENIED, "she has given herself nothing");
    assert_eq!(alice.opens(r"dir\file", AccessMask::WRITE_DAC | AccessMask::READ_CONTROL).await, OK);
    assert_eq!(stat(&*mem, "dir/file").await.mode & 0o777, 0o600, "local users are not everybody");
}

#[tokio::test]
async fn denials_count_in_their_order() {
    let Two { site: _site, mut alice, mut bob, alice_sid, bob_sid, .. } = Two::new().await;
    let file = alice.file(r"dir\file", b"").await;
    let everyone = Sid::everyone();
    let deny = ace(AceType::ACCESS_DENIED, WRITE, &bob_sid);
    for (aces, expect) in [
        (vec![deny.clone(), allow(AccessMask::FILE_ALL, &everyone)], DENIED),
        (vec![allow(AccessMask::FILE_ALL, &everyone), deny.clone()], OK),
        (vec![ace(AceType::ACCESS_DENIED, WRITE, &alice_sid), allow(AccessMask::FILE_ALL, &everyone)], OK),
        (Vec::new(), DENIED),
    ] {
        assert_eq!(alice.secures(file, SecurityInformation::DACL, &list(aces.clone())).await, OK);
        assert_eq!(bob.opens(r"dir\file", AccessMask::WRITE_DATA).await, expect, "{aces:?}");
    }
    let null = SecurityDescriptor { control: Control::DACL_PRESENT, ..SecurityDescriptor::default() };
    assert_eq!(alice.secures(file, SecurityInformation::DACL, &null).await, OK);
    assert_eq!(bob.opens(r"dir\file", AccessMask::FILE_ALL).await, OK, "no list at all");
}

#[tokio::test]
async fn what_is_made_inherits_and_what_is_there_already_follows() {
    let Two { site: _site, mem, mut alice, mut bob, alice_sid, bob_sid, .. } = Two::new().await;
    alice.file(r"dir\before", b"").await;
    put(&*mem, "dir/local", "made at the origin").await;
    let dir = alice.open(&requests::directory("dir")).await;
    let aces = vec![
        Ace { flags: INHERITED_BY_ALL, ..allow(AccessMask::FILE_ALL, &alice_sid) },
        Ace { flags: INHERITED_BY_ALL, ..allow(READ, &bob_sid) },
        Ace {
            flags: INHERITED_BY_ALL | AceFlags::INHERIT_ONLY,
            ..allow(AccessMask::FILE_ALL, &Sid::creator_owner())
        },
        allow(READ | AccessMask::WRITE_DATA, &bob_sid),
    ];
    assert_eq!(alice.secures(dir, SecurityInformation::DACL, &list(aces)).await, OK);
    for name in [r"dir\before", r"dir\local"] {
        assert_eq!(bob.opens(name, READ).await, OK, "{name}");
        assert_eq!(bob.opens(name, WRITE).await, DENIED, "{name}: nobody's, so nobody is its creator");
        assert_eq!(alice.opens(name, AccessMask::FILE_ALL).await, OK, "{name}");
    }
    let of_bob = bob.open(&requests::open(r"dir\of bob")).await;
    assert_eq!(bob.owner_of(of_bob).await, bob_sid);
    assert_eq!(bob.opens(r"dir\of bob", AccessMask::FILE_ALL).await, OK, "he is its creator");
    let made_dir =
        CreateRequest { create_options: CreateOptions::DIRECTORY_FILE, ..requests::create(r"dir\sub") };
    assert_eq!(bob.creates(made_dir.clone()).await, DENIED, "only files");
    assert_eq!(alice.creates(made_dir).await, OK);
    let grandchild = CreateRequest { ..requests::create(r"dir\sub\file") };
    assert_eq!(bob.creates(grandchild.clone()).await, DENIED);
    assert_eq!(alice.creates(grandchild).await, OK);
    assert_eq!(bob.opens(r"dir\sub\file", READ).await, OK);
    assert_eq!(bob.opens(r"dir\sub\file", WRITE).await, DENIED);
}

#[tokio::test]
async fn a_client_may_say_what_a_new_file_gets() {
    let Two { site: _site, mut alice, mut bob, alice_sid, bob_sid, .. } = Two::new().await;
    let with = |name: &str, wish: &SecurityDescriptor| CreateRequest {
        contexts: vec![CreateContext::SecurityDescriptor(bytes(wish).into())],
        ..requests::create(name)
    };
    let wish = list(vec![allow(AccessMask::FILE_ALL, &alice_sid), allow(READ, &bob_sid)]);
    assert_eq!(alice.creates(with(r"dir\file", &wish)).await, OK);
    assert_eq!(bob.opens(r"dir\file", READ).await, OK);
    assert_eq!(bob.opens(r"dir\file", AccessMask::WRITE_DATA).await, DENIED);
    let wish = SecurityDescriptor { owner: Some(bob_sid), ..wish };
    assert_eq!(alice.creates(with(r"dir\gift", &wish)).await, NtStatus::INVALID_OWNER);
    assert_eq!(alice.opens(r"dir\gift", READ).await, NtStatus::OBJECT_NAME_NOT_FOUND);
    let broken = CreateContext::SecurityDescriptor(vec![1, 0, 4, 0x80].into());
    let broken = CreateRequest { contexts: vec![broken], ..requests::create(r"dir\broken") };
    assert_eq!(alice.creates(broken).await, NtStatus::INVALID_PARAMETER);
}

#[tokio::test]
async fn the_handle_must_have_the_right() {
    let Two { site: _site, mut alice, .. } = Two::new().await;
    alice.file(r"dir\file", b"").await;
    let id = alice.open(&Request::Create(existing(r"dir\file", AccessMask::READ_DATA))).await;
    let nothing = list(Vec::new());
    for parts in [SecurityInformation::DACL, SecurityInformation::OWNER, SecurityInformation::SACL] {
        assert_eq!(alice.reads_security(id, parts).await, Err(DENIED), "{parts:?}");
        assert_eq!(alice.secures(id, parts, &nothing).await, DENIED, "{parts:?}");
    }
    let id = alice.open(&Request::Create(existing(r"dir\file", AccessMask::READ_CONTROL))).await;
    assert!(alice.reads_security(id, SecurityInformation::DACL).await.is_ok());
    assert_eq!(alice.secures(id, SecurityInformation::DACL, &nothing).await, DENIED);
    let sacl = AccessMask::ACCESS_SYSTEM_SECURITY;
    assert_eq!(alice.opens(r"dir\file", sacl).await, NtStatus::PRIVILEGE_NOT_HELD);
    let id = alice.open(&requests::open(r"dir\file")).await;
    let Request::SetInfo(set) = requests::set_info(id, InfoType::SECURITY, 0, &[1, 0, 4]) else {
        unreachable!()
    };
    let set = SetInfoRequest { additional_information: SecurityInformation::DACL.bits(), ..set };
    assert_eq!(alice.status(&Request::SetInfo(set)).await, NtStatus::INVALID_SECURITY_DESCR);
}

#[tokio::test]
async fn clients_are_told_the_rights_they_have() {
    let Two { site: _site, mut alice, mut bob, bob_sid, .. } = Two::new().await;
    let file = alice.file(r"dir\file", b"").await;
    let dacl = list(vec![allow(READ, &bob_sid)]);
    assert_eq!(alice.secures(file, SecurityInformation::DACL, &dacl).await, OK);
    let asks = CreateRequest {
        contexts: vec![CreateContext::QueryMaximalAccess(None)],
        ..existing(r"dir\file", AccessMask::MAXIMUM_ALLOWED)
    };
    let reply = bob.call(&Request::Create(asks)).await.unwrap();
    let opened = CreateResponse::decode(&reply.message).unwrap();
    // The directory is everybody's: who may delete what is in it may delete this.
    let expect = READ | AccessMask::DELETE;
    let told = CreateResponseContext::MaximalAccess { status: OK, access: expect };
    assert!(opened.contexts.contains(&told), "{:?}", opened.contexts);
    let class = FileClass::ACCESS.0;
    let reply = bob.call(&requests::query_info(opened.file_id, InfoType::FILE, class)).await.unwrap();
    let data = QueryInfoResponse::decode(&reply.message).unwrap().data;
    assert_eq!(*data, expect.bits().to_le_bytes());
}

#[tokio::test]
async fn nobody_becomes_the_owner_but_an_administrator() {
    let Two { site: _site, mem, mut alice, mut bob, alice_sid, bob_sid, .. } = Two::new().await;
    let file = alice.file(r"dir\file", b"secret").await;
    let mine = list(vec![allow(AccessMask::FILE_ALL, &alice_sid)]);
    assert_eq!(alice.secures(file, SecurityInformation::DACL, &mine).await, OK);
    let to_bob = SecurityDescriptor { owner: Some(bob_sid.clone()), ..mine.clone() };
    assert_eq!(alice.secures(file, SecurityInformation::OWNER, &to_bob).await, NtStatus::INVALID_OWNER);
    assert_eq!(bob.opens(r"dir\file", AccessMask::WRITE_OWNER).await, DENIED);

    let vfs = vfs::Vfs::new(mem.clone(), vfs::VfsConfig::default());
    let site = Site::over(vfs, |config| config.administrators = People::new(["BOB"])).await;
    let mut bob = site.log_in(&BOB).await;
    assert_eq!(bob.opens(r"dir\file", READ).await, DENIED, "descriptors hold for administrators too");
    let id = bob.open(&Request::Create(existing(r"dir\file", AccessMask::WRITE_OWNER))).await;
    assert_eq!(bob.secures(id, SecurityInformation::OWNER, &to_bob).await, OK);
    assert_eq!(bob.opens(r"dir\file", AccessMask::WRITE_DAC).await, OK, "the owner may");
    let backup = CreateRequest {
        create_options: CreateOptions::OPEN_FOR_BACKUP_INTENT,
        ..existing(r"dir\file", READ | AccessMask::ACCESS_SYSTEM_SECURITY)
    };
    assert_eq!(bob.creates(backup.clone()).await, OK);
    let mut alice = site.log_in(&ALICE).await;
    assert_eq!(alice.creates(backup).await, NtStatus::PRIVILEGE_NOT_HELD);
}

#[tokio::test]
async fn there_is_no_way_around() {
    let Two { site: _site, mut alice, mut bob, alice_sid, bob_sid, .. } = Two::new().await;
    let dir = alice.open(&requests::directory("dir")).await;
    let aces = vec![
        Ace { flags: INHERITED_BY_ALL, ..allow(AccessMask::FILE_ALL, &alice_sid) },
        Ace { flags: INHERITED_BY_ALL, ..allow(READ, &bob_sid) },
    ];
    let file = alice.file(r"dir\file", b"content").await;
    assert_eq!(alice.secures(dir, SecurityInformation::DACL, &list(aces)).await, OK);
    // Emptying, replacing, deleting, also on the way of opening.
    for disposition in
        [CreateDisposition::Overwrite, CreateDisposition::OverwriteIf, CreateDisposition::Supersede]
    {
        let request = CreateRequest { create_disposition: disposition, ..existing(r"dir\file", READ) };
        assert_eq!(bob.creates(request).await, DENIED, "{disposition:?}");
    }
    for access in [AccessMask::DELETE | READ, AccessMask::MAXIMUM_ALLOWED] {
        let options = CreateOptions::DELETE_ON_CLOSE;
        let request = CreateRequest { create_options: options, ..existing(r"DIR\File", access) };
        assert_eq!(bob.creates(request).await, DENIED, "{access:?}");
    }
    let generic = AccessMask::GENERIC_ALL | AccessMask::MAXIMUM_ALLOWED;
    assert_eq!(bob.opens(r"dir\file", generic).await, DENIED);
    // A file of his own over it, or into the directory.
    let own = bob.file("own", b"his").await;
    for target in [r"dir\file", r"dir\new"] {
        let rename = requests::set_info(own, InfoType::FILE, FileClass::RENAME.0, &rename_to(target));
        assert_eq!(bob.status(&rename).await, DENIED, "{target}");
        let link = requests::set_info(own, InfoType::FILE, FileClass::LINK.0, &rename_to(target));
        assert_eq!(bob.status(&link).await, DENIED, "{target}");
    }
    // The same with what a link of his own became, and what is left of it.
    let link = bob.open(&Request::Create(itself("l"))).await;
    for (code, input) in [
        (Fsctl::SET_REPARSE_POINT, link_to("own")),
        (Fsctl::DELETE_REPARSE_POINT, [&tag::SYMLINK.to_le_bytes()[..], &[0; 4]].concat()),
    ] {
        assert_eq!(control(&mut bob, link, code, &input).await.0, OK);
        for target in [r"dir\file", r"dir\new"] {
            let rename = requests::set_info(link, InfoType::FILE, FileClass::RENAME.0, &rename_to(target));
            assert_eq!(bob.status(&rename).await, DENIED, "{target}");
        }
    }
    // What only its directory protects, where another directory says nothing: it takes that along, and who may only look
    // at it does not write that down.
    let reading = bob.open(&Request::Create(existing(r"dir\file", READ))).await;
    let link = |open| requests::set_info(open, InfoType::FILE, FileClass::LINK.0, &rename_to("link"));
    assert_eq!(bob.status(&link(reading)).await, DENIED);
    assert_eq!(alice.status(&link(file)).await, OK);
    assert_eq!(bob.opens("link", READ).await, OK);
    assert_eq!(bob.opens("link", WRITE).await, DENIED);
    // What he had open before he goes on having, with the rights of then and no more.
    let reading = bob.open(&Request::Create(existing(r"dir\file", READ))).await;
    assert_eq!(bob.status(&requests::write(reading, 0, b"x")).await, DENIED);
    let doom = requests::set_info(reading, InfoType::FILE, FileClass::DISPOSITION.0, &[1]);
    assert_eq!(bob.status(&doom).await, DENIED);
    assert_eq!(alice.content(file).await, b"content");
}

/// FileRenameInformation and FileLinkInformation, replacing what is there.
fn rename_to(name: &str) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&name);
    bytes
}

#[tokio::test]
async fn a_descriptor_that_cannot_be_read_opens_nothing() {
    let Two { site: _site, mem, mut alice, .. } = Two::new().await;
    put(&*mem, "dir/file", "content").await;
    let path = volume::VPath::parse("dir/file").unwrap();
    let (name, value) = (volume::Named::Descriptor, Some(bytes::Bytes::from_static(b"garbage")));
    let set = volume::Change::SetNamed { path, name, value, expect: None };
    volume::Volume::apply(&*mem, &testkit::ease::cx(), &set).await.unwrap();
    assert_eq!(alice.opens(r"dir\file", AccessMask::READ_DATA).await, DENIED);
}

#[tokio::test]
async fn the_mode_never_says_more_than_the_descriptor() {
    let Two { site: _site, mem, mut alice, alice_sid, .. } = Two::new().await;
    let file = alice.file(r"dir\file", b"").await;
    let everyone = Sid::everyone();
    for (mask, expect) in
        [(READ, 0o644), (AccessMask::FILE_ALL, 0o644), (AccessMask::WRITE_DATA, 0o600), (READ, 0o600)]
    {
        let dacl = list(vec![allow(AccessMask::FILE_ALL, &alice_sid), allow(mask, &everyone)]);
        assert_eq!(alice.secures(file, SecurityInformation::DACL, &dacl).await, OK);
        assert_eq!(stat(&*mem, "dir/file").await.mode, expect, "{mask:?}: bits are taken away, never given");
        let told = alice.reads_security(file, SecurityInformation::DACL).await.unwrap();
        assert!(posix::mode(&told) & 0o7 >= expect & 0o7);
    }
}

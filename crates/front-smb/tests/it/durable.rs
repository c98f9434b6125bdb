//! Opens that outlive the connections of their client, and the server.

use crate::leases::{leased, log_in_as};
use crate::restoring::{persistent, start};
use crate::site::{ALICE, BOB, Site, User};
use front_smb::{OpenRecords, Server, ServerConfig, Share};
use origin_local::{LocalConfig, LocalVolume};
use smb_raw::{Message, offer, requests};
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::create::lease::{LeaseKey, LeaseState};
use smb_wire::create::{
    CreateAction, CreateRequest, CreateResponse, CreateResponseContext, OplockLevel, ShareAccess,
};
use smb_wire::ids::Guid;
use smb_wire::lock::LockFlags;
use smb_wire::negotiate::{Capabilities, Dialect, NegotiateRequest};
use smb_wire::{FileId, NtStatus, Request};
use std::path::Path;
use std::time::Duration;
use testkit::{FaultVolume, MemVolume, Op};
use volume::ErrorKind;

pub const GUID: Guid = *b"a durable open  ";
pub const MACHINE: Guid = *b"alice's machine ";
const ALONE: LockFlags = LockFlags::EXCLUSIVE.union(LockFlags::FAIL_IMMEDIATELY);

/// A CREATE for a durable open with a batch oplock.
pub fn durable(name: &str, flags: DurableFlags) -> CreateRequest {
    durable_as(name, GUID, flags)
}

pub fn durable_as(name: &str, create_guid: Guid, flags: DurableFlags) -> CreateRequest {
    CreateRequest {
        oplock_level: OplockLevel::BATCH,
        share_access: ShareAccess::empty(),
        contexts: vec![CreateContext::DurableRequestV2 { timeout_ms: 0, flags, create_guid }],
        ..requests::create(name)
    }
}

pub fn reconnect(file_id: FileId, create_guid: Guid, flags: DurableFlags) -> CreateRequest {
    CreateRequest {
        contexts: vec![CreateContext::DurableReconnectV2 { file_id, create_guid, flags }],
        ..requests::create("passed over")
    }
}

pub async fn create(user: &mut User, request: CreateRequest) -> Result<CreateResponse, NtStatus> {
    let reply = user.call(&Request::Create(request)).await.unwrap();
    match reply.status() {
        NtStatus::SUCCESS => Ok(CreateResponse::decode(&reply.message).unwrap()),
        status => Err(status),
    }
}

pub fn durability(response: &CreateResponse) -> Option<(u32, DurableFlags)> {
    response.contexts.iter().find_map(|context| match context {
        CreateResponseContext::DurableV2 { timeout_ms, flags } => Some((*timeout_ms, *flags)),
        _ => None,
    })
}

/// Waits until the server has seen that a client is gone.
pub async fn kept(site: &Site, opens: usize) {
    for _ in 0..1000 {
        if site.server.status().kept_opens == opens {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?}", site.server.status());
}

#[tokio::test]
async fn an_open_waits_for_its_user_with_its_locks() {
    let site = Site::new().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let opened = create(&mut alice, durable("file", DurableFlags::empty())).await.unwrap();
    assert_eq!(durability(&opened), Some((60_000, DurableFlags::empty())));
    let id = opened.file_id;
    assert_eq!(alice.status(&requests::write(id, 0, b"content")).await, NtStatus::SUCCESS);
    assert_eq!(alice.status(&requests::lock(id, 0, 7, ALONE)).await, NtStatus::SUCCESS);
    drop(alice);
    kept(&site, 1).await;

    let mut bob = site.log_in(&BOB).await;
    let foreign = create(&mut bob, reconnect(id, GUID, DurableFlags::empty())).await;
    assert_eq!(foreign.unwrap_err(), NtStatus::ACCESS_DENIED);
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let other = create(&mut alice, reconnect(id, *b"another name....", DurableFlags::empty())).await;
    assert_eq!(other.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
    let back = create(&mut alice, reconnect(id, GUID, DurableFlags::empty())).await.unwrap();
    assert_eq!((back.file_id.persistent, back.create_action), (id.persistent, CreateAction::Opened));
    assert_eq!(back.oplock_level, OplockLevel::BATCH);
    assert_eq!(alice.content(back.file_id).await, b"content");
    assert_eq!(alice.status(&requests::lock(back.file_id, 0, 7, LockFlags::UNLOCK)).await, NtStatus::SUCCESS);
    let twice = create(&mut alice, reconnect(id, GUID, DurableFlags::empty())).await;
    assert_eq!(twice.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND, "it is in use");
}

#[tokio::test]
async fn a_client_may_be_back_before_its_former_connection_is_seen_to_end() {
    let site = Site::new().await;
    let mut former = log_in_as(&site, &ALICE, MACHINE).await;
    let id = create(&mut former, durable("file", DurableFlags::empty())).await.unwrap().file_id;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let end = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(former);
    };
    let (back, ()) = tokio::join!(create(&mut alice, reconnect(id, GUID, DurableFlags::empty())), end);
    assert_eq!(back.unwrap().file_id.persistent, id.persistent);
    let mut again = log_in_as(&site, &ALICE, MACHINE).await;
    let twice = create(&mut again, reconnect(id, GUID, DurableFlags::empty())).await;
    assert_eq!(twice.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND, "it is in use");
}

/// Its session ends with thousands of opens, which takes a while, and it asks for them meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_be_back_while_what_it_had_is_being_kept() {
    const OPENS: u32 = 3000;
    const RETURNS: u32 = 24;
    let guid = |nth: u32| {
        let mut guid = GUID;
        guid[..4].copy_from_slice(&nth.to_le_bytes());
        guid
    };
    let site = Site::new().await;
    let mut former = log_in_as(&site, &ALICE, MACHINE).await;
    let mut ids = Vec::new();
    for nth in 0..OPENS {
        let request = durable_as(&format!("file{nth}"), guid(nth), DurableFlags::empty());
        ids.push(create(&mut former, request).await.unwrap().file_id);
    }
    let mut alices = Vec::new();
    for _ in 0..RETURNS {
        alices.push(log_in_as(&site, &ALICE, MACHINE).await);
    }
    drop(former);
    let mut returns = tokio::task::JoinSet::new();
    for (nth, mut alice) in (0..).zip(alices) {
        let which = nth * (OPENS / RETURNS);
        let request = reconnect(ids[which as usize], guid(which), DurableFlags::empty());
        returns.spawn(async move {
            tokio::time::sleep(Duration::from_micros(500) * nth).await;
            create(&mut alice, request).await.map(drop)
        });
    }
    assert!(returns.join_all().await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_client_that_comes_and_goes_leaves_nothing_waiting() {
    let site = Site::new().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let mut id = create(&mut alice, durable("file", DurableFlags::empty())).await.unwrap().file_id;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..20 {
        drop(alice);
        kept(&site, 1).await;
        alice = log_in_as(&site, &ALICE, MACHINE).await;
        id = create(&mut alice, reconnect(id, GUID, DurableFlags::empty())).await.unwrap().file_id;
    }
    for _ in 0..1000 {
        if tasks() <= before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} tasks, {before} before", tasks());
}

#[tokio::test]
async fn what_the_share_does_not_give_any_more_is_not_taken_up() {
    let vfs = vfs::Vfs::new(testkit::MemVolume::new(), vfs::VfsConfig::default());
    let site = Site::over(vfs.clone(), |_| {}).await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let id = create(&mut alice, durable("file", DurableFlags::empty())).await.unwrap().file_id;
    drop(alice);
    kept(&site, 1).await;
    site.server.set_shares(vec![Share { read_only: true, ..Share::new("share", vfs) }]);
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let back = create(&mut alice, reconnect(id, GUID, DurableFlags::empty())).await;
    assert_eq!(back.unwrap_err(), NtStatus::ACCESS_DENIED);
}

#[tokio::test]
async fn whoever_wants_the_file_ends_an_open_that_is_only_kept() {
    let site = Site::new().await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let id = create(&mut alice, durable("file", DurableFlags::empty())).await.unwrap().file_id;
    drop(alice);
    kept(&site, 1).await;
    let mut bob = site.log_in(&BOB).await;
    bob.open(&requests::open("file")).await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let late = create(&mut alice, reconnect(id, GUID, DurableFlags::empty())).await;
    assert_eq!(late.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
}

#[tokio::test]
async fn nothing_is_kept_without_the_right_to_the_handle() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let level_two =
        CreateRequest { oplock_level: OplockLevel::LEVEL_II, ..durable("file", DurableFlags::empty()) };
    assert_eq!(durability(&create(&mut alice, level_two).await.unwrap()), None);
    let persistent = create(&mut alice, durable("other", DurableFlags::PERSISTENT)).await;
    assert_eq!(persistent.unwrap_err(), NtStatus::DUPLICATE_OBJECTID, "the name is taken");
    drop(alice);
    kept(&site, 0).await;
}

#[tokio::test]
async fn a_write_that_was_overtaken_is_not_done() {
    let site = Site::new().await;
    let mut alice = site.log_in(&ALICE).await;
    let id = alice.file("file", b"first").await;
    let write = |sequence: u16, data: &[u8]| {
        let message = Message::of(&requests::write(id, 0, data)).session(alice.session.id).tree(alice.tree);
        let mut message = message;
        message.header.status = NtStatus(sequence.into());
        message
    };
    let (later, earlier) = (write(1, b"later"), write(0, b"early"));
    let reply = alice.client.exchange(later, alice.session.guard()).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    let reply = alice.client.exchange(earlier, alice.session.guard()).await.unwrap();
    assert_eq!(reply.status(), NtStatus::FILE_NOT_AVAILABLE);
}

/// A server over a real directory, whose opens are written down in `state`. A second share of it, `plain`, has none that
/// are.
pub async fn available(dir: &Path, state: &Path) -> Site {
    available_as(dir, state, |_| {}).await
}

/// One whose share is configured so.
pub async fn available_as(dir: &Path, state: &Path, change: impl FnOnce(&mut Share)) -> Site {
    available_with(dir, state, change, |_| {}).await
}

/// One that is configured so itself.
pub async fn available_with(
    dir: &Path,
    state: &Path,
    change: impl FnOnce(&mut Share),
    configure: impl FnOnce(&mut ServerConfig),
) -> Site {
    let volume = LocalVolume::open(dir, LocalConfig::default()).unwrap();
    let vfs = vfs::Vfs::new(volume, vfs::VfsConfig::default());
    // Before the volume tells of changes nobody gets a lease.
    testkit::ease::changes_are_told(|| vfs.freshness()).await;
    let mut config = Site::config();
    config.records = Some(OpenRecords::open(&state.join("opens.db")).unwrap());
    configure(&mut config);
    let mut share = Share { continuously_available: true, ..Share::new("share", vfs.clone()) };
    change(&mut share);
    let server = Server::start(config, vec![share, Share::new("plain", vfs)]).await.unwrap();
    let address = server.local_addrs()[0];
    Site { server, address }
}

/// A NEGOTIATE of a client that knows persistent opens.
pub fn hello_for_good() -> NegotiateRequest {
    let mut hello = offer(&[Dialect::SMB_3_1_1]);
    hello.client_guid = MACHINE;
    hello.capabilities |= Capabilities::PERSISTENT_HANDLES;
    hello
}

pub async fn log_in_for_good(site: &Site) -> User {
    site.log_in_by(&ALICE, hello_for_good()).await
}

#[tokio::test]
async fn a_persistent_open_survives_the_server_with_locks_and_lease() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&before).await;
    let rwh = LeaseState::READ_CACHING | LeaseState::HANDLE_CACHING | LeaseState::WRITE_CACHING;
    let key = LeaseKey([5; 16]);
    let mut request = leased("file", key, rwh, None);
    request.share_access = ShareAccess::READ;
    let flags = DurableFlags::PERSISTENT;
    request.contexts.push(CreateContext::DurableRequestV2 { timeout_ms: 30_000, flags, create_guid: GUID });
    let opened = create(&mut alice, request.clone()).await.unwrap();
    assert_eq!(durability(&opened), Some((30_000, flags)));
    let id = opened.file_id;
    assert_eq!(alice.status(&requests::write(id, 0, b"content")).await, NtStatus::SUCCESS);
    assert_eq!(alice.status(&requests::lock(id, 2, 3, ALONE)).await, NtStatus::SUCCESS);
    // As if it were killed: it does nothing any more, and leaves everything as it is.
    std::mem::forget(before);

    let after = available(dir.path(), state.path()).await;
    let mut bob = after.log_in(&BOB).await;
    let stranger = create(&mut bob, reconnect(id, GUID, flags)).await;
    assert_eq!(stranger.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
    let mut alice = log_in_for_good(&after).await;
    let mut back = request;
    let lease = back.contexts[0].clone();
    back.contexts = vec![lease, reconnect(id, GUID, flags).contexts[0].clone()];
    let back = create(&mut alice, back).await.unwrap();
    assert_eq!(back.file_id.persistent, id.persistent);
    let asked_back = alice.told().await.unwrap();
    assert_eq!((asked_back.current_state, asked_back.new_state), (rwh, LeaseState::empty()));
    assert_eq!(alice.acknowledge(key, LeaseState::empty()).await, NtStatus::SUCCESS);
    assert_eq!(alice.content(back.file_id).await, b"content");
    // The share mode holds, and so does the lock, to her own second open too.
    let reading =
        CreateRequest { desired_access: smb_wire::AccessMask::READ_DATA, ..leased("file", key, rwh, None) };
    let second = create(&mut alice, reading.clone()).await.unwrap().file_id;
    assert_eq!(alice.status(&requests::read(second, 0, 7)).await, NtStatus::FILE_LOCK_CONFLICT);
    let writing = CreateRequest { desired_access: smb_wire::AccessMask::WRITE_DATA, ..reading };
    assert_eq!(create(&mut alice, writing).await.unwrap_err(), NtStatus::SHARING_VIOLATION);
    assert_eq!(alice.status(&requests::lock(back.file_id, 2, 3, LockFlags::UNLOCK)).await, NtStatus::SUCCESS);
    assert_eq!(alice.status(&requests::close(back.file_id)).await, NtStatus::SUCCESS);
}

#[tokio::test]
async fn an_orderly_stop_leaves_persistent_opens_and_their_names() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&before).await;
    let mut request = durable("file", DurableFlags::PERSISTENT);
    request.create_options = smb_wire::create::CreateOptions::DELETE_ON_CLOSE;
    let id = create(&mut alice, request).await.unwrap().file_id;
    drop(alice);
    assert!(before.server.shutdown().await);
    assert!(dir.path().join("file").exists());
    let after = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&after).await;
    let back = create(&mut alice, reconnect(id, GUID, DurableFlags::PERSISTENT)).await.unwrap();
    assert_eq!(alice.status(&requests::close(back.file_id)).await, NtStatus::SUCCESS);
    assert!(!dir.path().join("file").exists(), "it was to go with the open");
}

/// MS-SMB2 3.3.5.9.12.
#[tokio::test]
async fn a_persistent_open_is_taken_up_as_such_and_by_its_name_too() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut alice = log_in_for_good(&site).await;
    let id = create(&mut alice, durable("file", DurableFlags::PERSISTENT)).await.unwrap().file_id;
    drop(alice);
    kept(&site, 1).await;
    let mut alice = log_in_for_good(&site).await;
    let unknown = FileId { persistent: u64::MAX - 1, volatile: 0 };
    for (id, guid, flags) in [
        (id, GUID, DurableFlags::empty()),
        (unknown, GUID, DurableFlags::empty()),
        (unknown, *b"another name....", DurableFlags::PERSISTENT),
    ] {
        let refused = create(&mut alice, reconnect(id, guid, flags)).await;
        assert_eq!(refused.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    let back = create(&mut alice, reconnect(unknown, GUID, DurableFlags::PERSISTENT)).await.unwrap();
    assert_eq!(back.file_id.persistent, id.persistent);
}

#[tokio::test]
async fn an_application_that_moves_ends_what_it_has_open_though_its_first_client_is_away() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = available(dir.path(), state.path()).await;
    let mut request = durable("file", DurableFlags::PERSISTENT);
    request.contexts.push(CreateContext::AppInstanceId(*b"an application. "));
    let mut first = log_in_for_good(&site).await;
    let id = create(&mut first, request.clone()).await.unwrap().file_id;
    drop(first);
    kept(&site, 1).await;

    let mut second = log_in_as(&site, &ALICE, *b"another machine ").await;
    let there = create(&mut second, request).await.unwrap().file_id;
    assert_eq!(site.server.status().kept_opens, 0);
    assert_eq!(second.status(&requests::close(there)).await, NtStatus::SUCCESS);
    assert!(site.server.shutdown().await);
    let after = available(dir.path(), state.path()).await;
    let mut first = log_in_for_good(&after).await;
    let late = create(&mut first, reconnect(id, GUID, DurableFlags::PERSISTENT)).await;
    assert_eq!(late.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND, "it is not written down any more");
}

#[tokio::test]
async fn an_application_that_moves_ends_what_its_first_client_has_taken_up_again() {
    let site = Site::new().await;
    let mut request = durable("file", DurableFlags::empty());
    request.contexts.push(CreateContext::AppInstanceId(*b"an application. "));
    let mut first = log_in_as(&site, &ALICE, MACHINE).await;
    let id = create(&mut first, request.clone()).await.unwrap().file_id;
    drop(first);
    kept(&site, 1).await;
    let mut first = log_in_as(&site, &ALICE, MACHINE).await;
    let id = create(&mut first, reconnect(id, GUID, DurableFlags::empty())).await.unwrap().file_id;
    let mut second = log_in_as(&site, &ALICE, *b"another machine ").await;
    create(&mut second, request).await.unwrap();
    assert_eq!(first.status(&requests::read(id, 0, 1)).await, NtStatus::FILE_CLOSED);
}

#[tokio::test]
async fn an_open_whose_origin_does_not_answer_stays_kept() {
    let volume = FaultVolume::new(MemVolume::new());
    let site = Site::over(vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default()), |_| {}).await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    let id = create(&mut alice, durable("file", DurableFlags::empty())).await.unwrap().file_id;
    drop(alice);
    kept(&site, 1).await;
    let mut alice = log_in_as(&site, &ALICE, MACHINE).await;
    volume.fail_always(Op::Attr, ErrorKind::Io);
    let away = create(&mut alice, reconnect(id, GUID, DurableFlags::empty())).await;
    assert!(away.is_err(), "{away:?}");
    assert_eq!(site.server.status().kept_opens, 1);
    volume.heal(Op::Attr);
    let back = create(&mut alice, reconnect(id, GUID, DurableFlags::empty())).await.unwrap();
    assert_eq!(back.file_id.persistent, id.persistent);
}

/// Each may take a round trip to the origin.
#[tokio::test]
async fn a_stop_ends_what_is_kept_many_at_a_time() {
    let (volume, state) = (FaultVolume::new(MemVolume::new()), tempfile::tempdir().unwrap());
    let site = start(&volume, state.path(), Duration::from_secs(10)).await;
    let mut alice = log_in_for_good(&site).await;
    for number in 0..20 {
        create(&mut alice, persistent(number)).await.unwrap();
    }
    drop(alice);
    kept(&site, 20).await;
    let gate = volume.gate(Op::Close);
    let all_at_once = async {
        tokio::time::timeout(Duration::from_secs(5), gate.arrived(20)).await.expect("one after the other");
        gate.release();
    };
    let (stopped, ()) = tokio::join!(site.server.shutdown(), all_at_once);
    assert!(stopped);
}

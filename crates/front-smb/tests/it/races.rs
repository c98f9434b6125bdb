//! Ends of sessions that race with what is under way in them: log-off, a tree connect or all channels going, a
//! session replaced, against reading, writing, locking, opening, acknowledging a break, binding and proving
//! oneself again.
//!
//! Not under `shuttle` or `loom`: those replace threads and locks, and what is raced here are tasks. Opens end in
//! `vfs`, which carries changes to their end on tasks of their own (`tokio::spawn`), and the steps between two
//! awaits of one handler run under locks that are leaves. So the interleavings that count are those of awaits. They
//! are made by a seed: every call of the volume takes its own time, and every client begins at its own, on a paused
//! clock and one thread. What is left to chance is the branch that `tokio::select!` looks at first.

use crate::site::{ALICE, BOB, Site, User};
use smb_raw::{Client, Fault, Logon, Reply, Session, offer, requests};
use smb_wire::create::{CreateRequest, OplockLevel, ShareAccess};
use smb_wire::fscc::file::FileClass;
use smb_wire::lock::LockFlags;
use smb_wire::negotiate::Dialect;
use smb_wire::query_info::InfoType;
use smb_wire::{FileId, NtStatus, Request};
use std::sync::Arc;
use std::time::Duration;
use testkit::{FaultVolume, MemVolume, Op, Rng};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

const SEEDS: u64 = 400;

/// How the session ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    LogOff,
    /// Its tree connect alone.
    TreeDisconnect,
    /// Both channels, without a word.
    Cut,
    /// The user comes back and names it as his previous one.
    Replaced,
    /// Its user fails to prove himself again.
    Unproven,
}

/// What is under way on the session's other channel.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    Read,
    Write,
    Lock,
    LockThatWaits,
    Create,
    CreateThatBreaks,
    Close,
    Notify,
    List,
    Acknowledge,
    TreeConnect,
    Bind,
    ProveAgain,
}

const ENDS: [End; 5] = [End::LogOff, End::TreeDisconnect, End::Cut, End::Replaced, End::Unproven];
const WORKS: [Work; 13] = [
    Work::Read,
    Work::Write,
    Work::Lock,
    Work::LockThatWaits,
    Work::Create,
    Work::CreateThatBreaks,
    Work::Close,
    Work::Notify,
    Work::List,
    Work::Acknowledge,
    Work::TreeConnect,
    Work::Bind,
    Work::ProveAgain,
];

/// The victim's session over two channels, another user, and what they have open.
struct Scene {
    site: Site,
    volume: Arc<FaultVolume>,
    vfs: vfs::Vfs,
    first: User,
    second: User,
    bob: User,
    /// The victim's: a file with a lock of Bob's behind its first bytes, one with a batch oplock, a directory.
    file: FileId,
    batch: FileId,
    root: FileId,
}

impl Scene {
    async fn new(rng: &mut Rng) -> Scene {
        let volume = FaultVolume::new(MemVolume::new());
        let vfs = vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default());
        let site = Site::over(vfs.clone(), |_| {}).await;
        let mut first = site.log_in(&ALICE).await;
        let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
        let session = client.bind(&ALICE, &first.session).await.unwrap();
        let second = User { client, session, tree: first.tree };
        let file = first.file("file", b"content").await;
        let root = first.open(&requests::directory("")).await;
        let oplock = CreateRequest { oplock_level: OplockLevel::BATCH, ..requests::create("batch") };
        let batch = first.open(&Request::Create(oplock)).await;
        let mut client = site.greet(other_client()).await;
        let session = client.log_in(&BOB).await.unwrap();
        let mut bob = User::enter(client, session).await;
        let bobs = bob.open(&requests::open("file")).await;
        let lock = requests::lock(bobs, 100, 10, LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY);
        assert_eq!(bob.status(&lock).await, NtStatus::SUCCESS);
        // From now on calls of the volume take time, each kind its own.
        for op in Op::ALL {
            volume.delay(op, Duration::from_millis(rng.below(6)));
        }
        Scene { site, volume, vfs, first, second, bob, file, batch, root }
    }
}

fn other_client() -> smb_wire::negotiate::NegotiateRequest {
    let mut offered = offer(&[Dialect::SMB_3_1_1]);
    offered.client_guid = [1; 16];
    offered
}

/// What came of something, and when.
type Outcome = (Result<NtStatus, Fault>, Instant);

fn status(outcome: Result<Reply, Fault>) -> Result<NtStatus, Fault> {
    outcome.map(|reply| reply.status())
}

async fn end(how: End, site: &Site, user: &mut User, after: Duration) -> Outcome {
    sleep(after).await;
    let outcome = match how {
        End::LogOff => status(user.call(&requests::logoff()).await),
        End::TreeDisconnect => status(user.call(&requests::tree_disconnect()).await),
        End::Cut => {
            user.client = site.connect().await;
            Ok(NtStatus::SUCCESS)
        }
        End::Replaced => {
            let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
            let logon = Logon { previous: user.session.id, ..Logon::new(&ALICE) };
            log_on(&mut client, logon).await
        }
        End::Unproven => {
            let guess = crate::site::user("alice", "wrong");
            let session = user.session.clone();
            log_on(&mut user.client, Logon::again(&guess, &session)).await
        }
    };
    (outcome, Instant::now())
}

/// A log-in that ends in a status.
async fn log_on(client: &mut Client<TcpStream>, mut logon: Logon<'_>) -> Result<NtStatus, Fault> {
    client.careless = true;
    let outcome = match client.challenge(&mut logon).await {
        Ok(challenge) => client.answer(logon, &challenge).await,
        Err(fault) => Err(fault),
    };
    match outcome {
        Ok(Session { .. }) => Ok(NtStatus::SUCCESS),
        Err(Fault::Refused(status)) => Ok(status),
        Err(fault) => Err(fault),
    }
}

async fn work(what: Work, site: &Site, user: &mut User, ids: [FileId; 3], after: Duration) -> Outcome {
    let [file, batch, root] = ids;
    sleep(after).await;
    let now = LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY;
    let request = match what {
        Work::Read => requests::read(file, 0, 7),
        Work::Write => requests::write(file, 0, b"changed"),
        Work::Lock => requests::lock(file, 0, 10, now),
        Work::LockThatWaits => requests::lock(file, 100, 10, LockFlags::EXCLUSIVE),
        Work::Create => requests::open("new"),
        Work::CreateThatBreaks => requests::open("bobs-batch"),
        Work::Close => requests::close(file),
        Work::Notify => requests::notify(root),
        Work::List => requests::query_directory(root, "*"),
        Work::Acknowledge => requests::acknowledge(batch, OplockLevel::LEVEL_II),
        Work::TreeConnect => requests::tree_connect("share"),
        Work::Bind => {
            let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
            let logon = Logon::binding(&ALICE, &user.session);
            let outcome = log_on(&mut client, logon).await;
            return (outcome, Instant::now());
        }
        Work::ProveAgain => {
            let session = user.session.clone();
            let outcome = log_on(&mut user.client, Logon::again(&ALICE, &session)).await;
            return (outcome, Instant::now());
        }
    };
    let outcome = status(user.call(&request).await);
    (outcome, Instant::now())
}

/// What gives its session something, or answers for it: none of it may be told after the session's end was.
fn gives_something(work: Work) -> bool {
    !matches!(work, Work::Read | Work::Write | Work::Close | Work::Notify | Work::List)
}

async fn race(seed: u64) {
    let mut rng = Rng::new(seed);
    let (how, what) = (*rng.pick(&ENDS), *rng.pick(&WORKS));
    let mut scene = Scene::new(&mut rng).await;
    prepare(&mut scene, what).await;
    let (ends_after, works_after) =
        (Duration::from_millis(rng.below(12)), Duration::from_millis(rng.below(12)));
    let ids = [scene.file, scene.batch, scene.root];
    let (ended, worked) = if how == End::Cut {
        // The channel goes in the middle of its own work.
        let (_cut, ended) = tokio::join!(
            tokio::time::timeout(ends_after, work(what, &scene.site, &mut scene.second, ids, works_after)),
            end(how, &scene.site, &mut scene.first, ends_after),
        );
        scene.second.client = scene.site.connect().await;
        (ended, (Err(Fault::Gone), Instant::now()))
    } else {
        tokio::join!(
            end(how, &scene.site, &mut scene.first, ends_after),
            within_reason(work(what, &scene.site, &mut scene.second, ids, works_after)),
        )
    };
    let story = format!("seed {seed}: {how:?} against {what:?}: {ended:?}, {worked:?}");
    assert_ne!(worked.0, Err(Fault::Silent), "{story}");
    let ended_well = ended.0 == Ok(NtStatus::SUCCESS) || how == End::Unproven;
    assert!(ended_well, "{story}");
    let told_late = worked.1 > ended.1 + Duration::from_millis(1);
    let of_the_tree =
        how != End::TreeDisconnect || !matches!(what, Work::TreeConnect | Work::Bind | Work::ProveAgain);
    if told_late && of_the_tree && gives_something(what) {
        assert_ne!(worked.0, Ok(NtStatus::SUCCESS), "{story}");
    }
    nothing_is_left(scene, how, &story).await;
}

/// Bob stands in the way where the work needs somebody who does.
async fn prepare(scene: &mut Scene, what: Work) {
    match what {
        Work::CreateThatBreaks => {
            let oplock = CreateRequest { oplock_level: OplockLevel::BATCH, ..requests::create("bobs-batch") };
            scene.bob.open(&Request::Create(oplock)).await;
        }
        Work::Acknowledge => {
            let mut message = smb_raw::Message::of(&requests::open("batch"));
            message = message.session(scene.bob.session.id).tree(scene.bob.tree);
            scene.bob.client.number(&mut message);
            let guard = scene.bob.session.guard();
            scene.bob.client.send(&[message], guard).await.unwrap();
            scene.bob.client.replies().await.unwrap();
        }
        _ => {}
    }
}

/// Work that waits for somebody is answered at the latest when its session ends.
async fn within_reason(work: impl Future<Output = Outcome>) -> Outcome {
    let outcome = tokio::time::timeout(Duration::from_secs(90), work).await;
    outcome.unwrap_or((Err(Fault::Silent), Instant::now()))
}

/// The session is gone with all that it had, whatever came of the race; Bob is as he was.
async fn nothing_is_left(scene: Scene, how: End, story: &str) {
    let Scene { site, volume, vfs, mut first, second, mut bob, file, .. } = scene;
    if how == End::TreeDisconnect {
        let read = first.status(&requests::read(file, 0, 7)).await;
        assert_eq!(read, NtStatus::NETWORK_NAME_DELETED, "{story}");
        assert_eq!(first.status(&requests::logoff()).await, NtStatus::SUCCESS, "{story}");
    }
    drop((first, second));
    volume.delay_all(Duration::ZERO);
    // Longer than a break or an open of somebody away takes to end.
    sleep(Duration::from_secs(600)).await;
    bob.is_well().await;
    let status = site.server.status();
    let of_alice: Vec<_> = status.users.iter().filter(|session| session.user == "alice").collect();
    assert!(of_alice.is_empty(), "{story}: {of_alice:?}");
    // Bob's opens alone, and his lock.
    let left = vfs.opens();
    assert_eq!((left.opens, left.locks, left.watchers), (status.opens, 1, 0), "{story}: {left:?}");
    assert_eq!(bob.status(&requests::logoff()).await, NtStatus::SUCCESS, "{story}");
    let left = vfs.opens();
    assert_eq!((left.opens, left.files, left.locks, left.watchers), (0, 0, 0, 0), "{story}: {left:?}");
}

#[test]
fn a_session_that_ends_takes_all_of_its_own_and_gives_nothing_more() {
    for seed in 0..SEEDS {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(race(seed));
    }
}

/// Its only connection goes while a change waits for the volume: the change is made, then the open ends.
#[tokio::test]
async fn a_change_under_way_when_the_only_connection_goes_keeps_nothing_open() {
    for op in [Op::Write, Op::SetAttr] {
        let volume = FaultVolume::new(MemVolume::new());
        let vfs = vfs::Vfs::new(volume.clone(), vfs::VfsConfig::default());
        let site = Site::over(vfs.clone(), |_| {}).await;
        let mut alice = site.log_in(&ALICE).await;
        let file = alice.file("file", b"content").await;
        let gate = volume.gate(op);
        let times = [&130_000_000_000_000_000u64.to_le_bytes()[..], &[0; 32]].concat();
        let change = match op {
            Op::Write => requests::write(file, 0, b"changed"),
            _ => requests::set_info(file, InfoType::FILE, FileClass::BASIC.0, &times),
        };
        let mut message = smb_raw::Message::of(&change).session(alice.session.id).tree(alice.tree);
        alice.client.number(&mut message);
        alice.client.send(&[message], alice.session.guard()).await.unwrap();
        gate.arrived(1).await;
        drop(alice);
        // Until the server has seen it, and waits for the change.
        while site.server.status().sessions > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        gate.release();
        let left = timeout(Duration::from_secs(60), async {
            while vfs.opens().opens > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        });
        left.await.unwrap_or_else(|_| panic!("{op:?}: {:?}", vfs.opens()));
        let mut bob = site.log_in(&BOB).await;
        let alone = CreateRequest { share_access: ShareAccess::empty(), ..requests::create("file") };
        let again = bob.open(&Request::Create(alone)).await;
        let expected: &[u8] = if op == Op::Write { b"changed" } else { b"content" };
        assert_eq!(bob.content(again).await, expected);
    }
}

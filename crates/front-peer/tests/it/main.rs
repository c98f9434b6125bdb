//! The server by itself: requests go in as bytes, as the link would bring them.

use bytes::Bytes;
use front_peer::{Offered, PeerLimits, PeerServer};
use link::{Class, LinkConfig, Message, Node, Peer, Service, certs};
use peer_wire::{Answer, Ask, Frame, Request};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{p, put};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use volume::{Close, Create, ErrorKind, ListHow, OpenHow, Priority, SetAttr, Volume};

const GRACE: Duration = Duration::from_secs(300);

fn serve(volume: Arc<dyn Volume>) -> Arc<PeerServer> {
    let offered = Offered { volume: Some(volume), allow: vec!["dc2".into()] };
    PeerServer::new(HashMap::from([("v".into(), offered)]), PeerLimits::default())
}

fn peer(site: &str, session: u64) -> Peer {
    Peer { site: site.into(), session }
}

async fn ask_as(server: &PeerServer, from: &Peer, ask: Ask) -> Answer {
    let request = Request { priority: Priority::Interactive, patience: Duration::from_secs(30), ask };
    let Frame { head, body } = request.encode();
    let answer = server.call(from, Class::Interactive, Message { head, body }).await;
    Answer::decode(&answer.head, answer.body).unwrap()
}

async fn ask(server: &PeerServer, ask: Ask) -> Answer {
    ask_as(server, &peer("dc2", 1), ask).await
}

fn open(path: &str, handle: u64, how: OpenHow) -> Ask {
    Ask::Open { volume: "v".into(), path: p(path), handle, how }
}

fn read(handle: u64) -> Ask {
    Ask::Read { handle, offset: 0, length: 100 }
}

#[track_caller]
fn failed(answer: Answer) -> ErrorKind {
    match answer {
        Answer::Failed(failure) => failure.kind,
        other => panic!("{other:?}"),
    }
}

async fn with_file() -> (Arc<MemVolume>, Arc<FaultVolume>, Arc<PeerServer>) {
    let memory = MemVolume::new();
    put(&*memory, "f", "content").await;
    let faults = FaultVolume::new(memory.clone());
    let server = serve(faults.clone());
    (memory, faults, server)
}

#[tokio::test]
async fn a_read_that_overtakes_its_open_waits_for_it() {
    let (_, faults, server) = with_file().await;
    let gate = faults.gate(Op::Open);
    // Polled in this order: the read comes first, the open is then held for a while.
    let (data, opened, ()) = tokio::join!(
        biased;
        ask(&server, read(7)),
        ask(&server, open("f", 7, OpenHow::read())),
        async {
            gate.arrived(1).await;
            gate.release();
        }
    );
    assert_eq!(data, Answer::Data(Bytes::from_static(b"content")));
    assert!(matches!(opened, Answer::Opened { .. }));
}

#[tokio::test]
async fn a_peer_of_another_release_is_refused_in_its_own_version() {
    let server = serve(MemVolume::new());
    let ask = Ask::VolumeInfo { volume: "v".into() };
    let request = Request { priority: Priority::Interactive, patience: Duration::from_secs(30), ask };
    for version in [1, peer_wire::VERSION + 1] {
        let mut head = request.clone().encode().head.to_vec();
        head[0] = version;
        let message = Message { head: head.into(), body: Bytes::new() };
        let answer = server.call(&peer("dc2", 1), Class::Interactive, message).await;
        assert_eq!(answer.head[0], version, "it reads no other");
        match Answer::decode(&answer.head, answer.body).unwrap() {
            Answer::Failed(failure) => {
                assert_eq!(failure.kind, ErrorKind::Unsupported);
                assert!(failure.context.contains(&format!("version {version}")), "{failure:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_never_comes_is_unknown() {
    let (_, faults, server) = with_file().await;
    assert_eq!(ask(&server, read(7)).await, Answer::UnknownHandle);
    // An open that fails lets those who wait for it go.
    faults.fail(Op::Open, 1, ErrorKind::Io);
    let (data, opened) =
        tokio::join!(biased; ask(&server, read(8)), ask(&server, open("f", 8, OpenHow::read())));
    assert_eq!((data, failed(opened)), (Answer::UnknownHandle, ErrorKind::Io));
    assert_eq!(server.peers()[0].handles, 0);
}

#[tokio::test]
async fn an_open_sent_twice_is_one_handle() {
    let (_, faults, server) = with_file().await;
    for _ in 0..2 {
        assert!(matches!(ask(&server, open("f", 7, OpenHow::read())).await, Answer::Opened { .. }));
    }
    assert_eq!(server.peers()[0].handles, 1);
    let closed = ask(&server, Ask::Close { handle: 7, how: Close::Commit }).await;
    assert!(matches!(closed, Answer::Attr(_)), "{closed:?}");
    assert_eq!(server.peers()[0].handles, 0);
    tokio::task::yield_now().await;
    assert_eq!(faults.counts().of(Op::Close), 2);
}

#[tokio::test]
async fn a_close_during_the_open_leaves_nothing_open() {
    let (_, faults, server) = with_file().await;
    let gate = faults.gate(Op::Open);
    let (opened, closed, ()) = tokio::join!(
        biased;
        ask(&server, open("f", 7, OpenHow::read())),
        ask(&server, Ask::Close { handle: 7, how: Close::Commit }),
        async { gate.release() }
    );
    assert!(matches!((opened, closed), (Answer::Opened { .. }, Answer::Attr(_))));
    assert_eq!(server.peers()[0].handles, 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stays_away_loses_its_handles() {
    let (_, faults, server) = with_file().await;
    ask(&server, open("f", 7, OpenHow::read_write())).await;
    server.peer_down(&peer("dc2", 1));
    tokio::time::sleep(GRACE - Duration::from_secs(1)).await;
    assert!(matches!(ask(&server, read(7)).await, Answer::Data(_)));
    assert_eq!(faults.counts().of(Op::Close), 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(faults.counts().of(Op::Close), 1);
    assert_eq!(ask(&server, read(7)).await, Answer::UnknownHandle);
}

/// A node without connections, for a `Link` to hand to the server.
async fn lonely_node() -> (Node, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    certs::init(dir.path()).unwrap();
    certs::issue(dir.path(), "dc1").unwrap();
    let identity = certs::load_site(dir.path(), "dc1").unwrap();
    let server = serve(MemVolume::new());
    (Node::start(identity, LinkConfig::default(), server).await.unwrap(), dir)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_comes_back_in_time_keeps_its_handles() {
    let (_, faults, server) = with_file().await;
    let (node, _dir) = lonely_node().await;
    server.peer_up(&peer("dc2", 1), node.link("dc2"));
    ask(&server, open("f", 7, OpenHow::read())).await;
    for _ in 0..3 {
        server.peer_down(&peer("dc2", 1));
        tokio::time::sleep(GRACE / 2).await;
        server.peer_up(&peer("dc2", 1), node.link("dc2"));
        // Away again when the first absence would have lasted too long.
        server.peer_down(&peer("dc2", 1));
        tokio::time::sleep(GRACE * 3 / 4).await;
        server.peer_up(&peer("dc2", 1), node.link("dc2"));
        tokio::time::sleep(GRACE).await;
    }
    assert_eq!(faults.counts().of(Op::Close), 0);
    assert!(matches!(ask(&server, read(7)).await, Answer::Data(_)));
}

#[tokio::test(start_paused = true)]
async fn a_new_process_of_the_peer_begins_with_nothing() {
    let (_, faults, server) = with_file().await;
    let (node, _dir) = lonely_node().await;
    server.peer_up(&peer("dc2", 1), node.link("dc2"));
    ask(&server, open("f", 7, OpenHow::read_write())).await;
    server.peer_up(&peer("dc2", 2), node.link("dc2"));
    assert_eq!(ask_as(&server, &peer("dc2", 2), read(7)).await, Answer::UnknownHandle);
    assert_eq!(faults.counts().of(Op::Close), 1);
    // A call of the old one that comes late changes nothing.
    let late = ask(&server, open("late", 9, OpenHow::create(Create::New))).await;
    assert_eq!(failed(late), ErrorKind::Stale);
    assert_eq!(server.peers()[0].handles, 0);
}

#[tokio::test]
async fn handles_of_one_site_are_none_of_anothers_business() {
    let memory = MemVolume::new();
    put(&*memory, "f", "content").await;
    let offered = Offered { volume: Some(memory), allow: vec!["dc2".into(), "dc3".into()] };
    let limits = PeerLimits { handle_patience: Duration::ZERO, ..PeerLimits::default() };
    let server = PeerServer::new(HashMap::from([("v".into(), offered)]), limits);
    ask(&server, open("f", 7, OpenHow::read())).await;
    assert_eq!(ask_as(&server, &peer("dc3", 1), read(7)).await, Answer::UnknownHandle);
}

#[tokio::test]
async fn bytes_that_are_no_request_are_answered() {
    let server = serve(MemVolume::new());
    for head in [&b""[..], b"\x01", b"\xff\x00\x00", b"\x01\xc8\x00\x00"] {
        let message = Message { head: Bytes::copy_from_slice(head), body: Bytes::new() };
        let answer = server.call(&peer("dc2", 1), Class::Interactive, message).await;
        let answer = Answer::decode(&answer.head, answer.body).unwrap();
        assert_eq!(failed(answer), ErrorKind::Unsupported, "{head:?}");
    }
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let server = serve(MemVolume::new());
    for cursor in [&b""[..], b"abc", b"\0\0\0\0\x07", b"\0\0\0\0\0rest"] {
        let how = ListHow { cursor: Some(Bytes::copy_from_slice(cursor)), ahead: 0 };
        let list = Ask::List { volume: "v".into(), dir: p(""), how };
        assert_eq!(failed(ask(&server, list).await), ErrorKind::InvalidArgument, "{cursor:?}");
    }
}

#[tokio::test]
async fn a_directory_over_the_budget_does_not_hide_its_neighbours() {
    let memory = MemVolume::with(MemConfig { sends_along: false, page_entries: 10, ..MemConfig::default() });
    for (dir, files) in [("a", 3), ("huge", 200), ("z", 4), ("z/deep", 2)] {
        testkit::ease::mkdir(&*memory, dir).await;
        for n in 0..files {
            put(&*memory, &format!("{dir}/{n}"), "").await;
        }
    }
    let server = serve(memory);
    let list = |ahead| Ask::List { volume: "v".into(), dir: p(""), how: ListHow { cursor: None, ahead } };
    for (ahead, due) in [(0, vec![]), (2, vec![]), (20, vec!["a", "z", "z/deep"])] {
        let Answer::Listing(listing) = ask(&server, list(ahead)).await else { panic!("no listing") };
        let listing = listing.into_listing(&p("")).unwrap();
        assert_eq!(listing.entries.len(), 3);
        let told: Vec<_> = listing.ahead.iter().map(|below| below.path.as_str()).collect();
        assert_eq!(told, due, "{ahead} ahead");
    }
}

#[tokio::test]
async fn errors_come_back_as_they_are() {
    let (_, faults, server) = with_file().await;
    faults.fail(Op::SetAttr, 1, ErrorKind::QuotaExceeded);
    ask(&server, open("f", 7, OpenHow::read_write())).await;
    let set = Ask::SetAttr { handle: 7, set: SetAttr::size(1 << 40) };
    assert_eq!(failed(ask(&server, set).await), ErrorKind::QuotaExceeded);
}

/// Two connections may turn a close and its open around, and the open then comes too late for the close to wait.
#[tokio::test(start_paused = true)]
async fn an_open_that_comes_after_its_close_opens_nothing() {
    let (_, faults, server) = with_file().await;
    let close = Ask::Close { handle: 7, how: Close::Commit };
    assert_eq!(ask(&server, close).await, Answer::UnknownHandle);
    assert_eq!(failed(ask(&server, open("f", 7, OpenHow::read())).await), ErrorKind::Stale);
    assert_eq!((server.peers()[0].handles, faults.counts().of(Op::Open)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_site_that_loses_its_right_loses_its_files() {
    let (_, faults, server) = with_file().await;
    let offer = |volume, site: &str| {
        server.offer(HashMap::from([("v".into(), Offered { volume, allow: vec![site.into()] })]));
    };
    ask(&server, open("f", 7, OpenHow::read_write())).await;
    let watch = || Ask::Watch { volume: "v".into(), subscription: 3 };
    assert!(matches!(ask(&server, watch()).await, Answer::Watching { .. }));
    offer(Some(faults.clone()), "dc2");
    assert!(matches!(ask(&server, read(7)).await, Answer::Data(_)), "nothing has changed for it");
    offer(Some(faults.clone()), "dc3");
    tokio::task::yield_now().await;
    assert_eq!((server.peers()[0].handles, server.peers()[0].subscriptions), (0, 0));
    assert_eq!(faults.counts().of(Op::Close), 1);
    assert_eq!(ask(&server, read(7)).await, Answer::UnknownHandle);
    assert_eq!(failed(ask(&server, open("f", 8, OpenHow::read())).await), ErrorKind::NotFound);
    assert_eq!(failed(ask(&server, watch()).await), ErrorKind::NotFound);
}

/// `NotFound` would let caches forget what they have.
#[tokio::test]
async fn a_volume_that_was_never_reached_is_offline_until_it_is() {
    let (_, faults, server) = with_file().await;
    let offer = |volume| Offered { volume, allow: vec!["dc2".into()] };
    let info = || Ask::VolumeInfo { volume: "v".into() };
    server.offer(HashMap::from([("v".into(), offer(None))]));
    assert_eq!(failed(ask(&server, info()).await), ErrorKind::Offline);
    assert_eq!(failed(ask_as(&server, &peer("dc3", 1), info()).await), ErrorKind::NotFound);
    server.offer(HashMap::from([("v".into(), offer(Some(faults)))]));
    assert!(matches!(ask(&server, info()).await, Answer::Info(_)));
}

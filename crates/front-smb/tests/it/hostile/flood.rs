//! Strangers by the hundred: half-open connections, NEGOTIATE and nothing more, log-ins begun and not ended.
//! Each costs little, ends by itself, and takes no place from those who came elsewhere.
//!
//! Time is tokio's and paused: deadlines pass as soon as everybody waits.

use crate::site::{ALICE, BOB, Site, User, user};
use front_smb::limits;
use smb_raw::{Client, Fault, Logon, Message, ntlm, offer, requests};
use smb_wire::negotiate::Dialect;
use smb_wire::session_setup::{SessionSetupFlags, SessionSetupRequest};
use smb_wire::{NtStatus, Request};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

fn offer_311() -> smb_wire::negotiate::NegotiateRequest {
    offer(&[Dialect::SMB_3_1_1])
}

/// A connection from this address of our own.
async fn connect_from(site: &Site, from: [u8; 4]) -> Client<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    Client::new(socket.connect(site.address).await.unwrap())
}

/// How far a stranger goes before he falls silent.
#[derive(Clone, Copy, Debug)]
enum Silence {
    AtOnce,
    InTheFrame,
    AfterNegotiate,
    AfterTheFirstLeg,
}

async fn fall_silent(site: &Site, silence: Silence) -> Client<TcpStream> {
    let mut client = site.connect().await;
    match silence {
        Silence::AtOnce => {}
        Silence::InTheFrame => client.send_bytes(&[0, 0, 0, 200, 0xFE]).await.unwrap(),
        Silence::AfterNegotiate => drop(client.negotiate(offer_311()).await.unwrap()),
        Silence::AfterTheFirstLeg => {
            client.negotiate(offer_311()).await.unwrap();
            client.challenge(&mut Logon::new(&ALICE)).await.unwrap();
        }
    }
    client
}

#[tokio::test(start_paused = true)]
async fn who_does_not_log_in_is_sent_away_in_time() {
    let site = Site::new().await;
    for silence in [Silence::AtOnce, Silence::InTheFrame, Silence::AfterNegotiate, Silence::AfterTheFirstLeg]
    {
        let begun = Instant::now();
        let mut crowd = Vec::new();
        for _ in 0..limits::ANONYMOUS_CONNECTIONS_PER_ADDRESS_MAX {
            crowd.push(fall_silent(&site, silence).await);
        }
        // One more from there is not let in at all.
        let mut late = site.connect().await;
        assert_eq!(late.frame().await, Err(Fault::Gone), "{silence:?}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{silence:?}: {:?}", begun.elapsed());
        for client in &mut crowd {
            assert_eq!(client.frame().await, Err(Fault::Gone), "{silence:?}");
        }
        let waited = begun.elapsed();
        assert!(waited <= limits::LOGON_PATIENCE + Duration::from_secs(1), "{silence:?}: {waited:?}");
        assert_eq!(site.emptied().await.connections, 0);
    }
    site.log_in(&ALICE).await.is_well().await;
}

/// A byte now and then does not lengthen the patience.
#[tokio::test(start_paused = true)]
async fn a_slow_talker_is_sent_away_like_a_silent_one() {
    let site = Site::new().await;
    let mut client = site.connect().await;
    let begun = Instant::now();
    let mut sent = 0;
    while client.send_bytes(&[0]).await.is_ok() && begun.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        sent += 1;
        if sent == 1 {
            client.send_bytes(&[0, 0, 200]).await.unwrap();
        }
    }
    assert!(begun.elapsed() <= limits::LOGON_PATIENCE + Duration::from_secs(3), "{:?}", begun.elapsed());
}

/// The same after a log-off: who has logged in once has no place for ever.
#[tokio::test(start_paused = true)]
async fn who_logs_off_and_stays_is_sent_away() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    tokio::time::sleep(10 * limits::LOGON_PATIENCE).await;
    user.is_well().await;
    assert_eq!(user.status(&requests::logoff()).await, NtStatus::SUCCESS);
    assert_eq!(user.client.frame().await, Err(Fault::Gone));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_from_one_address_takes_no_place_from_another() {
    let site = Site::new().await;
    let mut inside = site.log_in(&ALICE).await;
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(connect_from(&site, [127, 0, 0, 2]).await);
    }
    inside.is_well().await;
    let mut client = connect_from(&site, [127, 0, 0, 3]).await;
    client.negotiate(offer_311()).await.unwrap();
    let session = client.log_in(&BOB).await.unwrap();
    User::enter(client, session).await.is_well().await;
    let status = site.server.status();
    assert_eq!(status.connections, 2 + limits::ANONYMOUS_CONNECTIONS_PER_ADDRESS_MAX);
}

/// What a stranger leaves with the server is small: few log-ins at a time, each with short tokens.
#[tokio::test(start_paused = true)]
async fn a_stranger_cannot_begin_log_ins_without_end() {
    let site = Site::new().await;
    let mut client = site.greet(offer_311()).await;
    for _ in 0..limits::ANONYMOUS_LOGONS_MAX {
        client.challenge(&mut Logon::new(&ALICE)).await.unwrap();
    }
    let refused = client.challenge(&mut Logon::new(&ALICE)).await.err();
    assert_eq!(refused, Some(Fault::Refused(NtStatus::INSUFFICIENT_RESOURCES)));
    for length in [smb_core::ntlm::MAX_NEGOTIATE_LEN + 1, 60_000] {
        let mut client = site.greet(offer_311()).await;
        let mut logon = Logon::new(&ALICE);
        logon.negotiate.resize(length, 0);
        let refused = client.challenge(&mut logon).await.err();
        assert_eq!(refused, Some(Fault::Refused(NtStatus::INVALID_PARAMETER)), "{length}");
    }
}

/// Wrong passwords are spaced, whoever they are for; the right one of somebody elsewhere is not.
#[tokio::test(start_paused = true)]
async fn guesses_are_spaced() {
    let site = Site::new().await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];
    let begun = Instant::now();
    for name in names {
        let guess: ntlm::Client = user(name, "guess");
        let mut client = site.greet(offer_311()).await;
        let refused = client.log_in(&guess).await.err();
        assert_eq!(refused, Some(Fault::Refused(NtStatus::LOGON_FAILURE)));
    }
    let spaced = names.len() as u32 - limits::FREE_FAILURES_PER_PLACE - 1;
    assert!(begun.elapsed() >= spaced * limits::GUESS_SPACING, "{:?}", begun.elapsed());
    let begun = Instant::now();
    let mut client = connect_from(&site, [127, 0, 0, 4]).await;
    client.negotiate(offer_311()).await.unwrap();
    client.log_in(&ALICE).await.unwrap();
    assert!(begun.elapsed() < limits::GUESS_SPACING, "{:?}", begun.elapsed());
}

/// A first leg, or the second of the log-in that has this id.
pub(super) fn leg(client: &mut Client<TcpStream>, id: u64, token: Vec<u8>) -> Message {
    let request = SessionSetupRequest {
        flags: SessionSetupFlags::empty(),
        security_mode: Logon::new(&ALICE).security_mode,
        capabilities: 0,
        previous_session_id: 0,
        security_buffer: token.into(),
    };
    let mut message = Message::of(&Request::SessionSetup(request)).session(id);
    client.number(&mut message);
    message
}

/// Whether an echo is answered soon.
async fn echo(client: &mut Client<TcpStream>) -> bool {
    let mut echo = Message::of(&requests::echo());
    client.number(&mut echo);
    client.send_frame(&echo.bytes()).await.unwrap();
    timeout(Duration::from_millis(500), client.reply_to(echo.header.message_id)).await.is_ok()
}

/// Somebody at this place has so many wrong passwords judged, one after the other: other log-ins from there wait.
pub(super) async fn keep_the_place_busy(site: &Site) -> Client<TcpStream> {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    for name in names {
        let mut client = site.greet(offer_311()).await;
        let refused = client.log_in(&user(name, "guess")).await.err();
        assert_eq!(refused, Some(Fault::Refused(NtStatus::LOGON_FAILURE)));
    }
    let mut client = site.greet(offer_311()).await;
    let guess = user("z", "guess");
    let mut logons = Vec::new();
    for _ in 0..6 {
        let mut logon = Logon::new(&guess);
        let challenge = client.challenge(&mut logon).await.unwrap();
        logons.push((logon.id, guess.authenticate(&logon.negotiate, &challenge).message));
    }
    for (id, token) in logons {
        let message = leg(&mut client, id, token).bytes();
        client.send_frame(&message).await.unwrap();
    }
    // Behind them: they wait by now.
    assert!(echo(&mut client).await);
    client
}

/// What strangers ask while their place waits for its turn is taken as far as it is little.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn little_waits_of_a_stranger_who_has_no_turn() {
    const MOST: usize = limits::ANONYMOUS_AT_WORK_MAX_BYTES / limits::ANONYMOUS_MESSAGE_MAX_BYTES;
    let site = Site::new().await;
    let mut stranger = site.greet(offer_311()).await;
    stranger.challenge(&mut Logon::new(&ALICE)).await.unwrap();
    let _busy = keep_the_place_busy(&site).await;
    for asked in 1..=MOST {
        let mut message = leg(&mut stranger, 0, ALICE.negotiate()).bytes();
        message.resize(limits::ANONYMOUS_MESSAGE_MAX_BYTES, 0x55);
        stranger.send_frame(&message).await.unwrap();
        assert_eq!(echo(&mut stranger).await, asked < MOST, "whether he is heard behind {asked}");
    }
}

/// Log-ins that wait for their turn are log-ins under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_has_no_turn_begins_no_more_log_ins() {
    const BEYOND: usize = 20;
    let site = Site::new().await;
    let mut stranger = site.greet(offer_311()).await;
    stranger.challenge(&mut Logon::new(&ALICE)).await.unwrap();
    let _busy = keep_the_place_busy(&site).await;
    let mut asked = Vec::new();
    for _ in 1..limits::ANONYMOUS_LOGONS_MAX + BEYOND {
        let message = leg(&mut stranger, 0, ALICE.negotiate());
        stranger.send_frame(&message.bytes()).await.unwrap();
        asked.push(message.header.message_id);
    }
    let mut refused = 0;
    for id in asked {
        refused +=
            usize::from(stranger.reply_to(id).await.unwrap().status() == NtStatus::INSUFFICIENT_RESOURCES);
    }
    assert_eq!(refused, BEYOND);
}

/// Waiting requests beyond the limit are refused, not kept (511 for each connection).
#[tokio::test(start_paused = true)]
async fn only_so_many_requests_wait() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let root = user.open(&requests::directory("")).await;
    let mut refused = 0;
    for _ in 0..limits::ASYNC_MAX + 50 {
        let mut message = Message::of(&requests::notify(root));
        message.header.credits = 4;
        let mut message = message.session(user.session.id).tree(user.tree);
        user.client.number(&mut message);
        user.client.send(&[message], user.session.guard()).await.unwrap();
        let reply = user.client.replies().await.unwrap().remove(0);
        match reply.status() {
            NtStatus::PENDING => {}
            NtStatus::INSUFFICIENT_RESOURCES => refused += 1,
            status => panic!("{status}"),
        }
    }
    assert_eq!(refused, 50);
    user.is_well().await;
}

/// A stranger asks on and takes no answer: he is not heard any more before much waits for him.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn little_waits_for_a_stranger_who_takes_no_answers() {
    /// What the kernel keeps of the requests, and of the answers; more of them as they are longer.
    const KERNEL_MAX_BYTES: usize = 12 * 1024 * 1024;
    let site = Site::new().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut client = Client::new(socket.connect(site.address).await.unwrap());
    client.negotiate(offer_311()).await.unwrap();
    let mut sent = 0;
    let gives_up = loop {
        let mut frames = Vec::new();
        for _ in 0..1000 {
            let mut message = Message::of(&requests::echo());
            client.number(&mut message);
            let message = message.bytes();
            frames.extend_from_slice(&(message.len() as u32).to_be_bytes());
            frames.extend_from_slice(&message);
        }
        match timeout(Duration::from_secs(1), client.send_bytes(&frames)).await {
            Ok(Ok(())) => sent += frames.len(),
            Ok(Err(fault)) => panic!("{fault:?}"),
            Err(_) => break sent,
        }
    };
    assert!(gives_up < KERNEL_MAX_BYTES, "{gives_up} bytes of requests were taken");
    site.log_in(&ALICE).await.is_well().await;
}

//! Binding a channel to a session that is somebody else's, or in another way than it was made
//! (MS-SMB2 3.3.5.5, step 4). Whatever fails, the session that was aimed at goes on.

use crate::site::{ALICE, BOB, Site, User, user};
use smb_core::algorithm::SigningAlgorithm;
use smb_core::signing::{Role, Signer};
use smb_raw::{Client, Fault, Guard, Logon, Message, Proof, Reply, Session, offer, requests};
use smb_wire::lock::LockFlags;
use smb_wire::negotiate::{Dialect, NegotiateContext, NegotiateRequest, cipher, signing};
use smb_wire::session_setup::{SessionSetupRequest, SessionSetupResponse};
use smb_wire::{FileId, Flags, NtStatus, Request};
use std::sync::Arc;
use tokio::net::TcpStream;

const SIGNATURES: [u16; 2] = [signing::AES_CMAC, signing::AES_GMAC];

fn offer_311() -> NegotiateRequest {
    offer(&[Dialect::SMB_3_1_1])
}

/// 3.1.1 with this signing algorithm alone: CMAC goes with other dialects' connections, GMAC does not.
fn signing_with(algorithm: u16) -> NegotiateRequest {
    let mut offered = offer_311();
    offered.contexts[2] = NegotiateContext::Signing { algorithms: vec![algorithm] };
    offered
}

/// A session with an open file and a lock on it, which must survive.
struct Victim {
    user: User,
    file: FileId,
}

impl Victim {
    async fn new(site: &Site, algorithm: u16) -> Victim {
        let mut user = site.log_in_by(&ALICE, signing_with(algorithm)).await;
        // One of its own: the lock of a victim before may not be gone yet.
        let file = user.file(&format!("victim {:x}", user.session.id), b"content").await;
        let lock = requests::lock(file, 0, 4, LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY);
        assert_eq!(user.status(&lock).await, NtStatus::SUCCESS);
        Victim { user, file }
    }

    async fn is_unharmed(&mut self) {
        assert_eq!(self.user.content(self.file).await, b"content");
        let unlock = requests::lock(self.file, 0, 4, LockFlags::UNLOCK);
        assert_eq!(self.user.status(&unlock).await, NtStatus::SUCCESS, "the lock was there");
        let lock = requests::lock(self.file, 0, 4, LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY);
        assert_eq!(self.user.status(&lock).await, NtStatus::SUCCESS);
    }
}

/// Tries a binding on a new connection; gives the status that it ends with.
async fn attempt(site: &Site, offered: NegotiateRequest, mut logon: Logon<'_>) -> NtStatus {
    let mut client = site.greet(offered).await;
    let outcome = match client.challenge(&mut logon).await {
        Ok(challenge) => client.answer(logon, &challenge).await.map(drop),
        Err(fault) => Err(fault),
    };
    match outcome {
        Ok(()) => NtStatus::SUCCESS,
        Err(Fault::Refused(status)) => status,
        Err(fault) => panic!("{fault:?}"),
    }
}

fn stranger(algorithm: u16) -> Arc<Signer> {
    let algorithm = SigningAlgorithm::from_wire(algorithm).unwrap();
    Arc::new(Signer::new(algorithm, &[7; 16], Role::Client))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binding_without_the_sessions_key_is_refused() {
    let site = Site::new().await;
    for algorithm in SIGNATURES {
        let mut victim = Victim::new(&site, algorithm).await;
        let target = victim.user.session.clone();
        let unsigned = Logon { signs: None, ..Logon::binding(&ALICE, &target) };
        let wrong = Logon { signs: Some(stranger(algorithm)), ..Logon::binding(&ALICE, &target) };
        let bob = site.log_in_by(&BOB, signing_with(algorithm)).await;
        let bobs = Logon { signs: Some(Arc::clone(&bob.session.main)), ..Logon::binding(&BOB, &target) };
        for (logon, expected) in [
            (unsigned, NtStatus::INVALID_PARAMETER),
            (wrong, NtStatus::ACCESS_DENIED),
            (bobs, NtStatus::ACCESS_DENIED),
        ] {
            assert_eq!(attempt(&site, signing_with(algorithm), logon).await, expected);
            victim.is_unharmed().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binding_as_another_user_is_refused_and_harms_nobody() {
    let site = Site::new().await;
    for algorithm in SIGNATURES {
        let mut victim = Victim::new(&site, algorithm).await;
        let target = victim.user.session.clone();
        // Who has the key and logs in as somebody else; who does not know the password; who is nobody.
        let (guess, nobody) = (user("alice", "wrong"), user("mallory", "x"));
        for (who, expected) in [
            (&BOB, NtStatus::ACCESS_DENIED),
            (&guess, NtStatus::LOGON_FAILURE),
            (&nobody, NtStatus::LOGON_FAILURE),
        ] {
            let logon = Logon::binding(who, &target);
            assert_eq!(attempt(&site, signing_with(algorithm), logon).await, expected, "{}", who.user);
            victim.is_unharmed().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binding_on_other_terms_is_refused() {
    let site = Site::new().await;
    let mut victim = Victim::new(&site, signing::AES_CMAC).await;
    let other_cipher = |number| {
        let mut offered = signing_with(signing::AES_CMAC);
        offered.contexts[1] = NegotiateContext::Encryption { ciphers: vec![number] };
        offered
    };
    let mut no_cipher = signing_with(signing::AES_CMAC);
    no_cipher.contexts.remove(1);
    let other_client = NegotiateRequest { client_guid: [3; 16], ..signing_with(signing::AES_CMAC) };
    for (offered, expected) in [
        (offer(&[Dialect::SMB_3_0_2]), NtStatus::INVALID_PARAMETER),
        (offer(&[Dialect::SMB_3_0]), NtStatus::INVALID_PARAMETER),
        (offer(&[Dialect::SMB_2_1]), NtStatus::REQUEST_NOT_ACCEPTED),
        (other_cipher(cipher::AES_256_GCM), NtStatus::INVALID_PARAMETER),
        (other_cipher(cipher::AES_128_CCM), NtStatus::INVALID_PARAMETER),
        (no_cipher, NtStatus::INVALID_PARAMETER),
        (other_client, NtStatus::USER_SESSION_DELETED),
    ] {
        let logon = Logon::binding(&ALICE, &victim.user.session);
        assert_eq!(attempt(&site, offered.clone(), logon).await, expected, "{offered:?}");
        victim.is_unharmed().await;
    }
}

/// A log-in that names a session of another connection without binding to it, and one that names none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn naming_a_foreign_session_is_no_way_in() {
    let site = Site::new().await;
    let mut victim = Victim::new(&site, signing::AES_GMAC).await;
    let target = victim.user.session.clone();
    for signs in [None, Some(Arc::clone(&target.main)), Some(stranger(signing::AES_GMAC))] {
        let logon = Logon { signs, id: target.id, ..Logon::new(&ALICE) };
        assert_eq!(attempt(&site, offer_311(), logon).await, NtStatus::USER_SESSION_DELETED);
    }
    let nowhere = Logon { id: target.id ^ 1, ..Logon::binding(&ALICE, &target) };
    assert_eq!(attempt(&site, offer_311(), nowhere).await, NtStatus::USER_SESSION_DELETED);
    victim.is_unharmed().await;
}

/// The second leg alone is forged: the first was signed as it must be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_leg_of_a_binding_is_signed() {
    let site = Site::new().await;
    let mut victim = Victim::new(&site, signing::AES_GMAC).await;
    for signs in [None, Some(stranger(signing::AES_GMAC))] {
        let mut client = site.greet(offer_311()).await;
        let mut logon = Logon::binding(&ALICE, &victim.user.session);
        let challenge = client.challenge(&mut logon).await.unwrap();
        logon.signs = signs;
        let outcome = client.answer(logon, &challenge).await.err();
        assert_eq!(outcome, Some(Fault::Refused(NtStatus::ACCESS_DENIED)));
        victim.is_unharmed().await;
    }
}

/// A log-in under way has no session yet that could be bound to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_under_way_cannot_be_bound_to() {
    let site = Site::new().await;
    let victim = Victim::new(&site, signing::AES_GMAC).await;
    let mut client = site.greet(offer_311()).await;
    let mut half = Logon::new(&ALICE);
    let challenge = client.challenge(&mut half).await.unwrap();
    let logon = Logon { id: half.id, ..Logon::binding(&ALICE, &victim.user.session) };
    assert!(attempt(&site, offer_311(), logon).await.is_error());
    assert!(client.answer(half, &challenge).await.is_ok(), "the log-in under way goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_have_keys_of_their_own() {
    let site = Site::new().await;
    for algorithm in SIGNATURES {
        let mut first = Victim::new(&site, algorithm).await;
        let mut client = site.greet(signing_with(algorithm)).await;
        let channel = client.bind(&ALICE, &first.user.session).await.unwrap();
        let mut second = User { client, session: channel, tree: first.user.tree };
        assert_eq!(second.content(first.file).await, b"content");

        let own = second.session.clone();
        second.session.signer = Arc::clone(&own.main);
        let reply = second.call(&requests::read(first.file, 0, 7)).await.unwrap();
        assert_eq!((reply.status(), reply.proof), (NtStatus::ACCESS_DENIED, Proof::None));
        let firsts = first.user.session.clone();
        first.user.session.signer = Arc::clone(&own.signer);
        assert_eq!(first.user.status(&requests::echo()).await, NtStatus::ACCESS_DENIED);
        (first.user.session, second.session) = (firsts, own);
        first.is_unharmed().await;
        second.is_well().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_has_only_so_many_channels_and_a_connection_joins_once() {
    let site = Site::new().await;
    let mut victim = Victim::new(&site, signing::AES_GMAC).await;
    let twice = victim.user.client.bind(&ALICE, &victim.user.session.clone()).await.err();
    assert_eq!(twice, Some(Fault::Refused(NtStatus::REQUEST_NOT_ACCEPTED)));
    let mut channels = Vec::new();
    for _ in 1..front_smb::limits::CHANNELS_PER_SESSION_MAX {
        let mut client = site.greet(offer_311()).await;
        channels.push((client.bind(&ALICE, &victim.user.session).await.unwrap(), client));
    }
    let logon = Logon::binding(&ALICE, &victim.user.session);
    assert_eq!(attempt(&site, offer_311(), logon).await, NtStatus::INSUFFICIENT_RESOURCES);
    victim.is_unharmed().await;
    let (bound, mut client) = channels.pop().unwrap();
    assert_eq!(client.call(&bound, 0, &requests::echo()).await.unwrap().status(), NtStatus::SUCCESS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_has_ended_cannot_be_bound_to() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    assert_eq!(user.status(&requests::logoff()).await, NtStatus::SUCCESS);
    let logon = Logon::binding(&ALICE, &user.session);
    assert_eq!(attempt(&site, offer_311(), logon).await, NtStatus::USER_SESSION_DELETED);
    // One that ends between the two legs.
    let mut user = site.log_in(&ALICE).await;
    let mut client = site.greet(offer_311()).await;
    let mut logon = Logon::binding(&ALICE, &user.session);
    let challenge = client.challenge(&mut logon).await.unwrap();
    assert_eq!(user.status(&requests::logoff()).await, NtStatus::SUCCESS);
    assert!(client.answer(logon, &challenge).await.is_err());
}

/// Who fails to prove himself again loses his session (MS-SMB2 3.3.5.5.3), but nobody else's, and not because
/// somebody without the key says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_keys_owner_can_fail_to_prove_himself_again() {
    let site = Site::new().await;
    let mut victim = Victim::new(&site, signing::AES_GMAC).await;
    let session = victim.user.session.clone();
    let guess = user("alice", "wrong");
    for signs in [None, Some(stranger(signing::AES_GMAC))] {
        let mut logon = Logon { signs, ..Logon::again(&guess, &session) };
        let refused = victim.user.client.challenge(&mut logon).await.err();
        assert_eq!(refused, Some(Fault::Refused(NtStatus::ACCESS_DENIED)));
        victim.is_unharmed().await;
    }
    let again = Logon::again(&ALICE, &session);
    assert_eq!(prove_again(&mut victim.user, again).await, NtStatus::SUCCESS);
    victim.is_unharmed().await;
    assert_eq!(prove_again(&mut victim.user, Logon::again(&guess, &session)).await, NtStatus::LOGON_FAILURE);
    assert_eq!(victim.user.status(&requests::echo()).await, NtStatus::USER_SESSION_DELETED);
}

/// Proves a user again on his own connection. Keys stay, so the answer is signed with those of the session.
async fn prove_again(user: &mut User, mut logon: Logon<'_>) -> NtStatus {
    let challenge = user.client.challenge(&mut logon).await.unwrap();
    user.client.careless = true;
    match user.client.answer(logon, &challenge).await {
        Ok(Session { .. }) => NtStatus::SUCCESS,
        Err(Fault::Refused(status)) => status,
        Err(fault) => panic!("{fault:?}"),
    }
}

/// By AES-GMAC two signed answers of one message id would give the session's key to whoever sees them. He need not
/// know it: a leg that he saw is as good from a connection of his own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leg_of_a_binding_sent_again_gets_no_other_signature() {
    let site = Site::new().await;
    let mut victim = Victim::new(&site, signing::AES_GMAC).await;
    let target = victim.user.session.clone();
    let offered = || signing_with(signing::AES_GMAC);
    let logon = Logon::binding(&ALICE, &target);
    let first = leg(&logon, 1, &logon.negotiate);
    let mut client = site.greet(offered()).await;
    let challenge = send(&mut client, &first, 1).await;
    assert_eq!(challenge.status(), NtStatus::MORE_PROCESSING_REQUIRED);
    assert!(is_signed(&challenge) && checks(&challenge, &target));

    // The same leg on other connections: the same answer, or one that says nothing.
    let again = send(&mut site.greet(offered()).await, &first, 1).await;
    assert_eq!(again.message, challenge.message);
    let other = NegotiateRequest { client_guid: [3; 16], ..offered() };
    let refused = send(&mut site.greet(other).await, &first, 1).await;
    assert_eq!((refused.status(), is_signed(&refused)), (NtStatus::USER_SESSION_DELETED, false));

    // The second leg counts once, wherever it comes first.
    let token = SessionSetupResponse::decode(&challenge.message).unwrap().security_buffer;
    let proof = ALICE.authenticate(&logon.negotiate, &token);
    let second = leg(&logon, 2, &proof.message);
    assert_eq!(send(&mut client, &second, 2).await.status(), NtStatus::SUCCESS);
    let mut thief = site.greet(offered()).await;
    assert_eq!(send(&mut thief, &first, 1).await.message, challenge.message);
    let refused = send(&mut thief, &second, 2).await;
    assert_eq!((refused.status(), is_signed(&refused)), (NtStatus::ACCESS_DENIED, false));
    // One that fails has an id that the session's own connection has signed with.
    let guess = user("alice", "wrong");
    let mut guesser = site.greet(offered()).await;
    send(&mut guesser, &first, 1).await;
    let wrong = guess.authenticate(&logon.negotiate, &token);
    let refused = send(&mut guesser, &leg(&logon, 2, &wrong.message), 2).await;
    assert_eq!((refused.status(), is_signed(&refused)), (NtStatus::LOGON_FAILURE, false));
    victim.is_unharmed().await;
}

/// A leg of a log-in as it goes over the wire.
fn leg(logon: &Logon<'_>, message_id: u64, token: &[u8]) -> Vec<u8> {
    let request = SessionSetupRequest {
        flags: logon.flags,
        security_mode: logon.security_mode,
        capabilities: 0,
        previous_session_id: 0,
        security_buffer: token.to_vec().into(),
    };
    let message = Message::of(&Request::SessionSetup(request)).session(logon.id).id(message_id);
    smb_raw::chain(&[message], Guard::Sign(logon.signs.as_deref().unwrap()))
}

async fn send(client: &mut Client<TcpStream>, message: &[u8], id: u64) -> Reply {
    client.send_frame(message).await.unwrap();
    client.reply_to(id).await.unwrap()
}

fn is_signed(reply: &Reply) -> bool {
    reply.header.flags.contains(Flags::SIGNED)
}

/// Whether this is the session's own signature.
fn checks(reply: &Reply, session: &Session) -> bool {
    session.main.verify(&reply.message)
}

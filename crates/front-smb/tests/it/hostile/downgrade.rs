//! Downgrade: a man in the middle edits the negotiation (MS-SMB2 3.3.5.4, 3.3.5.15.12).
//!
//! In 3.1.1 both sides hash what they sent and got into their keys. A client that looks finds the answer to its
//! log-in wrongly signed; one that does not is refused at its first request. In 3.0.x the client asks back
//! what the server got (VALIDATE_NEGOTIATE_INFO), signed, and the server ends the connection when it differs.

use crate::hostile::middle::{Edit, Way, stand_before};
use crate::site::{ALICE, Site, User, connect};
use front_smb::Encryption;
use smb_core::algorithm::{Cipher, SigningAlgorithm};
use smb_raw::{Fault, Guard, Logon, Message, Proof, offer, requests};
use smb_wire::ioctl::negotiate_info::{ValidateNegotiateRequest, ValidateNegotiateResponse};
use smb_wire::ioctl::{Fsctl, IoctlResponse};
use smb_wire::negotiate::{Capabilities, Dialect, NegotiateContext, NegotiateRequest, SecurityMode};
use smb_wire::{FileId, NtStatus, Request};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

const ALL: [Dialect; 5] =
    [Dialect::SMB_2_0_2, Dialect::SMB_2_1, Dialect::SMB_3_0, Dialect::SMB_3_0_2, Dialect::SMB_3_1_1];
/// An edit and its name.
type Named<T> = (&'static str, fn(&mut T));
/// Where the list of dialects begins in a NEGOTIATE.
const DIALECTS: usize = 100;

/// What a log-in through the man in the middle comes to, for a client that looks at signatures and for one
/// that goes on regardless.
async fn outcome(address: SocketAddr, offered: NegotiateRequest) -> Result<(), Fault> {
    let mut client = connect(address).await;
    client.negotiate(offered).await?;
    client.careless = true;
    let mut logon = Logon::new(&ALICE);
    let challenge = client.challenge(&mut logon).await?;
    let session = client.answer(logon, &challenge).await?;
    let careful = session.proven;
    let reply = client.call(&session, 0, &requests::tree_connect("share")).await?;
    match reply.status() {
        NtStatus::SUCCESS => Ok(()),
        status if careful => panic!("the server refused with {status} what the client found right"),
        status => Err(Fault::Refused(status)),
    }
}

fn flips(way: Way, number: usize, at: usize) -> Edit {
    Arc::new(move |edited, frame, message| {
        if (edited, frame) == (way, number)
            && let Some(byte) = message.get_mut(at)
        {
            *byte ^= 1;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_byte_of_the_negotiation_of_3_1_1_is_bound_to_the_keys() {
    let site = Site::new().await;
    let offered = offer(&[Dialect::SMB_3_1_1]);
    let lengths = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lengths);
    let honest: Edit = Arc::new(move |way, number, message| {
        if number == 0 {
            seen.lock().unwrap().push((way, message.len()));
        }
    });
    let middle = stand_before(site.address, honest).await;
    assert_eq!(outcome(middle, offered.clone()).await, Ok(()));
    let lengths = lengths.lock().unwrap().clone();
    let mut silent_edits = 0;
    for (way, length) in lengths {
        for at in 0..length {
            let middle = stand_before(site.address, flips(way, 0, at)).await;
            let outcome = outcome(middle, offered.clone()).await;
            assert!(outcome.is_err(), "{way:?}: byte {at} was edited, and the log-in stands");
            silent_edits += usize::from(outcome == Err(Fault::Refused(NtStatus::ACCESS_DENIED)));
        }
    }
    // Most edits change nothing but the hash: the keys alone tell.
    assert!(silent_edits > 150, "{silent_edits}");
}

/// The first leg of the log-in is hashed too; the second carries a MIC over all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_byte_of_the_first_leg_is_bound_to_the_keys() {
    for at in 64..64 + 24 + 40 {
        // A site for each: wrong log-ins at one are slowed.
        let site = Site::new().await;
        let middle = stand_before(site.address, flips(Way::ToServer, 1, at)).await;
        assert!(outcome(middle, offer(&[Dialect::SMB_3_1_1])).await.is_err(), "byte {at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contexts_and_dialects_taken_out_or_added_end_the_log_in() {
    let site = Site::new().await;
    let edits: [Named<NegotiateRequest>; 7] = [
        ("no cipher", |request| drop(request.contexts.remove(1))),
        ("no signing algorithm", |request| drop(request.contexts.remove(2))),
        ("a weaker cipher", |request| {
            request.contexts[1] = NegotiateContext::Encryption { ciphers: vec![1] };
        }),
        ("a weaker signature", |request| {
            request.contexts[2] = NegotiateContext::Signing { algorithms: vec![0] };
        }),
        ("another salt", |request| {
            let salt = bytes::Bytes::from_static(b"salt");
            request.contexts[0] = NegotiateContext::PreauthIntegrity { hash_algorithms: vec![1], salt };
        }),
        ("no capabilities", |request| request.capabilities = Capabilities::empty()),
        ("another client", |request| request.client_guid = [9; 16]),
    ];
    for (name, edit) in edits {
        let edit: Edit = Arc::new(move |way, number, message| {
            if (way, number) == (Way::ToServer, 0) {
                let mut request = NegotiateRequest::decode(&message.clone().into()).unwrap();
                edit(&mut request);
                message.truncate(64);
                request.encode(message);
            }
        });
        let middle = stand_before(site.address, edit).await;
        let outcome = outcome(middle, offer(&[Dialect::SMB_3_1_1])).await;
        assert_eq!(outcome, Err(Fault::Refused(NtStatus::ACCESS_DENIED)), "{name}");
    }
}

/// Lets through only dialects up to `newest`: others become a number that no server knows.
fn rolls_back(newest: Dialect) -> Edit {
    Arc::new(move |way, number, message| {
        if (way, number) == (Way::ToServer, 0) {
            for at in (DIALECTS..DIALECTS + 2 * ALL.len()).step_by(2) {
                let dialect = u16::from_le_bytes([message[at], message[at + 1]]);
                if dialect > newest.0 {
                    message[at..at + 2].copy_from_slice(&[1, 1]);
                }
            }
        }
    })
}

fn asks_back(offered: &NegotiateRequest) -> ValidateNegotiateRequest {
    ValidateNegotiateRequest {
        capabilities: offered.capabilities,
        client_guid: offered.client_guid,
        security_mode: offered.security_mode,
        dialects: offered.dialects.clone(),
    }
}

fn validate(asked: &ValidateNegotiateRequest) -> Request {
    let mut input = Vec::new();
    asked.encode(&mut input);
    requests::ioctl(FileId::RELATED, Fsctl::VALIDATE_NEGOTIATE_INFO, &input)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dialect_rolled_back_is_found_by_asking_back() {
    let site = Site::new().await;
    for newest in &ALL[..4] {
        let middle = stand_before(site.address, rolls_back(*newest)).await;
        let mut client = connect(middle).await;
        let offered = offer(&ALL);
        assert_eq!(client.negotiate(offered.clone()).await.unwrap().dialect, *newest);
        let session = client.log_in(&ALICE).await.unwrap();
        let mut user = User::enter(client, session).await;
        let answer = user.call(&validate(&asks_back(&offered))).await;
        assert_eq!(answer.err(), Some(Fault::Gone), "rolled back to {newest}");
    }
}

/// Each field that the client asks back differs once from what the server got.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_differs_ends_the_connection() {
    let site = Site::new().await;
    let edits: [Named<ValidateNegotiateRequest>; 6] = [
        ("capabilities", |asked| asked.capabilities -= Capabilities::ENCRYPTION),
        ("client guid", |asked| asked.client_guid[15] ^= 1),
        ("security mode", |asked| asked.security_mode |= SecurityMode::SIGNING_REQUIRED),
        ("a newer dialect", |asked| asked.dialects.push(Dialect::SMB_3_1_1)),
        ("no common dialect", |asked| asked.dialects = vec![Dialect(0x0101)]),
        ("no dialect", |asked| asked.dialects.clear()),
    ];
    for (name, edit) in edits {
        for dialect in [Dialect::SMB_3_0, Dialect::SMB_3_0_2] {
            let offered = offer(&[dialect]);
            let mut user = site.log_in_by(&ALICE, offered.clone()).await;
            let mut asked = asks_back(&offered);
            edit(&mut asked);
            assert_eq!(user.call(&validate(&asked)).await.err(), Some(Fault::Gone), "{name}, {dialect}");
        }
    }
}

/// What the server says it answered is the truth, whatever arrived at the client; and it is signed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_asking_back_is_signed_and_true() {
    let site = Site::new().await;
    let edit: Edit = Arc::new(|way, number, message| {
        if (way, number) == (Way::ToClient, 0) {
            // SecurityMode, ServerGuid, Capabilities of the response.
            for at in [66, 72, 88] {
                message[at] ^= 0x02;
            }
        }
    });
    let middle = stand_before(site.address, edit).await;
    let mut client = connect(middle).await;
    let offered = offer(&[Dialect::SMB_3_0_2]);
    let told = client.negotiate(offered.clone()).await.unwrap();
    let session = client.log_in(&ALICE).await.unwrap();
    let mut user = User::enter(client, session).await;
    let reply = user.call(&validate(&asks_back(&offered))).await.unwrap();
    assert_eq!((reply.status(), reply.proof), (NtStatus::SUCCESS, Proof::Signed));
    let output = IoctlResponse::decode(&reply.message).unwrap().output;
    let truth = ValidateNegotiateResponse::decode(&output).unwrap();
    assert_ne!(truth.security_mode, told.security_mode);
    assert_ne!(truth.server_guid, told.server_guid);
    assert_ne!(truth.capabilities, told.capabilities);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_back_edited_or_stripped_of_its_signature_gives_nothing_signed() {
    let site = Site::new().await;
    let offered = offer(&[Dialect::SMB_3_0_2]);
    let asked = Message::of(&validate(&asks_back(&offered)));
    // Every bit counts; one in each byte from the body on will do, and the flag in the header.
    for at in (64..asked.bytes().len()).chain([16]) {
        let flip: u8 = if at == 16 { 0x08 } else { 0x01 };
        let mut user = site.log_in_by(&ALICE, offered.clone()).await;
        let mut message = asked.clone().session(user.session.id).tree(user.tree);
        user.client.number(&mut message);
        let mut bytes = smb_raw::chain(&[message.clone()], Guard::Sign(&user.session.signer));
        bytes[at] ^= flip;
        user.client.send_frame(&bytes).await.unwrap();
        let reply = user.client.reply_to(message.header.message_id).await.unwrap();
        assert_eq!((reply.status(), reply.proof), (NtStatus::ACCESS_DENIED, Proof::None), "byte {at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dialects_below_the_least_are_refused() {
    let site = Site::with(|config| config.min_dialect = Dialect::SMB_3_0_2).await;
    for dialects in [&ALL[..1], &ALL[1..2], &ALL[..3]] {
        let mut client = site.connect().await;
        let refused = client.negotiate(offer(dialects)).await.err();
        assert_eq!(refused, Some(Fault::Refused(NtStatus::NOT_SUPPORTED)), "{dialects:?}");
    }
    for strings in [&b"\x02NT LM 0.12\0"[..], b"\x02NT LM 0.12\0\x02SMB 2.002\0"] {
        let mut client = site.connect().await;
        let mut message = b"\xFFSMBr".to_vec();
        message.resize(33, 0);
        message.extend((strings.len() as u16).to_le_bytes());
        message.extend(strings);
        client.send_frame(&message).await.unwrap();
        assert_eq!(client.frame().await, Err(Fault::Gone));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn required_encryption_cannot_be_negotiated_away() {
    let site = Site::with(|config| config.encryption = Encryption::Required).await;
    let mut plain = offer(&[Dialect::SMB_3_1_1]);
    plain.contexts.remove(1);
    let mut unknown = offer(&[Dialect::SMB_3_1_1]);
    unknown.contexts[1] = NegotiateContext::Encryption { ciphers: vec![0x77] };
    let mut old = offer(&[Dialect::SMB_3_0_2]);
    old.capabilities -= Capabilities::ENCRYPTION;
    for offered in [plain, unknown, old] {
        let refused = site.connect().await.negotiate(offered).await.err();
        assert_eq!(refused, Some(Fault::Refused(NtStatus::ACCESS_DENIED)));
    }
    let refused = site.connect().await.negotiate(offer(&ALL[..2])).await.err();
    assert_eq!(refused, Some(Fault::Refused(NtStatus::NOT_SUPPORTED)));
    let mut sealed = site.log_in(&ALICE).await;
    assert!(sealed.session.sealed);
    sealed.session.sealed = false;
    assert_eq!(sealed.status(&requests::open("file")).await, NtStatus::ACCESS_DENIED);
}

/// It costs the connection (MS-SMB2 3.3.5.4).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_negotiation_ends_the_connection() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let again = user.client.negotiate(offer(&[Dialect::SMB_2_0_2])).await.err();
    assert_eq!(again, Some(Fault::Gone));
}

/// Whatever becomes of the connection, its terms stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_negotiation_is_no_way_back() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let (preauth, agreed) = (user.client.preauth, user.client.agreed);
    assert!(user.client.negotiate(offer(&[Dialect::SMB_2_0_2])).await.is_err());
    (user.client.preauth, user.client.agreed) = (preauth, agreed);
    match user.call(&requests::echo()).await {
        Ok(reply) => {
            assert_eq!((reply.status(), reply.proof), (NtStatus::SUCCESS, Proof::Signed));
            assert!(user.client.log_in(&ALICE).await.is_ok(), "the hash of the first one stays");
        }
        Err(fault) => assert_eq!(fault, Fault::Gone),
    }
}

/// A refused NEGOTIATE has agreed on nothing, and is not part of what the keys are bound to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_negotiation_does_not_count() {
    let site = Site::new().await;
    let mut client = site.connect().await;
    let refused = client.negotiate(offer(&[Dialect(0x0400)])).await.err();
    assert_eq!(refused, Some(Fault::Refused(NtStatus::NOT_SUPPORTED)));
    client.preauth = smb_core::preauth::PreauthHash::new();
    client.negotiate(offer(&[Dialect::SMB_3_1_1])).await.unwrap();
    client.log_in(&ALICE).await.unwrap();
}

/// The operator's lists, in the operator's order, whatever the client likes best.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_and_encryption_are_of_the_configured_algorithms() {
    use SigningAlgorithm::{AesCmac, AesGmac, HmacSha256};
    let (signs, ciphers) = (SigningAlgorithm::PREFERENCE, Cipher::PREFERENCE);
    let mut offered = offer(&[Dialect::SMB_3_1_1]);
    offered.contexts[1] = NegotiateContext::Encryption { ciphers: ciphers.map(Cipher::wire).to_vec() };
    let algorithms = signs.map(SigningAlgorithm::wire).to_vec();
    offered.contexts[2] = NegotiateContext::Signing { algorithms };
    let check =
        async |signs: &[SigningAlgorithm], ciphers: &[Cipher], expected: (SigningAlgorithm, Cipher)| {
            let site = Site::with(|config| {
                config.signing_algorithms = signs.to_vec();
                config.ciphers = ciphers.to_vec();
            });
            let site = site.await;
            let mut user = site.log_in_by(&ALICE, offered.clone()).await;
            let agreed = user.client.agreed.unwrap();
            assert_eq!((agreed.signing, agreed.cipher), (expected.0, Some(expected.1)));
            user.is_well().await;
        };
    check(&signs, &ciphers, (AesGmac, Cipher::Aes128Gcm)).await;
    check(&[AesCmac, AesGmac], &[Cipher::Aes256Gcm], (AesCmac, Cipher::Aes256Gcm)).await;
    check(&[HmacSha256], &[Cipher::Aes256Ccm, Cipher::Aes128Gcm], (HmacSha256, Cipher::Aes256Ccm)).await;
    // 3.0.2 has one cipher and one way to sign.
    let site = Site::with(|config| config.ciphers = vec![Cipher::Aes128Gcm]).await;
    let user = site.log_in_by(&ALICE, offer(&[Dialect::SMB_3_0_2])).await;
    let agreed = user.client.agreed.unwrap();
    assert_eq!((agreed.signing, agreed.cipher), (AesCmac, None));
}

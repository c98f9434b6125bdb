//! Signatures against what an independent implementation (pyca/cryptography) computes, and what must fail.

use smb_core::algorithm::SigningAlgorithm::{self, AesCmac, AesGmac, HmacSha256};
use smb_core::signing::{Foreign, ForeignAnswers, MAX_FOREIGN_ANSWERS, Role, SignError, Signer};
use smb_wire::header::{Command, Flags, Header};

use crate::vector_file::hex;
use std::sync::Arc;

const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const BODY_LEN: u8 = 100;

fn message(command: Command, flags: Flags) -> Vec<u8> {
    let mut header = Header::request(command, 0x0102_0304_0506_0708);
    header.credit_charge = 1;
    header.credits = 1;
    header.flags = flags;
    header.process_id = 0;
    header.tree_id = 5;
    header.session_id = 0x1122_3344_5566_7788;
    let mut message = Vec::new();
    header.encode_into(&mut message);
    message.extend(0..BODY_LEN);
    message
}

fn check(command: Command, flags: Flags, algorithm: SigningAlgorithm, expected: &str) {
    let (sender, receiver) = if flags.contains(Flags::RESPONSE) {
        (Role::Server, Role::Client)
    } else {
        (Role::Client, Role::Server)
    };
    let signer = Signer::new(algorithm, &KEY, sender);
    let verifier = Signer::new(algorithm, &KEY, receiver);
    for cut in [64, 65, 100, 164] {
        let mut signed = message(command, flags);
        let (header, rest) = signed.split_at_mut(cut);
        let (one, two) = rest.split_at(rest.len() / 3);
        signer.sign(header, &[one, two]).unwrap();
        assert_eq!(signed[48..64], hex(expected), "{algorithm:?} {command:?} cut at {cut}");
        assert!(verifier.verify(&signed), "{algorithm:?} {command:?}");
        assert!(!signer.verify(&signed), "a reflected message passes: {algorithm:?} {command:?}");
        for at in 0..signed.len() {
            signed[at] ^= 0x40;
            assert!(!verifier.verify(&signed), "{algorithm:?} {command:?} byte {at}");
            signed[at] ^= 0x40;
        }
        let stranger = Signer::new(algorithm, &[9; 16], receiver);
        assert!(!stranger.verify(&signed));
    }
}

#[test]
fn responses() {
    let flags = Flags::RESPONSE | Flags::SIGNED;
    check(Command::Read, flags, AesGmac, "be47cebeb674cb7a0bef1474ad26796f");
    check(Command::Read, flags, AesCmac, "6188bf82fe11f1221ca2c68816a7d15c");
    check(Command::Read, flags, HmacSha256, "1c3d6252429eb4c7e432ff9f41a180ac");
}

#[test]
fn requests() {
    check(Command::Read, Flags::SIGNED, AesGmac, "4fc186c2548017bf770dc2a3b77c82dd");
    check(Command::Read, Flags::SIGNED, AesCmac, "347cd74778fe7b7b5300ffb10857c0e5");
    check(Command::Read, Flags::SIGNED, HmacSha256, "41039250a23120bd577003cc174e8a6b");
}

#[test]
fn cancel_has_its_own_nonce() {
    check(Command::Cancel, Flags::SIGNED, AesGmac, "7cee2806efaaf33733fed6df369fb8ec");
    check(Command::Cancel, Flags::SIGNED, AesCmac, "46a63076db4972cf3ef57b1dc894deb6");
}

#[test]
fn signing_sets_the_flag_and_ignores_an_old_signature() {
    let signer = Signer::new(AesCmac, &KEY, Role::Client);
    let mut plain = message(Command::Read, Flags::empty());
    plain[48..64].fill(0xee);
    signer.sign(&mut plain, &[]).unwrap();
    assert_eq!(plain[48..64], hex("347cd74778fe7b7b5300ffb10857c0e5"));
}

#[test]
fn short_messages_are_refused() {
    let signer = Signer::new(AesGmac, &KEY, Role::Server);
    assert_eq!(signer.sign(&mut [0; 63], &[&[0; 100]]), Err(SignError));
    assert!(!signer.verify(&[0; 63]));
    assert!(!signer.verify(&[]));
}

/// Two answers under one nonce of AES-GMAC would give the key away.
#[test]
fn on_other_connections_no_request_gets_two_answers_signed() {
    const OWN: u64 = 2;
    let answers = Arc::new(ForeignAnswers::default());
    let sign = |algorithm, request: u8, id: u64, body: u8| {
        let foreign = Foreign { own_id: OWN, request: [request; 16], answers: Arc::clone(&answers) };
        let signer = Signer::foreign(algorithm, &KEY, Role::Server, foreign);
        let mut message = message(Command::SessionSetup, Flags::RESPONSE);
        message[24..32].copy_from_slice(&id.to_le_bytes());
        message[64] = body;
        signer.sign(&mut message, &[]).unwrap();
        let signed = message[16] & Flags::SIGNED.bits() as u8 != 0;
        assert_eq!(signed, message[48..64] != [0; 16]);
        signed
    };
    let gmac = |request, id, body| sign(AesGmac, request, id, body);
    assert!(gmac(1, 1, 1) && gmac(1, 1, 1), "the same again says nothing new");
    assert!(!gmac(1, 1, 2) && gmac(1, 1, 1));
    assert!(gmac(1, 3, 2) && gmac(2, 1, 2), "another nonce; one that the client has used twice");
    assert!(!gmac(3, OWN, 1), "the session's own connection has signed with it");
    let more = (4..).take(MAX_FOREIGN_ANSWERS).filter(|id| gmac(1, *id, 1)).count();
    assert_eq!(more, MAX_FOREIGN_ANSWERS - 3);
    for algorithm in [AesCmac, HmacSha256] {
        assert!(sign(algorithm, 1, 1, 1) && sign(algorithm, 1, 1, 2) && sign(algorithm, 1, OWN, 1));
    }
}

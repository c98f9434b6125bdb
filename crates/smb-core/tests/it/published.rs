//! Microsoft's published examples: preauthentication integrity, keys and encryption of SMB 3.0 and 3.1.1
//! (Open Specifications blog, 2012 and 2015); the NTLMv2 log-in of MS-NLMP 4.2.4.

use smb_core::algorithm::Cipher;
use smb_core::kdf::derive;
use smb_core::ntlm::{Exchange, Identity, Strangers, TargetNames, nt_hash};
use smb_core::preauth::PreauthHash;
use smb_core::sealing::{OpenError, Opener, SealError, Sealer, TRANSFORM_HEADER_LEN};
use smb_wire::negotiate::Dialect;
use smb_wire::time::FileTime;

use crate::vector_file::{Vectors, hex};

const CIPHERS: [Cipher; 4] = [Cipher::Aes128Gcm, Cipher::Aes256Gcm, Cipher::Aes128Ccm, Cipher::Aes256Ccm];

#[test]
fn preauth_hash_chain_and_signing_key() {
    let vectors = Vectors::parse(include_str!("vectors/preauth.txt"));
    let mut hash = PreauthHash::new();
    let chain = [
        ("negotiate_request", "hash_1"),
        ("negotiate_response", "hash_2"),
        ("session_setup_request_1", "hash_3"),
        ("session_setup_response_1", "hash_4"),
        ("session_setup_request_2", "hash_5"),
    ];
    for (message, expected) in chain {
        let (head, rest) = vectors.get(message).split_at(64);
        hash.update(&[head, rest]);
        assert_eq!(hash.value(), vectors.get(expected), "{expected}");
    }
    let keys = derive(vectors.get("session_key"), Dialect::SMB_3_1_1, None, &hash);
    assert_eq!(keys.signing.as_slice(), vectors.get("signing_key"));
    assert!(keys.client_to_server.is_none());
}

fn check_sealing(vectors: &Vectors, dialect: Dialect, cipher: Cipher, preauth: &PreauthHash) {
    let keys = derive(vectors.get("session_key"), dialect, Some(cipher), preauth);
    let (request_key, response_key) = (keys.client_to_server.unwrap(), keys.server_to_client.unwrap());
    assert_eq!(request_key.as_slice(), vectors.get("client_to_server_key"));
    assert_eq!(response_key.as_slice(), vectors.get("server_to_client_key"));
    for (key, plain, sealed) in [
        (request_key, "request_plain", "request_sealed"),
        (response_key, "response_plain", "response_sealed"),
    ] {
        let mut sealed = vectors.get(sealed).to_vec();
        let session_id = u64::from_le_bytes(sealed[44..52].try_into().unwrap());
        let opener = Opener::new(cipher, &key, session_id).unwrap();
        assert_eq!(opener.open(&mut sealed).unwrap(), vectors.get(plain));
    }
}

#[test]
fn smb_3_0_keys_and_ccm() {
    let vectors = Vectors::parse(include_str!("vectors/sealing_smb300.txt"));
    check_sealing(&vectors, Dialect::SMB_3_0, Cipher::Aes128Ccm, &PreauthHash::new());
}

#[test]
fn smb_3_1_1_keys_and_gcm() {
    let vectors = Vectors::parse(include_str!("vectors/sealing_smb311.txt"));
    let preauth = PreauthHash::from(vectors.array::<64>("preauth_hash"));
    check_sealing(&vectors, Dialect::SMB_3_1_1, Cipher::Aes128Gcm, &preauth);
}

#[test]
fn keys_of_old_dialects_are_the_session_key_padded() {
    let keys = derive(&[7; 5], Dialect::SMB_2_1, None, &PreauthHash::new());
    assert_eq!(keys.signing.as_slice(), [[7; 5].as_slice(), &[0; 11]].concat());
    assert!(keys.server_to_client.is_none());
}

#[test]
fn long_keys_of_256_bit_ciphers_use_the_whole_session_key() {
    let (mut one, mut other) = ([1; 32], [1; 32]);
    (one[31], other[31]) = (0, 1);
    let keys = |session_key: &[u8], cipher| {
        derive(session_key, Dialect::SMB_3_1_1, Some(cipher), &PreauthHash::new())
    };
    let (a, b) = (keys(&one, Cipher::Aes256Gcm), keys(&other, Cipher::Aes256Gcm));
    assert_eq!(a.signing, b.signing);
    assert_eq!(a.client_to_server.as_ref().unwrap().len(), 32);
    assert_ne!(a.client_to_server, b.client_to_server);
    let (a, b) = (keys(&one, Cipher::Aes128Gcm), keys(&other, Cipher::Aes128Gcm));
    assert_eq!(a.client_to_server, b.client_to_server);
}

#[test]
fn sealed_messages_open_again_and_no_byte_may_change() {
    for cipher in CIPHERS {
        let key = vec![3; cipher.key_len()];
        let sealer = Sealer::new(cipher, &key, 0x77).unwrap();
        let opener = Opener::new(cipher, &key, 0x77).unwrap();
        let mut frame = b"prefix".to_vec();
        sealer.seal_into(&[b"head", b"", b"payload"], &mut frame).unwrap();
        let sealed = frame.split_off(6);
        assert_eq!(frame, b"prefix");
        assert_eq!(opener.open(&mut sealed.clone()).unwrap(), b"headpayload");
        // Reserved bytes and the part of the nonce field that a cipher leaves unused are authenticated too.
        for at in 0..sealed.len() {
            let mut edited = sealed.clone();
            edited[at] ^= 1;
            assert!(opener.open(&mut edited).is_err(), "{cipher:?} byte {at}");
        }
        for len in 0..sealed.len() {
            assert!(opener.open(&mut sealed[..len].to_vec()).is_err(), "{cipher:?} cut to {len}");
        }
        let stranger = Opener::new(cipher, &key, 0x78).unwrap();
        assert_eq!(stranger.open(&mut sealed.clone()), Err(OpenError::Session));
    }
}

#[test]
fn every_message_has_its_own_nonce() {
    let sealer = Sealer::new(Cipher::Aes128Gcm, &[3; 16], 1).unwrap();
    let nonces: std::collections::HashSet<Vec<u8>> = (0..1000)
        .map(|_| {
            let mut out = Vec::new();
            sealer.seal_into(&[b"x"], &mut out).unwrap();
            out[20..36].to_vec()
        })
        .collect();
    assert_eq!(nonces.len(), 1000);
}

#[test]
fn sealing_refuses_what_does_not_fit() {
    assert!(Sealer::new(Cipher::Aes256Gcm, &[0; 16], 1).is_none());
    assert!(Opener::new(Cipher::Aes128Ccm, &[0; 32], 1).is_none());
    let sealer = Sealer::new(Cipher::Aes128Gcm, &[0; 16], 1).unwrap();
    assert_eq!(sealer.seal_in_place(&mut [0; TRANSFORM_HEADER_LEN - 1]), Err(SealError::Length));
}

#[test]
fn nt_hash_of_the_example_password() {
    assert_eq!(nt_hash("Password").as_bytes()[..], hex("a4f49c406510bdcab6824ee7c30fd852"));
}

/// MS-NLMP 4.2.4.3: user `User`, domain `Domain`, password `Password`, no message integrity code.
#[test]
fn ntlm_v2_example() {
    let vectors = Vectors::parse(include_str!("vectors/ntlm.txt"));
    let negotiate = [b"NTLMSSP\0\x01\0\0\0".as_slice(), &hex("358288e2"), &[0; 24]].concat();
    let begin = || {
        let names = TargetNames::standalone("Server");
        Exchange::begin(&negotiate, &names, vectors.array("server_challenge"), FileTime(0)).unwrap().0
    };
    let authenticate = vectors.get("authenticate");
    let (identity, login) =
        begin().finish(authenticate, &mut |_| Some(nt_hash("Password")), Strangers::default());
    let expected = Identity { user: "User".into(), domain: "Domain".into(), workstation: "COMPUTER".into() };
    assert_eq!(identity, Some(expected));
    let login = login.unwrap();
    assert_eq!(login.session_key.as_slice(), vectors.get("session_key"));
    assert!(login.signer.is_some());
    assert!(
        begin().finish(authenticate, &mut |_| Some(nt_hash("password")), Strangers::default()).1.is_err()
    );
    assert!(begin().finish(authenticate, &mut |_| None, Strangers::default()).1.is_err());
}

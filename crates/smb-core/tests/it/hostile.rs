//! Arbitrary and mutated bytes: every parser must end in an answer.

use proptest::prelude::*;
use smb_core::acceptor::{Acceptor, Judges, Step};
use smb_core::algorithm::{Cipher, SigningAlgorithm};
use smb_core::ntlm::{Identity, NtHash, Strangers, TargetNames, nt_hash};
use smb_core::sealing::Opener;
use smb_core::signing::{Role, Signer};
use smb_core::spnego;
use smb_core::wildcard::Pattern;
use smb_wire::time::FileTime;

use smb_raw::ntlm::Client;

fn acceptor() -> Acceptor {
    Acceptor::new(TargetNames::standalone("files"), [7; 8])
}

fn step(acceptor: &mut Acceptor, token: &[u8]) -> Step {
    let mut lookup = |_: &Identity| Some(nt_hash("correct horse"));
    acceptor.step(
        token,
        FileTime(1),
        &mut Judges { passwords: Some(&mut lookup), tickets: None, strangers: Strangers::default() },
    )
}

fn challenge() -> (Acceptor, Vec<u8>) {
    let mut acceptor = acceptor();
    match step(&mut acceptor, &Client::default().negotiate()) {
        Step::Continue(challenge) => (acceptor, challenge),
        Step::Done(_) | Step::Refused(_) => panic!("no challenge"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_tokens(tokens in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4)) {
        let mut acceptor = acceptor();
        for token in &tokens {
            prop_assert!(!matches!(step(&mut acceptor, token), Step::Done(_)));
        }
    }

    #[test]
    fn arbitrary_ntlm_messages(kind in 1u8..4, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let token = [b"NTLMSSP\0".as_slice(), &[kind, 0, 0, 0], &body].concat();
        prop_assert!(!matches!(step(&mut acceptor(), &token), Step::Done(_)));
        prop_assert!(!matches!(step(&mut challenge().0, &token), Step::Done(_)));
    }

    /// Every bit of an AUTHENTICATE with a message integrity code counts.
    #[test]
    fn edited_authenticate(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (mut acceptor, challenge) = challenge();
        let client = Client::default();
        let mut message = client.authenticate(&client.negotiate(), &challenge).message;
        let at = at.index(message.len());
        message[at] ^= 1 << bit;
        prop_assert!(!matches!(step(&mut acceptor, &message), Step::Done(_)), "byte {} bit {}", at, bit);
    }

    #[test]
    fn cut_authenticate(len in any::<prop::sample::Index>()) {
        let (mut acceptor, challenge) = challenge();
        let client = Client::default();
        let message = client.authenticate(&client.negotiate(), &challenge).message;
        let cut = &message[..len.index(message.len())];
        prop_assert!(!matches!(step(&mut acceptor, cut), Step::Done(_)));
    }

    #[test]
    fn arbitrary_der(tag in prop_oneof![Just(0x60u8), Just(0xa0), Just(0xa1)], body in prop::collection::vec(
        prop_oneof![any::<u8>(), Just(0x30u8), Just(0xa0), Just(0xa2), Just(0x04), Just(0x06), 0u8..20], 0..80)) {
        let _ = spnego::decode(&body);
        let token = [&[tag, body.len() as u8], &body[..]].concat();
        let _ = spnego::decode(&token);
    }

    #[test]
    fn arbitrary_messages_neither_verify_nor_open(mut message in prop::collection::vec(any::<u8>(), 0..200)) {
        for algorithm in SigningAlgorithm::PREFERENCE {
            prop_assert!(!Signer::new(algorithm, &[1; 16], Role::Server).verify(&message));
        }
        if message.len() >= 52 {
            message[..4].copy_from_slice(b"\xfdSMB");
            let size = (message.len() - 52) as u32;
            message[36..40].copy_from_slice(&size.to_le_bytes());
            message[42..52].copy_from_slice(&[1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        }
        for cipher in Cipher::PREFERENCE {
            let opener = Opener::new(cipher, &vec![1; cipher.key_len()], 9).unwrap();
            prop_assert!(opener.open(&mut message.clone()).is_err());
        }
    }

    #[test]
    fn arbitrary_patterns(pattern in any::<String>(), name in any::<String>()) {
        let _ = Pattern::new(&pattern).matches(&name);
        let longer = name + "x";
        prop_assert!(Pattern::new("*?").matches(&longer));
    }
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    assert_eq!(format!("{:?}", NtHash::from([0x41; 16])), "NtHash(..)");
}

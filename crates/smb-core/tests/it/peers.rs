//! Log-ins recorded from other implementations: pyspnego and impacket as clients of this acceptor, which
//! checked our answers (pyspnego the signed mechanism list too) and came to the same session key.

use smb_core::acceptor::{Acceptor, Judges, Step};
use smb_core::ntlm::{Identity, Strangers, TargetNames, nt_hash};
use smb_wire::time::FileTime;

use crate::vector_file::Vectors;

fn replay(vectors: &Vectors, password: &str) -> Option<[u8; 16]> {
    let mut acceptor = Acceptor::new(TargetNames::standalone("files.example.net"), [1, 2, 3, 4, 5, 6, 7, 8]);
    let mut step = |request| {
        let mut lookup = |identity: &Identity| {
            assert_eq!((identity.user.as_str(), identity.domain.as_str()), ("alice", "FAR"));
            Some(nt_hash(password))
        };
        let mut judges =
            Judges { passwords: Some(&mut lookup), tickets: None, strangers: Strangers::default() };
        acceptor.step(vectors.get(request), FileTime(133_500_000_000_000_000), &mut judges)
    };
    match step("request_1") {
        Step::Continue(token) => assert_eq!(token, vectors.get("reply_1")),
        Step::Done(_) | Step::Refused(_) => panic!("no challenge"),
    }
    match step("request_2") {
        Step::Done(established) => {
            assert_eq!(established.token, vectors.get("reply_2"));
            Some(established.session_key[..].try_into().unwrap())
        }
        Step::Refused(_) => None,
        Step::Continue(_) => panic!("goes on"),
    }
}

fn check(recording: &str) {
    let vectors = Vectors::parse(recording);
    assert_eq!(replay(&vectors, "correct horse"), Some(vectors.array("session_key")));
    assert_eq!(replay(&vectors, "correct horse "), None);
}

#[test]
fn pyspnego_without_spnego() {
    check(include_str!("vectors/pyspnego_raw.txt"));
}

#[test]
fn pyspnego_with_spnego() {
    check(include_str!("vectors/pyspnego_spnego.txt"));
}

#[test]
fn impacket_without_spnego() {
    check(include_str!("vectors/impacket_raw.txt"));
}

#[test]
fn impacket_with_spnego() {
    check(include_str!("vectors/impacket_spnego.txt"));
}

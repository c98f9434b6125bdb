//! A log-in: NTLM tokens, bare or in SPNEGO. No user gets in without a password; nobody does where that is allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smb_core::acceptor::{Acceptor, Judges, Step};
use smb_core::ntlm::{Identity, TargetNames, nt_hash};
use smb_wire::time::FileTime;

fuzz_target!(|tokens: Vec<&[u8]>| {
    let now = FileTime::from_unix(1_700_000_000, 0);
    for anonymous in [false, true] {
        let mut acceptor = Acceptor::new(TargetNames::standalone("far.example"), [7; 8]);
        for token in &tokens {
            let mut lookup = |_: &Identity| Some(nt_hash("never guessed"));
            let mut judges = Judges { passwords: Some(&mut lookup), tickets: None, anonymous };
            if let Step::Done(established) = acceptor.step(token, now, &mut judges) {
                let is_nobody = established.anonymous && established.identity.user.is_empty();
                assert!(anonymous && is_nobody, "a log-in without the password");
            }
        }
    }
});

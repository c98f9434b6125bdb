//! A log-in: NTLM tokens, bare or in SPNEGO. No user gets in without a password; nobody and guests do where that is
//! allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smb_core::acceptor::{Acceptor, Judges, Step};
use smb_core::ntlm::{Identity, Strangers, TargetNames, nt_hash};
use smb_wire::time::FileTime;

fuzz_target!(|tokens: Vec<&[u8]>| {
    let now = FileTime::from_unix(1_700_000_000, 0);
    for (anonymous, guests) in [(false, false), (true, false), (false, true)] {
        let strangers = Strangers { anonymous, guests };
        let mut acceptor = Acceptor::new(TargetNames::standalone("far.example"), [7; 8]);
        for token in &tokens {
            let mut lookup = |_: &Identity| Some(nt_hash("never guessed"));
            let mut judges = Judges { passwords: Some(&mut lookup), tickets: None, strangers };
            if let Step::Done(established) = acceptor.step(token, now, &mut judges) {
                let name = &established.identity.user;
                let is_nobody = anonymous && established.anonymous && name.is_empty();
                // Every other name is a user's.
                let is_guest = guests && established.guest && name.eq_ignore_ascii_case("guest");
                assert!(is_nobody || is_guest, "a log-in without the password");
            }
        }
    }
});

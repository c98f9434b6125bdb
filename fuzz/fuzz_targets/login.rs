//! A log-in: NTLM tokens, bare or in SPNEGO. Nobody gets in without a password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smb_core::acceptor::{Acceptor, Judges, Step};
use smb_core::ntlm::{Identity, TargetNames, nt_hash};
use smb_wire::time::FileTime;

fuzz_target!(|tokens: Vec<&[u8]>| {
    let mut acceptor = Acceptor::new(TargetNames::standalone("far.example"), [7; 8]);
    let now = FileTime::from_unix(1_700_000_000, 0);
    for token in tokens {
        let mut lookup = |_: &Identity| Some(nt_hash("never guessed"));
        let step = acceptor.step(token, now, &mut Judges { passwords: Some(&mut lookup), tickets: None });
        assert!(!matches!(step, Step::Done(_)), "a log-in without the password");
    }
});

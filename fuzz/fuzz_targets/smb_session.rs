//! The whole SMB server, driven by programs: connections and sessions of two users, every command, cut off and
//! bound and cancelled at any point. A panic in a handler ends the run: libFuzzer's hook comes before the server
//! catches it.
#![no_main]

#[path = "../../crates/front-smb/tests/it/machine/mod.rs"]
mod machine;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|program: &[u8]| machine::run(program));

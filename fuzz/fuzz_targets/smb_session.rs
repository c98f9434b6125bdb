//! The whole SMB server, driven by programs: connections and sessions of two users, every command, cut off and
//! bound and cancelled at any point. A panic in a handler ends the run: libFuzzer's hook comes before the server
//! catches it.
#![no_main]

#[path = "../../crates/front-smb/tests/it/machine/mod.rs"]
mod machine;

use libfuzzer_sys::fuzz_target;
use std::sync::Once;
use tokio::signal::unix::{SignalKind, signal};

/// Whoever writes to a client that is gone gets SIGPIPE, which ends a process whose `main` is libFuzzer's.
static PIPES: Once = Once::new();

fuzz_target!(|program: &[u8]| {
    PIPES.call_once(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _caught_from_now_on = runtime.block_on(async { signal(SignalKind::pipe()).expect("a handler") });
    });
    machine::run(program);
});

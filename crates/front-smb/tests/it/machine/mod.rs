//! The whole command machine, driven by programs of any bytes: connections and sessions of two users, bound,
//! ended, crossed with each other, every command in between.
//!
//! The same file serves the fuzzer (`fuzz/fuzz_targets/smb_session.rs`) and, with a few fixed programs, the tests.
//! What must hold is checked with every reply ([`world`]) and at the end ([`run`]): when all connections are gone
//! and time has passed, nothing is left open, locked or watched.

pub mod asks;
pub mod program;
pub mod world;

use front_smb::{Encryption, KnownUser, Server, ServerConfig, Share, Users};
use smb_core::ntlm::{NtHash, nt_hash};
use smb_raw::ntlm;
use std::sync::Arc;
use std::time::Duration;
use testkit::MemVolume;
use world::World;

/// Longer than any open is kept for its client.
const LONGER_THAN_ANYTHING: Duration = Duration::from_secs(1000);

/// Names of the two users, which are their passwords too.
pub const USERS: [&str; 2] = ["alice", "bob"];

pub const fn user(name: &'static str, password: &'static str) -> ntlm::Client {
    let session_key = [name.as_bytes()[0]; 16];
    ntlm::Client { session_key, ..ntlm::Client::new(name, "", password) }
}

struct Both;

impl Users for Both {
    fn nt_hash(&self, user: &str, _domain: &str) -> Option<NtHash> {
        USERS.contains(&user).then(|| nt_hash(user))
    }

    fn all(&self) -> Arc<[KnownUser]> {
        USERS.iter().zip(1000..).map(|(name, number)| KnownUser { name: (*name).into(), number }).collect()
    }

    fn are_known(&self) -> bool {
        true
    }

    fn number(&self, user: &str) -> Option<u32> {
        USERS.iter().position(|known| *known == user).map(|at| 1000 + at as u32)
    }
}

/// Runs one program against a server of its own. The first byte says how the server is set up.
///
/// # Panics
/// When something that must hold does not.
pub fn run(program: &[u8]) {
    let Some((how, steps)) = program.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread");
    runtime.block_on(run_steps(*how, &program::decode(steps)));
}

async fn run_steps(how: u8, steps: &[program::Step]) {
    let vfs = vfs::Vfs::new(MemVolume::new(), vfs::VfsConfig::default());
    testkit::ease::changes_are_told(|| vfs.freshness()).await;
    let mut config = ServerConfig::new(vec![([127, 0, 0, 1], 0).into()], Arc::new(Both));
    if how & 1 == 1 {
        config.encryption = Encryption::Desired;
    }
    config.compression = how & 2 == 2;
    let shares = vec![Share::new("share", vfs.clone())];
    let server = Server::start(config, shares).await.expect("a port on the loopback");
    let mut world = World::new(server.local_addrs()[0]);
    for step in steps {
        world.step(step).await;
    }
    world.settle_all().await;
    drop(world);
    ends_empty(&server, &vfs).await;
}

/// All connections are gone: so is everything that they had.
async fn ends_empty(server: &Server, vfs: &vfs::Vfs) {
    for _ in 0..1000 {
        if server.status().connections == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Opens may be kept for clients that come back; none did.
    tokio::time::sleep(LONGER_THAN_ANYTHING).await;
    let status = server.status();
    assert_eq!((status.connections, status.sessions, status.opens), (0, 0, 0), "left in the server");
    let left = vfs.opens();
    let counts = (left.opens, left.files, left.locks, left.watchers);
    assert_eq!(counts, (0, 0, 0, 0), "opens, files, locks, watchers left in the core");
    assert!(server.shutdown().await, "the server stops in time");
}

#[cfg(test)]
mod tests;

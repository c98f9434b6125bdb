//! Serves an in-memory share on 127.0.0.1:4451 (or the port given) to the users `user` and `user2` with the
//! password `pass`: for looking at the protocol without a disk.

use front_smb::{KnownUser, Server, ServerConfig, Share, Users};
use smb_core::ntlm::{NtHash, nt_hash};
use std::sync::Arc;

struct Two;

impl Users for Two {
    fn nt_hash(&self, user: &str, _domain: &str) -> Option<NtHash> {
        ["user", "user2"].iter().any(|known| user.eq_ignore_ascii_case(known)).then(|| nt_hash("pass"))
    }

    fn all(&self) -> Arc<[KnownUser]> {
        Arc::new(
            [("user", 1000), ("user2", 1001)].map(|(name, number)| KnownUser { name: name.into(), number }),
        )
    }

    fn are_known(&self) -> bool {
        true
    }

    fn number(&self, user: &str) -> Option<u32> {
        ["user", "user2"].iter().position(|known| user.eq_ignore_ascii_case(known)).map(|at| 1000 + at as u32)
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(4451);
    let vfs = vfs::Vfs::new(testkit::MemVolume::new(), vfs::VfsConfig::default());
    let config = ServerConfig::new(vec![([127, 0, 0, 1], port).into()], Arc::new(Two));
    let server = Server::start(config, vec![Share::new("share", vfs)]).await?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}

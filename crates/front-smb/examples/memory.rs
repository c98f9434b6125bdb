//! Serves an in-memory share on 127.0.0.1:4451 to the user `user` with the password `pass`: for looking at the
//! protocol without a disk.

use front_smb::{Server, ServerConfig, Share, Users};
use smb_core::ntlm::{NtHash, nt_hash};
use std::sync::Arc;

struct One;

impl Users for One {
    fn nt_hash(&self, user: &str, _domain: &str) -> Option<NtHash> {
        user.eq_ignore_ascii_case("user").then(|| nt_hash("pass"))
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let volume = testkit::MemVolume::new();
    let vfs = vfs::Vfs::new(volume, vfs::VfsConfig::default());
    let config = ServerConfig::new(vec![([127, 0, 0, 1], 4451).into()], Arc::new(One));
    let server = Server::start(config, vec![Share::new("share", vfs)]).await?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}

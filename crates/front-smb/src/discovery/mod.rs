//! Being found by machines nearby: multicast DNS for macOS and Linux desktops, WS-Discovery for Windows.
//!
//! Both go out on the interfaces that lead to other machines ([`crate::interfaces`]), and are off unless they are
//! wanted. A server that cannot be announced serves all the same.

mod mdns;
mod ws;

pub use mdns::DISK_NAME_MAX_BYTES;

use mdns::MulticastDns;
use std::net::SocketAddr;
use ws::WsDiscovery;

/// Who is announced, and how.
#[derive(Clone, Debug)]
pub struct Announced {
    /// `ServerConfig::server_name`
    pub server_name: String,
    /// `ServerConfig::server_guid`
    pub server_guid: [u8; 16],
    /// By multicast DNS.
    pub mdns: bool,
    /// By WS-Discovery.
    pub ws: bool,
    /// The shares that Macs may back up to, told by multicast DNS.
    pub disks: Vec<String>,
}

/// An announcement that lasts until it is ended.
pub struct Announcement {
    mdns: Option<MulticastDns>,
    ws: Option<WsDiscovery>,
}

impl Announcement {
    /// Announces a server that is reached over TCP at `listen`. Must be called inside a tokio runtime.
    pub fn start(announced: &Announced, listen: &[SocketAddr]) -> Announcement {
        let Announced { server_name, server_guid, mdns, ws, disks } = announced;
        let failed = |why: String| tracing::error!(why, "the SMB server is not announced by multicast DNS");
        let mdns =
            mdns.then(|| MulticastDns::start(server_name, listen, disks).map_err(failed).ok()).flatten();
        let ws = ws.then(|| WsDiscovery::start(server_name, *server_guid, listen.to_vec()));
        Announcement { mdns, ws }
    }

    /// Takes it back: who has heard of it is told that it is gone.
    pub async fn end(self) {
        let mdns = async {
            if let Some(mdns) = self.mdns {
                mdns.end().await;
            }
        };
        let ws = async {
            if let Some(ws) = self.ws {
                ws.end().await;
            }
        };
        tokio::join!(mdns, ws);
    }
}

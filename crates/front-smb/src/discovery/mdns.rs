//! Multicast DNS (RFC 6762, 6763), as macOS and Linux desktops look for file servers.
//!
//! Told are the service `_smb._tcp` with its port, and `_device-info._tcp`, which says what picture to show. Both under
//! the server's name; when another machine has that name already, the library takes the next one. Addresses are
//! those of interfaces that lead to other machines ([`crate::interfaces`]), and are followed while they change.

use crate::interfaces;
use mdns_sd::{IfKind, IfPredicate, ServiceDaemon, ServiceInfo};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const SMB: &str = "_smb._tcp.local.";
const DEVICE: &str = "_device-info._tcp.local.";
/// A server in a rack, as Apple's Finder draws it.
const MODEL: [(&str, &str); 1] = [("model", "RackMac")];
/// How long taking it back may take.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// An announcement that lasts until it is ended.
pub(super) struct MulticastDns {
    daemon: ServiceDaemon,
    names: Vec<String>,
}

impl MulticastDns {
    /// Announces the server `name`, which is reached at `listen`.
    ///
    /// # Errors
    /// What the system does not let happen.
    pub(super) fn start(name: &str, listen: &[SocketAddr]) -> Result<MulticastDns, String> {
        let Some(first) = listen.first() else {
            return Err("nothing to announce: no TCP address".to_owned());
        };
        let daemon = ServiceDaemon::new().map_err(|error| error.to_string())?;
        let inner = IfPredicate::new(|interface| {
            interface.is_loopback()
                || !interface.index.is_some_and(|index| interfaces::leads_out(&interface.name, index))
        });
        daemon.disable_interface(IfKind::Predicate(inner)).map_err(|error| error.to_string())?;
        let mut announcement = MulticastDns { daemon, names: Vec::new() };
        announcement.register(SMB, name, first.port(), &[], listen)?;
        announcement.register(DEVICE, name, 0, &MODEL, listen)?;
        Ok(announcement)
    }

    fn register(
        &mut self,
        service: &str,
        name: &str,
        port: u16,
        text: &[(&str, &str)],
        listen: &[SocketAddr],
    ) -> Result<(), String> {
        let host = format!("{name}.local.");
        let everywhere = listen.iter().any(|address| address.ip().is_unspecified());
        let addresses: Vec<IpAddr> = match everywhere {
            true => Vec::new(),
            false => listen.iter().map(SocketAddr::ip).collect(),
        };
        let info = ServiceInfo::new(service, name, &host, &addresses[..], port, text);
        let info = info.map_err(|error| error.to_string())?;
        let info = if everywhere { info.enable_addr_auto() } else { info };
        let full = info.get_fullname().to_owned();
        self.daemon.register(info).map_err(|error| error.to_string())?;
        self.names.push(full);
        Ok(())
    }

    /// Takes it back: who has heard of it is told that it is gone.
    pub(super) async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || {
            for name in &self.names {
                let gone = self.daemon.unregister(name).map_err(|error| error.to_string())?;
                gone.recv_timeout(END_PATIENCE).map_err(|error| error.to_string())?;
            }
            let down = self.daemon.shutdown().map_err(|error| error.to_string())?;
            down.recv_timeout(END_PATIENCE).map_err(|error| error.to_string())
        });
        match ended.await {
            Ok(Ok(_)) => {}
            // Then it runs out by itself, within two minutes.
            Ok(Err(why)) => tracing::warn!(why, "the announcement was not taken back"),
            Err(error) => tracing::error!(%error, "the announcement was not taken back"),
        }
    }
}

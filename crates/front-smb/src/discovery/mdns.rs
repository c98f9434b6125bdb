//! Multicast DNS (RFC 6762, 6763), as macOS and Linux desktops look for file servers.
//!
//! Told are the service `_smb._tcp` with its port, `_device-info._tcp`, which says what picture to show, and, where Macs
//! may back up to shares by Time Machine, `_adisk._tcp`, which names these. All under the server's name; when another
//! machine has that name already, the library takes the next one. Addresses are those of interfaces that lead to other
//! machines ([`crate::interfaces`]), and are followed while they change.

use crate::interfaces;
use mdns_sd::{IfKind, IfPredicate, ServiceDaemon, ServiceInfo};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const SMB: &str = "_smb._tcp.local.";
const DEVICE: &str = "_device-info._tcp.local.";
/// A server in a rack, as Apple's Finder draws it.
const MODEL: [(&str, &str); 1] = [("model", "RackMac")];
/// Disks to back up to, as Apple's clients look for them.
const DISKS: &str = "_adisk._tcp.local.";
/// Nobody connects to them: the port that discards (RFC 863).
const DISKS_PORT: u16 = 9;
/// Of the server: any of its addresses, disks that are found by name.
const DISKS_SYSTEM: (&str, &str) = ("sys", "waMa=0,adVF=0x100");
/// Of a disk: reached by SMB, for Time Machine.
const DISK_FLAGS: &str = "0x82";
/// Longest name of a share that is announced as a disk, bytes: one string of a TXT record holds 255.
pub const DISK_NAME_MAX_BYTES: usize = 200;
/// How long taking it back may take.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// An announcement that lasts until it is ended.
pub(super) struct MulticastDns {
    daemon: ServiceDaemon,
    names: Vec<String>,
}

impl MulticastDns {
    /// Announces the server `name`, which is reached at `listen`, and its shares that Macs may back up to.
    ///
    /// # Errors
    /// What the system does not let happen.
    pub(super) fn start(name: &str, listen: &[SocketAddr], disks: &[String]) -> Result<MulticastDns, String> {
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
        if !disks.is_empty() {
            let text = disks_text(disks);
            let text: Vec<_> = text.iter().map(|(key, value)| (&**key, &**value)).collect();
            announcement.register(DISKS, name, DISKS_PORT, &text, listen)?;
        }
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

/// What is said of shares that Macs may back up to.
fn disks_text(disks: &[String]) -> Vec<(String, String)> {
    let (key, value) = DISKS_SYSTEM;
    let disk =
        |(number, name): (usize, &String)| (format!("dk{number}"), format!("adVN={name},adVF={DISK_FLAGS}"));
    let mut text = vec![(key.to_owned(), value.to_owned())];
    text.extend(disks.iter().enumerate().map(disk));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_said_as_macs_read_them() {
        let said: Vec<_> = disks_text(&["Backups".into(), "Zwei".into()])
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let expect = ["sys=waMa=0,adVF=0x100", "dk0=adVN=Backups,adVF=0x82", "dk1=adVN=Zwei,adVF=0x82"];
        assert_eq!(said, expect);
        let longest = disks_text(&["x".repeat(DISK_NAME_MAX_BYTES)]);
        assert!(longest.iter().all(|(key, value)| key.len() + 1 + value.len() <= 255));
    }
}

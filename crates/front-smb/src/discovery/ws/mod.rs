//! WS-Discovery (April 2005, with SOAP over UDP) and the metadata exchange of DPWS, by which Windows Explorer fills its
//! network view.
//!
//! ```text
//! we:      Hello    multicast, when an interface comes        Bye, when the server ends
//! client:  Probe    multicast: who is there?          we: ProbeMatches to it alone, after a moment
//! client:  Resolve  multicast: where is this one?     we: ResolveMatches to it alone
//! client:  Get      HTTP to the address told          we: what we are: a computer of this name
//! ```
//!
//! Each interface has sockets of its own that are bound to it ([`cable`]): nothing comes in or goes out elsewhere.
//! Only machines nearby are answered, by their private or link-local address, each message once, and not more often
//! than [`limits::WS_ANSWERS_PER_SECOND`]: nobody makes this a reflector. What came is read in [`envelope`], what
//! goes is written in [`replies`], both without I/O.

mod cable;
mod envelope;
mod metadata;
mod replies;

use crate::interfaces::{self, Reached};
use crate::limits;
use cable::Cable;
use replies::Device;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where clients look for devices.
const PORT: u16 = 3702;
/// Where they ask what a device is.
const METADATA_PORT: u16 = 5357;

/// Announces the server until it is ended.
pub(super) struct WsDiscovery {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl WsDiscovery {
    /// `listen`: where SMB is served.
    pub(super) fn start(name: &str, guid: [u8; 16], listen: Vec<SocketAddr>) -> WsDiscovery {
        if !listen.iter().any(|address| address.port() == 445) {
            tracing::warn!("Windows will show the server, and not reach it: it knows no other port than 445");
        }
        let (stop, stopped) = watch::channel(false);
        let device = Arc::new(Device::new(name, guid));
        let task = tokio::spawn(follow(device, listen, stopped));
        WsDiscovery { stop, task }
    }

    /// Says goodbye.
    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        match tokio::time::timeout(limits::WS_END_PATIENCE, self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "WS-Discovery ended before its time"),
            Err(_) => tracing::warn!("WS-Discovery: the server goes without saying so"),
        }
    }
}

/// A responder on an interface.
struct Running {
    end: watch::Sender<()>,
    responder: JoinHandle<()>,
}

/// Tells them to end; returns when they have given back their ports.
async fn end(gone: impl Iterator<Item = Running>) {
    let (ends, responders): (Vec<_>, Vec<_>) = gone.map(|it| (it.end, it.responder)).unzip();
    drop(ends);
    for responder in responders {
        if let Err(error) = responder.await {
            tracing::error!(%error, "a responder of WS-Discovery ended before its time");
        }
    }
}

/// Keeps a responder on each interface as long as that is there with the same addresses.
async fn follow(device: Arc<Device>, listen: Vec<SocketAddr>, mut stopped: watch::Receiver<bool>) {
    let mut running: HashMap<Reached, Running> = HashMap::new();
    while !*stopped.borrow() {
        match present(&listen).await {
            Ok(present) => {
                // At its end before another begins: of an interface with other addresses both have the same port.
                let gone: Vec<_> = running.extract_if(|reached, _| !present.contains(reached)).collect();
                end(gone.into_iter().map(|(_, it)| it)).await;
                for reached in present {
                    let Entry::Vacant(place) = running.entry(reached) else { continue };
                    let (end, ended) = watch::channel(());
                    let serves = cable::serve(Arc::clone(&device), Cable::new(place.key()), ended);
                    place.insert(Running { end, responder: tokio::spawn(serves) });
                }
            }
            Err(error) => tracing::error!(error, "cannot ask the system for its network interfaces"),
        }
        tokio::select! {
            () = tokio::time::sleep(limits::WS_INTERFACES_FRESH) => {}
            // An error says that nobody is left who could ask for more.
            _ended = stopped.changed() => {}
        }
    }
    end(running.into_values()).await;
}

/// The interfaces to answer on, each with the addresses at which SMB is served there.
async fn present(listen: &[SocketAddr]) -> Result<Vec<Reached>, String> {
    let mut all = interfaces::reached(listen.to_vec()).await?;
    all.iter_mut().for_each(|reached| reached.addresses.retain(|address| is_near(*address)));
    all.retain(|reached| !reached.addresses.is_empty());
    Ok(all)
}

/// Whether an address is one of a network that ends before the Internet begins.
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_neighbours_are_near() {
        for near in
            ["10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.3.4", "fe80::1", "fd00::1", "::ffff:10.0.0.1"]
        {
            assert!(is_near(near.parse().unwrap()), "{near}");
        }
        for far in [
            "8.8.8.8",
            "172.32.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "0.0.0.0",
            "2001:db8::1",
            "::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_near(far.parse().unwrap()), "{far}");
        }
    }
}

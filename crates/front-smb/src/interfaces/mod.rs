//! Which addresses clients are told of for further channels (FSCTL_QUERY_NETWORK_INTERFACE_INFO, MS-SMB2
//! 2.2.32.5 and 3.3.5.15.11).
//!
//! ```text
//! system: what the kernel says of its interfaces  -> Facts
//! offer:  Facts, the operator's list, where the server listens, where the client came  -> the answer
//! ```
//!
//! Cables are pulled and addresses move while clients stay: the facts are asked for again when they are older
//! than [`limits::INTERFACES_FRESH`], and only when somebody asks. A client that asks every ten minutes, as Linux
//! does, sees what is there then.

mod offer;
mod system;

pub use offer::{InterfaceChoice, Named};

use crate::limits;
use crate::request::Request;
use offer::{Facts, Listening, offer};
use smb_wire::NtStatus;
use smb_wire::ioctl::network_interface::encode_network_interfaces;
use smb_wire::negotiate::Capabilities;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

/// What was last seen of the system's interfaces.
#[derive(Default)]
pub(crate) struct Interfaces {
    seen: Mutex<Option<(Instant, Arc<Facts>)>>,
}

impl Interfaces {
    /// As they are, or were a moment ago. Who comes while others are asking waits for their answer.
    async fn facts(&self) -> Result<Arc<Facts>, String> {
        let mut seen = self.seen.lock().await;
        if let Some((when, facts)) = &*seen
            && when.elapsed() < limits::INTERFACES_FRESH
        {
            return Ok(Arc::clone(facts));
        }
        // Each interface costs a few small files, and a machine full of containers has thousands.
        let read = tokio::task::spawn_blocking(system::read).await.map_err(|error| error.to_string())?;
        let facts = Arc::new(read.map_err(|error| error.to_string())?);
        *seen = Some((Instant::now(), Arc::clone(&facts)));
        Ok(facts)
    }
}

/// Whether an interface leads to other machines. Asks the system each time.
pub(crate) fn leads_out(name: &str, index: u32) -> bool {
    offer::leads_out(&system::link(name, index))
}

/// An interface that leads to other machines, and the addresses at which the server is reached there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Reached {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) addresses: Vec<IpAddr>,
}

/// Those interfaces of a server that is bound to these addresses. Asks the system each time.
pub(crate) async fn reached(bound: Vec<SocketAddr>) -> Result<Vec<Reached>, String> {
    let read = tokio::task::spawn_blocking(system::read).await.map_err(|error| error.to_string())?;
    let facts = read.map_err(|error| error.to_string())?;
    let leads_out = facts.links.into_iter().filter(|link| link.up && offer::leads_out(link));
    let reached = leads_out.map(|link| {
        let addresses =
            link.addresses.into_iter().filter(|address| offer::reaches(&bound, *address)).collect();
        Reached { name: link.name, index: link.index, addresses }
    });
    Ok(reached.filter(|reached| !reached.addresses.is_empty()).collect())
}

/// The answer's output buffer.
pub(crate) async fn answer(request: &Request, room: usize) -> Result<Vec<u8>, NtStatus> {
    let connection = &request.connection;
    let agreed = connection.negotiated.get().is_some_and(|agreement| {
        // Agreed with 3.0 and later alone.
        agreement.capabilities.contains(Capabilities::MULTI_CHANNEL)
    });
    if !agreed {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let server = &connection.server;
    let facts = server.interfaces.facts().await.map_err(|error| {
        tracing::error!(error, "cannot ask the system for its network interfaces");
        NtStatus::INSUFFICIENT_RESOURCES
    })?;
    let listening = Listening { bound: server.bound_to(connection.kind), local: connection.local };
    let mut offered = offer(&facts, server.config.interfaces.as_deref(), listening);
    if offered.len() > limits::INTERFACES_MAX {
        tracing::warn!(addresses = offered.len(), "more addresses than are told to clients");
        offered.truncate(limits::INTERFACES_MAX);
    }
    let mut output = Vec::new();
    if !encode_network_interfaces(&offered, room, &mut output) {
        return Err(NtStatus::BUFFER_TOO_SMALL);
    }
    Ok(output)
}

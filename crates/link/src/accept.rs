//! Accepting connections.

use crate::greet::accepted;
use crate::half_open::Place;
use crate::node::Shared;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Pause after a failure of accept itself (out of file descriptors).
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the node stops.
pub(crate) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopped() => return,
        };
        match accepted {
            Ok((tcp, from)) => match shared.half_open.enter(from.ip()) {
                Some(place) => shared.spawn(welcome(shared.clone(), tcp, from, place)),
                None => tracing::warn!(%from, "too many connections in their handshake; closed"),
            },
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn welcome(shared: Arc<Shared>, tcp: TcpStream, from: SocketAddr, half_open: Place) {
    let handshake = tokio::time::timeout(shared.config.handshake_timeout, accepted(&shared, tcp));
    let greeted = tokio::select! {
        greeted = handshake => greeted.unwrap_or_else(|_| Err("no greeting in time".into())),
        () = shared.stopped() => return,
    };
    drop(half_open);
    match greeted {
        // Its end is logged where the peer's state forgets it.
        Ok(greeted) => drop(greeted.live(&shared).await),
        Err(reason) => tracing::warn!(%from, reason, "connection refused"),
    }
}

//! Settings of a node and the limits it keeps.

use crate::{LinkError, certs};
use std::net::SocketAddr;
use std::time::Duration;

/// Bulk connections to a peer when one of the two kernels has no BBR.
pub const BULK_CONNECTIONS_WITHOUT_BBR: usize = 8;
/// Bulk connections to a peer when both kernels have BBR.
pub const BULK_CONNECTIONS_WITH_BBR: usize = 4;
/// Most bulk connections a peer may open.
pub const MAX_BULK_CONNECTIONS: usize = 64;
/// Connections that have not finished their handshake; further ones are closed at once.
pub const MAX_HALF_OPEN: usize = 256;
/// Connections of one address (of one /64 in IPv6) that have not finished their handshake; further ones are closed at
/// once, so that others find room. Peers come again soon.
pub const MAX_HALF_OPEN_PER_ADDRESS: usize = 16;
/// Calls of one peer that may wait for answers; further callers wait.
pub const MAX_PENDING_CALLS: usize = 4096;
/// Bytes of requests kept for sending again, per peer; further callers wait.
pub const MAX_PENDING_BYTES: usize = 64 * 1024 * 1024;
/// Calls accepted from one peer and not yet answered; further ones are refused. Twice what a peer keeps pending,
/// because calls that it gave up may still run.
pub const MAX_SERVED_CALLS: usize = 2 * MAX_PENDING_CALLS;
/// Bytes of requests accepted from one peer and not yet answered; further ones are refused.
pub const MAX_SERVED_BYTES: usize = 2 * MAX_PENDING_BYTES;
/// Interactive calls of one peer that execute at once; further ones wait for their turn.
pub const MAX_RUNNING_INTERACTIVE: usize = 1024;
/// Bulk calls of one peer that execute at once; further ones wait for their turn.
pub const MAX_RUNNING_BULK: usize = 128;
/// Answers of `Once` calls kept for a peer; further `Once` calls are refused.
pub const MAX_KEPT_ANSWERS: usize = 65_536;
/// Bytes of answers of `Once` calls kept for a peer; further `Once` calls are refused.
pub const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of messages queued to a peer and not yet written, per class; further senders wait.
pub const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of notifications queued to a peer and not yet written; further ones are lost (the peer sees a new session).
pub const MAX_QUEUED_NOTICE_BYTES: usize = 4 * 1024 * 1024;

/// How a node listens, dials and waits.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Where to accept connections, if at all.
    pub listen: Option<SocketAddr>,
    /// Whom to dial: site name and `host:port`. One direction between two sites is enough.
    pub dial: Vec<(String, String)>,
    /// Bulk connections per dialed peer, at most [`MAX_BULK_CONNECTIONS`]; 0 decides by the congestion control of
    /// both kernels ([`BULK_CONNECTIONS_WITH_BBR`], [`BULK_CONNECTIONS_WITHOUT_BBR`]). One interactive connection
    /// comes on top.
    pub connections: usize,
    /// Use BBR when the kernel has it.
    pub bbr: bool,
    /// TCP connect, TLS and greeting must be done within this time.
    pub handshake_timeout: Duration,
    /// Who connects must begin TLS within this time: it needs no round trip that the connection did not need.
    pub hello_timeout: Duration,
    /// One attempt to connect by TCP. Short, so that a returned link is noticed soon.
    pub connect_timeout: Duration,
    /// Silence after which a waiting connection is probed, and time between probes.
    pub probe_interval: Duration,
    /// Probes without any sign of life after which a connection is dead.
    pub probes_missed: u32,
    /// Time between probes of a connection on which nothing waits.
    pub idle_interval: Duration,
    /// First wait before dialing again; doubles up to `backoff_max`, less a random part.
    pub backoff_min: Duration,
    /// Longest wait before dialing again.
    pub backoff_max: Duration,
    /// How long after the loss of the last connection calls wait before they fail with `Down`.
    pub down_grace: Duration,
    /// How long a shutdown waits for calls in progress.
    pub drain_timeout: Duration,
    /// Protocol versions spoken, lowest and highest. Narrow it only to test refusals.
    pub versions: (u16, u16),
}

impl Default for LinkConfig {
    fn default() -> LinkConfig {
        LinkConfig {
            listen: None,
            dial: Vec::new(),
            connections: 0,
            bbr: true,
            handshake_timeout: Duration::from_secs(10),
            hello_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(2),
            probe_interval: Duration::from_secs(1),
            probes_missed: 2,
            idle_interval: Duration::from_secs(15),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            down_grace: Duration::from_secs(3),
            drain_timeout: Duration::from_secs(10),
            versions: (crate::hello::VERSION_MIN, crate::hello::VERSION_MAX),
        }
    }
}

impl LinkConfig {
    /// Refuses settings that cannot work. `own` is the node's site.
    pub(crate) fn check(&self, own: &str) -> Result<(), LinkError> {
        let refuse = |text: String| Err(LinkError::Config(text));
        for (at, (site, address)) in self.dial.iter().enumerate() {
            certs::check_site_name(site)?;
            if site == own {
                return refuse(format!("dial = {site}={address}: this is the node's own site"));
            }
            if self.dial[..at].iter().any(|(earlier, _)| earlier == site) {
                return refuse(format!("dial names the site {site} twice; one address each"));
            }
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                return refuse(format!("dial = {site}={address}: the address must be host:port"));
            }
        }
        if self.connections > MAX_BULK_CONNECTIONS {
            return refuse(format!("{} bulk connections; at most {MAX_BULK_CONNECTIONS}", self.connections));
        }
        if self.versions.0 > self.versions.1 {
            return refuse(format!("versions {}..={} is empty", self.versions.0, self.versions.1));
        }
        let times = [
            self.handshake_timeout,
            self.hello_timeout,
            self.connect_timeout,
            self.probe_interval,
            self.idle_interval,
        ];
        if times.iter().chain([&self.backoff_min, &self.backoff_max]).any(Duration::is_zero) {
            return refuse("timeouts and intervals must be longer than zero".into());
        }
        Ok(())
    }
}

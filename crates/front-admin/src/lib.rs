//! The way in for whoever runs a node: what it is doing, and the few things it can be told.
//!
//! One small HTTP/1.1 + JSON interface, reached two ways. Over the unix socket `<state>/admin.sock` (mode
//! 0600, and the caller's uid is looked at once more) everything is allowed: `farshare status`, `stop`,
//! `reload` and `cache` use it through [`Client`]. Over TCP, if configured, reading is open to loopback and
//! needs the token elsewhere; changing anything needs the token everywhere.
//!
//! | request | answer |
//! |---|---|
//! | `GET /health` | 200 when everything serves, 503 with the reasons when something does not |
//! | `GET /status` | [`Status`] as JSON |
//! | `GET /metrics` | the same figures in the Prometheus text format |
//! | `POST /stop` | starts draining; the answer comes before the node ends |
//! | `POST /reload` | [`Reloaded`] |
//! | `POST /mirror/pause`, `resume`, `retry`, `resync`, `verify` (all below `/mirror/`) | takes [`MirrorRequest`] |
//! | `POST /cache/stat`, `pin`, `unpin`, `warm`, `evict`, `flush` (all below `/cache/`) | takes [`CacheRequest`] |
//!
//! This crate knows HTTP and these values only; the binary implements [`Control`].

mod client;
mod control;
mod metrics;
mod routes;
mod server;
mod status;

pub use client::{Client, ClientError};
pub use control::{CacheAction, CacheRequest, Control, Done, MirrorAction, MirrorRequest, Refused, Reloaded};
pub use metrics::render as render_metrics;
pub use server::{ADMIN_CONNECTIONS_MAX, REQUEST_PATIENCE, Server, ServerConfig, Token};
pub use status::{
    AlertChannelStatus, AlertStatus, AlertsStatus, CacheStatus, ComparingStatus, FreshnessStatus, LinkStatus,
    MirrorStatus, MountStatus, PeerStatus, QuotaStatus, SessionStatus, ShareStatus, SmbStatus, Status,
    VolumeStatus,
};

//! What a node says of itself: plain values that travel as JSON. Adding a field is compatible, renaming or
//! removing one is not. No secret has a place here.

use serde::{Deserialize, Serialize};

/// The whole of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// `[node] name`.
    pub node: String,
    /// farshare's version.
    pub version: String,
    pub pid: u32,
    pub uptime_seconds: u64,
    pub volumes: Vec<VolumeStatus>,
    /// `None` without a `[link]` section.
    pub link: Option<LinkStatus>,
    /// What `[fuse.NAME]` mounts.
    pub mounts: Vec<MountStatus>,
    /// `None` without an `[smb]` section.
    pub smb: Option<SmbStatus>,
    /// `None` without an `[alerts]` section.
    pub alerts: Option<AlertsStatus>,
}

/// One volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeStatus {
    pub name: String,
    /// The origin's URL as configured; it holds no password.
    pub origin: String,
    pub freshness: FreshnessStatus,
    /// Why it is not served: its origin was never reached so far.
    pub waiting: Option<String>,
    /// Acknowledged to a client and not yet at the origin, bytes. Zero while writes go through.
    pub unsent_bytes: u64,
    /// `None` without a cache.
    pub cache: Option<CacheStatus>,
    /// `None` where this node keeps no quotas of users for it.
    pub quotas: Option<QuotaStatus>,
    /// Nodes that may use this volume over the link.
    pub allow: Vec<String>,
    /// Where its changes go.
    pub mirrors: Vec<MirrorStatus>,
    /// Room that the log of changes for them takes, bytes; `None` where there is none.
    pub mirror_log_bytes: Option<u64>,
}

/// A mirror of a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MirrorStatus {
    pub name: String,
    pub to: String,
    /// `connecting`, `away`, `full`, `failed`, `paused`, `catching up` or `live`.
    pub state: String,
    /// Why it is away, full or failed.
    pub error: Option<String>,
    /// Changes that it lacks.
    pub behind_changes: u64,
    /// How old the oldest of them is, milliseconds.
    pub behind_ms: u64,
    /// Steps that were done there since the start.
    pub sent_steps: u64,
    /// Names that are given up until `farshare retry`, each with its error.
    pub parked: Vec<(String, String)>,
    /// What it cannot hold.
    pub not_kept: Vec<String>,
    /// How often it was found changed by somebody else.
    pub diverged: u64,
    /// While it catches up.
    pub comparing: Option<ComparingStatus>,
}

/// A comparison under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ComparingStatus {
    pub below: String,
    pub looked_at: u64,
    pub sent_files: u64,
    pub sent_bytes: u64,
    pub removed: u64,
    pub seconds: u64,
}

/// How fresh what a volume tells is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FreshnessStatus {
    /// `direct`, `leased`, `notified`, `polled`, `offline` or `unknown`.
    pub word: String,
    /// With `polled`: how long an answer is believed, milliseconds.
    pub every_ms: Option<u64>,
    /// With `offline`: since when, seconds since 1970.
    pub since_unix: Option<u64>,
}

/// Quotas of a volume's users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaStatus {
    /// It is known who has how much.
    pub tracked: bool,
    /// And nobody gets beyond a limit.
    pub enforced: bool,
    /// It is being counted who has how much.
    pub counting: bool,
    /// Others changed the tree since it was counted.
    pub doubtful: bool,
}

/// A volume's cache on this node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheStatus {
    pub path: String,
    /// Room it may take, bytes.
    pub limit_bytes: u64,
    /// Room it takes, bytes.
    pub used_bytes: u64,
    /// Files of which some content is kept.
    pub files: u64,
    /// Paths that eviction leaves alone.
    pub pinned: u64,
    /// Bytes asked for that were here.
    pub hit_bytes: u64,
    /// Bytes asked for that had to be fetched.
    pub miss_bytes: u64,
    /// Names and attributes answered from here.
    pub name_hits: u64,
    /// Names and attributes asked of the origin.
    pub name_misses: u64,
    /// Bytes dropped to make room.
    pub evicted_bytes: u64,
    /// Why content passes through without being stored, while it does.
    pub degraded: Option<String>,
}

/// The site link of this node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkStatus {
    /// Where peers may dial in.
    pub listen: Option<String>,
    pub peers: Vec<PeerStatus>,
}

/// Another node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerStatus {
    pub name: String,
    pub up: bool,
    /// Up or down since then, seconds since 1970.
    pub since_unix: u64,
    /// Why it is down, or was the last time.
    pub why: Option<String>,
    /// Smoothed round-trip time, microseconds.
    pub rtt_micros: Option<u64>,
    /// TCP connections that carry it now.
    pub connections: u32,
    /// Congestion control in use (`bbr`, `cubic`).
    pub congestion: Option<String>,
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountStatus {
    pub name: String,
    pub volume: String,
    pub at: String,
    pub read_only: bool,
    /// `mounted`, `waiting` (its volume does not answer yet), `unmounted` (by somebody else) or `failed`.
    pub state: String,
    /// Why it waits or has failed.
    pub why: Option<String>,
}

/// The SMB server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmbStatus {
    pub listen: Vec<String>,
    pub connections: u64,
    pub sessions: u64,
    pub opens: u64,
    pub login_failures: u64,
    /// Content that clients read, bytes.
    pub read_bytes: u64,
    /// Content that clients wrote, bytes.
    pub written_bytes: u64,
    pub shares: Vec<ShareStatus>,
    pub users: Vec<SessionStatus>,
}

/// One user logged in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionStatus {
    pub user: String,
    /// As MS-SMB2 writes it: `3.1.1`.
    pub dialect: String,
    pub encrypted: bool,
    pub opens: u64,
}

/// One share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShareStatus {
    pub name: String,
    pub volume: String,
    pub read_only: bool,
}

/// Whom the node tells of serious errors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertsStatus {
    /// What is wrong now, the gravest first.
    pub open: Vec<AlertStatus>,
    pub channels: Vec<AlertChannelStatus>,
}

/// Something that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertStatus {
    /// What goes on under this name is told once.
    pub key: String,
    /// `warning`, `error` or `critical`.
    pub severity: String,
    pub text: String,
    pub since_unix: u64,
    /// Whether it lasted long enough to be told.
    pub told: bool,
}

/// A way to people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertChannelStatus {
    pub name: String,
    /// Whether the last attempt failed.
    pub failing: bool,
    /// Messages that wait.
    pub waiting: u64,
    pub last_sent_unix: Option<u64>,
    pub last_error_unix: Option<u64>,
    pub last_error: Option<String>,
    /// Messages that were given up.
    pub lost: u64,
}

impl Status {
    /// Why this node does not serve all it should; empty when it does.
    pub fn complaints(&self) -> Vec<String> {
        let offline = self.volumes.iter().filter(|volume| volume.freshness.word == "offline").map(|volume| {
            let VolumeStatus { name, origin, .. } = volume;
            match &volume.waiting {
                Some(why) => format!("volume {name}: not served, its origin was never reached: {why}"),
                None => format!("volume {name}: its origin {origin} is out of reach"),
            }
        });
        let down = self.link.iter().flat_map(|link| &link.peers).filter(|peer| !peer.up).map(|peer| {
            let why = peer.why.as_deref().unwrap_or("not connected yet");
            format!("peer {}: down ({why})", peer.name)
        });
        let unmounted = self.mounts.iter().filter(|mount| mount.state != "mounted").map(|mount| {
            let MountStatus { name, at, state, .. } = mount;
            match &mount.why {
                Some(why) => format!("mount {name}: not at {at}, {state}: {why}"),
                None => format!("mount {name}: not at {at}, {state}"),
            }
        });
        let mirrors = self
            .volumes
            .iter()
            .flat_map(|volume| volume.mirrors.iter().filter_map(|mirror| mirror.complaint(&volume.name)));
        offline.chain(down).chain(unmounted).chain(mirrors).collect()
    }
}

impl MirrorStatus {
    fn complaint(&self, volume: &str) -> Option<String> {
        let MirrorStatus { name, state, parked, .. } = self;
        let why = self.error.as_deref().unwrap_or("no reason is known");
        match state.as_str() {
            "away" | "full" | "failed" => Some(format!("mirror {name} of {volume}: {state}: {why}")),
            _ if !parked.is_empty() => {
                let mend = format!("see `farshare tasks {name}`, then `farshare retry {volume} {name}`");
                Some(format!("mirror {name} of {volume}: {} names are given up; {mend}", parked.len()))
            }
            _ => None,
        }
    }
}

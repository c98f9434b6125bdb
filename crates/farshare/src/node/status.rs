//! What the node says of itself.

use super::{Node, Served};
use front_admin::{
    CacheStatus, FreshnessStatus, LinkStatus, PeerStatus, SessionStatus, ShareStatus, SmbStatus, Status,
    VolumeStatus,
};
use link::LinkState;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use volume::Freshness;

impl Node {
    /// Everything, at this moment.
    pub(super) fn look(&self) -> Status {
        Status {
            node: self.config().name.0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            volumes: self.volumes.iter().map(volume_status).collect(),
            link: self.link.as_ref().map(|link| self.link_status(link)),
            smb: self.smb.as_ref().map(|smb| self.smb_status(smb)),
        }
    }

    fn link_status(&self, link: &link::Node) -> LinkStatus {
        let listen = link.local_addr().map(|address| address.to_string());
        LinkStatus { listen, peers: self.peers().iter().map(|name| peer_status(link, name)).collect() }
    }

    fn smb_status(&self, server: &front_smb::Server) -> SmbStatus {
        let now = server.status();
        let shares = self.config().smb.map(|smb| smb.shares).unwrap_or_default();
        let share = |share: crate::config::ShareSettings| ShareStatus {
            name: share.name,
            volume: share.volume,
            read_only: share.read_only,
        };
        let session = |session: front_smb::SessionStatus| SessionStatus {
            user: session.user,
            dialect: session.dialect,
            encrypted: session.encrypted,
            opens: session.opens as u64,
        };
        SmbStatus {
            listen: server.local_addrs().iter().map(ToString::to_string).collect(),
            connections: now.connections as u64,
            sessions: now.sessions as u64,
            opens: now.opens as u64,
            login_failures: now.logon_failures,
            read_bytes: now.read_bytes,
            written_bytes: now.written_bytes,
            shares: shares.into_iter().map(share).collect(),
            users: now.users.into_iter().map(session).collect(),
        }
    }
}

fn volume_status(served: &Served) -> VolumeStatus {
    let freshness = match &served.stack.cache {
        Some(cache) => cache.freshness(),
        None => served.vfs.freshness().unwrap_or(Freshness::Direct),
    };
    VolumeStatus {
        name: served.settings.name.clone(),
        origin: served.settings.origin.to_string(),
        freshness: freshness_status(freshness),
        // Writes go through: what is acknowledged, the origin has.
        unsent_bytes: 0,
        cache: cache_status(served),
        allow: served.settings.allow.iter().map(|peer| peer.0.clone()).collect(),
    }
}

/// The cache of a volume, if it has one.
pub(super) fn cache_status(served: &Served) -> Option<CacheStatus> {
    let stats = served.stack.cache.as_ref()?.stats();
    let settings = served.settings.cache.as_ref()?;
    Some(CacheStatus {
        path: settings.directory.display().to_string(),
        limit_bytes: stats.limit,
        used_bytes: stats.size,
        files: stats.files,
        pinned: stats.pins.len() as u64,
        hit_bytes: stats.hit_bytes,
        miss_bytes: stats.miss_bytes,
        name_hits: stats.meta_hits,
        name_misses: stats.meta_misses,
        evicted_bytes: stats.evicted_bytes,
        degraded: stats.degraded,
    })
}

fn freshness_status(freshness: Freshness) -> FreshnessStatus {
    let word = |word: &str| FreshnessStatus { word: word.to_owned(), ..FreshnessStatus::default() };
    match freshness {
        Freshness::Direct => word("direct"),
        Freshness::Leased => word("leased"),
        Freshness::Notified => word("notified"),
        Freshness::Polled { every } => {
            FreshnessStatus { every_ms: Some(every.as_millis() as u64), ..word("polled") }
        }
        Freshness::Offline { since } => FreshnessStatus { since_unix: Some(unix(since)), ..word("offline") },
    }
}

fn peer_status(link: &link::Node, name: &str) -> PeerStatus {
    let link = link.link(name);
    let stats = link.stats();
    let state = link.state().borrow().clone();
    let (up, since, why) = match state {
        LinkState::Up { since, .. } => (true, since, None),
        LinkState::Down { since, why } => (false, since, Some(why)),
    };
    PeerStatus {
        name: name.to_owned(),
        up,
        since_unix: unix(SystemTime::now() - Instant::now().saturating_duration_since(since)),
        why,
        rtt_micros: (!stats.rtt.is_zero()).then_some(stats.rtt.as_micros() as u64),
        connections: stats.connections as u32,
        congestion: (!stats.congestion.is_empty()).then_some(stats.congestion),
        sent_bytes: stats.bytes_out,
        received_bytes: stats.bytes_in,
    }
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

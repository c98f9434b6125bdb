//! What the node says of itself.

use super::Node;
use super::places::{Place, Served};
use crate::config::Config;
use front_admin::{
    AlertChannelStatus, AlertStatus, AlertsStatus, CacheStatus, ComparingStatus, FreshnessStatus, LinkStatus,
    MirrorStatus, PeerStatus, QuotaStatus, SessionStatus, ShareStatus, SmbStatus, Status, VolumeStatus,
};
use link::LinkState;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use volume::{Freshness, QuotaFlags};

impl Node {
    /// Everything, at this moment.
    pub(super) fn look(&self) -> Status {
        let config = self.config();
        Status {
            node: config.name.0.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            volumes: self.volumes.iter().map(|place| volume_status(place, &config)).collect(),
            link: self.link.as_ref().map(|link| self.link_status(&link.peers.node)),
            mounts: self.mounts.iter().map(|mount| mount.status()).collect(),
            smb: self.smb.as_ref().map(|smb| self.smb_status(smb)),
            alerts: self.alerts.as_ref().map(|alerts| alerts_status(alerts.status())),
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
        let tcp = server.local_addrs().iter().map(ToString::to_string);
        let quic = server.quic_addrs().iter().map(|address| format!("{address} (QUIC)"));
        SmbStatus {
            listen: tcp.chain(quic).collect(),
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

fn volume_status(place: &Place, config: &Config) -> VolumeStatus {
    let waiting = place.waiting();
    let freshness = match (place.served.get(), &waiting) {
        (Some(served), _) => freshness_of(served),
        (None, waiting) => {
            let since = waiting.as_ref().map_or(UNIX_EPOCH, |waiting| waiting.since);
            Freshness::Offline { since }
        }
    };
    let allow = config.volume(place.name()).map(|volume| volume.allow.as_slice()).unwrap_or_default();
    let mirrors = place.served.get().and_then(|served| served.stack.mirrors.clone());
    VolumeStatus {
        name: place.name().to_owned(),
        origin: place.settings.origin.to_string(),
        freshness: freshness_status(freshness),
        waiting: waiting.map(|waiting| waiting.why),
        // Writes go through: what is acknowledged, the origin has.
        unsent_bytes: 0,
        cache: cache_status(place),
        quotas: quota_status(place),
        allow: allow.iter().map(|peer| peer.0.clone()).collect(),
        mirrors: mirrors.iter().flat_map(|mirrors| mirrors.status()).map(mirror_status).collect(),
        mirror_log_bytes: mirrors.as_ref().map(|mirrors| mirrors.log_bytes()),
    }
}

fn mirror_status(mirror: layer_mirror::MirrorStatus) -> MirrorStatus {
    let age = |since: volume::Time| volume::Time::now().0.saturating_sub(since.0) / 1_000_000;
    MirrorStatus {
        name: mirror.name,
        to: mirror.to,
        state: mirror.state.name().to_owned(),
        error: mirror.error,
        behind_changes: mirror.behind,
        behind_ms: mirror.behind_since.map_or(0, age),
        sent_steps: mirror.sent,
        parked: mirror.parked,
        not_kept: mirror.lacks.into_iter().map(str::to_owned).collect(),
        diverged: mirror.diverged,
        comparing: mirror.comparing.map(|comparing| ComparingStatus {
            below: comparing.below,
            looked_at: comparing.looked_at,
            sent_files: comparing.sent,
            sent_bytes: comparing.bytes,
            removed: comparing.removed,
            seconds: comparing.seconds,
        }),
    }
}

fn freshness_of(served: &Served) -> Freshness {
    match &served.stack.cache {
        Some(cache) => cache.freshness(),
        None => served.vfs.freshness().unwrap_or(Freshness::Direct),
    }
}

fn quota_status(place: &Place) -> Option<QuotaStatus> {
    let flags = place.served.get()?.stack.quotas.as_ref()?.rules().flags;
    Some(QuotaStatus {
        tracked: flags.contains(QuotaFlags::TRACK),
        enforced: flags.contains(QuotaFlags::ENFORCE),
        counting: flags.contains(QuotaFlags::REBUILDING),
        doubtful: flags.contains(QuotaFlags::INCOMPLETE),
    })
}

/// The cache of a volume, if it has one.
pub(super) fn cache_status(place: &Place) -> Option<CacheStatus> {
    let stats = place.served.get()?.stack.cache.as_ref()?.stats();
    let settings = place.settings.cache.as_ref()?;
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

fn alerts_status(now: alerts::AlertStatus) -> AlertsStatus {
    let open = |open: alerts::OpenIncident| AlertStatus {
        key: open.key,
        severity: open.severity.name().to_owned(),
        text: open.text,
        since_unix: unix(open.since),
        told: open.told,
    };
    let channel = |channel: alerts::ChannelStatus| AlertChannelStatus {
        name: channel.name,
        failing: channel.failing,
        waiting: channel.waiting as u64,
        last_sent_unix: channel.last_sent.map(unix),
        last_error_unix: channel.last_error.as_ref().map(|(at, _)| unix(*at)),
        last_error: channel.last_error.map(|(_, why)| why),
        lost: channel.lost,
    };
    AlertsStatus {
        open: now.open.into_iter().map(open).collect(),
        channels: now.channels.into_iter().map(channel).collect(),
    }
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

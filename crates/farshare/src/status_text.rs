//! `farshare status` for people. Ages instead of dates: nobody has to think of time zones.

use crate::config::Size;
use front_admin::{
    AlertStatus, AlertsStatus, CacheStatus, FreshnessStatus, LinkStatus, MirrorStatus, MountStatus,
    PeerStatus, QuotaStatus, SmbStatus, Status, VolumeStatus,
};
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The page, ended by a line end. `now` is the reader's clock.
pub fn render(status: &Status, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut page = String::new();
    let up = age(status.uptime_seconds);
    let mut line = |text: String| {
        page.push_str(text.trim_end());
        page.push('\n');
    };
    line(format!("{}: farshare {}, pid {}, up {up}", status.node, status.version, status.pid));
    for volume in &status.volumes {
        line(String::new());
        volume_lines(volume, now).into_iter().for_each(&mut line);
    }
    if let Some(link) = &status.link {
        line(String::new());
        link_lines(link, now).into_iter().for_each(&mut line);
    }
    if !status.mounts.is_empty() {
        line(String::new());
    }
    status.mounts.iter().map(mount_line).for_each(&mut line);
    if let Some(smb) = &status.smb {
        line(String::new());
        smb_lines(smb).into_iter().for_each(&mut line);
    }
    if let Some(alerts) = &status.alerts {
        line(String::new());
        alerts_lines(alerts, now).into_iter().for_each(&mut line);
    }
    let complaints = status.complaints();
    if !complaints.is_empty() {
        line(String::new());
    }
    complaints.into_iter().for_each(|complaint| line(format!("! {complaint}")));
    page
}

/// One volume's cache, for `farshare cache stat`.
pub fn cache_lines(cache: &CacheStatus) -> Vec<String> {
    let mut kept =
        format!("{} of {} in {} files", Size(cache.used_bytes), Size(cache.limit_bytes), cache.files);
    if cache.pinned > 0 {
        let _ = write!(kept, ", {} pinned paths", cache.pinned);
    }
    let mut lines = vec![format!("cache       {kept}, at {}", cache.path)];
    lines.push(format!(
        "            read {} from here, {} fetched{}; names {} from here, {} asked{}",
        Size(cache.hit_bytes),
        Size(cache.miss_bytes),
        share_of(cache.hit_bytes, cache.miss_bytes),
        cache.name_hits,
        cache.name_misses,
        share_of(cache.name_hits, cache.name_misses),
    ));
    if let Some(why) = &cache.degraded {
        lines.push(format!("            not storing: {why}"));
    }
    lines
}

fn volume_lines(volume: &VolumeStatus, now: u64) -> Vec<String> {
    let mut lines = vec![
        format!("volume {}", volume.name),
        format!("  origin      {}", volume.origin),
        format!("  freshness   {}", freshness(&volume.freshness, now)),
    ];
    let unsent = match volume.unsent_bytes {
        0 => "nothing; writes are acknowledged when the origin has them".to_owned(),
        bytes => Size(bytes).to_string(),
    };
    lines.push(format!("  unsent      {unsent}"));
    if let Some(cache) = &volume.cache {
        lines.extend(cache_lines(cache).into_iter().map(|line| format!("  {line}")));
    }
    if let Some(quotas) = &volume.quotas {
        lines.push(format!("  quotas      {}", quotas_text(quotas)));
    }
    for mirror in &volume.mirrors {
        lines.push(format!("  mirror      {}", mirror_line(mirror)));
    }
    if let Some(bytes) = volume.mirror_log_bytes {
        lines.push(format!("  mirror log  {}", Size(bytes)));
    }
    if !volume.allow.is_empty() {
        lines.push(format!("  allowed     {}", volume.allow.join(", ")));
    }
    lines
}

/// One mirror: where, what it does, how far it is.
pub fn mirror_line(mirror: &MirrorStatus) -> String {
    let mut text = format!("{} ({}): {}", mirror.name, mirror.to, mirror.state);
    match (mirror.state.as_str(), mirror.behind_changes) {
        ("live", 0) => text.push_str(", has everything"),
        (_, 0) => {}
        (_, many) => {
            let _ = write!(text, ", lacks {many} changes");
            if mirror.behind_ms > 0 {
                let _ =
                    write!(text, ", the oldest of {} ago", short(Duration::from_millis(mirror.behind_ms)));
            }
        }
    }
    if let Some(now) = &mirror.comparing {
        let rate = Size(now.sent_bytes.checked_div(now.seconds).unwrap_or(now.sent_bytes));
        let (below, seen, sent) = (&now.below, now.looked_at, now.sent_files);
        let _ = write!(text, "; comparing {below}: {seen} looked at, {sent} sent, {rate}/s");
    }
    if !mirror.parked.is_empty() {
        let _ = write!(text, "; {} given up", mirror.parked.len());
    }
    if !mirror.not_kept.is_empty() {
        let _ = write!(text, "; does not keep {}", mirror.not_kept.join(", "));
    }
    if let Some(error) = &mirror.error {
        let _ = write!(text, ": {error}");
    }
    text
}

fn quotas_text(quotas: &QuotaStatus) -> String {
    let kept = match (quotas.tracked, quotas.enforced) {
        (false, _) => "off: nobody is counted",
        (true, false) => "of users, counted; nobody is held to limits",
        (true, true) => "of users, held to limits",
    };
    let doubt = match (quotas.counting, quotas.doubtful) {
        (true, _) => "; being counted",
        (false, true) => "; others changed files since the count: counted again soon",
        (false, false) => "",
    };
    format!("{kept}{doubt}")
}

fn freshness(freshness: &FreshnessStatus, now: u64) -> String {
    match (freshness.word.as_str(), freshness.every_ms, freshness.since_unix) {
        ("direct", ..) => "direct: asked at the origin each time".into(),
        ("leased", ..) => "leased: told before anything changes".into(),
        ("notified", ..) => "notified: told after anything changed".into(),
        ("polled", Some(ms), _) => format!("polled every {}", short(Duration::from_millis(ms))),
        ("offline", _, Some(since)) => format!("offline for {}", age(now.saturating_sub(since))),
        (word, ..) => word.to_owned(),
    }
}

fn link_lines(link: &LinkStatus, now: u64) -> Vec<String> {
    let mut lines = vec![match &link.listen {
        Some(address) => format!("link, listening on {address}"),
        None => "link, dialing only".to_owned(),
    }];
    lines.extend(link.peers.iter().map(|peer| format!("  {:<12}{}", peer.name, peer_text(peer, now))));
    lines
}

fn peer_text(peer: &PeerStatus, now: u64) -> String {
    let since = age(now.saturating_sub(peer.since_unix));
    if !peer.up {
        let why = peer.why.as_deref().unwrap_or("not connected yet");
        return format!("down for {since}: {why}");
    }
    let mut text = format!("up for {since}");
    if let Some(micros) = peer.rtt_micros {
        let _ = write!(text, ", rtt {}", short(Duration::from_micros(micros)));
    }
    let _ = write!(text, ", {} connections", peer.connections);
    if let Some(congestion) = &peer.congestion {
        let _ = write!(text, " ({congestion})");
    }
    let _ = write!(text, ", sent {}, received {}", Size(peer.sent_bytes), Size(peer.received_bytes));
    text
}

fn mount_line(mount: &MountStatus) -> String {
    let MountStatus { name, volume, at, state, .. } = mount;
    let read_only = if mount.read_only { ", read-only" } else { "" };
    let why = mount.why.iter().map(|why| format!(": {why}")).collect::<String>();
    format!("mount {name} of volume {volume} at {at}{read_only}, {state}{why}")
}

fn smb_lines(smb: &SmbStatus) -> Vec<String> {
    let mut lines = vec![format!(
        "smb on {}: {} connections, {} sessions, {} opens, {} refused logins",
        smb.listen.join(", "),
        smb.connections,
        smb.sessions,
        smb.opens,
        smb.login_failures
    )];
    for share in &smb.shares {
        let read_only = if share.read_only { ", read-only" } else { "" };
        lines.push(format!("  share {} of volume {}{read_only}", share.name, share.volume));
    }
    for user in &smb.users {
        let encrypted = if user.encrypted { ", encrypted" } else { "" };
        lines.push(format!("  user {}: SMB {}, {} opens{encrypted}", user.user, user.dialect, user.opens));
    }
    lines
}

fn alerts_lines(alerts: &AlertsStatus, now: u64) -> Vec<String> {
    let ago = |unix: u64| age(now.saturating_sub(unix));
    let mut lines = vec![match alerts.open.len() {
        0 => "alerts: nothing is wrong".to_owned(),
        many => format!("alerts: {many} things are wrong"),
    }];
    for alert in &alerts.open {
        let told = if alert.told { "" } else { ", not told yet" };
        let AlertStatus { key, severity, text, since_unix, .. } = alert;
        lines.push(format!("  {severity} for {}{told}: {key}: {text}", ago(*since_unix)));
    }
    for channel in &alerts.channels {
        let mut text = match (&channel.last_error, channel.last_sent_unix) {
            (Some(why), _) if channel.failing => format!("fails, {} wait: {why}", channel.waiting),
            (_, Some(sent)) => format!("last sent {} ago", ago(sent)),
            (_, None) => "nothing sent yet".to_owned(),
        };
        if channel.lost > 0 {
            let _ = write!(text, "; {} messages lost", channel.lost);
        }
        lines.push(format!("  {}: {text}", channel.name));
    }
    lines
}

/// ` (93 %)`, or nothing before anything happened.
fn share_of(hits: u64, misses: u64) -> String {
    match hits.saturating_add(misses) {
        0 => String::new(),
        all => format!(" ({} %)", u128::from(hits) * 100 / u128::from(all)),
    }
}

/// In the two largest units: `3 h 12 min`.
pub fn age(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn short(time: Duration) -> String {
    match time {
        _ if time.as_millis() >= 1000 => format!("{} s", time.as_secs_f64()),
        _ if time.as_micros() >= 1000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{} µs", time.as_micros()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use front_admin::{AlertChannelStatus, SessionStatus, ShareStatus};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn entrypoint() -> Status {
        let cache = CacheStatus {
            path: "/var/cache/farshare/projects".into(),
            limit_bytes: 500 << 30,
            used_bytes: 3 << 30,
            files: 42,
            pinned: 1,
            hit_bytes: 93 << 20,
            miss_bytes: 7 << 20,
            ..CacheStatus::default()
        };
        let freshness = FreshnessStatus { word: "notified".into(), ..FreshnessStatus::default() };
        let volume = VolumeStatus {
            name: "projects".into(),
            origin: "peer://dc1/projects".into(),
            freshness,
            cache: Some(cache),
            ..VolumeStatus::default()
        };
        let peer = PeerStatus {
            name: "dc1".into(),
            up: true,
            since_unix: 1_000,
            rtt_micros: Some(22_130),
            connections: 5,
            congestion: Some("bbr".into()),
            sent_bytes: 1 << 20,
            received_bytes: 3 << 30,
            ..PeerStatus::default()
        };
        let smb = SmbStatus {
            listen: vec!["0.0.0.0:445".into()],
            connections: 3,
            sessions: 2,
            opens: 14,
            shares: vec![ShareStatus { name: "p".into(), volume: "projects".into(), read_only: true }],
            users: vec![SessionStatus {
                user: "alice".into(),
                dialect: "3.1.1".into(),
                opens: 4,
                encrypted: true,
            }],
            ..SmbStatus::default()
        };
        let mount = MountStatus {
            name: "projects".into(),
            volume: "projects".into(),
            at: "/mnt/projects".into(),
            state: "mounted".into(),
            ..MountStatus::default()
        };
        Status {
            node: "dc2".into(),
            version: "0.1.0".into(),
            pid: 77,
            uptime_seconds: 11_520,
            volumes: vec![volume],
            link: Some(LinkStatus { listen: None, peers: vec![peer] }),
            mounts: vec![mount],
            smb: Some(smb),
            alerts: None,
        }
    }

    #[test]
    fn a_healthy_entrypoint() {
        let expect = "\
dc2: farshare 0.1.0, pid 77, up 3 h 12 min

volume projects
  origin      peer://dc1/projects
  freshness   notified: told after anything changed
  unsent      nothing; writes are acknowledged when the origin has them
  cache       3 GiB of 500 GiB in 42 files, 1 pinned paths, at /var/cache/farshare/projects
              read 93 MiB from here, 7 MiB fetched (93 %); names 0 from here, 0 asked

link, dialing only
  dc1         up for 1 h 0 min, rtt 22.1 ms, 5 connections (bbr), sent 1 MiB, received 3 GiB

mount projects of volume projects at /mnt/projects, mounted

smb on 0.0.0.0:445: 3 connections, 2 sessions, 14 opens, 0 refused logins
  share p of volume projects, read-only
  user alice: SMB 3.1.1, 4 opens, encrypted
";
        assert_eq!(render(&entrypoint(), at(4_600)), expect);
    }

    #[test]
    fn what_is_known_of_quotas() {
        let mut status = entrypoint();
        let of =
            |(tracked, enforced, counting, doubtful)| QuotaStatus { tracked, enforced, counting, doubtful };
        let doubted = "of users, held to limits; others changed files since the count: counted again soon";
        for (flags, expect) in [
            ((false, false, false, false), "off: nobody is counted"),
            ((true, false, true, false), "of users, counted; nobody is held to limits; being counted"),
            ((true, true, false, false), "of users, held to limits"),
            ((true, true, false, true), doubted),
        ] {
            status.volumes[0].quotas = Some(of(flags));
            let page = render(&status, at(4_600));
            assert!(page.contains(&format!("  quotas      {expect}\n")), "{page}");
        }
    }

    #[test]
    fn what_is_wrong_stands_in_place_and_at_the_end() {
        let mut status = entrypoint();
        status.volumes[0].freshness =
            FreshnessStatus { word: "offline".into(), since_unix: Some(4_000), every_ms: None };
        let mount = &mut status.mounts[0];
        (mount.state, mount.why) = ("waiting".into(), Some("the link is down".into()));
        let peer = &mut status.link.as_mut().unwrap().peers[0];
        (peer.up, peer.why, peer.since_unix) = (false, Some("connection refused".into()), 4_000);
        let page = render(&status, at(4_095));
        for expect in [
            "  freshness   offline for 1 min 35 s\n",
            "  dc1         down for 1 min 35 s: connection refused\n",
            "\n! volume projects: its origin peer://dc1/projects is out of reach\n",
            "mount projects of volume projects at /mnt/projects, waiting: the link is down\n",
            "\n! mount projects: not at /mnt/projects, waiting: the link is down\n",
            "\n! peer dc1: down (connection refused)\n",
        ] {
            assert!(page.contains(expect), "{page}");
        }
    }

    #[test]
    fn what_is_wrong_and_who_hears_of_it() {
        let alert = |told| AlertStatus {
            key: "mirror/projects/b".into(),
            severity: "error".into(),
            text: "no route".into(),
            since_unix: 4_500,
            told,
        };
        let channel = AlertChannelStatus { name: "syslog".into(), ..AlertChannelStatus::default() };
        let sent = AlertChannelStatus { last_sent_unix: Some(4_540), lost: 2, ..channel.clone() };
        let failing = AlertChannelStatus {
            name: "mail to a@x".into(),
            failing: true,
            waiting: 3,
            last_error: Some("refused".into()),
            ..sent.clone()
        };
        let alerts =
            AlertsStatus { open: vec![alert(true), alert(false)], channels: vec![channel, sent, failing] };
        let expect = "
alerts: 2 things are wrong
  error for 1 min 40 s: mirror/projects/b: no route
  error for 1 min 40 s, not told yet: mirror/projects/b: no route
  syslog: nothing sent yet
  syslog: last sent 1 min 0 s ago; 2 messages lost
  mail to a@x: fails, 3 wait: refused; 2 messages lost
";
        let page = render(&Status { alerts: Some(alerts), ..entrypoint() }, at(4_600));
        assert!(page.ends_with(expect), "{page}");
    }

    #[test]
    fn ages_and_short_times() {
        for (seconds, expect) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_600, "1 h 0 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(age(seconds), expect);
        }
        for (micros, expect) in
            [(250, "250 µs"), (22_130, "22.1 ms"), (2_000_000, "2 s"), (1_500_000, "1.5 s")]
        {
            assert_eq!(short(Duration::from_micros(micros)), expect);
        }
    }
}

//! [`Status`] in the Prometheus text format, version 0.0.4. Written by hand: the figures are already collected, so a
//! registry of counters would only hold them twice.

use crate::Status;
use std::fmt::Write;

/// One sample: labels and value.
type Sample<'a> = (Vec<(&'static str, &'a str)>, u64);

/// The whole page.
pub fn render(status: &Status) -> String {
    let mut page = Page::default();
    let info = vec![("node", status.node.as_str()), ("version", status.version.as_str())];
    page.family("farshare_info", "gauge", "Which node and version this is.", vec![(info, 1)]);
    page.family(
        "farshare_uptime_seconds",
        "gauge",
        "Time since the start.",
        vec![(vec![], status.uptime_seconds)],
    );
    volumes(&mut page, status);
    caches(&mut page, status);
    link(&mut page, status);
    smb(&mut page, status);
    page.text
}

fn volumes(page: &mut Page, status: &Status) {
    let samples = |value: fn(&crate::VolumeStatus) -> u64| -> Vec<Sample<'_>> {
        status.volumes.iter().map(|v| (vec![("volume", v.name.as_str())], value(v))).collect()
    };
    let online = samples(|v| u64::from(v.freshness.word != "offline"));
    page.family("farshare_volume_online", "gauge", "1 while the origin is in reach.", online);
    let unsent = samples(|v| v.unsent_bytes);
    page.family("farshare_volume_unsent_bytes", "gauge", "Acknowledged, not yet at the origin.", unsent);
}

fn caches(page: &mut Page, status: &Status) {
    let samples = |value: fn(&crate::CacheStatus) -> u64| -> Vec<Sample<'_>> {
        let cached = status.volumes.iter().filter_map(|v| Some((v, v.cache.as_ref()?)));
        cached.map(|(v, cache)| (vec![("volume", v.name.as_str())], value(cache))).collect()
    };
    let limit = samples(|c| c.limit_bytes);
    page.family("farshare_cache_limit_bytes", "gauge", "Room the cache may take.", limit);
    let used = samples(|c| c.used_bytes);
    page.family("farshare_cache_used_bytes", "gauge", "Room the cache takes.", used);
    let files = samples(|c| c.files);
    page.family("farshare_cache_files", "gauge", "Files with content in the cache.", files);
    let hits = samples(|c| c.hit_bytes);
    page.family("farshare_cache_hit_bytes_total", "counter", "Bytes read that were here.", hits);
    let misses = samples(|c| c.miss_bytes);
    page.family("farshare_cache_miss_bytes_total", "counter", "Bytes read that were fetched.", misses);
    let name_hits = samples(|c| c.name_hits);
    page.family("farshare_cache_name_hits_total", "counter", "Names answered from here.", name_hits);
    let name_misses = samples(|c| c.name_misses);
    page.family("farshare_cache_name_misses_total", "counter", "Names asked of the origin.", name_misses);
    let evicted = samples(|c| c.evicted_bytes);
    page.family("farshare_cache_evicted_bytes_total", "counter", "Bytes dropped to make room.", evicted);
}

fn link(page: &mut Page, status: &Status) {
    let peers = status.link.iter().flat_map(|link| &link.peers);
    let samples = |value: fn(&crate::PeerStatus) -> Option<u64>| -> Vec<Sample<'_>> {
        let with = peers.clone().filter_map(|peer| Some((peer, value(peer)?)));
        with.map(|(peer, value)| (vec![("peer", peer.name.as_str())], value)).collect()
    };
    let up = samples(|p| Some(u64::from(p.up)));
    page.family("farshare_link_up", "gauge", "1 while the peer is connected.", up);
    let connections = samples(|p| Some(u64::from(p.connections)));
    page.family("farshare_link_connections", "gauge", "TCP connections to the peer.", connections);
    let rtt = samples(|p| p.rtt_micros);
    page.family("farshare_link_rtt_microseconds", "gauge", "Smoothed round-trip time.", rtt);
    let sent = samples(|p| Some(p.sent_bytes));
    page.family("farshare_link_sent_bytes_total", "counter", "Bytes sent to the peer.", sent);
    let received = samples(|p| Some(p.received_bytes));
    page.family("farshare_link_received_bytes_total", "counter", "Bytes received from the peer.", received);
}

fn smb(page: &mut Page, status: &Status) {
    let Some(smb) = &status.smb else { return };
    let one = |value: u64| -> Vec<Sample<'static>> { vec![(vec![], value)] };
    page.family("farshare_smb_connections", "gauge", "TCP connections of clients.", one(smb.connections));
    page.family("farshare_smb_sessions", "gauge", "Users logged in.", one(smb.sessions));
    page.family("farshare_smb_opens", "gauge", "Files and directories open.", one(smb.opens));
    let read = one(smb.read_bytes);
    page.family("farshare_smb_read_bytes_total", "counter", "Content that clients read.", read);
    let written = one(smb.written_bytes);
    page.family("farshare_smb_written_bytes_total", "counter", "Content that clients wrote.", written);
    let failures = one(smb.login_failures);
    page.family("farshare_smb_login_failures_total", "counter", "Logins refused.", failures);
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str, samples: Vec<Sample<'_>>) {
        if samples.is_empty() {
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            self.text.push_str(name);
            for (nth, (label, text)) in labels.iter().enumerate() {
                let _ = write!(self.text, "{}{label}=\"", if nth == 0 { '{' } else { ',' });
                self.escaped(text);
                self.text.push('"');
            }
            let close = if labels.is_empty() { "" } else { "}" };
            let _ = writeln!(self.text, "{close} {value}");
        }
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PeerStatus, VolumeStatus};

    #[test]
    fn labels_are_escaped_and_absent_parts_leave_no_family() {
        let status = Status {
            node: "a\"b\\c\n".into(),
            version: "1".into(),
            volumes: vec![VolumeStatus { name: "v".into(), unsent_bytes: 7, ..VolumeStatus::default() }],
            ..Status::default()
        };
        let page = render(&status);
        assert!(page.contains("farshare_info{node=\"a\\\"b\\\\c\\n\",version=\"1\"} 1\n"), "{page}");
        assert!(page.contains("farshare_volume_unsent_bytes{volume=\"v\"} 7\n"), "{page}");
        assert!(!page.contains("farshare_smb_"), "{page}");
        assert!(!page.contains("farshare_cache_"), "{page}");
    }

    #[test]
    fn a_round_trip_time_appears_once_it_is_known() {
        let mut peer = PeerStatus { name: "dc1".into(), ..PeerStatus::default() };
        let with = |peer: &PeerStatus| {
            let link = crate::LinkStatus { listen: None, peers: vec![peer.clone()] };
            render(&Status { link: Some(link), ..Status::default() })
        };
        assert!(!with(&peer).contains("rtt"));
        peer.rtt_micros = Some(1500);
        assert!(with(&peer).contains("farshare_link_rtt_microseconds{peer=\"dc1\"} 1500\n"));
    }
}

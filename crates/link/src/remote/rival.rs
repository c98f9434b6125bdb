//! Two processes with one site's certificate: which of them is the site.
//!
//! A process that greets while another one is connected is either its successor, and the other is gone without a
//! word (its machine lost power), or its rival (a copied certificate, a node started twice). Taking in a rival would
//! let the two throw each other out for ever. So those who are connected are probed: if any of them answers, the
//! newcomer is refused. A process that ended has closed its connections, and its successor waits for nothing.

use super::Remote;
use crate::lane::Lane;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the connections are looked at while they are probed.
const LOOK: Duration = Duration::from_millis(20);

impl Remote {
    /// Whether the process with number `boot` may be this site. Probes those connected, if it is another one.
    ///
    /// # Errors
    /// Why not, for people on both sides.
    pub(crate) async fn admit(&self, boot: u64) -> Result<(), String> {
        let others: Vec<Arc<Lane>> = {
            let inner = self.inner.lock();
            match inner.boot == boot {
                true => return Ok(()),
                // One that is shutting down has said so, and makes room.
                false => inner.usable().cloned().collect(),
            }
        };
        if others.is_empty() || !self.any_answers(&others).await {
            return Ok(());
        }
        let site = &self.site;
        let reason = format!("another node with the certificate of {site} is connected and answers");
        // Once for each newcomer: it will try again and again.
        if self.last_rival.swap(boot, Ordering::Relaxed) != boot {
            let mend = "stop one of them, or give it a name and a certificate of its own";
            tracing::error!(%site, "two nodes have the certificate of this site, the later one is refused; {mend}");
        }
        Err(reason)
    }

    /// Probes the lanes until one is heard of, or the patience is over that each connection has.
    async fn any_answers(&self, lanes: &[Arc<Lane>]) -> bool {
        let asked = Instant::now();
        let patience = self.config.probe_interval * self.config.probes_missed;
        lanes.iter().for_each(|lane| lane.probe(self.floor()));
        while asked.elapsed() < patience {
            tokio::time::sleep(LOOK).await;
            if lanes.iter().any(|lane| !lane.has_ended() && lane.meter.heard() > asked) {
                return true;
            }
            if lanes.iter().all(|lane| lane.has_ended()) {
                return false;
            }
        }
        false
    }
}

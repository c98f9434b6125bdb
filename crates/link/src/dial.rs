//! Dialing: a task per lane that connects, lives through the connection and connects again.

use crate::config::{BULK_CONNECTIONS_WITH_BBR, BULK_CONNECTIONS_WITHOUT_BBR};
use crate::greet::{Greeted, dialed};
use crate::hello::LaneKind;
use crate::node::Shared;
use crate::remote::Remote;
use crate::{Class, LinkConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Starts the dialers of all configured sites.
pub(crate) fn start(shared: &Arc<Shared>) {
    for (site, address) in &shared.config.dial {
        let remote = shared.remote(site);
        let interactive = LaneKind { class: Class::Interactive, index: 0 };
        shared.spawn(keep(shared.clone(), remote.clone(), address.clone(), interactive));
        let most = match shared.config.connections {
            0 => BULK_CONNECTIONS_WITHOUT_BBR,
            fixed => fixed,
        };
        for index in 0..most {
            let kind = LaneKind { class: Class::Bulk, index: index as u8 };
            shared.spawn(keep(shared.clone(), remote.clone(), address.clone(), kind));
        }
    }
}

/// Whether the lane is worth having, by what is known of both kernels.
fn wanted(shared: &Shared, remote: &Remote, kind: LaneKind) -> bool {
    let only_without_bbr = kind.class == Class::Bulk
        && shared.config.connections == 0
        && usize::from(kind.index) >= BULK_CONNECTIONS_WITH_BBR;
    !only_without_bbr || !shared.bbr || remote.has_bbr() == Some(false)
}

/// Keeps one lane up until the node stops.
async fn keep(shared: Arc<Shared>, remote: Arc<Remote>, address: String, kind: LaneKind) {
    let mut backoff = Backoff::new(&shared.config);
    let mut state = remote.state().subscribe();
    loop {
        if !wanted(&shared, &remote, kind) {
            tokio::select! {
                // The sender lives in `remote`.
                _ = state.changed() => continue,
                () = shared.stopped() => return,
            }
        }
        // Asked for before dialing, so that another lane that comes up meanwhile is not missed.
        let mut another = remote.comes_up();
        let greeted = tokio::select! {
            greeted = connect(&shared, &remote, &address, kind) => greeted,
            () = shared.stopped() => return,
        };
        match greeted {
            Ok(greeted) => {
                let begun = Instant::now();
                let end = greeted.live(&shared).await;
                tracing::debug!(site = remote.site(), ?kind, %end, "dialed connection ended");
                backoff.lived(begun.elapsed());
                another = remote.comes_up();
            }
            Err(reason) => {
                // One voice per site: the lanes fail alike.
                if kind.class == Class::Interactive && remote.dial_failed(&reason) {
                    tracing::warn!(site = remote.site(), address, reason, "cannot connect");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            // Another lane made it: so will this one.
            () = async { another.await; tokio::time::sleep(shared.config.backoff_min).await } => {}
            () = shared.stopped() => return,
        }
    }
}

async fn connect(
    shared: &Shared,
    remote: &Arc<Remote>,
    address: &str,
    kind: LaneKind,
) -> Result<Greeted, String> {
    let attempt = async {
        let tcp = connect_tcp(address, shared.config.connect_timeout).await?;
        dialed(shared, remote, tcp, kind).await
    };
    tokio::time::timeout(shared.config.handshake_timeout, attempt)
        .await
        .unwrap_or_else(|_| Err(format!("{address}: no greeting in time")))
}

/// Connects to the first address of the host that answers.
async fn connect_tcp(address: &str, timeout: Duration) -> Result<TcpStream, String> {
    let resolved = tokio::net::lookup_host(address).await.map_err(|error| format!("{address}: {error}"))?;
    let mut failure = format!("{address}: no such host");
    for target in resolved {
        match tokio::time::timeout(timeout, TcpStream::connect(target)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => failure = format!("{target}: {error}"),
            Err(_) => failure = format!("{target}: no answer"),
        }
    }
    Err(failure)
}

/// Waits between attempts: doubling, with a random part so that lanes do not dial in step.
struct Backoff {
    min: Duration,
    max: Duration,
    wait: Duration,
}

impl Backoff {
    fn new(config: &LinkConfig) -> Backoff {
        Backoff { min: config.backoff_min, max: config.backoff_max, wait: config.backoff_min }
    }

    /// A connection that lived a while starts the waits anew.
    fn lived(&mut self, time: Duration) {
        if time >= self.max {
            self.wait = self.min;
        }
    }

    /// Half to all of the current wait.
    fn next(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = (2 * wait).min(self.max);
        let mut random = [0; 1];
        // Without randomness the waits are merely in step.
        let _ = getrandom::fill(&mut random);
        wait / 2 + wait / 2 * u32::from(random[0]) / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_longest_and_start_anew() {
        let config = LinkConfig::default();
        let mut backoff = Backoff::new(&config);
        for full in [100, 200, 400, 800, 1600, 2000, 2000] {
            let wait = backoff.next().as_millis();
            assert!((full / 2..=full).contains(&wait), "{wait} of {full}");
        }
        backoff.lived(Duration::from_millis(10));
        assert!(backoff.next() >= Duration::from_secs(1));
        backoff.lived(Duration::from_secs(60));
        assert!(backoff.next() <= Duration::from_millis(100));
    }
}

//! What of the mirrors somebody must know who is not looking: said as often as it is so, `alerts` decides when that is told.

use super::Node;
use alerts::{Alerts, Severity};
use layer_mirror::{MirrorStatus, State};
use std::sync::Weak;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks until the node is gone, or at once no more where nobody is to be told.
pub(super) async fn look_at_mirrors(node: Weak<Node>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(node) = node.upgrade() else { return };
        let Some(alerts) = &node.alerts else { return };
        for place in &node.volumes {
            let mirrors = place.served.get().and_then(|served| served.stack.mirrors.as_ref());
            for mirror in mirrors.iter().flat_map(|mirrors| mirrors.status()) {
                tell(alerts, place.name(), &mirror);
            }
        }
    }
}

fn tell(alerts: &Alerts, volume: &str, mirror: &MirrorStatus) {
    let MirrorStatus { name, to, state, error, behind, parked, .. } = mirror;
    let why = error.as_deref().unwrap_or("no reason is known");
    let unreached = match state {
        State::Away => Some(format!("cannot be reached: {why}")),
        State::Full => Some(format!("is full: {why}")),
        State::Failed => Some(format!("has stopped: {why}")),
        State::Connecting | State::Paused | State::CatchingUp | State::Live => None,
    };
    let unreached = unreached.map(|what| {
        format!("mirror {name} of volume {volume} ({to}) {what}. {behind} changes wait for it in the log")
    });
    say(alerts, &format!("mirror/{volume}/{name}/unreached"), unreached);
    let given_up = parked.first().map(|(path, error)| {
        let (many, mend) = (parked.len(), format!("farshare retry {volume} {name}"));
        format!("mirror {name} of volume {volume} ({to}): {many} names are given up, the first {path}: {error}. When that is mended: {mend}")
    });
    say(alerts, &format!("mirror/{volume}/{name}/given-up"), given_up);
}

fn say(alerts: &Alerts, key: &str, what: Option<String>) {
    match what {
        Some(text) => alerts.raise(key, Severity::Error, &text),
        None => alerts.clear(key),
    }
}

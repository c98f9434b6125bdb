//! The way up, from the volume with the faults to its subscribers.

use super::jitter::Jitter;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::{mpsc, watch};
use volume::{Freshness, Notice, VPath, Watch};

/// Carries notices up, until the subscriber, the inner volume or the `FaultVolume` goes away.
pub(super) async fn pass_up(
    mut inner: Watch,
    mut offline: watch::Receiver<Option<SystemTime>>,
    jitter: Arc<Jitter>,
    notices: mpsc::Sender<Notice>,
    freshness: watch::Sender<Freshness>,
) {
    let mut was_offline = false;
    offline.mark_changed();
    loop {
        let notice = tokio::select! {
            biased;
            () = notices.closed() => return,
            changed = offline.changed() => match changed {
                Ok(()) => {
                    let since = *offline.borrow_and_update();
                    let back = was_offline && since.is_none();
                    was_offline = since.is_some();
                    let told = since.map_or(*inner.freshness.borrow(), |since| Freshness::Offline { since });
                    freshness.send_replace(told);
                    back.then(|| Notice::Unknown { below: VPath::root() })
                }
                Err(_) => return,
            },
            Ok(()) = inner.freshness.changed() => {
                let told = *inner.freshness.borrow_and_update();
                if !was_offline {
                    freshness.send_replace(told);
                }
                None
            }
            notice = inner.notices.recv() => match notice {
                Some(notice) => Some(notice).filter(|_| !was_offline),
                None => return,
            },
        };
        let lingered = notice.is_some() && jitter.linger_notices().await;
        // Those that came meanwhile were under way at the same time.
        let more = std::iter::from_fn(|| if lingered { inner.notices.try_recv().ok() } else { None });
        for notice in notice.into_iter().chain(more) {
            if notices.send(notice).await.is_err() {
                return;
            }
        }
    }
}

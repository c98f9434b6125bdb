//! When to count: at first, when somebody asks, after others changed the tree, and from time to time where nobody tells
//! of that.
//!
//! What others change past this volume makes the books wrong, and is noted as a doubt. Where the origin tells who makes
//! changes, so it is with all that was not done here; else only with what certainly was others' doing, because our own
//! changes look like theirs.

use crate::config::QuotaConfig;
use crate::core::Core;
use crate::count::count;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::{Instant, sleep_until};
use volume::{Author, Notice, Watch};

/// Whether all that others change is told.
#[derive(Default)]
pub(crate) struct OthersAreTold(AtomicBool);

/// Counts whenever it is due.
pub(crate) async fn keep_counted(core: Arc<Core>, config: QuotaConfig, told: Arc<OthersAreTold>) {
    let mut last = Instant::now();
    loop {
        let turned = core.ledger.turned.notified();
        tokio::pin!(turned);
        turned.as_mut().enable();
        if let Some(number) = core.ledger.counting() {
            count(&core, number).await;
            last = Instant::now();
            continue;
        }
        let after = match (core.ledger.is_doubtful(), told.0.load(Ordering::Relaxed)) {
            (true, _) => Some(config.recount_after),
            (false, false) => Some(config.recount_every),
            (false, true) => None,
        };
        let due = async {
            match after {
                Some(after) => sleep_until(last + after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = turned => {}
            () = due => {
                last = Instant::now();
                core.ledger.begin();
            }
        }
    }
}

/// Notes what others change.
pub(crate) async fn follow(core: Arc<Core>, mut watch: Watch, told: Arc<OthersAreTold>) {
    loop {
        let authors = *watch.authors.borrow_and_update();
        if told.0.swap(authors, Ordering::Relaxed) != authors {
            core.ledger.turned.notify_waiters();
        }
        tokio::select! {
            notice = watch.notices.recv() => match notice {
                Some(notice) if is_doubtful(&notice, *watch.authors.borrow()) => core.ledger.doubt(),
                Some(_) => {}
                None => break,
            },
            // When nobody can say any more, the notices end, too.
            Ok(()) = watch.authors.changed() => {}
        }
    }
    tracing::warn!("the origin does not tell of changes any more: quotas are counted anew from time to time");
    told.0.store(false, Ordering::Relaxed);
    core.ledger.doubt();
}

/// Whether it tells of something that nobody has entered in the books.
fn is_doubtful(notice: &Notice, authors: bool) -> bool {
    let others = |by: Author| match by {
        Author::Us => false,
        Author::Unknown => authors,
        Author::Others => true,
    };
    match notice {
        // What lies in a directory is told as well, or is unknown.
        Notice::Changed { attr: Some(attr), .. } if attr.is_dir() => false,
        Notice::Changed { by, .. } | Notice::Moved { by, .. } => others(*by),
        Notice::Unknown { .. } => authors,
    }
}

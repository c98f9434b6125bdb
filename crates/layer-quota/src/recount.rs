//! When to count: at first, when somebody asks, after others changed the tree, and from time to time where nobody tells
//! of that.
//!
//! What others change past this volume makes the books wrong, and is noted as a doubt. Where the origin tells who makes
//! changes, so it is with all that was not done here; else only with what certainly was others' doing, because our own
//! changes look like theirs.

use crate::config::QuotaConfig;
use crate::core::Core;
use crate::count::count;
use crate::lately::Lately;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use volume::{Author, Freshness, Notice, VPath, Watch};

/// Whether all that others change is told, and that it was them.
pub(crate) struct OthersAreTold {
    now: AtomicBool,
    /// It has begun to be so since the volume was opened. An origin takes a while until it watches all: what it could not
    /// tell by then is counted without delay.
    begun: AtomicBool,
}

impl OthersAreTold {
    /// As it is at first.
    pub(crate) fn by(watch: Option<&mut Watch>) -> OthersAreTold {
        OthersAreTold { now: AtomicBool::new(watch.is_some_and(are_told)), begun: AtomicBool::new(false) }
    }
}

fn are_told(watch: &mut Watch) -> bool {
    let promised = matches!(*watch.freshness.borrow_and_update(), Freshness::Notified | Freshness::Leased);
    *watch.authors.borrow_and_update() && promised
}

/// Counts whenever it is due.
pub(crate) async fn keep_counted(core: Arc<Core>, config: QuotaConfig, told: Arc<OthersAreTold>) {
    let (mut last, mut has_begun) = (Instant::now(), false);
    loop {
        let turned = core.ledger.turned.notified();
        tokio::pin!(turned);
        turned.as_mut().enable();
        if let Some(number) = core.ledger.counting() {
            count(&core, number).await;
            last = Instant::now();
            continue;
        }
        let begins = !has_begun && told.begun.load(Ordering::Relaxed);
        let after = match (core.ledger.is_doubtful(), told.now.load(Ordering::Relaxed)) {
            (true, _) if begins => Some(Duration::ZERO),
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
                (last, has_begun) = (Instant::now(), begins | has_begun);
                core.ledger.begin();
            }
        }
    }
}

/// Notes what others change.
pub(crate) async fn follow(core: Arc<Core>, mut watch: Watch, told: Arc<OthersAreTold>) {
    loop {
        let now = are_told(&mut watch);
        match (told.now.swap(now, Ordering::Relaxed), now) {
            // Of what was changed before that nobody will be told.
            (false, true) => {
                told.begun.store(true, Ordering::Relaxed);
                core.ledger.doubt();
            }
            (true, false) => core.ledger.turned.notify_waiters(),
            (true, true) | (false, false) => {}
        }
        tokio::select! {
            notice = watch.notices.recv() => match notice {
                Some(notice) if is_doubtful(&notice, *watch.authors.borrow(), &core.lately) => core.ledger.doubt(),
                Some(_) => {}
                None => break,
            },
            // When nobody can say any more, the notices end, too.
            Ok(()) = watch.authors.changed() => {}
            Ok(()) = watch.freshness.changed() => {}
        }
    }
    tracing::warn!("the origin does not tell of changes any more: quotas are counted anew from time to time");
    told.now.store(false, Ordering::Relaxed);
    core.ledger.doubt();
}

/// Whether it tells of something that nobody has entered in the books.
fn is_doubtful(notice: &Notice, authors: bool, lately: &Lately) -> bool {
    let others = |by: Author, path: &VPath| match by {
        Author::Us => false,
        Author::Unknown => authors && !lately.has(path),
        Author::Others => true,
    };
    match notice {
        // What lies in a directory is told as well, or is unknown.
        Notice::Changed { attr: Some(attr), .. } if attr.is_dir() => false,
        Notice::Changed { path, by, .. } | Notice::Moved { to: path, by, .. } => others(*by, path),
        Notice::Unknown { below } => others(Author::Unknown, below),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use crate::limits::Limits;
    use std::time::Duration;
    use testkit::MemVolume;
    use testkit::ease::{blank, p, within};
    use tokio::sync::{mpsc, watch};
    use volume::{Kind, VPath};

    #[test]
    fn what_others_did_is_doubtful_and_so_is_what_they_may_have_done() {
        let changed = |kind: Option<Kind>, by| Notice::Changed { path: p("f"), attr: kind.map(blank), by };
        let moved = |by| Notice::Moved { from: p("f"), to: p("g"), attr: None, by };
        let check = |notice: Notice, authors: bool, expect: bool| {
            assert_eq!(is_doubtful(&notice, authors, &Lately::default()), expect, "{notice:?} {authors}");
        };
        for (by, untold, told) in
            [(Author::Us, false, false), (Author::Unknown, false, true), (Author::Others, true, true)]
        {
            for (authors, expect) in [(false, untold), (true, told)] {
                check(changed(Some(Kind::File), by), authors, expect);
                check(changed(None, by), authors, expect);
                check(moved(by), authors, expect);
                check(changed(Some(Kind::Dir), by), authors, false);
            }
        }
        check(Notice::Unknown { below: VPath::root() }, false, false);
        check(Notice::Unknown { below: VPath::root() }, true, true);
    }

    #[tokio::test]
    async fn what_was_not_told_before_is_doubtful_when_all_is_told() {
        let (notices, receiver) = mpsc::channel(1);
        let (freshness, fresh) = watch::channel(Freshness::Direct);
        let (authors, by) = watch::channel(true);
        let mut watch = Watch { notices: receiver, freshness: fresh, authors: by };
        let told = Arc::new(OthersAreTold::by(Some(&mut watch)));
        let core = Arc::new(Core::new(MemVolume::new(), Ledger::new(Limits::default())));
        core.ledger.end(1);
        let following = tokio::spawn(follow(core.clone(), watch, told.clone()));
        let doubted = || async {
            while !core.ledger.is_doubtful() {
                tokio::task::yield_now().await;
            }
            core.ledger.begin();
            core.ledger.end(core.ledger.counting().unwrap());
        };
        assert!(!told.now.load(Ordering::Relaxed) && !core.ledger.is_doubtful());
        freshness.send_replace(Freshness::Notified);
        within(Duration::from_secs(10), "a doubt", doubted()).await;
        assert!(told.now.load(Ordering::Relaxed));
        drop((notices, authors));
        within(Duration::from_secs(10), "a doubt at the end of notices", doubted()).await;
        following.await.unwrap();
        assert!(!told.now.load(Ordering::Relaxed));
    }
}

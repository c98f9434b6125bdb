//! Catching up: a mirror of which it is not known what it has, or which is new, is made equal to what is here now.
//!
//! The log cannot be replayed over that: a rename, say, would move what a comparison has just put right. So what the log names is
//! compared as well, in rounds: the trees that are asked for, then what was changed during the first round, and so on. Each round is
//! shorter than the one before. When little is left, everybody who wants to change something waits for the last round, a second at
//! most: then the mirror is what is here, and the log goes on from there.

use super::compare::Comparison;
use super::depth::{Depth, Trees, concerned};
use super::progress::Positions;
use super::{Ended, FEED_BYTES, Result, Sender, compare, stopped};
use crate::record::Outcome;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use volume::{ErrorKind, VPath};

/// So many trees are compared while everybody waits.
const LAST_ROUND_MAX: usize = 64;
/// For so long at most.
const LAST_ROUND: Duration = Duration::from_secs(1);

impl Sender {
    pub(super) async fn catch_up(&mut self) -> Result<(), Ended> {
        self.progress.change(|ledger| ledger.catching_up = true)?;
        for round in 0.. {
            if self.is_equal(round > 0) || (round > 0 && self.last_round().await?) {
                break;
            }
            let settled = self.log.settled();
            self.round(settled).await?;
        }
        self.progress.change(|ledger| ledger.catching_up = false)?;
        Ok(())
    }

    /// Whether nothing was changed since the last round began.
    fn is_equal(&self, compared: bool) -> bool {
        compared
            && self.progress.ledger().compare.is_empty()
            && self.log.next() == self.progress.positions().read
    }

    /// The last round, where little is left. Whether the mirror is equal now.
    async fn last_round(&mut self) -> Result<bool, Ended> {
        if self.named(self.log.settled()).await?.len() > LAST_ROUND_MAX {
            return Ok(false);
        }
        let gate = self.gate.clone();
        let Ok(alone) = tokio::time::timeout(LAST_ROUND, gate.write()).await else { return Ok(false) };
        let settled = self.log.settled();
        let mut alone = Some(alone);
        let round = self.round(settled);
        tokio::pin!(round);
        // It goes on when it takes longer, as one like those before.
        tokio::select! {
            done = &mut round => return done.map(|()| true),
            () = tokio::time::sleep(LAST_ROUND) => drop(alone.take()),
        }
        round.await.map(|()| false)
    }

    /// Compares what is asked for and what the log names below `settled`.
    async fn round(&mut self, settled: u64) -> Result<(), Ended> {
        let trees = self.named(settled).await?.take();
        for (below, depth) in trees {
            self.compare(&below, depth).await?;
        }
        self.sweep(|name| name.starts_with(compare::TEMP)).await?;
        // First the positions: to compare something once more does no harm.
        self.progress.set(Positions {
            read: settled,
            confirmed: settled,
            issued: settled.saturating_sub(1),
        })?;
        self.progress.change(|ledger| ledger.compare.clear())?;
        Ok(())
    }

    async fn named(&self, settled: u64) -> Result<Trees, Ended> {
        let mut trees = Trees::default();
        for tree in &self.progress.ledger().compare {
            if let Ok(path) = VPath::parse(&tree.below) {
                trees.add(&path, tree.depth);
            }
        }
        let from = self.progress.positions().read;
        let mut feed = self.log.feed(from).ok_or_else(|| Ended::Ours("the log was cut".into()))?;
        let mut linked = HashSet::new();
        while feed.next() < settled && !feed.is_empty() {
            for record in feed.take(FEED_BYTES)? {
                if record.outcome != Outcome::Nothing && record.number < settled {
                    concerned(&record.record).into_iter().for_each(|(path, depth)| trees.add(path, depth));
                    linked.extend(record.stamp().filter(|stamp| stamp.links > 1).map(|stamp| stamp.id));
                }
            }
        }
        // What was changed under a name that is gone by now is to be found under its others.
        for path in compare::names_of(&*self.here, &linked).await? {
            trees.add(&path, Depth::Sent);
        }
        Ok(trees)
    }

    async fn compare(&mut self, below: &VPath, depth: Depth) -> Result<(), Ended> {
        if self.progress.ledger().is_parked(below) {
            return Ok(());
        }
        let comparison = Arc::new(Comparison::new(self.here.clone(), self.remote.clone(), depth));

        self.shared.comparing(below, comparison.tally.clone());
        let compared = tokio::select! {
            compared = comparison.run(below) => compared,
            () = stopped(&mut self.stop) => return Err(Ended::Stopped),
        };
        match compared {
            // The directory above is not there yet, or not any more: it is compared as well.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            compared => compared?,
        }
        let refused = std::mem::take(&mut *comparison.refused.lock());
        for (path, error) in refused {
            // What went meanwhile is in the log.
            if !matches!(error.kind, ErrorKind::NotFound | ErrorKind::Stale) {
                self.park(&path, &error)?;
            }
        }
        Ok(())
    }
}

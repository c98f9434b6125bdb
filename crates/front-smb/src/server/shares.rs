//! The shares of a server, by folded name.

use super::State;
use crate::config::{Encryption, Share, Signing};
use std::collections::HashMap;
use std::sync::Arc;

impl State {
    pub(crate) fn share(&self, name: &str) -> Option<Arc<Share>> {
        self.shares.read().get(&name.to_lowercase()).cloned()
    }

    /// Whether guests may log in: some share is open to them, and nothing is required that takes a key.
    pub(crate) fn admits_guests(&self) -> bool {
        self.config.signing == Signing::Enabled
            && self.config.encryption != Encryption::Required
            && self.shares.read().values().any(|share| share.guests)
    }

    /// Begins to bring back what was open in shares that are continuously available.
    pub(super) fn restore_shares(self: &Arc<Self>) {
        let Some(records) = &self.config.records else { return };
        for share in self.shares().into_iter().filter(|share| share.continuously_available) {
            self.restorations.begin(self, records, share);
        }
    }

    /// Whether opens of this share can survive the end of the process.
    pub(crate) fn is_available(&self, share: &Share) -> bool {
        share.continuously_available && self.config.records.is_some()
    }

    /// The shares over the volume of an open that can.
    pub(crate) fn available_over(&self, open: &vfs::Open) -> Vec<Arc<Share>> {
        let shares = self.shares.read();
        shares.values().filter(|share| self.is_available(share) && share.vfs.has(open)).cloned().collect()
    }

    /// All shares, by name.
    pub(crate) fn shares(&self) -> Vec<Arc<Share>> {
        let mut all: Vec<_> = self.shares.read().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

pub(super) fn by_name(shares: Vec<Share>) -> HashMap<String, Arc<Share>> {
    shares.into_iter().map(|share| (share.name.to_lowercase(), Arc::new(share))).collect()
}

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

    /// Replaces all. Where one is continuously available it has begun to bring back what was open in it before anybody
    /// finds it: else what is opened in it at once would be taken for what is to come back.
    pub(super) fn set_shares(self: &Arc<Self>, shares: Vec<Share>) {
        let by_name = |share: Share| (share.name.to_lowercase(), Arc::new(share));
        let shares: HashMap<_, _> = shares.into_iter().map(by_name).collect();
        let mut current = self.shares.write();
        if let Some(records) = &self.config.records {
            for share in shares.values().filter(|share| share.continuously_available) {
                self.restorations.begin(self, records, Arc::clone(share));
            }
        }
        *current = shares;
    }

    /// Whether opens of this share can survive the end of the process.
    pub(crate) fn is_available(&self, share: &Share) -> bool {
        share.continuously_available && self.config.records.is_some()
    }

    /// All shares, by name.
    pub(crate) fn shares(&self) -> Vec<Arc<Share>> {
        let mut all: Vec<_> = self.shares.read().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistent::OpenRecords;
    use crate::{KnownUser, Server, ServerConfig, Users};
    use smb_core::ntlm::NtHash;
    use std::time::Duration;
    use tokio::runtime::Handle;
    use vfs::{Vfs, VfsConfig};

    struct Nobody;

    impl Users for Nobody {
        fn nt_hash(&self, _: &str, _: &str) -> Option<NtHash> {
            None
        }

        fn number(&self, _: &str) -> Option<u32> {
            None
        }

        fn are_known(&self) -> bool {
            true
        }

        fn all(&self) -> Arc<[KnownUser]> {
            Arc::default()
        }
    }

    #[tokio::test]
    async fn nobody_finds_a_share_before_its_opens_are_known_to_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::new(Vec::new(), Arc::new(Nobody));
        config.records = Some(OpenRecords::open(&dir.path().join("opens.db")).unwrap());
        let server = Server::start(config, Vec::new()).await.unwrap();
        let vfs = Vfs::new(testkit::MemVolume::new(), VfsConfig::default());
        let share = Share { continuously_available: true, ..Share::new("share", vfs) };
        let (runtime, state) = (Handle::current(), &server.state);
        let found = std::thread::scope(|threads| {
            let beginning = state.restorations.held_up();
            threads.spawn(|| {
                let _in = runtime.enter();
                server.set_shares(vec![share]);
            });
            loop {
                // Those who look wait for what is held up.
                let looked = state.shares.try_read_for(Duration::from_millis(200));
                let Some(shares) = looked else { break drop(beginning) };
                if !shares.is_empty() {
                    return true;
                }
                std::thread::yield_now();
            }
            false
        });
        assert!(!found && !state.restorations.know(&state.share("share").unwrap()));
    }
}

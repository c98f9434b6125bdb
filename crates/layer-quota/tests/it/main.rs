//! Quotas over volumes in memory and on disk.

mod beside;
mod contract;
mod counting;
mod limits;
mod others;

use bytes::Bytes;
use layer_quota::{QuotaConfig, QuotaVolume};
use std::sync::Arc;
use testkit::ease::{apply, cx, p};
use volume::{Change, Named, QuotaChange, QuotaFlags, QuotaRules, QuotasOf, Result, Time, UserQuota, Volume};

const UNLIMITED: u64 = UserQuota::UNLIMITED;

/// Quotas around a volume, and the directory where the limits are.
struct Site {
    quotas: Arc<QuotaVolume>,
    dir: tempfile::TempDir,
}

impl Site {
    async fn over(inner: Arc<dyn Volume>) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let quotas = QuotaVolume::open(inner, config(&dir)).await.unwrap();
        Site { quotas, dir }
    }

    /// After the count that is under way.
    async fn counted(inner: Arc<dyn Volume>) -> Site {
        let site = Site::over(inner).await;
        site.quotas.counted().await;
        site
    }

    async fn used(&self, user: &Bytes) -> u64 {
        self.quota(user).await.used
    }

    async fn quota(&self, user: &Bytes) -> UserQuota {
        self.quotas.quotas(&cx(), &QuotasOf::Users(vec![user.clone()])).await.unwrap().remove(0)
    }

    /// Nobody gets beyond `limit`, but for those who have their own.
    async fn enforce(&self, limit: u64) {
        rules(&*self.quotas, QuotaFlags::ENFORCE, limit).await;
    }

    async fn limit(&self, user: &Bytes, limit: u64) {
        let quota = UserQuota { user: user.clone(), changed: Time(0), used: 0, threshold: UNLIMITED, limit };
        self.quotas.set_quotas(&cx(), &QuotaChange::Users(vec![quota])).await.unwrap();
    }

    async fn flags(&self) -> QuotaFlags {
        self.quotas.quota_rules(&cx()).await.unwrap().flags
    }
}

fn config(dir: &tempfile::TempDir) -> QuotaConfig {
    QuotaConfig::new(dir.path().join("quotas.json"))
}

async fn rules(volume: &dyn Volume, flags: QuotaFlags, limit: u64) {
    let rules = QuotaRules { flags, threshold: UNLIMITED, limit };
    volume.set_quotas(&cx(), &QuotaChange::Rules(rules)).await.unwrap();
}

/// A SID: S-1-5-21-RID.
fn user(rid: u32) -> Bytes {
    let mut sid = vec![1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0];
    sid.extend(rid.to_le_bytes());
    sid.into()
}

/// A descriptor that names an owner and nothing else.
fn owned_by(user: &Bytes) -> Bytes {
    let mut descriptor = vec![1, 0, 0, 0x80, 20, 0, 0, 0];
    descriptor.extend([0; 12]);
    descriptor.extend_from_slice(user);
    descriptor.into()
}

fn owning(path: &str, user: &Bytes) -> Change {
    Change::SetNamed { path: p(path), name: Named::Descriptor, value: Some(owned_by(user)), expect: None }
}

async fn own(volume: &dyn Volume, path: &str, user: &Bytes) {
    apply(volume, owning(path, user)).await;
}

async fn try_own(volume: &dyn Volume, path: &str, user: &Bytes) -> Result<()> {
    volume.apply(&cx(), &owning(path, user)).await.map(drop)
}

//! Quotas of users of [`super::MemVolume`]: limits are kept and told, and nobody is held to them. Who has how much is
//! counted whenever somebody asks.

use super::tree::Tree;
use bytes::Bytes;
use std::collections::BTreeMap;
use volume::{
    Named, QUOTA_USERS_MAX, QuotaChange, QuotaRules, QuotasOf, Result, Time, UserQuota, check_quota_users,
    owner_of,
};

#[derive(Default)]
pub(super) struct Limits {
    pub(super) rules: QuotaRules,
    own: BTreeMap<Bytes, UserQuota>,
}

impl Limits {
    pub(super) fn quotas(&self, owned: &BTreeMap<Bytes, u64>, of: &QuotasOf) -> Result<Vec<UserQuota>> {
        let known = |user: &Bytes| -> Option<UserQuota> {
            let (own, used) = (self.own.get(user), owned.get(user).copied());
            let for_all = UserQuota {
                user: user.clone(),
                changed: Time(0),
                used: 0,
                threshold: self.rules.threshold,
                limit: self.rules.limit,
            };
            match (own, used) {
                (None, None) => None,
                (own, used) => Some(UserQuota { used: used.unwrap_or(0), ..own.cloned().unwrap_or(for_all) }),
            }
        };
        match of {
            QuotasOf::All { after } => {
                let mut users: Vec<&Bytes> = self.own.keys().chain(owned.keys()).collect();
                users.sort();
                users.dedup();
                let behind = |user: &&Bytes| after.as_ref().is_none_or(|after| *user > after);
                Ok(users.into_iter().filter(behind).filter_map(known).take(QUOTA_USERS_MAX).collect())
            }
            QuotasOf::Users(users) => {
                check_quota_users("quotas", users.iter())?;
                let unknown = |user: &Bytes| UserQuota::unknown(user.clone());
                Ok(users.iter().map(|user| known(user).unwrap_or_else(|| unknown(user))).collect())
            }
        }
    }

    pub(super) fn set(&mut self, change: &QuotaChange) -> Result<()> {
        match change {
            QuotaChange::Rules(rules) => self.rules = rules.as_set(),
            QuotaChange::Users(users) => {
                check_quota_users("set_quotas", users.iter().map(|user| &user.user))?;
                for user in users {
                    if user.limit == UserQuota::FORGET {
                        self.own.remove(&user.user);
                    } else {
                        let set = UserQuota { changed: Time::now(), used: 0, ..user.clone() };
                        self.own.insert(user.user.clone(), set);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Tree {
    /// What the owners of files have, by their descriptors.
    pub(super) fn owned(&self) -> BTreeMap<Bytes, u64> {
        let mut owned = BTreeMap::new();
        for (size, carried) in self.files() {
            if let Some(owner) = carried.get(&Named::Descriptor).and_then(owner_of) {
                *owned.entry(owner).or_insert(0) += size;
            }
        }
        owned
    }
}

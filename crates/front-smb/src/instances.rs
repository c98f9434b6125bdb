//! Applications that move from one client to another (MS-SMB2 3.3.5.9.13, 3.3.5.9.16).
//!
//! A clustered application names its opens by an AppInstanceId. When it opens the same file from another client, the open
//! that it had from the first one ends, told to nobody: the first client is not waited for. By then it may be kept, for a
//! client that is away, or be in another session than at first.

use crate::open::{FileOpen, Open};
use crate::session::Session;
use parking_lot::Mutex;
use smb_wire::Sid;
use smb_wire::ids::Guid;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use volume::FileId;

/// An application's open.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) client: u128,
    pub(crate) owner: Sid,
    /// AppInstanceVersion, upper half first.
    pub(crate) version: (u64, u64),
    pub(crate) file: FileId,
    /// The persistent half of its id, which it has in every session.
    pub(crate) id: u64,
    open: Weak<FileOpen>,
}

/// Opens by AppInstanceId.
#[derive(Default)]
pub(crate) struct Instances(Mutex<HashMap<Guid, Vec<Instance>>>);

/// Those that have ended are looked for when so many have come since the last look.
const LOOK_EVERY: usize = 1024;

impl Instances {
    pub(crate) fn add(
        &self,
        id: Guid,
        version: (u64, u64),
        client: u128,
        session: &Arc<Session>,
        open: &Arc<Open>,
    ) {
        let Ok(file) = open.file() else { return };
        let instance = Instance {
            client,
            owner: session.token.user.clone(),
            version,
            file: file.vfs.file_id(),
            id: open.id.persistent,
            open: Arc::downgrade(file),
        };
        let mut all = self.0.lock();
        if all.len() >= LOOK_EVERY && all.len().is_power_of_two() {
            all.retain(|_, instances| instances.iter().any(Instance::is_there));
        }
        let instances = all.entry(id).or_default();
        instances.retain(Instance::is_there);
        instances.push(instance);
    }

    /// The application's opens that are there.
    pub(crate) fn of(&self, id: Guid) -> Vec<Instance> {
        let all = self.0.lock();
        let there = all.get(&id).into_iter().flatten();
        there.filter(|instance| instance.is_there()).cloned().collect()
    }
}

impl Instance {
    fn is_there(&self) -> bool {
        self.open.strong_count() > 0
    }

    /// What is open; `None` when it has ended meanwhile.
    pub(crate) fn open(&self) -> Option<Arc<FileOpen>> {
        self.open.upgrade()
    }
}

//! Applications that move from one client to another (MS-SMB2 3.3.5.9.13, 3.3.5.9.16).
//!
//! A clustered application names its opens by an AppInstanceId. When it opens the same file from another client, the open
//! that it had from the first one ends, told to nobody: the first client is not waited for.

use crate::open::Open;
use crate::session::Session;
use parking_lot::Mutex;
use smb_wire::ids::Guid;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use volume::FileId;

/// An application's open.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) client: u128,
    pub(crate) user: Arc<str>,
    /// AppInstanceVersion, upper half first.
    pub(crate) version: (u64, u64),
    pub(crate) file: FileId,
    session: Weak<Session>,
    open: Weak<Open>,
}

/// Opens by AppInstanceId.
#[derive(Default)]
pub(crate) struct Instances(Mutex<HashMap<Guid, Vec<Instance>>>);

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
            user: Arc::clone(&session.user),
            version,
            file: file.vfs.file_id(),
            session: Arc::downgrade(session),
            open: Arc::downgrade(open),
        };
        let mut all = self.0.lock();
        all.retain(|_, instances| {
            instances.retain(|instance| instance.open.strong_count() > 0);
            !instances.is_empty()
        });
        all.entry(id).or_default().push(instance);
    }

    /// The application's opens that are there.
    pub(crate) fn of(&self, id: Guid) -> Vec<Instance> {
        let all = self.0.lock();
        let there = all.get(&id).into_iter().flatten();
        there.filter(|instance| instance.open.strong_count() > 0).cloned().collect()
    }
}

impl Instance {
    /// Takes the open out of its session; the caller closes it.
    pub(crate) fn take(&self) -> Option<Arc<Open>> {
        let open = self.open.upgrade()?;
        if let Some(session) = self.session.upgrade() {
            // One that is kept is in no session.
            let _taken = session.take_open(open.id);
        }
        Some(open)
    }
}

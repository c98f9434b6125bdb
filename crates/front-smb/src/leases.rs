//! Leases as the server knows them: which opens share one, and so who is told of it and answers for it (MS-SMB2 3.3.1.11,
//! 3.3.1.12). What a lease allows is for `vfs` to say.
//!
//! A client names a lease by its ClientGuid and a key. Both go over the wire in the clear: naming them proves nothing. A
//! lease is told of to those alone who have opens of it, and answered for by them.
//!
//! Lock order: the table, then the opens of one lease.

use crate::breaks::Told;
use crate::session::Session;
use parking_lot::Mutex;
use smb_wire::create::LeaseKey;
use smb_wire::ids::Guid;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use vfs::{LeaseId, Vfs};

/// What a client calls a lease: its ClientGuid, and the key that it chose.
type Name = (Guid, LeaseKey);

/// All that somebody has an open of.
#[derive(Default)]
pub(crate) struct Leases {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Several of one name: of guests, and on different volumes.
    named: HashMap<Name, Vec<Arc<Lease>>>,
    last_part: u64,
}

pub(crate) struct Lease {
    pub(crate) id: LeaseId,
    /// Where its file is.
    pub(crate) vfs: Vfs,
    name: Name,
    /// Who has opens of it, by the number of their part.
    holders: Mutex<BTreeMap<u64, Holder>>,
    /// Its last break.
    pub(crate) told: Mutex<Option<Told>>,
}

/// Who has an open of a lease.
#[derive(Clone)]
pub(crate) struct Holder {
    user: Arc<str>,
    /// A guest's, by whom a guest is known.
    guest: Option<u64>,
    /// The one that the open is in, or was in when its client left.
    session: Weak<Session>,
    /// The open was asked for in an encrypted message.
    pub(crate) sealed: bool,
}

impl Holder {
    fn new(session: &Arc<Session>, sealed: bool) -> Holder {
        Holder {
            user: Arc::clone(&session.user),
            guest: session.is_guest().then_some(session.id),
            session: Arc::downgrade(session),
            sealed,
        }
    }

    /// Whether a session is the same user's; of a guest, whether it is that one.
    pub(crate) fn is(&self, session: &Session) -> bool {
        match self.guest {
            Some(id) => session.id == id,
            None => session.is_of(&self.user),
        }
    }

    fn is_there(&self) -> bool {
        self.session.upgrade().is_some_and(|session| !session.is_gone())
    }
}

impl Lease {
    pub(crate) fn key(&self) -> LeaseKey {
        self.name.1
    }

    /// Those who have opens of it in sessions, each user once.
    pub(crate) fn there(&self) -> Vec<Holder> {
        let mut there: Vec<Holder> = Vec::new();
        for holder in self.holders.lock().values() {
            let Some(session) = holder.session.upgrade().filter(|session| !session.is_gone()) else {
                continue;
            };
            match there.iter_mut().find(|other| other.is(&session)) {
                Some(other) => other.sealed |= holder.sealed,
                None => there.push(holder.clone()),
            }
        }
        there
    }
}

impl Leases {
    /// Gives an open its part in the lease that a session means by `key`, which begins with the first.
    pub(crate) fn join(self: &Arc<Self>, session: &Arc<Session>, key: LeaseKey, vfs: &Vfs) -> Part {
        let name = (session.terms.client, key);
        // A guest may say that he is any client.
        let client = if session.is_guest() { session.id.into() } else { u128::from_le_bytes(name.0) };
        self.enter(name, client, vfs, Holder::new(session, false))
    }

    /// The same for an open that comes back after a start, before its client does.
    pub(crate) fn come_back(self: &Arc<Self>, id: LeaseId, vfs: &Vfs, user: &str) -> Part {
        let name = (id.client.to_le_bytes(), LeaseKey(id.key.to_le_bytes()));
        let holder = Holder { user: user.into(), guest: None, session: Weak::new(), sealed: false };
        self.enter(name, id.client, vfs, holder)
    }

    fn enter(self: &Arc<Self>, name: Name, client: u128, vfs: &Vfs, holder: Holder) -> Part {
        let mut table = self.table.lock();
        table.last_part += 1;
        let number = table.last_part;
        let id = LeaseId { client, key: u128::from_le_bytes(name.1.0) };
        let there = table.named.entry(name).or_default();
        let lease = match there.iter().find(|lease| lease.id == id && lease.vfs == *vfs) {
            Some(lease) => Arc::clone(lease),
            None => {
                let new = Arc::new(Lease {
                    id,
                    vfs: vfs.clone(),
                    name,
                    holders: Mutex::default(),
                    told: Mutex::default(),
                });
                there.push(Arc::clone(&new));
                new
            }
        };
        lease.holders.lock().insert(number, holder);
        Part { leases: Arc::clone(self), lease, number }
    }

    /// The leases that a session may answer for by this key.
    pub(crate) fn answered_by(&self, session: &Session, key: LeaseKey) -> Vec<Arc<Lease>> {
        let table = self.table.lock();
        let named = table.named.get(&(session.terms.client, key)).into_iter().flatten();
        let answers = |lease: &Lease| {
            lease.holders.lock().values().any(|holder| holder.is(session) && holder.is_there())
        };
        named.filter(|lease| answers(lease)).cloned().collect()
    }
}

/// An open's part in a lease, which ends with the last.
pub(crate) struct Part {
    leases: Arc<Leases>,
    pub(crate) lease: Arc<Lease>,
    number: u64,
}

impl Part {
    /// The open is in this session from now on.
    pub(crate) fn is_in(&self, session: &Arc<Session>, sealed: bool) {
        self.lease.holders.lock().insert(self.number, Holder::new(session, sealed));
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut table = self.leases.table.lock();
        let is_last = {
            let mut holders = self.lease.holders.lock();
            holders.remove(&self.number);
            holders.is_empty()
        };
        if let Some(named) = table.named.get_mut(&self.lease.name).filter(|_| is_last) {
            named.retain(|lease| !Arc::ptr_eq(lease, &self.lease));
            if named.is_empty() {
                table.named.remove(&self.lease.name);
            }
        }
    }
}

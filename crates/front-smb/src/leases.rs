//! Leases as the server knows them: which opens share one, and so who is told of it and answers for it (MS-SMB2 3.3.1.11,
//! 3.3.1.12). What a lease allows is for `vfs` to say.
//!
//! A client names a lease by its ClientGuid and a key. Both go over the wire in the clear: naming them proves nothing. Who
//! names one that is there has a part in it when he is of the machine that it is cached on, and that shows in two ways
//! alone: he has proved to be a user who has it already, or he comes over a connection on which such a user is logged in,
//! whose opens may be there or still be kept for him.
//! The second is how the users of a `multiuser` mount of Linux come, whose machine has one cache and one key for a file,
//! whoever opens it; nobody else can log in there. Any other one, and a guest anywhere but in the session that has it, gets
//! a lease of his own, which stands against the first like that of another client.
//!
//! A lease is told of to those alone who have opens of it, and answered for by those of its machine.
//!
//! Lock order: the table, then the opens of one lease.

use crate::breaks::Told;
use crate::session::Session;
use parking_lot::Mutex;
use smb_wire::Sid;
use smb_wire::create::LeaseKey;
use smb_wire::ids::Guid;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use vfs::{LeaseId, Vfs};

/// What a client calls a lease: its ClientGuid, and the key that it chose.
type Name = (Guid, LeaseKey);

/// All that somebody has an open of.
pub(crate) struct Leases {
    table: Mutex<Table>,
    /// So that no ClientGuid is like the number that stands for one where another has that.
    secret: u64,
}

#[derive(Default)]
struct Table {
    /// By key. Several of one key: of several clients, of guests and strangers, and on different volumes.
    leases: HashMap<LeaseKey, Vec<Arc<Lease>>>,
    last: u64,
}

pub(crate) struct Lease {
    pub(crate) id: LeaseId,
    /// Where its file is.
    pub(crate) vfs: Vfs,
    name: Name,
    /// Who has opens of it, by the number of their part.
    holders: Mutex<BTreeMap<u64, Holder>>,
    /// Opens of it have come back after a start.
    is_written_down: AtomicBool,
    /// Its last break.
    pub(crate) told: Mutex<Option<Told>>,
}

/// Who has an open of a lease.
#[derive(Clone)]
pub(crate) struct Holder {
    owner: Sid,
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
            owner: session.token.user.clone(),
            guest: session.is_guest().then_some(session.id),
            session: Arc::downgrade(session),
            sealed,
        }
    }

    /// Whether a session is the same user's; of a guest, whether it is that one.
    pub(crate) fn is(&self, session: &Session) -> bool {
        match self.guest {
            Some(id) => session.id == id,
            None => session.is_of(&self.owner),
        }
    }

    fn is_users(&self, user: &Sid) -> bool {
        self.guest.is_none() && self.owner == *user
    }

    /// The session, unless it has ended.
    fn there(&self) -> Option<Arc<Session>> {
        self.session.upgrade().filter(|session| !session.is_gone())
    }

    /// Whether the open is in one of these sessions.
    fn is_in(&self, sessions: &[Arc<Session>]) -> bool {
        sessions.iter().any(|session| Weak::ptr_eq(&self.session, &Arc::downgrade(session)))
    }

    /// Whether one of these sessions is the same user's.
    fn is_one_of(&self, sessions: &[Arc<Session>]) -> bool {
        sessions.iter().any(|session| self.is(session))
    }
}

/// A session, and those of users on its connections: all of one machine. A guest's is of no other's.
fn of_machine(session: &Arc<Session>) -> Vec<Arc<Session>> {
    let mut all = vec![Arc::clone(session)];
    if !session.is_guest() {
        let beside = session.connections().into_iter().flat_map(|connection| connection.sessions());
        all.extend(beside.filter(|other| other.id != session.id && !other.is_guest()));
    }
    all
}

impl Lease {
    pub(crate) fn key(&self) -> LeaseKey {
        self.name.1
    }

    fn has(&self, is_meant: impl Fn(&Holder) -> bool) -> bool {
        self.holders.lock().values().any(is_meant)
    }

    /// Whether it is the client's by its name alone. One of a stranger's or a guest's is known by a number of this process.
    pub(crate) fn is_clients(&self) -> bool {
        self.id.client == u128::from_le_bytes(self.name.0)
    }

    /// The sessions that have opens of it.
    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        self.holders.lock().values().filter_map(Holder::there).collect()
    }

    /// Those who have opens of it in sessions, each user once.
    pub(crate) fn there(&self) -> Vec<Holder> {
        let mut there: Vec<Holder> = Vec::new();
        for holder in self.holders.lock().values() {
            let Some(session) = holder.there() else { continue };
            match there.iter_mut().find(|other| other.is(&session)) {
                Some(other) => other.sealed |= holder.sealed,
                None => there.push(holder.clone()),
            }
        }
        there
    }
}

impl Leases {
    pub(crate) fn new(secret: u64) -> Arc<Leases> {
        Arc::new(Leases { table: Mutex::default(), secret })
    }

    /// Gives an open its part in the lease that a session means by `key`, which begins with the first.
    pub(crate) fn join(self: &Arc<Self>, session: &Arc<Session>, key: LeaseKey, vfs: &Vfs) -> Part {
        let name = (session.terms.client, key);
        // Asked for before the table is locked, and let go of after: a session that ends gives up its parts.
        let machine = of_machine(session);
        let mut table = self.table.lock();
        let lease = table.meant(&machine, &name, vfs).cloned();
        let lease = lease.unwrap_or_else(|| self.begin(&mut table, name, vfs, session.is_guest()));
        self.enter(&mut table, lease, Holder::new(session, false))
    }

    /// The lease with this key that a session's machine has, or else its user on another one: what it says of another's
    /// would keep him from hearing of changes. By the key alone, as with Windows, it would be believed.
    pub(crate) fn of_parent(&self, session: &Arc<Session>, key: LeaseKey, vfs: &Vfs) -> Option<LeaseId> {
        let machine = of_machine(session);
        let table = self.table.lock();
        let own = table.meant(&machine, &(session.terms.client, key), vfs);
        let is_users = |lease: &&Arc<Lease>| lease.vfs == *vfs && lease.has(|holder| holder.is(session));
        own.or_else(|| table.with_key(key).find(is_users)).map(|lease| lease.id)
    }

    /// A part for an open that comes back after a start, before its client does. What is written down under one name was one
    /// lease, whose users' machine proved to be one then. Who came first meanwhile, and is none of them, has no part in it.
    pub(crate) fn come_back(self: &Arc<Self>, id: LeaseId, vfs: &Vfs, user: &Sid) -> Part {
        let name = (id.client.to_le_bytes(), LeaseKey(id.key.to_le_bytes()));
        let mut table = self.table.lock();
        let named = || table.named(&name).filter(|lease| lease.vfs == *vfs);
        let lease = named().find(|lease| lease.is_written_down.load(Ordering::Relaxed));
        let lease =
            lease.or_else(|| named().find(|lease| lease.has(|holder| holder.is_users(user)))).cloned();
        let lease = lease.unwrap_or_else(|| self.begin(&mut table, name, vfs, false));
        lease.is_written_down.store(true, Ordering::Relaxed);
        let holder = Holder { owner: user.clone(), guest: None, session: Weak::new(), sealed: false };
        self.enter(&mut table, lease, holder)
    }

    /// One that stands against those of its name that there are.
    fn begin(&self, table: &mut Table, name: Name, vfs: &Vfs, is_guests: bool) -> Arc<Lease> {
        let client = u128::from_le_bytes(name.0);
        let is_clients = |lease: &Arc<Lease>| lease.vfs == *vfs && lease.id.client == client;
        match is_guests || table.named(&name).any(is_clients) {
            true => {
                let stranger = (u128::from(self.secret) << u64::BITS) | u128::from(table.next());
                table.begin(name, stranger, vfs)
            }
            false => table.begin(name, client, vfs),
        }
    }

    fn enter(self: &Arc<Self>, table: &mut Table, lease: Arc<Lease>, holder: Holder) -> Part {
        let number = table.next();
        lease.holders.lock().insert(number, holder);
        Part { leases: Arc::clone(self), lease, number }
    }

    /// The leases that a session may answer for by this key.
    pub(crate) fn answered_by(&self, session: &Arc<Session>, key: LeaseKey) -> Vec<Arc<Lease>> {
        let machine = of_machine(session);
        let table = self.table.lock();
        let is_one = |holder: &Holder| holder.is_one_of(&machine) && holder.there().is_some();
        table.named(&(session.terms.client, key)).filter(|lease| lease.has(is_one)).cloned().collect()
    }
}

impl Table {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn with_key(&self, key: LeaseKey) -> impl Iterator<Item = &Arc<Lease>> {
        self.leases.get(&key).into_iter().flatten()
    }

    fn named(&self, name: &Name) -> impl Iterator<Item = &Arc<Lease>> {
        let name = *name;
        self.with_key(name.1).filter(move |lease| lease.name == name)
    }

    /// The one of this name that is of a machine with these sessions.
    fn meant(&self, machine: &[Arc<Session>], name: &Name, vfs: &Vfs) -> Option<&Arc<Lease>> {
        // By the connection first: a user may be on two machines that call themselves the same.
        let named = || self.named(name).filter(|lease| lease.vfs == *vfs);
        let here = named().find(|lease| lease.has(|holder| holder.is_in(machine)));
        here.or_else(|| named().find(|lease| lease.has(|holder| holder.is_one_of(machine))))
    }

    fn begin(&mut self, name: Name, client: u128, vfs: &Vfs) -> Arc<Lease> {
        let id = LeaseId { client, key: u128::from_le_bytes(name.1.0) };
        let new = Arc::new(Lease {
            id,
            vfs: vfs.clone(),
            name,
            holders: Mutex::default(),
            is_written_down: AtomicBool::new(false),
            told: Mutex::default(),
        });
        self.leases.entry(name.1).or_default().push(Arc::clone(&new));
        new
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
        let key = self.lease.key();
        if let Some(leases) = table.leases.get_mut(&key).filter(|_| is_last) {
            leases.retain(|lease| !Arc::ptr_eq(lease, &self.lease));
            if leases.is_empty() {
                table.leases.remove(&key);
            }
        }
    }
}

//! Telling clients that something they cache is wanted back (MS-SMB2 3.3.4.6, 3.3.4.7).
//!
//! `vfs` decides on breaks and hands each to the holder's listener, on whatever task the cause of it runs. The
//! listener only pushes a notification to a connection. Of an oplock: the one that the open was made on while it lives,
//! else another channel of the session. Of a lease, which is the client's: for each user who has an open of it the oldest
//! connection of the client that works and on which he is logged in; nobody else, since whoever has heard a ClientGuid
//! can name it. A client hears of a break only after it was told of the open ([`Announcement::made`] comes when the
//! answer is on its way).
//!
//! When a channel dies or is stuck ([`crate::delivery`]), what was told on it is told again on another ([`tell_again`]),
//! unless the client has answered, or where nothing is to be answered its machine is known to have taken the message. Who
//! cannot be told at all loses what he caches; an open that is kept for a client which is away ends.
//!
//! Lock order: what was told, then the opens of its lease.

use crate::client::Client;
use crate::connection::Connection;
use crate::kept::Kept;
use crate::leases::{Holder, Lease};
use crate::limits;
use crate::open::{FileOpen, Open};
use crate::outbox::Outgoing;
use crate::reply::{self, Answer, Reply};
use crate::session::{ConnectionId, Session};
use parking_lot::Mutex;
use smb_wire::create::{LeaseState, OplockLevel};
use smb_wire::negotiate::Dialect;
use smb_wire::oplock_break::{LeaseBreakNotification, OplockBreak};
use smb_wire::{Command, FileId, Header, NtStatus};
use std::collections::HashSet;
use std::sync::{Arc, Weak};
use tokio::time::Instant;
use vfs::{Answering, Break, Caching};

/// The message id of what nobody asked for (MS-SMB2 3.3.4.6).
const UNSOLICITED: u64 = u64::MAX;

/// What a client asks for with an oplock level; a lease is asked for in a context.
pub(crate) fn wanted(level: OplockLevel) -> Caching {
    match level {
        OplockLevel::LEVEL_II => Caching::READ,
        OplockLevel::EXCLUSIVE => Caching::READ | Caching::WRITE,
        OplockLevel::BATCH => Caching::all(),
        _ => Caching::empty(),
    }
}

/// The level that stands for what a client may cache.
pub(crate) fn level(caching: Caching) -> OplockLevel {
    if caching.contains(Caching::all()) {
        OplockLevel::BATCH
    } else if caching.contains(Caching::WRITE) {
        OplockLevel::EXCLUSIVE
    } else if caching.contains(Caching::READ) {
        OplockLevel::LEVEL_II
    } else {
        OplockLevel::NONE
    }
}

pub(crate) fn lease_state(caching: Caching) -> LeaseState {
    LeaseState::from_bits_retain(caching.bits().into())
}

/// What a lease state names; bits that are not known are left out.
pub(crate) fn of_lease(state: LeaseState) -> Caching {
    Caching::from_bits_truncate(state.bits() as u8)
}

/// An open whose client may cache, and is about to learn of it.
pub(crate) struct Announcement {
    pub(crate) session: Arc<Session>,
    pub(crate) open: Arc<Open>,
    /// Its client was away and takes it up again, or has not heard of it the first time.
    pub(crate) back: Option<Answering>,
}

impl Announcement {
    /// The answer is on its way: from now on the client can be told of breaks.
    pub(crate) fn made(self, connection: &Arc<Connection>, sealed: bool) {
        let Ok(file) = self.open.file() else { return };
        if let Some(lease) = &file.lease {
            lease.part.is_in(&self.session, sealed);
        }
        let way = Arc::new(Way {
            session: Arc::downgrade(&self.session),
            made_on: Arc::downgrade(connection),
            client: connection.client().map(|client| Arc::downgrade(&client)),
            kept: Arc::downgrade(&connection.server.kept),
            file: Arc::downgrade(file),
            file_id: self.open.id,
            lease: file.lease().cloned(),
            sealed,
            told: Mutex::default(),
        });
        *file.way.lock() = Some(Arc::clone(&way));
        let (file, breaking, is_dir) = (Arc::clone(file), file.vfs.granted().breaking, file.vfs.is_dir());
        let listen = move || {
            // Of a client that has left and come back again since this is the former way.
            let is_current = file.way.lock().as_ref().is_some_and(|current| Arc::ptr_eq(current, &way));
            if is_current {
                file.vfs.listen(Arc::new(move |what| way.tell(what)));
            }
        };
        let wait = match &self.back {
            // Told in the same moment, Linux acknowledges before it has the open ready, and sends none of the locks that it
            // kept to itself.
            Some(_) => breaking.then_some(limits::BREAK_AFTER_TAKE_UP),
            // Nor does it know a directory's lease before it has the directory ready: it would show for ever what it has
            // listed of it.
            None => is_dir.then_some(limits::BREAK_AFTER_DIRECTORY),
        };
        let back = self.back;
        // What came to be told meanwhile goes the way of this.
        match wait {
            Some(wait) => drop(tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                listen();
                drop(back);
            })),
            None => {
                listen();
                drop(back);
            }
        }
    }
}

/// How a break reaches the client. That of a lease outlives the open.
pub(crate) struct Way {
    session: Weak<Session>,
    made_on: Weak<Connection>,
    client: Option<Weak<Client>>,
    kept: Weak<Kept>,
    file: Weak<FileOpen>,
    file_id: FileId,
    lease: Option<Arc<Lease>>,
    /// The open was asked for in an encrypted message.
    sealed: bool,
    /// The last break of an oplock; that of a lease it knows itself.
    told: Mutex<Option<Told>>,
}

/// A break that was told.
pub(crate) struct Told {
    what: Break,
    /// The connections that it went by, with its number among the notices there.
    by: Vec<(ConnectionId, u64)>,
}

/// A connection, and the session that encrypts what goes there.
type Route = (Arc<Connection>, Option<Arc<Session>>);

impl Way {
    fn tell(&self, what: Break) {
        tracing::debug!(open = ?self.file_id, lease = ?self.lease.as_ref().map(|lease| lease.id), ?what, "break");
        let mut told = self.told().lock();
        let routes = self.routes(told.as_ref());
        let mut by: Vec<(ConnectionId, u64)> = Vec::new();
        for routes in &routes {
            // Two users may be reached by one connection.
            let sent = routes.iter().find_map(|route| {
                let before = by.iter().find(|(connection, _)| *connection == route.0.id);
                before.copied().or_else(|| self.send(route, what))
            });
            by.extend(sent);
        }
        let is_told = !by.is_empty();
        *told = Some(Told { what, by });
        drop(told);
        match (is_told, routes.is_empty()) {
            (true, _) => {}
            // What is persistent is about to be kept: its client hears of it when it is back, and is waited for.
            (false, false) if self.is_persistent() => {}
            (false, false) => self.give_up(),
            // What was kept for the client ends. What is just being kept will be found breaking, and is closed.
            (false, true) => {
                let kept = self.kept.upgrade();
                if kept.is_some_and(|kept| kept.purge(|file| self.is_of(file))) {
                    self.give_up();
                }
            }
        }
    }

    fn told(&self) -> &Mutex<Option<Told>> {
        self.lease.as_ref().map_or(&self.told, |lease| &lease.told)
    }

    fn is_of(&self, file: &Arc<FileOpen>) -> bool {
        match &self.lease {
            Some(lease) => file.lease().is_some_and(|its| Arc::ptr_eq(its, lease)),
            None => Weak::ptr_eq(&self.file, &Arc::downgrade(file)),
        }
    }

    /// Whether one of the opens outlives its client's connections, whoever wants the file: in a session, or kept already.
    fn is_persistent(&self) -> bool {
        let waits = |file: &Arc<FileOpen>| file.is_persistent() && self.is_of(file);
        if self.kept.upgrade().is_some_and(|kept| kept.has(waits)) {
            return true;
        }
        let sessions = match &self.lease {
            Some(lease) => lease.sessions(),
            None => self.session().into_iter().collect(),
        };
        sessions.iter().any(|session| session.has_open(|open| open.file().is_ok_and(waits)))
    }

    /// Nobody can be told: what the client caches is lost.
    fn give_up(&self) {
        match (&self.lease, self.file.upgrade()) {
            (Some(lease), _) => lease.vfs.give_up_lease(lease.id),
            (None, Some(file)) => file.vfs.give_up_caching(),
            (None, None) => {}
        }
    }

    /// Where to tell, for each who is to be told the best first; nothing where nobody is there. A lease all of whose opens
    /// wait for the client is told of when one is taken up: until then it has none to write back by.
    fn routes(&self, last: Option<&Told>) -> Vec<Vec<Route>> {
        let mut all: Vec<Vec<Route>> = match &self.lease {
            Some(lease) => {
                let client = self.client.as_ref().and_then(Weak::upgrade);
                let connections = client.map(|client| client.connections()).unwrap_or_default();
                let to = |holder: &Holder| connections.iter().filter_map(|by| route(by, holder)).collect();
                lease.there().iter().map(to).collect()
            }
            None => self.session().map(|session| self.within(&session, last)).into_iter().collect(),
        };
        for routes in &mut all {
            routes.sort_by_key(|(connection, _)| connection.delivery.is_stuck());
        }
        all
    }

    /// The session that the open is in.
    fn session(&self) -> Option<Arc<Session>> {
        self.session.upgrade().filter(|session| !session.is_gone() && self.file.strong_count() > 0)
    }

    /// The channels of the session, the one first where the last break went, or where the open was made.
    fn within(&self, session: &Arc<Session>, last: Option<&Told>) -> Vec<Route> {
        let seals = session.sealing.is_some() && (self.sealed || session.encrypts());
        let mut connections = session.connections();
        let last = last.and_then(|told| told.by.first()).map(|(connection, _)| *connection);
        let first = last.or_else(|| self.made_on.upgrade().map(|made_on| made_on.id));
        connections.sort_by_key(|connection| Some(connection.id) != first);
        connections.into_iter().map(|by| (by, seals.then(|| Arc::clone(session)))).collect()
    }

    /// Sends it, unless the connection is gone; where it went then.
    fn send(&self, (connection, sealing): &Route, what: Break) -> Option<(ConnectionId, u64)> {
        let pushed = self.frame(what, sealing.as_deref()).and_then(|frame| {
            connection.outbox.push_notice(frame).ok_or_else(|| "the connection is gone".to_owned())
        });
        if let Err(why) = &pushed {
            tracing::warn!(peer = %connection.peer, why, "telling of a break");
        }
        let notice = pushed.ok()?;
        connection.delivery.sent(Instant::now(), what.acknowledge);
        Some((connection.id, notice))
    }

    fn frame(&self, what: Break, sealing: Option<&Session>) -> Result<Outgoing, String> {
        let header = Header::request(Command::OplockBreak, UNSOLICITED).reply(NtStatus::SUCCESS, 0);
        let answer = match &self.lease {
            None => {
                let notification = OplockBreak { oplock_level: level(what.left), file_id: self.file_id };
                Answer::ok(|body| notification.encode(body))
            }
            Some(lease) => {
                let notification = LeaseBreakNotification {
                    new_epoch: what.epoch,
                    ack_required: what.acknowledge,
                    lease_key: lease.key(),
                    current_state: lease_state(what.held),
                    new_state: lease_state(what.left),
                };
                Answer::ok(|body| notification.encode(body))
            }
        };
        // Never signed: no request has given it a nonce (MS-SMB2 3.3.4.1.1).
        let reply = Reply { header, answer, signer: None };
        reply::frame(vec![reply], sealing, None)
    }

    /// The last break, if it went by a connection that is lost and another would do; and whether it has arrived there.
    fn lost_with(&self, lost: &Connection) -> Option<(Break, bool)> {
        let told = self.told().lock();
        let last = told.as_ref()?;
        let (_, notice) = last.by.iter().find(|(connection, _)| *connection == lost.id)?;
        let mut routes = self.routes(Some(last)).into_iter().flatten();
        let others = routes.any(|(other, _)| other.id != lost.id);
        others.then(|| (last.what, lost.delivery.has_arrived(*notice)))
    }

    /// Tells the last break again, if it went by a connection that is lost. One that is to be answered until it is. Of one that
    /// is not, nothing comes back: it is told again unless it has arrived, or its client has been told of another state
    /// since. Twice does no harm.
    fn tell_again(&self, file: &FileOpen, lost: &Connection) {
        let Some((what, arrived)) = self.lost_with(lost) else { return };
        let granted = file.vfs.granted();
        let stands = granted.caching == what.left && granted.epoch.unwrap_or_default() == what.epoch;
        match what.acknowledge {
            true if granted.breaking => file.vfs.break_again(),
            false if stands && !granted.breaking && !arrived => self.tell(what),
            true | false => {}
        }
    }
}

/// Whether a connection of the client leads to one who has an open of a lease, encrypted by a session that he has there.
/// One of 2.0.2 knows of none (MS-SMB2 2.2.23.2), whoever's ClientGuid it names.
fn route(connection: &Arc<Connection>, holder: &Holder) -> Option<Route> {
    let dialect = connection.negotiated.get()?.dialect;
    if dialect <= Dialect::SMB_2_0_2 {
        return None;
    }
    let mut sessions = connection.sessions();
    sessions.retain(|session| holder.is(session));
    let seals = holder.sealed || sessions.iter().any(|session| session.encrypts());
    let by = sessions.into_iter().find(|session| session.sealing.is_some() || !seals)?;
    Some((Arc::clone(connection), seals.then_some(by)))
}

/// A connection is gone or stuck: breaks that went by it are told to the client on another, once for each lease.
pub(crate) fn tell_again(lost: &Connection) {
    // Whoever has heard a ClientGuid may come and go under it: what its client has open is not looked through for that.
    if !lost.delivery.was_used() {
        return;
    }
    let others = lost.client().map(|client| client.connections()).unwrap_or_default();
    let (mut seen, mut leases) = (HashSet::new(), HashSet::new());
    let sessions = others.iter().filter(|other| other.id != lost.id).flat_map(|other| other.sessions());
    let sessions = sessions.filter(|session| seen.insert(session.id));
    for open in sessions.flat_map(|session| session.all_opens()) {
        let Ok(file) = open.file() else { continue };
        if file.lease().is_some_and(|lease| !leases.insert(Arc::as_ptr(lease))) {
            continue;
        }
        let way = file.way.lock().clone();
        if let Some(way) = way {
            way.tell_again(file, lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_sets_agree() {
        for known in [OplockLevel::NONE, OplockLevel::LEVEL_II, OplockLevel::EXCLUSIVE, OplockLevel::BATCH] {
            assert_eq!(level(wanted(known)), known);
        }
        assert_eq!(wanted(OplockLevel::LEASE), Caching::empty());
    }

    #[test]
    fn lease_states_are_sets() {
        let handle = LeaseState::READ_CACHING | LeaseState::HANDLE_CACHING;
        assert_eq!(of_lease(handle), Caching::READ | Caching::HANDLE);
        assert_eq!(lease_state(Caching::all()).bits(), 7);
    }
}

//! Telling clients that something they cache is wanted back (MS-SMB2 3.3.4.6, 3.3.4.7).
//!
//! `vfs` decides on breaks and hands each to the holder's listener, on whatever task the cause of it runs. The
//! listener only pushes a notification to a connection: the one that the open was made on while it lives, else
//! another channel of the session; for a lease, which is the client's, else another connection of the client on which
//! the same user is logged in, since whoever has heard a ClientGuid can name it. A client hears of a break only after it was told of the open ([`Announcement::made`] comes when the answer is on
//! its way).
//!
//! When a channel dies or is stuck ([`crate::delivery`]), what was told on it and not acknowledged is told again on
//! another ([`tell_again`]). Who cannot be told at all loses what he caches; an open that is kept for a client which is
//! away ends.

use crate::client::Client;
use crate::connection::Connection;
use crate::kept::Kept;
use crate::limits;
use crate::open::{FileOpen, Open};
use crate::reply::{self, Answer, Reply};
use crate::session::{ConnectionId, Session};
use parking_lot::Mutex;
use smb_wire::create::{LeaseKey, LeaseState, OplockLevel};
use smb_wire::oplock_break::{LeaseBreakNotification, OplockBreak};
use smb_wire::{Command, FileId, Header, NtStatus};
use std::collections::HashSet;
use std::sync::{Arc, Weak};
use tokio::time::Instant;
use vfs::{Break, Caching, LeaseId};

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
    pub(crate) vfs: vfs::Vfs,
    /// Its client was away, and takes it up again.
    pub(crate) back: bool,
}

impl Announcement {
    /// The answer is on its way: from now on the client can be told of breaks.
    pub(crate) fn made(self, connection: &Arc<Connection>, sealed: bool) {
        let Ok(file) = self.open.file() else { return };
        let way = Arc::new(Way {
            session: Arc::downgrade(&self.session),
            user: Arc::clone(&self.session.user),
            connection: Mutex::new(Arc::downgrade(connection)),
            client: connection.client().map(|client| Arc::downgrade(&client)),
            kept: Arc::downgrade(&connection.server.kept),
            file: Arc::downgrade(file),
            file_id: self.open.id,
            lease: file.lease.map(|lease| (lease.id, self.vfs)),
            sealed,
        });
        *file.way.lock() = Some(Arc::clone(&way));
        let (file, breaking) = (Arc::clone(file), file.vfs.granted().breaking);
        let listen = move || {
            // Of a client that has left and come back again since this is the former way.
            let is_current = file.way.lock().as_ref().is_some_and(|current| Arc::ptr_eq(current, &way));
            if is_current {
                file.vfs.listen(Arc::new(move |what| way.tell(what)));
            }
        };
        if !self.back || !breaking {
            return listen();
        }
        // Told in the same moment, Linux acknowledges before it has the open ready, and sends none of the locks that it
        // kept to itself.
        tokio::spawn(async move {
            tokio::time::sleep(limits::BREAK_AFTER_TAKE_UP).await;
            listen();
        });
    }
}

/// How a break reaches the client. That of a lease is by the open which was made last, and outlives it.
pub(crate) struct Way {
    session: Weak<Session>,
    user: Arc<str>,
    /// The one to try first: where the open was made, or where the last break went.
    connection: Mutex<Weak<Connection>>,
    client: Option<Weak<Client>>,
    kept: Weak<Kept>,
    file: Weak<FileOpen>,
    file_id: FileId,
    lease: Option<(LeaseId, vfs::Vfs)>,
    /// The open was asked for in an encrypted message.
    sealed: bool,
}

/// A connection, and the session that encrypts what goes there.
type Route = (Arc<Connection>, Option<Arc<Session>>);

impl Way {
    fn tell(&self, what: Break) {
        tracing::debug!(open = ?self.file_id, lease = ?self.lease.as_ref().map(|(id, _)| id), ?what, "break");
        let session = self.session();
        let told = self.routes(session.as_ref()).iter().any(|route| {
            let sent = self.send(route, what);
            if let Err(why) = &sent {
                tracing::warn!(peer = %route.0.peer, why, "telling of a break");
            }
            sent.is_ok()
        });
        match (told, session) {
            (true, _) => {}
            (false, Some(_)) => self.give_up(),
            // What was kept for the client ends. What is just being kept will be found breaking, and is closed.
            (false, None) => {
                let kept = self.kept.upgrade();
                if kept.is_some_and(|kept| kept.purge(|file| self.is_of(file))) {
                    self.give_up();
                }
            }
        }
    }

    /// The session that the open is in.
    fn session(&self) -> Option<Arc<Session>> {
        self.session.upgrade().filter(|session| !session.is_gone() && self.file.strong_count() > 0)
    }

    fn is_of(&self, file: &Arc<FileOpen>) -> bool {
        match &self.lease {
            Some((id, _)) => file.lease.is_some_and(|lease| lease.id == *id),
            None => Weak::ptr_eq(&self.file, &Arc::downgrade(file)),
        }
    }

    /// Nobody can be told: what the client caches is lost.
    fn give_up(&self) {
        match (&self.lease, self.file.upgrade()) {
            (Some((id, vfs)), _) => vfs.give_up_lease(*id),
            (None, Some(file)) => file.vfs.give_up_caching(),
            (None, None) => {}
        }
    }

    /// Where to tell, the best first: of an oplock the open's session, of a lease the client's oldest connection. A lease
    /// all of whose opens wait for the client is told of when one is taken up: until then it has none to write back by.
    fn routes(&self, session: Option<&Arc<Session>>) -> Vec<Route> {
        let client = self.client.as_ref().filter(|_| self.lease.is_some()).and_then(Weak::upgrade);
        let client = client.filter(|client| session.is_some() || self.is_in_use(client));
        let of_client = client.into_iter().flat_map(|client| client.connections());
        let mut routes: Vec<Route> = of_client.filter_map(|connection| self.by_client(connection)).collect();
        if let Some(session) = session {
            let last = self.connection.lock().upgrade().filter(|last| session.is_channel(last.id));
            let seals = session.sealing.is_some() && (self.sealed || session.encrypts());
            let with = |connection| (connection, seals.then(|| Arc::clone(session)));
            routes.extend(last.into_iter().chain(session.connections()).map(with));
        }
        routes.sort_by_key(|(connection, _)| connection.delivery.is_stuck());
        routes
    }

    /// Whether a session of the client has an open of the lease.
    fn is_in_use(&self, client: &Client) -> bool {
        self.lease.as_ref().is_some_and(|(id, _)| has_lease(&self.user, client, *id))
    }

    /// Whether a connection of the client will do, encrypted by a session that the user has there.
    fn by_client(&self, connection: Arc<Connection>) -> Option<Route> {
        let mut sessions = connection.sessions();
        sessions.retain(|session| session.is_of(&self.user));
        let seals = self.sealed || sessions.iter().any(|session| session.encrypts());
        match seals {
            true => sessions
                .into_iter()
                .find(|session| session.sealing.is_some())
                .map(|by| (connection, Some(by))),
            false => sessions.first().map(|_| (connection, None)),
        }
    }

    fn send(&self, (connection, sealing): &Route, what: Break) -> Result<(), String> {
        let header = Header::request(Command::OplockBreak, UNSOLICITED).reply(NtStatus::SUCCESS, 0);
        let answer = match &self.lease {
            None => {
                let notification = OplockBreak { oplock_level: level(what.left), file_id: self.file_id };
                Answer::ok(|body| notification.encode(body))
            }
            Some((id, _)) => {
                let notification = LeaseBreakNotification {
                    new_epoch: what.epoch,
                    ack_required: what.acknowledge,
                    lease_key: LeaseKey(id.key.to_le_bytes()),
                    current_state: lease_state(what.held),
                    new_state: lease_state(what.left),
                };
                Answer::ok(|body| notification.encode(body))
            }
        };
        // Never signed: no request has given it a nonce (MS-SMB2 3.3.4.1.1).
        let reply = Reply { header, answer, signer: None };
        if !connection.outbox.push_notice(reply::frame(vec![reply], sealing.as_deref(), None)?) {
            return Err("the connection is gone".to_owned());
        }
        if what.acknowledge {
            connection.delivery.sent(Instant::now());
        }
        *self.connection.lock() = Arc::downgrade(connection);
        Ok(())
    }

    /// Whether the last break went by this connection, and another would do.
    fn may_go_elsewhere(&self, connection: ConnectionId) -> bool {
        let went_by = self.connection.lock().upgrade().is_none_or(|last| last.id == connection);
        went_by && self.routes(self.session().as_ref()).iter().any(|(other, _)| other.id != connection)
    }
}

/// Whether a session may answer for a lease: its user's with this client, or, of a guest, its own.
pub(crate) fn may_acknowledge(session: &Session, client: &Client, id: LeaseId) -> bool {
    if session.is_guest() { has_open_of(session, id) } else { has_lease(&session.user, client, id) }
}

/// Whether a user has an open of a lease in a session with this client.
fn has_lease(user: &str, client: &Client, id: LeaseId) -> bool {
    let sessions = client.connections().into_iter().flat_map(|connection| connection.sessions());
    let mut users = sessions.filter(|session| session.is_of(user));
    users.any(|session| has_open_of(&session, id))
}

fn has_open_of(session: &Session, id: LeaseId) -> bool {
    session.has_open(|open| open.file().is_ok_and(|file| file.lease.is_some_and(|lease| lease.id == id)))
}

/// A channel of a session is gone or stuck: breaks that went by it and were not answered are told on another, once for
/// each lease.
pub(crate) fn tell_again(session: &Session, lost: ConnectionId) {
    let mut leases = HashSet::new();
    for open in session.all_opens() {
        let Ok(file) = open.file() else { continue };
        if file.lease.is_some_and(|lease| !leases.insert(lease.id)) {
            continue;
        }
        let elsewhere = || file.way.lock().as_ref().is_some_and(|way| way.may_go_elsewhere(lost));
        if file.vfs.granted().breaking && elsewhere() {
            file.vfs.break_again();
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

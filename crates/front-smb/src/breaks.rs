//! Telling clients that something they cache is wanted back (MS-SMB2 3.3.4.6, 3.3.4.7).
//!
//! `vfs` decides on breaks and hands each to the holder's listener, on whatever task the cause of it runs. The
//! listener only pushes a notification to a connection: the one that the open was made on while it lives, else
//! another channel of the session; for a lease, which is the client's, else another connection of the client. A
//! client hears of a break only after it was told of the open ([`Announcement::made`] comes when the answer is on
//! its way).
//!
//! When a channel dies, what was told on it and not acknowledged is told again on another ([`tell_again`]). Who
//! cannot be told at all loses what he caches; an open that is kept for a client which is away ends.

use crate::client::Client;
use crate::connection::Connection;
use crate::open::{FileOpen, Open};
use crate::reply::{self, Answer, Reply};
use crate::session::{ConnectionId, Session};
use parking_lot::Mutex;
use smb_wire::create::{LeaseKey, LeaseState, OplockLevel};
use smb_wire::oplock_break::{LeaseBreakNotification, OplockBreak};
use smb_wire::{Command, FileId, Header, NtStatus};
use std::sync::{Arc, Weak};
use vfs::{Break, Caching};

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
}

impl Announcement {
    /// The answer is on its way: from now on the client can be told of breaks.
    pub(crate) fn made(self, connection: &Arc<Connection>, sealed: bool) {
        let Ok(file) = self.open.file() else { return };
        let way = Way {
            session: Arc::downgrade(&self.session),
            connection: Mutex::new(Arc::downgrade(connection)),
            client: connection.client().map(|client| Arc::downgrade(&client)),
            file: Arc::downgrade(file),
            file_id: self.open.id,
            sealed,
        };
        let way = Arc::new(way);
        *file.way.lock() = Some(Arc::clone(&way));
        file.vfs.listen(Arc::new(move |what| way.tell(what)));
    }
}

/// How a break reaches the client.
pub(crate) struct Way {
    session: Weak<Session>,
    /// The one to try first: where the open was made, or where the last break went.
    connection: Mutex<Weak<Connection>>,
    client: Option<Weak<Client>>,
    file: Weak<FileOpen>,
    file_id: FileId,
    /// The open was asked for in an encrypted message.
    sealed: bool,
}

impl Way {
    fn tell(&self, what: Break) {
        let Some(file) = self.file.upgrade() else { return };
        let session = self.session.upgrade().filter(|session| !session.is_gone());
        let told = session.is_some_and(|session| {
            self.connections(&session, &file).iter().any(|connection| {
                let sent = self.send(connection, &session, &file, what);
                if let Err(why) = &sent {
                    tracing::warn!(peer = %connection.peer, why, "telling of a break");
                }
                sent.is_ok()
            })
        });
        if !told {
            file.cannot_be_told();
        }
    }

    /// Where to tell, the best first.
    fn connections(&self, session: &Session, file: &FileOpen) -> Vec<Arc<Connection>> {
        let last = self.connection.lock().upgrade().filter(|connection| session.is_channel(connection.id));
        let mut all: Vec<_> = last.into_iter().chain(session.connections()).collect();
        // Only one who shares the session can read what it encrypts.
        if file.lease.is_some() && !self.seals(session) {
            let client = self.client.as_ref().and_then(Weak::upgrade);
            all.extend(client.into_iter().flat_map(|client| client.connections()));
        }
        all
    }

    fn seals(&self, session: &Session) -> bool {
        session.sealing.is_some() && (self.sealed || session.encrypts())
    }

    fn send(
        &self,
        connection: &Arc<Connection>,
        session: &Arc<Session>,
        file: &FileOpen,
        what: Break,
    ) -> Result<(), String> {
        let header = Header::request(Command::OplockBreak, UNSOLICITED).reply(NtStatus::SUCCESS, 0);
        let answer = match &file.lease {
            None => {
                let notification = OplockBreak { oplock_level: level(what.left), file_id: self.file_id };
                Answer::ok(|body| notification.encode(body))
            }
            Some(lease) => {
                let notification = LeaseBreakNotification {
                    new_epoch: what.epoch,
                    ack_required: what.acknowledge,
                    lease_key: LeaseKey(lease.id.key.to_le_bytes()),
                    current_state: lease_state(what.held),
                    new_state: lease_state(what.left),
                };
                Answer::ok(|body| notification.encode(body))
            }
        };
        // Never signed: no request has given it a nonce (MS-SMB2 3.3.4.1.1).
        let reply = Reply { header, answer, signer: None };
        connection.outbox.push(reply::frame(vec![reply], self.seals(session).then_some(&**session))?);
        *self.connection.lock() = Arc::downgrade(connection);
        Ok(())
    }

    fn went_by(&self, connection: ConnectionId) -> bool {
        self.connection.lock().upgrade().is_none_or(|last| last.id == connection)
    }
}

/// A channel of a session is gone: breaks that went by it and were not answered are told on another.
pub(crate) fn tell_again(session: &Session, gone: ConnectionId) {
    for open in session.all_opens() {
        let Ok(file) = open.file() else { continue };
        let went_by = file.way.lock().as_ref().is_some_and(|way| way.went_by(gone));
        if went_by {
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

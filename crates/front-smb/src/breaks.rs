//! Telling clients that something they cache is wanted back (MS-SMB2 3.3.4.6).
//!
//! `vfs` decides on breaks and hands each to the open's listener, on whatever task the cause of it runs. The
//! listener only pushes a notification to a connection of the open's session: the one that the open was made
//! on while it lives, else another channel. A client hears of a break only after it was told of the open
//! ([`Announcement::made`] comes when the answer is on its way).

use crate::connection::Connection;
use crate::open::Open;
use crate::reply::{self, Answer, Reply};
use crate::session::Session;
use smb_wire::create::OplockLevel;
use smb_wire::oplock_break::OplockBreak;
use smb_wire::{Command, FileId, Header, NtStatus};
use std::sync::{Arc, Weak};
use vfs::{Break, Caching};

/// The message id of what nobody asked for (MS-SMB2 3.3.4.6).
const UNSOLICITED: u64 = u64::MAX;

/// What a client asks for with an oplock level; a lease is not granted.
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
            connection: Arc::downgrade(connection),
            file_id: self.open.id,
            sealed,
        };
        file.vfs.listen(Arc::new(move |what| way.tell(what)));
    }
}

/// How a break reaches the client.
struct Way {
    session: Weak<Session>,
    connection: Weak<Connection>,
    file_id: FileId,
    /// The open was asked for in an encrypted message.
    sealed: bool,
}

impl Way {
    fn tell(&self, what: Break) {
        let Some(session) = self.session.upgrade() else { return };
        let own = self.connection.upgrade().filter(|connection| session.is_channel(connection.id));
        let told = own.or_else(|| session.any_connection()).is_some_and(|connection| {
            let sent = self.send(&connection, &session, what);
            sent.inspect_err(|why| tracing::warn!(peer = %connection.peer, why, "telling of a break")).is_ok()
        });
        if !told
            && let Some(open) = session.open(self.file_id)
            && let Ok(file) = open.file()
        {
            file.vfs.give_up_caching();
        }
    }

    fn send(&self, connection: &Connection, session: &Arc<Session>, what: Break) -> Result<(), String> {
        let notification = OplockBreak { oplock_level: level(what.left), file_id: self.file_id };
        let header = Header::request(Command::OplockBreak, UNSOLICITED).reply(NtStatus::SUCCESS, 0);
        let answer = Answer::ok(|body| notification.encode(body));
        let seal = session.sealing.is_some() && (self.sealed || session.encrypts());
        // Never signed: no request has given it a nonce (MS-SMB2 3.3.4.1.1).
        let reply = Reply { header, answer, signer: None };
        connection.outbox.push(reply::frame(vec![reply], seal.then_some(&**session))?);
        Ok(())
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
}

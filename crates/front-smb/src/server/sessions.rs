//! The sessions of a server, from their log-in to their end.

use super::{Ending, State};
use crate::connection::Connection;
use crate::limits;
use crate::open::{self, FileOpen, Open};
use crate::session::Session;
use smb_wire::NtStatus;
use smb_wire::ids::Guid;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::time::timeout;

/// The opens of a session that has ended.
pub(super) struct Dismissed {
    pub(super) kept: Vec<Arc<Open>>,
    /// To be closed.
    pub(super) closing: Vec<Arc<Open>>,
}

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions {
    all: HashMap<u64, Arc<Session>>,
    /// The same by client, which has few of them.
    of_clients: BTreeSet<(Guid, u64)>,
}

impl Sessions {
    fn insert(&mut self, session: Arc<Session>) {
        self.of_clients.insert((session.terms.client, session.id));
        self.all.insert(session.id, session);
    }

    fn remove(&mut self, session: &Session) -> bool {
        self.of_clients.remove(&(session.terms.client, session.id));
        self.all.remove(&session.id).is_some()
    }

    fn of_client(&self, client: Guid) -> impl Iterator<Item = &Arc<Session>> {
        let ids = self.of_clients.range((client, 0)..=(client, u64::MAX));
        ids.filter_map(|(_, id)| self.all.get(id))
    }
}

impl State {
    pub(crate) fn session(&self, id: u64) -> Option<Arc<Session>> {
        self.sessions.read().all.get(&id).filter(|session| !session.is_gone()).cloned()
    }

    pub(super) fn all_sessions(&self) -> Vec<Arc<Session>> {
        self.sessions.read().all.values().cloned().collect()
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.read().all.len()
    }

    /// A session id that cannot be guessed and is not in use (MS-SMB2 3.3.5.5.1).
    pub(crate) fn new_session_id(&self) -> Result<u64, getrandom::Error> {
        loop {
            let id = getrandom::u64()?;
            if id != 0 && id != u64::MAX && !self.sessions.read().all.contains_key(&id) {
                return Ok(id);
            }
        }
    }

    /// Enters a session that somebody has made on a connection.
    ///
    /// # Errors
    /// `INSUFFICIENT_RESOURCES` when there are too many of his.
    pub(crate) fn add_session(
        &self,
        session: &Arc<Session>,
        connection: &Connection,
    ) -> Result<(), NtStatus> {
        self.crowd.enter(session, connection)?;
        self.sessions.write().insert(Arc::clone(session));
        Ok(())
    }

    /// Ends a session: no request begins in it any more, its opens are closed or kept. What was begun through those that are
    /// kept may still be under way: who takes one up waits for that.
    pub(crate) async fn end_session(self: &Arc<Self>, session: &Session, how: Ending) {
        // What takes longer is closed all the same; its client is to come back meanwhile.
        let closed = open::close_all(self, self.dismiss(session, how).closing);
        let _closed = timeout(limits::LANDING_PATIENCE, closed).await;
    }

    /// The same for one that its client ends: what was begun in it has landed then, unless that takes too long.
    pub(crate) async fn log_off(self: &Arc<Self>, session: &Session) {
        let Dismissed { kept, closing } = self.dismiss(session, Ending::Lost);
        let landed = async {
            open::close_all(self, closing).await;
            for open in &kept {
                open.landed().await;
            }
        };
        let _landed = timeout(limits::LANDING_PATIENCE, landed).await;
    }

    /// The same, but for closing.
    pub(super) fn dismiss(&self, session: &Session, how: Ending) -> Dismissed {
        let trees = session.all_trees();
        let opens = session.end();
        let (kept, closing) = match how {
            Ending::Lost => self.kept.keep(opens, (&session.user, &session.token.user), &trees),
            Ending::Over => (Vec::new(), opens),
        };
        // Not before: a client that is back already finds its opens here or there.
        let was_there = self.sessions.write().remove(session);
        if was_there {
            self.crowd.leave(session);
            self.returns.ended(session.terms.client);
        }
        Dismissed { kept, closing }
    }

    /// Whether another session of this one's client has an open with this persistent half of its id, or may have it:
    /// those of a session that is about to be gone are about to be kept.
    pub(crate) fn is_open_elsewhere(&self, session: &Session, id: u64) -> bool {
        let sessions = self.sessions.read();
        let mut others = sessions.of_client(session.terms.client).filter(|other| other.id != session.id);
        others.any(|other| other.has_persistent(id) || other.is_gone())
    }

    /// Takes an open out of the session that it is in: nobody can name it any more.
    pub(crate) fn take_out(&self, file: &Arc<FileOpen>) {
        for session in self.all_sessions() {
            let is_it = |open: &Arc<Open>| open.file().is_ok_and(|its| Arc::ptr_eq(its, file));
            for open in session.all_opens().into_iter().filter(is_it) {
                // When it is gone, somebody else closes it.
                let _taken = session.take_open(open.id);
            }
        }
    }
}

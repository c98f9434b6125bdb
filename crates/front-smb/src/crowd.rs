//! Who is here, and how many of each: nobody, by himself, takes all the places that there are.
//!
//! | of | there may be | for |
//! |---|---|---|
//! | a place (`turns::place_of`) | so many connections on which no user has logged in | strangers |
//! | a place | so many sessions | guests |
//! | a user | so many connections and sessions | users; all guests are one |
//!
//! A connection is its first user's, to its end. What is open is counted where it is ([`vfs::Limits`]).

use crate::config::PerUser;
use crate::connection::Connection;
use crate::limits;
use crate::places::Places;
use crate::session::Session;
use crate::tally::Tally;
use smb_wire::NtStatus;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) struct Crowd {
    strangers: Places,
    guests: Places,
    connections: Tally<Arc<str>>,
    sessions: Tally<Arc<str>>,
}

impl Crowd {
    pub(crate) fn new(per_user: PerUser) -> Crowd {
        Crowd {
            strangers: Places::new(limits::ANONYMOUS_CONNECTIONS_PER_ADDRESS_MAX),
            guests: Places::new(limits::GUEST_SESSIONS_PER_ADDRESS_MAX),
            connections: Tally::new(per_user.connections),
            sessions: Tally::new(per_user.sessions),
        }
    }

    /// A connection comes from there; false when there are as many strangers as may be.
    pub(crate) fn arrive(&self, from: IpAddr) -> bool {
        self.strangers.enter(from)
    }

    /// A user has logged in on a connection from there.
    pub(crate) fn make_known(&self, from: IpAddr) {
        self.strangers.leave(from);
    }

    /// A connection has ended.
    pub(crate) fn depart(&self, connection: &Connection) {
        if !connection.was_known() {
            self.strangers.leave(connection.peer.ip());
        }
        if let Some(account) = connection.account.get() {
            self.connections.leave(&**account);
        }
    }

    /// Somebody logs in on a connection, to a session that is there.
    ///
    /// # Errors
    /// `INSUFFICIENT_RESOURCES` when it would be one connection too many of his.
    pub(crate) fn join(&self, session: &Session, connection: &Connection) -> Result<(), NtStatus> {
        let Some(account) = session.account.as_ref().filter(|_| connection.account.get().is_none()) else {
            return Ok(());
        };
        if !self.connections.enter(Arc::clone(account)) {
            return Err(too_many("connections of one user", session, connection));
        }
        if connection.account.set(Arc::clone(account)).is_err() {
            // Another log-in on it has come first.
            self.connections.leave(&**account);
        }
        Ok(())
    }

    /// The same to a new session, which [`Crowd::leave`] is to be called for.
    ///
    /// # Errors
    /// As with [`Crowd::join`], and when it would be one session too many, of guests from one place or of one user.
    pub(crate) fn enter(&self, session: &Session, connection: &Connection) -> Result<(), NtStatus> {
        self.join(session, connection)?;
        if session.guest_from.is_some_and(|place| !self.guests.enter(place)) {
            return Err(too_many("guests", session, connection));
        }
        if session.account.as_ref().is_some_and(|account| !self.sessions.enter(Arc::clone(account))) {
            session.guest_from.into_iter().for_each(|place| self.guests.leave(place));
            return Err(too_many("sessions of one user", session, connection));
        }
        Ok(())
    }

    /// A session has ended.
    pub(crate) fn leave(&self, session: &Session) {
        session.guest_from.into_iter().for_each(|place| self.guests.leave(place));
        session.account.iter().for_each(|account| self.sessions.leave(&**account));
    }
}

fn too_many(what: &str, session: &Session, connection: &Connection) -> NtStatus {
    tracing::warn!(peer = %connection.peer, user = %session.user, "too many {what}");
    NtStatus::INSUFFICIENT_RESOURCES
}

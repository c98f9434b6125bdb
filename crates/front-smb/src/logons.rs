//! Log-ins under way on one connection: what is kept of each between its legs, and how many there are. One whose leg waits, for
//! its place's turn or for the time that a wrong password costs, is as much under way as one whose client is to speak.

use crate::commands::logon::Logon;
use crate::limits;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
pub(crate) struct Logons {
    /// By session id.
    between: Mutex<HashMap<u64, Logon>>,
    /// Legs that are at work.
    legs: AtomicUsize,
}

/// One leg, from its beginning until it is answered.
pub(crate) struct Leg<'a>(&'a Logons);

impl Drop for Leg<'_> {
    fn drop(&mut self) {
        self.0.legs.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Logons {
    pub(crate) fn begin_leg(&self) -> Leg<'_> {
        self.legs.fetch_add(1, Ordering::Relaxed);
        Leg(self)
    }

    /// Whether the one whose first leg is at work fits beside the others and so many sessions. Those whose clients have not
    /// gone on in time are forgotten.
    pub(crate) fn have_room(&self, sessions: usize, is_known: bool) -> bool {
        let mut between = self.between.lock();
        between.retain(|_, logon| logon.begun.elapsed() < limits::LOGON_PATIENCE);
        let under_way = between.len() + self.legs.load(Ordering::Relaxed);
        let most = if is_known { limits::SESSIONS_PER_CONNECTION_MAX } else { limits::ANONYMOUS_LOGONS_MAX };
        under_way + sessions <= most
    }

    /// Its client is to speak next.
    pub(crate) fn keep(&self, session_id: u64, logon: Logon) {
        self.between.lock().insert(session_id, logon);
    }

    /// Its client has spoken.
    pub(crate) fn resume(&self, session_id: u64) -> Option<Logon> {
        self.between.lock().remove(&session_id)
    }

    /// The answer to its last leg goes out.
    pub(crate) fn answered(&self, session_id: u64, message: &[u8]) {
        if let Some(logon) = self.between.lock().get_mut(&session_id) {
            logon.preauth.update(&[message]);
        }
    }
}

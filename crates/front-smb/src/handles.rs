//! Opens of directories that a client keeps for its cache alone.
//!
//! With a lease on a directory a client keeps that open after it has listed it; one that walks a large tree has thousands so.
//! macOS takes a refusal for the end of its walk, and says nothing. So where a session comes near to what it may have
//! open, its client is asked for such handles, the oldest first, before it is refused another open. What it has open for
//! somebody stays open, and costs its lease.

use crate::limits;
use crate::open::FileOpen;
use crate::session::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// When the client of a session is asked.
#[derive(Default)]
pub(crate) struct Handles {
    /// CREATEs that came while few opens were left.
    creates: AtomicUsize,
}

impl Handles {
    /// One more is to be opened beside `opens`, of at most `most`: how many the client is to be asked for.
    fn wanted(&self, opens: usize, most: usize) -> usize {
        if most - opens.min(most) > most / limits::OPENS_LEFT_PART {
            return 0;
        }
        let at_a_time = most / limits::HANDLES_ASKED_PART;
        // It has to come to answer.
        let turn = (at_a_time / 2).max(1);
        let nth = self.creates.fetch_add(1, Ordering::Relaxed);
        if nth.is_multiple_of(turn) { at_a_time } else { 0 }
    }
}

/// Asks the client of a session for some, if it is time.
pub(crate) fn ask_for_some(session: &Session) {
    let (opens, most) = session.crowding();
    let wanted = session.handles.wanted(opens, most);
    if wanted == 0 {
        return;
    }
    let all = session.all_opens();
    let leased = |file: &&Arc<FileOpen>| file.vfs.is_dir() && file.lease.is_some();
    let mut dirs: Vec<_> = all.iter().filter_map(|open| open.file().ok()).filter(leased).collect();
    dirs.sort_by_key(|file| file.vfs.id());
    let asked = dirs.into_iter().filter(|file| file.vfs.ask_for_handle()).take(wanted).count();
    tracing::debug!(
        session = session.id,
        opens,
        most,
        asked,
        "many opens: the client is asked for directories"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_asked_near_the_limit_and_has_time_to_answer() {
        let handles = Handles::default();
        let mut asked = Vec::new();
        for opens in 0..=1024 {
            if let wanted @ 1.. = handles.wanted(opens, 1024) {
                asked.push((opens, wanted));
            }
        }
        assert_eq!(asked, [(896, 64), (928, 64), (960, 64), (992, 64), (1024, 64)]);
        assert_eq!(Handles::default().wanted(4, 4), 0, "of so few none can be spared");
    }
}

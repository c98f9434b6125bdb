//! Room for the opens that outlive connections. Each user has his own: who loses his connections takes none of the others'.
//!
//! An open that is only durable takes it when its client is gone, and is closed where there is none. A persistent one has
//! it from when it was promised: it is kept whatever else is.

use crate::limits;
use parking_lot::Mutex;
use smb_core::names::folded_user;
use std::collections::HashMap;
use std::sync::Arc;

/// How many opens have taken room, by the folded name of the user.
type Taken = Mutex<HashMap<String, usize>>;

#[derive(Default)]
pub(super) struct Rooms(Arc<Taken>);

/// Room for one open, until it is dropped.
pub(crate) struct Room {
    taken: Arc<Taken>,
    user: String,
}

impl Rooms {
    /// `None` where the user has as many as he may.
    pub(super) fn take(&self, user: &str) -> Option<Room> {
        self.take_of(user, limits::KEPT_OPENS_PER_USER_MAX)
    }

    /// For one that was promised before this process began.
    pub(super) fn take_anyhow(&self, user: &str) -> Option<Room> {
        self.take_of(user, usize::MAX)
    }

    fn take_of(&self, user: &str, most: usize) -> Option<Room> {
        let user = folded_user(user);
        let mut taken = self.0.lock();
        let count = taken.get(&user).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        taken.insert(user.clone(), count + 1);
        Some(Room { taken: Arc::clone(&self.0), user })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_each_users_own_and_comes_back() {
        let rooms = Rooms::default();
        let most = limits::KEPT_OPENS_PER_USER_MAX;
        let mut all: Vec<_> = (0..most).filter_map(|_| rooms.take("alice")).collect();
        assert_eq!(all.len(), most);
        assert!(rooms.take("Alice").is_none() && rooms.take("bob").is_some());
        all.extend(rooms.take_anyhow("alice"));
        assert_eq!(all.len(), most + 1);
        all.truncate(most - 1);
        assert!(rooms.take("Alice").is_some());
        drop(all);
        assert!(rooms.0.lock().is_empty());
    }
}

//! Who works on which path, and which directories are sealed: nobody works there meanwhile but who has done so.

use super::Registry;
use crate::case::{is_below, is_within};
use crate::{Result, names};
use std::collections::HashMap;
use std::sync::Arc;
use volume::VPath;

/// The right to work on a path, until [`Registry::exit`].
pub(crate) type Entry = u64;

/// Paths are folded: to which of several directories that differ by case alone a client's spelling leads is not known
/// when somebody enters. One that leads elsewhere by a link holds nothing back there: what it leads to is entered
/// ([`crate::create`]).
#[derive(Debug, Default)]
pub(super) struct Entries {
    entered: HashMap<Entry, Entered>,
    last: Entry,
    sealed: Vec<String>,
    /// Directories that somebody is to seal as soon as nobody works below: nobody begins to open anything there.
    cleared: Vec<String>,
}

/// A path being worked on.
#[derive(Debug)]
struct Entered {
    path: String,
    room: Option<Room>,
}

/// Kept for an open, on this account where there is one.
#[derive(Debug)]
struct Room(Option<Arc<str>>);

impl Entries {
    /// Folded.
    fn is_sealed(&self, path: &str) -> bool {
        self.sealed.iter().any(|sealed| is_within(path, sealed))
    }
}

impl Registry {
    /// Begins work on a path. `None`: it is sealed, or a directory above, wait.
    pub(crate) fn enter(&mut self, path: &VPath) -> Option<Entry> {
        let path = names::fold(path.as_str()).into_owned();
        if self.entries.is_sealed(&path) {
            return None;
        }
        self.entries.last += 1;
        self.entries.entered.insert(self.entries.last, Entered { path, room: None });
        Some(self.entries.last)
    }

    /// The same, and keeps room for an open, on this account where there is one. It waits for who is to seal a directory
    /// above too.
    pub(crate) fn enter_to_open(
        &mut self,
        path: &VPath,
        account: Option<&Arc<str>>,
    ) -> Result<Option<Entry>> {
        self.accounts.check(account)?;
        if self.entries.cleared.iter().any(|dir| is_below(&names::fold(path.as_str()), dir)) {
            return Ok(None);
        }
        let entry = self.enter(path);
        if let Some(entered) = entry.and_then(|entry| self.entries.entered.get_mut(&entry)) {
            entered.room = Some(Room(account.cloned()));
            self.accounts.add(account);
        }
        Ok(entry)
    }

    pub(crate) fn exit(&mut self, entry: Entry) {
        let entered = self.entries.entered.remove(&entry);
        if let Some(Room(account)) = entered.and_then(|entered| entered.room) {
            self.accounts.remove(account.as_ref());
        }
    }

    /// Whether somebody but who has entered as `own` works below a directory just now.
    pub(crate) fn is_entered_below(&self, dir: &VPath, own: Option<Entry>) -> bool {
        let dir = names::fold(dir.as_str());
        let others = self.entries.entered.iter().filter(|(entry, _)| Some(**entry) != own);
        others.into_iter().any(|(_, entered)| is_below(&entered.path, &dir))
    }

    /// Seals a directory, for who has entered as `own`. False: somebody else works below it just now.
    pub(crate) fn seal(&mut self, dir: &VPath, own: Entry) -> bool {
        if self.is_entered_below(dir, Some(own)) {
            return false;
        }
        self.entries.sealed.push(names::fold(dir.as_str()).into_owned());
        true
    }

    /// The same for a file, below which is nothing.
    pub(crate) fn seal_file(&mut self, path: &VPath) {
        self.entries.sealed.push(names::fold(path.as_str()).into_owned());
    }

    pub(crate) fn is_sealed(&self, path: &VPath) -> bool {
        self.entries.is_sealed(&names::fold(path.as_str()))
    }

    pub(crate) fn unseal(&mut self, dir: &VPath) {
        take_out(&mut self.entries.sealed, dir);
    }

    /// Nobody begins to open anything below a directory, until [`Registry::cleared`].
    pub(crate) fn clear(&mut self, dir: &VPath) {
        self.entries.cleared.push(names::fold(dir.as_str()).into_owned());
    }

    pub(crate) fn cleared(&mut self, dir: &VPath) {
        take_out(&mut self.entries.cleared, dir);
    }
}

fn take_out(dirs: &mut Vec<String>, dir: &VPath) {
    let dir = names::fold(dir.as_str());
    if let Some(at) = dirs.iter().position(|there| *there == dir) {
        dirs.swap_remove(at);
    }
}

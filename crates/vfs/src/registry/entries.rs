//! Who works on which path, and which directories are being moved.

use super::Registry;
use crate::case::{is_below, is_within};
use crate::{Result, names};
use std::collections::HashMap;
use std::sync::Arc;
use volume::VPath;

/// The right to work on a path, until [`Registry::exit`].
pub(crate) type Entry = u64;

/// Paths are folded.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Paths being worked on, and on whose account something is to be opened there.
    entered: HashMap<Entry, (String, Option<Arc<str>>)>,
    last: Entry,
    /// Directories being moved.
    moving: Vec<String>,
}

impl Registry {
    /// Begins work on a path, and keeps room for an open, on this account where there is one. `None`: a directory above
    /// is being moved, wait.
    pub(crate) fn enter(&mut self, path: &VPath, account: Option<&Arc<str>>) -> Result<Option<Entry>> {
        let folded = names::fold(path.as_str()).into_owned();
        if self.entries.moving.iter().any(|moving| is_within(&folded, moving)) {
            return Ok(None);
        }
        self.accounts.check(account)?;
        self.accounts.add(account);
        self.entries.last += 1;
        self.entries.entered.insert(self.entries.last, (folded, account.cloned()));
        Ok(Some(self.entries.last))
    }

    pub(crate) fn exit(&mut self, entry: Entry) {
        if let Some((_, account)) = self.entries.entered.remove(&entry) {
            self.accounts.remove(account.as_ref());
        }
    }

    /// Begins to move a directory. False: somebody works below it just now.
    pub(crate) fn begin_move(&mut self, dir: &VPath) -> bool {
        let dir = names::fold(dir.as_str()).into_owned();
        if self.entries.entered.values().any(|(path, _)| is_below(path, &dir)) {
            return false;
        }
        self.entries.moving.push(dir);
        true
    }

    pub(crate) fn end_move(&mut self, dir: &VPath) {
        let dir = names::fold(dir.as_str());
        if let Some(at) = self.entries.moving.iter().position(|moving| *moving == dir) {
            self.entries.moving.swap_remove(at);
        }
    }
}

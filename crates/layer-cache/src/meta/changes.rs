//! How answers, notices and our own changes alter what the tree knows. Pure.
//!
//! * **Answers** carry the stamp of their question. One that was overtaken by a change of the same path is
//!   kept, in doubt, only where the name is known to stand for another file.
//! * **Notices** are believed, with one exception: for a while after a change of our own, a notice about the same
//!   path may be the late echo of something we did before it. What it contradicts is put in doubt instead.
//! * **Our own changes** are applied with the origin's answer to them, which is an answer like any other.
//!
//! That a directory's times change with its entries goes without notice: its attributes are put in doubt, and
//! those that a notice tells of a directory are not believed either, because they may be older than changes
//! of its entries that are known already.

use super::tree::{Dir, Known, Stamp, Tree};
use crate::OWN_ECHO;
use std::collections::BTreeMap;
use std::sync::Arc;
use volume::{Attr, Change, Directory, Entry, Notice, Time, VPath};

const DOUBT: Stamp = Stamp { clock: 0, at_ms: 0 };

impl Tree {
    /// The origin told attributes.
    pub(crate) fn learn(&mut self, path: &VPath, attr: Attr, asked: Stamp) {
        let stamp = if self.touches.about(path, asked.clock) { DOUBT } else { asked };
        let known = self.known(path).map(|known| (known.stamp, known.attr));
        // What was done to the file meanwhile is known, if not believed.
        let known_better =
            |(old, known): (Stamp, Attr)| old.clock > stamp.clock || (stamp == DOUBT && known.id == attr.id);
        if known.is_some_and(known_better) {
            return;
        }
        if let Some((_, old)) = known
            && old.id != attr.id
        {
            self.forget_below(path);
        }
        if known.is_none() && stamp != DOUBT {
            // A name that a complete listing did not have: something happened unseen.
            self.doubt_listing_of_parent(path);
        }
        if known.is_some() || stamp != DOUBT {
            self.put(path, attr, stamp);
        }
    }

    /// The origin told that there is nothing under this name.
    pub(crate) fn learn_absent(&mut self, path: &VPath, asked: Stamp) {
        let newer = self.known(path).is_some_and(|known| known.stamp.clock > asked.clock);
        if newer || self.touches.about(path, asked.clock) {
            return;
        }
        self.forget_below(path);
        if self.take(path).is_some() {
            self.doubt_attr_of_parent(path);
        }
    }

    /// The origin told a whole directory.
    pub(crate) fn learn_listing(
        &mut self,
        path: &VPath,
        attr: Option<Attr>,
        entries: impl IntoIterator<Item = Entry>,
        asked: Stamp,
    ) {
        let touched = self.touches.about_listing(path, asked.clock);
        let newer = self.dirs.peek(path).and_then(|dir| dir.complete).is_some_and(|s| s.clock > asked.clock);
        if (touched && self.dirs.peek(path).is_some_and(|dir| dir.complete.is_some())) || newer {
            return;
        }
        let stamp = if touched { DOUBT } else { asked };
        let mut old = self.take_dir(path).unwrap_or_default();
        let below: Vec<_> = old
            .names
            .iter()
            .filter(|(_, k)| k.attr.is_dir())
            .map(|(name, k)| (name.clone(), k.attr.id))
            .collect();
        let now = self.tick();
        let keep_newer = |entry: Entry| {
            let known = old.names.remove(&entry.name);
            let same = known.as_ref().filter(|known| known.attr.id == entry.attr.id);
            let since = same.map_or(now, |known| known.since);
            let newer = known.filter(|known| known.stamp.clock > stamp.clock);
            (entry.name, newer.unwrap_or(Known { attr: entry.attr, stamp, since }))
        };
        let names: BTreeMap<Arc<str>, Known> = entries.into_iter().map(keep_newer).collect();
        let is_other = |(name, id): &(Arc<str>, _)| names.get(name).is_none_or(|known| known.attr.id != *id);
        let gone: Vec<_> =
            below.into_iter().filter(is_other).filter_map(|(name, _)| path.join(&name).ok()).collect();
        let doubted = old.doubted;
        self.put_dir(path, Dir { names, complete: Some(stamp), doubted });
        gone.iter().for_each(|path| self.forget_below(path));
        if let Some(attr) = attr {
            self.learn(path, attr, asked);
        }
    }

    /// A listing that came along with another.
    pub(crate) fn learn_ahead(&mut self, directory: Directory, asked: Stamp) {
        self.learn_listing(&directory.path, Some(directory.attr), directory.entries, asked);
    }

    /// The origin tells a change. `false` when it may be the echo of one of ours.
    pub(crate) fn notice(&mut self, notice: &Notice, now_ms: u64) -> bool {
        let clock = self.tick();
        let stamp = Stamp { clock, at_ms: now_ms };
        match notice {
            Notice::Changed { path, attr, .. } => {
                let same = attr.is_some() && self.known(path).map(|known| known.attr) == *attr;
                let echo = self.is_echo(path, now_ms);
                // An equal answer that is on its way is as good as the notice; an echo proves nothing.
                self.touches.add(clock, path.clone());
                match (attr, same, echo) {
                    (Some(attr), true, false) => {
                        self.doubt_parent_that_may_lack(path);
                        if !attr.is_dir() {
                            self.put(path, *attr, stamp);
                        }
                    }
                    (_, true, true) => self.doubt_parent_that_may_lack(path),
                    (_, false, true) => self.doubt_name(path),
                    (Some(attr), false, false) => {
                        self.doubt_parent_that_may_lack(path);
                        self.changed(path, *attr, of_notice(attr, stamp));
                    }
                    (None, false, false) => self.gone(path),
                    (None, true, _) => unreachable!("`same` needs attributes"),
                }
                !echo
            }
            Notice::Moved { from, to, attr, .. } => {
                let echo = self.is_echo(from, now_ms) || self.is_echo(to, now_ms);
                self.touches.add(clock, from.clone());
                self.touches.add(clock, to.clone());
                if echo {
                    self.doubt_name(from);
                    self.doubt_name(to);
                } else {
                    let stamp = attr.as_ref().map_or(stamp, |attr| of_notice(attr, stamp));
                    self.moved(from, to, *attr, stamp);
                }
                !echo
            }
            Notice::Unknown { below } => {
                self.touches.add(clock, below.clone());
                self.doubt_all_below(below);
                true
            }
        }
    }

    /// Nothing learnt up to now is believed any more.
    pub(crate) fn doubt_everything(&mut self) {
        self.doubted = self.tick();
    }

    /// One of our own changes ended. `attr` is the origin's answer, `None` with `Ok` for a removal; an error
    /// may or may not have had its effect.
    pub(crate) fn own_change(&mut self, change: &Change, answer: Result<Option<Attr>, ()>, asked: Stamp) {
        let overtaken = change.paths().any(|path| self.touches.about(path, asked.clock));
        let clock = self.tick();
        let stamp = if overtaken { DOUBT } else { Stamp { clock, ..asked } };
        for path in change.paths() {
            self.touches.add(clock, path.clone());
            self.echoes.put(path.clone(), asked.at_ms);
        }
        let Ok(attr) = answer else {
            change.paths().for_each(|path| {
                self.doubt_name(path);
            });
            return;
        };
        if attr.is_some() {
            change.paths().for_each(|path| self.know_parent(path));
        }
        match (change, attr) {
            (Change::MakeDir { path, .. }, Some(attr)) => {
                self.changed(path, attr, stamp);
                self.put_dir(path, Dir { complete: Some(stamp), ..Dir::default() });
            }
            (
                Change::MakeNode { path, .. }
                | Change::Symlink { path, .. }
                | Change::SetAttr { path, .. }
                | Change::SetNamed { path, .. },
                Some(attr),
            ) => self.changed(path, attr, stamp),
            (Change::Link { from, to, .. }, Some(attr)) => {
                self.changed(to, attr, stamp);
                self.changed(from, attr, stamp);
            }
            (Change::Rename { from, to, .. }, attr) => self.moved(from, to, attr, stamp),
            (Change::Remove { path, .. }, _) => self.gone(path),
            (
                Change::MakeDir { path, .. }
                | Change::MakeNode { path, .. }
                | Change::Symlink { path, .. }
                | Change::SetAttr { path, .. }
                | Change::SetNamed { path, .. }
                | Change::Link { to: path, .. },
                None,
            ) => self.doubt_name(path),
        }
        if overtaken {
            change.paths().for_each(|path| self.doubt_name(path));
        }
    }

    /// We changed a file through a handle, and the origin answered with its attributes.
    pub(crate) fn own_file(&mut self, path: &VPath, attr: Attr, asked: Stamp) {
        let overtaken = self.touches.about(path, asked.clock);
        let clock = self.tick();
        self.touches.add(clock, path.clone());
        self.echoes.put(path.clone(), asked.at_ms);
        self.know_parent(path);
        self.changed(path, attr, if overtaken { DOUBT } else { Stamp { clock, ..asked } });
    }

    /// We wrote to a file; what the origin makes of it is not known yet.
    pub(crate) fn own_write(&mut self, path: &VPath, size: u64, now_ms: u64) {
        let clock = self.tick();
        self.touches.add(clock, path.clone());
        self.echoes.put(path.clone(), now_ms);
        if let Some(old) = self.known(path).map(|known| known.attr) {
            self.doubt_links(Some(&old));
            self.put(path, Attr { size, mtime: Time::now(), ..old }, DOUBT);
        }
    }

    /// Whether a notice about `path` may be the echo of a change of ours.
    fn is_echo(&self, path: &VPath, now_ms: u64) -> bool {
        let window = OWN_ECHO.as_millis() as u64;
        self.echoes.peek(path).is_some_and(|at| now_ms.saturating_sub(*at) <= window)
    }

    /// Makes room for what is learnt of a name, also where nothing is known of its directory.
    fn know_parent(&mut self, path: &VPath) {
        if let Some(parent) = path.parent().filter(|parent| !self.dirs.contains(parent)) {
            self.put_dir(&parent, Dir::default());
        }
    }

    fn changed(&mut self, path: &VPath, attr: Attr, stamp: Stamp) {
        let stamp = self.doubt_other_names(path, &attr, stamp);
        match self.known(path).map(|known| known.attr) {
            Some(old) if old.id != attr.id || old.kind != attr.kind => {
                self.forget_below(path);
                self.doubt_attr_of_parent(path);
            }
            Some(_) if attr.is_dir() => self.doubt_listing(path),
            Some(_) => {}
            None => {
                self.forget_below(path);
                self.doubt_attr_of_parent(path);
            }
        }
        let parent_known = path.parent().is_none_or(|parent| self.dirs.contains(&parent));
        if parent_known {
            self.put(path, attr, stamp);
        }
    }

    fn gone(&mut self, path: &VPath) {
        self.forget_below(path);
        let old = self.take(path).map(|known| known.attr);
        self.doubt_links(old.as_ref());
        self.doubt_attr_of_parent(path);
    }

    fn moved(&mut self, from: &VPath, to: &VPath, attr: Option<Attr>, stamp: Stamp) {
        if from == to {
            return self.doubt_name(from);
        }
        let replaced = self.take(to).map(|known| known.attr);
        let to_known =
            to.parent().and_then(|dir| self.dirs.peek(&dir)).is_some_and(|dir| dir.complete.is_some());
        if replaced.is_some() || !to_known {
            self.doubt_links(replaced.as_ref());
        }
        let stamp = attr.as_ref().map_or(stamp, |attr| self.doubt_other_names(from, attr, stamp));
        self.forget_below(to);
        for old in self.dirs_within(from) {
            if let (Some(dir), Some(new)) = (self.take_dir(&old), old.rebase(from, to)) {
                self.put_dir(&new, dir);
            }
        }
        self.take(from);
        self.doubt_attr_of_parent(from);
        self.doubt_attr_of_parent(to);
        match attr {
            Some(attr) if to.parent().is_none_or(|parent| self.dirs.contains(&parent)) => {
                self.put(to, attr, stamp)
            }
            Some(_) => {}
            None => {
                self.take(to);
                self.doubt_listing_of_parent(to);
                self.forget_below(to);
            }
        }
    }

    /// A file of several names changed under one: what is known under the others is in doubt. Returns the
    /// stamp for what is learnt under this one.
    fn doubt_other_names(&mut self, path: &VPath, attr: &Attr, stamp: Stamp) -> Stamp {
        let old_links = self.known(path).map_or(1, |known| known.attr.links);
        if !attr.is_file() || attr.links.max(old_links) < 2 {
            return stamp;
        }
        self.doubt_links(Some(&Attr { links: 2, ..*attr }));
        if stamp == DOUBT { DOUBT } else { Stamp { clock: self.tick(), ..stamp } }
    }

    /// A name of this file changed or went; `None` when it is not known which file that was.
    fn doubt_links(&mut self, old: Option<&Attr>) {
        let clock = self.tick();
        match old {
            Some(attr) if !attr.is_file() || attr.links < 2 => {}
            Some(attr) => {
                if let Some((other, forgotten)) = self.links.push(attr.id, clock)
                    && other != attr.id
                {
                    self.links_doubted = forgotten;
                }
            }
            None => self.links_doubted = clock,
        }
    }

    fn forget_below(&mut self, path: &VPath) {
        for dir in self.dirs_within(path) {
            self.take_dir(&dir);
        }
    }

    /// The entry, everything below it and whether the name is there at all.
    fn doubt_name(&mut self, path: &VPath) {
        self.doubt_all_below(path);
        self.doubt_listing_of_parent(path);
        self.doubt_attr_of_parent(path);
    }

    fn doubt_all_below(&mut self, path: &VPath) {
        let clock = self.tick();
        if path.is_root() {
            self.doubted = clock;
        }
        for dir in self.dirs_within(path) {
            if let Some(dir) = self.dirs.peek_mut(&dir) {
                dir.doubted = clock;
            }
        }
        self.doubt_attr(path);
    }

    fn doubt_attr(&mut self, path: &VPath) {
        let known = match path.parent() {
            Some(parent) => self.dirs.peek_mut(&parent).and_then(|dir| dir.names.get_mut(path.name())),
            None => self.root.as_mut(),
        };
        if let Some(known) = known {
            known.stamp = DOUBT;
        }
    }

    fn doubt_attr_of_parent(&mut self, path: &VPath) {
        if let Some(parent) = path.parent() {
            self.doubt_attr(&parent);
        }
    }

    /// A notice about a known name may tell of its making, when the name is known from an answer that overtook
    /// the notice. Then what is known of its directory may be older; not if it was asked for afterwards.
    fn doubt_parent_that_may_lack(&mut self, path: &VPath) {
        let since = self.known(path).map(|known| known.since);
        let parent = path.parent().and_then(|parent| self.known(&parent).map(|known| known.stamp.clock));
        if since.is_some_and(|since| parent.is_some_and(|asked| asked <= since)) {
            self.doubt_attr_of_parent(path);
        }
    }

    fn doubt_listing(&mut self, path: &VPath) {
        if let Some(complete) = self.dirs.peek_mut(path).and_then(|dir| dir.complete.as_mut()) {
            *complete = DOUBT;
        }
    }

    fn doubt_listing_of_parent(&mut self, path: &VPath) {
        if let Some(parent) = path.parent() {
            self.doubt_listing(&parent);
        }
    }
}

/// How far attributes that a notice tells are believed.
fn of_notice(attr: &Attr, stamp: Stamp) -> Stamp {
    if attr.is_dir() { DOUBT } else { stamp }
}

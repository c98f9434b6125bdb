//! Whether a change of ours has met content that somebody else had changed just before.
//!
//! What an operation of ours leads to is noted as ours ([`crate::echo`]), and a notice of that state is no news. A
//! foreign change whose notice was still on its way is in that state too, and its notice is the same one. So the state
//! after a change that leaves content as it is (attributes, names, what a file carries, the end of an open) is compared
//! with what was known of the content before: by version, else by write time and size. Who caches was told of whatever
//! came before that, or began to cache after it. What does not fit was somebody else's doing, and is told as such at once.
//! Where the write time is set nobody can say: whoever may not have written himself is told.
//!
//! Our own change of content leaves nothing to compare with: all who read from a cache were told. What it has led to
//! is known from the next look: by an open that comes in, at the end of one, or after writing ([`crate::own_writes`]).

use crate::caching::Contest;
use crate::core::Core;
use crate::notify::{Filter, NotifyAction};
use crate::registry::Node;
use volume::{Attr, Time, VPath, Version};

/// What is known of the content of one file. Plain state.
#[derive(Debug, Default)]
pub(crate) struct Content {
    known: Option<State>,
    /// Own changes begun and ended so far: a look that one has overtaken is not believed.
    changes: u64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    version: Version,
    written: Time,
    size: u64,
}

/// What a state shows that has come of a change of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// The content that is known, or the first that is.
    Ours,
    /// It may be another: its write time is the one that was set.
    Doubtful,
    Foreign,
}

impl State {
    fn of(attr: &Attr) -> State {
        State { version: attr.version, written: attr.mtime, size: attr.size }
    }

    fn is_same(self, other: State) -> bool {
        self.version == other.version || (self.written, self.size) == (other.written, other.size)
    }
}

impl Content {
    /// We change it, or have done so.
    pub(crate) fn changes(&mut self) {
        self.changes += 1;
        self.known = None;
    }

    /// For [`Content::looked`].
    pub(crate) fn begin_look(&self) -> u64 {
        self.changes
    }

    /// It was looked at after a change of ours.
    pub(crate) fn looked(&mut self, began: u64, attr: &Attr) {
        if self.changes == began {
            self.known.get_or_insert(State::of(attr));
        }
    }

    /// Others have changed it, and who caches it is about to be told.
    pub(crate) fn told(&mut self, attr: &Attr) {
        self.known = Some(State::of(attr));
    }

    /// Whether nobody can have changed anything since it was last looked at.
    pub(crate) fn is_still(&self, attr: &Attr) -> bool {
        self.known.is_none_or(|known| known.version == attr.version)
    }

    /// It is in this state now; `dated` where its write time was set.
    pub(crate) fn see(&mut self, attr: &Attr, dated: bool) -> Seen {
        let now = State::of(attr);
        match self.known.replace(now) {
            Some(before) if before.is_same(now) => Seen::Ours,
            Some(before) if dated && before.size == now.size => Seen::Doubtful,
            Some(_) => Seen::Foreign,
            None => Seen::Ours,
        }
    }
}

impl Core {
    /// Others have changed a file, and who caches it is about to be told.
    pub(crate) fn content_is_told(&self, attr: &Attr) {
        let node = self.registry.lock().node(attr.id);
        if let Some(node) = node {
            node.content.lock().told(attr);
        }
    }

    /// A change of ours that is none of content has led to this state; `dated` where it has set the write time. What
    /// others have changed besides is told. Nothing in the state tells of streams.
    pub(crate) fn meets(&self, path: &VPath, attr: &Attr, dated: bool) {
        self.meets_beside_streams(path, attr, dated);
        self.decide(|registry, told| registry.contend_foreign_streams(attr.id, told));
    }

    /// The same, where the change was one of a stream.
    pub(crate) fn meets_beside_streams(&self, path: &VPath, attr: &Attr, dated: bool) {
        if attr.is_dir() {
            // The same of what it passes on, which nothing in its state tells.
            return self.descriptors.lock().forget_below(path);
        }
        let node = self.registry.lock().node(attr.id);
        if let Some(node) = node {
            self.meets_in(&node, path, attr, dated);
        }
    }

    /// The same for a file of which the node is at hand.
    pub(crate) fn meets_in(&self, node: &Node, path: &VPath, attr: &Attr, dated: bool) {
        if !attr.is_file() {
            return;
        }
        let seen = node.content.lock().see(attr, dated);
        match seen {
            Seen::Ours => {}
            Seen::Doubtful => self.decide(|registry, told| registry.doubt(attr.id, told)),
            Seen::Foreign => {
                tracing::debug!(%path, ?attr, "changed at the origin, and by us after that");
                self.decide(|registry, told| {
                    registry.contend_listing(path, None, told);
                    drop(registry.contend(attr.id, None, Contest::Foreign, told));
                });
                let what = Filter::ATTRIBUTES | Filter::SIZE | Filter::LAST_WRITE;
                self.hub.event(NotifyAction::Modified, what, path);
            }
        }
    }

    /// An open that might have written, and has not, was closed. The origin may tell of that, which is no news; where
    /// something is another since it was last looked at, what it tells is.
    pub(crate) fn closed_unwritten(&self, node: &Node, path: &VPath, attr: &Attr) {
        if node.content.lock().is_still(attr) {
            self.echoes.lock().outcome(path, attr);
        }
        self.meets_in(node, path, attr, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::ease;
    use volume::Kind;

    fn attr(version: u64, written: u64, size: u64) -> Attr {
        let version = Version { hi: 0, lo: version };
        Attr { version, mtime: Time(written), size, allocated: size, ..ease::blank(Kind::File) }
    }

    #[test]
    fn content_is_the_same_by_version_or_by_write_time_and_size() {
        let mut content = Content::default();
        let mut see = |version, written, size, dated| content.see(&attr(version, written, size), dated);
        assert_eq!(see(1, 1, 1, false), Seen::Ours, "nothing was known before");
        assert_eq!(see(2, 1, 1, false), Seen::Ours, "its attributes are others");
        assert_eq!(see(3, 2, 1, false), Seen::Foreign);
        assert_eq!(see(3, 9, 1, true), Seen::Ours, "only the write time is another");
        assert_eq!(see(4, 9, 1, true), Seen::Ours);
        assert_eq!(see(5, 3, 1, true), Seen::Doubtful);
        assert_eq!(see(6, 4, 2, true), Seen::Foreign, "setting times leaves the size");
    }

    #[test]
    fn after_a_change_of_ours_the_next_look_says_what_it_is() {
        let mut content = Content::default();
        content.told(&attr(1, 1, 1));
        let overtaken = content.begin_look();
        content.changes();
        content.looked(overtaken, &attr(1, 1, 1));
        let look = content.begin_look();
        content.looked(look, &attr(2, 2, 2));
        content.looked(look, &attr(3, 3, 3));
        assert_eq!(content.see(&attr(2, 2, 2), false), Seen::Ours, "the first look counts, no older one");
        content.changes();
        assert_eq!(content.see(&attr(4, 4, 4), false), Seen::Ours);
    }
}

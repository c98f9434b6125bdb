//! What is known of the content of an open file, and which notices of it are explained by our own changes.
//!
//! What an operation of ours leads to is noted as ours ([`crate::echo`]), and a notice of that state is no news. A
//! foreign change whose notice was still on its way is in that state too, and its notice is the same one. So the state
//! after a change that leaves content as it is (attributes, names, what a file carries, the end of an open) is compared
//! with what was known of the content before: by version, else by write time and size. Who caches was told of whatever
//! came before that, or began to cache after it. What does not fit was somebody else's doing, and is told as such at once.
//! Where the write time is set nobody can say: who caches is told, but for who sets it, who has looked just before.
//!
//! All of this is guessing, for where the origin does not tell who made a change. Where it does nothing is compared.
//!
//! Our own change of content leaves nothing to compare with: all who read from a cache were told. What it has led to
//! is known from the next look that was asked for after it: its own answer, if it has one, that to another change of
//! ours, an open that comes in, or a look for its own sake ([`crate::own_writes`]). Until then a notice *may* tell of it;
//! after that one of an older state may, and one of a newer state does not. The origin's clock alone orders states: no two
//! clocks are compared. Ours orders questions and answers: what a change of ours has overtaken is not believed, and of two
//! looks that overlap the older state is not.

use crate::OpenId;
use crate::caching::Contest;
use crate::core::Core;
use crate::registry::Node;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use volume::{Attr, Time, VPath, Version};

/// What is known of the content of one file. Plain state, `now` is an argument.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// With when it was told or looked at.
    known: Option<(State, Instant)>,
    /// Own changes on their way.
    on_their_way: usize,
    /// When the last own change began or ended.
    changed: Option<Instant>,
    /// We have changed it since the state was seen.
    unseen: bool,
    looking: bool,
    /// Of the last who changed it; for looking.
    file: Option<Weak<dyn volume::File>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    version: Version,
    changed: Time,
    written: Time,
    size: u64,
}

/// What a state shows that has come of a change of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// The content that is known, or the first that is; or nothing.
    Ours,
    /// It may be another: its write time is the one that was set.
    Doubtful,
    Foreign,
}

/// Whose change a notice tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    Ours,
    /// Ours, or one that somebody else made while we wrote.
    Doubtful,
    Foreign,
}

/// To be asked, while it is open, and handed back to [`Content::end_look`].
pub(crate) struct Look(pub Option<Arc<dyn volume::File>>);

impl State {
    fn of(attr: &Attr) -> State {
        State { version: attr.version, changed: attr.ctime, written: attr.mtime, size: attr.size }
    }

    fn is_same(self, other: State) -> bool {
        self.version == other.version || (self.written, self.size) == (other.written, other.size)
    }
}

impl Content {
    /// A change of ours begins.
    pub(crate) fn begin(&mut self, file: Option<Weak<dyn volume::File>>, now: Instant) {
        self.on_their_way += 1;
        self.file = file.or(self.file.take());
        self.changes(now);
    }

    fn changes(&mut self, now: Instant) {
        self.known = None;
        self.unseen = true;
        self.changed = Some(now);
    }

    /// It has ended, having begun at `began`, and was answered with the state that it has led to, if at all.
    pub(crate) fn end(&mut self, began: Instant, answer: Option<&Attr>, now: Instant) {
        self.on_their_way -= 1;
        let alone = self.changed == Some(began);
        self.changes(now);
        if let Some(attr) = answer.filter(|_| alone) {
            self.know(attr, now);
        }
    }

    fn know(&mut self, attr: &Attr, now: Instant) -> Option<(State, Instant)> {
        self.unseen = false;
        self.known.replace((State::of(attr), now))
    }

    /// Whether a change of ours has overtaken what was `asked` then.
    fn is_overtaken(&self, asked: Instant) -> bool {
        self.on_their_way > 0 || self.changed.is_some_and(|changed| asked <= changed)
    }

    /// Whether we have changed it no longer than `patience` ago.
    pub(crate) fn changed_within(&self, patience: Duration, now: Instant) -> bool {
        self.changed.is_some_and(|changed| now < changed + patience)
    }

    /// By what to look; `None` when there is nothing to look at, or somebody does.
    pub(crate) fn begin_look(&mut self) -> Option<Look> {
        if self.looking || !self.unseen || self.on_their_way > 0 {
            return None;
        }
        self.looking = true;
        Some(Look(self.file.as_ref().and_then(Weak::upgrade)))
    }

    /// It was asked for at `asked`. Where nothing was seen, what is told from now on counts as foreign.
    pub(crate) fn end_look(&mut self, asked: Instant, seen: Option<&Attr>, now: Instant) {
        self.looking = false;
        if !self.unseen || self.is_overtaken(asked) {
            return;
        }
        self.unseen = false;
        if let Some(attr) = seen {
            self.know(attr, now);
        }
    }

    /// Others have changed it, and who caches it is about to be told.
    pub(crate) fn told(&mut self, attr: &Attr, now: Instant) {
        let is_older = |(known, _): (State, Instant)| attr.ctime < known.changed;
        if self.on_their_way == 0 && !self.known.is_some_and(is_older) {
            self.know(attr, now);
        }
    }

    /// Whether nobody has changed anything since it was last looked at.
    pub(crate) fn is_still(&self, attr: &Attr) -> bool {
        self.known.is_some_and(|(known, _)| known.version == attr.version)
    }

    /// It is in this state, as was `asked` then; `dated` where its write time was set.
    pub(crate) fn see(&mut self, asked: Instant, attr: &Attr, dated: bool, now: Instant) -> Seen {
        let state = State::of(attr);
        let is_older = |(known, since): (State, Instant)| asked <= since && state.changed < known.changed;
        if self.is_overtaken(asked) || self.known.is_some_and(is_older) {
            return Seen::Ours;
        }
        match self.know(attr, now) {
            Some((before, _)) if before.is_same(state) => Seen::Ours,
            Some((before, _)) if dated && before.size == state.size => Seen::Doubtful,
            Some(_) => Seen::Foreign,
            None => Seen::Ours,
        }
    }

    /// Whose change has led to a state that the origin tells of.
    pub(crate) fn judge(&self, attr: &Attr) -> Whose {
        match self.known {
            _ if self.unseen => Whose::Doubtful,
            Some((known, _)) if (known.changed, known.version) == (attr.ctime, attr.version) => Whose::Ours,
            Some((known, _)) if attr.ctime < known.changed => Whose::Doubtful,
            Some(_) | None => Whose::Foreign,
        }
    }
}

impl Core {
    /// Others have changed a file, and who caches it is about to be told.
    pub(crate) fn content_is_told(&self, attr: &Attr) {
        let node = self.registry.lock().node(attr.id);
        if let Some(node) = node {
            node.content.lock().told(attr, Instant::now());
        }
    }

    /// A change of ours that is none of content, `asked` for then, has led to this state; `dated` by whom, where it has
    /// set the write time. What others have changed besides is told. Nothing in the state tells of streams.
    pub(crate) fn meets(&self, asked: Instant, path: &VPath, attr: &Attr, dated: Option<OpenId>) {
        if self.meets_beside_streams(asked, path, attr, dated) {
            self.decide(|registry, told| registry.contend_foreign_streams(attr.id, told));
        }
    }

    /// The same, where the change was one of a stream. Whether anything had to be compared.
    pub(crate) fn meets_beside_streams(
        &self,
        asked: Instant,
        path: &VPath,
        attr: &Attr,
        dated: Option<OpenId>,
    ) -> bool {
        if attr.is_dir() {
            // The same of what it passes on, which nothing in its state tells.
            self.descriptors.lock().forget_below(path);
        }
        let compares = !self.knows_authors();
        if compares && attr.is_file() {
            let node = self.registry.lock().node(attr.id);
            node.iter().for_each(|node| self.sees(node, asked, path, attr, dated));
        }
        compares
    }

    /// The same for a file of which the node is at hand.
    pub(crate) fn meets_in(
        &self,
        node: &Node,
        asked: Instant,
        path: &VPath,
        attr: &Attr,
        dated: Option<OpenId>,
    ) {
        if attr.is_file() && !self.knows_authors() {
            self.sees(node, asked, path, attr, dated);
        }
    }

    fn sees(&self, node: &Node, asked: Instant, path: &VPath, attr: &Attr, dated: Option<OpenId>) {
        let seen = node.content.lock().see(asked, attr, dated.is_some(), Instant::now());
        match seen {
            Seen::Ours => {}
            Seen::Doubtful => {
                self.decide(|registry, told| drop(registry.contend(attr.id, dated, Contest::Foreign, told)));
            }
            Seen::Foreign => {
                tracing::debug!(%path, ?attr, "changed at the origin, and by us after that");
                self.decide(|registry, told| drop(registry.contend(attr.id, None, Contest::Foreign, told)));
                self.tell_there(path, attr);
            }
        }
    }

    /// An open that might have written, and has not, was closed. The origin may tell of that, which is no news; where
    /// something is another since it was last looked at, what it tells is.
    pub(crate) fn closed_unwritten(&self, node: &Node, asked: Instant, path: &VPath, attr: &Attr) {
        if self.knows_authors() {
            return;
        }
        if node.content.lock().is_still(attr) {
            self.echoes.lock().unchanged(path, attr);
        }
        if attr.is_file() {
            self.sees(node, asked, path, attr, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::ease;
    use volume::Kind;

    fn attr(version: u64, written: u64, size: u64) -> Attr {
        let (version, ctime) = (Version { hi: 0, lo: version }, Time(version));
        Attr { version, ctime, mtime: Time(written), size, allocated: size, ..ease::blank(Kind::File) }
    }

    /// A clock that goes on by one second with each question.
    fn clock() -> impl FnMut() -> Instant {
        let mut now = Instant::now();
        move || {
            now += Duration::from_secs(1);
            now
        }
    }

    #[test]
    fn content_is_the_same_by_version_or_by_write_time_and_size() {
        let (mut content, mut now) = (Content::default(), clock());
        let mut see =
            |version, written, size, dated| content.see(now(), &attr(version, written, size), dated, now());
        assert_eq!(see(1, 1, 1, false), Seen::Ours, "nothing was known before");
        assert_eq!(see(2, 1, 1, false), Seen::Ours, "its attributes are others");
        assert_eq!(see(3, 2, 1, false), Seen::Foreign);
        assert_eq!(see(3, 9, 1, true), Seen::Ours, "only the write time is another");
        assert_eq!(see(4, 9, 1, true), Seen::Ours);
        assert_eq!(see(5, 3, 1, true), Seen::Doubtful);
        assert_eq!(see(6, 4, 2, true), Seen::Foreign, "setting times leaves the size");
    }

    #[test]
    fn what_a_change_of_ours_has_overtaken_is_not_believed_and_the_next_look_says_what_it_is() {
        let (mut content, mut now) = (Content::default(), clock());
        content.told(&attr(1, 1, 1), now());
        let overtaken = now();
        let began = now();
        content.begin(None, began);
        let meanwhile = now();
        assert_eq!(content.see(now(), &attr(2, 2, 2), false, now()), Seen::Ours, "it is on its way");
        content.end(began, None, now());
        for asked in [overtaken, meanwhile] {
            content.see(asked, &attr(2, 2, 2), false, now());
            assert!(!content.is_still(&attr(2, 2, 2)));
        }
        assert_eq!(content.see(now(), &attr(3, 3, 3), false, now()), Seen::Ours);
        assert_eq!(content.see(now(), &attr(4, 4, 4), false, now()), Seen::Foreign);
    }

    #[test]
    fn of_two_looks_that_overlap_the_older_state_is_not_believed() {
        let (mut content, mut now) = (Content::default(), clock());
        content.told(&attr(1, 1, 1), now());
        let (asked, then) = (now(), now());
        assert_eq!(content.see(then, &attr(3, 3, 3), false, now()), Seen::Foreign);
        assert_eq!(content.see(asked, &attr(2, 2, 2), false, now()), Seen::Ours);
        assert_eq!(content.see(now(), &attr(3, 3, 3), false, now()), Seen::Ours);
        assert_eq!(
            content.see(now(), &attr(2, 2, 2), false, now()),
            Seen::Foreign,
            "the clock there was set back"
        );
    }

    #[test]
    fn a_change_that_is_answered_leaves_its_state_unless_another_was_on_its_way() {
        for alone in [true, false] {
            let (mut content, mut now) = (Content::default(), clock());
            let began = now();
            content.begin(None, began);
            if !alone {
                let other = now();
                content.begin(None, other);
                content.end(other, None, now());
            }
            content.end(began, Some(&attr(2, 2, 2)), now());
            assert_eq!(content.is_still(&attr(2, 2, 2)), alone);
            let seen = content.see(now(), &attr(3, 3, 3), false, now());
            assert_eq!(seen, if alone { Seen::Foreign } else { Seen::Ours });
        }
    }

    fn judge(content: &Content, version: u64) -> Whose {
        content.judge(&attr(version, version, 1))
    }

    #[test]
    fn what_is_newer_than_what_was_seen_after_our_change_is_foreign() {
        let (mut content, mut now) = (Content::default(), clock());
        let began = now();
        content.begin(None, began);
        assert!(content.begin_look().is_none(), "it is not there yet");
        content.end(began, None, now());
        assert_eq!(judge(&content, 9), Whose::Doubtful, "nobody has looked");
        assert!(content.begin_look().is_some() && content.begin_look().is_none(), "one at a time");
        content.end_look(now(), Some(&attr(5, 5, 1)), now());
        assert_eq!(
            [4, 5, 6].map(|version| judge(&content, version)),
            [Whose::Doubtful, Whose::Ours, Whose::Foreign]
        );
        let at_the_same_tick = Attr { ctime: Time(5), ..attr(7, 7, 1) };
        assert_eq!(content.judge(&at_the_same_tick), Whose::Foreign);
    }

    #[test]
    fn a_look_that_was_overtaken_or_that_failed_proves_nothing() {
        let (mut content, mut now) = (Content::default(), clock());
        for overtaken in [true, false] {
            let began = now();
            content.begin(None, began);
            content.end(began, None, now());
            assert!(content.begin_look().is_some());
            let asked = now();
            if overtaken {
                let again = now();
                content.begin(None, again);
                content.end_look(asked, Some(&attr(5, 5, 1)), now());
                content.end(again, None, now());
                assert_eq!(judge(&content, 9), Whose::Doubtful);
            } else {
                content.end_look(asked, None, now());
                assert_eq!(judge(&content, 9), Whose::Foreign);
            }
        }
    }

    #[test]
    fn the_answer_to_another_change_of_ours_is_a_look() {
        let (mut content, mut now) = (Content::default(), clock());
        let began = now();
        content.begin(None, began);
        content.end(began, None, now());
        content.see(now(), &attr(5, 5, 1), true, now());
        assert!(content.begin_look().is_none());
        assert_eq!([5, 6].map(|version| judge(&content, version)), [Whose::Ours, Whose::Foreign]);
    }
}

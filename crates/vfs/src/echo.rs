//! Telling what others change from the echo of what we change.
//!
//! A volume may report our own changes back, some of them when we are already further. A watcher must hear of
//! each once, and what is known of names must not go back to a state in between. So a name is marked while we
//! change it, and what came of each change is kept: a notice with exactly such an outcome is ours. One for a marked
//! name waits until the outcome is known ([`Echoes::waits`]). Being gone has no state of its own: each removal of ours
//! explains one notice. That of something later shows that it was not told, but not at once: a notice tells how a name is
//! when it is looked up, which may be further than the change that it is about. And what others have made of a name may
//! be met here before its notice comes: what was told of names, by whomever, is kept too ([`Echoes::may_be_untold`]).
//! Plain state, `now` is an argument.

use crate::case::Case;
use lru::LruCache;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};
use volume::{Attr, FileId, Notice, Time, VPath, Version};

/// Outcomes remembered; the oldest go first.
const OUTCOMES_MAX: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");

/// Removals of one name that wait to be told.
const GONE_MAX: usize = 64;

/// Notices that wait for one name; with more, all is unknown.
const WAITING_MAX: usize = 64;

/// So long a notice may come after what it is about: that of a removal after what followed it, of a state of a name after
/// it was made anew, of a name after somebody has opened it.
pub(crate) const NOTICE_PATIENCE: Duration = Duration::from_secs(10);

/// What a name stood for after a change of ours. A file never is in the same state twice.
type State = (FileId, Version, Time);

/// A name that we change just now.
#[derive(Debug, Default)]
struct Marked {
    by: usize,
    waiting: VecDeque<Notice>,
    /// What comes of it may have been told as unknown.
    unknown: bool,
}

#[derive(Debug)]
pub(crate) struct Echoes {
    case: Case,
    changing: HashMap<String, Marked>,
    /// With the number of the change.
    outcomes: LruCache<(String, State), u64>,
    /// When a name came to be by us, at the origin's clock and at ours: what is older is of what stood there before.
    made: LruCache<String, (Time, Instant)>,
    /// What a name stands for, in the state that we led to or was told last, as long as nobody is known to have taken it
    /// away.
    standing: LruCache<String, State>,
    /// What the origin's clock has shown, and when: at a change of ours.
    clock: Option<(Time, Instant)>,
    /// Numbers of the changes by which a name was gone, and that were not told yet; and when that was.
    gone: LruCache<String, VecDeque<(u64, Instant)>>,
    changes: u64,
}

impl Echoes {
    pub(crate) fn new(case: Case) -> Echoes {
        Echoes {
            case,
            changing: HashMap::new(),
            outcomes: LruCache::new(OUTCOMES_MAX),
            made: LruCache::new(OUTCOMES_MAX),
            standing: LruCache::new(OUTCOMES_MAX),
            clock: None,
            gone: LruCache::new(OUTCOMES_MAX),
            changes: 0,
        }
    }

    /// What stands for a name: names are those of the volume.
    fn key(&self, path: &VPath) -> String {
        self.case.key(path).into_owned()
    }

    /// We begin to change this name.
    pub(crate) fn begin(&mut self, path: &VPath) {
        let key = self.key(path);
        self.changing.entry(key).or_default().by += 1;
    }

    /// We have changed it, or failed to. The notices that waited for that, once nobody changes it any more.
    pub(crate) fn end(&mut self, path: &VPath) -> VecDeque<Notice> {
        let key = self.key(path);
        let Some(marked) = self.changing.get_mut(&key) else { return VecDeque::new() };
        marked.by -= 1;
        match marked.by {
            0 => self.changing.remove(&key).map(|marked| marked.waiting).unwrap_or_default(),
            _ => VecDeque::new(),
        }
    }

    /// Keeps a notice about a name that we change just now until [`Echoes::end`]; false when it is about none.
    pub(crate) fn waits(&mut self, notice: &Notice) -> bool {
        let at = match notice {
            Notice::Changed { path, .. } => Some(self.key(path)),
            Notice::Moved { from, to, .. } => {
                [from, to].map(|path| self.key(path)).into_iter().find(|key| self.changing.contains_key(key))
            }
            Notice::Unknown { .. } => None,
        };
        let Some(marked) = at.and_then(|key| self.changing.get_mut(&key)) else { return false };
        if marked.waiting.len() == WAITING_MAX {
            marked.waiting.clear();
            marked.waiting.push_back(Notice::Unknown { below: VPath::root() });
        }
        marked.waiting.push_back(notice.clone());
        true
    }

    /// We made the name.
    pub(crate) fn made(&mut self, path: &VPath, attr: &Attr, now: Instant) {
        self.made.put(self.key(path), (attr.ctime, now));
        self.outcome(path, attr, now);
    }

    /// Somebody else took the name away.
    pub(crate) fn taken(&mut self, path: &VPath) {
        self.standing.pop(&self.key(path));
    }

    /// It was told that somebody else has led to this.
    pub(crate) fn told(&mut self, path: &VPath, attr: &Attr) {
        self.standing.put(self.key(path), state(attr));
    }

    /// Whether we made the name so lately that a notice of its being gone may be about what stood there before.
    pub(crate) fn is_anew(&self, path: &VPath, now: Instant) -> bool {
        let key = self.key(path);
        let lately = |(_, at): &(Time, Instant)| now < *at + NOTICE_PATIENCE;
        self.standing.contains(&key) && self.made.peek(&key).is_some_and(lately)
    }

    /// What is known to be under the name.
    pub(crate) fn standing(&self, path: &VPath) -> Option<FileId> {
        self.standing.peek(&self.key(path)).map(|(file, ..)| *file)
    }

    /// Whether others may have led to this without its being told yet. Of what is older than notices are nobody is to be
    /// told. A directory is in another state with each name in it, and is there all the same.
    pub(crate) fn may_be_untold(&self, path: &VPath, attr: &Attr, now: Instant) -> bool {
        let is_told = match self.standing.peek(&self.key(path)) {
            Some((file, ..)) if attr.is_dir() => *file == attr.id,
            Some(told) => *told == state(attr),
            None => false,
        };
        let is_old = |(time, at): (Time, Instant)| {
            let since = Duration::from_nanos(time.0.saturating_sub(attr.ctime.0));
            attr.ctime < time && since + now.saturating_duration_since(at) > NOTICE_PATIENCE
        };
        !is_told && !self.clock.is_some_and(is_old)
    }

    /// What came of a change of ours to a name that others may have made, which is yet to be told as theirs.
    pub(crate) fn changed(&mut self, path: &VPath, attr: &Attr) {
        self.changes += 1;
        let known = (self.key(path), state(attr));
        if let Some(standing) = self.standing.get_mut(&known.0) {
            *standing = known.1;
        }
        self.outcomes.put(known, self.changes);
    }

    /// What came of a change of ours.
    pub(crate) fn outcome(&mut self, path: &VPath, attr: &Attr, now: Instant) {
        self.clock = Some((attr.ctime, now));
        self.unchanged(path, attr);
    }

    /// We led to no other state than this one, which is known; it may be told all the same.
    pub(crate) fn unchanged(&mut self, path: &VPath, attr: &Attr) {
        self.changes += 1;
        self.standing.put(self.key(path), state(attr));
        self.outcomes.put((self.key(path), state(attr)), self.changes);
    }

    /// We took the name away.
    pub(crate) fn gone(&mut self, path: &VPath, now: Instant) {
        self.changes += 1;
        let key = self.key(path);
        self.standing.pop(&key);
        if self.changing.get(&key).is_some_and(|marked| marked.unknown) {
            return;
        }
        let gone = self.gone.get_or_insert_mut(key, VecDeque::new);
        if gone.len() == GONE_MAX {
            gone.pop_front();
        }
        gone.push_back((self.changes, now));
    }

    /// What was to be told at and below a path was told by this: removals of ours, also those under way, explain none of
    /// others any more, and nothing is known of what stands there.
    pub(crate) fn unknown(&mut self, below: &VPath) {
        let below = self.key(below);
        let is_below = |key: &str| {
            let rest = key.strip_prefix(&*below);
            below.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        forget(&mut self.gone, is_below);
        forget(&mut self.standing, is_below);
        let under_way = self.changing.iter_mut().filter(|(key, _)| is_below(key));
        under_way.for_each(|(_, marked)| marked.unknown = true);
    }

    /// Whether a notice about this name tells nothing new.
    pub(crate) fn is_ours(&mut self, path: &VPath, attr: Option<&Attr>, now: Instant) -> bool {
        let key = self.key(path);
        let Some(attr) = attr else {
            return self.gone.get_mut(&key).and_then(VecDeque::pop_front).is_some();
        };
        // Not for ever: the origin's clock may be set back.
        let before = |(made, at): &(Time, Instant)| attr.ctime < *made && now < *at + NOTICE_PATIENCE;
        if self.made.peek(&key).is_some_and(before) {
            return true;
        }
        let known = (key, state(attr));
        let ours = self.outcomes.peek(&known).copied();
        // Notices come in order: what was gone before this is told, is about to be, or never will be.
        let told = ours.unwrap_or(u64::MAX);
        if let Some(gone) = self.gone.peek_mut(&known.0) {
            gone.retain(|(change, at)| *change > told || now < *at + NOTICE_PATIENCE);
        }
        ours.is_some() || self.standing.peek(&known.0) == Some(&known.1)
    }
}

fn forget<V>(names: &mut LruCache<String, V>, is_meant: impl Fn(&str) -> bool) {
    let meant: Vec<String> = names.iter().map(|(key, _)| key).filter(|key| is_meant(key)).cloned().collect();
    meant.iter().for_each(|key| drop(names.pop(key)));
}

fn state(attr: &Attr) -> State {
    (attr.id, attr.version, attr.ctime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::ease;
    use volume::{Author, Kind};

    fn attr(version: u64) -> Attr {
        let at = Time(version);
        let (id, version) = (FileId { hi: 0, lo: 1 }, Version { hi: 0, lo: version });
        Attr { id, version, mtime: at, ctime: at, atime: at, btime: at, ..ease::blank(Kind::File) }
    }

    #[test]
    fn late_echoes_of_each_step_are_ours_and_nothing_else_is() {
        let (mut echoes, path, now) = (Echoes::new(Case::Folded), VPath::parse("a").unwrap(), Instant::now());
        echoes.outcome(&path, &attr(1), now);
        echoes.gone(&path, now);
        assert!(echoes.is_ours(&path, Some(&attr(1)), now));
        assert!(!echoes.is_ours(&path, Some(&attr(2)), now + NOTICE_PATIENCE), "somebody made it anew");
        assert!(!echoes.is_ours(&path, None, now), "and removed it");
        echoes.gone(&path, now);
        assert!(echoes.is_ours(&path, None, now) && !echoes.is_ours(&path, None, now));
    }

    #[test]
    fn each_removal_explains_one_notice_and_none_that_comes_long_after_what_followed_it() {
        let (mut echoes, path, now) = (Echoes::new(Case::Folded), VPath::parse("a").unwrap(), Instant::now());
        echoes.gone(&path, now);
        echoes.gone(&path, now);
        echoes.outcome(&path, &attr(3), now);
        echoes.gone(&path, now);
        assert!(echoes.is_ours(&path, None, now) && echoes.is_ours(&path, None, now));
        assert!(echoes.is_ours(&path, Some(&attr(3)), now));
        assert!(echoes.is_ours(&path, None, now) && !echoes.is_ours(&path, None, now));
        echoes.gone(&path, now);
        echoes.outcome(&path, &attr(4), now);
        let later = now + NOTICE_PATIENCE;
        assert!(echoes.is_ours(&path, Some(&attr(4)), later));
        assert!(
            !echoes.is_ours(&path, None, later),
            "the removal before was never told: this is somebody else's"
        );
    }

    #[test]
    fn names_are_those_of_the_volume() {
        let now = Instant::now();
        let (a, upper) = (VPath::parse("a").unwrap(), VPath::parse("A").unwrap());
        for (case, case_sensitive) in [(Case::Folded, false), (Case::Told, true)] {
            let mut echoes = Echoes::new(case);
            echoes.gone(&a, now);
            assert_eq!(echoes.is_ours(&upper, None, now), !case_sensitive);
            echoes.made(&a, &attr(5), now);
            assert_eq!(echoes.is_ours(&upper, Some(&attr(4)), now), !case_sensitive);
            echoes.begin(&a);
            assert_eq!(
                echoes.waits(&Notice::Changed { path: upper.clone(), attr: None, by: Author::Unknown }),
                !case_sensitive
            );
        }
    }

    #[test]
    fn a_removal_that_was_told_as_unknown_when_it_was_done_or_under_way_explains_nothing_any_more() {
        let (mut echoes, now) = (Echoes::new(Case::Folded), Instant::now());
        let paths = ["dir/a", "DIR/b", "dirt", "dir"].map(|path| VPath::parse(path).unwrap());
        paths.iter().for_each(|path| echoes.gone(path, now));
        echoes.unknown(&VPath::parse("dir").unwrap());
        assert_eq!(paths.each_ref().map(|path| echoes.is_ours(path, None, now)), [false, false, true, false]);
        paths.iter().for_each(|path| echoes.gone(path, now));
        assert!(echoes.standing(&paths[0]).is_none());
        echoes.begin(&paths[2]);
        echoes.made(&paths[2], &attr(1), now);
        echoes.unknown(&VPath::root());
        assert!(echoes.standing(&paths[2]).is_none());
        echoes.gone(&paths[2], now);
        echoes.end(&paths[2]);
        assert!(paths.iter().all(|path| !echoes.is_ours(path, None, now)));
    }

    #[test]
    fn a_notice_may_tell_of_a_later_state_than_its_own() {
        let (mut echoes, path, now) = (Echoes::new(Case::Folded), VPath::parse("a").unwrap(), Instant::now());
        echoes.made(&path, &attr(1), now);
        echoes.gone(&path, now);
        echoes.made(&path, &attr(2), now);
        // The first was looked up when the second was there already.
        assert!(echoes.is_ours(&path, Some(&attr(2)), now));
        assert!(echoes.is_ours(&path, None, now) && !echoes.is_ours(&path, None, now));
    }

    #[test]
    fn what_is_older_than_what_we_made_is_of_what_stood_there_before() {
        let (mut echoes, path, now) = (Echoes::new(Case::Folded), VPath::parse("a").unwrap(), Instant::now());
        echoes.made(&path, &attr(5), now);
        assert!(echoes.is_ours(&path, Some(&attr(4)), now) && echoes.is_ours(&path, Some(&attr(5)), now));
        assert!(!echoes.is_ours(&path, Some(&attr(6)), now));
        assert!(
            !echoes.is_ours(&path, Some(&attr(4)), now + NOTICE_PATIENCE),
            "the clock there was set back"
        );
    }

    #[test]
    fn what_stands_there_is_known_in_every_state_until_it_is_taken_away() {
        let (mut echoes, path, now) = (Echoes::new(Case::Folded), VPath::parse("a").unwrap(), Instant::now());
        let file = Some(attr(1).id);
        echoes.made(&path, &attr(1), now);
        assert_eq!(echoes.standing(&path), file);
        echoes.taken(&path);
        assert_eq!(echoes.standing(&path), None);
        echoes.told(&path, &attr(3));
        assert_eq!(echoes.standing(&path), file);
        assert!(echoes.is_ours(&path, Some(&attr(3)), now) && !echoes.is_ours(&path, Some(&attr(4)), now));
        echoes.gone(&path, now);
        assert_eq!(echoes.standing(&path), None);
    }

    #[test]
    fn what_an_open_finds_is_untold_unless_it_was_told_or_is_older_than_notices() {
        let (mut echoes, now) = (Echoes::new(Case::Folded), Instant::now());
        let [a, b] = ["a", "b"].map(|path| VPath::parse(path).unwrap());
        let at = |seconds: u64| attr(Duration::from_secs(seconds).as_nanos() as u64);
        assert!(echoes.may_be_untold(&a, &at(1), now), "nothing is known of the clock there");
        echoes.told(&a, &at(99));
        assert!(!echoes.may_be_untold(&a, &at(99), now) && echoes.may_be_untold(&a, &at(98), now));
        echoes.outcome(&b, &at(100), now);
        assert!(echoes.may_be_untold(&a, &at(90), now) && !echoes.may_be_untold(&a, &at(89), now));
        let later = now + Duration::from_secs(5);
        assert!(echoes.may_be_untold(&a, &at(101), later), "it was changed after ours");
        assert!(echoes.may_be_untold(&a, &at(95), later) && !echoes.may_be_untold(&a, &at(94), later));
        let dir = |seconds| Attr { kind: Kind::Dir, ..at(seconds) };
        assert!(!echoes.may_be_untold(&b, &dir(104), later), "names have come and gone in it");
    }

    #[test]
    fn while_we_change_a_name_its_notices_wait() {
        let (mut echoes, path) = (Echoes::new(Case::Folded), VPath::parse("a").unwrap());
        let changed = |name: &str| Notice::Changed {
            path: VPath::parse(name).unwrap(),
            attr: None,
            by: Author::Unknown,
        };
        let moved = Notice::Moved {
            from: VPath::parse("b").unwrap(),
            to: path.clone(),
            attr: None,
            by: Author::Unknown,
        };
        echoes.begin(&path);
        echoes.begin(&VPath::parse("A").unwrap());
        assert!(echoes.waits(&changed("a")) && echoes.waits(&moved) && !echoes.waits(&changed("b")));
        assert_eq!(echoes.end(&path), []);
        assert!(echoes.waits(&changed("A")));
        assert_eq!(echoes.end(&path), [changed("a"), moved.clone(), changed("A")]);
        assert!(!echoes.waits(&moved));
        echoes.begin(&path);
        (0..=WAITING_MAX).for_each(|_| assert!(echoes.waits(&changed("a"))));
        assert_eq!(echoes.end(&path), [Notice::Unknown { below: VPath::root() }, changed("a")]);
    }
}

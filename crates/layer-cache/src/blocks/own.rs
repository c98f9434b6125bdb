//! Whether a new version of a file is only our own doing. Pure.
//!
//! A write through the cache gives the file a new version at the origin. If nobody else wrote meanwhile, the
//! cached blocks (with our bytes in them) are the content of that new version and stay; else they must go.
//! An [`OwnChanges`] stands from the first own change of a settled content until an answer of the origin,
//! asked for after the last one ended, settles it. The content is kept when
//!
//! * it was known to be current when the first change began, by a promise of notices (a polled origin cannot
//!   tell us what happened in between, so there it is always dropped),
//! * no own change failed or overlapped another in time and place without order,
//! * the size is what our changes make it, and so is the time of the last write: changes that are not of content leave
//!   it as it was, and
//! * notices named no more versions than we made changes. Late notices are counted too, so that a foreign
//!   write that fell between our write and our look is found when its notice comes.
//!
//! Notices that are coalesced name fewer versions than there were, so a foreign write close to ours may go
//! uncounted. After own *writes*, therefore, only those blocks stay that our writes have put there whole, and of what was
//! settled before them those that we wrote no more than [`OWN_ECHO`] earlier; the rest is fetched anew when somebody reads
//! it. The same holds after a change of ours that has set the time of the last write, which then says nothing of others:
//! those stay that we wrote in the last [`OWN_ECHO`].
//!
//! What this cannot see: a foreign write into a block that we have written in the last seconds, or earlier if nobody has
//! asked since, which is told together with a further write of ours; and one into a block that we have written in the last
//! seconds, just before we set that time. Versions before and after each write, told by the origin, would end it.

use super::map::blocks_of;
use crate::{BLOCK_BYTES, OWN_ECHO};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;
use volume::{Time, Version};

/// Versions told by notices that are remembered; at more the content is in doubt.
const VERSIONS_MAX: usize = 64;

/// Own changes of one content since it was last known to be what the origin has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnChanges {
    /// Changes begun.
    begun: usize,
    in_flight: usize,
    /// Different versions that notices and answers named.
    versions: Vec<Version>,
    doubt: bool,
    /// When the last change began or ended, on the clock of the metadata tree.
    last: u64,
    /// `settle` said `Keep`; late notices are still counted until the next change.
    settled: bool,
    /// When content was last written before the first change.
    written: Option<Time>,
    /// Some change was of content.
    wrote: bool,
    /// Some change has set the time of the last write.
    dated: bool,
    /// What our writes have put there, by block, also before these changes.
    covered: BTreeMap<u64, Covered>,
}

/// What our writes have put into a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Covered {
    /// From its start, without a gap.
    bytes: u64,
    /// When the oldest of them were written.
    since: Instant,
}

/// What the origin answers, beside what is here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub version: Version,
    /// It is the version from before our changes.
    pub is_same: bool,
    pub size_fits: bool,
    pub written: Time,
}

/// What an answer says about the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the content of the version in the answer.
    Keep,
    /// It may not be.
    Drop,
    /// The answer is older than some change of ours: it says nothing.
    Later,
}

impl OwnChanges {
    /// Before the first change. `written` is when it was last written, if the content is known to be current and
    /// notices are promised.
    pub(crate) fn new(written: Option<Time>) -> OwnChanges {
        OwnChanges {
            begun: 0,
            in_flight: 0,
            versions: Vec::new(),
            doubt: written.is_none(),
            last: 0,
            settled: false,
            written,
            wrote: false,
            dated: false,
            covered: BTreeMap::new(),
        }
    }

    /// The record of the next changes, after these were settled: what we have put there stays ours while the
    /// content is known to be current.
    pub(crate) fn next(self, written: Option<Time>) -> OwnChanges {
        match written.is_some() && !self.doubt {
            true => OwnChanges { covered: self.covered, ..OwnChanges::new(written) },
            false => OwnChanges::new(written),
        }
    }

    /// With a further change of ours nobody else's may be told: what we put there long before may be theirs by now.
    fn changes_content(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.wrote, true) {
            self.forget_old(now);
        }
    }

    fn forget_old(&mut self, now: Instant) {
        self.covered.retain(|_, covered| now.saturating_duration_since(covered.since) <= OWN_ECHO);
    }

    /// The origin has our bytes there now.
    pub(crate) fn wrote(&mut self, bytes: &Range<u64>, now: Instant) {
        self.changes_content(now);
        for block in blocks_of(bytes.clone()) {
            let start = block * BLOCK_BYTES;
            let from = bytes.start.saturating_sub(start);
            let to = (bytes.end - start).min(BLOCK_BYTES);
            let covered = self.covered.entry(block).or_insert(Covered { bytes: 0, since: now });
            if from == 0 && to >= covered.bytes {
                *covered = Covered { bytes: to, since: now };
            } else if from <= covered.bytes {
                covered.bytes = to.max(covered.bytes);
            }
        }
    }

    /// The origin has other bytes there now, which are not ours to know.
    pub(crate) fn replaced(&mut self, bytes: &Range<u64>, now: Instant) {
        self.changes_content(now);
        let blocks = blocks_of(bytes.clone());
        self.covered.retain(|block, _| !blocks.contains(block));
    }

    /// The origin has the file at this size now.
    pub(crate) fn resized(&mut self, size: u64, now: Instant) {
        self.changes_content(now);
        self.covered.split_off(&(size / BLOCK_BYTES));
    }

    /// The time of its last write may have been set.
    pub(crate) fn dated(&mut self, now: Instant) {
        self.dated = true;
        self.forget_old(now);
    }

    /// Whether the changes were of content, or may hide one of others, so that only what [`OwnChanges::keeps`] stays.
    pub(crate) fn is_of_content(&self) -> bool {
        self.wrote || self.dated
    }

    /// Whether all of a block of `length` bytes is ours.
    pub(crate) fn keeps(&self, block: u64, length: u64) -> bool {
        self.covered.get(&block).is_some_and(|covered| covered.bytes >= length)
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt
    }

    pub(crate) fn begin(&mut self, clock: u64) {
        (self.begun, self.in_flight, self.last, self.settled) =
            (self.begun + 1, self.in_flight + 1, clock, false);
    }

    /// A change ended; one that failed may or may not have had its effect.
    pub(crate) fn end(&mut self, clock: u64, succeeded: bool) {
        (self.in_flight, self.last) = (self.in_flight - 1, clock);
        self.doubt |= !succeeded;
    }

    /// Something happened that makes the content uncertain.
    pub(crate) fn doubt(&mut self) {
        self.doubt = true;
    }

    /// When the last change began or ended, on the clock of the metadata tree.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// A notice or an answer named a version. `false` when the content has to go.
    pub(crate) fn named(&mut self, version: Version) -> bool {
        if !self.versions.contains(&version) {
            self.versions.push(version);
        }
        self.doubt |= self.versions.len() > self.begun || self.versions.len() > VERSIONS_MAX;
        !self.doubt
    }

    /// Judges an answer that was asked for at `asked` (the clock of the metadata tree).
    pub(crate) fn settle(&mut self, asked: u64, told: Told) -> Verdict {
        if self.in_flight > 0 || asked < self.last {
            return Verdict::Later;
        }
        // A version stays where only attributes are others.
        self.dated &= !told.is_same;
        let as_written = self.is_of_content() || told.is_same || self.written == Some(told.written);
        if !self.named(told.version) || !told.size_fits || !as_written {
            return Verdict::Drop;
        }
        self.settled = true;
        Verdict::Keep
    }

    /// Judges the answer to an own change itself, which tells the state right after it.
    pub(crate) fn settle_with_own_answer(&mut self, begun: usize, told: Told) -> Verdict {
        if self.begun != begun {
            return Verdict::Later;
        }
        self.settle(u64::MAX, told)
    }

    /// For [`OwnChanges::settle_with_own_answer`]: `None` when other changes are under way.
    pub(crate) fn alone(&self) -> Option<usize> {
        (self.in_flight == 1).then_some(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the content was last written before.
    const BEFORE: Option<Time> = Some(Time(1));

    fn v(lo: u64) -> Version {
        Version { hi: 0, lo }
    }

    fn told(lo: u64) -> Told {
        Told { version: v(lo), is_same: false, size_fits: true, written: Time(lo) }
    }

    fn one_write(written: Option<Time>) -> OwnChanges {
        let mut own = OwnChanges::new(written);
        own.begin(10);
        own.wrote(&(0..1), Instant::now());
        own.end(11, true);
        own
    }

    #[test]
    fn our_only_write_is_kept() {
        let mut own = one_write(BEFORE);
        assert_eq!(own.settle(12, told(2)), Verdict::Keep);
        assert!(own.named(v(2)), "its own notice comes late");
    }

    #[test]
    fn what_is_in_doubt_goes() {
        assert_eq!(one_write(None).settle(12, told(2)), Verdict::Drop, "a polled origin");
        assert_eq!(
            one_write(BEFORE).settle(12, Told { size_fits: false, ..told(2) }),
            Verdict::Drop,
            "another size"
        );
        let mut failed = OwnChanges::new(BEFORE);
        failed.begin(1);
        failed.end(2, false);
        assert_eq!(failed.settle(3, told(2)), Verdict::Drop);
    }

    #[test]
    fn a_foreign_write_shows_as_one_version_too_many() {
        let mut before = one_write(BEFORE);
        before.named(v(2));
        assert_eq!(before.settle(12, told(3)), Verdict::Drop);
        let mut late = one_write(BEFORE);
        assert_eq!(late.settle(12, told(3)), Verdict::Keep);
        assert!(!late.named(v(2)), "the notice of our own write comes after we adopted a foreign one");
    }

    #[test]
    fn an_answer_older_than_a_change_says_nothing() {
        let mut own = one_write(BEFORE);
        assert_eq!(own.settle(9, told(2)), Verdict::Later);
        own.begin(20);
        assert_eq!(own.settle(21, told(2)), Verdict::Later);
        own.end(22, true);
        assert_eq!(own.settle(23, told(3)), Verdict::Keep);
    }

    #[test]
    fn the_answer_of_a_change_settles_when_it_was_alone() {
        let mut own = OwnChanges::new(BEFORE);
        own.begin(1);
        let alone = own.alone().unwrap();
        own.end(2, true);
        assert_eq!(own.settle_with_own_answer(alone, told(1)), Verdict::Keep);
        own.begin(3);
        own.begin(4);
        assert_eq!(own.alone(), None);
    }

    /// A change of ours that is none of content, with an answer to it.
    fn attributes(mut own: OwnChanges, dated: Option<Instant>, answer: Told) -> (Verdict, OwnChanges) {
        own.begin(20);
        if let Some(now) = dated {
            own.dated(now);
        }
        own.end(21, true);
        (own.settle(22, answer), own)
    }

    #[test]
    fn a_foreign_write_shows_by_its_time() {
        let (verdict, own) = attributes(OwnChanges::new(BEFORE), None, Told { written: Time(1), ..told(2) });
        assert!(verdict == Verdict::Keep && !own.is_of_content());
        assert_eq!(attributes(OwnChanges::new(BEFORE), None, told(2)).0, Verdict::Drop);
        let same = Told { is_same: true, ..told(2) };
        let (verdict, own) = attributes(OwnChanges::new(BEFORE), Some(Instant::now()), same);
        assert!(verdict == Verdict::Keep && !own.is_of_content(), "the version says that nobody wrote");
    }

    #[test]
    fn what_we_put_there_long_before_may_be_others_once_we_change_it_elsewhere() {
        type Change<'a> = &'a dyn Fn(&mut OwnChanges, Instant);
        let (start, far) = (Instant::now(), 5 * BLOCK_BYTES..6 * BLOCK_BYTES);
        let writes: Change<'_> = &|own, now| own.wrote(&far, now);
        let replaces: Change<'_> = &|own, now| own.replaced(&far, now);
        let resizes: Change<'_> = &|own, now| own.resized(far.end, now);
        let changed = |mut own: OwnChanges, change: Change<'_>, now, answer| {
            own.begin(10);
            change(&mut own, now);
            own.end(11, true);
            assert_eq!(own.settle(12, answer), Verdict::Keep);
            own
        };
        for (change, later) in
            [writes, replaces, resizes].into_iter().flat_map(|c| [(c, OWN_ECHO), (c, OWN_ECHO * 2)])
        {
            let own = OwnChanges::new(BEFORE);
            let own = changed(own, &|own, now| own.wrote(&(0..BLOCK_BYTES), now), start, told(2));
            let own = changed(own.next(Some(Time(2))), change, start + later, told(3));
            assert_eq!(own.keeps(0, BLOCK_BYTES), later == OWN_ECHO);
        }
    }

    #[test]
    fn a_block_is_as_old_as_the_oldest_of_it() {
        let start = Instant::now();
        let mut own = OwnChanges::new(BEFORE);
        own.wrote(&(0..2 * BLOCK_BYTES), start);
        own.wrote(&(0..BLOCK_BYTES + 1), start + OWN_ECHO);
        own.dated(start + OWN_ECHO * 2);
        assert!(own.keeps(0, BLOCK_BYTES) && !own.keeps(1, 1));
    }

    #[test]
    fn after_its_time_was_set_what_we_wrote_just_before_stays() {
        let now = Instant::now();
        for (later, keeps) in [(OWN_ECHO, true), (OWN_ECHO * 2, false)] {
            let mut own = OwnChanges::new(BEFORE);
            own.begin(10);
            own.wrote(&(0..5), now);
            own.end(11, true);
            assert_eq!(own.settle(12, told(2)), Verdict::Keep);
            let (verdict, own) = attributes(own.next(Some(Time(2))), Some(now + later), told(3));
            assert!(verdict == Verdict::Keep && own.is_of_content());
            assert_eq!(own.keeps(0, 5), keeps);
        }
    }
}

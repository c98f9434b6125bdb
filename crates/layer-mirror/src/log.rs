//! The log: a journal of [`Entry`]s, what is in flight in it, and its latest part in memory.
//!
//! A record is *open* from [`Log::begin`] until its outcome is known, *settled* afterwards. Records settle in any order;
//! [`Log::settled`] is the number below which all are. Mirrors read up to there, so what they are sent has happened.
//!
//! Outcomes are written with the next record, not for their own sake: what a crash leaves without one is looked at when the log is
//! opened again (`recover.rs`). Those were open together, so no later record speaks of the same name.

use crate::record::{Entry, Outcome, Record, Stamp};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use store::{Ended, Journal, Reader, StoreError};
use tokio::sync::watch;
use volume::Time;

/// The latest records that are kept in memory for mirrors that keep up: so many, and so many bytes of content.
const TAIL_RECORDS_MAX: usize = 64 * 1024;
const TAIL_BYTES_MAX: usize = 32 << 20;
/// Room that a record takes in memory besides its content, about, bytes.
const RECORD_BYTES: usize = 256;

pub struct Log {
    journal: Arc<Journal>,
    state: Mutex<State>,
    settled: watch::Sender<u64>,
    /// The first number that this process has given.
    began: u64,
}

/// A log that was opened.
pub struct Opened {
    pub log: Log,
    pub ended: Ended,
    /// Records without an outcome.
    pub open: Vec<(u64, Record)>,
}

struct State {
    /// The latest records, without gaps.
    tail: VecDeque<Slot>,
    /// Number of the first of them.
    tail_first: u64,
    tail_bytes: usize,
    /// Outcomes that are to be written with the next record.
    unwritten: Vec<(u64, Outcome)>,
    /// All records below have an outcome.
    settled: u64,
}

#[derive(Clone)]
struct Slot {
    record: Option<Arc<Record>>,
    outcome: Option<Outcome>,
    at: Time,
}

/// A record that has come to its end.
#[derive(Clone, Debug)]
pub struct Settled {
    pub number: u64,
    pub record: Arc<Record>,
    pub outcome: Outcome,
    pub at: Time,
}

impl Settled {
    /// What the object is afterwards, if it is known.
    pub fn stamp(&self) -> Option<Stamp> {
        match (&*self.record, self.outcome) {
            (Record::Cut { stamp, .. }, _) => *stamp,
            (_, Outcome::Done(stamp)) => stamp,
            (_, Outcome::Nothing | Outcome::Doubt) => None,
        }
    }
}

impl Log {
    /// Opens the log in `dir`. What was open when the process before ended is told, and is to be settled before anything is read.
    /// Blocks on the disk.
    pub fn open(dir: &Path) -> Result<Opened, StoreError> {
        let (journal, ended) = Journal::open(dir)?;
        let journal = Arc::new(journal);
        let open = left_open(&journal)?;
        let next = journal.next();
        let state = State {
            tail: VecDeque::new(),
            tail_first: next,
            tail_bytes: 0,
            unwritten: Vec::new(),
            settled: next,
        };
        let log = Log { journal, state: Mutex::new(state), settled: watch::Sender::new(next), began: next };
        if ended == Ended::WithTheMachine {
            log.begin(Record::Unknown { below: volume::VPath::root() })?;
        }
        Ok(Opened { log, ended, open })
    }

    /// Writes down what is about to happen; it survives the end of the process when this returns. Blocks as a write to
    /// a file does.
    pub fn begin(&self, record: Record) -> Result<u64, StoreError> {
        self.append(Some(record))
    }

    /// Says what came of it.
    pub fn settle(&self, number: u64, outcome: Outcome) {
        let mut state = self.state.lock();
        state.unwritten.push((number, outcome));
        state.settle(number, outcome);
        self.tell(&mut state);
    }

    /// Writes down the outcomes that wait for the next record.
    fn write_outcomes(&self) -> Result<(), StoreError> {
        if self.state.lock().unwritten.is_empty() {
            return Ok(());
        }
        self.append(None).map(drop)
    }

    fn append(&self, record: Option<Record>) -> Result<u64, StoreError> {
        let data = match &record {
            Some(Record::Write { data, .. }) => data.clone(),
            _ => Bytes::new(),
        };
        let at = Time::now();
        let mut state = self.state.lock();
        let outcomes = std::mem::take(&mut state.unwritten);
        let entry = Entry { outcomes, open_from: state.settled, record, at };
        let number = match self.journal.append(&[&[&entry.head(), &data]]) {
            Ok(number) => number,
            Err(failure) => {
                state.unwritten = entry.outcomes;
                return Err(failure);
            }
        };
        let open = entry.record.as_ref().is_some_and(Record::settles);
        let outcome = (!open).then_some(Outcome::Done(None));
        state.push(Slot { record: entry.record.map(Arc::new), outcome, at });
        if !open {
            state.settle(number, Outcome::Done(None));
            self.tell(&mut state);
        }
        Ok(number)
    }

    fn tell(&self, state: &mut State) {
        let settled = state.settled;
        self.settled.send_if_modified(|told| std::mem::replace(told, settled) != settled);
    }

    /// All records below this are settled.
    pub fn settled(&self) -> u64 {
        *self.settled.borrow()
    }

    /// The number that the next record gets.
    pub fn next(&self) -> u64 {
        self.journal.next()
    }

    /// The first number that this process has given.
    pub fn began(&self) -> u64 {
        self.began
    }

    /// Follows [`Log::settled`].
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.settled.subscribe()
    }

    /// Returns when all that was begun before is on the medium. Blocks.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.journal.sync()
    }

    /// Gives up what is below `number`, about.
    pub fn trim(&self, number: u64) -> Result<(), StoreError> {
        self.journal.trim(number)
    }

    /// The oldest record that is there.
    pub fn first(&self) -> u64 {
        self.journal.first()
    }

    /// Room on the disk, bytes.
    pub fn size(&self) -> u64 {
        self.journal.size()
    }

    /// Ends the work. Nothing can be begun afterwards.
    pub fn close(&self) -> Result<(), StoreError> {
        self.write_outcomes()?;
        self.journal.close()
    }

    /// Reads settled records from `from` on. `None` when that was given up.
    pub fn feed(self: &Arc<Log>, from: u64) -> Option<Feed> {
        (from >= self.first()).then(|| Feed { log: self.clone(), next: from, disk: None })
    }
}

impl State {
    fn push(&mut self, slot: Slot) {
        self.tail_bytes += slot.bytes();
        self.tail.push_back(slot);
        while self.tail.len() > TAIL_RECORDS_MAX || self.tail_bytes > TAIL_BYTES_MAX {
            if self.tail_first >= self.settled {
                break;
            }
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_bytes -= oldest.bytes();
            self.tail_first += 1;
        }
    }

    fn settle(&mut self, number: u64, outcome: Outcome) {
        let slot = number.checked_sub(self.tail_first).and_then(|at| self.tail.get_mut(at as usize));
        let Some(slot) = slot else { return };
        slot.outcome = Some(outcome);
        while let Some(next) = self.tail.get((self.settled - self.tail_first) as usize)
            && next.outcome.is_some()
        {
            self.settled += 1;
        }
    }
}

impl Slot {
    fn bytes(&self) -> usize {
        RECORD_BYTES + self.record.as_ref().map_or(0, |record| record.data_len())
    }
}

/// The records that have no outcome in the journal.
fn left_open(journal: &Arc<Journal>) -> Result<Vec<(u64, Record)>, StoreError> {
    let mut open = BTreeMap::new();
    let mut reader = journal.reader(scan_from(journal)?).expect("between the first and the next");
    while let Some((number, entry)) = next_entry(&mut reader)? {
        for (settled, _) in entry.outcomes {
            open.remove(&settled);
        }
        if let Some(record) = entry.record.filter(Record::settles) {
            open.insert(number, record);
        }
    }
    Ok(open.into_iter().collect())
}

/// From where on there may be records without an outcome: the last entry tells. It is found by reading what is behind the last
/// whole segment; a few numbers before the end are enough as a rule.
fn scan_from(journal: &Arc<Journal>) -> Result<u64, StoreError> {
    let Some(last) = journal.next().checked_sub(1).filter(|last| *last >= journal.first()) else {
        return Ok(journal.next());
    };
    let mut reader = journal.reader(last).expect("it is there");
    let open_from = next_entry(&mut reader)?.map_or(last, |(_, entry)| entry.open_from);
    Ok(open_from.max(journal.first()))
}

fn next_entry(reader: &mut Reader) -> Result<Option<(u64, Entry)>, StoreError> {
    let Some((number, bytes)) = reader.next()? else { return Ok(None) };
    match Entry::parse(bytes.into()) {
        Some(entry) => Ok(Some((number, entry))),
        None => Err(reader.damaged_here()),
    }
}

/// One mirror's place in the log.
pub struct Feed {
    log: Arc<Log>,
    next: u64,
    /// While what is next is not in memory.
    disk: Option<FromDisk>,
}

/// Reads ahead until the outcomes are known.
struct FromDisk {
    reader: Reader,
    /// Number, and what is known of it.
    ahead: VecDeque<(u64, Slot)>,
}

impl Feed {
    /// The number of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether all that is settled was taken.
    pub fn is_empty(&self) -> bool {
        self.next >= self.log.settled()
    }

    /// Takes settled records, up to `bytes` of them, at least one if there is one. Blocks on the disk where they are not in memory any more.
    pub fn take(&mut self, bytes: usize) -> Result<Vec<Settled>, StoreError> {
        let mut taken = Vec::new();
        let mut left = bytes as i64;
        while left > 0 {
            if let Some(disk) = &mut self.disk {
                match disk.next(&self.log, self.next)? {
                    Some((number, slot)) => {
                        self.next = number + 1;
                        left -= slot.bytes() as i64;
                        taken.extend(slot.settled(number));
                        continue;
                    }
                    None => self.disk = None,
                }
            }
            let state = self.log.state.lock();
            if self.next >= state.settled {
                break;
            }
            let Some(at) = self.next.checked_sub(state.tail_first) else {
                drop(state);
                self.disk = Some(FromDisk::at(&self.log, self.next)?);
                continue;
            };
            let Some(slot) = state.tail.get(at as usize) else { break };
            left -= slot.bytes() as i64;
            taken.extend(slot.clone().settled(self.next));
            self.next += 1;
        }
        Ok(taken)
    }
}

impl Slot {
    fn settled(self, number: u64) -> Option<Settled> {
        Some(Settled { number, record: self.record?, outcome: self.outcome?, at: self.at })
    }
}

impl FromDisk {
    fn at(log: &Log, from: u64) -> Result<FromDisk, StoreError> {
        log.write_outcomes()?;
        let gone = || StoreError::Damaged {
            path: "the log of changes".into(),
            what: format!("record {from} was given up"),
        };
        let reader = log.journal.reader(from).ok_or_else(gone)?;
        Ok(FromDisk { reader, ahead: VecDeque::new() })
    }

    /// The next record, which is `next` or one behind; `None` where memory goes on.
    fn next(&mut self, log: &Log, next: u64) -> Result<Option<(u64, Slot)>, StoreError> {
        loop {
            if let Some((_, slot)) = self.ahead.front()
                && slot.outcome.is_some()
            {
                return Ok(self.ahead.pop_front());
            }
            if next >= log.settled() {
                return Ok(None);
            }
            match next_entry(&mut self.reader)? {
                Some((number, entry)) => self.note(number, entry),
                // All that was written was read, so what is missing is in memory or about to be written.
                None => match log.state.lock().tail_first <= next {
                    true => return Ok(None),
                    false => log.write_outcomes()?,
                },
            }
        }
    }

    fn note(&mut self, number: u64, entry: Entry) {
        for (settled, outcome) in entry.outcomes {
            let slot = self.ahead.front().and_then(|(first, _)| settled.checked_sub(*first));
            if let Some((_, slot)) = slot.and_then(|at| self.ahead.get_mut(at as usize)) {
                slot.outcome = Some(outcome);
            }
        }
        let open = entry.record.as_ref().is_some_and(Record::settles);
        let outcome = (!open).then_some(Outcome::Done(None));
        self.ahead.push_back((number, Slot { record: entry.record.map(Arc::new), outcome, at: entry.at }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volume::VPath;

    fn record(name: &str) -> Record {
        Record::Create { path: VPath::parse(name).unwrap() }
    }

    fn names(feed: &mut Feed) -> Vec<(String, Outcome)> {
        let name = |settled: Settled| (settled.record.paths()[0].to_string(), settled.outcome);
        feed.take(usize::MAX >> 1).unwrap().into_iter().map(name).collect()
    }

    #[test]
    fn what_is_settled_is_read_and_nothing_behind_what_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(Log::open(dir.path()).unwrap().log);
        let mut feed = log.feed(1).unwrap();
        let numbers: Vec<u64> = ["a", "b", "c"].map(|name| log.begin(record(name)).unwrap()).into();
        log.settle(numbers[2], Outcome::Done(None));
        log.settle(numbers[0], Outcome::Nothing);
        assert_eq!(names(&mut feed), [("a".to_owned(), Outcome::Nothing)]);
        assert!(feed.is_empty());
        log.settle(numbers[1], Outcome::Done(None));
        let expect = ["b", "c"].map(|name| (name.to_owned(), Outcome::Done(None)));
        assert_eq!(names(&mut feed), expect);
    }

    #[test]
    fn after_a_crash_what_was_open_is_told_and_the_rest_is_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(dir.path()).unwrap().log;
        let numbers: Vec<u64> = ["a", "b", "c"].map(|name| log.begin(record(name)).unwrap()).into();
        log.settle(numbers[0], Outcome::Done(None));
        log.settle(numbers[1], Outcome::Nothing);
        // Writes the outcomes of both down.
        let last = log.begin(record("d")).unwrap();
        log.settle(last, Outcome::Done(None));
        drop(log);
        let expect = [
            ("a", Outcome::Done(None)),
            ("b", Outcome::Nothing),
            ("c", Outcome::Doubt),
            ("d", Outcome::Doubt),
        ];
        for open in [vec![3, 4], vec![]] {
            let opened = Log::open(dir.path()).unwrap();
            let numbers: Vec<u64> = opened.open.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers, open);
            let log = Arc::new(opened.log);
            open.iter().for_each(|number| log.settle(*number, Outcome::Doubt));
            log.write_outcomes().unwrap();
            let read = names(&mut log.feed(1).unwrap());
            assert_eq!(read, expect.map(|(name, outcome)| (name.to_owned(), outcome)));
        }
    }

    #[test]
    fn a_reader_far_behind_goes_on_from_disk_to_memory() {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(Log::open(dir.path()).unwrap().log);
        let mut feed = log.feed(1).unwrap();
        let count = TAIL_RECORDS_MAX + 1000;
        for number in 0..count {
            let number = log.begin(record(&format!("n{number}"))).unwrap();
            log.settle(number, Outcome::Done(None));
        }
        assert!(log.state.lock().tail_first > 500);
        let mut seen = 0;
        while !feed.is_empty() {
            for settled in feed.take(10_000).unwrap() {
                assert_eq!(settled.record.paths()[0].to_string(), format!("n{seen}"));
                assert_eq!(settled.outcome, Outcome::Done(None));
                seen += 1;
            }
        }
        assert_eq!(seen, count);
    }
}

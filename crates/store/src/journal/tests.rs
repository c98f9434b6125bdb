//! What is read back after starts, cuts and damage.

use super::*;
use std::os::unix::fs::FileExt;

fn open(dir: &Path) -> (Arc<Journal>, Ended) {
    let (journal, ended) = Journal::with_segments(dir, 200).unwrap();
    (Arc::new(journal), ended)
}

fn all(journal: &Arc<Journal>, from: u64) -> Vec<(u64, String)> {
    let mut reader = journal.reader(from).unwrap();
    std::iter::from_fn(|| reader.next().unwrap())
        .map(|(number, record)| (number, String::from_utf8(record).unwrap()))
        .collect()
}

fn append(journal: &Journal, text: &str) -> u64 {
    let (left, right) = text.as_bytes().split_at(text.len() / 2);
    journal.append(&[&[left, right]]).unwrap()
}

fn fill(journal: &Journal) {
    for _ in 0..40 {
        append(journal, "something");
    }
}

/// The segments' files, oldest first.
fn files(dir: &Path) -> Vec<PathBuf> {
    segment::list(dir).unwrap().iter().map(|segment| segment::path(dir, segment.first)).collect()
}

#[test]
fn what_was_appended_is_read_in_order_from_any_number_and_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, ended) = open(dir.path());
    assert_eq!(ended, Ended::New);
    let texts: Vec<String> = (1..=40).map(|number| format!("record {number}")).collect();
    for (number, text) in (1..).zip(&texts) {
        assert_eq!(append(&journal, text), number);
    }
    assert!(files(dir.path()).len() > 2, "one segment holds less");
    let expect: Vec<(u64, String)> = (1..).zip(texts.clone()).collect();
    for from in [1, 2, 17, 40, 41] {
        assert_eq!(all(&journal, from), expect[from as usize - 1..], "from {from}");
    }
    drop(journal);
    let (journal, ended) = open(dir.path());
    assert_eq!(ended, Ended::Killed);
    assert_eq!(append(&journal, "more"), 41);
    assert_eq!(all(&journal, 40), [(40, "record 40".to_owned()), (41, "more".to_owned())]);
    journal.close().unwrap();
    assert!(journal.append(&[&[b"late"]]).is_err());
    drop(journal);
    let (journal, ended) = open(dir.path());
    assert_eq!((ended, journal.next()), (Ended::Cleanly, 42));
    assert_eq!(all(&journal, 1).len(), 41);
}

#[test]
fn several_in_one_go_and_empty_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    assert_eq!(journal.append(&[&[b"one"], &[], &[b"", b"three"]]).unwrap(), 1);
    let expect = [(1, "one".to_owned()), (2, String::new()), (3, "three".to_owned())];
    assert_eq!(all(&journal, 1), expect);
    drop(journal);
    assert_eq!(all(&open(dir.path()).0, 1), expect);
}

#[test]
fn a_reader_follows_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut reader = journal.reader(1).unwrap();
    for number in 1..=30 {
        assert!(reader.next().unwrap().is_none());
        append(&journal, "something that is rather long");
        assert_eq!(reader.next().unwrap().unwrap().0, number);
    }
}

#[test]
fn what_was_given_up_is_gone_and_the_rest_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal);
    let before = journal.size();
    journal.trim(20).unwrap();
    assert_eq!(journal.first(), 1, "what follows is not on the medium");
    journal.sync().unwrap();
    journal.trim(20).unwrap();
    assert!(journal.first() <= 20 && journal.first() > 1 && journal.size() < before);
    assert!(journal.reader(1).is_none());
    assert_eq!(all(&journal, 20).len(), 21);
    journal.trim(u64::MAX).unwrap();
    assert!(journal.first() <= 40, "the last segment stays");
    drop(journal);
    assert_eq!(open(dir.path()).0.next(), 41);
}

/// Cut at each length: what was written whole before the cut is there, and new records come behind it.
#[test]
fn whatever_a_crash_has_cut_off_the_rest_is_good() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for number in 0..5 {
        append(&journal, &format!("record {number}"));
    }
    drop(journal);
    let path = files(dir.path()).pop().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let frame = FRAME_LENGTH;
    for length in 0..=whole.len() {
        let copy = tempfile::tempdir().unwrap();
        std::fs::write(copy.path().join(path.file_name().unwrap()), &whole[..length]).unwrap();
        let (journal, ended) = open(copy.path());
        let content = (length as u64).saturating_sub(segment::HEAD);
        let expect = content / frame;
        assert_eq!(journal.next(), expect + 1, "cut at {length}");
        let is_doubted = ended == Ended::WithTheMachine;
        assert_eq!(is_doubted, !content.is_multiple_of(frame), "cut at {length}: {ended:?}");
        append(&journal, "new");
        let read = all(&journal, 1);
        assert_eq!(read.len() as u64, expect + 1, "cut at {length}");
        assert_eq!(read.last().unwrap().1, "new");
        drop(journal);
        assert_eq!(all(&open(copy.path()).0, 1), read, "cut at {length}, after one more start");
    }
}

/// Length of the frame of `record N`.
const FRAME_LENGTH: u64 = segment::FRAME_HEAD as u64 + 8;

#[test]
fn damage_in_the_middle_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    fill(&journal);
    drop(journal);
    let first = std::fs::OpenOptions::new().write(true).open(&files(dir.path())[0]).unwrap();
    first.write_all_at(b"X", segment::HEAD + 30).unwrap();
    let (journal, _) = open(dir.path());
    let mut reader = journal.reader(1).unwrap();
    let failure = std::iter::from_fn(|| reader.next().transpose()).find_map(|read| read.err()).unwrap();
    assert!(failure.is_damaged(), "{failure}");
    assert!(all(&journal, 30).len() > 5, "the others are good");
}

#[test]
fn one_process_at_a_time_and_no_other_kind() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    assert!(Journal::open(dir.path()).is_err());
    drop(journal);
    let mut head = std::fs::read(&files(dir.path())[0]).unwrap();
    head[..8].copy_from_slice(b"Another1");
    let sum = xxhash_rust::xxh3::xxh3_64(&head[..40]).to_le_bytes();
    head[40..48].copy_from_slice(&sum);
    std::fs::write(&files(dir.path())[0], &head).unwrap();
    assert!(matches!(Journal::open(dir.path()), Err(StoreError::NotOurs { .. })));
}

#[test]
fn those_who_append_at_the_same_time_share_the_order_and_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let journal = &journal;
            scope.spawn(move || {
                for turn in 0..25 {
                    let number = append(journal, &format!("{writer} {turn}"));
                    journal.sync().unwrap();
                    assert!(journal.synced() > number);
                }
            });
        }
    });
    let read = all(&journal, 1);
    for writer in 0..4 {
        let own = read.iter().filter(|(_, text)| text.starts_with(&format!("{writer} ")));
        let turns: Vec<String> = own.map(|(_, text)| text.clone()).collect();
        assert_eq!(turns, (0..25).map(|turn| format!("{writer} {turn}")).collect::<Vec<_>>());
    }
}

#[test]
fn that_the_machine_went_down_is_told_until_something_is_written_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    append(&journal, "before");
    drop(journal);
    let path = files(dir.path()).pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[24..40].copy_from_slice(b"another boot of ");
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes[..40]).to_le_bytes();
    bytes[40..48].copy_from_slice(&sum);
    std::fs::write(&path, bytes).unwrap();
    for _ in 0..3 {
        assert_eq!(open(dir.path()).1, Ended::WithTheMachine);
    }
    let (journal, _) = open(dir.path());
    append(&journal, "noted");
    drop(journal);
    assert_eq!(open(dir.path()).1, Ended::Killed);
}

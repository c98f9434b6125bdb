//! Each kind of record and outcome, there and back.

use super::*;
use volume::{Device, DosAttributes, Named, Special};

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

fn stamp() -> Stamp {
    Stamp {
        id: FileId { hi: 1, lo: 2 },
        mode: 0o4751,
        uid: 3,
        gid: 4,
        links: 5,
        size: 1 << 40,
        mtime: Time(7),
        atime: Time(u64::MAX),
    }
}

fn records() -> Vec<Record> {
    let set = SetAttr {
        size: Some(1),
        mtime: Some(Time(2)),
        btime: Some(Time(3)),
        uid: Some(4),
        dos: Some(DosAttributes::HIDDEN),
        sparse: Some(true),
        ..SetAttr::default()
    };
    let (from, to) = (path("a/b"), path("c"));
    let device = Device { major: 8, minor: 1 };
    let named = |name, value| Change::SetNamed { path: path("x"), name, value, expect: None };
    let changes = vec![
        Change::MakeDir { path: path("d"), mode: 0o750, dos: DosAttributes::HIDDEN, maker: None },
        Change::MakeNode { path: path("p"), node: Special::Fifo, mode: 0o600, maker: None },
        Change::MakeNode { path: path("b"), node: Special::BlockDevice(device), mode: 0, maker: None },
        Change::Remove { path: path("d/é\n"), dir: true, expect: None },
        Change::Rename { from: from.clone(), to: to.clone(), replace: true, expect: None },
        Change::Link { from, to, replace: false, expect: None },
        Change::Symlink { path: path("l"), target: "../nowhere".into(), maker: None },
        Change::SetAttr { path: VPath::root(), set, expect: None },
        named(Named::extended("a"), Some(Bytes::from_static(b"\0value"))),
        named(Named::Descriptor, None),
        named(Named::system("system.posix_acl_access"), Some(Bytes::new())),
        named(Named::stream("s"), None),
    ];
    let mut records: Vec<Record> = changes.into_iter().map(Record::Change).collect();
    records.extend([
        Record::Create { path: path("f") },
        Record::Write { path: path("f"), offset: 1 << 50, data: Bytes::from_static(b"some bytes") },
        Record::Write { path: path("f"), offset: 0, data: Bytes::new() },
        Record::Zero { path: path("f"), offset: 1, length: 2 },
        Record::SetAttr { path: path("f"), set },
        Record::Cut { path: path("f"), stamp: Some(stamp()) },
        Record::Cut { path: path("f"), stamp: None },
        Record::Unknown { below: VPath::root() },
        Record::Restart,
    ]);
    records
}

fn entry(record: Option<Record>) -> Entry {
    let outcomes = [Outcome::Done(None), Outcome::Done(Some(stamp())), Outcome::Nothing, Outcome::Doubt];
    Entry { outcomes: (5..).zip(outcomes).collect(), open_from: 4, record, at: Time(99) }
}

fn whole(entry: &Entry) -> Bytes {
    let mut bytes = entry.head();
    if let Some(Record::Write { data, .. }) = &entry.record {
        bytes.extend(data);
    }
    bytes.into()
}

#[test]
fn what_is_written_is_read_back_and_nothing_shorter_is() {
    let entries = records().into_iter().map(|record| entry(Some(record)));
    for entry in entries.chain([entry(None), Entry::default()]) {
        let bytes = whole(&entry);
        assert_eq!(Entry::parse(bytes.clone()).as_ref(), Some(&entry));
        let fixed = bytes.len() - entry.record.as_ref().map_or(0, Record::data_len);
        for length in 0..fixed {
            assert_eq!(Entry::parse(bytes.slice(..length)), None, "{entry:?} cut at {length}");
        }
    }
}

#[test]
fn another_version_is_not_taken_for_ours() {
    let mut bytes = whole(&entry(None)).to_vec();
    bytes[0] = 2;
    assert_eq!(Entry::parse(bytes.into()), None);
}

//! Properties of the codec: what is written is read back; arbitrary bytes are refused or read, never a panic.

mod strategies;

use bytes::Bytes;
use peer_wire::{Answer, DirListing, Push, Request, WireError};
use proptest::prelude::*;
use std::time::Duration;
use strategies::{answer, ask, push, some_attr, some_entry};
use volume::{Attr, Entry, FileId, Priority, Time, VPath, Version};

fn request(ask: peer_wire::Ask) -> Request {
    Request { priority: Priority::Bulk, patience: Duration::from_millis(1500), ask }
}

proptest! {
    #[test]
    fn requests_come_back(ask in ask()) {
        let frame = request(ask.clone()).encode();
        prop_assert_eq!(Request::decode(&frame.head, frame.body), Ok(request(ask)));
    }

    #[test]
    fn answers_come_back(answer in answer()) {
        let frame = answer.clone().encode();
        prop_assert_eq!(Answer::decode(&frame.head, frame.body), Ok(answer));
    }

    #[test]
    fn pushes_come_back(push in push()) {
        let frame = push.encode();
        prop_assert_eq!(Push::decode(&frame.head, &frame.body), Ok(push));
    }

    #[test]
    fn no_bytes_make_it_panic(mut head in prop::collection::vec(any::<u8>(), 0..80),
                              body in prop::collection::vec(any::<u8>(), 0..200),
                              kind in 0u8..24) {
        read_all(&head, &body);
        // Past the first checks.
        head.splice(0..0, [peer_wire::VERSION, kind]);
        read_all(&head, &body);
    }

    #[test]
    fn a_flipped_byte_is_no_panic(answer in answer(), at in any::<prop::sample::Index>(), with in 1u8..) {
        let frame = answer.encode();
        let (mut head, mut body) = (frame.head.to_vec(), frame.body.to_vec());
        let at = at.index(head.len() + body.len());
        match head.len() {
            length if at < length => head[at] ^= with,
            length => body[at - length] ^= with,
        }
        read_all(&head, &body);
    }

    #[test]
    fn a_cut_message_is_refused(ask in ask(), at in any::<prop::sample::Index>()) {
        let frame = request(ask).encode();
        let cut = at.index(frame.head.len());
        prop_assert!(Request::decode(&frame.head[..cut], frame.body).is_err());
    }

    #[test]
    fn the_size_of_an_entry_is_never_underestimated_by_half(entry in some_entry()) {
        let one = listing_size(vec![entry.clone()]);
        let two = listing_size(vec![strategies::far_entry(), entry.clone()]) - listing_size(vec![strategies::far_entry()]);
        prop_assert!(one.max(two) <= 2 * peer_wire::entry_size_bytes(&entry) + 8);
    }

    #[test]
    fn attributes_come_back_whatever_stands_before(first in some_attr(), second in some_attr()) {
        let entry = |name: &str, attr: Attr| Entry { name: name.into(), attr };
        let listing = DirListing { entries: vec![entry("a", first), entry("b", second)], ..Default::default() };
        let frame = Answer::Listing(listing.clone()).encode();
        prop_assert_eq!(Answer::decode(&frame.head, frame.body), Ok(Answer::Listing(listing)));
    }
}

fn read_all(head: &[u8], body: &[u8]) {
    let copy = Bytes::copy_from_slice(body);
    let _ = Request::decode(head, copy.clone());
    let _ = Push::decode(head, body);
    if let Ok(Answer::Listing(listing)) = Answer::decode(head, copy) {
        let _ = listing.into_listing(&VPath::root());
    }
}

fn listing_size(entries: Vec<Entry>) -> usize {
    Answer::Listing(DirListing { entries, ..Default::default() }).encode().body.len()
}

/// What a file system's directory looks like: ids near to each other, times of their own, one owner.
#[test]
fn an_entry_of_a_common_directory_takes_at_most_60_bytes() {
    let hour = 3_600_000_000_000u64;
    let entries: Vec<Entry> = (0..1000u64)
        .map(|n| {
            let mtime = 1_700_000_000_123_456_789 + n * 7 * hour + n * n * 1_234_567;
            let ctime = mtime + (n % 3) * hour;
            let attr = Attr {
                id: FileId { hi: 0xfd00, lo: 4_000_000 + (n * 37) % 5000 },
                version: Version { hi: ctime, lo: n.wrapping_mul(0x9e37_79b9_7f4a_7c15) },
                size: n * 4321,
                allocated: (n * 4321).next_multiple_of(4096),
                mtime: Time(mtime),
                ctime: Time(ctime),
                atime: Time(mtime + 40 * hour),
                btime: Time(mtime - 2 * hour),
                mode: 0o640,
                uid: 1000,
                gid: 1000,
                links: 1,
                ..strategies::far_entry().attr
            };
            Entry { name: format!("report-{n:05}.docx").into(), attr }
        })
        .collect();
    let each = listing_size(entries) / 1000;
    assert!(each <= 60, "{each} bytes an entry");
}

#[test]
fn what_could_leave_the_root_is_refused() {
    for bad in ["/etc", "a/../..", "..", "a//b", "a/", "a\0b"] {
        // A good request of the same length, with the path overwritten in place.
        let good = VPath::parse(&"x".repeat(bad.len())).unwrap();
        let ask = peer_wire::Ask::Stat { volume: "v".into(), path: good.clone() };
        let mut head = request(ask).encode().head.to_vec();
        let at = head.len() - bad.len();
        head[at..].copy_from_slice(bad.as_bytes());
        let refused = Request::decode(&head, Bytes::new());
        assert!(matches!(refused, Err(WireError::Path(_))), "{bad:?}: {refused:?}");
    }
}

#[test]
fn another_version_and_another_kind_are_told_apart() {
    let head = request(peer_wire::Ask::VolumeInfo { volume: "v".into() }).encode().head;
    let with = |at: usize, value: u8| {
        let mut head = head.to_vec();
        head[at] = value;
        Request::decode(&head, Bytes::new())
    };
    assert_eq!(with(0, 9), Err(WireError::Version(9)));
    assert_eq!(with(1, 200), Err(WireError::UnknownKind(200)));
}

#[test]
fn a_refusal_is_read_in_any_version_and_nothing_else_is() {
    let failure = peer_wire::Failure::new(volume::ErrorKind::Unsupported, "request", "too old");
    let with = |answer: Answer, version: u8| {
        let mut head = answer.encode().head.to_vec();
        head[0] = version;
        Answer::decode(&head, Bytes::new())
    };
    for version in [1, peer_wire::VERSION, 9] {
        assert_eq!(with(Answer::Failed(failure.clone()), version), Ok(Answer::Failed(failure.clone())));
    }
    assert_eq!(with(Answer::Done, 1), Err(WireError::Version(1)));
}

#[test]
fn a_count_that_the_message_cannot_hold_is_refused_before_anything_is_allocated() {
    let empty = Answer::Listing(DirListing::default()).encode();
    // next: none, dir: none, then the count of entries.
    let body = [0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let read = Answer::decode(&empty.head, Bytes::copy_from_slice(&body));
    assert_eq!(read, Err(WireError::Truncated));
}

#[test]
fn paths_below_cannot_become_gigabytes() {
    // One entry, named as its own child over and over: the path grows by a few bytes each time.
    let dir = Attr { kind: volume::Kind::Dir, ..strategies::far_entry().attr };
    let entry = |name: String| Entry { name: name.into(), attr: dir };
    let long = "n".repeat(700);
    let mut below = vec![peer_wire::Below { parent: 0, entry: 0, entries: vec![entry(long.clone())] }];
    for parent in 1..40 {
        below.push(peer_wire::Below { parent, entry: 0, entries: vec![entry(long.clone())] });
    }
    for _ in 0..2000 {
        below.push(peer_wire::Below { parent: 40, entry: 0, entries: vec![] });
    }
    let listing = DirListing { entries: vec![entry(long)], below, ..Default::default() };
    let refused = listing.into_listing(&VPath::root());
    assert_eq!(refused, Err(WireError::Value("the length of all paths")));
}

#[test]
fn below_must_point_at_a_directory_that_came_before() {
    let below = |parent, entry| DirListing {
        entries: vec![Entry { name: "f".into(), ..strategies::far_entry() }],
        below: vec![peer_wire::Below { parent, entry, entries: vec![] }],
        ..Default::default()
    };
    for (parent, entry) in [(0, 0), (0, 1), (1, 0), (7, 0)] {
        assert!(below(parent, entry).into_listing(&VPath::root()).is_err(), "{parent} {entry}");
    }
}

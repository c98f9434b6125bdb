//! Holes, copies at the origin and reserved room.

use crate::ease::{cx, fails, get, p, put, stat};
use crate::rng::Rng;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use volume::{Access, Copying, Create, ErrorKind, File, Fresh, OpenHow, RANGES_MAX, Volume};

const MIB: u64 = 1 << 20;
/// What a volume may round holes to, bytes.
const GRAIN: u64 = 64 * 1024;

async fn open(volume: &dyn Volume, path: &str, access: Access) -> Arc<dyn File> {
    let how = OpenHow { access, create: Create::IfMissing, ..OpenHow::read_write() };
    volume.open(&cx(), &p(path), how).await.unwrap_or_else(|e| panic!("open {path}: {e}")).file
}

async fn make(volume: &dyn Volume, path: &str, content: &[u8]) -> Arc<dyn File> {
    put(volume, path, content).await;
    open(volume, path, Access::READ | Access::WRITE).await
}

async fn ranges(file: &dyn File, offset: u64, length: u64) -> Vec<Range<u64>> {
    let ranges = file.ranges(&cx(), offset, length).await.unwrap();
    assert!(ranges.len() <= RANGES_MAX);
    let mut last = None;
    for range in &ranges {
        let apart = last.is_none_or(|end| range.start > end);
        assert!(apart && !range.is_empty(), "out of order, joined or empty: {ranges:?}");
        assert!(range.start >= offset && range.end <= offset.saturating_add(length), "{ranges:?}");
        last = Some(range.end);
    }
    ranges
}

/// Whether all of `range` is data, and whether none of it is.
fn covered(ranges: &[Range<u64>], range: Range<u64>) -> (bool, bool) {
    let data: u64 = ranges
        .iter()
        .map(|other| other.end.min(range.end).saturating_sub(other.start.max(range.start)))
        .sum();
    (data == range.end - range.start, data == 0)
}

pub(super) async fn ranges_tell_where_data_is(volume: &dyn Volume) {
    let file = make(volume, "f", b"begin").await;
    if !volume.caps().holes {
        fails(file.ranges(&cx(), 0, MIB).await, ErrorKind::Unsupported);
        return;
    }
    assert_eq!(ranges(&*file, 0, MIB).await, [Range { start: 0, end: 5 }], "cut at the end of the file");
    assert_eq!(ranges(&*file, 1, 3).await, [Range { start: 1, end: 4 }], "and to what was asked");
    for (offset, length) in [(5, 10), (u64::MAX, 1), (0, 0), (MIB, u64::MAX)] {
        assert!(ranges(&*file, offset, length).await.is_empty(), "{offset} {length}");
    }
    assert_eq!(ranges(&*open(volume, "empty", Access::WRITE).await, 0, u64::MAX).await, []);
    if volume.caps().random_write {
        file.write_at(&cx(), 3 * MIB, Bytes::from_static(b"end")).await.unwrap();
        let all = ranges(&*file, 0, u64::MAX).await;
        assert!(covered(&all, 0..5).0 && covered(&all, 3 * MIB..3 * MIB + 3).0, "{all:?}");
        assert_eq!(all.last().map(|last| last.end), Some(3 * MIB + 3));
        assert!(covered(&all, MIB..2 * MIB).1, "a hole of megabytes: {all:?}");
        assert!(ranges(&*file, MIB, MIB).await.is_empty());
    }
}

pub(super) async fn zeroing_leaves_the_size(volume: &dyn Volume) {
    let mut content = Rng::new(3).bytes(3 * MIB as usize + 100);
    let size = content.len() as u64;
    let file = make(volume, "f", &content).await;
    if !(volume.caps().holes && volume.caps().random_write) {
        fails(file.zero(&cx(), 0, 1).await, ErrorKind::Unsupported);
        return;
    }
    let before = file.attr(&cx(), Fresh::Now).await.unwrap();
    for (offset, length) in [(MIB, MIB), (10, 100), (2 * MIB + 5, 70_000), (3 * MIB, 1 << 40), (5, 0)] {
        file.zero(&cx(), offset, length).await.unwrap();
        let end = offset.saturating_add(length).min(size);
        content[offset as usize..end as usize].fill(0);
        assert!(get(volume, "f").await == content, "zeros at {offset}, {length} bytes");
        assert_eq!(stat(volume, "f").await.size, size);
    }
    assert_ne!(file.attr(&cx(), Fresh::Now).await.unwrap().version, before.version);
    let all = ranges(&*file, 0, u64::MAX).await;
    assert!(covered(&all, MIB + GRAIN..2 * MIB - GRAIN).1, "its room is given back: {all:?}");
    assert!(covered(&all, 100_000..900_000).0, "{all:?}");
    file.zero(&cx(), size, 100).await.unwrap();
    file.zero(&cx(), u64::MAX - 5, u64::MAX).await.unwrap();
    assert_eq!(file.attr(&cx(), Fresh::Now).await.unwrap().size, size, "never beyond the end");
    file.write_at(&cx(), MIB, Bytes::from_static(b"again")).await.unwrap();
    assert_eq!(file.read_at(&cx(), MIB - 1, 7).await.unwrap()[1..6], *b"again");
    let reader = open(volume, "f", Access::READ).await;
    fails(reader.zero(&cx(), 0, 1).await, ErrorKind::PermissionDenied);
}

/// Copies all of it, call by call.
async fn copy(target: &dyn File, at: u64, source: &Arc<dyn File>, from: u64, length: u64) -> u64 {
    let mut done = 0;
    while done < length {
        let (to, from) = (at + done, from + done);
        let copied = target.copy_from(&cx(), to, source, from, length - done, Copying::Any).await.unwrap();
        assert!(copied <= length - done);
        if copied == 0 {
            break;
        }
        done += copied;
    }
    done
}

pub(super) async fn copies_at_the_origin(volume: &dyn Volume) {
    let content = Rng::new(4).bytes(MIB as usize + 12_345);
    let size = content.len() as u64;
    let source = make(volume, "source", &content).await;
    let target = make(volume, "target", b"0123456789").await;
    if !(volume.caps().copies && volume.caps().random_write) {
        let copied = target.copy_from(&cx(), 0, &source, 0, 5, Copying::Any).await;
        fails(copied, ErrorKind::Unsupported);
        return;
    }
    assert_eq!(copy(&*target, 2, &source, 7, 3).await, 3, "in the middle");
    assert_eq!(get(volume, "target").await, [b"01", &content[7..10], b"56789"].concat());
    assert_eq!(copy(&*target, 100, &source, 0, u64::MAX).await, size, "to the end of the source");
    let mut wanted = [b"01", &content[7..10], b"56789", &[0; 90][..]].concat();
    wanted.extend_from_slice(&content);
    assert!(get(volume, "target").await == wanted, "a gap before it reads as zeros");
    assert_eq!(stat(volume, "target").await.size, wanted.len() as u64);
    for (from, length) in [(size, 10), (u64::MAX, 1), (0, 0)] {
        assert_eq!(copy(&*target, 0, &source, from, length).await, 0, "{from} {length}");
    }
    let reader = open(volume, "source", Access::READ).await;
    assert_eq!(copy(&*target, 0, &reader, size - 4, 100).await, 4, "from an open for reading");
    assert_eq!(copy(&*target, 4, &target.clone(), 100, 6).await, 6, "within one file");
    wanted[..4].copy_from_slice(&content[content.len() - 4..]);
    wanted[4..10].copy_from_slice(&content[..6]);
    assert!(get(volume, "target").await == wanted);
    assert!(get(volume, "source").await == content, "the source stays");
}

pub(super) async fn copies_that_cannot_be(volume: &dyn Volume) {
    if !(volume.caps().copies && volume.caps().random_write) {
        return;
    }
    let source = make(volume, "source", b"0123456789").await;
    let target = make(volume, "target", b"abc").await;
    let blind = open(volume, "source", Access::WRITE).await;
    let reader = open(volume, "target", Access::READ).await;
    let copied = target.copy_from(&cx(), 0, &blind, 0, 5, Copying::Any).await;
    fails(copied, ErrorKind::PermissionDenied);
    let copied = reader.copy_from(&cx(), 0, &source, 0, 5, Copying::Any).await;
    fails(copied, ErrorKind::PermissionDenied);
    let copied = source.copy_from(&cx(), 2, &source, 0, 5, Copying::Any).await;
    fails(copied, ErrorKind::InvalidArgument);
    let foreign = crate::MemVolume::new();
    let foreign = make(&*foreign, "f", b"0123456789").await;
    for how in [Copying::Any, Copying::Clone] {
        fails(target.copy_from(&cx(), 0, &foreign, 0, 5, how).await, ErrorKind::Unsupported);
    }
    assert_eq!(
        (get(volume, "source").await, get(volume, "target").await),
        (b"0123456789".into(), b"abc".into())
    );
}

pub(super) async fn clones_share_whole_blocks(volume: &dyn Volume) {
    let mut content = Rng::new(5).bytes(2 * MIB as usize + 777);
    let size = content.len() as u64;
    let source = make(volume, "source", &content).await;
    let target = make(volume, "target", b"").await;
    let cloned = target.copy_from(&cx(), 0, &source, 0, u64::MAX, Copying::Clone).await;
    if !(volume.caps().clones && volume.caps().random_write) {
        fails(cloned, ErrorKind::Unsupported);
        assert_eq!(stat(volume, "target").await.size, 0);
        return;
    }
    assert_eq!(cloned.unwrap(), size, "all of it at once");
    assert!(get(volume, "target").await == content);
    target.write_at(&cx(), 5, Bytes::from_static(b"apart")).await.unwrap();
    assert!(get(volume, "source").await == content, "the files are two");
    let cloned = target.copy_from(&cx(), 0, &source, MIB, MIB, Copying::Clone).await.unwrap();
    assert_eq!(cloned, MIB);
    let (first, second) = content.split_at_mut(MIB as usize);
    first.copy_from_slice(&second[..MIB as usize]);
    assert!(get(volume, "target").await == content);
    match target.copy_from(&cx(), 1, &source, 0, 10, Copying::Clone).await {
        Ok(copied) => assert_eq!(copied, 10),
        refused => {
            fails(refused, ErrorKind::InvalidArgument);
            assert!(get(volume, "target").await == content, "nothing of it");
        }
    }
}

pub(super) async fn room_is_reserved(volume: &dyn Volume) {
    let file = make(volume, "f", b"content").await;
    if !volume.caps().holes {
        fails(file.allocate(&cx(), MIB).await, ErrorKind::Unsupported);
        return;
    }
    let attr = file.allocate(&cx(), MIB).await.unwrap();
    assert_eq!((attr.id, attr.size), (file.id(), 7), "no part of the size");
    assert!(attr.allocated >= MIB, "{} bytes reserved", attr.allocated);
    assert_eq!(file.attr(&cx(), Fresh::Now).await.unwrap().allocated, attr.allocated);
    assert_eq!(file.allocate(&cx(), 3).await.unwrap().size, 7, "nothing to reserve");
    assert_eq!(file.allocate(&cx(), 0).await.unwrap().size, 7);
    assert_eq!(get(volume, "f").await, b"content");
    let reader = open(volume, "f", Access::READ).await;
    fails(reader.allocate(&cx(), MIB).await, ErrorKind::PermissionDenied);
}

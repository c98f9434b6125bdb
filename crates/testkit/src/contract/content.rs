//! Reading, writing, sizes, attributes by handle.

use crate::ease::{cx, fails, fails_with, get, p, put, read_all, stat};
use crate::rng::Rng;
use bytes::Bytes;
use std::sync::Arc;
use volume::{
    Close, Create, DosAttributes, ErrorKind, File, Fresh, OpenHow, SetAttr, SyncKind, Time, Volume,
};

async fn make(volume: &dyn Volume, path: &str) -> Arc<dyn File> {
    let opened = volume.open(&cx(), &p(path), OpenHow::create(Create::New)).await;
    opened.unwrap_or_else(|e| panic!("make {path}: {e}")).file
}

async fn write(file: &dyn File, offset: u64, data: impl AsRef<[u8]>) {
    file.write_at(&cx(), offset, Bytes::copy_from_slice(data.as_ref())).await.unwrap();
}

async fn read(file: &dyn File, offset: u64, length: u32) -> Bytes {
    file.read_at(&cx(), offset, length).await.unwrap()
}

pub(super) async fn read_write_and_past_the_end(volume: &dyn Volume) {
    let file = make(volume, "f").await;
    assert_eq!(read(&*file, 0, 10).await, "", "an empty file");
    write(&*file, 0, "hello world").await;
    assert_eq!(read(&*file, 0, 5).await, "hello");
    assert_eq!(read(&*file, 6, 100).await, "world", "short at the end");
    assert_eq!(read(&*file, 11, 1).await, "", "at the end");
    assert_eq!(read(&*file, 1 << 40, 1).await, "", "far behind the end");
    assert_eq!(read(&*file, 3, 0).await, "", "nothing asked");
    write(&*file, 11, "!").await;
    write(&*file, 12, "").await;
    assert_eq!(file.attr(&cx(), Fresh::Now).await.unwrap().size, 12);
    assert_eq!(stat(volume, "f").await.size, 12);
    if volume.caps().random_write {
        write(&*file, 6, "there").await;
        assert_eq!(get(volume, "f").await, b"hello there!");
        write(&*file, 100, "").await;
        assert_eq!(stat(volume, "f").await.size, 12, "an empty write extends nothing");
    }
}

pub(super) async fn pages_are_what_is_read(volume: &dyn Volume) {
    let file = make(volume, "f").await;
    let content: Vec<u8> = (0..300_000).map(|at| (at / 3 + at / 4096) as u8).collect();
    write(&*file, 0, &content).await;
    for (offset, length) in
        [(0, 0), (0, 1), (0, 65_536), (4095, 131_073), (299_990, 100), (300_000, 1), (1 << 40, 9)]
    {
        if let Some(pages) = file.pages(&cx(), offset, length).await.unwrap() {
            let expected = read(&*file, offset, length).await;
            assert_eq!(pages.len(), expected.len(), "{length} from {offset}");
            assert!(pages.into_bytes().unwrap() == expected, "{length} from {offset}");
        }
    }
    if !volume.caps().random_write {
        return;
    }
    // What is written behind a read that has been answered may be in its pages; what was written before it is.
    write(&*file, 10, "new").await;
    if let Some(pages) = file.pages(&cx(), 9, 5).await.unwrap() {
        assert_eq!(pages.into_bytes().unwrap()[1..4], *b"new");
    }
}

pub(super) async fn truncate_and_extend(volume: &dyn Volume) {
    let file = make(volume, "f").await;
    write(&*file, 0, "0123456789").await;
    if !volume.caps().random_write {
        fails(file.set_attr(&cx(), &SetAttr::size(4)).await, ErrorKind::Unsupported);
        return;
    }
    assert_eq!(file.set_attr(&cx(), &SetAttr::size(4)).await.unwrap().size, 4);
    assert_eq!(get(volume, "f").await, b"0123");
    assert_eq!(file.set_attr(&cx(), &SetAttr::size(8)).await.unwrap().size, 8);
    assert_eq!(get(volume, "f").await, b"0123\0\0\0\0", "what was cut off does not come back");
    assert_eq!(file.set_attr(&cx(), &SetAttr::size(0)).await.unwrap().size, 0);
    assert!(get(volume, "f").await.is_empty());
}

pub(super) async fn sparse_writes(volume: &dyn Volume) {
    if !volume.caps().random_write {
        return;
    }
    let file = make(volume, "f").await;
    write(&*file, 3 << 20, "end").await;
    write(&*file, 1 << 20, "middle").await;
    assert_eq!(stat(volume, "f").await.size, (3 << 20) + 3);
    assert_eq!(read(&*file, (1 << 20) - 2, 10).await, &b"\0\0middle\0\0"[..]);
    let content = get(volume, "f").await;
    assert_eq!(content.iter().filter(|&&byte| byte != 0).count(), 9, "holes read as zeros");
    assert_eq!(&content[3 << 20..], b"end");
}

pub(super) async fn large_writes(volume: &dyn Volume) {
    let file = make(volume, "f").await;
    let io_size = volume.caps().io_size.min(8 << 20) as usize;
    assert!(io_size > 0, "a request carries at least a byte");
    let content = Rng::new(1).bytes(io_size + 12_345);
    write(&*file, 0, &content).await;
    let whole = read(&*file, 0, content.len() as u32 + 1).await;
    assert!(whole == content, "one read of {} bytes, longer than one request", content.len());
    assert!(read_all(&*file).await == content);
    let mut part = Vec::new();
    while part.len() < content.len() {
        part.extend_from_slice(&read(&*file, part.len() as u64, 65_537).await);
    }
    assert!(part == content, "in odd pieces");
}

pub(super) async fn versions_follow_content(volume: &dyn Volume) {
    let first = put(volume, "f", "one").await;
    let looked = stat(volume, "f").await;
    assert_eq!(stat(volume, "f").await.version, looked.version, "nothing changed");
    let second = put(volume, "f", "two").await;
    assert_ne!(looked.version, stat(volume, "f").await.version, "same size, other bytes");
    assert_ne!(first.version, second.version);
    let file = volume.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
    write(&*file, 3, "!").await;
    assert_ne!(second.version, file.attr(&cx(), Fresh::Now).await.unwrap().version);
}

pub(super) async fn bad_offsets(volume: &dyn Volume) {
    let file = make(volume, "f").await;
    let too_far = match volume.caps().random_write {
        true => &[ErrorKind::FileTooLarge, ErrorKind::InvalidArgument][..],
        false => &[ErrorKind::FileTooLarge, ErrorKind::InvalidArgument, ErrorKind::Unsupported],
    };
    fails_with(file.write_at(&cx(), u64::MAX, Bytes::from_static(b"x")).await, too_far);
    fails_with(file.write_at(&cx(), u64::MAX - 1, Bytes::from_static(b"xyz")).await, too_far);
    fails_with(file.set_attr(&cx(), &SetAttr::size(u64::MAX)).await, too_far);
    assert_eq!(read(&*file, u64::MAX, 10).await, "");
    assert_eq!(file.attr(&cx(), Fresh::Now).await.unwrap().size, 0);
}

pub(super) async fn set_attr_by_handle(volume: &dyn Volume) {
    let file = make(volume, "f").await;
    let (mtime, atime) = (Time::from_parts(1_000_000_000, 123_456_700), Time::from_parts(1_500_000_000, 0));
    let set = SetAttr { mtime: Some(mtime), atime: Some(atime), ..SetAttr::default() };
    if volume.caps().set_times {
        let attr = file.set_attr(&cx(), &set).await.unwrap();
        assert_eq!((attr.mtime, attr.atime), (mtime, atime));
        assert_eq!(stat(volume, "f").await.mtime, mtime);
        assert_eq!(file.attr(&cx(), Fresh::Now).await.unwrap().mtime, mtime);
    } else {
        fails(file.set_attr(&cx(), &set).await, ErrorKind::Unsupported);
    }
    let set = SetAttr { dos: Some(DosAttributes::HIDDEN | DosAttributes::SYSTEM), ..SetAttr::default() };
    if volume.caps().dos_attributes {
        assert_eq!(Some(file.set_attr(&cx(), &set).await.unwrap().dos), set.dos);
        assert_eq!(Some(stat(volume, "f").await.dos), set.dos);
    } else {
        fails(file.set_attr(&cx(), &set).await, ErrorKind::Unsupported);
    }
    let unchanged = file.set_attr(&cx(), &SetAttr::default()).await.unwrap();
    assert_eq!((unchanged.id, unchanged.size), (file.id(), 0));
}

pub(super) async fn parallel_handles(volume: &dyn Volume) {
    if !volume.caps().random_write {
        return;
    }
    const BLOCK: usize = 10_000;
    drop(make(volume, "f").await);
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..16_u8 {
        let file = volume.open(&cx(), &p("f"), OpenHow::read_write()).await.unwrap().file;
        writers.spawn(async move {
            let block = Bytes::from(vec![number; BLOCK]);
            file.write_at(&cx(), u64::from(number) * BLOCK as u64, block).await.unwrap();
            file.close(&cx(), Close::Commit).await.unwrap();
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let content = get(volume, "f").await;
    assert_eq!(content.len(), 16 * BLOCK);
    for (number, block) in content.chunks(BLOCK).enumerate() {
        assert!(block.iter().all(|&byte| usize::from(byte) == number), "block {number}");
    }
}

pub(super) async fn sync_and_close(volume: &dyn Volume) {
    let file = make(volume, "f").await;
    write(&*file, 0, "safe").await;
    file.sync(&cx(), SyncKind::Data).await.unwrap();
    file.sync(&cx(), SyncKind::Full).await.unwrap();
    let attr = file.close(&cx(), Close::Commit).await.unwrap();
    assert_eq!((attr.id, attr.size), (file.id(), 4));
    drop(file);
    assert_eq!(get(volume, "f").await, b"safe");
    assert_eq!(stat(volume, "f").await.version, attr.version, "closing was the last change");
}

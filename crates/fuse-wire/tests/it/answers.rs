//! Answers and notifications as the kernel wants them: the bytes are those of the C structures of `fuse.h`
//! 7.45 on x86-64, each field with another value.

use crate::{hex, unhex};
use fuse_wire::{
    Attributes, Device, DirentKind, Dirents, Entry, FileLock, InitFlags, LockKind, Time,
    answer::{self, Opened, Statfs},
    backing::{self, BackingMap},
    flags::{AttributeFlags, OpenAnswerFlags},
    init::InitAnswer,
    notify::{self, Stale},
    statx::{Statx, StatxMask},
};
use std::time::Duration;

const UNIQUE: u64 = 0x0102_0304_0506_0708;
const ENOENT: i32 = 2;

fn attributes() -> Attributes {
    Attributes {
        ino: 1,
        size: 2,
        blocks: 3,
        atime: Time { seconds: 4, nanoseconds: 7 },
        mtime: Time { seconds: -5, nanoseconds: 8 },
        ctime: Time { seconds: 6, nanoseconds: 9 },
        mode: 0o100644,
        nlink: 10,
        uid: 11,
        gid: 12,
        rdev: Device::from_wire(0x1234_5678),
        block_size: 4096,
        flags: AttributeFlags::SUBMOUNT,
    }
}

fn entry() -> Entry {
    Entry {
        nodeid: 13,
        generation: 14,
        name_valid: Duration::new(15, 17),
        attributes_valid: Duration::new(16, 18),
        attributes: attributes(),
    }
}

fn opened() -> Opened {
    let flags = OpenAnswerFlags::KEEP_CACHE | OpenAnswerFlags::PASSTHROUGH;
    Opened { fh: 19, flags, backing_id: -1 }
}

fn check(bytes: &[u8], expect: &str) {
    assert_eq!(hex(bytes), expect);
}

#[test]
fn heads() {
    check(&answer::error(UNIQUE, ENOENT), "10000000feffffff0807060504030201");
    check(&answer::head(UNIQUE, 8), "18000000000000000807060504030201");
}

#[test]
fn entries_and_attributes() {
    let entry_out = "0d000000000000000e000000000000000f00000000000000100000000000000011000000120000000100000000000000\
         020000000000000003000000000000000400000000000000fbffffffffffffff06000000000000000700000008000000\
         09000000a48100000a0000000b0000000c000000785634120010000001000000";
    let open_out = "130000000000000082000000ffffffff";
    check(&entry().encode(), entry_out);
    check(&opened().encode(), open_out);
    check(&answer::created(&entry(), &opened()), &format!("{entry_out}{open_out}"));
    let attr_out = "0f0000000000000011000000000000000100000000000000020000000000000003000000000000000400000000000000\
         fbffffffffffffff0600000000000000070000000800000009000000a48100000a0000000b0000000c00000078563412\
         0010000001000000";
    check(&attributes().answer(Duration::new(15, 17)), attr_out);
    let absent = Entry::absent(Duration::new(15, 17)).encode();
    assert!(absent[..16].iter().chain(&absent[40..]).all(|byte| *byte == 0));
    assert_eq!(absent[16], 15);
}

#[test]
fn small_ones() {
    check(&answer::written(4096), "0010000000000000");
    check(&answer::copied(0x1_0000_0001), "0100000001000000");
    check(&answer::xattr_size(7), "0700000000000000");
    check(&answer::position(8192), "0020000000000000");
    let lock = FileLock { start: 3, end: 4, kind: LockKind::Unlock, pid: 5 };
    check(&lock.encode(), "030000000000000004000000000000000200000005000000");
}

#[test]
fn statfs() {
    let statfs = Statfs {
        blocks: 1,
        blocks_free: 2,
        blocks_available: 3,
        files: 4,
        files_free: 5,
        block_size: 6,
        name_max: 7,
        fragment_size: 8,
    };
    check(
        &statfs.encode(),
        "010000000000000002000000000000000300000000000000040000000000000005000000000000000600000007000000\
         0800000000000000000000000000000000000000000000000000000000000000",
    );
}

#[test]
fn init() {
    let init = InitAnswer {
        minor: 41,
        max_readahead: 131_072,
        flags: InitFlags::ASYNC_READ | InitFlags::MAX_PAGES | InitFlags::PASSTHROUGH,
        max_background: 12,
        congestion_threshold: 9,
        max_write: 1 << 20,
        time_granularity: 1,
        max_pages: 256,
        max_stack_depth: 1,
        request_timeout: 30,
        ..InitAnswer::default()
    };
    let with_ext = "070000002900000000000200010040400c00090000001000010000000001000020000000010000001e00000000000000\
         00000000000000000000000000000000";
    check(&init.encode(), with_ext);
    let old = InitAnswer { flags: InitFlags::ASYNC_READ, ..init };
    assert_eq!(old.encode()[12..16], [1, 0, 0, 0]);
}

#[test]
fn statx() {
    let time = |seconds, nanoseconds| Time { seconds, nanoseconds };
    let statx = Statx {
        mask: StatxMask::BASIC_STATS | StatxMask::BTIME,
        block_size: 4096,
        attributes: 0x10,
        nlink: 3,
        uid: 4,
        gid: 5,
        mode: 0o100644,
        ino: 6,
        size: 7,
        blocks: 8,
        attributes_mask: 0x30,
        atime: time(9, 10),
        btime: time(-11, 12),
        ctime: time(13, 14),
        mtime: time(15, 16),
        rdev: Device::new(17, 18).unwrap(),
        dev: Device::new(19, 300).unwrap(),
    };
    let bytes = statx.answer(Duration::new(1, 2));
    let expect = "0100000000000000020000000000000000000000000000000000000000000000ff0f0000001000001000000000000000\
         030000000400000005000000a48100000600000000000000070000000000000008000000000000003000000000000000\
         09000000000000000a00000000000000f5ffffffffffffff0c000000000000000d000000000000000e00000000000000\
         0f0000000000000010000000000000001100000012000000130000002c01000000000000000000000000000000000000\
         000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
         000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000";
    check(&bytes, expect);
}

#[test]
fn pages_of_a_directory() {
    let dirent = "0100000000000000020000000000000003000000080000006162630000000000";
    let direntplus = "0d000000000000000e000000000000000f00000000000000100000000000000011000000120000000100000000000000\
         020000000000000003000000000000000400000000000000fbffffffffffffff06000000000000000700000008000000\
         09000000a48100000a0000000b0000000c00000078563412001000000100000001000000000000000200000000000000\
         08000000040000006162636465666768";
    let mut page = Dirents::new(2 * 32);
    assert!(page.is_empty());
    assert!(page.push(1, 2, DirentKind::REGULAR, b"abc"));
    assert!(!page.push(1, 2, DirentKind::REGULAR, b"abcdefghi"));
    assert!(page.push(1, 2, DirentKind::REGULAR, b"abc"));
    assert!(!page.push(1, 2, DirentKind::REGULAR, b"a") && !page.is_empty());
    check(&page.finish(), &dirent.repeat(2));

    let len = unhex(direntplus).len();
    let mut page = Dirents::new(len + 7);
    assert!(page.push_plus(&entry(), 2, DirentKind::DIRECTORY, b"abcdefgh"));
    check(&page.finish(), direntplus);
    let mut page = Dirents::new(len - 1);
    assert!(!page.push_plus(&entry(), 2, DirentKind::DIRECTORY, b"abcdefgh"));
    check(&page.finish(), "");
}

#[test]
fn kinds_by_mode() {
    for (mode, kind) in [
        (0o010644, DirentKind::FIFO),
        (0o020644, DirentKind::CHARACTER),
        (0o040755, DirentKind::DIRECTORY),
        (0o060644, DirentKind::BLOCK),
        (0o104755, DirentKind::REGULAR),
        (0o120777, DirentKind::SYMLINK),
        (0o140777, DirentKind::SOCKET),
        (0o000644, DirentKind::UNKNOWN),
    ] {
        assert_eq!(DirentKind::from_mode(mode), kind, "{mode:o}");
    }
}

#[test]
fn notifications() {
    let inval_inode = "28000000020000000000000000000000070000000000000000100000000000000020000000000000";
    check(&notify::inval_inode(7, Stale::Range { offset: 4096, length: 8192 }), inval_inode);
    let inval_attributes = "280000000200000000000000000000000700000000000000ffffffffffffffff0000000000000000";
    check(&notify::inval_inode(7, Stale::Attributes), inval_attributes);
    let endless = notify::inval_inode(7, Stale::Range { offset: 4096, length: i64::MAX as u64 });
    assert_eq!(hex(&endless[32..]), "0000000000000000");
    assert_eq!(notify::inval_inode(7, Stale::ALL)[24..], [0; 16]);
    check(
        &notify::inval_entry(7, b"abc", true),
        "240000000300000000000000000000000700000000000000030000000100000061626300",
    );
    assert_eq!(notify::inval_entry(7, b"abc", false)[28..32], [0; 4]);
    check(
        &notify::delete(7, 8, b"abc"),
        "2c00000006000000000000000000000007000000000000000800000000000000030000000000000061626300",
    );
}

#[test]
fn ioctls_of_the_device() {
    check(&BackingMap { fd: 5 }.encode(), "05000000000000000000000000000000");
    assert_eq!(backing::DEV_IOC_CLONE, ioctl_number(2, 4, 0));
    assert_eq!(backing::DEV_IOC_BACKING_OPEN, ioctl_number(1, 16, 1));
    assert_eq!(backing::DEV_IOC_BACKING_CLOSE, ioctl_number(1, 4, 2));
}

/// `_IOC(direction, 229, number, size)`.
fn ioctl_number(direction: u32, size: u32, number: u32) -> u32 {
    (direction << 30) | (size << 16) | (229 << 8) | number
}

/// The packing of `new_encode_dev`, by hand.
#[test]
fn device_numbers() {
    for (major, minor, wire) in [
        (0, 0, 0),
        (1, 3, 0x0000_0103),
        (8, 255, 0x0000_08ff),
        (8, 256, 0x0010_0800),
        (0xfff, 0xf_ffff, 0xffff_ffff),
        (0x456, 0x1_2378, 0x1234_5678),
    ] {
        let device = Device::new(major, minor).unwrap();
        assert_eq!(device.to_wire(), wire, "{major}:{minor}");
        let device = Device::from_wire(wire);
        assert_eq!((device.major(), device.minor()), (major, minor), "{wire:#x}");
    }
    assert_eq!(Device::new(0x1000, 0), None);
    assert_eq!(Device::new(0, 0x10_0000), None);
}

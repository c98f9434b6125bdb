//! Requests as the kernel lays them out: the bytes are those of the C structures of `fuse.h` 7.45 on x86-64, each
//! field with another value.

use crate::{message::framed, unhex};
use bytes::Bytes;
use fuse_wire::{
    Device, Extensions, FileLock, Header, InitFlags, LockKind, Opcode, Operation, Request, Time,
    flags::{
        IoctlFlags, LockFlags, OpenRequestFlags, PollFlags, ReleaseFlags, RenameFlags, SetattrFlags,
        SetxattrExtFlags, SetxattrFlags, WriteFlags,
    },
    init::InitRequest,
    lock::LockRequest,
    request::{
        CopyFileRange, Creation, Fallocate, Forget, Ioctl, Lseek, Mkdir, Mknod, Open, Poll, Read, Release,
        Rename, SetTime, Setattr, Setxattr, Write,
    },
    statx::{StatxMask, StatxRequest},
};

fn check(opcode: Opcode, body: &str, expect: Operation) {
    check_agreed(InitFlags::empty(), opcode, body, expect);
}

fn check_agreed(agreed: InitFlags, opcode: Opcode, body: &str, expect: Operation) {
    let body = unhex(body);
    let whole = framed(opcode, &body, &[]);
    assert_eq!(Request::decode(&whole, agreed).unwrap().operation, expect, "{opcode:?}");
    let fits = |len: usize| Request::decode(&framed(opcode, &body[..len], &[]), agreed).is_ok();
    let is_grown = opcode == Opcode::TMPFILE || opcode == Opcode::IOCTL || opcode == Opcode::INIT;
    assert!(is_grown || (0..body.len()).all(|len| !fits(len)), "{opcode:?} cut short");
    let mut longer = body.clone();
    longer.extend_from_slice(&[0; 8]);
    assert_eq!(
        Request::decode(&framed(opcode, &longer, &[]), agreed).unwrap().operation,
        expect,
        "{opcode:?}"
    );
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn header_and_extensions() {
    let extensions =
        unhex("100000000100000073656c696e757800180000002000000003000000640000006500000066000000");
    let mut message =
        unhex("400000000300000008070605040302011817161514131211e8030000e90300009210000003000000");
    message.extend(unhex("01000000000000000900000000000000"));
    // The header counts the second of them alone.
    message.extend(&extensions[16..]);
    message[0] = message.len() as u8;
    let header = Header {
        opcode: Opcode::GETATTR,
        unique: 0x0102_0304_0506_0708,
        nodeid: 0x1112_1314_1516_1718,
        uid: 1000,
        gid: 1001,
        pid: 4242,
    };
    let expect = Request {
        header,
        extensions: Extensions { groups: vec![100, 101, 102] },
        operation: Operation::Getattr { fh: Some(9) },
    };
    assert_eq!(Request::decode(&message.clone().into(), InitFlags::empty()), Ok(expect));
    assert_eq!(Header::decode(&message[..40]), Ok(header));
    assert!(!header.is_resent());

    let both = framed(Opcode::UNLINK, b"name\0", &extensions);
    let request = Request::decode(&both, InitFlags::empty()).unwrap();
    assert_eq!(request.extensions.groups, [100, 101, 102]);
    assert_eq!(request.operation, Operation::Unlink { name: bytes("name") });
}

#[test]
fn names() {
    check(Opcode::LOOKUP, "6100", Operation::Lookup { name: bytes("a") });
    let any = Operation::Lookup { name: Bytes::from_static(b"\xff\xfe\n") };
    check(Opcode::LOOKUP, "fffe0a00", any);
    check(Opcode::UNLINK, "6100", Operation::Unlink { name: bytes("a") });
    check(Opcode::RMDIR, "6100", Operation::Rmdir { name: bytes("a") });
    let (name, target) = (bytes("a"), bytes("/b"));
    check(Opcode::SYMLINK, "61002f6200", Operation::Symlink { name, target });
    let rdev = Device::from_wire(0x1234_5678);
    let mknod = Mknod { name: bytes("null"), mode: 0o20666, rdev, umask: 0o22 };
    check(Opcode::MKNOD, "b62100007856341212000000000000006e756c6c00", Operation::Mknod(mknod));
    let mkdir = Mkdir { name: bytes("d"), mode: 0o755, umask: 0o22 };
    check(Opcode::MKDIR, "ed010000120000006400", Operation::Mkdir(mkdir));
    let flags = RenameFlags::empty();
    let rename = Rename { name: bytes("old"), new_parent: 12, new_name: bytes("new"), flags };
    check(Opcode::RENAME, "0c000000000000006f6c64006e657700", Operation::Rename(rename.clone()));
    let rename2 = Rename { flags: RenameFlags::NOREPLACE, ..rename };
    check(Opcode::RENAME2, "0c0000000000000001000000000000006f6c64006e657700", Operation::Rename(rename2));
    let link = Operation::Link { nodeid: 13, name: bytes("more") };
    check(Opcode::LINK, "0d000000000000006d6f726500", link);
    let open_flags = OpenRequestFlags::KILL_SUIDGID;
    let creation = Creation { flags: 0o101102, mode: 0o100600, umask: 0o77, open_flags };
    let create = Operation::Create { name: bytes("f"), creation };
    check(Opcode::CREATE, "42820000808100003f000000010000006600", create);
    check(Opcode::TMPFILE, "42820000808100003f000000010000002f00", Operation::Tmpfile(creation));
}

#[test]
fn forgetting() {
    check(Opcode::FORGET, "0500000000000000", Operation::Forget { lookups: 5 });
    let forgotten = vec![Forget { nodeid: 7, lookups: 1 }, Forget { nodeid: 8, lookups: 2 }];
    check(
        Opcode::BATCH_FORGET,
        "02000000000000000700000000000000010000000000000008000000000000000200000000000000",
        Operation::BatchForget(forgotten),
    );
}

#[test]
fn attributes() {
    check(Opcode::GETATTR, "01000000000000000900000000000000", Operation::Getattr { fh: Some(9) });
    check(Opcode::GETATTR, "00000000000000000900000000000000", Operation::Getattr { fh: None });
    let all = Setattr {
        valid: SetattrFlags::from_bits_retain(0x67f),
        fh: Some(1),
        size: Some(2),
        lock_owner: Some(3),
        atime: Some(SetTime::To(Time { seconds: 4, nanoseconds: 7 })),
        mtime: Some(SetTime::To(Time { seconds: -5, nanoseconds: 8 })),
        ctime: Some(Time { seconds: 6, nanoseconds: 9 }),
        mode: Some(0o100644),
        uid: Some(10),
        gid: Some(11),
    };
    let body = "7f060000000000000100000000000000020000000000000003000000000000000400000000000000fbffffffffffffff\
         0600000000000000070000000800000009000000a4810000000000000a0000000b00000000000000";
    check(Opcode::SETATTR, body, Operation::Setattr(all));
    let none = Setattr { valid: SetattrFlags::KILL_SUIDGID, ..Setattr::default() };
    check(Opcode::SETATTR, &format!("0008{}", &body[4..]), Operation::Setattr(none));
    let (atime, mtime) = (Some(SetTime::Now), Some(SetTime::Now));
    let valid = SetattrFlags::from_bits_retain(0x1b0);
    let now = Setattr { valid, atime, mtime, ..Setattr::default() };
    check(Opcode::SETATTR, &format!("b001{}", &body[4..]), Operation::Setattr(now));
    let statx = StatxRequest { fh: Some(2), flags: 3, mask: StatxMask::BASIC_STATS | StatxMask::BTIME };
    check(Opcode::STATX, "0100000000000000020000000000000003000000ff0f0000", Operation::Statx(statx));
    check(Opcode::ACCESS, "0600000000000000", Operation::Access { mask: 6 });
}

#[test]
fn extended_attributes() {
    let none = InitFlags::empty();
    let setxattr = Setxattr {
        name: bytes("user.a/b"),
        value: bytes("xyz"),
        flags: SetxattrFlags::CREATE,
        ext_flags: SetxattrExtFlags::empty(),
    };
    let body = "0300000001000000757365722e612f620078797a";
    check_agreed(none, Opcode::SETXATTR, body, Operation::Setxattr(setxattr.clone()));
    let setxattr = Setxattr { ext_flags: SetxattrExtFlags::ACL_KILL_SGID, ..setxattr };
    let body = "03000000010000000100000000000000757365722e612f620078797a";
    check_agreed(InitFlags::SETXATTR_EXT, Opcode::SETXATTR, body, Operation::Setxattr(setxattr));
    let getxattr = Operation::Getxattr { name: bytes("user.a"), size: 100 };
    check(Opcode::GETXATTR, "6400000000000000757365722e6100", getxattr);
    check(Opcode::LISTXATTR, "6400000000000000", Operation::Listxattr { size: 100 });
    let name = bytes("user.a");
    check(Opcode::REMOVEXATTR, "757365722e6100", Operation::Removexattr { name });
}

#[test]
fn opening_and_closing() {
    let open = Open { flags: 0o100001, open_flags: OpenRequestFlags::KILL_SUIDGID };
    check(Opcode::OPEN, "0180000001000000", Operation::Open(open));
    check(Opcode::OPENDIR, "0180000001000000", Operation::Opendir(open));
    let release_flags = ReleaseFlags::FLUSH | ReleaseFlags::FLOCK_UNLOCK;
    let release = Release { fh: 1, flags: 2, release_flags, lock_owner: 3 };
    check(Opcode::RELEASE, "010000000000000002000000030000000300000000000000", Operation::Release(release));
    check(
        Opcode::RELEASEDIR,
        "010000000000000002000000030000000300000000000000",
        Operation::Releasedir(release),
    );
    let flush = Operation::Flush { fh: 1, lock_owner: 2 };
    check(Opcode::FLUSH, "010000000000000000000000000000000200000000000000", flush);
    let fsync = "01000000000000000100000000000000";
    check(Opcode::FSYNC, fsync, Operation::Fsync { fh: 1, datasync: true });
    check(Opcode::FSYNCDIR, fsync, Operation::Fsyncdir { fh: 1, datasync: true });
}

#[test]
fn content() {
    let read = Read { fh: 1, offset: 4096, size: 65536, lock_owner: Some(2), flags: 0o100000 };
    let body = "01000000000000000010000000000000000001000200000002000000000000000080000000000000";
    check(Opcode::READ, body, Operation::Read(read));
    check(Opcode::READDIR, body, Operation::Readdir(read));
    check(Opcode::READDIRPLUS, body, Operation::Readdirplus(read));
    let write = Write {
        fh: 1,
        offset: 4096,
        write_flags: WriteFlags::LOCKOWNER | WriteFlags::KILL_SUIDGID,
        lock_owner: Some(2),
        flags: 0o100001,
        data: bytes("data"),
    };
    let body = "0100000000000000001000000000000004000000060000000200000000000000018000000000000064617461";
    check(Opcode::WRITE, body, Operation::Write(write));
    let fallocate = Fallocate { fh: 1, offset: 2, length: 3, mode: 4 };
    check(
        Opcode::FALLOCATE,
        "0100000000000000020000000000000003000000000000000400000000000000",
        Operation::Fallocate(fallocate),
    );
    let lseek = Lseek { fh: 1, offset: 2, whence: 4 };
    check(Opcode::LSEEK, "010000000000000002000000000000000400000000000000", Operation::Lseek(lseek));
    let copy = CopyFileRange {
        fh_in: 1,
        offset_in: 2,
        nodeid_out: 3,
        fh_out: 4,
        offset_out: 5,
        length: 6,
        flags: 7,
    };
    let body = "010000000000000002000000000000000300000000000000040000000000000005000000000000000600000000000000\
         0700000000000000";
    check(Opcode::COPY_FILE_RANGE, body, Operation::CopyFileRange(copy));
    check(Opcode::COPY_FILE_RANGE_64, body, Operation::CopyFileRange64(copy));
}

/// Data is a part of the message, not a copy.
#[test]
fn data_is_not_copied() {
    let body =
        unhex("0100000000000000001000000000000004000000060000000200000000000000018000000000000064617461");
    let message = framed(Opcode::WRITE, &body, &[]);
    let Operation::Write(write) = Request::decode(&message, InitFlags::empty()).unwrap().operation else {
        panic!("a WRITE")
    };
    assert_eq!(write.data.as_ptr(), message[80..].as_ptr());
}

#[test]
fn locks() {
    let lock = LockRequest {
        fh: 1,
        owner: 2,
        lock: FileLock { start: 3, end: FileLock::TO_THE_END, kind: LockKind::Write, pid: 4 },
        flags: LockFlags::FLOCK,
    };
    let body =
        "010000000000000002000000000000000300000000000000ffffffffffffff7f01000000040000000100000000000000";
    check(Opcode::GETLK, body, Operation::Getlk(lock));
    check(Opcode::SETLK, body, Operation::Setlk(lock));
    check(Opcode::SETLKW, body, Operation::Setlkw(lock));
}

#[test]
fn the_rest() {
    let flags = InitFlags::from_bits_retain(0x7f5_73ff_fffb);
    let init = InitRequest { major: 7, minor: 45, max_readahead: 131_072, flags };
    let body = "070000002d00000000000200fbffff73f507000000000000000000000000000000000000000000000000000000000000\
         00000000000000000000000000000000";
    check(Opcode::INIT, body, Operation::Init(init));
    let flags = InitFlags::from_bits_retain(0x03ff_fffb);
    let init = InitRequest { minor: 31, flags, ..init };
    check(Opcode::INIT, "070000001f00000000000200fbffff03", Operation::Init(init));
    check(Opcode::INTERRUPT, "6300000000000000", Operation::Interrupt { unique: 99 });
    let bmap = Operation::Bmap { block: 5, block_size: 512 };
    check(Opcode::BMAP, "05000000000000000002000000000000", bmap);
    let flags = IoctlFlags::DIR;
    let ioctl = Ioctl { fh: 1, flags, command: 2, argument: 3, in_size: 4, out_size: 5 };
    check(
        Opcode::IOCTL,
        "010000000000000010000000020000000300000000000000040000000500000001020304",
        Operation::Ioctl(ioctl),
    );
    let poll = Poll { fh: 1, kh: 2, flags: PollFlags::SCHEDULE_NOTIFY, events: 4 };
    check(Opcode::POLL, "010000000000000002000000000000000100000004000000", Operation::Poll(poll));
    for (opcode, expect) in [
        (Opcode::READLINK, Operation::Readlink),
        (Opcode::STATFS, Operation::Statfs),
        (Opcode::DESTROY, Operation::Destroy),
        (Opcode::NOTIFY_REPLY, Operation::NotifyReply),
        (Opcode::SYNCFS, Operation::Syncfs),
        (Opcode::SETUPMAPPING, Operation::Unknown { opcode: Opcode::SETUPMAPPING }),
        (Opcode(4096), Operation::Unknown { opcode: Opcode(4096) }),
    ] {
        check(opcode, "", expect);
    }
}

#[test]
fn who_waits_for_an_answer() {
    let silent: Vec<&Opcode> = Opcode::ALL.iter().filter(|opcode| !opcode.wants_answer()).collect();
    let expect = [Opcode::FORGET, Opcode::INTERRUPT, Opcode::NOTIFY_REPLY, Opcode::BATCH_FORGET];
    assert_eq!(silent, expect.iter().collect::<Vec<_>>());
    assert_eq!(format!("{:?} {:?}", Opcode::READ, Opcode(4096)), "FUSE_READ Opcode(4096)");
    assert_eq!(fuse_wire::read_buffer_len(4096), fuse_wire::READ_BUFFER_MIN_LEN);
    assert_eq!(fuse_wire::read_buffer_len(1 << 20), (1 << 20) + 80);
}

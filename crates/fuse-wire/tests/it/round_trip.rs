//! What is read survives being written and read again, and arbitrary bytes are read or refused.

use crate::message::{encode, framed};
use bytes::Bytes;
use fuse_wire::{
    Device, DirentKind, Dirents, Entry, Extensions, FileLock, Header, InitFlags, LockKind, Opcode, Operation,
    Request, Time,
    flags::*,
    init::InitRequest,
    lock::LockRequest,
    request::{
        CopyFileRange, Creation, Fallocate, Forget, Ioctl, Lseek, Mkdir, Mknod, Open, Poll, Read, Release,
        Rename, SetTime, Setattr, Setxattr, Write,
    },
    statx::{StatxMask, StatxRequest},
};
use proptest::{collection::vec, option, prelude::*};

fn data() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..100).prop_map(Bytes::from)
}

fn component() -> impl Strategy<Value = Bytes> {
    let byte = (1..=u8::MAX).prop_filter("a separator", |byte| *byte != b'/');
    vec(byte, 1..40).prop_map(Bytes::from)
}

fn name() -> impl Strategy<Value = Bytes> {
    vec(1..=u8::MAX, 1..40).prop_map(Bytes::from)
}

fn operation_with_names() -> impl Strategy<Value = (Opcode, Operation)> {
    let rename = || (component(), any::<u64>(), component());
    let creation = || {
        any::<(u32, u32, u32, u32)>().prop_map(|(flags, mode, umask, open_flags)| {
            let open_flags = OpenRequestFlags::from_bits_retain(open_flags);
            Creation { flags, mode, umask, open_flags }
        })
    };
    prop_oneof![
        component().prop_map(|name| (Opcode::LOOKUP, Operation::Lookup { name })),
        component().prop_map(|name| (Opcode::UNLINK, Operation::Unlink { name })),
        component().prop_map(|name| (Opcode::RMDIR, Operation::Rmdir { name })),
        name().prop_map(|name| (Opcode::REMOVEXATTR, Operation::Removexattr { name })),
        (name(), any::<u32>())
            .prop_map(|(name, size)| (Opcode::GETXATTR, Operation::Getxattr { name, size })),
        (component(), name())
            .prop_map(|(name, target)| (Opcode::SYMLINK, Operation::Symlink { name, target })),
        (component(), any::<u64>())
            .prop_map(|(name, nodeid)| (Opcode::LINK, Operation::Link { nodeid, name })),
        (component(), any::<(u32, u32, u32)>()).prop_map(|(name, (mode, rdev, umask))| {
            (Opcode::MKNOD, Operation::Mknod(Mknod { name, mode, rdev: Device::from_wire(rdev), umask }))
        }),
        (component(), any::<(u32, u32)>())
            .prop_map(|(name, (mode, umask))| (Opcode::MKDIR, Operation::Mkdir(Mkdir { name, mode, umask }))),
        rename().prop_map(|(name, new_parent, new_name)| {
            let flags = RenameFlags::empty();
            (Opcode::RENAME, Operation::Rename(Rename { name, new_parent, new_name, flags }))
        }),
        (rename(), any::<u32>()).prop_map(|((name, new_parent, new_name), flags)| {
            let flags = RenameFlags::from_bits_retain(flags);
            (Opcode::RENAME2, Operation::Rename(Rename { name, new_parent, new_name, flags }))
        }),
        (component(), creation())
            .prop_map(|(name, creation)| (Opcode::CREATE, Operation::Create { name, creation })),
        creation().prop_map(|creation| (Opcode::TMPFILE, Operation::Tmpfile(creation))),
        (name(), data(), any::<u32>(), any::<u32>()).prop_map(|(name, value, flags, ext_flags)| {
            let flags = SetxattrFlags::from_bits_retain(flags);
            let ext_flags = SetxattrExtFlags::from_bits_retain(ext_flags);
            (Opcode::SETXATTR, Operation::Setxattr(Setxattr { name, value, flags, ext_flags }))
        }),
    ]
}

fn operation_of_files() -> impl Strategy<Value = (Opcode, Operation)> {
    let read = || {
        let numbers = any::<(u64, u64, u32, u32)>();
        (numbers, option::of(any::<u64>())).prop_map(|((fh, offset, size, flags), lock_owner)| Read {
            fh,
            offset,
            size,
            lock_owner,
            flags,
        })
    };
    let copy =
        any::<[u64; 7]>().prop_map(|[fh_in, offset_in, nodeid_out, fh_out, offset_out, length, flags]| {
            CopyFileRange { fh_in, offset_in, nodeid_out, fh_out, offset_out, length, flags }
        });
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(flags, bits)| {
            let open_flags = OpenRequestFlags::from_bits_retain(bits);
            (Opcode::OPEN, Operation::Open(Open { flags, open_flags }))
        }),
        read().prop_map(|read| (Opcode::READ, Operation::Read(read))),
        read().prop_map(|read| (Opcode::READDIR, Operation::Readdir(read))),
        read().prop_map(|read| (Opcode::READDIRPLUS, Operation::Readdirplus(read))),
        (any::<(u64, u64, u32, u32)>(), any::<u64>(), data()).prop_map(
            |((fh, offset, bits, flags), owner, data)| {
                let write_flags = WriteFlags::from_bits_retain(bits);
                let lock_owner = write_flags.contains(WriteFlags::LOCKOWNER).then_some(owner);
                let write = Write { fh, offset, write_flags, lock_owner, flags, data };
                (Opcode::WRITE, Operation::Write(write))
            }
        ),
        any::<(u64, u32, u32, u64)>().prop_map(|(fh, flags, bits, lock_owner)| {
            let release_flags = ReleaseFlags::from_bits_retain(bits);
            let release = Release { fh, flags, release_flags, lock_owner };
            (Opcode::RELEASE, Operation::Release(release))
        }),
        any::<(u64, bool)>().prop_map(|(fh, datasync)| (Opcode::FSYNC, Operation::Fsync { fh, datasync })),
        any::<(u64, u64)>().prop_map(|(fh, lock_owner)| (Opcode::FLUSH, Operation::Flush { fh, lock_owner })),
        any::<(u64, u64, u64, u32)>().prop_map(|(fh, offset, length, mode)| {
            (Opcode::FALLOCATE, Operation::Fallocate(Fallocate { fh, offset, length, mode }))
        }),
        any::<(u64, u64, u32)>().prop_map(|(fh, offset, whence)| {
            (Opcode::LSEEK, Operation::Lseek(Lseek { fh, offset, whence }))
        }),
        copy.prop_map(|copy| (Opcode::COPY_FILE_RANGE_64, Operation::CopyFileRange64(copy))),
        lock().prop_map(|lock| (Opcode::SETLKW, Operation::Setlkw(lock))),
        (any::<(u64, u32, u32, u64)>(), any::<(u32, u32)>()).prop_map(
            |((fh, bits, command, argument), (in_size, out_size))| {
                let flags = IoctlFlags::from_bits_retain(bits);
                let ioctl = Ioctl { fh, flags, command, argument, in_size, out_size };
                (Opcode::IOCTL, Operation::Ioctl(ioctl))
            }
        ),
        any::<(u64, u64, u32, u32)>().prop_map(|(fh, kh, bits, events)| {
            let flags = PollFlags::from_bits_retain(bits);
            (Opcode::POLL, Operation::Poll(Poll { fh, kh, flags, events }))
        }),
    ]
}

fn lock() -> impl Strategy<Value = LockRequest> {
    let kind = prop_oneof![Just(LockKind::Read), Just(LockKind::Write), Just(LockKind::Unlock)];
    (any::<[u64; 4]>(), kind, any::<(u32, u32)>()).prop_map(|([fh, owner, start, end], kind, (pid, bits))| {
        let flags = LockFlags::from_bits_retain(bits);
        LockRequest { fh, owner, lock: FileLock { start, end, kind, pid }, flags }
    })
}

fn time() -> impl Strategy<Value = Time> {
    any::<(i64, u32)>().prop_map(|(seconds, nanoseconds)| Time { seconds, nanoseconds })
}

fn setattr() -> impl Strategy<Value = Setattr> {
    let times = (time(), time(), time());
    (any::<u32>(), any::<[u64; 3]>(), times, any::<[u32; 3]>()).prop_map(|(bits, longs, times, words)| {
        use SetattrFlags as Valid;
        let valid = Valid::from_bits_retain(bits);
        let set = |flag, now, time| match valid.contains(flag) {
            true if valid.contains(now) => Some(SetTime::Now),
            true => Some(SetTime::To(time)),
            false => None,
        };
        Setattr {
            valid,
            fh: valid.contains(Valid::FH).then_some(longs[0]),
            size: valid.contains(Valid::SIZE).then_some(longs[1]),
            lock_owner: valid.contains(Valid::LOCKOWNER).then_some(longs[2]),
            atime: set(Valid::ATIME, Valid::ATIME_NOW, times.0),
            mtime: set(Valid::MTIME, Valid::MTIME_NOW, times.1),
            ctime: valid.contains(Valid::CTIME).then_some(times.2),
            mode: valid.contains(Valid::MODE).then_some(words[0]),
            uid: valid.contains(Valid::UID).then_some(words[1]),
            gid: valid.contains(Valid::GID).then_some(words[2]),
        }
    })
}

fn operation_of_nodes() -> impl Strategy<Value = (Opcode, Operation)> {
    let forget = any::<(u64, u64)>().prop_map(|(nodeid, lookups)| Forget { nodeid, lookups });
    prop_oneof![
        any::<u64>().prop_map(|lookups| (Opcode::FORGET, Operation::Forget { lookups })),
        vec(forget, 0..20).prop_map(|all| (Opcode::BATCH_FORGET, Operation::BatchForget(all))),
        option::of(any::<u64>()).prop_map(|fh| (Opcode::GETATTR, Operation::Getattr { fh })),
        setattr().prop_map(|setattr| (Opcode::SETATTR, Operation::Setattr(setattr))),
        (option::of(any::<u64>()), any::<(u32, u32)>()).prop_map(|(fh, (flags, mask))| {
            let mask = StatxMask::from_bits_retain(mask);
            (Opcode::STATX, Operation::Statx(StatxRequest { fh, flags, mask }))
        }),
        any::<(u32, u32, u32, u64)>().prop_map(|(major, minor, max_readahead, bits)| {
            let flags = InitFlags::from_bits_retain(bits) | InitFlags::INIT_EXT;
            (Opcode::INIT, Operation::Init(InitRequest { major, minor, max_readahead, flags }))
        }),
        any::<u32>().prop_map(|mask| (Opcode::ACCESS, Operation::Access { mask })),
        any::<u64>().prop_map(|unique| (Opcode::INTERRUPT, Operation::Interrupt { unique })),
        any::<u32>().prop_map(|size| (Opcode::LISTXATTR, Operation::Listxattr { size })),
        (54..u32::MAX).prop_map(|number| (Opcode(number), Operation::Unknown { opcode: Opcode(number) })),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let operation = prop_oneof![operation_with_names(), operation_of_files(), operation_of_nodes()];
    (operation, any::<(u64, u64)>(), any::<[u32; 3]>(), vec(any::<u32>(), 0..6)).prop_map(
        |((opcode, operation), (unique, nodeid), [uid, gid, pid], groups)| {
            let header = Header { opcode, unique, nodeid, uid, gid, pid };
            Request { header, extensions: Extensions { groups }, operation }
        },
    )
}

proptest! {
    #[test]
    fn requests(request in request()) {
        let agreed = InitFlags::SETXATTR_EXT;
        prop_assert_eq!(Request::decode(&encode(&request, agreed), agreed), Ok(request));
    }

    /// Whatever is read is the same when written and read again; nothing panics.
    #[test]
    fn anything(
        opcode in prop_oneof![0..54_u32, any::<u32>()],
        body in vec(prop_oneof![Just(0), any::<u8>()], 0..120),
        extensions in vec(prop_oneof![Just(0), Just(8), Just(16), Just(32), any::<u8>()], 0..40),
        agreed in prop_oneof![Just(InitFlags::empty()), Just(InitFlags::SETXATTR_EXT)],
    ) {
        let extensions = &extensions[..extensions.len() / 8 * 8];
        if let Ok(request) = Request::decode(&framed(Opcode(opcode), &body, extensions), agreed) {
            prop_assert_eq!(Request::decode(&encode(&request, agreed), agreed), Ok(request));
        }
    }

    #[test]
    fn any_bytes(message in vec(any::<u8>(), 0..200)) {
        let _ = Request::decode(&message.into(), InitFlags::empty());
    }

    #[test]
    fn devices(wire in any::<u32>()) {
        let device = Device::from_wire(wire);
        prop_assert_eq!(Device::new(device.major(), device.minor()), Some(device));
        prop_assert_eq!(device.to_wire(), wire);
    }

    /// A page never exceeds its limit, and reads back as what was taken.
    #[test]
    fn pages(limit in 0..600_usize, names in vec(component(), 0..20), plus in any::<bool>()) {
        let mut page = Dirents::new(limit);
        let taken: Vec<&Bytes> = names
            .iter()
            .take_while(|name| match plus {
                true => page.push_plus(&Entry::default(), 1, DirentKind::REGULAR, name),
                false => page.push(1, 1, DirentKind::REGULAR, name),
            })
            .collect();
        let page = page.finish();
        prop_assert!(page.len() <= limit && page.len().is_multiple_of(8));
        let before = if plus { Entry::LEN } else { 0 };
        let (mut at, mut read) = (0, Vec::new());
        while at < page.len() {
            let name = at + before + 24;
            let len = u32::from_ne_bytes(page[name - 8..name - 4].try_into().unwrap()) as usize;
            read.push(&page[name..name + len]);
            at = (name + len).next_multiple_of(8);
        }
        prop_assert_eq!(at, page.len());
        prop_assert_eq!(read, taken);
    }
}

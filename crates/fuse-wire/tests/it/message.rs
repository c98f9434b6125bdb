//! Messages as the kernel would send them, for tests and for the fuzz target.

use bytes::Bytes;
use fuse_wire::{
    Header, InitFlags, LockKind, Opcode, Operation, Request, Time,
    flags::SetattrFlags,
    lock::LockRequest,
    request::{CopyFileRange, Creation, Open, Read, Release, SetTime, Setattr},
};

/// A message with any header.
pub fn framed(opcode: Opcode, body: &[u8], extensions: &[u8]) -> Bytes {
    let header = Header { opcode, unique: 1, nodeid: 1, uid: 0, gid: 0, pid: 1 };
    whole(&header, body, extensions)
}

/// The message that `request` was read from, but for what does not matter.
pub fn encode(request: &Request, agreed: InitFlags) -> Bytes {
    let mut extensions = Vec::new();
    let groups = &request.extensions.groups;
    if !groups.is_empty() {
        let len = (12 + 4 * groups.len()).next_multiple_of(8);
        for word in [len as u32, 32, groups.len() as u32].iter().chain(groups) {
            extensions.extend_from_slice(&word.to_ne_bytes());
        }
        extensions.resize(len, 0);
    }
    let body = Out(Vec::new()).operation(&request.operation, request.header.opcode, agreed).0;
    whole(&request.header, &body, &extensions)
}

fn whole(header: &Header, body: &[u8], extensions: &[u8]) -> Bytes {
    let len = 40 + body.len() + extensions.len();
    let Out(mut message) = Out(Vec::new())
        .u32(len as u32)
        .u32(header.opcode.0)
        .u64(header.unique)
        .u64(header.nodeid)
        .u32(header.uid)
        .u32(header.gid)
        .u32(header.pid)
        .u32((extensions.len() / 8) as u32);
    message.extend_from_slice(body);
    message.extend_from_slice(extensions);
    message.into()
}

/// Fields one after the other.
struct Out(Vec<u8>);

impl Out {
    fn bytes(mut self, value: &[u8]) -> Self {
        self.0.extend_from_slice(value);
        self
    }

    fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    fn name(self, value: &[u8]) -> Self {
        self.bytes(value).bytes(&[0])
    }

    fn operation(self, operation: &Operation, opcode: Opcode, agreed: InitFlags) -> Self {
        match operation {
            Operation::Lookup { name }
            | Operation::Unlink { name }
            | Operation::Rmdir { name }
            | Operation::Removexattr { name } => self.name(name),
            Operation::Forget { lookups } => self.u64(*lookups),
            Operation::BatchForget(all) => {
                all.iter().fold(self.u64(all.len() as u64), |out, one| out.u64(one.nodeid).u64(one.lookups))
            }
            Operation::Getattr { fh } => self.u64(u64::from(fh.is_some())).u64(fh.unwrap_or(0)),
            Operation::Setattr(setattr) => self.setattr(setattr),
            Operation::Symlink { name, target } => self.name(name).name(target),
            Operation::Mknod(mknod) => {
                self.u32(mknod.mode).u32(mknod.rdev.to_wire()).u32(mknod.umask).u32(0).name(&mknod.name)
            }
            Operation::Mkdir(mkdir) => self.u32(mkdir.mode).u32(mkdir.umask).name(&mkdir.name),
            Operation::Rename(rename) => {
                let out = self.u64(rename.new_parent);
                let out = if opcode == Opcode::RENAME { out } else { out.u32(rename.flags.bits()).u32(0) };
                out.name(&rename.name).name(&rename.new_name)
            }
            Operation::Link { nodeid, name } => self.u64(*nodeid).name(name),
            Operation::Create { name, creation } => self.creation(creation).name(name),
            Operation::Tmpfile(creation) => self.creation(creation).name(b"/"),
            Operation::Setxattr(set) => {
                let out = self.u32(set.value.len() as u32).u32(set.flags.bits());
                let out = match agreed.contains(InitFlags::SETXATTR_EXT) {
                    true => out.u32(set.ext_flags.bits()).u32(0),
                    false => out,
                };
                out.name(&set.name).bytes(&set.value)
            }
            Operation::Getxattr { name, size } => self.u64(u64::from(*size)).name(name),
            Operation::Listxattr { size } => self.u64(u64::from(*size)),
            Operation::Init(init) => {
                let bits = init.flags.bits();
                let out = self.u32(init.major).u32(init.minor).u32(init.max_readahead);
                out.u32(bits as u32).u32((bits >> 32) as u32).bytes(&[0; 44])
            }
            Operation::Access { mask } => self.u64(u64::from(*mask)),
            Operation::Interrupt { unique } => self.u64(*unique),
            Operation::Statx(statx) => self
                .u64(u64::from(statx.fh.is_some()))
                .u64(statx.fh.unwrap_or(0))
                .u32(statx.flags)
                .u32(statx.mask.bits()),
            Operation::Readlink
            | Operation::Statfs
            | Operation::Destroy
            | Operation::NotifyReply
            | Operation::Unknown { .. } => self,
            Operation::Syncfs => self.u64(0),
            _ => self.opened(operation),
        }
    }

    fn opened(self, operation: &Operation) -> Self {
        match operation {
            Operation::Open(Open { flags, open_flags }) | Operation::Opendir(Open { flags, open_flags }) => {
                self.u32(*flags).u32(open_flags.bits())
            }
            Operation::Read(read) | Operation::Readdir(read) | Operation::Readdirplus(read) => {
                self.read(read)
            }
            Operation::Write(write) => {
                let out = self.u64(write.fh).u64(write.offset).u32(write.data.len() as u32);
                let out = out.u32(write.write_flags.bits()).u64(write.lock_owner.unwrap_or(0));
                out.u32(write.flags).u32(0).bytes(&write.data)
            }
            Operation::Release(release) | Operation::Releasedir(release) => self.release(release),
            Operation::Fsync { fh, datasync } | Operation::Fsyncdir { fh, datasync } => {
                self.u64(*fh).u64(u64::from(*datasync))
            }
            Operation::Flush { fh, lock_owner } => self.u64(*fh).u64(0).u64(*lock_owner),
            Operation::Getlk(lock) | Operation::Setlk(lock) | Operation::Setlkw(lock) => self.lock(lock),
            Operation::Bmap { block, block_size } => self.u64(*block).u64(u64::from(*block_size)),
            Operation::Ioctl(ioctl) => self
                .u64(ioctl.fh)
                .u32(ioctl.flags.bits())
                .u32(ioctl.command)
                .u64(ioctl.argument)
                .u32(ioctl.in_size)
                .u32(ioctl.out_size),
            Operation::Poll(poll) => self.u64(poll.fh).u64(poll.kh).u32(poll.flags.bits()).u32(poll.events),
            Operation::Fallocate(range) => {
                self.u64(range.fh).u64(range.offset).u64(range.length).u32(range.mode).u32(0)
            }
            Operation::Lseek(lseek) => self.u64(lseek.fh).u64(lseek.offset).u32(lseek.whence).u32(0),
            Operation::CopyFileRange(copy) | Operation::CopyFileRange64(copy) => self.copy(copy),
            other => panic!("{other:?} has a form of its own"),
        }
    }

    fn creation(self, creation: &Creation) -> Self {
        let out = self.u32(creation.flags).u32(creation.mode);
        out.u32(creation.umask).u32(creation.open_flags.bits())
    }

    fn read(self, read: &Read) -> Self {
        let read_flags = u32::from(read.lock_owner.is_some()) << 1;
        let out = self.u64(read.fh).u64(read.offset).u32(read.size).u32(read_flags);
        out.u64(read.lock_owner.unwrap_or(0)).u32(read.flags).u32(0)
    }

    fn release(self, release: &Release) -> Self {
        let out = self.u64(release.fh).u32(release.flags).u32(release.release_flags.bits());
        out.u64(release.lock_owner)
    }

    fn lock(self, lock: &LockRequest) -> Self {
        let kind = match lock.lock.kind {
            LockKind::Read => 0,
            LockKind::Write => 1,
            LockKind::Unlock => 2,
        };
        let out = self.u64(lock.fh).u64(lock.owner).u64(lock.lock.start).u64(lock.lock.end);
        out.u32(kind).u32(lock.lock.pid).u32(lock.flags.bits()).u32(0)
    }

    fn copy(self, copy: &CopyFileRange) -> Self {
        let out = self.u64(copy.fh_in).u64(copy.offset_in).u64(copy.nodeid_out).u64(copy.fh_out);
        out.u64(copy.offset_out).u64(copy.length).u64(copy.flags)
    }

    fn setattr(self, set: &Setattr) -> Self {
        let time = |time: Option<SetTime>| match time {
            Some(SetTime::To(time)) => time,
            Some(SetTime::Now) | None => Time::default(),
        };
        let (atime, mtime, ctime) = (time(set.atime), time(set.mtime), set.ctime.unwrap_or_default());
        assert!(set.valid.contains(SetattrFlags::FH) == set.fh.is_some());
        self.u64(u64::from(set.valid.bits()))
            .u64(set.fh.unwrap_or(0))
            .u64(set.size.unwrap_or(0))
            .u64(set.lock_owner.unwrap_or(0))
            .u64(atime.seconds as u64)
            .u64(mtime.seconds as u64)
            .u64(ctime.seconds as u64)
            .u32(atime.nanoseconds)
            .u32(mtime.nanoseconds)
            .u32(ctime.nanoseconds)
            .u32(set.mode.unwrap_or(0))
            .u32(0)
            .u32(set.uid.unwrap_or(0))
            .u32(set.gid.unwrap_or(0))
            .u32(0)
    }
}

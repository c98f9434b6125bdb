//! The bits of requests and answers. Bits without a name are kept.

use bitflags::bitflags;

bitflags! {
    /// What kernel and server can do; in INIT of both sides. The upper 32 bits travel as `flags2`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct InitFlags: u64 {
        /// Several READs of a file at once.
        const ASYNC_READ = 1 << 0;
        /// GETLK, SETLK, SETLKW for POSIX locks.
        const POSIX_LOCKS = 1 << 1;
        /// Not used by the kernel.
        const FILE_OPS = 1 << 2;
        /// OPEN and CREATE truncate themselves (O_TRUNC).
        const ATOMIC_O_TRUNC = 1 << 3;
        /// LOOKUP knows "." and "..".
        const EXPORT_SUPPORT = 1 << 4;
        /// WRITEs longer than 4 KiB.
        const BIG_WRITES = 1 << 5;
        /// The server applies the umask.
        const DONT_MASK = 1 << 6;
        /// The device takes answers by splice.
        const SPLICE_WRITE = 1 << 7;
        /// The device moves pages in splice.
        const SPLICE_MOVE = 1 << 8;
        /// The device gives requests by splice.
        const SPLICE_READ = 1 << 9;
        /// SETLK, SETLKW for BSD locks.
        const FLOCK_LOCKS = 1 << 10;
        /// IOCTL on directories.
        const HAS_IOCTL_DIR = 1 << 11;
        /// Cached pages go when size or time of modification changed.
        const AUTO_INVAL_DATA = 1 << 12;
        /// READDIRPLUS.
        const DO_READDIRPLUS = 1 << 13;
        /// READDIRPLUS only where it seems to pay.
        const READDIRPLUS_AUTO = 1 << 14;
        /// Direct I/O in several requests at once.
        const ASYNC_DIO = 1 << 15;
        /// The kernel writes back later.
        const WRITEBACK_CACHE = 1 << 16;
        /// ENOSYS to OPEN means that none is needed.
        const NO_OPEN_SUPPORT = 1 << 17;
        /// Several LOOKUPs and READDIRs in a directory at once.
        const PARALLEL_DIROPS = 1 << 18;
        /// The server removes setuid, setgid and capabilities on WRITE, chown and truncation.
        const HANDLE_KILLPRIV = 1 << 19;
        /// The kernel checks POSIX ACLs, kept as extended attributes.
        const POSIX_ACL = 1 << 20;
        /// Reading the device after an abort is ECONNABORTED.
        const ABORT_ERROR = 1 << 21;
        /// `max_pages` of the answer counts.
        const MAX_PAGES = 1 << 22;
        /// Targets of symlinks are cached.
        const CACHE_SYMLINKS = 1 << 23;
        /// ENOSYS to OPENDIR means that none is needed.
        const NO_OPENDIR_SUPPORT = 1 << 24;
        /// Cached pages go only when a notification says so.
        const EXPLICIT_INVAL_DATA = 1 << 25;
        /// `map_alignment` of the answer counts (DAX).
        const MAP_ALIGNMENT = 1 << 26;
        /// Directories with [`AttributeFlags::SUBMOUNT`] become mounts.
        const SUBMOUNTS = 1 << 27;
        /// As HANDLE_KILLPRIV, where the kernel says in each request whether to.
        const HANDLE_KILLPRIV_V2 = 1 << 28;
        /// SETXATTR is 8 bytes longer and has [`SetxattrExtFlags`].
        const SETXATTR_EXT = 1 << 29;
        /// `flags2` counts. [`crate::init::InitAnswer`] sets it by itself.
        const INIT_EXT = 1 << 30;
        /// Never set.
        const INIT_RESERVED = 1 << 31;
        /// CREATE, MKDIR, SYMLINK, MKNOD carry a security context.
        const SECURITY_CTX = 1 << 32;
        /// DAX for each inode.
        const HAS_INODE_DAX = 1 << 33;
        /// CREATE, MKDIR, SYMLINK, MKNOD carry the group of the parent that the caller is in.
        const CREATE_SUPP_GROUP = 1 << 34;
        /// Invalidating a name can merely expire it.
        const HAS_EXPIRE_ONLY = 1 << 35;
        /// Shared mmap of files with [`OpenAnswerFlags::DIRECT_IO`].
        const DIRECT_IO_ALLOW_MMAP = 1 << 36;
        /// Reads and writes go straight to a backing file ([`crate::backing`]).
        const PASSTHROUGH = 1 << 37;
        /// No export over NFS.
        const NO_EXPORT_SUPPORT = 1 << 38;
        /// Requests can be had again ([`crate::header::UNIQUE_RESEND`]).
        const HAS_RESEND = 1 << 39;
        /// Idmapped mounts; needs default_permissions.
        const ALLOW_IDMAP = 1 << 40;
        /// Requests over io_uring.
        const OVER_IO_URING = 1 << 41;
        /// `request_timeout` of the answer counts.
        const REQUEST_TIMEOUT = 1 << 42;
        const _ = !0;
    }

    /// How the kernel treats an opened file (`FOPEN_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct OpenAnswerFlags: u32 {
        /// Past the page cache.
        const DIRECT_IO = 1 << 0;
        /// Cached pages stay.
        const KEEP_CACHE = 1 << 1;
        /// Cannot be sought in.
        const NONSEEKABLE = 1 << 2;
        /// The directory's entries may be cached.
        const CACHE_DIR = 1 << 3;
        /// Has no position at all.
        const STREAM = 1 << 4;
        /// Closing flushes nothing, unless with [`InitFlags::WRITEBACK_CACHE`].
        const NOFLUSH = 1 << 5;
        /// Direct writes to one file at once.
        const PARALLEL_DIRECT_WRITES = 1 << 6;
        /// Reads and writes go to the backing file.
        const PASSTHROUGH = 1 << 7;
        const _ = !0;
    }

    /// Of OPEN, OPENDIR, CREATE and TMPFILE (`FUSE_OPEN_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct OpenRequestFlags: u32 {
        /// Remove setuid, and setgid of a group-executable file (with O_TRUNC).
        const KILL_SUIDGID = 1 << 0;
        const _ = !0;
    }

    /// Which fields of a SETATTR count (`FATTR_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SetattrFlags: u32 {
        /// `mode`.
        const MODE = 1 << 0;
        /// `uid`.
        const UID = 1 << 1;
        /// `gid`.
        const GID = 1 << 2;
        /// `size`.
        const SIZE = 1 << 3;
        /// `atime`.
        const ATIME = 1 << 4;
        /// `mtime`.
        const MTIME = 1 << 5;
        /// `fh`.
        const FH = 1 << 6;
        /// `atime` is the server's now; comes with ATIME.
        const ATIME_NOW = 1 << 7;
        /// `mtime` is the server's now; comes with MTIME.
        const MTIME_NOW = 1 << 8;
        /// `lock_owner`.
        const LOCKOWNER = 1 << 9;
        /// `ctime`.
        const CTIME = 1 << 10;
        /// Remove setuid, and setgid of a group-executable file.
        const KILL_SUIDGID = 1 << 11;
        const _ = !0;
    }

    /// Of RELEASE and RELEASEDIR.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ReleaseFlags: u32 {
        /// As a FLUSH before.
        const FLUSH = 1 << 0;
        /// Take the BSD lock of `lock_owner` away.
        const FLOCK_UNLOCK = 1 << 1;
        const _ = !0;
    }

    /// Of READ (`FUSE_READ_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ReadFlags: u32 {
        /// `lock_owner` counts.
        const LOCKOWNER = 1 << 1;
        const _ = !0;
    }

    /// Of WRITE (`FUSE_WRITE_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct WriteFlags: u32 {
        /// Late, from the page cache: the handle is a guess, the caller is not the writer.
        const CACHE = 1 << 0;
        /// `lock_owner` counts.
        const LOCKOWNER = 1 << 1;
        /// Remove setuid, and setgid of a group-executable file.
        const KILL_SUIDGID = 1 << 2;
        const _ = !0;
    }

    /// Of GETLK, SETLK, SETLKW.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct LockFlags: u32 {
        /// A BSD lock, of the whole file.
        const FLOCK = 1 << 0;
        const _ = !0;
    }

    /// Of SETXATTR, as in setxattr(2).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SetxattrFlags: u32 {
        /// EEXIST if it is there.
        const CREATE = 1 << 0;
        /// ENODATA if it is not.
        const REPLACE = 1 << 1;
        const _ = !0;
    }

    /// Of a SETXATTR with [`InitFlags::SETXATTR_EXT`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SetxattrExtFlags: u32 {
        /// Setting the access ACL removes setgid.
        const ACL_KILL_SGID = 1 << 0;
        const _ = !0;
    }

    /// Of a rename, as in renameat2(2).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct RenameFlags: u32 {
        /// EEXIST if the new name is taken.
        const NOREPLACE = 1 << 0;
        /// Both names change places.
        const EXCHANGE = 1 << 1;
        /// Leave a whiteout under the old name.
        const WHITEOUT = 1 << 2;
        const _ = !0;
    }

    /// Of a node's attributes (`FUSE_ATTR_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AttributeFlags: u32 {
        /// Root of a submount.
        const SUBMOUNT = 1 << 0;
        /// DAX for this file.
        const DAX = 1 << 1;
        const _ = !0;
    }

    /// Of IOCTL (`FUSE_IOCTL_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct IoctlFlags: u32 {
        /// Of a 32-bit caller on a 64-bit machine.
        const COMPAT = 1 << 0;
        /// Not restricted to well-formed commands.
        const UNRESTRICTED = 1 << 1;
        /// Of an answer: once more, with other buffers.
        const RETRY = 1 << 2;
        /// Of a 32-bit caller.
        const IS_32BIT = 1 << 3;
        /// On a directory.
        const DIR = 1 << 4;
        /// Of an x32 caller.
        const COMPAT_X32 = 1 << 5;
        const _ = !0;
    }

    /// Of POLL (`FUSE_POLL_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct PollFlags: u32 {
        /// Tell when something changes.
        const SCHEDULE_NOTIFY = 1 << 0;
        const _ = !0;
    }
}

//! What a request is about (`enum fuse_opcode`).

use std::fmt;

macro_rules! opcodes {
    ($($name:ident = $value:literal,)*) => {
        /// A number of `enum fuse_opcode`. Numbers without a name are kept.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct Opcode(pub u32);

        #[allow(missing_docs)]
        impl Opcode {
            $(pub const $name: Self = Self($value);)*

            /// Every number with a name.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in `fuse.h`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("FUSE_", stringify!($name)),)*
                    _ => "an unknown FUSE request",
                }
            }
        }
    };
}

opcodes! {
    LOOKUP = 1,
    FORGET = 2,
    GETATTR = 3,
    SETATTR = 4,
    READLINK = 5,
    SYMLINK = 6,
    MKNOD = 8,
    MKDIR = 9,
    UNLINK = 10,
    RMDIR = 11,
    RENAME = 12,
    LINK = 13,
    OPEN = 14,
    READ = 15,
    WRITE = 16,
    STATFS = 17,
    RELEASE = 18,
    FSYNC = 20,
    SETXATTR = 21,
    GETXATTR = 22,
    LISTXATTR = 23,
    REMOVEXATTR = 24,
    FLUSH = 25,
    INIT = 26,
    OPENDIR = 27,
    READDIR = 28,
    RELEASEDIR = 29,
    FSYNCDIR = 30,
    GETLK = 31,
    SETLK = 32,
    SETLKW = 33,
    ACCESS = 34,
    CREATE = 35,
    INTERRUPT = 36,
    BMAP = 37,
    DESTROY = 38,
    IOCTL = 39,
    POLL = 40,
    NOTIFY_REPLY = 41,
    BATCH_FORGET = 42,
    FALLOCATE = 43,
    READDIRPLUS = 44,
    RENAME2 = 45,
    LSEEK = 46,
    COPY_FILE_RANGE = 47,
    SETUPMAPPING = 48,
    REMOVEMAPPING = 49,
    SYNCFS = 50,
    TMPFILE = 51,
    STATX = 52,
    COPY_FILE_RANGE_64 = 53,
}

impl Opcode {
    /// Whether the kernel waits for an answer; one to any other request it refuses. An INTERRUPT is
    /// answered only to have it sent again (EAGAIN).
    pub const fn wants_answer(self) -> bool {
        !matches!(self, Self::FORGET | Self::BATCH_FORGET | Self::INTERRUPT | Self::NOTIFY_REPLY)
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::ALL.contains(self) {
            true => f.write_str(self.name()),
            false => write!(f, "Opcode({})", self.0),
        }
    }
}

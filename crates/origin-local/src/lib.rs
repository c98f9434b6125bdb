//! An origin: a directory of this machine, served as a volume.
//!
//! **Names never leave the root.** Every call resolves its path anew with `openat2` below the root's
//! descriptor, following no symlink and no magic link; what then happens, happens to the descriptor found or
//! to one name in a directory held by descriptor. Whoever swaps directories for symlinks meanwhile gets an
//! error, never another file (`tests/it/escape.rs`). A symlink on the way is `Loop`: links are served as links.
//!
//! **What an answer promises.** `apply` and `write_at` return when the kernel has the change: it survives the
//! end of this process, not a power cut. `File::sync` returns when content and size are on the medium, and,
//! for a file that this handle made, its name too. Other changes of names reach the medium in the order the
//! file system writes its journal, or before `apply` returns with [`LocalConfig::sync_changes`]. A failed
//! `sync` is never retried, and remembered by its handle: what was written since the last success may be lost, so
//! every later `sync` and the `close` of that handle answer `Io`.
//!
//! **`expect`** is checked just before the change, in the directory held by descriptor. A writer outside
//! farshare that replaces the file in between (microseconds) is not noticed; for `open` and `SetAttr` there
//! is no such gap, because they work on the descriptor that was checked.
//!
//! **Versions** are change time, write time and size. From Linux 6.13 on the kernel gives each change that
//! somebody looked at its own time; before, two changes within one tick (1 to 10 ms) can share one.
//!
//! **New files** belong to the user of this process, and its umask applies, or to their maker (`maker.rs`). Without
//! [`LocalConfig::posix`], and with it from afar, callers can set neither owner
//! (`Unsupported`) nor setuid, setgid and sticky bits (left out), nor make a symlink that could lead out of the root
//! (`InvalidArgument`): other processes of this machine would believe them. Times are the kernel's; a
//! creation time that was set, and the attribute bits of MS-FSCC, live in one extended attribute
//! (`docs/formats/local-attributes.md`). On a file system without such, `caps().dos_attributes` is false,
//! bits given for new files are dropped, and setting a creation time is `Unsupported`.
//!
//! **What files and directories carry** besides, extended attributes of users among it, is said in `carried.rs`. On
//! a file system without such `caps().named` is false.
//!
//! **Threads.** What only touches memory runs at once: lookups with `RESOLVE_CACHED`, reads with
//! `RWF_NOWAIT`, short writes as long as they are quick. All else goes to a bounded number of blocking threads
//! ([`BLOCKING_CALLS_MAX`]), the long writes of one open file in their turn. See `examples/measure.rs` for the figures
//! behind this.
//!
//! **What may not answer**, a network share or a FUSE daemon, has to be asked even for what seems to be in memory. So
//! nothing that lies in what is mounted below the root, whatever it is, or in a root of such a type
//! (`watching/mounts.rs` knows the others) is touched at once: neither lookups nor reads nor the end of an open file. Calls that go
//! below the root into what is mounted there have their own part of the threads ([`MOUNTED_CALLS_MAX`]) and wait for them until
//! their deadline.

mod attributes;
mod beneath;
mod brisk;
mod carried;
mod changes;
mod compression;
mod config;
mod descriptor;
mod error;
mod file;
mod listing;
mod maker;
mod name;
mod pool;
mod ranges;
mod spot;
mod sys;
mod turns;
mod volume;
mod watching;

pub use carried::NAMED_MAX_BYTES;
pub use config::LocalConfig;
pub use listing::PAGE_ENTRIES_MAX;
pub use pool::{BLOCKING_CALLS_MAX, MOUNTED_CALLS_MAX};
pub use ranges::COPY_MAX_BYTES;
pub use volume::LocalVolume;
pub use watching::{COALESCE_AT_MOST, COALESCE_QUIET, FOUND_MAX};

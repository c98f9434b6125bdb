//! A front end: volumes mounted by FUSE, the file systems of Linux that a process serves.
//!
//! [`Mount::new`] opens `/dev/fuse`, mounts, and lets a few threads read the kernel's requests (`device.rs`). Each request is
//! served where it was read, as long as it does not have to wait; what waits goes on as a task of the runtime
//! (`session.rs`). What a request means is said in `serve/`, a file for names, attributes, files, directories and
//! extended attributes each.
//!
//! | module | what it is |
//! |---|---|
//! | `mount`, `stale`, `keepers` | mounting and unmounting; what a killed process has left; who keeps a mount |
//! | `device`, `session` | requests come in, answers go out |
//! | `nodes` | the kernel's numbers for objects, and their names |
//! | `handles` | what the kernel has open |
//! | `backing` | files that the kernel reads and writes itself |
//! | `serve` | the operations, on `vfs` |
//! | `translate` | attributes, times and kinds both ways |
//! | `errno` | from errors to errno(3) |
//!
//! **Who may what** is judged by the kernel (`default_permissions`), by mode and POSIX access control lists as they are at
//! the origin. What is made belongs to its maker from the beginning ([`volume::Maker`]). A volume that keeps no such things
//! (`Caps::posix`) is shown as the mounter's, with the modes that it tells; what it cannot keep is refused (EPERM).
//!
//! **How fresh** what the kernel remembers is: names and attributes for [`MountConfig::valid`], content until a file is
//! opened again and has another [`volume::Version`]. What this mount changes is seen at once.
//!
//! **What an answer promises.** A change is answered when the volume has it; fsync(2) returns when it is durable there.
//!
//! **What is absent**: locks are kept among the processes of this mount, by the kernel; `O_TMPFILE`, `RENAME_EXCHANGE` and
//! `RENAME_WHITEOUT`, ioctls and `FALLOC_FL_COLLAPSE_RANGE` are refused.

mod backing;
mod device;
mod errno;
mod handles;
mod keepers;
mod mount;
mod nodes;
mod serve;
mod session;
mod stale;
mod translate;

pub use backing::BackingOf;
pub use keepers::keepers;
pub use mount::{Mount, MountConfig, MountError};
pub use stale::{mountpoint, unmount_stale};

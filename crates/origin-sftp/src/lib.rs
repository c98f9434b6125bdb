//! A volume over SFTP version 3, with OpenSSH's extensions: a directory on an SSH server.
//!
//! `russh` carries the bytes: keys, encryption, the channel. What is asked and what the answers mean is written here, with a
//! codec of our own (`wire`), for names here are bytes.
//!
//! * A [`Line`](line::Line) is the place for the one connection. It dials at the first call, and again at the next call
//!   after a loss.
//! * A [`Session`](session::Session) is one connection, and the queue of what waits for it. It is never revived: a file
//!   belongs to one session for good, so no request can reach another file after a reconnect.
//!
//! **Order.** Calls take effect at the server in the order in which their futures are first polled, also when many are under
//! way and none has been waited for: at its first poll a call puts all its requests into the queue, they are sent in that
//! order, and OpenSSH does one after the other as they come. So a file may be written, closed and renamed without waiting in
//! between. To other servers (which do not announce `posix-rename@openssh.com`) the next request is sent when the one before
//! is answered, with the same result.
//!
//! The order holds within one connection. What is asked behind a loss goes by the next one, also when something before it was
//! lost: who builds on what came before compares [`SftpVolume::connection`].
//!
//! Some calls must look first, and then take effect only by what they ask behind the answer: opening without
//! [`Create::New`](volume::Create::New) (a server would follow a link, and wait at a FIFO), setting a size by name (for the
//! same reason), an owner without a group or a time without the other (SFTP sets both), and copies. Whoever needs one of
//! these in order waits for it.
//!
//! **After a loss** all that was under way answers `Offline` and may or may not have happened; files that were open are
//! `Offline` for good.
//!
//! **What SFTP 3 does not have.** No inode: a `FileId` is made of the path, so that `expect` says little. No links' number,
//! no ctime, times in whole seconds, so that two writes of one size within a second are one `Version`. Links on the way in
//! a path are followed by the server: whoever may make links there may lead out of the root, as far as the server's user
//! may go. Renaming a file onto another name of the same file leaves both, as POSIX has it.

mod attr;
mod banner;
mod change;
mod config;
mod core;
mod error;
mod file;
mod frames;
mod judge;
mod known_hosts;
mod line;
mod listing;
mod log_on;
mod names;
mod open;
mod session;
mod volume;
mod wire;

pub use self::volume::SftpVolume;
pub use config::{Password, SSH_PORT, SftpConfig, SftpLimits};
pub use log_on::Server;

/// Largest single READ or WRITE, bytes: with its head it fits the 256 KiB that OpenSSH takes as a packet.
pub(crate) const IO_SIZE_MAX_BYTES: u32 = 255 * 1024;

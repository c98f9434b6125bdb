//! `/dev/fuse`: whole requests come in, whole answers go out.

use crate::mount::MountError;
use bytes::Bytes;
use fuse_wire::answer;
use rustix::buffer::spare_capacity;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, IoSlice, read, writev};

/// Requests up to this length are copied out of the buffer, so that it serves for the next; bytes.
const COPIED_MAX: usize = 16 << 10;

/// The kernel's end of a mount.
pub(crate) struct Device(OwnedFd);

/// What a thread reads requests into.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
}

impl Device {
    pub(crate) fn open() -> Result<Device, MountError> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let opened = openat(CWD, "/dev/fuse", flags, Mode::empty());
        opened.map(Device).map_err(|why| {
            MountError::new(format_args!("/dev/fuse: {why}: the kernel's fuse module is needed"))
        })
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// The next request; `None` when it is mounted no more.
    ///
    /// # Errors
    /// Of the device; there is nothing more to be had of it.
    pub(crate) fn next(&self, buffer: &mut Buffer) -> Result<Option<Bytes>, Errno> {
        loop {
            buffer.bytes.clear();
            buffer.bytes.reserve_exact(buffer.length);
            match read(&self.0, spare_capacity(&mut buffer.bytes)) {
                Ok(0) | Err(Errno::NODEV) => return Ok(None),
                Ok(_) if buffer.bytes.len() <= COPIED_MAX => {
                    return Ok(Some(Bytes::copy_from_slice(&buffer.bytes)));
                }
                Ok(_) => return Ok(Some(std::mem::take(&mut buffer.bytes).into())),
                // The caller was killed before his request was read.
                Err(Errno::NOENT | Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Sends a good answer; whether somebody has it now.
    pub(crate) fn answer(&self, unique: u64, payload: &[u8]) -> bool {
        let head = answer::head(unique, payload.len());
        self.send(&[IoSlice::new(&head), IoSlice::new(payload)])
    }

    /// Sends an error.
    pub(crate) fn refuse(&self, unique: u64, errno: Errno) {
        let head = answer::error(unique, errno.raw_os_error());
        self.send(&[IoSlice::new(&head)]);
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> bool {
        match writev(&self.0, parts) {
            Ok(_) => return true,
            // Its caller was killed meanwhile, or it is mounted no more: nobody waits.
            Err(Errno::NOENT | Errno::NODEV) => {}
            Err(errno) => tracing::error!(%errno, "the kernel refuses an answer"),
        }
        false
    }

    /// One that takes no answer.
    #[cfg(test)]
    pub(crate) fn deaf() -> Device {
        Device(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into())
    }
}

impl Buffer {
    pub(crate) fn new(length: usize) -> Buffer {
        Buffer { bytes: Vec::new(), length }
    }
}

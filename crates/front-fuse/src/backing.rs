//! Content that the kernel reads and writes itself, past this process (passthrough, Linux 6.9).
//!
//! An opened file that is one of this machine is handed to the kernel as a *backing file* ([`crate::MountConfig::backing`]):
//! reads, writes and maps go there at once, into the page cache that all have who use that file past the mount. All else
//! still comes here. For mounts whose volume has no other users, and where nobody above the file wants to know what is
//! written.
//!
//! **One file, one way.** The kernel opens an object either so or by way of this process, and all opens of it by the same
//! backing file. So each node says which way it goes while it is open (`nodes.rs`): the first to open it decides, and asks
//! the kernel under the lock of the nodes, which waits for nobody. What the kernel refuses for good, it is not asked again.
//!
//! **Who else than root writes** takes setuid and setgid along: the kernel does not do that itself, but sends a SETATTR that
//! sets nothing (`serve/attributes.rs`).

use crate::device::Device;
use fuse_wire::backing::{BackingMap, DEV_IOC_BACKING_CLOSE, DEV_IOC_BACKING_OPEN};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use vfs::Open;

/// Finds the descriptor of a file that the kernel may work on itself.
pub type BackingOf = fn(&dyn volume::File) -> Option<BorrowedFd<'_>>;

/// A backing file, by the kernel's number for it.
pub(crate) type BackingId = i32;

/// Which files of a mount may be handed to the kernel.
pub(crate) struct Backing {
    of: Option<BackingOf>,
    refused: AtomicBool,
}

impl Backing {
    pub(crate) fn new(of: Option<BackingOf>) -> Backing {
        Backing { of, refused: AtomicBool::new(false) }
    }

    /// Hands the file of an open to the kernel.
    pub(crate) fn begin(&self, device: &Device, open: &Open) -> Option<BackingId> {
        let of = self.of.filter(|_| !self.refused.load(Ordering::Relaxed))?;
        let file = of(open.on_volume()?)?;
        let argument = BackingMap { fd: file.as_raw_fd() }.encode();
        // SAFETY: the argument is as long as the number says, and the kernel only reads it.
        match unsafe { ioctl(device.fd(), Call { opcode: DEV_IOC_BACKING_OPEN, argument }) } {
            Ok(id) if id > 0 => Some(id),
            Ok(_) | Err(Errno::NOMEM | Errno::NFILE | Errno::NOSPC) => None,
            // It stands on another such file system, or this is not for this process.
            Err(errno) => {
                tracing::info!(%errno, "the kernel does not work on files itself here");
                self.refused.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    /// No open goes by it any more.
    pub(crate) fn end(device: &Device, id: BackingId) {
        let argument = id.to_ne_bytes();
        // SAFETY: as above.
        let ended = unsafe { ioctl(device.fd(), Call { opcode: DEV_IOC_BACKING_CLOSE, argument }) };
        if let Err(errno) = ended {
            tracing::debug!(%errno, id, "a backing file does not end");
        }
    }
}

/// An ioctl that reads its argument and answers a number.
struct Call<const LENGTH: usize> {
    opcode: u32,
    argument: [u8; LENGTH],
}

// SAFETY: the kernel reads at most the argument, whose length is part of the number, and writes nothing.
unsafe impl<const LENGTH: usize> Ioctl for Call<LENGTH> {
    type Output = IoctlOutput;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        self.opcode as Opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> Result<IoctlOutput, Errno> {
        Ok(out)
    }
}

//! The system calls that `rustix` has no safe form for: the only unsafe code of this crate.

use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use std::ffi::CStr;
use std::ops::Range;
use std::ptr;

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Appends up to `buffer`'s spare capacity from `offset`, without waiting for the disk: `AGAIN` when the
/// first byte is not in memory. Returns how many bytes came.
pub(crate) fn read_nowait(file: impl AsFd, buffer: &mut Vec<u8>, offset: u64) -> Result<usize, Errno> {
    let offset = libc::off_t::try_from(offset).map_err(|_| Errno::INVAL)?;
    let spare = buffer.spare_capacity_mut();
    let target = libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: spare.len() };
    // SAFETY: `target` describes the spare capacity of `buffer`, borrowed mutably for the whole call; the
    // kernel writes at most `iov_len` bytes there.
    let came =
        unsafe { libc::preadv2(file.as_fd().as_raw_fd(), &raw const target, 1, offset, libc::RWF_NOWAIT) };
    let came = usize::try_from(came).map_err(|_| last_errno())?;
    // SAFETY: the kernel has initialized the first `came` bytes of the spare capacity.
    unsafe { buffer.set_len(buffer.len() + came) };
    Ok(came)
}

/// Whether all of a range is in memory (`cachestat`, Linux 6.5; the same number on all architectures but alpha). False where
/// that cannot be told: an older kernel, somebody else's file.
pub(crate) fn is_in_memory(file: impl AsFd, offset: u64, length: u64) -> bool {
    const SYS_CACHESTAT: libc::c_long = 451;
    /// `struct cachestat_range` of `linux/mman.h`.
    #[repr(C)]
    struct Range {
        offset: u64,
        length: u64,
    }
    /// `struct cachestat` there, in pages.
    #[repr(C)]
    #[derive(Default)]
    struct State {
        cached: u64,
        dirty: u64,
        being_written: u64,
        evicted: u64,
        lately_evicted: u64,
    }
    let range = Range { offset, length };
    let mut state = State::default();
    let file = file.as_fd().as_raw_fd();
    // SAFETY: the kernel reads the one structure and writes the other, both of which live through the call.
    let asked = unsafe { libc::syscall(SYS_CACHESTAT, file, &raw const range, &raw mut state, 0_u32) };
    let page = rustix::param::page_size() as u64;
    let pages = (offset + length).div_ceil(page) - offset / page;
    asked == 0 && state.cached >= pages
}

/// `FS_IOC_GETVERSION`: the generation of an inode, which tells it from a later one of the same number.
pub(crate) fn generation(file: impl AsFd) -> Result<u64, Errno> {
    const FS_IOC_GETVERSION: libc::Ioctl = 0x8008_7601_u32 as libc::Ioctl;
    let mut generation: libc::c_long = 0;
    // SAFETY: the kernel writes one `int`, some file systems one `long`, to the place pointed to.
    let result = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), FS_IOC_GETVERSION, &raw mut generation) };
    match result {
        0 => Ok(generation as u64),
        _ => Err(last_errno()),
    }
}

/// `FICLONERANGE`: lets `target` share the blocks of a range of `source`, which ends no later than that does.
pub(crate) fn clone_range(
    target: impl AsFd,
    offset: u64,
    source: impl AsFd,
    range: Range<u64>,
) -> Result<(), Errno> {
    let argument = libc::file_clone_range {
        src_fd: source.as_fd().as_raw_fd().into(),
        src_offset: range.start,
        src_length: range.end - range.start,
        dest_offset: offset,
    };
    // SAFETY: the kernel reads the structure, which lives through the call; both descriptors are borrowed as long.
    let result = unsafe { libc::ioctl(target.as_fd().as_raw_fd(), libc::FICLONERANGE, &raw const argument) };
    match result {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

/// `getxattrat` (Linux 6.13; the same number on all architectures but alpha): an extended attribute of a name in
/// a directory, of a symlink itself.
pub(crate) fn xattr_at(dir: impl AsFd, name: &CStr, xattr: &CStr, value: &mut [u8]) -> Result<usize, Errno> {
    const SYS_GETXATTRAT: libc::c_long = 464;
    /// `struct xattr_args` of `linux/xattr.h`.
    #[repr(C, align(8))]
    struct XattrArgs {
        value: u64,
        size: u32,
        flags: u32,
    }
    let size = u32::try_from(value.len()).map_err(|_| Errno::INVAL)?;
    let args = XattrArgs { value: value.as_mut_ptr().addr() as u64, size, flags: 0 };
    // What the address in `args` points to is written by the kernel.
    value.as_mut_ptr().expose_provenance();
    // SAFETY: both strings end with NUL; `args` and the `size` bytes of `value` live through the call.
    let came = unsafe {
        libc::syscall(
            SYS_GETXATTRAT,
            dir.as_fd().as_raw_fd(),
            name.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
            xattr.as_ptr(),
            &raw const args,
            size_of::<XattrArgs>(),
        )
    };
    usize::try_from(came).map_err(|_| last_errno())
}

/// A group of fanotify(7) that tells changes by directory and name, and who made them; it takes no privilege.
pub(crate) fn fanotify_group() -> Result<OwnedFd, Errno> {
    let flags = libc::FAN_CLASS_NOTIF | libc::FAN_REPORT_DFID_NAME | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
    // SAFETY: two numbers go in, a descriptor or -1 comes out.
    let group = unsafe { libc::fanotify_init(flags, libc::O_RDONLY as libc::c_uint) };
    match group {
        // SAFETY: the descriptor is new, and nobody else has it.
        0.. => Ok(unsafe { OwnedFd::from_raw_fd(group) }),
        _ => Err(last_errno()),
    }
}

/// Adds events to those that a group is told of a directory, or takes them away; `flags` is `FAN_MARK_ADD` or
/// `FAN_MARK_REMOVE`.
pub(crate) fn fanotify_mark(
    group: impl AsFd,
    flags: libc::c_uint,
    mask: u64,
    dir: impl AsFd,
) -> Result<(), Errno> {
    let (group, dir) = (group.as_fd().as_raw_fd(), dir.as_fd().as_raw_fd());
    // SAFETY: both descriptors are borrowed for the call; without a path the directory is meant itself.
    match unsafe { libc::fanotify_mark(group, flags, mask, dir, ptr::null()) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

/// What the kernel calls a file by in its file system: the type of its handle and the bytes of it. With `flags` of
/// `AT_HANDLE_FID` (Linux 6.5) also where it cannot be opened by that.
pub(crate) fn file_handle(file: impl AsFd, flags: libc::c_int) -> Result<(i32, Vec<u8>), Errno> {
    const HANDLE_MAX_BYTES: usize = 128;
    /// `struct file_handle` of `linux/fs.h`, with room for the longest.
    #[repr(C)]
    struct Handle {
        bytes: libc::c_uint,
        kind: libc::c_int,
        handle: [u8; HANDLE_MAX_BYTES],
    }
    let mut handle =
        Handle { bytes: HANDLE_MAX_BYTES as libc::c_uint, kind: 0, handle: [0; HANDLE_MAX_BYTES] };
    let mut mount: libc::c_int = 0;
    // SAFETY: the path ends with NUL; the kernel writes at most `bytes` to what follows the head of `handle`, which is as
    // long, and one `int` to `mount`.
    let result = unsafe {
        libc::name_to_handle_at(
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            (&raw mut handle).cast(),
            &raw mut mount,
            libc::AT_EMPTY_PATH | flags,
        )
    };
    match result {
        0 => Ok((handle.kind, handle.handle[..(handle.bytes as usize).min(HANDLE_MAX_BYTES)].to_vec())),
        _ => Err(last_errno()),
    }
}

/// Which user this thread is to the file system from now on; answers which it was. The caller looks whether it came so.
pub(crate) fn set_user(uid: u32) -> u32 {
    // SAFETY: a number goes in and one comes out; it is of this thread alone.
    unsafe { libc::setfsuid(uid) as u32 }
}

/// The same of the group.
pub(crate) fn set_group(gid: u32) -> u32 {
    // SAFETY: as for the user.
    unsafe { libc::setfsgid(gid) as u32 }
}

/// Whether this thread is these to the file system: what cannot be set answers no error (setfsuid(2)).
pub(crate) fn acts_as(uid: u32, gid: u32) -> bool {
    acting() == (uid, gid)
}

/// User and group that this thread is to the file system.
pub(crate) fn acting() -> (u32, u32) {
    const NOBODY_AT_ALL: u32 = u32::MAX;
    (set_user(NOBODY_AT_ALL), set_group(NOBODY_AT_ALL))
}

/// From now on this thread has an umask, a root and a working directory of its own.
pub(crate) fn unshare_umask() -> Result<(), Errno> {
    // SAFETY: a number goes in; what the thread shared with others stays as it is for them.
    match unsafe { libc::unshare(libc::CLONE_FS) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

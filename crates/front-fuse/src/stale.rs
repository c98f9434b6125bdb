//! What is left of a mount whose process was killed: its callers are told ENOTCONN until somebody unmounts it.
//!
//! Nothing in there can be asked any more, so that it is known by its device in `/proc/self/mountinfo`, and only unmounted
//! where it is what callers see: something else may have been mounted there since.

use crate::mount::{KIND, MountError};
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags, major, minor};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const NOT_CONNECTED: i32 = Errno::NOTCONN.raw_os_error();

/// Where a mountpoint is, links followed. What is mounted there is not asked: that may be this very process.
///
/// # Errors
/// There is no such directory.
pub fn mountpoint(at: &Path) -> std::io::Result<PathBuf> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let place = rustix::fs::open(at, flags, Mode::empty())?;
    std::fs::read_link(format!("/proc/self/fd/{}", place.as_raw_fd()))
}

/// The same, after a mount has been taken away there whose process has ended.
pub(crate) fn cleared(at: &Path) -> Result<PathBuf, MountError> {
    let told = |why: std::io::Error| MountError::new(format_args!("{}: {why}", at.display()));
    let place = mountpoint(at).map_err(told)?;
    let dead = std::fs::metadata(&place).err().filter(|why| why.raw_os_error() == Some(NOT_CONNECTED));
    let Some(why) = dead else { return Ok(place) };
    let mounts = std::fs::read("/proc/self/mountinfo").map_err(MountError::new)?;
    match topmost_at(&mounts, &place) {
        Some(seen) if seen.kind == KIND.as_bytes() => {}
        Some(_) | None => return Err(told(why)),
    }
    detach(&place)?;
    tracing::warn!(at = %place.display(), "unmounted what a process that has ended had left there");
    Ok(place)
}

/// The device of the file system that is seen at `at`, as `mountinfo` writes it.
pub(crate) fn device_at(at: &Path) -> Result<String, MountError> {
    let seen = std::fs::metadata(at);
    let seen = seen.map_err(|why| MountError::new(format_args!("{}: {why}", at.display())))?.dev();
    Ok(format!("{}:{}", major(seen), minor(seen)))
}

/// Unmounts what is at `at`, if it still is the mount with this device ([`crate::Mount::device`]); whether it was.
///
/// # Errors
/// What umount(2) says.
pub fn unmount_stale(at: &Path, device: &str) -> Result<bool, MountError> {
    let mounts = std::fs::read("/proc/self/mountinfo").map_err(MountError::new)?;
    match topmost_at(&mounts, at) {
        Some(seen) if seen.device == device.as_bytes() => detach(at).map(|()| true),
        Some(_) | None => Ok(false),
    }
}

pub(crate) fn detach(at: &Path) -> Result<(), MountError> {
    let done = rustix::mount::unmount(at, UnmountFlags::DETACH);
    done.map_err(|why| MountError::new(format_args!("umount {}: {why}", at.display())))
}

/// What is seen at a place.
struct Seen<'a> {
    device: &'a [u8],
    /// The type of the file system.
    kind: &'a [u8],
}

/// What was mounted last at a place (proc_pid_mountinfo(5): the third and the fifth word of a line, and the first after
/// the dash).
fn topmost_at<'a>(mounts: &'a [u8], at: &Path) -> Option<Seen<'a>> {
    let at = escaped(at.as_os_str().as_bytes());
    let lines = mounts.split(|byte| *byte == b'\n').rev();
    let mut places = lines.filter_map(|line| {
        let mut words = line.split(|byte| *byte == b' ').skip(2);
        let (device, place) = (words.next()?, words.nth(1)?);
        let kind = words.skip_while(|word| *word != b"-").nth(1)?;
        Some((place, Seen { device, kind }))
    });
    places.find(|(place, _)| *place == at).map(|(_, seen)| seen)
}

/// A path as `mountinfo` writes it.
fn escaped(path: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(path.len());
    for byte in path {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => text.extend(format!("\\{byte:03o}").bytes()),
            byte => text.push(*byte),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_seen_there_is_meant() {
        let mounts = b"21 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                       30 21 0:40 / /mnt/a\\040b rw shared:1 - fuse.farshare /d rw\n\
                       31 21 0:41 / /mnt/c rw - fuse.farshare /d rw\n\
                       32 31 0:42 / /mnt/c rw - tmpfs none rw\n";
        let seen = |path: &str| topmost_at(mounts, Path::new(path));
        let at = |path: &str| seen(path).map(|seen| seen.device);
        assert_eq!(at("/mnt/a b"), Some(&b"0:40"[..]));
        assert_eq!(at("/mnt/c"), Some(&b"0:42"[..]), "something else lies over it by now");
        assert_eq!(at("/mnt"), None);
        assert_eq!(seen("/mnt/a b").map(|seen| seen.kind), Some(&b"fuse.farshare"[..]));
    }
}

//! What is left of a mount whose process was killed: its callers are told ENOTCONN until somebody unmounts it.
//!
//! Nothing in there can be asked any more, so that it is known by its device in `/proc/self/mountinfo`, and only unmounted
//! where it is what callers see: something else may have been mounted there since.

use crate::mount::MountError;
use rustix::fs::{major, minor};
use rustix::mount::UnmountFlags;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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
    if topmost_at(&mounts, at) != Some(device.as_bytes()) {
        return Ok(false);
    }
    match rustix::mount::unmount(at, UnmountFlags::DETACH) {
        Ok(()) => Ok(true),
        Err(why) => Err(MountError::new(format_args!("umount {}: {why}", at.display()))),
    }
}

/// The device of what was mounted last at a place (proc_pid_mountinfo(5): the third and the fifth word of a line).
fn topmost_at<'a>(mounts: &'a [u8], at: &Path) -> Option<&'a [u8]> {
    let at = escaped(at.as_os_str().as_bytes());
    let lines = mounts.split(|byte| *byte == b'\n').rev();
    let mut places = lines.filter_map(|line| {
        let mut words = line.split(|byte| *byte == b' ').skip(2);
        Some((words.next()?, words.nth(1)?))
    });
    places.find(|(_, place)| *place == at).map(|(device, _)| device)
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
        let at = |path: &str| topmost_at(mounts, Path::new(path));
        assert_eq!(at("/mnt/a b"), Some(&b"0:40"[..]));
        assert_eq!(at("/mnt/c"), Some(&b"0:42"[..]), "something else lies over it by now");
        assert_eq!(at("/mnt"), None);
    }
}

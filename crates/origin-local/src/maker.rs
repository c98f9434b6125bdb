//! Making objects as somebody: they are his from the moment they are there (`setfsuid(2)`), and his umask holds for them, but
//! where the directory passes on an access control list, which only the kernel knows.
//!
//! Both belong to the thread. For the umask a thread that makes something leaves what it shares with the others, once;
//! nobody here changes the working directory, which goes with it.

use crate::error::Outcome;
use crate::sys;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::cell::Cell;
use volume::{ErrorKind, Maker};

/// Who this thread acts as until it is dropped.
struct Acting {
    uid: u32,
    gid: u32,
    umask: Mode,
}

/// Has something made as `maker`, or without one as this process.
pub(crate) fn making<T>(maker: Option<Maker>, make: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let _acting = match maker {
        Some(maker) => Some(Acting::begin(maker)?),
        None => None,
    };
    make()
}

impl Acting {
    fn begin(maker: Maker) -> Outcome<Acting> {
        leave_the_others()?;
        let umask = rustix::process::umask(Mode::from_bits_truncate(maker.umask & 0o777));
        // The group first: without the user's privileges it could not be set.
        let gid = sys::set_group(maker.gid);
        let acting = Acting { uid: sys::set_user(maker.uid), gid, umask };
        if !sys::acts_as(maker.uid, maker.gid) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        // Whether he may was judged by who asks, who knows all his groups.
        if acting.uid != maker.uid {
            override_permissions()?;
        }
        Ok(acting)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        // Going back to root gives the capabilities back too (capabilities(7)).
        sys::set_user(self.uid);
        sys::set_group(self.gid);
        rustix::process::umask(self.umask);
    }
}

/// What a file system user other than root takes away.
fn override_permissions() -> Result<(), Errno> {
    let mut sets = capabilities(None)?;
    let wanted = CapabilitySet::DAC_OVERRIDE & sets.permitted;
    if sets.effective.contains(wanted) {
        return Ok(());
    }
    sets.effective |= wanted;
    set_capabilities(None, sets)
}

fn leave_the_others() -> Result<(), Errno> {
    thread_local!(static LEFT: Cell<bool> = const { Cell::new(false) });
    if LEFT.get() {
        return Ok(());
    }
    sys::unshare_umask()?;
    LEFT.set(true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    #[ignore = "needs root"]
    fn what_is_made_is_its_makers_and_nobody_elses_umask_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made");
        let before = rustix::process::umask(Mode::from_bits_truncate(0o027));
        let maker = Maker { uid: 65_533, gid: 65_532, umask: 0o007 };
        making(Some(maker), || Ok(std::fs::create_dir(&path)?)).unwrap();
        let other = std::thread::spawn(|| rustix::process::umask(Mode::from_bits_truncate(0o027)));
        assert_eq!(other.join().unwrap().bits(), 0o027);
        rustix::process::umask(before);
        let made = std::fs::metadata(&path).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (65_533, 65_532, 0o770));
        std::fs::write(dir.path().join("after"), "").unwrap();
        assert_eq!(std::fs::metadata(dir.path().join("after")).unwrap().uid(), 0);
    }
}

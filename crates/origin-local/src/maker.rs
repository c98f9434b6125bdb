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

/// What this thread is when it acts as nobody else. Nothing here changes that.
#[derive(Clone, Copy)]
struct Own {
    uid: u32,
    gid: u32,
    umask: Mode,
}

/// Who this thread acts as until it is dropped: of what it is itself, that which had to be changed.
struct Acting {
    uid: Option<u32>,
    gid: Option<u32>,
    umask: Option<Mode>,
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
        let own = own()?;
        let umask = Mode::from_bits_truncate(maker.umask & 0o777);
        let mut acting = Acting { uid: None, gid: None, umask: None };
        if umask != own.umask {
            acting.umask = Some(rustix::process::umask(umask));
        }
        // The group first: without the user's privileges it could not be set.
        if maker.gid != own.gid {
            acting.gid = Some(sys::set_group(maker.gid));
        }
        if maker.uid != own.uid {
            acting.uid = Some(sys::set_user(maker.uid));
        }
        let other = acting.uid.is_some() || acting.gid.is_some();
        if other && !sys::acts_as(maker.uid, maker.gid) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        // Whether he may was judged by who asks, who knows all his groups.
        if acting.uid.is_some() {
            override_permissions()?;
        }
        Ok(acting)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        // Going back to root gives the capabilities back too (capabilities(7)).
        self.uid.map(sys::set_user);
        self.gid.map(sys::set_group);
        self.umask.map(rustix::process::umask);
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

/// What this thread is, which has left the others for that.
fn own() -> Result<Own, Errno> {
    thread_local!(static OWN: Cell<Option<Own>> = const { Cell::new(None) });
    if let Some(own) = OWN.get() {
        return Ok(own);
    }
    sys::unshare_umask()?;
    let umask = rustix::process::umask(Mode::empty());
    rustix::process::umask(umask);
    let (uid, gid) = sys::acting();
    let own = Own { uid, gid, umask };
    OWN.set(Some(own));
    Ok(own)
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

//! The descriptor of an open file, which knows whether the file's file system may fail to answer.
//!
//! Even `close` asks that: a FUSE daemon is told and waited for, a network share takes what was written.

use crate::file::Stamp;
use crate::pool::Lies;
use crate::volume::Disk;
use rustix::fd::OwnedFd;
use std::ops::Deref;
use std::sync::Arc;

pub(crate) struct Descriptor {
    /// Until it is dropped.
    fd: Option<OwnedFd>,
    /// Of a file that must not be touched on the spot: what its ticket tells, which is asked for on the spot.
    beyond: Option<(Stamp, Arc<Disk>)>,
}

impl Descriptor {
    pub(crate) fn new(fd: OwnedFd, beyond: Option<Stamp>, disk: &Arc<Disk>) -> Arc<Descriptor> {
        Arc::new(Descriptor { fd: Some(fd), beyond: beyond.map(|stamp| (stamp, disk.clone())) })
    }

    pub(crate) fn lies(&self) -> Lies {
        if self.beyond.is_some() { Lies::Beyond } else { Lies::Here }
    }

    /// What was found when it was opened, where it cannot be asked now.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        self.beyond.as_ref().map(|(stamp, _)| *stamp)
    }
}

impl Deref for Descriptor {
    type Target = OwnedFd;

    fn deref(&self) -> &OwnedFd {
        self.fd.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let (fd, beyond) = (self.fd.take(), self.beyond.take());
        // Without a runtime nobody else waits for this thread.
        if let (Some((_, disk)), Ok(_)) = (beyond, tokio::runtime::Handle::try_current()) {
            disk.pool.start(Lies::Beyond, move || drop(fd));
        }
    }
}

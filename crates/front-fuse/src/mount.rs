//! Mounting and unmounting.
//!
//! mount(2) is for root; other users need `fusermount3`, which is not asked yet. While a [`Mount`] lives its threads serve;
//! dropping it unmounts: at once for new callers, for those who are in there when they leave.

use crate::backing::BackingOf;
use crate::device::Device;
use crate::session::{self, Session};
use crate::stale;
use rustix::fd::AsRawFd;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use std::ffi::CString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use vfs::Vfs;
use volume::{Cx, FileId, Priority, VPath};

/// The type of these file systems.
pub(crate) const KIND: &str = "fuse.farshare";

/// How a volume is mounted.
#[derive(Clone, Debug)]
pub struct MountConfig {
    /// What `mount` and `df` show in the place of a device.
    pub source: String,
    /// Others than who mounts may enter.
    pub allow_other: bool,
    /// Setuid bits and devices in there mean what they say.
    pub suid_and_dev: bool,
    pub read_only: bool,
    /// How long the kernel believes names and attributes without asking.
    pub valid: Duration,
    /// By which the kernel reads and writes files itself (`backing.rs`). Only where this mount is the one user of its volume,
    /// and nothing between `vfs` and the file has to know of what is written.
    pub backing: Option<BackingOf>,
    /// Threads that read requests. Each may wait for a local disk.
    pub threads: usize,
}

impl MountConfig {
    pub fn new(source: impl Into<String>) -> MountConfig {
        MountConfig {
            source: source.into(),
            allow_other: true,
            suid_and_dev: false,
            read_only: false,
            valid: Duration::from_secs(1),
            backing: None,
            threads: 2 * std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8),
        }
    }
}

/// Why a volume cannot be mounted.
#[derive(Debug)]
pub struct MountError(String);

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MountError {}

impl MountError {
    pub(crate) fn new(what: impl fmt::Display) -> MountError {
        MountError(what.to_string())
    }
}

/// A volume that is mounted.
pub struct Mount {
    at: PathBuf,
    device: String,
    threads: Vec<JoinHandle<()>>,
    ended: watch::Receiver<bool>,
    unmounted: bool,
}

impl Mount {
    /// Mounts `vfs` over the directory `at`. Must be called inside a tokio runtime, on which what waits goes on.
    ///
    /// # Errors
    /// In words for who mounts: no `/dev/fuse`, no right to mount, no such directory, a kernel that is too old.
    pub async fn new(vfs: Vfs, at: &Path, config: &MountConfig) -> Result<Mount, MountError> {
        let at = at.to_owned();
        // What is there already is asked, and may be this very process.
        let at = tokio::task::spawn_blocking(move || stale::cleared(&at)).await;
        let at = at.map_err(MountError::new)??;
        let root = vfs.look(&Cx::system(Priority::Interactive), &VPath::root()).await;
        let root = root.map_err(|why| MountError::new(format_args!("the volume's root: {why}")))?.id;
        let device = Arc::new(Device::open()?);
        mount(&device, &at, config)?;
        let threads = begin(vfs, root, &device, config).inspect_err(|_| {
            let _ = rustix::mount::unmount(&at, UnmountFlags::DETACH);
        });
        let (threads, ended) = threads?;
        let mut mount = Mount { at: at.clone(), device: String::new(), threads, ended, unmounted: false };
        // The mount itself is asked.
        let asked = tokio::task::spawn_blocking(move || stale::device_at(&at)).await;
        mount.device = asked.map_err(MountError::new)??;
        Ok(mount)
    }

    /// Where it is mounted, and by which device it is known there.
    pub fn device(&self) -> (&Path, &str) {
        (&self.at, &self.device)
    }

    /// Returns when it is mounted no more, whoever unmounted it.
    pub async fn ended(&self) {
        // An error says that all threads have gone, which is the same.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Whether it still is mounted, as far as this process has been told.
    pub fn is_mounted(&self) -> bool {
        !self.unmounted && !*self.ended.borrow()
    }

    /// Unmounts unless somebody is in there; whether it is unmounted now. Blocks for what requests take.
    ///
    /// # Errors
    /// What umount(2) says.
    pub fn try_unmount(&mut self) -> Result<bool, MountError> {
        if !self.is_mounted() {
            return Ok(true);
        }
        match rustix::mount::unmount(&self.at, UnmountFlags::empty()) {
            Ok(()) => self.unmounted = true,
            Err(Errno::BUSY) => return Ok(false),
            // Somebody has, for new callers; those who are in there are served on.
            Err(Errno::INVAL) => {
                self.unmounted = true;
                return Ok(true);
            }
            Err(why) => {
                return Err(MountError::new(format_args!("umount {}: {why}", self.at.display())));
            }
        }
        self.join().map(|()| true)
    }

    /// Unmounts; what was asked for before is answered. Blocks until the last caller has left, at most for what its
    /// requests take.
    ///
    /// # Errors
    /// What umount(2) says; files that are open in there do not keep it mounted.
    pub fn unmount(mut self) -> Result<(), MountError> {
        self.detach()?;
        self.join()
    }

    fn join(&mut self) -> Result<(), MountError> {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                return Err(MountError::new("a thread that served the mount has panicked"));
            }
        }
        Ok(())
    }

    fn detach(&mut self) -> Result<(), MountError> {
        if std::mem::replace(&mut self.unmounted, true) || *self.ended.borrow() {
            return Ok(());
        }
        stale::detach(&self.at)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(why) = self.detach() {
            tracing::warn!(%why, "it stays mounted");
        }
    }
}

fn mount(device: &Device, at: &Path, config: &MountConfig) -> Result<(), MountError> {
    let owner = mounter();
    let mut data = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions",
        device.fd().as_raw_fd(),
        owner.0,
        owner.1
    );
    if config.allow_other {
        data.push_str(",allow_other");
    }
    let mut flags = MountFlags::empty();
    flags.set(MountFlags::NOSUID | MountFlags::NODEV, !config.suid_and_dev);
    flags.set(MountFlags::RDONLY, config.read_only);
    let data = CString::new(data).map_err(MountError::new)?;
    match rustix::mount::mount(&*config.source, at, KIND, flags, &*data) {
        Ok(()) => Ok(()),
        Err(why @ Errno::PERM) => Err(MountError::new(format_args!(
            "{}: {why}: mounting is for root, and needs CAP_SYS_ADMIN",
            at.display()
        ))),
        Err(why) => Err(MountError::new(format_args!("mount over {}: {why}", at.display()))),
    }
}

/// Who this process mounts as: user and group.
pub(crate) fn mounter() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

type Begun = (Vec<JoinHandle<()>>, watch::Receiver<bool>);

/// Agrees with the kernel and lets the threads begin.
fn begin(vfs: Vfs, root: FileId, device: &Arc<Device>, config: &MountConfig) -> Result<Begun, MountError> {
    let session = Arc::new(Session::agree(vfs, root, device.clone(), config)?);
    let (ends, ended) = watch::channel(false);
    let ends = Arc::new(ends);
    let start = |number| {
        let (session, runtime, ends) = (session.clone(), Handle::current(), ends.clone());
        let name = format!("fuse-{number}");
        std::thread::Builder::new().name(name).spawn(move || {
            session::serve_thread(&session, &runtime);
            ends.send_replace(true);
        })
    };
    let threads = (0..config.threads.max(1)).map(start).collect::<Result<_, _>>();
    Ok((threads.map_err(|why| MountError::new(format_args!("no thread: {why}")))?, ended))
}

//! `farshare mount DIR MOUNTPOINT`: a directory of this machine, mounted until it is unmounted or this ends. What is left
//! of it when this process is killed is unmounted by another (`mount_guard.rs`).

use crate::cli::MountArgs;
use crate::failure::Failure;
use crate::mount_guard::Guard;
use crate::process::Signals;
use crate::supervise;
use front_fuse::{Mount, MountConfig};
use origin_local::{LocalConfig, LocalVolume};
use std::time::Duration;
use vfs::{Vfs, VfsConfig};

pub async fn run(args: &MountArgs) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(Failure::failed)?;
    // The kernel asks again for what others may have changed; nobody here wants to be told.
    // As to all processes of this machine, what only SMB knows means nothing.
    let config = LocalConfig {
        posix: true,
        dos_attributes: false,
        watch: false,
        read_only: args.read_only,
        ..LocalConfig::default()
    };
    let volume = LocalVolume::open(&args.dir, config).map_err(Failure::failed)?;
    let vfs = Vfs::new(volume, VfsConfig { read_only: args.read_only, ..VfsConfig::default() });
    let config = MountConfig {
        allow_other: !args.private,
        suid_and_dev: args.suid_and_dev,
        read_only: args.read_only,
        valid: Duration::from_millis(args.valid_ms),
        // Nobody else uses this volume, and nothing is between it and the mount.
        backing: Some(LocalVolume::descriptor_of),
        ..MountConfig::new(args.dir.display().to_string())
    };
    let mount = Mount::new(vfs, &args.mountpoint, &config).await.map_err(Failure::failed)?;
    let guard = Guard::start(&mount)?;
    tracing::info!(dir = %args.dir.display(), at = %args.mountpoint.display(), "mounted");
    supervise::tell_systemd("READY=1");
    tokio::select! {
        () = mount.ended() => {}
        _ = signals.next() => {}
    }
    let unmounted = tokio::task::spawn_blocking(move || mount.unmount()).await;
    unmounted.map_err(Failure::failed)?.map_err(Failure::failed)?;
    guard.end()
}

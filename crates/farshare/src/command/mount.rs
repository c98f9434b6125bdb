//! `farshare mount DIR MOUNTPOINT`: a directory of this machine, mounted until it is unmounted or this ends.
//!
//! A second process waits for the end of this one, to unmount what is left when it was killed: it holds the other end of a
//! pipe, which the kernel closes whatever happens.

use crate::cli::{MountArgs, MountGuardArgs};
use crate::failure::Failure;
use crate::process::Signals;
use crate::supervise;
use front_fuse::{Mount, MountConfig, unmount_stale};
use origin_local::{LocalConfig, LocalVolume};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use vfs::{Vfs, VfsConfig};

pub async fn run(args: &MountArgs) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(Failure::failed)?;
    // The kernel asks again for what others may have changed; nobody here wants to be told.
    let config =
        LocalConfig { posix: true, watch: false, read_only: args.read_only, ..LocalConfig::default() };
    let volume = LocalVolume::open(&args.dir, config).map_err(Failure::failed)?;
    let vfs = Vfs::new(volume, VfsConfig { read_only: args.read_only, ..VfsConfig::default() });
    let config = MountConfig {
        allow_other: !args.private,
        suid_and_dev: args.suid_and_dev,
        read_only: args.read_only,
        valid: Duration::from_millis(args.valid_ms),
        ..MountConfig::new(args.dir.display().to_string())
    };
    let mount = Mount::new(vfs, &args.mountpoint, &config).await.map_err(Failure::failed)?;
    let guard = start_guard(&mount)?;
    tracing::info!(dir = %args.dir.display(), at = %args.mountpoint.display(), "mounted");
    supervise::tell_systemd("READY=1");
    tokio::select! {
        () = mount.ended() => {}
        _ = signals.next() => {}
    }
    let unmounted = tokio::task::spawn_blocking(move || mount.unmount()).await;
    unmounted.map_err(Failure::failed)?.map_err(Failure::failed)?;
    end_guard(guard)
}

fn start_guard(mount: &Mount) -> Result<Child, Failure> {
    let (at, device) = mount.device();
    let program = std::env::current_exe().map_err(Failure::failed)?;
    // Of a process group of its own: Ctrl-C is not for it.
    let started = Command::new(program)
        .arg("mount-guard")
        .arg(device)
        .arg(at)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn();
    started.map_err(|why| Failure::failed(format_args!("the guard of the mount: {why}")))
}

/// There is nothing left for it to unmount.
fn end_guard(mut guard: Child) -> Result<(), Failure> {
    drop(guard.stdin.take());
    guard.wait().map(drop).map_err(|why| Failure::failed(format_args!("the guard of the mount: {why}")))
}

/// `farshare mount-guard`: the second process.
pub fn guard(args: &MountGuardArgs) -> Result<(), Failure> {
    let mut nothing = Vec::new();
    // It ends when nobody can write any more, and nobody does.
    std::io::stdin().read_to_end(&mut nothing).map_err(Failure::failed)?;
    if unmount_stale(&args.mountpoint, &args.device).map_err(Failure::failed)? {
        tracing::warn!(at = %args.mountpoint.display(), "unmounted: its process has ended and left it");
    }
    Ok(())
}

//! A second process that waits for the end of this one, to unmount what is left when it was killed: it holds the other end
//! of a pipe, which the kernel closes whatever happens. Each mount has its own.

use crate::cli::MountGuardArgs;
use crate::failure::Failure;
use front_fuse::{Mount, unmount_stale};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Of one mount.
pub struct Guard(Child);

impl Guard {
    pub fn start(mount: &Mount) -> Result<Guard, Failure> {
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
        started.map(Guard).map_err(|why| Failure::failed(format_args!("the guard of the mount: {why}")))
    }

    /// There is nothing left for it to unmount.
    pub fn end(mut self) -> Result<(), Failure> {
        drop(self.0.stdin.take());
        self.0.wait().map(drop).map_err(|why| Failure::failed(format_args!("the guard of the mount: {why}")))
    }
}

/// `farshare mount-guard`: the second process.
pub fn run(args: &MountGuardArgs) -> Result<(), Failure> {
    let mut nothing = Vec::new();
    // It ends when nobody can write any more, and nobody does.
    std::io::stdin().read_to_end(&mut nothing).map_err(Failure::failed)?;
    if unmount_stale(&args.mountpoint, &args.device).map_err(Failure::failed)? {
        tracing::warn!(at = %args.mountpoint.display(), "unmounted: its process has ended and left it");
    }
    Ok(())
}

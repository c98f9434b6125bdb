//! A network and mounts of this process's own, and file systems for it: whatever way it ends, they end with it.

use crate::Outcome;
use crate::process::{Scratch, output};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The address of this process's own network, besides loopback.
const ADDRESS: &str = "10.87.0.1";

/// From now on this process and what it starts have a network with every port free, and mounts that nobody else sees.
/// To be called before there is a second thread.
pub fn seclude() -> Outcome {
    // SAFETY: it changes what the calling thread, the only one, sees from here on; no memory is touched.
    if unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) } != 0 {
        return Err(format!("a network and mounts of its own: {}", std::io::Error::last_os_error()));
    }
    run("mount", &["--make-rprivate", "/"])?;
    run("ip", &["link", "set", "lo", "up"])?;
    // What leads to other machines, as far as a server can see.
    run("ip", &["link", "add", "rig0", "type", "veth", "peer", "rig1"])?;
    run("ip", &["address", "add", &format!("{ADDRESS}/24"), "dev", "rig0"])?;
    run("ip", &["link", "set", "rig1", "up"])?;
    run("ip", &["link", "set", "rig0", "up"])
}

/// A file system that is mounted as long as this lives.
pub struct Mounted(PathBuf);

impl Mounted {
    /// A new btrfs in a file of `scratch`, which takes as much room as is written into it.
    pub fn btrfs(scratch: &Scratch, name: &str, size: &str) -> Outcome<Mounted> {
        Mounted::made(scratch, name, size, "btrfs", "--quiet")
    }

    /// The same of XFS.
    pub fn xfs(scratch: &Scratch, name: &str, size: &str) -> Outcome<Mounted> {
        Mounted::made(scratch, name, size, "xfs", "-q")
    }

    /// The same of ext4.
    pub fn ext4(scratch: &Scratch, name: &str, size: &str) -> Outcome<Mounted> {
        Mounted::made(scratch, name, size, "ext4", "-q")
    }

    /// What another process has mounted at `at`: it is unmounted with this.
    pub fn by_another(at: &Path) -> Mounted {
        Mounted(at.to_owned())
    }

    fn made(scratch: &Scratch, name: &str, size: &str, kind: &str, quiet: &str) -> Outcome<Mounted> {
        let file = scratch.file(&format!("{name}.{kind}"), "")?;
        let file = file.to_str().ok_or("a scratch directory whose path is no UTF-8")?;
        run("truncate", &["--size", size, file])?;
        run(&format!("mkfs.{kind}"), &[quiet, file])?;
        mount(&["-t", kind, "-o", "loop", file], scratch.dir(name)?)
    }

    /// A file system in memory that has neither extended attributes nor what is made of them.
    pub fn plain(scratch: &Scratch, name: &str) -> Outcome<Mounted> {
        mount(&["-t", "ramfs", "ramfs"], scratch.dir(name)?)
    }

    /// What lies at `from`, a directory or a file, at `to` too, where there is one of its kind.
    pub fn bind(from: &Path, to: &Path) -> Outcome<Mounted> {
        let from = from.to_str().ok_or("a path that is no UTF-8")?;
        mount(&["--bind", from], to.to_owned())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // With --lazy it cannot fail for who still holds a file there.
        let mut command = Command::new("umount");
        command.arg("--lazy").arg(&self.0);
        if let Err(error) = output(command) {
            eprintln!("e2e: {error}");
        }
    }
}

fn mount(what: &[&str], at: PathBuf) -> Outcome<Mounted> {
    let mut command = Command::new("mount");
    command.args(what).arg(&at);
    output(command)?;
    Ok(Mounted(at))
}

fn run(program: &str, words: &[&str]) -> Outcome {
    let mut command = Command::new(program);
    command.args(words);
    output(command).map(drop)
}

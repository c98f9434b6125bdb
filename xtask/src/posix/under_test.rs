//! What the suites run on, made for them and taken down after: a directory of a new ext4, by itself or with a FUSE
//! file system over it.
//!
//! The mounts are of this process's own (`e2e::seclude`): they end with it, whatever way it ends. The daemon of a FUSE
//! file system gets a signal then.

use crate::run::Outcome;
use e2e::{Mounted, Running, Scratch, program, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// It takes as much room as is written.
const DISK_SIZE: &str = "8G";
const MOUNT_PATIENCE: Duration = Duration::from_secs(30);

/// Which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Farshare,
    /// The file system below, the one that the others are held against.
    Ext4,
    /// A peer in the same place as farshare.
    Bindfs,
    /// libfuse's example, as it was built; for `bench`.
    PassthroughHp(PathBuf),
    /// What somebody has mounted already.
    At(PathBuf),
}

impl Kind {
    pub fn name(&self) -> &str {
        match self {
            Kind::Farshare => "farshare",
            Kind::Ext4 => "ext4",
            Kind::Bindfs => "bindfs",
            Kind::PassthroughHp(_) => "passthrough_hp",
            Kind::At(_) => "at",
        }
    }
}

/// Dropped in this order: the file system on top, its daemon, what lies below.
pub struct UnderTest {
    dir: PathBuf,
    _over: Option<Mounted>,
    daemon: Option<Running>,
    _disk: Option<Mounted>,
    other: Mounted,
    _scratch: Scratch,
}

impl UnderTest {
    /// Where the suites work.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A directory of another file system.
    pub fn other(&self) -> &Path {
        self.other.path()
    }

    /// Who shows it.
    pub fn daemon(&self) -> Option<&Running> {
        self.daemon.as_ref()
    }

    /// What to say of a daemon that did not live through a suite.
    pub fn lost(&mut self) -> Option<String> {
        let daemon = self.daemon.as_mut()?;
        (!daemon.is_running()).then(|| daemon.log())
    }
}

/// Makes it. This process has mounts of its own already.
pub fn mounted(kind: &Kind) -> Outcome<UnderTest> {
    let scratch = Scratch::new()?;
    open_to_all(scratch.path())?;
    let other = Mounted::plain(&scratch, "other")?;
    if let Kind::At(dir) = kind {
        return Ok(UnderTest {
            dir: dir.clone(),
            _over: None,
            daemon: None,
            _disk: None,
            other,
            _scratch: scratch,
        });
    }
    let disk = Mounted::ext4(&scratch, "disk", DISK_SIZE)?;
    // The mount holds it; so it takes no room any more when this process is killed.
    let image = scratch.path().join("disk.ext4");
    fs::remove_file(&image).map_err(|error| format!("{}: {error}", image.display()))?;
    let (tree, over) = (new_dir(disk.path(), "tree")?, new_dir(disk.path(), "over")?);
    let Some(command) = daemon_of(kind, &tree, &over) else {
        return Ok(UnderTest {
            dir: tree,
            _over: None,
            daemon: None,
            _disk: Some(disk),
            other,
            _scratch: scratch,
        });
    };
    let daemon = over_it(kind, command, &over, &scratch)?;
    let mount = Mounted::by_another(&over);
    Ok(UnderTest {
        dir: over,
        _over: Some(mount),
        daemon: Some(daemon),
        _disk: Some(disk),
        other,
        _scratch: scratch,
    })
}

/// The command that shows `tree` at `over` until it is ended.
fn daemon_of(kind: &Kind, tree: &Path, over: &Path) -> Option<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    match kind {
        Kind::Farshare => command.arg(program()).args(["mount", "--suid-and-dev"]),
        Kind::Bindfs => command.args(["bindfs", "-f"]),
        Kind::PassthroughHp(program) => command.arg(program).arg("--foreground"),
        Kind::Ext4 | Kind::At(_) => return None,
    };
    command.args([tree, over]);
    Some(command)
}

/// Starts the daemon and waits until another file system than the one below is seen at `over`.
fn over_it(kind: &Kind, command: Command, over: &Path, scratch: &Scratch) -> Outcome<Running> {
    let name = kind.name();
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let below = device(over);
    let mut daemon = Running::start(name, command, &scratch.path().join("daemon.log"))?;
    let there = || device(over).is_some_and(|device| Some(device) != below);
    let settled = wait_until(MOUNT_PATIENCE, || there() || !daemon.is_running());
    match settled && there() {
        true => Ok(daemon),
        false => Err(format!("{name} does not mount:\n{}", daemon.log())),
    }
}

/// A directory that the suites' users may go through.
fn new_dir(above: &Path, name: &str) -> Outcome<PathBuf> {
    let dir = above.join(name);
    fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    open_to_all(&dir)?;
    Ok(dir)
}

fn open_to_all(dir: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir, mode).map_err(|error| format!("{}: {error}", dir.display()))
}

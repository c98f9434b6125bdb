//! How to serve a directory.

/// How a local directory is served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalConfig {
    /// Every change is refused.
    pub read_only: bool,
    /// Each change of a name is on the medium before it is answered: an `fsync` of its directory each time.
    pub sync_changes: bool,
    /// Changes that others make are noticed: `watch` works. It costs a thread that hears of our own too.
    pub watch: bool,
    /// Most directories watched for changes. Beyond it, or beyond `fs.inotify.max_user_watches`, the volume
    /// does not claim to notice all changes.
    pub watched_dirs_max: usize,
    /// This process changes what is below the root by way of this volume alone, and this volume has one user, who knows
    /// what he does: then changes by this process are told as [`volume::Author::Us`], until [`crate::LocalVolume::share`].
    pub sole: bool,
    /// What POSIX callers set is set: owners, setuid, setgid and sticky bits, devices, attributes of the operating system,
    /// links that lead anywhere. For callers whom the kernel has judged (a mount, [`volume::Who::System`]), not for those
    /// from afar, users and sites, for whom all is as without: other processes of this machine believe all that.
    pub posix: bool,
    /// What MS-FSCC has beside POSIX is kept in an extended attribute: attributes like READONLY, times of birth, which kinds
    /// of values there are. Each look reads it. Without, nothing of that is told, looked at or set, as no process of this
    /// machine does.
    pub dos_attributes: bool,
    /// Changes are noticed by inotify, though fanotify would do, which tells who made them.
    pub by_inotify: bool,
}

impl Default for LocalConfig {
    fn default() -> LocalConfig {
        LocalConfig {
            read_only: false,
            sync_changes: false,
            watch: true,
            watched_dirs_max: 1_000_000,
            sole: false,
            posix: false,
            dos_attributes: true,
            by_inotify: false,
        }
    }
}

//! What a volume can do. Origins state it and never fake; a missing ability is added by one layer above or
//! answered `Unsupported` at once.

/// How names relate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Namespace {
    /// Directories hold names.
    Tree,
    /// A flat set of keys: `a`, `a/b`, `a//b` and `a/` are four things.
    Keys,
}

/// What a volume can do; constant while it is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps {
    pub namespace: Namespace,
    /// `FileId`s stay the same through rename and restart.
    pub stable_ids: bool,
    /// Rename is one atomic step, also over an existing file.
    pub atomic_rename: bool,
    /// Writing in the middle of a file, and changing its size.
    pub random_write: bool,
    /// `Change::Link` works.
    pub hard_links: bool,
    /// `Change::Symlink` works.
    pub symlinks: bool,
    /// `mtime`, `atime` and `btime` can be set and are kept.
    pub set_times: bool,
    /// Attribute bits of MS-FSCC can be set and are kept.
    pub dos_attributes: bool,
    /// Two names that differ only by case are two files.
    pub case_sensitive: bool,
    /// `named`, `list_named` and `Change::SetNamed` work, on files and directories.
    pub named: bool,
    /// Longest value of these, bytes; what the origin has room for may be less.
    pub named_max: u32,
    /// `watch` works.
    pub watch: bool,
    /// Room can be given back and reserved: `File::ranges`, `File::zero` and `File::allocate` work.
    pub holes: bool,
    /// `File::copy_from` works, with `Copying::Any`.
    pub copies: bool,
    /// And with `Copying::Clone`.
    pub clones: bool,
    /// Files can be kept compressed: `SetAttr::compressed` works, and new files and directories take it from the one
    /// that they are made in.
    pub compression: bool,
    /// Quotas of users are kept: `quotas`, `quota_rules` and `set_quotas` work. Files that are made want an owner then.
    pub quotas: bool,
    /// What POSIX keeps of an object is kept: owner, setuid, setgid and sticky bits, [`crate::Named::System`] values; and
    /// `Change::MakeNode` works.
    pub posix: bool,
    /// Only reading.
    pub read_only: bool,
    /// Largest single `read_at` or `write_at` that is one request at the origin, bytes. A longer one works
    /// and costs more requests.
    pub io_size: u32,
}

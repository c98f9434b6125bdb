//! The volume as front ends see it.
use crate::*;
use std::sync::Arc;
use volume::{Attr, Caps, Cx, Freshness, Space, VPath, Volume};

/// Most symbolic links that are followed for one path.
pub const SYMLINKS_MAX: usize = 40;

/// What one volume may hold at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Opens of the volume, over all front ends.
    pub opens: usize,
    /// Byte-range locks of one file, held and waiting together.
    pub locks_per_file: usize,
    /// Events kept for one watcher between two requests.
    pub notify_events: usize,
    /// Names in all folded directory indexes together.
    pub index_names: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { opens: 262_144, locks_per_file: 16_384, notify_events: 4_096, index_names: 1_000_000 }
    }
}

/// How a volume is served.
#[derive(Clone, Debug, Default)]
pub struct VfsConfig {
    pub limits: Limits,
    /// Nothing may be changed through this `Vfs`, whatever the volume can do.
    pub read_only: bool,
    /// How many entries of directories below a listing asks for along with its own ([`volume::ListHow::ahead`]).
    pub list_ahead: u32,
}

/// One open, for `status`.
#[derive(Clone, Debug)]
pub struct OpenInfo {
    pub id: OpenId,
    pub owner: Owner,
    pub path: VPath,
    pub access: Access,
    pub share: Share,
    pub delete_pending: bool,
}

/// What is open, for `status`.
#[derive(Clone, Debug, Default)]
pub struct OpensSummary {
    pub opens: usize,
    /// Different files and directories among them.
    pub files: usize,
    /// Byte-range locks held.
    pub locks: usize,
    /// Directories watched.
    pub watchers: usize,
}

/// One volume, served. Cheap to clone; all clones are the same registry of opens.
#[derive(Clone)]
pub struct Vfs(#[allow(dead_code)] Arc<dyn Volume>);

fn unsupported() -> Error {
    Error::Volume(volume::Error::new(volume::ErrorKind::Unsupported, "vfs", "not yet"))
}

impl Vfs {
    /// Serves `volume`. Must be called inside a tokio runtime: listens to the volume's notices where it has
    /// such.
    pub fn new(volume: Arc<dyn Volume>, _config: VfsConfig) -> Vfs {
        Vfs(volume)
    }
    /// A fresh account for opens.
    pub fn new_owner(&self) -> Owner {
        Owner(0)
    }
    /// Opens, makes or empties a file or directory.
    pub async fn open(&self, _cx: &Cx, _request: OpenRequest) -> Result<Opened> {
        Err(unsupported())
    }
    /// Looks at a name without opening it, following links, ignoring case.
    pub async fn stat(&self, _cx: &Cx, _path: &VPath) -> Result<Attr> {
        Err(unsupported())
    }
    /// Room at the origin.
    pub async fn space(&self, _cx: &Cx) -> Result<Space> {
        Err(unsupported())
    }
    /// What the volume can do, `read_only` by configuration included.
    pub fn caps(&self) -> Caps {
        self.0.caps()
    }
    /// The present promise on freshness of what others change at the origin; `None` where the volume does not watch.
    pub fn freshness(&self) -> Option<Freshness> {
        None
    }
    /// Counts, for `status`.
    pub fn opens(&self) -> OpensSummary {
        OpensSummary::default()
    }
    /// Up to `most` opens, for `status`.
    pub fn list_opens(&self, _most: usize) -> Vec<OpenInfo> {
        Vec::new()
    }
}

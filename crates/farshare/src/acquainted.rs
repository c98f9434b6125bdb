//! A peer's volume whose abilities are known, from the peer or from the last time.
//!
//! `Caps` are constant while a volume is served, and layers ask for them when they are stacked. A peer may be out of
//! reach at that moment, and the node must start all the same, to serve as soon as the peer is back. So the
//! abilities are written to `<state>/volumes/NAME.json` whenever the peer tells them, and taken from there when it
//! cannot. A volume that was never reached cannot be served: nobody knows what it can do.

use async_trait::async_trait;
use origin_peer::PeerVolume;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use volume::{
    Applied, Attr, Caps, Change, Cx, ErrorKind, ListHow, Listing, Namespace, OpenHow, Opened, Priority,
    Result, Space, Ticket, VPath, Volume, Watch,
};

/// How long the peer has for its first answer: dialing and a handshake over a slow link.
const FIRST_ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// A peer's volume with constant abilities.
pub struct Acquainted {
    inner: Arc<PeerVolume>,
    caps: Caps,
}

/// What is kept in the file.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Kept {
    /// For another origin the file says nothing.
    origin: String,
    keys: bool,
    stable_ids: bool,
    atomic_rename: bool,
    random_write: bool,
    hard_links: bool,
    symlinks: bool,
    set_times: bool,
    dos_attributes: bool,
    case_sensitive: bool,
    watch: bool,
    read_only: bool,
    io_size: u32,
}

impl Acquainted {
    /// Asks the peer.
    pub async fn new(inner: Arc<PeerVolume>) -> Result<Arc<Acquainted>> {
        let cx = Cx::system(Priority::Interactive).within(FIRST_ANSWER_PATIENCE);
        let caps = inner.known(&cx).await?;
        Ok(Arc::new(Acquainted { inner, caps }))
    }

    /// Asks the peer, or the file in the state directory. `Offline` when neither knows.
    pub async fn remembered(
        inner: Arc<PeerVolume>,
        state: &Path,
        name: &str,
        origin: &str,
    ) -> Result<Arc<Acquainted>> {
        let file = state.join("volumes").join(format!("{name}.json"));
        let caps = match Acquainted::new(inner.clone()).await {
            Ok(known) => {
                if let Err(cause) = write(&file, &Kept::new(origin, known.caps)) {
                    tracing::warn!(file = %file.display(), %cause, "not remembered for a start without the peer");
                }
                return Ok(known);
            }
            Err(error) if matches!(error.kind, ErrorKind::Offline | ErrorKind::TimedOut) => {
                let kept = read(&file).filter(|kept| kept.origin == origin).ok_or(error)?;
                tracing::warn!(
                    volume = name,
                    origin,
                    "out of reach; starting with what it could do the last time"
                );
                kept.caps()
            }
            Err(error) => return Err(error),
        };
        Ok(Arc::new(Acquainted { inner, caps }))
    }
}

impl Kept {
    fn new(origin: &str, caps: Caps) -> Kept {
        Kept {
            origin: origin.to_owned(),
            keys: caps.namespace == Namespace::Keys,
            stable_ids: caps.stable_ids,
            atomic_rename: caps.atomic_rename,
            random_write: caps.random_write,
            hard_links: caps.hard_links,
            symlinks: caps.symlinks,
            set_times: caps.set_times,
            dos_attributes: caps.dos_attributes,
            case_sensitive: caps.case_sensitive,
            watch: caps.watch,
            read_only: caps.read_only,
            io_size: caps.io_size,
        }
    }

    fn caps(&self) -> Caps {
        Caps {
            namespace: if self.keys { Namespace::Keys } else { Namespace::Tree },
            stable_ids: self.stable_ids,
            atomic_rename: self.atomic_rename,
            random_write: self.random_write,
            hard_links: self.hard_links,
            symlinks: self.symlinks,
            set_times: self.set_times,
            dos_attributes: self.dos_attributes,
            case_sensitive: self.case_sensitive,
            watch: self.watch,
            read_only: self.read_only,
            io_size: self.io_size,
        }
    }
}

fn write(file: &Path, kept: &Kept) -> io::Result<()> {
    let dir = file.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    new.write_all(&serde_json::to_vec_pretty(kept)?)?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|failed| failed.error)?;
    Ok(())
}

/// `None` for a file that is missing or that nobody can make sense of: it is written anew at the next meeting.
fn read(file: &Path) -> Option<Kept> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

#[async_trait]
impl Volume for Acquainted {
    fn caps(&self) -> Caps {
        self.caps
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        self.inner.stat(cx, path).await
    }

    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        self.inner.list(cx, dir, how).await
    }

    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        self.inner.open(cx, path, how).await
    }

    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        self.inner.reopen(cx, ticket).await
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        self.inner.apply(cx, change).await
    }

    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        self.inner.read_link(cx, path).await
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        self.inner.space(cx, path).await
    }

    async fn watch(&self, cx: &Cx) -> Result<Watch> {
        self.inner.watch(cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        let caps = Caps {
            namespace: Namespace::Tree,
            stable_ids: true,
            atomic_rename: false,
            random_write: true,
            hard_links: false,
            symlinks: true,
            set_times: false,
            dos_attributes: true,
            case_sensitive: false,
            watch: true,
            read_only: false,
            io_size: 4096,
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("volumes/v.json");
        assert_eq!(read(&file), None);
        write(&file, &Kept::new("peer://dc1/v", caps)).unwrap();
        assert_eq!(read(&file).map(|kept| kept.caps()), Some(caps));
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(read(&file), None);
    }
}

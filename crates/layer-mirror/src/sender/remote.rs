//! The volume that is kept equal, and what it cannot hold.
//!
//! What a target has no room for (an owner where we are not root, attributes over SFTP) is no error: it is left out and
//! told once, so that the rest arrives.
//!
//! At a target that keeps order (`in_order`), calls take effect in the order in which they are first polled: those that need not know
//! each other's answers are begun together. Elsewhere each waits for the one before.

use crate::record::Stamp;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, join};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use volume::{
    Change, Cx, Error, ErrorKind, File, Fresh, Kind, Named, Priority, Result, SetAttr, VPath, Volume,
};

/// At the root of a mirror: what is in the making. Nobody else's business, and never compared.
pub const PRIVATE_DIR: &str = ".farshare-mirror";
/// How long a call to a mirror may take. What is stuck for so long is begun anew on another connection.
const PATIENCE: Duration = Duration::from_secs(60);
/// Zeros that are written in one go where nothing can be given back, bytes.
const ZEROS: &[u8] = &[0; 256 * 1024];

pub struct Remote {
    /// By the present connection, where there is one.
    volume: RwLock<Arc<dyn Volume>>,
    pub in_order: bool,
    /// Whom our files belong to there.
    own: Mutex<Option<(u32, u32)>>,
    lacks: Mutex<BTreeSet<Lack>>,
}

/// What a mirror does not hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lack {
    Owner,
    Attributes,
    SpecialFiles,
    HardLinks,
    Symlinks,
}

impl Lack {
    pub fn name(self) -> &'static str {
        match self {
            Lack::Owner => "owner",
            Lack::Attributes => "extended attributes and access lists",
            Lack::SpecialFiles => "fifos, sockets and devices",
            Lack::HardLinks => "hard links",
            Lack::Symlinks => "symlinks",
        }
    }
}

impl Remote {
    pub fn new(volume: Arc<dyn Volume>, in_order: bool) -> Remote {
        Remote { volume: RwLock::new(volume), in_order, own: Mutex::default(), lacks: Mutex::default() }
    }

    pub fn volume(&self) -> Arc<dyn Volume> {
        self.volume.read().clone()
    }

    /// From now on it is reached by `volume`.
    pub fn renew(&self, volume: Arc<dyn Volume>) {
        *self.volume.write() = volume;
    }

    pub fn cx(&self) -> Cx {
        Cx::system(Priority::Bulk).within(PATIENCE)
    }

    /// What was left out so far.
    pub fn lacks(&self) -> Vec<&'static str> {
        self.lacks.lock().iter().map(|lack| lack.name()).collect()
    }

    pub fn lack(&self, lack: Lack) {
        if self.lacks.lock().insert(lack) {
            tracing::info!("the mirror does not hold {}", lack.name());
        }
    }

    fn is_lacking(&self, lack: Lack) -> bool {
        self.lacks.lock().contains(&lack)
    }

    /// The directory of what is in the making, and whose files are that we make.
    pub async fn prepare(&self) -> Result<()> {
        let path = private_dir();
        let make = Change::MakeDir { path: path.clone(), mode: 0o700, dos: Default::default(), maker: None };
        match self.volume().apply(&self.cx(), &make).await {
            Err(e) if e.kind != ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let attr = self.volume().stat(&self.cx(), &path).await?;
        *self.own.lock() = Some((attr.uid, attr.gid));
        Ok(())
    }

    /// What of `stamp` is to be set on what we have made there ourselves.
    pub fn of_ours(&self, stamp: &Stamp, kind: Kind) -> SetAttr {
        let set = self.of_anybodys(stamp, kind);
        match *self.own.lock() == Some((stamp.uid, stamp.gid)) {
            true => SetAttr { uid: None, gid: None, ..set },
            false => set,
        }
    }

    /// What of `stamp` is to be set, whoever it belonged to.
    pub fn of_anybodys(&self, stamp: &Stamp, kind: Kind) -> SetAttr {
        let set = stamp.attributes(kind);
        match self.holds_owners() {
            true => set,
            false => SetAttr { uid: None, gid: None, ..set },
        }
    }

    pub fn holds_owners(&self) -> bool {
        !self.is_lacking(Lack::Owner)
    }

    /// Sets attributes by name; without the owner where that is refused.
    pub async fn set_attr(&self, path: &VPath, set: SetAttr) -> Result<()> {
        let apply = |set: SetAttr| async move {
            let change = Change::SetAttr { path: path.clone(), set, expect: None };
            self.volume().apply(&self.cx(), &change).await.map(drop)
        };
        self.dressed(set, apply).await
    }

    /// The same for an open file.
    pub async fn set_file_attr(&self, file: &dyn File, set: SetAttr) -> Result<()> {
        let apply = |set: SetAttr| async move { file.set_attr(&self.cx(), &set).await.map(drop) };
        self.dressed(set, apply).await
    }

    async fn dressed<F: Future<Output = Result<()>>>(
        &self,
        set: SetAttr,
        apply: impl Fn(SetAttr) -> F,
    ) -> Result<()> {
        if set.is_empty() {
            return Ok(());
        }
        let owned = set.uid.is_some() || set.gid.is_some();
        // Giving a file away takes these bits from it.
        let again = set.mode.filter(|mode| owned && mode & 0o6000 != 0);
        let again = again.map(|mode| SetAttr { mode: Some(mode), ..SetAttr::default() });
        let done = match again {
            Some(again) => {
                let (first, second) = self.in_turn(apply(set), apply(again)).await;
                first.and(second)
            }
            None => apply(set).await,
        };
        match done {
            Err(e) if owned && e.kind == ErrorKind::PermissionDenied => {
                let rest = SetAttr { uid: None, gid: None, ..set };
                if !rest.is_empty() {
                    apply(rest).await?;
                }
                self.lack(Lack::Owner);
                Ok(())
            }
            done => done,
        }
    }

    /// Two calls in order.
    pub async fn in_turn<A, B>(
        &self,
        first: impl Future<Output = A>,
        second: impl Future<Output = B>,
    ) -> (A, B) {
        match self.in_order {
            true => join(first, second).await,
            false => (first.await, second.await),
        }
    }

    /// Sets or takes away what an object carries, where the target has room for such.
    pub async fn set_named(&self, path: VPath, name: Named, value: Option<Bytes>) -> Result<()> {
        if self.is_lacking(Lack::Attributes) {
            return Ok(());
        }
        let change = Change::SetNamed { path, name, value, expect: None };
        match self.volume().apply(&self.cx(), &change).await {
            Err(e) if matches!(e.kind, ErrorKind::Unsupported | ErrorKind::NoSpace) => {
                self.lack(Lack::Attributes);
                Ok(())
            }
            done => done.map(drop),
        }
    }

    /// Gives `to` what the file that it replaces carries, but for `except`.
    pub async fn carry_over(&self, from: &VPath, to: &VPath, except: &[Named]) -> Result<()> {
        if !self.volume().caps().named {
            return Ok(());
        }
        let all = match carried(&*self.volume(), &self.cx(), from).await {
            Err(e) if matches!(e.kind, ErrorKind::NotFound | ErrorKind::Unsupported) => return Ok(()),
            all => all?,
        };
        for (name, value) in all.into_iter().filter(|(name, _)| !except.contains(name)) {
            self.set_named(to.clone(), name, Some(value)).await?;
        }
        Ok(())
    }

    /// A change, without what the target cannot hold.
    pub async fn apply(&self, change: &Change) -> Result<()> {
        let done = self.volume().apply(&self.cx(), change).await.map(drop);
        match (&done, change) {
            (Err(e), Change::MakeNode { .. }) if e.kind == ErrorKind::Unsupported => {
                self.lack(Lack::SpecialFiles);
                Ok(())
            }
            (Err(e), Change::Symlink { .. }) if e.kind == ErrorKind::Unsupported => {
                self.lack(Lack::Symlinks);
                Ok(())
            }
            _ => done,
        }
    }
}

/// All that an object carries. What went while it was looked at is left out.
pub async fn carried(volume: &dyn Volume, cx: &Cx, path: &VPath) -> Result<BTreeMap<Named, Bytes>> {
    let mut all = BTreeMap::new();
    for entry in volume.list_named(cx, path, None).await? {
        if let Some(value) = volume.named(cx, path, None, &entry.name).await? {
            all.insert(entry.name, value);
        }
    }
    Ok(all)
}

/// Something that is done to the content of a file.
#[derive(Clone, Debug)]
pub enum Touch {
    Write { offset: u64, data: Bytes },
    Zero { offset: u64, length: u64 },
    Size(u64),
}

impl Touch {
    /// Whether it takes more than what is asked for at once: then nothing may be asked for behind it before it is done.
    pub fn is_slow(&self, remote: &Remote) -> bool {
        matches!(self, Touch::Zero { .. }) && !remote.volume().caps().holes
    }
}

/// Does it.
pub fn touch(remote: Arc<Remote>, file: Arc<dyn File>, touch: Touch) -> BoxFuture<'static, Result<()>> {
    async move {
        match touch {
            Touch::Write { offset, data } => file.write_at(&remote.cx(), offset, data).await,
            Touch::Size(size) => file.set_attr(&remote.cx(), &SetAttr::size(size)).await.map(drop),
            Touch::Zero { offset, length } if remote.volume().caps().holes => {
                file.zero(&remote.cx(), offset, length).await
            }
            Touch::Zero { offset, length } => {
                // Never beyond the end: that would move it.
                let size = file.attr(&remote.cx(), Fresh::Now).await?.size;
                let length = length.min(size.saturating_sub(offset));
                let mut left = length;
                while left > 0 {
                    let piece = left.min(ZEROS.len() as u64);
                    let at = offset + (length - left);
                    file.write_at(&remote.cx(), at, Bytes::from_static(&ZEROS[..piece as usize])).await?;
                    left -= piece;
                }
                Ok(())
            }
        }
    }
    .boxed()
}

pub fn private_dir() -> VPath {
    VPath::parse(PRIVATE_DIR).expect("a name")
}

/// Where something is that is in the making.
pub fn private(name: &str) -> VPath {
    private_dir().join(name).expect("a name")
}

/// That something is not what it was taken for.
pub fn gone(op: &'static str, path: &VPath) -> Error {
    Error::new(ErrorKind::Stale, op, path)
}

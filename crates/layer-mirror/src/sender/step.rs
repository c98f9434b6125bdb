//! Steps: what is done to a mirror in order, one after the other as far as anybody there can see.
//!
//! Many steps are on their way at a time, but never two that change the same name: so it can be told later from the names alone
//! which of them were done, when the connection or the process was lost in between (`Step::is_done`).

use super::depth::Depth;
use super::making::{Making, Weight};
use super::remote::{Lack, Remote, Touch, gone, touch};
use crate::core::if_there;
use crate::record::Stamp;
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::{Arc, OnceLock};
use volume::{Change, Close, Error, ErrorKind, File, Kind, OpenHow, Result, SetAttr, Time, VPath, Volume};

pub struct Step {
    pub mark: Mark,
    pub doing: Doing,
}

/// Which record a step completes, and when that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    pub number: u64,
    pub at: Time,
}

pub enum Doing {
    /// A change by name; for what it makes, whose it is then.
    Change { change: Change, dress: Option<(Kind, Stamp)> },
    /// A file that was in the making appears.
    Publish { making: Making, to: VPath },
    /// A file that is there is opened, to be changed in place.
    Open { file: Arc<InPlace>, path: VPath },
    Touch {
        file: Arc<InPlace>,
        path: VPath,
        touch: Touch,
        /// Until it is done.
        _weight: Weight,
    },
    /// It is whole again.
    Close { file: Arc<InPlace>, path: VPath, stamp: Option<Stamp> },
    /// A file gets the mode and the times that it has here now.
    Dress(VPath),
    /// From here on it is not known what happened below: see `catch_up.rs`.
    CatchUp { below: VPath, depth: Depth },
}

/// A file that is changed in place. Its steps say under which name it is when they are done.
pub struct InPlace {
    /// The record that began it.
    pub begun: u64,
    file: OnceLock<Arc<dyn File>>,
}

/// What a step is about.
pub struct Touched<'a> {
    /// Names that come, go, or stand for something else.
    pub names: Vec<&'a VPath>,
    /// An object that is changed under this name.
    pub object: Option<&'a VPath>,
}

impl InPlace {
    pub fn new(begun: u64) -> Arc<InPlace> {
        Arc::new(InPlace { begun, file: OnceLock::new() })
    }

    pub fn is_open(&self) -> bool {
        self.file.get().is_some()
    }

    fn file(&self, path: &VPath) -> Result<Arc<dyn File>> {
        self.file.get().cloned().ok_or_else(|| gone("change", path))
    }
}

impl Step {
    pub fn touched(&self) -> Touched<'_> {
        let object = |path| Touched { names: Vec::new(), object: Some(path) };
        match &self.doing {
            Doing::Change { change, .. } => match change {
                Change::SetAttr { path, .. } | Change::SetNamed { path, .. } => object(path),
                Change::Link { from, to, .. } => Touched { names: vec![to], object: Some(from) },
                Change::MakeDir { .. }
                | Change::MakeNode { .. }
                | Change::Symlink { .. }
                | Change::Remove { .. }
                | Change::Rename { .. } => Touched { names: change.paths().collect(), object: None },
            },
            Doing::Publish { to, .. } => Touched { names: vec![to], object: None },
            Doing::Open { path, .. } | Doing::Touch { path, .. } | Doing::Close { path, .. } => object(path),
            Doing::Dress(path) => object(path),
            Doing::CatchUp { below, .. } => Touched { names: vec![below], object: None },
        }
    }

    /// The names that are to be compared where the mirror is not as this step takes it to be.
    pub fn concerned(&self) -> Vec<VPath> {
        let touched = self.touched();
        touched.names.into_iter().chain(touched.object).cloned().collect()
    }

    /// Whether what it needs is there.
    pub fn is_ready(&self) -> bool {
        match &self.doing {
            Doing::Publish { making, .. } => making.is_finished(),
            Doing::Touch { file, .. } | Doing::Close { file, .. } => file.is_open(),
            Doing::Change { .. } | Doing::Open { .. } | Doing::Dress(_) | Doing::CatchUp { .. } => true,
        }
    }

    /// What it moves, and where to.
    pub fn moved(&self) -> Option<(&VPath, &VPath)> {
        match &self.doing {
            Doing::Change { change: Change::Rename { from, to, .. }, .. } => Some((from, to)),
            _ => None,
        }
    }

    /// Whether it takes effect by more than what it asks for at once.
    pub fn is_slow(&self, remote: &Remote) -> bool {
        match &self.doing {
            Doing::Touch { touch, .. } => touch.is_slow(remote),
            Doing::Change { change: Change::SetAttr { set, .. }, .. } => {
                set.uid.is_some() != set.gid.is_some() || set.mtime.is_some() != set.atime.is_some()
            }
            // What the old one carries is looked at first.
            Doing::Publish { making, .. } => !making.new && remote.volume().caps().named,
            Doing::Change { .. } | Doing::Open { .. } | Doing::Close { .. } | Doing::CatchUp { .. } => false,
            // It looks here first.
            Doing::Dress(_) => true,
        }
    }

    /// Whether what is to appear could not be made.
    pub fn has_failed(&self) -> bool {
        matches!(&self.doing, Doing::Publish { making, .. } if making.has_failed())
    }

    pub fn failure(&mut self) -> Option<Error> {
        match &mut self.doing {
            Doing::Publish { making, .. } => making.failure(),
            _ => None,
        }
    }

    /// It is not to be done.
    pub fn give_up(self) {
        if let Doing::Publish { making, .. } = self.doing {
            making.give_up();
        }
    }

    /// Gives what it has made its attributes, once more.
    pub async fn dress(&self, remote: &Remote) -> Result<()> {
        let Doing::Change { change, dress: Some((kind, stamp)) } = &self.doing else { return Ok(()) };
        let Some(path) = change.paths().next() else { return Ok(()) };
        remote.set_attr(path, remote.of_ours(stamp, *kind)).await
    }

    /// Whether it waits for all before it, and all behind it for it.
    pub fn is_alone(&self) -> bool {
        matches!(self.doing, Doing::CatchUp { .. })
    }

    /// Does it.
    pub fn run(
        mut self,
        here: Arc<dyn Volume>,
        remote: Arc<Remote>,
    ) -> BoxFuture<'static, (Step, Result<()>)> {
        async move {
            let done = self.doing.run(&*here, remote).await;
            (self, done)
        }
        .boxed()
    }

    /// Whether the mirror has it already, told by names. All steps before it are done, and none behind it has changed the same names.
    pub async fn is_done(&self, remote: &Remote) -> Result<bool> {
        let is_there = async |path: &VPath| {
            if_there(remote.volume().stat(&remote.cx(), path).await).map(|there| there.is_some())
        };
        match &self.doing {
            Doing::Publish { making, .. } => Ok(!is_there(&making.temp()).await?),
            Doing::Change { change, .. } => match change {
                Change::MakeDir { path, .. }
                | Change::MakeNode { path, .. }
                | Change::Symlink { path, .. }
                | Change::Link { to: path, replace: false, .. } => is_there(path).await,
                Change::Remove { path, .. } | Change::Rename { from: path, .. } => Ok(!is_there(path).await?),
                // These may be done twice.
                Change::SetAttr { .. } | Change::SetNamed { .. } | Change::Link { replace: true, .. } => {
                    Ok(false)
                }
            },
            Doing::Open { .. }
            | Doing::Touch { .. }
            | Doing::Close { .. }
            | Doing::Dress(_)
            | Doing::CatchUp { .. } => Ok(false),
        }
    }

    /// Whether [`Step::is_done`] tells something. What may be done twice tells nothing about what is behind it.
    pub fn is_telling(&self) -> bool {
        match &self.doing {
            Doing::Publish { .. } => true,
            Doing::Change { change, .. } => !matches!(
                change,
                Change::SetAttr { .. } | Change::SetNamed { .. } | Change::Link { replace: true, .. }
            ),
            Doing::Open { .. }
            | Doing::Touch { .. }
            | Doing::Close { .. }
            | Doing::Dress(_)
            | Doing::CatchUp { .. } => false,
        }
    }
}

impl Doing {
    async fn run(&mut self, here: &dyn Volume, remote: Arc<Remote>) -> Result<()> {
        match self {
            Doing::Change { change, dress } => apply(&remote, change, *dress).await,
            Doing::Publish { making, to } => {
                making.failure().map_or(Ok(()), Err)?;
                if !making.new {
                    remote.carry_over(to, &making.temp(), &making.carried).await?;
                }
                let rename =
                    Change::Rename { from: making.temp(), to: to.clone(), replace: true, expect: None };
                remote.volume().apply(&remote.cx(), &rename).await.map(drop)
            }
            Doing::Open { file, path } => {
                let opened = remote.volume().open(&remote.cx(), path, OpenHow::read_write()).await?;
                // Opened once: nobody else has put one there.
                drop(file.file.set(opened.file));
                Ok(())
            }
            Doing::Touch { file, path, touch: what, .. } => {
                touch(remote, file.file(path)?, what.clone()).await
            }
            Doing::Close { file, path, stamp } => {
                let open = file.file(path)?;
                let set = stamp.map(|stamp| stamp.of_content()).unwrap_or_default();
                let cx = remote.cx();
                let dress = remote.set_file_attr(&*open, set);
                let (dressed, closed) = remote.in_turn(dress, open.close(&cx, Close::Commit)).await;
                dressed.and(closed.map(drop))
            }
            Doing::Dress(path) => match here.stat(&remote.cx(), path).await {
                Ok(attr) if attr.is_file() => remote.set_attr(path, Stamp::of(&attr).of_content()).await,
                // It is something else by now, of which the log tells.
                _ => Ok(()),
            },
            Doing::CatchUp { below, .. } => Err(gone("catch up", below)),
        }
    }
}

async fn apply(remote: &Remote, change: &Change, dress: Option<(Kind, Stamp)>) -> Result<()> {
    match change {
        Change::SetAttr { path, set, .. } => remote.set_attr(path, known(*set)).await,
        Change::SetNamed { path, name, value, .. } => {
            remote.set_named(path.clone(), name.clone(), value.clone()).await
        }
        Change::Link { .. } => match remote.apply(change).await {
            Err(e) if matches!(e.kind, ErrorKind::Unsupported | ErrorKind::TooManyLinks) => {
                remote.lack(Lack::HardLinks);
                // It becomes a file of its own.
                Err(gone("link", change.paths().next().unwrap_or(&VPath::root())))
            }
            done => done,
        },
        Change::MakeDir { .. } | Change::MakeNode { .. } | Change::Symlink { .. } => {
            let Some((kind, stamp)) = dress else { return remote.apply(change).await };
            let Some(path) = change.paths().next() else { return remote.apply(change).await };
            let set = remote.of_ours(&stamp, kind);
            let (made, dressed) = remote.in_turn(remote.apply(change), remote.set_attr(path, set)).await;
            match made {
                // It was made before, by a comparison or by somebody else.
                Err(e) if e.kind == ErrorKind::AlreadyExists && kind == Kind::Dir => {
                    let there = remote.volume().stat(&remote.cx(), path).await?;
                    if there.is_dir() { dressed } else { Err(e) }
                }
                made => made.and(dressed),
            }
        }
        Change::Remove { .. } => match remote.apply(change).await {
            Err(e) if matches!(e.kind, ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
            done => done,
        },
        Change::Rename { .. } => remote.apply(change).await,
    }
}

/// What a mirror is to have of `set`.
fn known(set: SetAttr) -> SetAttr {
    SetAttr { btime: None, dos: None, compressed: None, sparse: None, ..set }
}

//! What all calls of one volume share.

use crate::config::SftpConfig;
use crate::error::{Outcome, Trouble};
use crate::line::Line;
use crate::listing::Resting;
use crate::names::Root;
use crate::session::{Session, Waiting};
use crate::wire::{Attrs, Request};
use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;
use volume::{Cx, Error, ErrorKind, FileId, Result, VPath};

pub(crate) struct Core {
    pub(crate) line: Arc<Line>,
    pub(crate) resting: Resting,
    /// `None`: it is no absolute path, and every call says so.
    root: Option<Root>,
}

impl Core {
    pub(crate) fn new(config: SftpConfig) -> Core {
        Core { root: Root::parse(&config.root), line: Line::new(config), resting: Resting::default() }
    }

    /// A name as a path at the server.
    pub(crate) fn path(&self, path: &VPath) -> Outcome<Bytes> {
        let root = self.root.as_ref().ok_or(Trouble::Here(ErrorKind::InvalidArgument))?;
        root.path(path)
    }

    /// Puts the first request of a call into the queue, now.
    pub(crate) fn begin(&self, request: Request) -> Outcome<(Arc<Session>, Waiting)> {
        self.line.begin(request)
    }

    /// Looks at a name, not behind a link.
    pub(crate) async fn look(&self, path: &Bytes) -> Outcome<(Arc<Session>, Attrs)> {
        let (session, waiting) = self.begin(Request::LStat { path: path.clone() })?;
        Ok((session, waiting.answer().await?.attrs()?))
    }
}

/// Files hold the core too: it goes when all of them have gone.
impl Drop for Core {
    fn drop(&mut self) {
        self.line.shut();
    }
}

/// Only if the name stands for this file, as far as names tell.
pub(crate) fn expected(expect: Option<FileId>, path: &VPath) -> Outcome<()> {
    match expect {
        Some(id) if id != crate::attr::id(path) => Err(ErrorKind::Stale.into()),
        Some(_) | None => Ok(()),
    }
}

/// Does `work` within the caller's patience. It is polled before anything else.
pub(crate) async fn within<T>(
    cx: &Cx,
    op: &'static str,
    context: &VPath,
    work: impl Future<Output = Outcome<T>>,
) -> Result<T> {
    match tokio::time::timeout_at(cx.deadline.into(), work).await {
        Ok(done) => done.map_err(|trouble| trouble.into_error(op, context)),
        Err(_) => Err(Error::new(ErrorKind::TimedOut, op, context)),
    }
}

//! What operations hold of paths and names, and give back by being dropped.

use super::Core;
use crate::caching::LeaseId;
use crate::name_lock::NameGuard;
use crate::registry::Entry;
use crate::{Error, Result};
use std::sync::Arc;
use std::time::Instant;
use volume::{Cx, VPath};

/// Works on a path, see [`crate::registry::Registry`].
pub(crate) struct Entered {
    pub(super) core: Arc<Core>,
    pub(super) entry: Entry,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.core.registry.lock().exit(self.entry);
        self.core.settled.notify_waiters();
    }
}

/// Where an open stands, which stays so; see [`Core::hold_place`].
pub(crate) struct HeldPlace {
    pub path: VPath,
    /// See [`crate::OpenRequest::parent_lease`].
    pub parent_lease: Option<LeaseId>,
    pub entered: Entered,
    pub(super) _name: NameGuard,
}

/// Changes names, see [`crate::echo::Echoes`].
pub(crate) struct Changing {
    pub(super) core: Arc<Core>,
    pub(super) paths: Vec<VPath>,
    /// Before the volume was asked.
    pub began: Instant,
}

impl Drop for Changing {
    fn drop(&mut self) {
        let mut waited = Vec::new();
        {
            let mut echoes = self.core.echoes.lock();
            self.paths.iter().for_each(|path| waited.extend(echoes.end(path)));
        }
        waited.into_iter().for_each(|notice| self.core.noticed_late(notice));
    }
}

/// Keeps all others from a directory and what is below it, or from a file that moves, see [`crate::registry::Registry`].
pub(crate) struct Sealed {
    core: Arc<Core>,
    dir: VPath,
}

impl Sealed {
    /// Seals a directory, for who has entered `own`. `None`: others work below it, and are to be waited for
    /// ([`Core::nobody_below`]).
    pub(crate) fn new(core: &Arc<Core>, own: &Entered, dir: &VPath) -> Option<Sealed> {
        let mut registry = core.registry.lock();
        let sealed = !registry.is_removing_below(dir) && registry.seal(dir, own.entry);
        sealed.then(|| Sealed { core: core.clone(), dir: dir.clone() })
    }

    /// The same for a directory that is to move. Refuses while something below is open or others work there; with
    /// `posix` the former is taken along and the latter waited for, as anybody waits for a name that is being removed.
    pub(crate) fn to_move(
        core: &Arc<Core>,
        own: &Entered,
        dir: &VPath,
        posix: bool,
    ) -> Result<Option<Sealed>> {
        let mut registry = core.registry.lock();
        if registry.is_removing_below(dir) {
            return Ok(None);
        }
        if !posix && registry.has_open_below(dir) {
            return Err(Error::AccessDenied);
        }
        match (registry.seal(dir, own.entry), posix) {
            (true, _) => Ok(Some(Sealed { core: core.clone(), dir: dir.clone() })),
            (false, true) => Ok(None),
            (false, false) => Err(Error::AccessDenied),
        }
    }

    /// Seals a file that is to move: who asks for something by its name, and finds nothing, waits until it has done so.
    pub(crate) fn file(core: &Arc<Core>, path: &VPath) -> Sealed {
        core.registry.lock().seal_file(path);
        Sealed { core: core.clone(), dir: path.clone() }
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.core.registry.lock().unseal(&self.dir);
        self.core.settled.notify_waiters();
    }
}

/// Keeps all from beginning to open anything below a directory, while those who are there leave. Only for those: who opens
/// holds nothing that others need, so that he may wait for them.
pub(crate) struct Clearing {
    core: Arc<Core>,
    dir: VPath,
}

impl Clearing {
    pub(crate) fn new(core: &Arc<Core>, dir: VPath) -> Clearing {
        core.registry.lock().clear(&dir);
        Clearing { core: core.clone(), dir }
    }

    /// Waits until nobody works there any more. The caller holds nothing else: they may wait for that in their turn.
    pub(crate) async fn done(&self, cx: &Cx) -> Result<()> {
        self.core.nobody_below(cx, &self.dir).await
    }
}

impl Drop for Clearing {
    fn drop(&mut self) {
        self.core.registry.lock().cleared(&self.dir);
        self.core.settled.notify_waiters();
    }
}

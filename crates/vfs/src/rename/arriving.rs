//! What is done before an object has its other name, and is undone where it does not get that.

use super::giving_way::Gone;
use super::{Mover, Target, Ways};
use crate::core::Core;
use crate::{Access, Error, Result};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;
use volume::{Applied, Attr, Carries, Change, Cx, ErrorKind, Named, VPath};

/// What was done for an object that is to have another name, and is undone where it does not get it.
pub(super) struct Ready {
    /// It has a descriptor of its own by this.
    took_along: bool,
    gone: Option<Gone>,
}

impl Mover {
    /// What comes before the object has its other name. What only its directory protects takes that along to where
    /// another one passes on something else, for which its mover `needs` rights on it; a directory gives way.
    pub(super) async fn make_way(
        &self,
        core: &Arc<Core>,
        cx: &Cx,
        target: &Target,
        needs: Access,
    ) -> Result<Ready> {
        let Target { ways: Ways { from, parent_lease, .. }, to, existing } = target;
        let mut ready = Ready { took_along: self.take_along(core, cx, (from, to), needs).await?, gone: None };
        if let Some(dir) = existing.filter(Attr::is_dir) {
            match Gone::remove(core, cx, to, dir, *parent_lease).await {
                Ok(gone) => ready.gone = Some(gone),
                Err(error) => {
                    self.undo(core, cx, from, ready).await;
                    return Err(error.into());
                }
            }
        }
        Ok(ready)
    }

    /// Gives the object another name by `change`. Refused by the volume, all is left as it was.
    pub(super) async fn arrive(
        &self,
        core: &Arc<Core>,
        cx: &Cx,
        from: &VPath,
        ready: Ready,
        change: &Change,
    ) -> Result<Applied> {
        let error = match core.volume.apply(cx, change).await {
            Ok(applied) => return Ok(applied),
            Err(error) => error,
        };
        if !may_have_happened(error.kind) {
            self.undo(core, cx, from, ready).await;
        }
        Err(target_missing(error))
    }

    async fn undo(&self, core: &Arc<Core>, cx: &Cx, from: &VPath, ready: Ready) {
        if let Some(gone) = ready.gone {
            gone.make_again(core, cx).await;
        }
        if ready.took_along
            && let Err(error) = self.set_descriptor(core, cx, from, None).await
        {
            tracing::warn!(%from, %error, "what did not move keeps the descriptor that it was to take along");
        }
    }

    /// Whether the object has a descriptor of its own by this.
    async fn take_along(
        &self,
        core: &Arc<Core>,
        cx: &Cx,
        (from, to): (&VPath, &VPath),
        needs: Access,
    ) -> Result<bool> {
        let Some(rights) = self.rights.as_ref().filter(|_| from.parent() != to.parent()) else {
            return Ok(false);
        };
        let attr = core.volume.stat(cx, from).await?;
        if attr.carries.contains(Carries::DESCRIPTOR) {
            return Ok(false);
        }
        let Some(passed_on) = core.descriptor(cx, from, &attr, &**rights).await? else { return Ok(false) };
        if !rights.allowed(Some(&passed_on), needs).contains(needs) {
            return Err(Error::AccessDenied);
        }
        self.set_descriptor(core, cx, from, Some(passed_on)).await?;
        Ok(true)
    }

    async fn set_descriptor(
        &self,
        core: &Arc<Core>,
        cx: &Cx,
        path: &VPath,
        value: Option<Bytes>,
    ) -> Result<()> {
        let changing = core.changing(&[path]);
        let (path, name) = (path.clone(), Named::Descriptor);
        let set = Change::SetNamed { path: path.clone(), name, value, expect: Some(self.key.file) };
        let applied = core.volume.apply(cx, &set).await?;
        if let Some(attr) = &applied.attr {
            core.echoes.lock().outcome(&path, attr, Instant::now());
            core.meets(changing.began, &path, attr, None);
        }
        Ok(())
    }
}

/// Whether a change that failed so may have been made all the same.
fn may_have_happened(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Offline | ErrorKind::TimedOut | ErrorKind::Corrupt | ErrorKind::Io)
}

/// What a volume's error means here: its directory went away, or the name came to be, between our look and
/// the change.
fn target_missing(error: volume::Error) -> Error {
    match error.kind {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::PathNotFound,
        _ => error.into(),
    }
}

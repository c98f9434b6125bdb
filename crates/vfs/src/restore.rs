//! Opens that come back after the process ended: a front end has written them down, the volume finds the file again by
//! its ticket, and they take their place with what they had: share mode, byte-range locks, a deletion that waits for the
//! last of them.
//!
//! Meant for the time before a front end lets anybody in: what stands against one that comes back refuses it, nobody
//! is waited for. Who came before it all the same, by another front end or another name, is asked back what he may
//! cache: tried again when he has answered, the open comes back. What their clients cached is not given back: it keeps others out until the client is there, and is
//! asked back then ([`Open::take_up`]).

use crate::core::Core;

use crate::place::{Place, Taken};
use crate::registry::Coming;
use crate::{Action, DeleteHow, Error, Open, OpenRequest, Range, Result};
use std::sync::Arc;
use std::time::Instant;
use volume::{Cx, ErrorKind, FileId, Ticket};

/// An open as it was.
#[derive(Clone, Debug)]
pub struct Former {
    /// As it was asked for, at the path where the file was last, with the rights that it had, what its client may have
    /// cached, and an epoch of its lease that its client has not seen yet.
    pub request: OpenRequest,
    pub file: FileId,
    /// By what the volume opens its content again; `None` where none was open.
    pub ticket: Option<Ticket>,
    /// Byte-range locks, exclusive ones with `true`.
    pub locks: Vec<(Range, bool)>,
    /// Its name was to go away with the last open.
    pub delete_pending: bool,
}

pub(crate) async fn restore(core: &Arc<Core>, cx: &Cx, former: &Former) -> Result<Arc<Open>> {
    let (path, asked) = (&former.request.path, Instant::now());
    let (file, attr) = match &former.ticket {
        Some(ticket) => {
            let opened = core.volume.reopen(cx, ticket).await?;
            (Some(opened.file), opened.attr)
        }
        None => (None, core.volume.stat(cx, path).await?),
    };
    if attr.id != former.file {
        return Err(Error::Volume(volume::Error::new(ErrorKind::Stale, "restore", path)));
    }
    let request = &former.request;
    let place = match Place::take(core, request, path.clone(), &attr, request.access, Coming::Returns)? {
        Taken::Place(place) => place,
        Taken::Wait(_) => return Err(Error::SharingViolation),
    };
    let open = place.opened(request, file, Action::Opened, asked, attr, None).open;
    let locked = former.locks.iter().try_for_each(|(range, exclusive)| open.try_lock(*range, *exclusive));
    if let Err(error) = locked {
        // It may come back later, and its name with it. A name that another takes along goes all the same.
        core.registry.lock().spare(open.key.file, open.key.id);
        open.close(cx).await?;
        return Err(error);
    }
    if former.delete_pending {
        open.doom(DeleteHow::default())?;
    }
    Ok(open)
}

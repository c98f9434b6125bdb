//! A CREATE that is sent again because its channel died before the answer came (MS-SMB2 3.3.5.9, 3.3.5.9.10).
//!
//! Clients give a CREATE that asks for a durable open of the second form a name, the CreateGuid. While an open of that
//! name is there, or on its way, the same request means it and nothing is opened twice.

use super::durable::Wants;
use super::{Told, answer, durable, lease};
use crate::breaks;
use crate::config::Share;
use crate::kept::may_be_durable;
use crate::open::Open;
use crate::reply::Answer;
use crate::request::Request;
use crate::session::Tree;
use crate::status::failed;
use parking_lot::Mutex;
use smb_wire::create::CreateRequest;
use smb_wire::ids::Guid;
use smb_wire::{Flags, NtStatus};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// A client and its name for a CREATE.
type Name = (u128, Guid);

/// CREATEs by name.
#[derive(Default)]
pub(crate) struct Creates(Mutex<HashMap<Name, Create>>);

#[derive(Clone)]
enum Create {
    UnderWay,
    Done { session: u64, open: Weak<Open> },
}

/// Names are forgotten when so many have come since the last look.
const LOOK_EVERY: usize = 1024;

impl Creates {
    /// An open that was kept is in a session again.
    pub(crate) fn taken_up(&self, client: u128, create_guid: Guid, session: u64, open: &Arc<Open>) {
        let open = Arc::downgrade(open);
        self.0.lock().insert((client, create_guid), Create::Done { session, open });
    }
}

/// A CREATE under way under its name; when dropped before it is done, the name means what it meant before.
pub(super) struct Named<'a> {
    creates: &'a Creates,
    name: Name,
    former: Option<Create>,
    done: bool,
}

impl Named<'_> {
    pub(super) fn done(mut self, session: u64, open: &Arc<Open>) {
        self.done = true;
        self.creates.taken_up(self.name.0, self.name.1, session, open);
    }
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut all = self.creates.0.lock();
        match self.former.take() {
            Some(former) => all.insert(self.name, former),
            None => all.remove(&self.name),
        };
    }
}

pub(super) enum Begun<'a> {
    /// It is done already: the answer of then.
    Again(Box<Answer>),
    /// To be done, under a name where it has one.
    First(Option<Named<'a>>),
}

/// Begins a CREATE, or finds that it was done.
pub(super) async fn begin<'a>(
    request: &'a Request,
    tree: &Arc<Tree>,
    share: &Arc<Share>,
    decoded: &CreateRequest,
    wants: &Wants,
) -> Result<Begun<'a>, NtStatus> {
    let (Wants::DurableV2 { create_guid, .. }, Some(client)) = (wants, request.connection.client()) else {
        return Ok(Begun::First(None));
    };
    let server = &request.connection.server;
    let name = (client.id(), *create_guid);
    let resent = request.header.flags.contains(Flags::REPLAY);
    let known = {
        let mut all = server.creates.0.lock();
        if all.len() >= LOOK_EVERY && all.len().is_power_of_two() {
            all.retain(|_, create| match create {
                Create::UnderWay => true,
                Create::Done { open, .. } => open.strong_count() > 0,
            });
        }
        let known = all.get(&name).cloned().filter(|create| match create {
            Create::UnderWay => true,
            Create::Done { open, .. } => open.strong_count() > 0,
        });
        // One that was used is known to its client: this is another open under the same name.
        let used = resent && matches!(&known, Some(Create::Done { open, .. }) if is_used(open));
        let kept = known.is_none() && server.kept.has_named(client.id(), *create_guid);
        if used || (known.is_none() && !kept) {
            all.insert(name, Create::UnderWay);
            let named = Named { creates: &server.creates, name, former: known, done: false };
            return Ok(Begun::First(Some(named)));
        }
        known
    };
    if !resent {
        return Err(NtStatus::DUPLICATE_OBJECTID);
    }
    match known {
        // On its way on another channel.
        Some(Create::UnderWay) => Err(NtStatus::FILE_NOT_AVAILABLE),
        // Kept since its session is gone.
        None => match durable::replayed(request, tree, share, decoded, *create_guid).await? {
            Some(answer) => Ok(Begun::Again(Box::new(answer))),
            None => Err(NtStatus::FILE_NOT_AVAILABLE),
        },
        Some(Create::Done { session, open }) => {
            let open = open.upgrade().ok_or(NtStatus::FILE_NOT_AVAILABLE)?;
            if session != request.session()?.id || open.tree_id != tree.id {
                return Err(NtStatus::DUPLICATE_OBJECTID);
            }
            Ok(Begun::Again(Box::new(again(request, decoded, &open).await?)))
        }
    }
}

fn is_used(open: &Weak<Open>) -> bool {
    open.upgrade().is_some_and(|open| !open.unused.load(Ordering::Relaxed))
}

async fn again(request: &Request, decoded: &CreateRequest, open: &Arc<Open>) -> Result<Answer, NtStatus> {
    let file = open.file()?;
    if lease::key(request, decoded) != file.lease().map(|lease| lease.key()) {
        return Err(NtStatus::ACCESS_DENIED);
    }
    request.use_file(open.id);
    let attr = file.attr(&request.cx()).await.map_err(failed)?;
    // What its client may have been asked back it has passed over: it knew of no open then.
    let (mut granted, back) = file.vfs.take_up();
    if file.lease.is_none() {
        // As with Windows an oplock is answered as it is asked for now; but never more than is held: it may be less than was
        // asked for, or have been broken since.
        granted.caching &= breaks::wanted(decoded.oplock_level);
    }
    let would_be = may_be_durable(granted.caching);
    let durability = file.durability.lock().filter(|durability| would_be || durability.persistent);
    let contexts = durability.map(durable::context).into_iter().collect();
    answer(request, open, &attr, Told { action: file.action, granted, contexts, back: Some(back) })
}

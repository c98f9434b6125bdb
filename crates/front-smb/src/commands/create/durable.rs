//! Durable opens that a CREATE asks for or takes up again (MS-SMB2 3.3.5.9.6, 3.3.5.9.7, 3.3.5.9.10, 3.3.5.9.12).

use super::{Told, answer, enter_as, history, lease, name};
use crate::commands::posix;
use crate::config::Share;
use crate::kept::{Durability, KeptOpen, may_be_durable};
use crate::limits;
use crate::open::{FileOpen, Kind, Open};
use crate::persistent::Record;
use crate::reply::Answer;
use crate::request::Request;
use crate::session::Tree;
use crate::status::failed;
use smb_wire::create::context::DurableFlags;
use smb_wire::create::{CreateAction, CreateContext, CreateRequest, CreateResponseContext, LeaseKey};
use smb_wire::ids::Guid;
use smb_wire::negotiate::{Capabilities, Dialect};
use smb_wire::{AccessMask, FileId, NtStatus};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use vfs::OpenRequest;
use volume::Attr;

/// What a request wants to outlive its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wants {
    Nothing,
    /// The first form.
    Durable,
    /// The second form.
    DurableV2 {
        timeout: Duration,
        create_guid: Guid,
        persistent: bool,
    },
    Reconnect(Wanted),
}

impl Wants {
    /// What a guest gets of it: nothing outlives his connection, for he cannot prove to be who opened it.
    pub(super) fn of_guest(self) -> Result<Wants, NtStatus> {
        match self {
            Wants::Nothing | Wants::Durable | Wants::DurableV2 { .. } => Ok(Wants::Nothing),
            Wants::Reconnect(_) => Err(NtStatus::OBJECT_NAME_NOT_FOUND),
        }
    }
}

/// The open that a client wants back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    id: FileId,
    create_guid: Option<Guid>,
    /// It was persistent.
    persistent: bool,
}

/// Reads the contexts; two of different forms contradict each other, and the second form came with 3.0.
pub(super) fn wants(decoded: &CreateRequest, dialect: Dialect) -> Result<Wants, NtStatus> {
    let mut wants = Wants::Nothing;
    for context in &decoded.contexts {
        let this = match context {
            CreateContext::DurableRequest => Wants::Durable,
            CreateContext::DurableReconnect(id) => {
                Wants::Reconnect(Wanted { id: *id, create_guid: None, persistent: false })
            }
            CreateContext::DurableRequestV2 { timeout_ms, create_guid, flags }
                if dialect >= Dialect::SMB_3_0 =>
            {
                let asked = Duration::from_millis((*timeout_ms).into());
                let timeout = if asked.is_zero() { limits::DURABLE_TIMEOUT } else { asked };
                let timeout = timeout.min(limits::DURABLE_TIMEOUT_MAX);
                let persistent = flags.contains(DurableFlags::PERSISTENT);
                Wants::DurableV2 { timeout, create_guid: *create_guid, persistent }
            }
            CreateContext::DurableReconnectV2 { file_id, create_guid, flags }
                if dialect >= Dialect::SMB_3_0 =>
            {
                let (id, create_guid) = (*file_id, Some(*create_guid));
                let persistent = flags.contains(DurableFlags::PERSISTENT);
                Wants::Reconnect(Wanted { id, create_guid, persistent })
            }
            _ => continue,
        };
        wants = match (wants, this) {
            (Wants::Nothing, this) => this,
            // Who wants an open back wants it durable too, and may say so.
            (Wants::Durable, back @ Wants::Reconnect(Wanted { create_guid: None, .. }))
            | (back @ Wants::Reconnect(Wanted { create_guid: None, .. }), Wants::Durable) => back,
            _ => return Err(NtStatus::INVALID_PARAMETER),
        };
    }
    Ok(wants)
}

/// Makes a new open durable, if it may be, and writes it down where it is to be persistent; the context that says so.
pub(super) async fn grant(
    request: &Request,
    share: &Share,
    wants: &Wants,
    asked: &OpenRequest,
    open: &Arc<Open>,
) -> Option<CreateResponseContext> {
    let file = open.file().ok()?;
    let client = request.connection.client()?.id();
    let (timeout, create_guid, wants_persistent) = match *wants {
        Wants::Nothing | Wants::Reconnect(_) => return None,
        Wants::Durable => (limits::DURABLE_TIMEOUT_V1, None, false),
        Wants::DurableV2 { timeout, create_guid, persistent } => (timeout, Some(create_guid), persistent),
    };
    let durability = Durability { timeout, create_guid, client, persistent: false, resilient: false };
    // What is written down does not say how the client spells names, nor that it only reads, nor whose a lease is that
    // somebody else has under the same name.
    let is_clients = file.lease().is_none_or(|lease| lease.is_clients());
    if wants_persistent && !file.posix && !file.in_snapshot && is_clients && take_room(request, file) {
        let persistent = Durability { persistent: true, ..durability };
        // So that the record goes with the open, should the client be gone before it is written.
        *file.durability.lock() = Some(persistent);
        if write_down(request, share, asked, open, persistent).await {
            return Some(context(persistent));
        }
        *file.room.lock() = None;
    }
    let may_be = !file.vfs.is_dir() && may_be_durable(file.vfs.caching());
    let granted = may_be.then_some(durability);
    *file.durability.lock() = granted;
    granted.map(context)
}

/// Room for a persistent open: what is promised must be kept. Otherwise it is only durable.
fn take_room(request: &Request, file: &FileOpen) -> bool {
    let user = request.session().ok().map(|session| &session.user);
    let room = user.and_then(|user| request.connection.server.kept.take_room(user));
    let is_there = room.is_some();
    *file.room.lock() = room;
    is_there
}

/// The context that says how an open is durable.
pub(super) fn context(durability: Durability) -> CreateResponseContext {
    if durability.create_guid.is_none() {
        return CreateResponseContext::Durable;
    }
    let mut flags = DurableFlags::empty();
    flags.set(DurableFlags::PERSISTENT, durability.persistent);
    CreateResponseContext::DurableV2 { timeout_ms: durability.timeout.as_millis() as u32, flags }
}

/// Whether the open survives the end of the process from now on.
async fn write_down(
    request: &Request,
    share: &Share,
    asked: &OpenRequest,
    open: &Arc<Open>,
    durability: Durability,
) -> bool {
    let server = &request.connection.server;
    let agreed = request.connection.negotiated.get();
    let agreed = agreed.is_some_and(|it| it.capabilities.contains(Capabilities::PERSISTENT_HANDLES));
    let (Some(records), Ok(session)) = (&server.config.records, request.session()) else { return false };
    // Streams are not opened again after a restart.
    let survives = server.is_available(share) && server.restorations.know(share);
    if !agreed || !survives || asked.stream.is_some() {
        return false;
    }
    let Some(record) = Record::of(open, session, &share.name, asked, durability) else {
        tracing::warn!(
            share = share.name,
            "the volume cannot open files again after a restart: no persistent open"
        );
        return false;
    };
    let Ok(file) = open.file() else { return false };
    match records.put(record, file, share.vfs.clone()).await {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(share = share.name, %error, "a persistent open cannot be written down");
            false
        }
    }
}

/// Takes up an open that was kept.
pub(super) async fn reconnect(
    request: &Request,
    tree: &Arc<Tree>,
    share: &Arc<Share>,
    decoded: &CreateRequest,
    wanted: Wanted,
) -> Result<Answer, NtStatus> {
    let server = &request.connection.server;
    let id = wanted.id.persistent;
    server.restorations.let_in(share).await;
    if server.restorations.await_one(share, id) {
        return Err(NtStatus::FILE_NOT_AVAILABLE);
    }
    // A client that comes back may be quicker than the news that its former connection is gone.
    let session = request.session()?;
    server.returns.until_left(session.terms.client, id, || server.is_open_elsewhere(session, id)).await;
    let id = if server.kept.is_there(id) { id } else { named(request, share, wanted).unwrap_or(id) };
    let lease = lease::key_of_reconnect(request, decoded);
    let check = |kept: &KeptOpen| {
        // An open of the first form has no name: zeros.
        let named = wanted.create_guid.filter(|guid| *guid != Guid::default());
        if named != kept.durability.create_guid.filter(|_| wanted.create_guid.is_some()) {
            return Err(NtStatus::OBJECT_NAME_NOT_FOUND);
        }
        if wanted.create_guid.is_some() && kept.durability.persistent && !wanted.persistent {
            return Err(NtStatus::OBJECT_NAME_NOT_FOUND);
        }
        may_take(request, share, decoded, kept, lease)
    };
    let (open, attr) = take_up(request, tree, id, check).await?;
    tell(request, &open, &attr, CreateAction::Opened, Vec::new())
}

/// A persistent open is found by its name too, where nothing has the id (MS-SMB2 3.3.5.9.12): the persistent half of its own.
fn named(request: &Request, share: &Share, wanted: Wanted) -> Option<u64> {
    let server = &request.connection.server;
    let agreed = request.connection.negotiated.get()?.capabilities.contains(Capabilities::PERSISTENT_HANDLES);
    let (client, create_guid) = (request.connection.client()?.id(), wanted.create_guid?);
    let may_be = wanted.persistent && agreed && server.is_available(share);
    may_be.then(|| server.kept.persistent_named(client, create_guid)).flatten()
}

/// Takes up a persistent open whose CREATE is sent again on a new session (MS-SMB2 3.3.5.9.10); `None` when there is
/// none of that name.
pub(super) async fn replayed(
    request: &Request,
    tree: &Arc<Tree>,
    share: &Arc<Share>,
    decoded: &CreateRequest,
    create_guid: Guid,
) -> Result<Option<Answer>, NtStatus> {
    let server = &request.connection.server;
    let client = request.connection.client().map(|client| client.id()).unwrap_or_default();
    let Some(id) = server.kept.persistent_named(client, create_guid) else { return Ok(None) };
    let lease = lease::key(request, decoded);
    let check = |kept: &KeptOpen| may_take(request, share, decoded, kept, lease);
    let (open, attr) = take_up(request, tree, id, check).await?;
    let file = open.file()?;
    let (action, durability) = (file.action, *file.durability.lock());
    tell(request, &open, &attr, action, durability.map(context).into_iter().collect()).map(Some)
}

/// Whether what is kept is this client's: its user, its share, its lease, and then its name.
fn may_take(
    request: &Request,
    share: &Share,
    decoded: &CreateRequest,
    kept: &KeptOpen,
    lease: Option<LeaseKey>,
) -> Result<(), NtStatus> {
    let client = request.connection.client().map(|client| client.id());
    let leased = kept.file.lease().map(|lease| lease.key());
    // The client is known by its lease alone; an oplock goes to whoever knows the open's name.
    let other_client = leased.is_some() && client != Some(kept.durability.client);
    // A share may have come to lie over another volume, and keep its name.
    let same_share = kept.share.to_lowercase() == share.name.to_lowercase() && share.vfs.has(&kept.file.vfs);
    if other_client || leased != lease || !same_share {
        return Err(NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    if !request.session()?.is_of(&kept.owner) {
        return Err(NtStatus::ACCESS_DENIED);
    }
    // What the share gives may have become less meanwhile.
    let held = kept.granted - AccessMask::ACCESS_SYSTEM_SECURITY;
    if !request.tree()?.maximal_access.contains(held) {
        return Err(NtStatus::ACCESS_DENIED);
    }
    // A lease is by name: the client must mean the file that it had (MS-SMB2 3.3.5.9.7).
    if leased.is_some() && !is_at(&kept.file, share, decoded)? {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    Ok(())
}

/// Whether a request means the file, in the present or in the past.
fn is_at(file: &FileOpen, share: &Share, decoded: &CreateRequest) -> Result<bool, NtStatus> {
    let at = file.vfs.path().map_err(failed)?;
    let parse = match file.posix {
        true => |name: &str| posix::path(name).map(name::Target::of),
        false => name::Target::parse,
    };
    let (named, _) = history::meant(decoded, parse)?.in_share(share)?;
    let (here, there) = (file.vfs.stream().unwrap_or_default(), named.stream.unwrap_or_default());
    Ok(vfs::names::same(at.as_str(), named.path.as_str()) && vfs::names::same(&here, &there))
}

/// Enters an open that was kept into this session, under a new volatile id, if `check` agrees. What its client is to
/// hear of it is asked before: an open that was taken up and cannot be told is lost to its client. And what was begun through
/// it before has ended by then, or the client is to come again later (MS-SMB2 3.3.5.2.10 has it so for its channels).
async fn take_up(
    request: &Request,
    tree: &Arc<Tree>,
    id: u64,
    check: impl Fn(&KeptOpen) -> Result<(), NtStatus>,
) -> Result<(Arc<Open>, Attr), NtStatus> {
    let server = &request.connection.server;
    let (file, former) = server.kept.find(id, &check)?;
    if !file.has_landed(&former) {
        let landed = timeout(limits::LANDING_PATIENCE, file.landed(&former));
        request.hold_back(landed).await.map_err(|_| NtStatus::FILE_NOT_AVAILABLE)?;
        // Its time may be up.
        server.kept.find(id, &check)?;
    }
    let attr = file.attr(&request.cx()).await.map_err(failed)?;
    let new_id = FileId { persistent: id, volatile: server.next_open_id() };
    let open = server.kept.take(id, |kept| {
        check(kept)?;
        // Whose channel has gone meanwhile hears of nothing: he asks again on another.
        if request.is_end_wanted() {
            return Err(NtStatus::CANCELLED);
        }
        // It may have been in another session meanwhile.
        if !kept.file.has_landed(&kept.former) {
            return Err(NtStatus::FILE_NOT_AVAILABLE);
        }
        enter_as(request, tree, new_id, kept.granted, Kind::File(Arc::clone(&kept.file)))
    })?;
    let durability = *file.durability.lock();
    if let Some(Durability { client, create_guid: Some(create_guid), .. }) = durability {
        server.creates.taken_up(client, create_guid, request.session()?.id, &open);
    }
    Ok((open, attr))
}

fn tell(
    request: &Request,
    open: &Arc<Open>,
    attr: &Attr,
    action: CreateAction,
    contexts: Vec<CreateResponseContext>,
) -> Result<Answer, NtStatus> {
    let (granted, back) = open.file()?.vfs.take_up();
    answer(request, open, attr, Told { action, granted, contexts, back: Some(back) })
}

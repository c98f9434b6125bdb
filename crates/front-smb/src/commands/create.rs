//! CREATE: opening and making files, directories and pipes (MS-SMB2 3.3.5.9, MS-FSA 2.1.5.1).
//!
//! What a request says by itself is looked at in `check`, what the user may do on the share here; what the name and
//! the other opens say is decided by `vfs`. How names are read is in `name` and `history`. What contexts ask for besides
//! is in `lease`, `apple`, `durable` (opens that outlive their connections, and taking them up again) and `replay` (a
//! CREATE that is sent again).

mod apple;
mod check;
mod durable;
mod history;
mod instance;
mod lease;
pub(in crate::commands) mod name;
pub(crate) mod replay;
mod special;

use crate::breaks::{self, Announcement};
use crate::commands::ioctl::reparse;
use crate::commands::{extended, file_info, posix};
use crate::config::{READ_ONLY_ACCESS, Share, Symlinks};
use crate::open::{FileOpen, Kind, Open, SharedLease};
use crate::reply::Answer;
use crate::request::Request;
use crate::rights::Caller;
use crate::session::{Session, Target, Tree};
use crate::status::failed;
use smb_core::access::{Privileges, Token};
use smb_wire::create::{
    CreateAction, CreateContext, CreateDisposition, CreateOptions, CreateRequest, CreateResponse,
    CreateResponseContext, OplockLevel,
};
use smb_wire::fscc::FileAttributes;
use smb_wire::{AccessMask, FileId, NtStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vfs::{
    ALLOCATION_CHECKED_MIN, Access, Action, Answering, Disposition, Granted, OpenRequest, Opened, Owner,
    Tried, Want,
};
use volume::{Attr, DosAttributes, SetAttr};

/// Attributes that say what kind it is, or that an FSCTL alone gives.
const NOT_AT_BIRTH: FileAttributes =
    FileAttributes::DIRECTORY.union(FileAttributes::SPARSE_FILE).union(FileAttributes::COMPRESSED);
/// Options that FileModeInformation reports (MS-FSCC 2.4.31).
const MODE_OPTIONS: u32 = 0x0000_103E;

pub(super) async fn create(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = CreateRequest::decode(&request.message).map_err(|error| error.status())?;
    request.take_room_for_open()?;
    let tree = request.tree()?;
    let Target::Disk(share) = &tree.target else { return special::open_pipe(request, tree, &decoded) };
    if request.session()?.is_anonymous() {
        // Whether there is such a file or not.
        return Err(NtStatus::ACCESS_DENIED);
    }
    let wants = durable::wants(&decoded, request.dialect())?;
    let wants = if request.session()?.is_guest() { wants.of_guest()? } else { wants };
    if let durable::Wants::Reconnect(wanted) = wants {
        // All else that it says is passed over, as with Windows.
        return durable::reconnect(request, tree, share, &decoded, wanted).await;
    }
    check::check(&decoded)?;
    if decoded.name.eq_ignore_ascii_case(special::QUOTA_FILE) {
        return special::open_quota(request, tree, &decoded);
    }
    let restorations = &request.connection.server.restorations;
    restorations.let_in(share).await;
    let place = place(request, share, &decoded)?;
    // Asked before it is looked for what is kept: there is found what comes back meanwhile.
    if restorations.await_one_at(share, &place.target.path) {
        return Err(NtStatus::FILE_NOT_AVAILABLE);
    }
    let named = match replay::begin(request, tree, share, &decoded, &wants).await? {
        replay::Begun::Again(answer) => return Ok(*answer),
        replay::Begun::First(named) => named,
    };
    let instance = instance::asked(request, &decoded, &wants);
    if let Some(instance) = &instance {
        instance::end_others(request, instance, &share.vfs, &decoded).await?;
    }
    let (open, answer) = open_file(request, tree, share, &decoded, place, &wants).await?;
    if let Some(instance) = instance {
        instance.note(request, &open)?;
    }
    if let Some(named) = named {
        named.done(request.session()?.id, &open);
    }
    Ok(answer)
}

/// The rights that are asked for by name, generic ones spelled out; none that the share or the user cannot give.
fn named_rights(desired: AccessMask, maximal: AccessMask, token: &Token) -> Result<AccessMask, NtStatus> {
    let named = desired.expand_generic() - AccessMask::MAXIMUM_ALLOWED;
    let system = AccessMask::ACCESS_SYSTEM_SECURITY;
    if named.contains(system) && !token.privileges.contains(Privileges::SECURITY) {
        return Err(NtStatus::PRIVILEGE_NOT_HELD);
    }
    if maximal.contains(named - system) { Ok(named) } else { Err(NtStatus::ACCESS_DENIED) }
}

/// Where a request wants something.
struct Place {
    target: name::Target,
    in_snapshot: bool,
    /// The permissions of what it makes, where its client spells names as POSIX does.
    posix: Option<u32>,
}

fn place(request: &Request, share: &Share, decoded: &CreateRequest) -> Result<Place, NtStatus> {
    let posix = posix::asked(request, decoded);
    let parse = match posix {
        Some(_) => |name: &str| posix::path(name).map(name::Target::of),
        None if share.vfs.caps().named => name::Target::parse,
        None => name::Target::parse_whole,
    };
    let (target, in_snapshot) = history::place(share, decoded, parse)?;
    Ok(Place { target, in_snapshot, posix })
}

async fn open_file(
    request: &Request,
    tree: &Arc<Tree>,
    share: &Share,
    decoded: &CreateRequest,
    Place { target, in_snapshot, posix }: Place,
    wants: &durable::Wants,
) -> Result<(Arc<Open>, Answer), NtStatus> {
    let extended = extended::asked(decoded, &share.vfs.caps())?;
    let token = &request.session()?.token;
    let access = named_rights(decoded.desired_access, tree.maximal_access, token)?;
    let maximum = decoded.desired_access.contains(AccessMask::MAXIMUM_ALLOWED);
    let deletes = decoded.create_options.contains(CreateOptions::DELETE_ON_CLOSE);
    if deletes && !maximum && !access.contains(AccessMask::DELETE) {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let lease = lease::asked(request, decoded, &share.vfs)?;
    let mut wanted = wanted(target, access, decoded, Owner(request.session()?.id))?;
    wanted.account.clone_from(&request.session()?.account);
    lease::put(request, lease.as_ref(), decoded, &share.vfs, &mut wanted)?;
    if let Some(mode) = posix {
        (wanted.case_sensitive, wanted.ignore_readonly, wanted.posix_deletion) = (true, true, true);
        wanted.mode = mode;
    }
    wanted.maximum = maximum;
    let most =
        if in_snapshot && maximum { tree.maximal_access & READ_ONLY_ACCESS } else { tree.maximal_access };
    put_rights(token, share, most, decoded, &mut wanted)?;
    if !tree.maximal_access.contains(AccessMask::WRITE_DATA) {
        wanted.disposition = on_read_only(wanted.disposition)?;
    }
    if in_snapshot {
        history::read_only(&mut wanted, decoded.create_options)?;
    }
    wanted.stop_at_links = share.symlinks == Symlinks::Client || posix.is_some();
    let opened = match open_or_wait(request, &share.vfs, &wanted).await {
        Err(vfs::Error::NotFound) if in_snapshot => return Err(history::missing(decoded)),
        outcome => outcome.map_err(failed)?,
    };
    wanted.access = opened.open.access();
    let attr = equip(request, &opened, decoded, &wanted, &extended).await?;
    let mut file = file_of(request, decoded, &opened, &wanted, lease);
    (file.posix, file.in_snapshot) = (posix.is_some(), in_snapshot);
    let attr = file.show(attr);
    let mut granted = AccessMask::from_bits_retain(wanted.access.bits());
    if in_snapshot {
        // Rights that were asked for by name are told, and using them is refused (`Open::needs_present`), as long as the
        // open lives: it is never written down.
        granted |= access;
    }
    let maximal = opened.maximal.map_or(tree.maximal_access, |all| AccessMask::from_bits_retain(all.bits()));
    let open = enter(request, tree, granted, Kind::File(Arc::new(file)))?;
    let durable = durable::grant(request, share, wants, &wanted, &open).await;
    let mut contexts = response_contexts(request.session()?, decoded, maximal, &attr);
    contexts.extend(durable);
    contexts.extend(posix.map(|_| posix::context(&attr)));
    let granted = opened.granted;
    let told = Told { action: action(opened.action), granted, contexts, back: None };
    let answer = answer(request, &open, &attr, told)?;
    Ok((open, answer))
}

/// What a request has opened, as SMB keeps it.
fn file_of(
    request: &Request,
    decoded: &CreateRequest,
    opened: &Opened,
    wanted: &OpenRequest,
    lease: Option<SharedLease>,
) -> FileOpen {
    let mode = decoded.create_options.bits() & MODE_OPTIONS;
    let change_times = Arc::clone(&request.connection.server.change_times);
    let file = FileOpen::new(Arc::clone(&opened.open), mode, action(opened.action), lease, change_times);
    if let Some(bytes) = room(opened, wanted) {
        file.allocation.store(bytes, Ordering::Relaxed);
    }
    file
}

/// By what the open is judged, and whether its client wants to know the most that it may have.
fn put_rights(
    token: &Arc<Token>,
    share: &Share,
    most: AccessMask,
    decoded: &CreateRequest,
    wanted: &mut OpenRequest,
) -> Result<(), NtStatus> {
    let asks = |context: &CreateContext| matches!(context, CreateContext::QueryMaximalAccess(_));
    wanted.tell_maximal = decoded.contexts.iter().any(asks);
    wanted.rights = Some(Arc::new(Caller::new(token, most, &share.veto, decoded)?));
    Ok(())
}

/// The room that is asked for a new or emptied file, bytes.
fn room(opened: &Opened, wanted: &OpenRequest) -> Option<u64> {
    wanted.allocation.filter(|_| opened.action != Action::Opened && opened.attr.is_file())
}

/// Gives a new or emptied file what the request has for it; answers the attributes then. What was made and cannot be
/// given all of it goes away again, unless others have opened it meanwhile.
async fn equip(
    request: &Request,
    opened: &Opened,
    decoded: &CreateRequest,
    wanted: &OpenRequest,
    extended: &[extended::Setting],
) -> Result<Attr, NtStatus> {
    let give = async {
        let (open, cx) = (&opened.open, request.cx());
        let plain = decoded.create_options.contains(CreateOptions::NO_COMPRESSION);
        let mut attr = opened.attr;
        if opened.action == Action::Created && plain && attr.dos.contains(DosAttributes::COMPRESSED) {
            let set = SetAttr { compressed: Some(false), ..SetAttr::default() };
            attr = open.set_attr(&cx, &set).await.map_err(failed)?;
        }
        if opened.action != Action::Opened {
            attr = extended::give(&cx, open, attr, extended).await?;
        }
        // For less it is not worth a round trip to the origin.
        let much = room(opened, wanted).filter(|bytes| *bytes >= ALLOCATION_CHECKED_MIN);
        if let Some(bytes) = much.filter(|_| wanted.access.contains(Access::WRITE_DATA)) {
            open.set_allocation(&cx, bytes).await.map_err(failed)?;
        }
        Ok(attr)
    };
    let outcome = give.await;
    if outcome.is_err() && opened.action == Action::Created {
        match opened.open.take_back(&request.cx()).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::debug!(path = %wanted.path, "what could not be made whole stays: others have opened it");
            }
            Err(error) => {
                tracing::warn!(path = %wanted.path, %error, "what could not be made whole stays");
            }
        }
    }
    outcome
}

/// Opens; while another client has to give back what it caches, this one's is told to wait.
async fn open_or_wait(request: &Request, vfs: &vfs::Vfs, wanted: &OpenRequest) -> vfs::Result<Opened> {
    loop {
        match vfs.try_open(&request.cx(), wanted).await {
            Ok(Tried::Opened(opened)) => return Ok(opened),
            Ok(Tried::Breaking(breaking)) => {
                request.hold_back(breaking.settled(&request.cx())).await?;
            }
            Err(vfs::Error::Stopped(stop)) => {
                reparse::tell_of(request, &stop);
                return Err(vfs::Error::Stopped(stop));
            }
            Err(error) => return Err(error),
        }
    }
}

fn wanted(
    target: name::Target,
    access: AccessMask,
    decoded: &CreateRequest,
    owner: Owner,
) -> Result<OpenRequest, NtStatus> {
    let options = decoded.create_options;
    let allocation = decoded.contexts.iter().find_map(|context| match context {
        CreateContext::AllocationSize(bytes) => Some(*bytes),
        _ => None,
    });
    let want = target.want(options)?;
    Ok(OpenRequest {
        share: vfs::Share::from_bits_truncate(decoded.share_access.bits()),
        disposition: disposition(decoded.create_disposition)?,
        want,
        delete_on_close: options.contains(CreateOptions::DELETE_ON_CLOSE),
        open_link: options.contains(CreateOptions::OPEN_REPARSE_POINT),
        dos: file_info::dos(decoded.file_attributes - NOT_AT_BIRTH),
        mode: if want == Want::Dir { 0o755 } else { 0o644 },
        allocation,
        caching: breaks::wanted(decoded.oplock_level),
        stream: target.stream,
        ..OpenRequest::new(target.path, Access::from_bits_truncate(access.bits()), owner)
    })
}

fn disposition(disposition: CreateDisposition) -> Result<Disposition, NtStatus> {
    Ok(match disposition {
        CreateDisposition::Supersede => Disposition::Supersede,
        CreateDisposition::Open => Disposition::Open,
        CreateDisposition::Create => Disposition::Create,
        CreateDisposition::OpenIf => Disposition::OpenIf,
        CreateDisposition::Overwrite => Disposition::Overwrite,
        CreateDisposition::OverwriteIf => Disposition::OverwriteIf,
        CreateDisposition::Other(_) => return Err(NtStatus::INVALID_PARAMETER),
    })
}

/// A share that gives no writing makes and empties nothing; what is there is opened.
fn on_read_only(disposition: Disposition) -> Result<Disposition, NtStatus> {
    match disposition {
        Disposition::Open | Disposition::OpenIf => Ok(Disposition::Open),
        Disposition::Supersede | Disposition::Create | Disposition::Overwrite | Disposition::OverwriteIf => {
            Err(NtStatus::ACCESS_DENIED)
        }
    }
}

fn action(action: Action) -> CreateAction {
    match action {
        Action::Superseded => CreateAction::Superseded,
        Action::Opened => CreateAction::Opened,
        Action::Created => CreateAction::Created,
        Action::Overwritten => CreateAction::Overwritten,
    }
}

fn response_contexts(
    session: &Session,
    decoded: &CreateRequest,
    maximal: AccessMask,
    attr: &Attr,
) -> Vec<CreateResponseContext> {
    let answer = |context: &CreateContext| match context {
        CreateContext::QueryMaximalAccess(_) => {
            Some(CreateResponseContext::MaximalAccess { status: NtStatus::SUCCESS, access: maximal })
        }
        CreateContext::QueryOnDiskId => {
            Some(CreateResponseContext::OnDiskId { file_id: attr.id.lo, volume_id: attr.id.hi })
        }
        CreateContext::Apple(data) => apple::answer(session, data),
        _ => None,
    };
    decoded.contexts.iter().filter_map(answer).collect()
}

/// Gives an open its id and enters it in the session.
fn enter(
    request: &Request,
    tree: &Arc<Tree>,
    granted: AccessMask,
    kind: Kind,
) -> Result<Arc<Open>, NtStatus> {
    let number = request.connection.server.next_open_id();
    enter_as(request, tree, FileId { persistent: number, volatile: number }, granted, kind)
}

fn enter_as(
    request: &Request,
    tree: &Arc<Tree>,
    id: FileId,
    granted: AccessMask,
    kind: Kind,
) -> Result<Arc<Open>, NtStatus> {
    // When the session has ended meanwhile, dropping the open closes it.
    let open = Arc::new(Open::new(request, tree.id, id, granted, kind));
    if !request.session()?.add_open(Arc::clone(&open), request.give_room()) {
        return Err(NtStatus::USER_SESSION_DELETED);
    }
    request.use_file(id);
    Ok(open)
}

/// What a client is told of its open besides the attributes.
struct Told {
    action: CreateAction,
    granted: Granted,
    contexts: Vec<CreateResponseContext>,
    /// Its client was away or has not heard of it: what is asked back it is told after this.
    back: Option<Answering>,
}

/// Tells a client of its open: a new one, one that it took up again, or one that it has asked for before.
fn answer(
    request: &Request,
    open: &Arc<Open>,
    attr: &Attr,
    Told { action, granted, mut contexts, back }: Told,
) -> Result<Answer, NtStatus> {
    let file = open.file()?;
    let times = file_info::times(attr);
    let oplock_level = match &file.lease {
        None => breaks::level(granted.caching),
        Some(lease) => {
            contexts.push(CreateResponseContext::Lease(lease::answer(lease, granted)));
            OplockLevel::LEASE
        }
    };
    let response = CreateResponse {
        oplock_level,
        flags: 0,
        create_action: action,
        creation_time: times.creation,
        last_access_time: times.last_access,
        last_write_time: times.last_write,
        change_time: times.change,
        allocation_size: file_info::allocation(attr),
        end_of_file: file_info::end_of_file(attr),
        file_attributes: file_info::attributes(attr),
        file_id: open.id,
        contexts,
    };
    let caches = back.is_some() || file.lease.is_some() || !granted.caching.is_empty();
    let announce = match caches {
        true => {
            let session = Arc::clone(request.session()?);
            Some(Announcement { session, open: Arc::clone(open), back })
        }
        false => None,
    };
    Ok(Answer { announce, ..Answer::ok(|body| response.encode(body)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use smb_wire::Sid;

    #[test]
    fn rights_never_exceed_the_share_and_the_privileges() {
        let reading = AccessMask::FILE_GENERIC_READ;
        let nobody = Token::authenticated(Sid::anonymous(), Vec::new(), Privileges::empty());
        let root = Token { privileges: Privileges::all(), ..nobody.clone() };
        let check =
            |desired, token, expect| assert_eq!(named_rights(desired, reading, token), expect, "{desired:?}");
        check(AccessMask::MAXIMUM_ALLOWED, &nobody, Ok(AccessMask::empty()));
        check(AccessMask::GENERIC_READ, &nobody, Ok(reading));
        check(AccessMask::WRITE_DATA, &root, Err(NtStatus::ACCESS_DENIED));
        check(AccessMask::ACCESS_SYSTEM_SECURITY, &nobody, Err(NtStatus::PRIVILEGE_NOT_HELD));
        check(AccessMask::ACCESS_SYSTEM_SECURITY, &root, Ok(AccessMask::ACCESS_SYSTEM_SECURITY));
    }
}

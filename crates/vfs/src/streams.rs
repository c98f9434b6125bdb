//! Named streams: opening, renaming and removing them (MS-FSA 2.1.5.1, 2.1.5.15.11.1).
//!
//! An open of a stream stands on an open of what carries it, for its attributes alone: that one finds the name, makes
//! the file when it is not there, follows renames, and keeps a doomed name until the last stream is closed. The stream
//! itself has a place of its own in the registry ([`slots`]), and its content is in [`file`].
//!
//! What a stream's opens stand against in the object: opening it for `DELETE` and emptying it need `DELETE` shared by
//! each, renaming it needs them closed. The other way round a stream is opened whatever the opens of the object share.
//!
//! Which streams an object has is changed while its [`Node::carrying`](crate::registry::Node::carrying) is held.

pub(crate) mod file;
pub(crate) mod slots;

use crate::Carry;
use crate::attributes;
use crate::caching::Contest;
use crate::contend::Breaking;
use crate::core::Core;
use crate::create;
use crate::notify::{Filter, NotifyAction};
use crate::open::{Open, OpenKey};
use crate::place::{Place, Taken};
use crate::registry::Coming;
use crate::{Access, Action, Disposition, Error, OpenRequest, Opened, Result, Share, Tried, Want, names};
use file::StreamFile;
use slots::OpenStream;
use std::sync::Arc;
use volume::{
    Attr, Carries, Change, Cx, DosAttributes, ErrorKind, File, FileId, Fresh, Kind, Named, SetAttr, VPath,
};

/// What an open of a stream has besides.
#[derive(Clone, Debug)]
pub(crate) struct StreamPart {
    /// The open of what carries it.
    pub base: Arc<Open>,
    pub file: Arc<StreamFile>,
}

/// Opens the stream `name` of what the request names.
pub(crate) async fn open(core: &Arc<Core>, cx: &Cx, request: &OpenRequest, name: &Arc<str>) -> Result<Tried> {
    check_name(core, name)?;
    if request.want == Want::Dir {
        return Err(Error::NotADirectory);
    }
    if request.delete_on_close && !request.access.contains(Access::DELETE) {
        return Err(Error::AccessDenied);
    }
    let base = match create::open(core, cx, &base_request(request)).await? {
        Tried::Opened(base) => base,
        Tried::Breaking(breaking) => return Ok(Tried::Breaking(breaking)),
    };
    let (base_open, made) = (base.open.clone(), base.action == Action::Created);
    let request = OpenRequest { stream: None, ..request.clone() };
    let work = open_of(core.clone(), cx.clone(), request, name.clone(), base);
    let answer = Carry::new(work).await;
    if !matches!(answer, Ok(Tried::Opened(_))) {
        match made {
            // What was made for the stream's sake goes with it, but for what others have done to it since.
            true => drop(base_open.take_back(cx).await?),
            false => drop(base_open.close(cx).await?),
        }
    }
    answer
}

/// How what carries a stream is opened: so that it stands against nobody.
fn base_request(request: &OpenRequest) -> OpenRequest {
    OpenRequest {
        access: Access::READ_ATTRIBUTES,
        share: Share::all(),
        disposition: if request.disposition.creates() { Disposition::OpenIf } else { Disposition::Open },
        want: Want::Any,
        delete_on_close: false,
        posix_deletion: false,
        allocation: None,
        first: None,
        maximum: false,
        tell_maximal: false,
        caching: crate::Caching::empty(),
        lease: None,
        ..request.clone()
    }
}

pub(crate) fn check_name(core: &Core, name: &str) -> Result<()> {
    let units = name.encode_utf16().count();
    let is_one = (1..=names::SMB_NAME_MAX_UNITS).contains(&units) && !name.contains(['/', '\\', ':', '\0']);
    if is_one && core.caps.named { Ok(()) } else { Err(Error::NameInvalid) }
}

/// Whether a stream of what is there may be opened so.
fn admissible(request: &OpenRequest, base: &Attr) -> Result<()> {
    if !matches!(base.kind, Kind::File | Kind::Dir) {
        return Err(Error::AccessDenied);
    }
    if base.is_file() && base.dos.contains(DosAttributes::READONLY) {
        if request.disposition.empties() || request.access.intersects(Access::WRITING) {
            return Err(Error::AccessDenied);
        }
        if request.delete_on_close {
            return Err(Error::CannotDelete);
        }
    }
    Ok(())
}

/// Opens the stream on the open of its object. Carried: what is made is noted.
async fn open_of(
    core: Arc<Core>,
    cx: Cx,
    request: OpenRequest,
    name: Arc<str>,
    base: Opened,
) -> Result<Tried> {
    let (base, attr, made) = (base.open, base.attr, base.action == Action::Created);
    if !made {
        admissible(&request, &attr)?;
    }
    let _turn = base.node.carrying.clone().lock_owned().await;
    // What others did to it while we waited.
    let attr = base.attr(&cx).await?;
    let found = find(&core, &cx, &base, &attr, &name).await?.map(|(name, _)| name);
    let action = match (&found, request.disposition) {
        (Some(_), Disposition::Create) => return Err(Error::Exists),
        (Some(_), Disposition::Supersede) => Action::Superseded,
        (Some(_), Disposition::Overwrite | Disposition::OverwriteIf) => Action::Overwritten,
        (Some(_), Disposition::Open | Disposition::OpenIf) => Action::Opened,
        (None, disposition) if disposition.creates() => Action::Created,
        (None, _) => return Err(Error::NotFound),
    };
    let needs = match action {
        Action::Superseded => request.access | Access::WRITE_DATA | Access::DELETE,
        Action::Overwritten | Action::Created => request.access | Access::WRITE_DATA,
        Action::Opened => request.access,
    };
    let judged = core.judge_stream(&cx, &request, (&base.path()?, &attr), made, needs).await?;
    let request = OpenRequest { access: judged.access, ..request };
    let spelled = found.unwrap_or(name);
    let path = base.path()?;
    let stream = core.registry.lock().streams.enter(&core, base.key.file, &spelled);
    let OpenStream { id, file, .. } = &stream;
    let own = Attr { id: *id, kind: Kind::File, ..attr };
    let needs = if action == Action::Created { request.access } else { needs | request.access };
    let taken = Place::take(&core, &request, path, &own, needs, Coming::of(&request));
    let place = match taken {
        Ok(Taken::Place(place)) => place,
        Ok(Taken::Wait(breaking)) => return Ok(Tried::Breaking(breaking)),
        Err(error) => {
            core.registry.lock().forget_unopened(*id);
            return Err(error);
        }
    };
    match action {
        Action::Created => file.make(&cx).await?,
        Action::Superseded | Action::Overwritten => file.empty(&cx).await?,
        Action::Opened => {}
    }
    let attr = file.attr(&cx, Fresh::Cached).await?;
    let part = StreamPart { base, file: file.clone() };
    let opened = place.opened_stream(&request, part, action, attr);
    Ok(Tried::Opened(Opened { maximal: judged.maximal, ..opened }))
}

/// The stream that a client means by a name: as the volume spells it, and its length.
async fn find(
    core: &Arc<Core>,
    cx: &Cx,
    base: &Open,
    attr: &Attr,
    name: &str,
) -> Result<Option<(Arc<str>, u64)>> {
    let open = core.registry.lock().streams.find(base.key.file, name).cloned();
    if let Some(stream) = open {
        return Ok(Some((stream.name, stream.file.attr(cx, Fresh::Cached).await?.size)));
    }
    if !attr.carries.contains(Carries::STREAMS) {
        return Ok(None);
    }
    let entries = base.list_named(cx, Carries::STREAMS).await?;
    let mut alike: Vec<(Arc<str>, u64)> = entries
        .into_iter()
        .filter_map(|entry| match entry.name {
            Named::Stream(spelled) if names::same(&spelled, name) => Some((spelled, entry.size)),
            Named::Stream(_) | Named::Extended(_) | Named::System(_) | Named::Descriptor => None,
        })
        .collect();
    alike.sort_by(|(a, _), (b, _)| (**a != *name, a).cmp(&(**b != *name, b)));
    Ok(alike.into_iter().next())
}

/// Sets attributes through an open of a stream: the size is its own, all else is of what carries it. It is never
/// compressed and has no holes, whatever that is.
pub(crate) async fn set_attr(part: &StreamPart, cx: &Cx, set: &SetAttr) -> Result<Attr> {
    let refused = |op| Err(Error::Volume(volume::Error::new(ErrorKind::Unsupported, op, "a stream")));
    if set.compressed == Some(true) {
        return refused("compress");
    }
    if set.sparse == Some(true) {
        return refused("set sparse");
    }
    let rest = SetAttr { size: None, compressed: None, sparse: None, ..*set };
    if !rest.is_empty() {
        let base = &part.base;
        attributes::set(base.core.clone(), cx.clone(), base.key, None, rest).await?;
    }
    Ok(part.file.set_attr(cx, &SetAttr { size: set.size, ..SetAttr::default() }).await?)
}

/// Gives a stream another name. Carried by the caller.
///
/// # Errors
/// `Exists`; `AccessDenied` for one in the way that is open, `InvalidArgument` for one with content.
pub(crate) async fn rename(
    core: Arc<Core>,
    cx: Cx,
    key: OpenKey,
    part: StreamPart,
    to: Arc<str>,
    replace: bool,
) -> Result<()> {
    check_name(&core, &to)?;
    while let Some(breaking) = try_rename(&core, &cx, key, &part, &to, replace).await? {
        breaking.settled(&cx).await?;
    }
    Ok(())
}

/// Renames, unless a client that keeps the stream open for its cache must be waited for.
async fn try_rename(
    core: &Arc<Core>,
    cx: &Cx,
    key: OpenKey,
    part: &StreamPart,
    to: &Arc<str>,
    replace: bool,
) -> Result<Option<Breaking>> {
    let StreamPart { base, file } = part;
    let _turn = base.node.carrying.clone().lock_owned().await;
    let from = core.registry.lock().streams.get(key.file).map(|stream| stream.name.clone());
    let from = from.ok_or(Error::Closed)?;
    if from == *to || (!core.caps.case_sensitive && names::same(&from, to)) {
        return Ok(None);
    }
    let mut in_the_way = None;
    if !names::same(&from, to) {
        in_the_way = find(core, cx, base, &base.attr(cx).await?, to).await?;
    }
    if let Some((name, size)) = &in_the_way {
        if !replace {
            return Err(Error::Exists);
        }
        if core.registry.lock().streams.find(base.key.file, name).is_some() {
            return Err(Error::AccessDenied);
        }
        if *size > 0 {
            return Err(Error::InvalidArgument("only an empty stream gives way"));
        }
    }
    if let Some(node) = core.decide(|r, told| r.contend(key.file, Some(key.id), Contest::Handle, told)) {
        return Ok(Some(Breaking::new(core, node, key.file)));
    }
    file.rename(cx, to).await?;
    if let Some((name, _)) = in_the_way.filter(|(name, _)| name != to) {
        take_away(core, cx, &base.path()?, base.key.file, &name).await?;
    }
    Ok(None)
}

/// Removes a doomed stream of what stands at `path`, which is held, at the volume. True when it is gone.
pub(crate) async fn remove(
    core: &Arc<Core>,
    cx: &Cx,
    stream: &OpenStream,
    base: FileId,
    path: &VPath,
) -> Result<bool> {
    match take_away(core, cx, path, base, &stream.name).await {
        Ok(()) => Ok(true),
        Err(error) => match error.kind {
            // What carried it is gone, and all that it carried.
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::Stale => Ok(true),
            _ => Err(error.into()),
        },
    }
}

async fn take_away(
    core: &Arc<Core>,
    cx: &Cx,
    path: &VPath,
    base: FileId,
    name: &Arc<str>,
) -> volume::Result<()> {
    let changing = core.changing(&[path]);
    let named = Named::Stream(name.clone());
    let change = Change::SetNamed { path: path.clone(), name: named, value: None, expect: Some(base) };
    let attr = match core.volume.apply(cx, &change).await?.attr {
        Some(attr) => attr,
        None => core.volume.stat(cx, path).await?,
    };
    let news = (NotifyAction::RemovedStream, Filter::STREAM_NAME);
    core.stream_changed(changing.began, path, &attr, news, name, None);
    Ok(())
}

/// What a file that was emptied does not carry any more: its streams, those that are open when they are closed; when
/// it was superseded its extended attributes too (MS-FSA 2.1.5.1.2). The attributes then.
pub(crate) async fn strip(place: &Place, cx: &Cx, attr: Attr, action: Action) -> Result<Attr> {
    let goes = match action {
        Action::Superseded => Carries::STREAMS | Carries::EXTENDED,
        Action::Overwritten => Carries::STREAMS,
        Action::Opened | Action::Created => return Ok(attr),
    };
    if !attr.carries.intersects(goes) {
        return Ok(attr);
    }
    let _turn = place.node.carrying.clone().lock_owned().await;
    let (core, path, mut now) = (&place.core, &place.path, attr);
    for entry in core.volume.list_named(cx, path, Some(attr.id)).await? {
        if !goes.contains(entry.name.kind()) {
            continue;
        }
        if let Named::Stream(name) = &entry.name
            && core.registry.lock().doom_stream(attr.id, name)?
        {
            continue;
        }
        let (path, name) = (path.clone(), entry.name);
        let change = Change::SetNamed { path, name, value: None, expect: Some(attr.id) };
        now = core.volume.apply(cx, &change).await?.attr.unwrap_or(now);
    }
    Ok(now)
}

impl Open {
    /// The name of the stream that is open; `None` for the file or directory itself.
    pub fn stream(&self) -> Option<Arc<str>> {
        self.stream.as_ref()?;
        let registry = self.core.registry.lock();
        registry.streams.get(self.key.file).map(|stream| stream.name.clone())
    }

    /// Gives the open stream another name. Needs `DELETE`.
    ///
    /// # Errors
    /// `Exists`; `AccessDenied` for one in the way that is open, `InvalidArgument` for one that is not empty, and for
    /// an open that is of no stream.
    pub async fn rename_stream(&self, cx: &Cx, to: &str, replace: bool) -> Result<()> {
        self.check(Access::DELETE)?;
        let Some(part) = &self.stream else {
            return Err(Error::InvalidArgument("only a named stream gets another name"));
        };
        Carry::new(rename(self.core.clone(), cx.clone(), self.key, part.clone(), to.into(), replace)).await
    }

    /// The attributes of a file's content, whichever stream of it is open; `None` for a directory.
    pub async fn content_attr(&self, cx: &Cx) -> Result<Option<Attr>> {
        self.check(Access::empty())?;
        match self.carrier() {
            base if base.is_dir() => Ok(None),
            base if self.stream.is_some() => attributes::of_name(&base.core, cx, base.key).await.map(Some),
            _ => self.attr(cx).await.map(Some),
        }
    }

    /// Whether it is of a named stream.
    pub fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// The open whose object carries what this one is asked for: for a stream that of its file or directory.
    pub(crate) fn carrier(&self) -> &Open {
        self.stream.as_ref().map_or(self, |part| &part.base)
    }
}

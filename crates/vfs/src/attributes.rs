//! Attributes of what is open: looking at them and setting them at the volume.

use crate::core::Core;
use crate::notify::Filter;
use crate::open::OpenKey;
use crate::registry::Node;
use crate::{Error, Result};
use std::sync::Arc;
use std::time::Instant;
use volume::{Attr, Change, Cx, ErrorKind, Fresh, SetAttr, VPath};

/// Attributes of an object that has no content open, found by its name.
pub(crate) async fn of_name(core: &Arc<Core>, cx: &Cx, key: OpenKey) -> Result<Attr> {
    by_name(core, cx, key, |path| stat(core, cx, key, path)).await
}

/// Asks for something by the name of an open.
pub(crate) async fn by_name<T, F: Future<Output = Result<T>>>(
    core: &Arc<Core>,
    cx: &Cx,
    key: OpenKey,
    ask: impl Fn(VPath) -> F,
) -> Result<T> {
    where_it_stands(core, cx, || core.path_of(key.file, key.id), is_missing, ask).await
}

/// Asks for something by the name that an object has, which may be on the move.
pub(crate) async fn where_it_stands<T, E: From<volume::Error>, F: Future<Output = Result<T, E>>>(
    core: &Arc<Core>,
    cx: &Cx,
    stands_at: impl Fn() -> Result<VPath, E>,
    is_missing: impl Fn(&E) -> bool,
    ask: impl Fn(VPath) -> F,
) -> Result<T, E> {
    match ask(stands_at()?).await {
        Err(error) if is_missing(&error) => {}
        answer => return answer,
    }
    // It may be on the move just now, or a directory above: until neither is.
    loop {
        let path = stands_at()?;
        let _entered = core.enter(cx, &path).await?;
        if stands_at()? != path {
            continue;
        }
        match ask(path.clone()).await {
            Err(error) if is_missing(&error) && (core.is_sealed(&path) || stands_at()? != path) => {}
            answer => return answer,
        }
    }
}

pub(crate) fn is_missing(error: &Error) -> bool {
    match error {
        Error::NotFound | Error::NotADirectory | Error::DeletePending => true,
        Error::Volume(error) => error.kind == ErrorKind::Stale,
        _ => false,
    }
}

pub(crate) async fn stat(core: &Core, cx: &Cx, key: OpenKey, path: VPath) -> Result<Attr> {
    let attr = core.volume.stat(cx, &path).await?;
    if attr.id != key.file {
        return Err(Error::Volume(volume::Error::new(ErrorKind::Stale, "stat", path)));
    }
    Ok(attr)
}

/// Looks for what others have written, which nobody can tell from our own doing once the time of the last write is set.
pub(crate) async fn look_before_dating(
    core: &Arc<Core>,
    cx: &Cx,
    node: &Node,
    key: OpenKey,
    file: Option<&Arc<dyn volume::File>>,
) -> Result<()> {
    let (place, asked) = (core.place_if_named(key)?, Instant::now());
    let Some((path, _)) = place else { return Ok(()) };
    let attr = match file {
        Some(file) => file.attr(cx, Fresh::Now).await?,
        None => of_name(core, cx, key).await?,
    };
    core.meets_in(node, asked, &path, &attr, None);
    Ok(())
}

/// Sets attributes, of content that is open or by the name, which stays where it is meanwhile.
pub(crate) async fn set(
    core: Arc<Core>,
    cx: Cx,
    key: OpenKey,
    file: Option<Arc<dyn volume::File>>,
    set: SetAttr,
) -> Result<Attr> {
    let _held = match file {
        Some(_) => None,
        None if set.size.is_some() => {
            return Err(Error::InvalidArgument("only files have a size to set"));
        }
        None => Some(core.hold_place(&cx, key, false).await?),
    };
    let (path, parent_lease) = match (core.place_if_named(key)?, &file) {
        (Some(place), _) => place,
        (None, Some(file)) => return Ok(file.set_attr(&cx, &set).await?),
        (None, None) => return Err(Error::DeletePending),
    };
    let changing = core.changing(&[&path]);
    let attr = match file {
        Some(file) => file.set_attr(&cx, &set).await?,
        None => {
            let change = Change::SetAttr { path: path.clone(), set, expect: Some(key.file) };
            match core.volume.apply(&cx, &change).await?.attr {
                Some(attr) => attr,
                None => stat(&core, &cx, key, path.clone()).await?,
            }
        }
    };
    let dated = set.mtime.map(|_| key.id);
    core.modified(changing.began, &path, &attr, what_is_set(&set), dated, parent_lease);
    Ok(attr)
}

fn what_is_set(set: &SetAttr) -> Filter {
    let said = |is_set: bool, filter| if is_set { filter } else { Filter::empty() };
    said(set.size.is_some(), Filter::SIZE | Filter::LAST_WRITE)
        | said(set.mtime.is_some(), Filter::LAST_WRITE)
        | said(set.atime.is_some(), Filter::LAST_ACCESS)
        | said(set.btime.is_some(), Filter::CREATION)
        | said(set.dos.is_some() || set.compressed.is_some() || set.sparse.is_some(), Filter::ATTRIBUTES)
        | said(set.mode.is_some() || set.uid.is_some() || set.gid.is_some(), Filter::SECURITY)
}

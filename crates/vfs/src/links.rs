//! Symbolic links that clients read, make and meet.
//!
//! A client makes one of a new file or directory that it has open: the object gives way to the link under the same
//! name, and the open is one of an object without a name from then on. Who goes on with the link is given an open of it.
//! Only what is empty gives way, so that nothing is lost when the process ends between the two changes.

use crate::attributes;
use crate::carry::Carry;
use crate::core::Core;
use crate::create::{self, Made};
use crate::open::OpenKey;
use crate::place::{Place, Taken};
use crate::registry::Coming;
use crate::resolve::link_target;
use crate::{Action, Error, Open, OpenRequest, Result};
use std::sync::Arc;
use volume::{Change, Create, Cx, Kind, VPath};

/// A link that an open with [`crate::OpenRequest::stop_at_links`] has met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    /// What the link says, uninterpreted.
    pub target: String,
    /// The rest of the path behind it, in the client's spelling, `/` between components.
    pub rest: String,
}

/// What takes the name of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replacement {
    /// A link with this content.
    Link(String),
    /// An empty file.
    File,
}

impl Open {
    /// What the link that is open says, uninterpreted.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no link.
    pub async fn read_link(&self, cx: &Cx) -> Result<String> {
        self.check(crate::Access::empty())?;
        if self.kind() != Kind::Symlink {
            return Err(Error::InvalidArgument("only links lead somewhere"));
        }
        let ask = |path| async move { Ok(self.core.volume.read_link(cx, &path).await?) };
        attributes::by_name(&self.core, cx, self.key, ask).await
    }

    /// Puts something else in the place of this object: a link for any other, a file for a link. The right
    /// to it is the front end's to check. Once begun it runs to its end, also when the future is dropped.
    /// Gives the open of what stands there now: it has the access and share mode of this one, and is judged as this
    /// one in what it does to names; nothing that was cached or locked.
    ///
    /// # Errors
    /// `InvalidArgument` for a file that is not empty, and for a file in the place of one; `DirectoryNotEmpty`;
    /// `LinkRefused` for a link that leads out of the volume; `ReadOnly`, and what the volume answers.
    pub async fn replace(&self, cx: &Cx, by: Replacement, delete_on_close: bool) -> Result<Arc<Open>> {
        if self.core.caps.read_only {
            return Err(Error::ReadOnly);
        }
        let attr = self.attr(cx).await?;
        match (attr.kind, &by) {
            (Kind::File, Replacement::Link(_)) if attr.size > 0 => {
                return Err(Error::InvalidArgument("a file that has content does not become a link"));
            }
            (Kind::File | Kind::Dir | Kind::Symlink, Replacement::Link(target)) => {
                stays_inside(&self.path()?, target)?;
            }
            (Kind::Symlink, Replacement::File) => {}
            (Kind::File | Kind::Dir, Replacement::File) | (Kind::Other, _) => {
                return Err(Error::InvalidArgument("such an object does not give way to such"));
            }
        }
        let landing = self.landing(false)?;
        let share = self.core.registry.lock().record(self.key.file, self.key.id).map(|record| record.share);
        let again = OpenRequest {
            share: share.ok_or(Error::Closed)?,
            rights: self.rights().cloned(),
            delete_on_close,
            ..OpenRequest::new(self.path()?, self.access(), self.owner())
        };
        let work = replace(self.core.clone(), cx.clone(), self.key, again, by);
        Carry::new(async move {
            let _landing = landing;
            work.await
        })
        .await
    }
}

/// Refuses a link that no node would follow, before anything gives way to it. One that climbs behind a name could lead
/// out through another link.
fn stays_inside(link: &VPath, target: &str) -> Result<()> {
    link_target(link, target)?;
    let names = target.split('/').skip_while(|name| matches!(*name, "" | "." | ".."));
    match names.into_iter().any(|name| name == "..") {
        true => Err(Error::LinkRefused),
        false => Ok(()),
    }
}

async fn replace(
    core: Arc<Core>,
    cx: Cx,
    key: OpenKey,
    again: OpenRequest,
    by: Replacement,
) -> Result<Arc<Open>> {
    let (path, parent_lease) = core.place_of(key.file, key.id)?;
    if path.is_root() {
        return Err(Error::CannotDelete);
    }
    let _name = core.hold(&cx, &path, true).await?;
    if core.path_of(key.file, key.id)? != path {
        return Err(Error::SharingViolation);
    }
    let changing = core.changing(&[&path]);
    let remove = Change::Remove { path: path.clone(), dir: key.is_dir(), expect: Some(key.file) };
    core.volume.apply(&cx, &remove).await?;
    // Nothing of that name is this open's any more, to be removed when it ends.
    core.registry.lock().spare(key.file, key.id);
    core.gone(&path, key.is_dir(), parent_lease);
    let (file, attr) = make(&core, &cx, &path, &again, by).await?;
    core.made(&path, &attr, parent_lease);
    match Place::take(&core, &again, path, &attr, again.access, Coming::Opens)? {
        Taken::Place(place) => {
            Ok(place.opened(&again, file, Action::Opened, changing.began, attr, None).open)
        }
        // Somebody opened it as quick as it was made.
        Taken::Wait(_) => Err(Error::SharingViolation),
    }
}

async fn make(core: &Core, cx: &Cx, path: &VPath, again: &OpenRequest, by: Replacement) -> Result<Made> {
    match by {
        Replacement::Link(target) => {
            let change = Change::Symlink { path: path.clone(), target };
            let attr = match core.volume.apply(cx, &change).await?.attr {
                Some(attr) => attr,
                None => core.volume.stat(cx, path).await?,
            };
            Ok((None, attr))
        }
        Replacement::File => {
            let opened = core.volume.open(cx, path, create::how(again, Create::New)).await?;
            Ok((Some(opened.file), opened.attr))
        }
    }
}

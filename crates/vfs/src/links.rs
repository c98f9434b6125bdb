//! Symbolic links that clients read, make and meet.
//!
//! A client makes one of a new file or directory that it has open: the object gives way to the link under the same
//! name, and the open is one of an object without a name from then on. Who goes on with the link is given an open of it.
//! Only what is empty gives way, and carries nothing but a descriptor, so that nothing is lost when the process ends
//! between the two changes.
//!
//! It is judged as what it is: who does so removes one object and makes another, which is his as whatever he makes. A
//! link carries no descriptor: it has what its directory passes on.

use crate::Carry;
use crate::attributes;
use crate::caching::{Contest, Told};
use crate::contend::{Against, Breaking};
use crate::core::Core;
use crate::create::{self, Made};
use crate::open::OpenKey;
use crate::place::{Place, Taken};
use crate::registry::{Coming, Node, Record, Registry};
use crate::resolve::link_target;
use crate::rights::Newborn;
use crate::{Access, Action, Error, Open, OpenRequest, Result, Share, share};
use std::sync::Arc;
use tokio::time::Instant;
use volume::{Attr, Carries, Change, Create, Cx, Kind, OpenHow, VPath};

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

    /// Puts something else in the place of this object: a link for any other, a file for a link. Who did not open it
    /// for `DELETE` must be allowed to do that, and whoever does it to make something in the directory. Once begun it
    /// runs to its end, also when the future is dropped. Gives the open of what stands there now: it has the access
    /// and share mode of this one, and is judged as this one in what it does to names; nothing that was cached or
    /// locked.
    ///
    /// # Errors
    /// `AccessDenied`; `InvalidArgument` for a file that is not empty, for what carries attributes or streams, and for a
    /// file in the place of one; `DirectoryNotEmpty`; `SharingViolation` while somebody else has the content open;
    /// `LinkRefused` for a link that leads out of the volume; `ReadOnly`, and what the volume answers.
    pub async fn replace(&self, cx: &Cx, by: Replacement) -> Result<Arc<Open>> {
        self.check(Access::empty())?;
        self.check_itself()?;
        if self.core.caps.read_only {
            return Err(Error::ReadOnly);
        }
        check_gives_way(&self.named_path()?, &self.attr(cx).await?, &by)?;
        let landing = self.landing(false)?;
        let record = self.core.registry.lock().record(self.key.file, self.key.id).cloned();
        let record = record.ok_or(Error::Closed)?;
        let again = OpenRequest {
            share: record.share,
            rights: self.rights().cloned(),
            account: record.account.clone(),
            delete_on_close: record.delete_on_close,
            posix_deletion: record.unlinks,
            case_sensitive: self.case_sensitive,
            ..OpenRequest::new(self.named_path()?, self.access(), self.owner())
        };
        let work = replace(self.core.clone(), cx.clone(), self.key, again, by);
        Carry::new(async move {
            let _landing = landing;
            work.await
        })
        .await
    }
}

/// Whether such an object gives way to such.
fn check_gives_way(path: &VPath, attr: &Attr, by: &Replacement) -> Result<()> {
    if attr.carries.intersects(Carries::EXTENDED | Carries::STREAMS) {
        return Err(Error::InvalidArgument("what carries attributes or streams does not give way"));
    }
    match (attr.kind, by) {
        (Kind::File, Replacement::Link(_)) if attr.size > 0 => {
            Err(Error::InvalidArgument("a file that has content does not become a link"))
        }
        (Kind::File | Kind::Dir | Kind::Symlink, Replacement::Link(target)) => stays_inside(path, target),
        (Kind::Symlink, Replacement::File) => Ok(()),
        (Kind::File | Kind::Dir, Replacement::File) | (Kind::Special(_), _) => {
            Err(Error::InvalidArgument("such an object does not give way to such"))
        }
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
    let held = loop {
        let held = core.hold_place(&cx, key, true).await?;
        match core.decide(|registry, told| registry.contend_giving_way(key, told))? {
            None => break held,
            Some(node) => {
                drop(held);
                Breaking::new(&core, node, key.file).settled(&cx).await?;
            }
        }
    };
    let again = OpenRequest { path: held.path.clone(), parent_lease: held.parent_lease, ..again };
    let look = || attributes::stat(&core, &cx, key, held.path.clone());
    let newborn = core.judge_replacing(&cx, &again, &look().await?).await?;
    // Directly before it goes: by a name that only the origin knows for one of its own others come past who holds this.
    check_gives_way(&held.path, &look().await?, &by)?;
    put_in_place(&core, &cx, key, again, (by, newborn)).await
}

async fn put_in_place(
    core: &Arc<Core>,
    cx: &Cx,
    key: OpenKey,
    again: OpenRequest,
    (by, newborn): (Replacement, Newborn),
) -> Result<Arc<Open>> {
    let (path, parent_lease) = (again.path.clone(), again.parent_lease);
    let changing = core.changing(&[&path]);
    let remove = Change::Remove { path: path.clone(), dir: key.is_dir(), expect: Some(key.file) };
    core.volume.apply(cx, &remove).await?;
    // Nothing of that name is this open's any more, to be removed when it ends; and what is cached is of what is gone.
    core.decide(|registry, told| {
        registry.spare(key.file, key.id);
        drop(registry.contend(key.file, None, Contest::Foreign, told));
    });
    core.gone(&path, key.is_dir(), parent_lease);
    let (file, attr) = make(core, cx, &again, by, newborn).await?;
    core.made(&path, &attr, parent_lease);
    match Place::take(core, &again, path, &attr, again.access, Coming::Opens)? {
        Taken::Place(place) => {
            Ok(place.opened(&again, file, Action::Opened, changing.began, attr, None).open)
        }
        // Somebody opened it as quick as it was made.
        Taken::Wait(_) => Err(Error::SharingViolation),
    }
}

async fn make(core: &Core, cx: &Cx, again: &OpenRequest, by: Replacement, newborn: Newborn) -> Result<Made> {
    let path = &again.path;
    match by {
        Replacement::Link(target) => {
            let change = Change::Symlink { path: path.clone(), target, maker: None };
            let attr = match core.volume.apply(cx, &change).await?.attr {
                Some(attr) => attr,
                None => core.volume.stat(cx, path).await?,
            };
            Ok((None, attr))
        }
        Replacement::File => {
            let how = OpenHow { mode: again.mode & newborn.mode, ..create::how(again, Create::New) };
            let opened = core.volume.open(cx, path, how).await?;
            Ok((Some(opened.file), core.endow(cx, path, opened.attr, newborn).await?))
        }
    }
}

impl Core {
    /// Judges whether the caller may remove what is there and make something else in its place, and says what that gets.
    async fn judge_replacing(&self, cx: &Cx, again: &OpenRequest, attr: &Attr) -> Result<Newborn> {
        if !again.access.contains(Access::DELETE) {
            self.judge(cx, again, &again.path, attr, Access::DELETE).await?;
        }
        let parent = again.path.parent().ok_or(Error::CannotDelete)?;
        Ok(self.judge_new(cx, again, &parent, attr.is_dir()).await?.1)
    }
}

impl Registry {
    /// Whether somebody else has the content of an open open, which is to give way. Who only keeps it open for a cache is
    /// asked to close it, and must be waited for.
    fn contend_giving_way(&mut self, key: OpenKey, told: &mut Vec<Told>) -> Result<Option<Arc<Node>>> {
        let own = self.record(key.file, key.id).map(Record::holder).ok_or(Error::Closed)?;
        let Some(slot) = self.slots.get_mut(&key.file) else { return Err(Error::Closed) };
        let alone = (Access::DELETE, Share::empty());
        let stands =
            |there: &Record| there.holder() != own && share::conflict((there.access, there.share), alone);
        match slot.contend_holders(stands, Instant::now(), told) {
            Against::Nobody => Ok(None),
            Against::Waits => Ok(Some(slot.node.clone())),
            Against::Stands => Err(Error::SharingViolation),
        }
    }
}

//! Who may open what: the question that `vfs` asks and a front end answers.
//!
//! What a security descriptor says is for the front end that speaks of such; here it is bytes that an object carries
//! (`volume::Named::Descriptor`). An open that comes with [`Rights`] is judged by them where its name was found and
//! before it takes its place in the registry: an open that is refused breaks nobody's caching rights. One that comes
//! without gets what it asks for.
//!
//! | object | is judged by |
//! |---|---|
//! | with a descriptor | that |
//! | without, in a directory that has one | what the directory passes on ([`Rights::passed_on`]), by any number of directories |
//! | without, and nothing is passed on | no descriptor |
//!
//! To what the object gives comes what its directory lends (MS-FSA 2.1.5.1.2.1): who may delete what is in there may
//! delete this, who may list it may look at its attributes. Directories on the way are not asked: passing through is
//! everybody's, as on Windows. What was opened stays open, whatever is set later.

use crate::attributes::is_missing;
use crate::core::Core;
use crate::unlooked::Unlooked;
use crate::{Access, Error, OpenRequest, Result};
use bytes::Bytes;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use volume::{Attr, Carries, Change, Cx, DosAttributes, Named, VPath};

/// What one caller may do, by descriptors, which links are followed for him, and by which names he finds something.
pub trait Rights: fmt::Debug + Send + Sync {
    /// The most that the caller may do with an object that has this descriptor, or none. `wanted` is what is asked for
    /// by name: some rights are given to nobody who does not name them.
    fn allowed(&self, descriptor: Option<&[u8]>, wanted: Access) -> Access;

    /// What stands for the descriptor of an object that has none, in a directory that has `parent`. `None`: the
    /// directory passes nothing on. The same whoever asks.
    fn passed_on(&self, parent: &[u8], object: &Attr) -> Option<Bytes>;

    /// What `object` gets that the caller makes in a directory with this descriptor.
    ///
    /// # Errors
    /// `OwnerInvalid`, `PrivilegeNotHeld`, `LimitReached`: the caller wants a descriptor that cannot be his.
    fn newborn(&self, parent: Option<&[u8]>, object: NewObject) -> Result<Newborn>;

    /// Whether a link with this content is followed.
    fn follows(&self, target: &str) -> bool;

    /// Whether nothing is there by a name that no listing shows, such as a short one, which says nothing of the file's own.
    /// Characters that an origin takes for others than their other case are for whoever judges names.
    fn only_listed(&self) -> bool;

    /// What the open keeps: the same caller, without what was only for the object that opening makes.
    fn after_opening(self: Arc<Self>) -> Arc<dyn Rights>;
}

/// What is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewObject {
    Directory,
    File,
    /// A file on a volume that keeps quotas: it names its owner, whether anything is passed on to it or not.
    CountedFile,
}

/// What an object gets when it is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Newborn {
    /// Its descriptor; `None`: it carries none.
    pub descriptor: Option<Bytes>,
    /// The permission bits that go with it: others are taken away.
    pub mode: u32,
}

impl Newborn {
    /// No descriptor, all permission bits.
    pub const PLAIN: Newborn = Newborn { descriptor: None, mode: 0o7777 };
}

/// How an open was judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Judged {
    /// What it gets.
    pub access: Access,
    /// The most that its caller may have, where somebody judged and was asked for it.
    pub maximal: Option<Access>,
}

/// What a listing showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed<'a> {
    pub name: &'a str,
    pub attr: &'a Attr,
    /// Where the attributes are of something else than what has the name.
    pub leads_to: Option<&'a VPath>,
}

/// What a directory lends those who may do this in it.
const LENDS: [(Access, Access); 2] =
    [(Access::DELETE_CHILD, Access::DELETE), (Access::READ_DATA, Access::READ_ATTRIBUTES)];

fn lent(on_directory: Access) -> Access {
    LENDS
        .iter()
        .filter(|(has, _)| on_directory.contains(*has))
        .fold(Access::empty(), |all, (_, gets)| all | *gets)
}

impl Core {
    /// Judges an open of what is there. `needs` is all that it does there, more than it keeps when it empties the file.
    pub(crate) async fn judge(
        &self,
        cx: &Cx,
        request: &OpenRequest,
        path: &VPath,
        attr: &Attr,
        needs: Access,
    ) -> Result<Judged> {
        let Some(rights) = &request.rights else {
            return Ok(Judged { access: request.access, maximal: None });
        };
        let descriptor = self.descriptor(cx, path, attr, &**rights).await?;
        let mut allowed = rights.allowed(descriptor.as_deref(), needs);
        let wanting = LENDS.iter().fold(Access::empty(), |all, (_, gets)| all | *gets) - allowed;
        let wants_all = request.maximum || request.tell_maximal;
        let helps = (wants_all && !wanting.is_empty()) || needs.intersects(wanting);
        if let (true, Some(_), Some(parent)) = (helps, &descriptor, path.parent()) {
            let of_parent = self.descriptor_of_dir(cx, &parent, &**rights).await?;
            allowed |= lent(rights.allowed(of_parent.as_deref(), Access::empty()));
        }
        if !allowed.contains(needs) {
            return Err(Error::AccessDenied);
        }
        let mut access = request.access;
        if request.maximum {
            access |= allowed;
            if attr.is_file() && attr.dos.contains(DosAttributes::READONLY) {
                access -= Access::WRITING | Access::DELETE_CHILD;
            }
            let lacks_delete = request.delete_on_close && !access.contains(Access::DELETE);
            if access.is_empty() || lacks_delete {
                return Err(Error::AccessDenied);
            }
        }
        Ok(Judged { access, maximal: request.tell_maximal.then_some(allowed) })
    }

    /// The same for a stream of an object that this very request has `made`: who makes it gets what he asks for.
    pub(crate) async fn judge_stream(
        &self,
        cx: &Cx,
        request: &OpenRequest,
        of: (&VPath, &Attr),
        made: bool,
        needs: Access,
    ) -> Result<Judged> {
        let (path, attr) = of;
        let rights = match &request.rights {
            Some(rights) if made => rights,
            _ => return self.judge(cx, request, path, attr, needs).await,
        };
        let allowed = rights.allowed(None, needs);
        if !allowed.contains(needs) {
            return Err(Error::AccessDenied);
        }
        let access = if request.maximum { request.access | allowed } else { request.access };
        Ok(Judged { access, maximal: request.tell_maximal.then_some(allowed) })
    }

    /// Judges whether `request` may make `path`, and says what the new object gets.
    pub(crate) async fn judge_new(
        &self,
        cx: &Cx,
        request: &OpenRequest,
        parent: &VPath,
        dir: bool,
    ) -> Result<(Judged, Newborn)> {
        let Some(rights) = &request.rights else {
            return Ok((Judged { access: request.access, maximal: None }, Newborn::PLAIN));
        };
        let of_parent = self.descriptor_of_dir(cx, parent, &**rights).await?;
        let adds = if dir { Access::APPEND_DATA } else { Access::WRITE_DATA };
        if !rights.allowed(of_parent.as_deref(), adds).contains(adds) {
            return Err(Error::AccessDenied);
        }
        let object = match dir {
            true => NewObject::Directory,
            false if self.caps.quotas => NewObject::CountedFile,
            false => NewObject::File,
        };
        let newborn = match self.caps.named {
            true => rights.newborn(of_parent.as_deref(), object)?,
            false => Newborn::PLAIN,
        };
        // Who makes it gets what he asks for, whatever it will be for others.
        let allowed = rights.allowed(None, request.access);
        if !allowed.contains(request.access) {
            return Err(Error::AccessDenied);
        }
        let access = if request.maximum { request.access | allowed } else { request.access };
        let maximal = || match &newborn.descriptor {
            Some(descriptor) => {
                let on_parent = rights.allowed(of_parent.as_deref(), Access::empty());
                rights.allowed(Some(descriptor), Access::empty()) | lent(on_parent)
            }
            None => allowed,
        };
        Ok((Judged { access, maximal: request.tell_maximal.then(maximal) }, newborn))
    }

    /// Whether `rights` let a name come into a directory, by renaming or linking, and take the place of `existing`.
    pub(crate) async fn judge_arrival(
        &self,
        cx: &Cx,
        rights: &dyn Rights,
        to: &VPath,
        existing: Option<&Attr>,
        dir: bool,
    ) -> Result<()> {
        let Some(parent) = to.parent() else { return Err(Error::AccessDenied) };
        let of_parent = self.descriptor_of_dir(cx, &parent, rights).await?;
        let adds = if dir { Access::APPEND_DATA } else { Access::WRITE_DATA };
        let on_parent = rights.allowed(of_parent.as_deref(), adds);
        if !on_parent.contains(adds) {
            return Err(Error::AccessDenied);
        }
        let Some(existing) = existing.filter(|_| !on_parent.contains(Access::DELETE_CHILD)) else {
            return Ok(());
        };
        self.judge_itself(cx, rights, to, existing, Access::DELETE).await
    }

    /// Whether `rights` allow this on what is there, without what its directory lends.
    pub(crate) async fn judge_itself(
        &self,
        cx: &Cx,
        rights: &dyn Rights,
        path: &VPath,
        attr: &Attr,
        needs: Access,
    ) -> Result<()> {
        let descriptor = self.descriptor(cx, path, attr, rights).await?;
        match rights.allowed(descriptor.as_deref(), needs).contains(needs) {
            true => Ok(()),
            false => Err(Error::AccessDenied),
        }
    }

    /// The most that `rights` give on entries of a directory, without what it lends. Nothing on one that is gone, or
    /// does not answer.
    pub(crate) async fn judge_listed(
        &self,
        cx: &Cx,
        dir: &VPath,
        entries: &[Listed<'_>],
        rights: &dyn Rights,
        unlooked: &Unlooked,
    ) -> Result<Vec<Access>> {
        let has_own = |listed: &&Listed<'_>| listed.attr.carries.contains(Carries::DESCRIPTOR);
        let is_passed_to = |listed: &&Listed<'_>| listed.leads_to.is_none() && !has_own(listed);
        // What the directory passes on is looked at once, and judged once for each kind of entry.
        let of_dir = match entries.iter().any(|listed| is_passed_to(&listed)) {
            true => self.descriptor_of_dir(cx, dir, rights).await?,
            false => None,
        };
        let mut passed_on: HashMap<(u32, u32, bool), Access> = HashMap::new();
        let mut all = vec![Access::empty(); entries.len()];
        let mut alone = Vec::new();
        for (at, listed) in entries.iter().enumerate() {
            let attr = listed.attr;
            if !is_passed_to(&listed) {
                let judged = unlooked.ask(cx, attr, move |cx| self.judge_alone(cx, dir, listed, rights));
                alone.push(async move { Ok::<_, Error>((at, judged.await?)) });
                continue;
            }
            all[at] = *passed_on.entry((attr.uid, attr.gid, attr.is_dir())).or_insert_with(|| {
                let descriptor = of_dir.as_ref().and_then(|of_dir| rights.passed_on(of_dir, attr));
                rights.allowed(descriptor.as_deref(), Access::empty())
            });
        }
        for (at, allowed) in futures_util::future::try_join_all(alone).await? {
            all[at] = allowed.unwrap_or_else(Access::empty);
        }
        Ok(all)
    }

    /// The same for one that carries a descriptor, or lies elsewhere.
    async fn judge_alone(
        &self,
        cx: Cx,
        dir: &VPath,
        listed: &Listed<'_>,
        rights: &dyn Rights,
    ) -> Result<Access> {
        let path = match listed.leads_to {
            Some(path) => path.clone(),
            None => dir.join(listed.name)?,
        };
        match self.descriptor(&cx, &path, listed.attr, rights).await {
            Ok(descriptor) => Ok(rights.allowed(descriptor.as_deref(), Access::empty())),
            Err(error) if matches!(error, Error::PathNotFound) || is_missing(&error) => Ok(Access::empty()),
            Err(error) => Err(error),
        }
    }

    /// Gives what was just made its descriptor; without it, it goes away again.
    pub(crate) async fn endow(&self, cx: &Cx, path: &VPath, attr: Attr, newborn: Newborn) -> Result<Attr> {
        let Some(descriptor) = newborn.descriptor else { return Ok(attr) };
        let (path, expect) = (path.clone(), Some(attr.id));
        let value = Some(descriptor);
        let set = Change::SetNamed { path: path.clone(), name: Named::Descriptor, value, expect };
        match self.volume.apply(cx, &set).await {
            Ok(applied) => Ok(applied.attr.unwrap_or(attr)),
            Err(error) => {
                self.unmake(cx, &path, &attr).await;
                Err(error.into())
            }
        }
    }

    /// Removes what was just made, and is of no use to who made it; whether it is gone. What somebody else has opened by
    /// another name meanwhile, or has put something into, stays.
    pub(crate) async fn unmake(&self, cx: &Cx, path: &VPath, attr: &Attr) -> bool {
        if self.registry.lock().is_open(attr.id) {
            return false;
        }
        match self.try_unmake(cx, path, attr).await {
            Ok(gone) => gone,
            Err(error) => {
                tracing::warn!(%path, %error, "what could not be finished stays behind");
                false
            }
        }
    }

    async fn try_unmake(&self, cx: &Cx, path: &VPath, attr: &Attr) -> volume::Result<bool> {
        let now = self.volume.stat(cx, path).await?;
        let has_content = now.is_file() && now.size > 0;
        if has_content || now.carries.intersects(Carries::EXTENDED | Carries::STREAMS) {
            tracing::warn!(%path, "what could not be finished stays, with what others have written");
            return Ok(false);
        }
        let remove = Change::Remove { path: path.clone(), dir: attr.is_dir(), expect: Some(attr.id) };
        self.volume.apply(cx, &remove).await.map(|_| true)
    }
}

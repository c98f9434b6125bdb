//! Security descriptors of objects: found for judging ([`crate::rights`]), looked at, and set.
//!
//! **What is kept.** Opening asks for the descriptor of an object and for those of its directories, and a far volume
//! must not be asked each time. Values are kept by file, with the state that the attributes told of it; a change of
//! that state, by whomever, makes them old. What a directory passes on is kept by its path, for as long as the volume
//! promises to tell of changes, and only where it does: else it is looked at each time.

use crate::Carry;
use crate::attributes;
use crate::case::Case;
use crate::core::{Core, HeldPlace};
use crate::notify::Filter;
use crate::open::OpenKey;
use crate::rights::Rights;
use crate::{Access, Error, Open, Result};
use bytes::Bytes;
use lru::LruCache;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use volume::{Attr, Carries, Change, Cx, ErrorKind, FileId, Freshness, Named, SetAttr, Time, VPath, Version};

/// Descriptors that are kept, bytes with what it takes to find them.
const KEPT_MAX_BYTES: usize = 16 << 20;
/// What one takes besides its bytes.
const KEPT_OVERHEAD_BYTES: usize = 128;
/// Directories of which it is kept what they pass on.
const DIRS_MAX: usize = 16_384;

/// What was forgotten lately; a question that takes longer is asked for nothing.
const LATELY_MAX: usize = 256;

/// What is known of descriptors. Plain state, `now` is an argument.
#[derive(Debug)]
pub(crate) struct Descriptors {
    case: Case,
    files: LruCache<FileId, Kept>,
    bytes: usize,
    /// By their place.
    dirs: LruCache<VPath, KeptDir>,
    /// The same paths: what lies below one stands together.
    in_order: BTreeSet<VPath>,
    /// Times that something was forgotten, and what at the last of them: a question that began before may have an
    /// answer from before.
    forgotten: u64,
    lately: VecDeque<Forgotten>,
}

/// A file of which the descriptor was set, and the directory at and below which it may be another.
type Forgotten = (Option<FileId>, VPath);

#[derive(Debug)]
struct Kept {
    state: (Version, Time),
    descriptor: Option<Bytes>,
}

#[derive(Debug)]
struct KeptDir {
    descriptor: Option<Bytes>,
    looked_at: Instant,
}

impl Kept {
    fn cost(&self) -> usize {
        KEPT_OVERHEAD_BYTES + self.descriptor.as_ref().map_or(0, Bytes::len)
    }
}

impl Descriptors {
    pub(crate) fn new(case: Case) -> Descriptors {
        Descriptors {
            case,
            files: LruCache::unbounded(),
            bytes: 0,
            dirs: LruCache::unbounded(),
            in_order: BTreeSet::new(),
            forgotten: 0,
            lately: VecDeque::new(),
        }
    }

    /// Says when a question began; to be handed to [`Descriptors::put`] and [`Descriptors::put_dir`].
    fn begin(&self) -> u64 {
        self.forgotten
    }

    /// Whether nothing of what is meant was forgotten since.
    fn holds(&self, began: u64, is_meant: impl Fn(&Forgotten) -> bool) -> bool {
        let since = (self.forgotten - began) as usize;
        since <= self.lately.len() && !self.lately.iter().rev().take(since).any(is_meant)
    }

    fn find(&mut self, attr: &Attr) -> Option<Option<Bytes>> {
        let kept = self.files.get(&attr.id)?;
        (kept.state == (attr.version, attr.ctime)).then(|| kept.descriptor.clone())
    }

    fn put(&mut self, path: &VPath, attr: &Attr, descriptor: Option<Bytes>, began: u64) {
        let path = &*self.case.place(path);
        if !self.holds(began, |(file, at)| *file == Some(attr.id) || path.is_within(at)) {
            return;
        }
        self.drop_file(attr.id);
        let kept = Kept { state: (attr.version, attr.ctime), descriptor };
        self.bytes += kept.cost();
        self.files.put(attr.id, kept);
        while self.bytes > KEPT_MAX_BYTES {
            let Some((_, kept)) = self.files.pop_lru() else { return };
            self.bytes -= kept.cost();
        }
    }

    fn find_dir(&mut self, dir: &VPath, now: Instant, trust: Duration) -> Option<Option<Bytes>> {
        let kept = self.dirs.get(&*self.case.place(dir))?;
        (now.saturating_duration_since(kept.looked_at) < trust).then(|| kept.descriptor.clone())
    }

    fn put_dir(&mut self, dir: &VPath, descriptor: Option<Bytes>, began: u64, now: Instant) {
        let dir = &*self.case.place(dir);
        if !self.holds(began, |(_, at)| dir.is_within(at)) {
            return;
        }
        self.dirs.put(dir.clone(), KeptDir { descriptor, looked_at: now });
        self.in_order.insert(dir.clone());
        if self.dirs.len() > DIRS_MAX
            && let Some((oldest, _)) = self.dirs.pop_lru()
        {
            self.in_order.remove(&oldest);
        }
    }

    fn drop_file(&mut self, id: FileId) {
        if let Some(kept) = self.files.pop(&id) {
            self.bytes -= kept.cost();
        }
    }

    /// A descriptor was set: of the object, and with it what directories from there on down pass on.
    pub(crate) fn set(&mut self, id: FileId, path: &VPath) {
        self.drop_file(id);
        self.forget(Some(id), path);
    }

    /// What the directory and those below pass on may be another by now.
    pub(crate) fn forget_below(&mut self, path: &VPath) {
        self.forget(None, path);
    }

    fn forget(&mut self, file: Option<FileId>, path: &VPath) {
        let path = &*self.case.place(path);
        self.forgotten += 1;
        if self.lately.len() == LATELY_MAX {
            self.lately.pop_front();
        }
        self.lately.push_back((file, path.clone()));
        // Between a path and those below it stand others that begin with its letters, such as `a b` before `a/b`.
        let begins = |dir: &&VPath| dir.as_str().starts_with(path.as_str());
        let from_here = self.in_order.range(path..).take_while(begins);
        let gone: Vec<VPath> = from_here.filter(|dir| dir.is_within(path)).cloned().collect();
        for dir in gone {
            self.dirs.pop(&dir);
            self.in_order.remove(&dir);
        }
    }
}

impl Core {
    /// What `attr` at `path` is judged by: its own descriptor, or what its directories pass on.
    pub(crate) async fn descriptor(
        &self,
        cx: &Cx,
        path: &VPath,
        attr: &Attr,
        rights: &dyn Rights,
    ) -> Result<Option<Bytes>> {
        if !self.caps.named {
            return Ok(None);
        }
        if let Some(own) = self.own_descriptor(cx, path, attr).await? {
            return Ok(Some(own));
        }
        let Some(parent) = path.parent() else { return Ok(None) };
        let of_parent = self.descriptor_of_dir(cx, &parent, rights).await?;
        Ok(of_parent.and_then(|of_parent| rights.passed_on(&of_parent, attr)))
    }

    async fn own_descriptor(&self, cx: &Cx, path: &VPath, attr: &Attr) -> Result<Option<Bytes>> {
        if !attr.carries.contains(Carries::DESCRIPTOR) {
            return Ok(None);
        }
        let began = {
            let mut known = self.descriptors.lock();
            if let Some(descriptor) = known.find(attr) {
                return Ok(descriptor);
            }
            known.begin()
        };
        let descriptor = self.volume.named(cx, path, Some(attr.id), &Named::Descriptor).await?;
        self.descriptors.lock().put(path, attr, descriptor.clone(), began);
        Ok(descriptor)
    }

    /// The same for a directory. Those above of which nothing is known are looked at all at once.
    pub(crate) async fn descriptor_of_dir(
        &self,
        cx: &Cx,
        dir: &VPath,
        rights: &dyn Rights,
    ) -> Result<Option<Bytes>> {
        if !self.caps.named {
            return Ok(None);
        }
        let trust = self.trust_in_dirs();
        let (mut chain, mut above, began) = {
            let (mut known, now) = (self.descriptors.lock(), Instant::now());
            let (mut chain, mut above) = (Vec::new(), None);
            let mut next = Some(dir.clone());
            while let Some(dir) = next {
                above = known.find_dir(&dir, now, trust);
                if above.is_some() {
                    break;
                }
                next = dir.parent();
                chain.push(dir);
            }
            (chain, above.flatten(), known.begin())
        };
        let now = Instant::now();
        let mut attrs = self.attrs_of(cx, &chain).await?;
        while let (Some(dir), Some(attr)) = (chain.pop(), attrs.pop()) {
            above = match (self.own_descriptor(cx, &dir, &attr).await?, above) {
                (Some(own), _) => Some(own),
                (None, Some(above)) => rights.passed_on(&above, &attr),
                (None, None) => None,
            };
            if !trust.is_zero() {
                self.descriptors.lock().put_dir(&dir, above.clone(), began, now);
            }
        }
        Ok(above)
    }

    /// Attributes of directories. None of them is a link any more: [`crate::resolve`] has followed those.
    async fn attrs_of(&self, cx: &Cx, dirs: &[VPath]) -> Result<Vec<Attr>> {
        let stat = async |dir: &VPath| match self.volume.stat(cx, dir).await {
            Ok(attr) if attr.is_dir() => Ok(attr),
            Ok(_) => Err(Error::PathNotFound),
            Err(error) => match error.kind {
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::Loop => Err(Error::PathNotFound),
                _ => Err(error.into()),
            },
        };
        futures_util::future::try_join_all(dirs.iter().map(stat)).await
    }

    /// How long it is believed what a directory passes on: not at all where nobody tells of changes; as long as the
    /// origin is away, like all else that is known of it.
    fn trust_in_dirs(&self) -> Duration {
        let freshness = self.freshness.lock().as_ref().map(|freshness| *freshness.borrow());
        match freshness {
            Some(Freshness::Direct) | None => Duration::ZERO,
            Some(Freshness::Offline { .. }) => Duration::MAX,
            Some(Freshness::Leased | Freshness::Notified | Freshness::Polled { .. }) => self.trust(),
        }
    }
}

/// What is to become of a descriptor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewDescriptor {
    /// `None`: the object keeps what it has, which may be none.
    pub value: Option<Bytes>,
    /// Permission bits that go with it: others are taken away.
    pub mode: u32,
    /// Set along with it. Permission bits among these are given too, whatever goes with the descriptor.
    pub set: SetAttr,
}

impl Open {
    /// What the open is judged by now: the descriptor of the object, or what its directories pass on, with the
    /// attributes. The right to it is the front end's to check.
    pub async fn descriptor(&self, cx: &Cx) -> Result<(Attr, Option<Bytes>)> {
        self.check(Access::empty())?;
        let attr = self.attr(cx).await?;
        match self.core.at_its_name(cx, self.key, self.rights()).await {
            // Its name is gone or another's: what it carried went along.
            Err(error) if attributes::is_missing(&error) => Ok((attr, None)),
            found => Ok(found?),
        }
    }

    /// Makes of the descriptor what `change` makes of it, in one step: no other change of it and no opening of the name
    /// comes between. The right to it is the front end's to check. Once begun it runs to its end, also when the
    /// future is dropped.
    ///
    /// # Errors
    /// What `change` answers; `Volume(Unsupported)` where the volume keeps no descriptors.
    pub async fn change_descriptor<E: From<Error> + Send + 'static>(
        &self,
        cx: &Cx,
        change: impl FnOnce(&Attr, Option<Bytes>) -> Result<NewDescriptor, E> + Send + 'static,
    ) -> Result<Attr, E> {
        self.check(Access::empty())?;
        if self.core.caps.read_only {
            return Err(Error::ReadOnly.into());
        }
        let landing = self.landing(false)?;
        let setting = Setting {
            core: self.core.clone(),
            cx: cx.clone(),
            key: self.key,
            file: self.file().cloned(),
            rights: self.rights().cloned(),
        };
        Carry::new(async move {
            let _landing = landing;
            setting.run(change).await
        })
        .await
    }
}

/// A descriptor on its way to the volume.
struct Setting {
    core: Arc<Core>,
    cx: Cx,
    key: OpenKey,
    file: Option<Arc<dyn volume::File>>,
    rights: Option<Arc<dyn Rights>>,
}

impl Setting {
    async fn run<E: From<Error>>(
        self,
        change: impl FnOnce(&Attr, Option<Bytes>) -> Result<NewDescriptor, E>,
    ) -> Result<Attr, E> {
        let Setting { core, cx, key, .. } = &self;
        let HeldPlace { path, parent_lease, .. } = &core.hold_place(cx, *key, true).await?;
        let (attr, descriptor) = core.at_its_name(cx, *key, self.rights.as_ref()).await?;
        let new = change(&attr, descriptor)?;
        let changing = core.changing(&[path]);
        // First: what the descriptor takes from somebody is not left to local users of the origin meanwhile.
        let set = SetAttr { mode: new.set.mode.or_else(|| narrowed(&attr, new.mode)), ..new.set };
        let attr = self.set(attr, path, &set).await?;
        let attr = match new.value {
            Some(value) => self.store(path, value).await?,
            None => attr,
        };
        core.modified(changing.began, path, &attr, Filter::SECURITY, None, *parent_lease);
        Ok(attr)
    }

    async fn store(&self, path: &VPath, value: Bytes) -> Result<Attr> {
        let (core, cx, key) = (&self.core, &self.cx, self.key);
        let (name, value) = (Named::Descriptor, Some(value));
        let set = Change::SetNamed { path: path.clone(), name, value, expect: Some(key.file) };
        let outcome = core.volume.apply(cx, &set).await;
        // Whatever the outcome: an answer that was lost may be one of success.
        core.descriptors.lock().set(key.file, path);
        match outcome?.attr {
            Some(attr) => Ok(attr),
            None => Ok(core.volume.stat(cx, path).await?),
        }
    }

    async fn set(&self, attr: Attr, path: &VPath, set: &SetAttr) -> Result<Attr> {
        if set.is_empty() {
            return Ok(attr);
        }
        if let Some(file) = &self.file {
            return Ok(file.set_attr(&self.cx, set).await?);
        }
        let change = Change::SetAttr { path: path.clone(), set: *set, expect: Some(self.key.file) };
        match self.core.volume.apply(&self.cx, &change).await?.attr {
            Some(attr) => Ok(attr),
            None => Ok(self.core.volume.stat(&self.cx, path).await?),
        }
    }
}

/// The permission bits without those that do not go with the descriptor, where there are such.
fn narrowed(attr: &Attr, mode: u32) -> Option<u32> {
    (attr.mode & mode != attr.mode).then_some(attr.mode & mode)
}

impl Core {
    /// Attributes and descriptor of what an open's name stands for.
    async fn at_its_name(
        &self,
        cx: &Cx,
        key: OpenKey,
        rights: Option<&Arc<dyn Rights>>,
    ) -> Result<(Attr, Option<Bytes>)> {
        let path = self.path_of(key.file, key.id)?;
        let attr = attributes::stat(self, cx, key, path.clone()).await?;
        let descriptor = match rights {
            Some(rights) => self.descriptor(cx, &path, &attr, &**rights).await?,
            None => self.own_descriptor(cx, &path, &attr).await?,
        };
        Ok((attr, descriptor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    fn kept(known: &Descriptors) -> Vec<&str> {
        assert_eq!(known.dirs.len(), known.in_order.len());
        known.in_order.iter().map(VPath::as_str).collect()
    }

    #[test]
    fn what_lies_below_is_forgotten_and_nothing_beside_it() {
        let mut known = Descriptors::new(Case::Told);
        let all = ["", "a", "a b", "a/b", "a/b/c", "a0", "b"];
        all.iter().for_each(|dir| known.put_dir(&path(dir), None, 0, Instant::now()));
        known.forget_below(&path("a"));
        assert_eq!(kept(&known), ["", "a b", "a0", "b"]);
        known.forget_below(&path(""));
        assert_eq!(kept(&known), [""; 0]);
    }

    #[test]
    fn where_case_does_not_count_all_spellings_of_a_directory_are_forgotten_and_found() {
        for (case, folded) in [(Case::Folded, true), (Case::Told, false)] {
            let mut known = Descriptors::new(case);
            let now = Instant::now();
            known.put_dir(&path("Dir/Sub"), None, 0, now);
            assert_eq!(known.find_dir(&path("DIR/sub"), now, Duration::MAX).is_some(), folded);
            let began = known.begin();
            known.forget_below(&path("dir"));
            assert_eq!(known.find_dir(&path("Dir/Sub"), now, Duration::MAX).is_none(), folded);
            known.put_dir(&path("DIR/other"), None, began, now);
            assert_eq!(
                known.find_dir(&path("DIR/other"), now, Duration::MAX).is_none(),
                folded,
                "it is from before"
            );
        }
    }

    #[test]
    fn an_answer_counts_unless_what_it_is_of_was_forgotten_meanwhile() {
        let mut known = Descriptors::new(Case::Told);
        let began = known.begin();
        known.forget_below(&path("a"));
        known.set(FileId { hi: 0, lo: 1 }, &path("c"));
        for dir in ["a", "a/b", "b", "c/d"] {
            known.put_dir(&path(dir), None, began, Instant::now());
        }
        assert_eq!(kept(&known), ["b"]);
        (0..LATELY_MAX).for_each(|_| known.forget_below(&path("x")));
        known.put_dir(&path("e"), None, began, Instant::now());
        assert_eq!(kept(&known), ["b"], "what was forgotten is not known any more");
    }
}

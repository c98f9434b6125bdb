//! What the origin notices by itself: taken from the volume's `watch`, told to watchers, and to what is
//! remembered of directories.
//!
//! A notice says who made the change, if the origin can tell. What is ours has been told when we did it; what is of
//! others takes all caches away, whatever we do with the file; where nobody knows, it is judged by the states that
//! changes of ours have led to (`echo`, `own_writes`).
//!
//! One task per volume. When the subscription ends it is made again, after a pause that doubles up to
//! [`PAUSE_MAX`]; what was missed in between is unknown, and watchers are told to list again.

use crate::Carry;
use crate::caching::Contest;
use crate::content::Whose;
use crate::core::{Core, name_filter};
use crate::echo::NOTICE_PATIENCE;
use crate::notify::{Filter, NotifyAction};
use crate::own_writes;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use volume::{Attr, Author, Cx, ErrorKind, Notice, Priority, VPath, Watch};

const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A file whose status changed no later than this after its birth is taken for new, where it is not known
/// whether the name was there before; nanoseconds.
const NEWBORN_NS: u64 = 2_000_000_000;

/// What others have done to a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum News {
    /// It has come to be.
    Name,
    /// What it stands for has changed.
    Change,
    /// One of both, or both.
    Both,
}

/// Begins to listen.
pub(crate) fn start(core: &Arc<Core>) {
    if core.caps.watch {
        let task = tokio::spawn(listen(Arc::downgrade(core)));
        // The cell is empty: a core is started once.
        let _ = core.watching.set(task.abort_handle());
    }
}

async fn listen(core: Weak<Core>) {
    let mut pause = PAUSE_MIN;
    loop {
        let Some(volume) = core.upgrade().map(|core| core.volume.clone()) else { return };
        match volume.watch(&Cx::system(Priority::Background)).await {
            Ok(watch) => {
                drop(volume);
                pause = PAUSE_MIN;
                follow(&core, watch).await;
            }
            Err(error) => tracing::info!(%error, "subscribing to changes at the origin"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Hands on what one subscription tells, until it ends.
async fn follow(core: &Weak<Core>, mut watch: Watch) {
    let mut freshness = watch.freshness.clone();
    match core.upgrade() {
        Some(core) => {
            *core.freshness.lock() = Some(watch.freshness);
            *core.authors.lock() = Some(watch.authors);
            core.unknown(&VPath::root());
        }
        None => return,
    }
    loop {
        // Of both at once the promise first: it may be less than it was.
        let notice = tokio::select! {
            biased;
            Ok(()) = freshness.changed() => None,
            notice = watch.notices.recv() => match notice {
                Some(notice) => Some(notice),
                None => break,
            },
        };
        match (core.upgrade(), notice) {
            (Some(core), Some(notice)) => core.noticed(notice),
            (Some(core), None) => core.promised(),
            (None, _) => return,
        }
    }
    if let Some(core) = core.upgrade() {
        (*core.freshness.lock(), *core.authors.lock()) = (None, None);
        core.unknown(&VPath::root());
    }
}

impl Core {
    fn unknown(&self, below: &VPath) {
        self.echoes.lock().unknown(below);
        self.forget_below(below);
        self.break_below(below);
    }

    /// The promise on freshness is another: where the origin does not tell of changes any more, nobody caches. Where it
    /// does from now on, what was learnt before may have changed without being told.
    fn promised(&self) {
        let root = VPath::root();
        if self.cacheable().is_empty() {
            return self.break_below(&root);
        }
        self.forget_below(&root);
        self.registry.lock().streams.doubt(None);
    }

    fn forget_below(&self, path: &VPath) {
        self.indexes.lock().forget_below(path);
        self.descriptors.lock().forget_below(path);
        self.hub.unknown(path);
    }

    /// Nobody waits for these answers: what is served is what the origin has, at once.
    fn break_below(&self, path: &VPath) {
        self.registry.lock().streams.doubt(None);
        self.decide(|registry, told| registry.contend_below(path, Contest::Foreign, told));
    }

    fn noticed(self: &Arc<Self>, notice: Notice) {
        match &notice {
            Notice::Changed { by: Author::Us, path, attr } => return self.told_of_ours(path, attr.as_ref()),
            Notice::Moved { by: Author::Us, from, .. } => return self.told_of_ours(from, None),
            Notice::Changed { by: Author::Others, attr: Some(attr), .. }
            | Notice::Moved { by: Author::Others, attr: Some(attr), .. } => self.content_changed_there(attr),
            Notice::Changed { .. } | Notice::Moved { .. } | Notice::Unknown { .. } => {}
        }
        if self.echoes.lock().waits(&notice) {
            return;
        }
        match notice {
            Notice::Changed { path, attr, by } => self.changed_there(&path, attr.as_ref(), by),
            Notice::Moved { from, to, attr, by } => drop(self.moved_there(&from, &to, attr.as_ref(), by)),
            Notice::Unknown { below } => self.unknown(&below),
        }
    }

    /// What we did was told when we did it. That a name is gone explains no other notice any more.
    fn told_of_ours(&self, path: &VPath, attr: Option<&Attr>) {
        if attr.is_none() {
            self.echoes.lock().is_ours(path, None, Instant::now());
        }
    }

    /// Others have changed what is in a file, or what it carries. That does not wait until we have changed its name.
    fn content_changed_there(&self, attr: &Attr) {
        self.content_is_told(attr);
        self.decide(|registry, told| {
            registry.contend_foreign_streams(attr.id, told);
            drop(registry.contend(attr.id, None, Contest::Foreign, told));
        });
    }

    /// A notice has waited until we had changed its name. One that tells nothing of ours tells a step of ours, or what
    /// somebody else did meanwhile.
    pub(crate) fn noticed_late(self: &Arc<Self>, notice: Notice) {
        if self.echoes.lock().waits(&notice) {
            return;
        }
        match notice {
            Notice::Changed { path, attr, by } => match (self.is_ours(&path, attr.as_ref(), by), attr) {
                (true, Some(_)) => {}
                (true, None) => self.look_whether_gone(&path),
                (false, attr) => self.look_again(path, attr, by),
            },
            Notice::Moved { from, to, attr, by } => {
                if self.moved_there(&from, &to, attr.as_ref(), by) {
                    // What has happened to the other name meanwhile was told before.
                    from.parent().into_iter().chain(to.parent()).for_each(|dir| {
                        self.indexes.lock().forget(&dir);
                        self.hub.unknown(&dir);
                    });
                }
            }
            Notice::Unknown { below } => self.unknown(&below),
        }
    }

    /// Whether a notice tells nothing new.
    fn is_ours(&self, path: &VPath, attr: Option<&Attr>, by: Author) -> bool {
        match by {
            Author::Us => true,
            Author::Unknown => self.echoes.lock().is_ours(path, attr, Instant::now()),
            Author::Others => false,
        }
    }

    /// Looks what is under a name that somebody else may have changed while we did; in doubt reading caches are taken
    /// away.
    fn look_again(self: &Arc<Self>, path: VPath, told: Option<Attr>, by: Author) {
        if let Some(attr) = told.filter(|_| by != Author::Others) {
            self.decide(|registry, told| {
                registry.doubt(attr.id, told);
                registry.contend_foreign_streams(attr.id, told);
            });
        }
        let core = Arc::clone(self);
        drop(Carry::new(async move {
            let found = core.volume.stat(&Cx::system(Priority::Background), &path).await;
            match found {
                Ok(attr) => {
                    core.decide(|registry, told| registry.contend_replaced(&path, attr.id, told));
                    core.noticed(Notice::Changed { path, attr: Some(attr), by });
                }
                // That it is gone is told by another notice, if it is not this one.
                Err(error) if error.kind == ErrorKind::NotFound => {
                    if told.is_none() {
                        core.noticed(Notice::Changed { path, attr: None, by });
                    }
                }
                Err(error) => {
                    tracing::debug!(%path, %error, "looking at a name that changed");
                    core.unknown(&path.parent().unwrap_or(path));
                }
            }
        }));
    }

    fn changed_there(self: &Arc<Self>, path: &VPath, attr: Option<&Attr>, by: Author) {
        let ours = self.is_ours(path, attr, by);
        tracing::debug!(%path, ?attr, ?by, ours, "changed at the origin");
        let attr = match attr {
            None if ours || self.echoes.lock().is_anew(path, Instant::now()) => {
                return self.look_whether_gone(path);
            }
            None => return self.gone_there(path),
            Some(_) if ours => return,
            Some(attr) => attr,
        };
        self.decide(|registry, told| registry.contend_foreign_streams(attr.id, told));
        let explained = by == Author::Unknown && attr.is_file() && self.explained_by_writing(attr);
        if explained && self.registry.lock().is_open_at(attr.id, path) {
            return;
        }
        // Of a file that is written here under another name alone: this name may be news.
        if !explained {
            self.content_is_told(attr);
            self.decide(|registry, told| drop(registry.contend(attr.id, None, Contest::Foreign, told)));
        }
        self.tell_there(path, attr);
    }

    /// An open that may change something has found this under a name. When others have led to it just before, their
    /// notice may tell what the open leads to: it is told now.
    pub(crate) fn finds(&self, path: &VPath, attr: &Attr) {
        let guesses = self.caps.watch && !self.knows_authors();
        let is_news = guesses && self.echoes.lock().may_be_untold(path, attr, Instant::now());
        // What we write ourselves is told by its close.
        if is_news && self.registry.lock().being_written(attr.id).is_none() {
            tracing::debug!(%path, ?attr, "found before it was told");
            self.tell_there(path, attr);
        }
    }

    /// Tells what others have led to under a name: who caches the listing, or what stood there before, and watchers.
    pub(crate) fn tell_there(&self, path: &VPath, attr: &Attr) {
        self.decide(|registry, told| {
            registry.contend_listing(path, None, told);
            registry.contend_replaced(path, attr.id, told);
        });
        let news = self.news_of(path, attr);
        self.echoes.lock().told(path, attr);
        let mut indexes = self.indexes.lock();
        indexes.added(path);
        if attr.is_dir() {
            indexes.forget(path);
        }
        drop(indexes);
        if attr.is_dir() {
            self.descriptors.lock().forget_below(path);
        }
        if news != News::Change {
            self.hub.event(NotifyAction::Added, name_filter(attr.is_dir()), path);
        }
        if news != News::Name {
            let what = Filter::ATTRIBUTES | Filter::SIZE | Filter::LAST_WRITE;
            self.hub.event(NotifyAction::Modified, what, path);
        }
    }

    fn gone_there(&self, path: &VPath) {
        self.echoes.lock().taken(path);
        self.decide(|registry, told| registry.contend_listing(path, None, told));
        let mut indexes = self.indexes.lock();
        indexes.removed(path);
        indexes.forget(path);
        drop(indexes);
        self.descriptors.lock().forget_below(path);
        self.hub.event(NotifyAction::Removed, Filter::FILE_NAME | Filter::DIR_NAME, path);
        self.break_below(path);
    }

    /// All notices of removals look the same: one that was taken for ours may be somebody else's, of what was put under the
    /// name since; and one of somebody else's may be of what stood there before.
    fn look_whether_gone(self: &Arc<Self>, path: &VPath) {
        let Some(file) = self.echoes.lock().standing(path) else { return };
        let (core, path) = (Arc::clone(self), path.clone());
        drop(Carry::new(async move {
            let found = core.volume.stat(&Cx::system(Priority::Background), &path).await;
            let is_gone = found.is_err_and(|error| error.kind == ErrorKind::NotFound);
            let gone = Notice::Changed { path: path.clone(), attr: None, by: Author::Unknown };
            let is_news = is_gone && {
                let mut echoes = core.echoes.lock();
                echoes.standing(&path) == Some(file) && !echoes.waits(&gone)
            };
            if is_news {
                core.gone_there(&path);
            }
        }));
    }

    /// Whether a notice tells of our own writing, whose close tells; in doubt reading caches are taken away.
    fn explained_by_writing(&self, attr: &Attr) -> bool {
        let node = self.registry.lock().being_written(attr.id);
        let Some(node) = node else { return false };
        let whose = node.content.lock().judge(attr);
        if whose == Whose::Doubtful {
            self.decide(|registry, told| registry.doubt(attr.id, told));
            own_writes::look_later(&node);
        }
        whose != Whose::Foreign
    }

    /// What there is to tell of a name. Whether it has come to be is known where it was told before, or from the
    /// directory's index, if that is so old that a name in it was told; else it is guessed from its age. Told twice does
    /// no harm, not at all does.
    fn news_of(&self, path: &VPath, attr: &Attr) -> News {
        if self.echoes.lock().standing(path) == Some(attr.id) {
            return News::Change;
        }
        let known = path.parent().and_then(|dir| {
            let (trust, now) = (self.trust(), Instant::now());
            let mut indexes = self.indexes.lock();
            let found = indexes.find(&dir, path.name(), now, trust)?;
            let is_old = indexes.read_at(&dir).is_some_and(|read_at| now >= read_at + NOTICE_PATIENCE);
            Some((found.is_some_and(|found| *found == *path.name()), is_old))
        });
        // A name may be younger than its file.
        let is_young = attr.ctime.0.abs_diff(attr.btime.0) <= NEWBORN_NS;
        match known {
            Some((false, _)) => News::Name,
            Some((true, true)) => News::Change,
            Some((true, false)) | None if is_young => News::Name,
            Some((true, false)) => News::Both,
            None if attr.is_file() && attr.links > 1 => News::Both,
            None => News::Change,
        }
    }

    /// Whether it is news.
    fn moved_there(self: &Arc<Self>, from: &VPath, to: &VPath, attr: Option<&Attr>, by: Author) -> bool {
        // Both are asked: that `from` is gone is told with this.
        let (came, went) = (self.is_ours(to, attr, by), self.is_ours(from, None, by));
        let anew = {
            let (mut echoes, now) = (self.echoes.lock(), Instant::now());
            let stands = attr.is_none_or(|attr| echoes.standing(to) == Some(attr.id));
            if went && (came || stands) {
                return false;
            }
            let anew =
                attr.filter(|attr| echoes.is_anew(from, now) && echoes.standing(from) != Some(attr.id));
            if anew.is_none() {
                echoes.taken(from);
                attr.into_iter().for_each(|attr| echoes.told(to, attr));
            }
            anew
        };
        if let Some(attr) = anew {
            self.moved_before(from, to, attr, by);
            return true;
        }
        let dir = attr.is_none_or(Attr::is_dir);
        self.decide(|registry, told| {
            registry.contend_listing(from, None, told);
            registry.contend_listing(to, None, told);
        });
        match attr {
            // What stood at `to` has given way; what is there now may have come after what moved.
            Some(attr) => {
                self.content_is_told(attr);
                self.decide(|registry, told| {
                    registry.contend_replaced(to, attr.id, told);
                    registry.contend_replaced(from, attr.id, told);
                    drop(registry.contend(attr.id, None, Contest::Foreign, told));
                });
            }
            None => [from, to].into_iter().for_each(|path| self.break_below(path)),
        }
        self.registry.lock().moved(attr.filter(|_| !dir).map(|attr| attr.id), from, to);
        self.index_move(from, to, dir);
        self.hub.renamed(from, to, dir);
        true
    }

    /// Since it moved we have made `from` anew, which stays as it is.
    fn moved_before(self: &Arc<Self>, from: &VPath, to: &VPath, attr: &Attr, by: Author) {
        if !attr.is_dir() {
            self.registry.lock().moved(Some(attr.id), from, to);
        }
        self.changed_there(to, Some(attr), by);
    }
}

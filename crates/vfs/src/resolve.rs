//! From a client's spelling to the name at the origin.
//!
//! One `stat` of the whole path answers nearly always. Only when that finds nothing the directories are looked
//! at, and only then a directory may have to be listed: at an origin that tells cases apart, for a client that
//! does not. Symbolic links are followed by reading them here, so a link can never lead out of the volume:
//! absolute targets and such that climb above the root are refused, and what [`Rights::follows`] refuses. `..` in a target is taken by name, not
//! through further links.
//!
//! An origin that folds case may know a file by more names than its directory lists: short ones, or with dots behind them.
//! For callers with [`Rights::only_listed`] nothing is there by these. Which characters its upcase table joins is theirs to
//! judge: to look at a listing for each name that is not ASCII would be too much.

use crate::core::Core;
use crate::vfs::SYMLINKS_MAX;
use crate::{Error, Result, Rights, Stop, names};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;
use volume::{Attr, Cx, Entry, ErrorKind, Kind, VPath};

/// Most times a path is looked at anew because a link or another spelling was found on the way.
const STEPS_MAX: usize = 4 * SYMLINKS_MAX;
/// Longest short name, before and behind its period (MS-FSCC 2.1.5.2.1).
const SHORT_NAME_MAX_CHARS: (usize, usize) = (8, 3);

/// How to look a path up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup<'a> {
    pub case_sensitive: bool,
    /// A link as last component is followed.
    pub follow: bool,
    /// The first link that would be followed is told of instead.
    pub stop: bool,
    /// Which links are followed; without it all.
    pub rights: Option<&'a dyn Rights>,
}

impl Lookup<'_> {
    /// Whether a path means just what it says, but for links on the way.
    pub(crate) fn is_plain(&self) -> bool {
        self.case_sensitive && !self.follow && self.rights.is_none()
    }
}

/// What a path stands for.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// As the origin spells it; the last component as the client does when there is none.
    pub path: VPath,
    /// `None`: the last component is not there, its directory is.
    pub attr: Option<Attr>,
}

impl Resolved {
    pub(crate) fn found(self) -> Result<(VPath, Attr)> {
        match self.attr {
            Some(attr) => Ok((self.path, attr)),
            None => Err(Error::NotFound),
        }
    }
}

/// What a look at the directories of a path gave.
enum Step {
    /// Look at this path instead.
    Other(VPath),
    /// A link on the way was followed to this path.
    Linked(VPath),
    /// The directory is there, the name is not.
    Missing,
}

impl Core {
    /// Finds what a client's path stands for.
    ///
    /// # Errors
    /// `PathNotFound` when a directory on the way is missing or is none, `LinkRefused`, and what the volume
    /// answers.
    pub(crate) async fn resolve(&self, cx: &Cx, path: &VPath, how: Lookup<'_>) -> Result<Resolved> {
        let found = self.find(cx, path, how).await?;
        if !self.caps.case_sensitive && how.rights.is_some_and(Rights::only_listed) {
            self.check_listed(cx, &found).await?;
        }
        Ok(found)
    }

    /// The same for who `makes` what is not there, under just this path: its directory is not looked at. Where there is none,
    /// or a link in its place, making fails ([`Error::may_lead_elsewhere`]).
    pub(crate) async fn resolve_to_make(
        &self,
        cx: &Cx,
        path: &VPath,
        how: Lookup<'_>,
        makes: bool,
    ) -> Result<Resolved> {
        match makes {
            true => Ok(Resolved { path: path.clone(), attr: self.look(cx, path).await? }),
            false => self.resolve(cx, path, how).await,
        }
    }

    /// The same, by whatever names the origin knows.
    async fn find(&self, cx: &Cx, path: &VPath, how: Lookup<'_>) -> Result<Resolved> {
        let mut path = path.clone();
        let mut links = 0;
        for _ in 0..STEPS_MAX {
            let step = match self.look(cx, &path).await? {
                Some(attr) if attr.kind == Kind::Symlink && how.follow => {
                    Step::Linked(self.follow(cx, &path, "", how).await?)
                }
                Some(attr) => return Ok(Resolved { path, attr: Some(attr) }),
                None => self.walk(cx, &path, how).await?,
            };
            match step {
                Step::Missing => return Ok(Resolved { path, attr: None }),
                Step::Other(other) => path = other,
                Step::Linked(other) => {
                    links += 1;
                    if links > SYMLINKS_MAX {
                        return Err(Error::LinkRefused);
                    }
                    path = other;
                }
            }
        }
        // Names that change as fast as they are looked up.
        Err(Error::Volume(volume::Error::new(ErrorKind::Busy, "look up", path)))
    }

    /// One name of a directory that is there, whatever case it is asked for in, where that does not count: in the origin's
    /// spelling, with what bears it. A link is not followed. `None`: it is in no spelling there.
    pub(crate) async fn find_in(
        &self,
        cx: &Cx,
        dir: &VPath,
        name: &str,
        case_sensitive: bool,
        rights: Option<&dyn Rights>,
    ) -> Result<Option<Entry>> {
        let how = Lookup { case_sensitive, follow: false, stop: false, rights };
        // Who tells cases apart spells names as they are stored.
        let name = if case_sensitive { Cow::Borrowed(name) } else { names::stored(name) };
        // A name that no path can hold is nowhere.
        let Ok(path) = dir.join(&name) else { return Ok(None) };
        let (path, attr) = match self.resolve(cx, &path, how).await.and_then(Resolved::found) {
            // A link has come to be in the directory's place, and leads elsewhere.
            Ok((path, _)) if path.parent().as_ref() != Some(dir) => return Ok(None),
            Ok(found) => found,
            // Or it is found there by a name that is not listed.
            Err(Error::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let name = match self.caps.case_sensitive {
            true => Some(path.name().into()),
            // The origin took it in the spelling in which it was asked for.
            false => self.spelling(cx, dir, path.name()).await?,
        };
        Ok(name.map(|name| Entry { name, attr }))
    }

    /// Refuses a path on which something is there by a name that its directory does not list.
    async fn check_listed(&self, cx: &Cx, found: &Resolved) -> Result<()> {
        let mut at = match found.attr {
            Some(_) => Some(found.path.clone()),
            None => found.path.parent(),
        };
        while let Some(path) = at {
            let Some(dir) = path.parent() else { return Ok(()) };
            if may_be_anothers(path.name()) && self.spelling(cx, &dir, path.name()).await?.is_none() {
                return Err(if path == found.path { Error::NotFound } else { Error::PathNotFound });
            }
            at = Some(dir);
        }
        Ok(())
    }

    /// One look at a whole path; `None` when it leads nowhere as it is spelled.
    pub(crate) async fn look(&self, cx: &Cx, path: &VPath) -> Result<Option<Attr>> {
        match self.volume.stat(cx, path).await {
            Ok(attr) => Ok(Some(attr)),
            // A link on the way may be one that the origin does not follow.
            Err(error) => match error.kind {
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::Loop => Ok(None),
                _ => Err(error.into()),
            },
        }
    }

    /// Looks at the directories of a path that leads nowhere.
    async fn walk(&self, cx: &Cx, path: &VPath, how: Lookup<'_>) -> Result<Step> {
        let Some(parent) = path.parent() else {
            return Err(Error::NotFound);
        };
        let last = path.name();
        if let Some(known) = self.known(&parent, last, how) {
            return self.spelled(&parent, known);
        }
        match self.look(cx, &parent).await? {
            Some(attr) if attr.is_dir() => {
                let found = self.variant(cx, &parent, last, how).await?;
                self.spelled(&parent, found)
            }
            Some(attr) if attr.kind == Kind::Symlink => {
                Ok(Step::Linked(self.follow(cx, &parent, last, how).await?))
            }
            Some(_) => Err(Error::PathNotFound),
            None => self.descend(cx, &parent, last, how).await,
        }
    }

    /// Finds the directory of a path from the root down, as none of that spelling is there.
    async fn descend(&self, cx: &Cx, parent: &VPath, last: &str, how: Lookup<'_>) -> Result<Step> {
        let mut dir = VPath::root();
        let mut rest = parent.components();
        while let Some(name) = rest.next() {
            let mut below = dir.join(name)?;
            let mut attr = self.look(cx, &below).await?;
            if attr.is_none()
                && let Some(spelling) = self.variant(cx, &dir, name, how).await?
            {
                below = dir.join(&spelling)?;
                attr = self.look(cx, &below).await?;
            }
            match attr {
                Some(attr) if attr.is_dir() => dir = below,
                Some(attr) if attr.kind == Kind::Symlink => {
                    let rest: Vec<&str> = rest.chain(std::iter::once(last)).collect();
                    return Ok(Step::Linked(self.follow(cx, &below, &rest.join("/"), how).await?));
                }
                Some(_) | None => return Err(Error::PathNotFound),
            }
        }
        Ok(Step::Other(dir.join(last)?))
    }

    fn spelled(&self, dir: &VPath, found: Option<Arc<str>>) -> Result<Step> {
        Ok(match found {
            Some(name) => Step::Other(dir.join(&name)?),
            None => Step::Missing,
        })
    }

    /// What is known of a name without asking: `None` nothing. An index that has the very name which the
    /// volume has just denied is out of date.
    fn known(&self, dir: &VPath, name: &str, how: Lookup<'_>) -> Option<Option<Arc<str>>> {
        if !self.may_differ(name, how) {
            return None;
        }
        let trust = self.trust();
        let mut indexes = self.indexes.lock();
        let known = indexes.find(dir, name, Instant::now(), trust)?;
        if known.as_deref() == Some(name) {
            indexes.forget(dir);
            return None;
        }
        Some(known)
    }

    /// The stored spelling of a name that is not there as it is spelled.
    async fn variant(&self, cx: &Cx, dir: &VPath, name: &str, how: Lookup<'_>) -> Result<Option<Arc<str>>> {
        if !self.may_differ(name, how) {
            return Ok(None);
        }
        match self.known(dir, name, how) {
            Some(known) => Ok(known),
            None => self.read_spelling(cx, dir, name, || self.known(dir, name, how)).await,
        }
    }

    /// The stored spelling of a name that is there.
    async fn spelling(&self, cx: &Cx, dir: &VPath, name: &str) -> Result<Option<Arc<str>>> {
        let trust = self.trust();
        // An index that does not have it is out of date.
        let known = || self.indexes.lock().find(dir, name, Instant::now(), trust).flatten().map(Some);
        match known() {
            Some(known) => Ok(known),
            None => self.read_spelling(cx, dir, name, known).await,
        }
    }

    /// Whether a name is listed in this very spelling.
    pub(crate) async fn is_listed(&self, cx: &Cx, path: &VPath) -> Result<bool> {
        let Some(dir) = path.parent() else { return Ok(true) };
        Ok(self.spelling(cx, &dir, path.name()).await?.is_some_and(|listed| &*listed == path.name()))
    }

    /// Whether a name may be stored in another spelling than it is asked for.
    fn may_differ(&self, name: &str, how: Lookup<'_>) -> bool {
        !how.case_sensitive && (self.caps.case_sensitive || names::is_mapped(name))
    }

    /// What a link in a directory leads to; `None` when it is none, or leads nowhere.
    pub(crate) async fn led_to(
        &self,
        cx: &Cx,
        path: &VPath,
        attr: &Attr,
        rights: Option<&dyn Rights>,
    ) -> Result<Option<(VPath, Attr)>> {
        if attr.kind != Kind::Symlink {
            return Ok(None);
        }
        let how = Lookup { case_sensitive: false, follow: true, stop: false, rights };
        match self.resolve(cx, path, how).await.and_then(|found| found.found()) {
            Ok(found) => Ok(Some(found)),
            Err(Error::Volume(error)) => Err(Error::Volume(error)),
            Err(_) => Ok(None),
        }
    }

    /// Where the link `path` with `rest` behind it leads.
    async fn follow(&self, cx: &Cx, path: &VPath, rest: &str, how: Lookup<'_>) -> Result<VPath> {
        let target = self.volume.read_link(cx, path).await?;
        if how.stop {
            return Err(Error::Stopped(Box::new(Stop { target, rest: rest.to_owned() })));
        }
        if how.rights.is_some_and(|rights| !rights.follows(&target)) {
            return Err(Error::LinkRefused);
        }
        let mut lead = link_target(path, &target)?;
        for name in rest.split('/').filter(|name| !name.is_empty()) {
            lead = lead.join(name)?;
        }
        Ok(lead)
    }
}

/// Whether an origin may find by this name what bears quite another one.
fn may_be_anothers(name: &str) -> bool {
    names::is_mapped(name) || may_be_short(name)
}

/// Whether a file system may have made this name up for a longer one: `SECRET~1.TXT`, and `SIR0F7~X` at Samba. What is
/// left behind by editors and offices (`~$a.docx`, `~WRD0001.tmp`, `a.c~`) is not such.
fn may_be_short(name: &str) -> bool {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let Some((head, number)) = base.rsplit_once('~') else { return false };
    let (base_max, extension_max) = SHORT_NAME_MAX_CHARS;
    let fits = base.chars().count() <= base_max && extension.chars().count() <= extension_max;
    fits && !head.is_empty() && !number.is_empty() && number.chars().all(char::is_alphanumeric)
}

/// Where a link with this content leads, by name.
pub(crate) fn link_target(link: &VPath, target: &str) -> Result<VPath> {
    if target.starts_with('/') || target.is_empty() {
        return Err(Error::LinkRefused);
    }
    let mut at = link.parent().ok_or(Error::LinkRefused)?;
    for name in target.split('/') {
        at = match name {
            "" | "." => at,
            ".." => at.parent().ok_or(Error::LinkRefused)?,
            _ => at.join(name).map_err(|_| Error::LinkRefused)?,
        };
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside() {
        let link = VPath::parse("a/b/link").unwrap();
        for (target, leads) in [
            ("c", Some("a/b/c")),
            ("../c/./d/", Some("a/c/d")),
            ("../..", Some("")),
            ("../../x", Some("x")),
            ("../../../x", None),
            ("/etc/passwd", None),
            ("", None),
            ("../../..", None),
        ] {
            let got = link_target(&link, target);
            assert_eq!(got.as_ref().ok().map(VPath::as_str), leads, "{target}");
            assert!(leads.is_some() || matches!(got, Err(Error::LinkRefused)));
        }
    }
}

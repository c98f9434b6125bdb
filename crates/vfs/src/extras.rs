//! What front ends do with an open besides reading, writing and setting attributes: what it carries (extended
//! attributes, streams, a security descriptor), holes, copies at the origin, reserved room.
//!
//! **Names** of attributes and streams are found in any spelling, the very same one first; a new value keeps the
//! client's spelling, one that is there keeps its own. What an object carries goes by its name: an open whose name
//! is gone has none of it any more. Streams and descriptors are asked for only when the attributes say that there are
//! some.
//!
//! **Content.** Zeroing and copying change content as writing does: the locks of others refuse it, caches of others
//! are taken away, the echo is known as ours, and it is carried to its end. Where the volume cannot, zeros
//! are written and bytes are copied through here, in pieces of [`PIECE_BYTES`]; sharing blocks cannot be made up.

use crate::Carry;
use crate::attributes;
use crate::core::Core;
use crate::names;
use crate::notify::Filter;
use crate::open::OpenKey;
use crate::range_lock::Range;
use crate::{Access, Error, Open, Result};
use bytes::Bytes;
use std::ops;
use std::sync::Arc;
use volume::{Attr, Carries, Change, Copying, Cx, ErrorKind, File, Fresh, Kind, Named, NamedEntry, VPath};

/// What tells of a stream. One that is open is asked for again.
const STREAM: Filter = Filter::STREAM_NAME.union(Filter::STREAM_SIZE).union(Filter::STREAM_WRITE);

/// Bytes that are copied or zeroed through here at once.
const PIECE_BYTES: u64 = 1 << 20;

impl Open {
    /// The whole value that the object carries under a name, found in any spelling; `None` when there is none. The
    /// right to it is the front end's to check.
    pub async fn named(&self, cx: &Cx, name: &Named) -> Result<Option<Bytes>> {
        self.check(Access::empty())?;
        let Open { core, key, .. } = self.carrier();
        if !self.may_carry(cx, name.kind()).await? {
            return Ok(None);
        }
        if let Some(value) = value_of(core, cx, *key, name).await? {
            return Ok(Some(value));
        }
        match spelling(core, cx, *key, name).await? {
            Some(entry) if entry.name != *name => value_of(core, cx, *key, &entry.name).await,
            Some(_) | None => Ok(None),
        }
    }

    /// What of these kinds the object carries.
    pub async fn list_named(&self, cx: &Cx, kinds: Carries) -> Result<Vec<NamedEntry>> {
        self.check(Access::empty())?;
        if !self.may_carry(cx, kinds).await? {
            return Ok(Vec::new());
        }
        let mut entries = list(&self.core, cx, self.carrier().key).await?;
        entries.retain(|entry| kinds.contains(entry.name.kind()));
        Ok(entries)
    }

    /// Sets a value, or takes it away with `None`; returns the attributes as they are then. The right to it is the
    /// front end's to check. Once begun it runs to its end, also when the future is dropped.
    ///
    /// # Errors
    /// `NameInvalid`; of the volume `NoSpace` for a value that it has no room for, `Unsupported` where it keeps none.
    pub async fn set_named(&self, cx: &Cx, name: &Named, value: Option<Bytes>) -> Result<Attr> {
        self.check(Access::empty())?;
        if self.core.caps.read_only {
            return Err(Error::ReadOnly);
        }
        let landing = self.landing(false)?;
        // Two spellings of one name are not made at once.
        let turn = self.carrier().node.carrying.clone().lock_owned().await;
        let work = set(self.core.clone(), cx.clone(), self.carrier().key, name.clone(), value);
        Carry::new(async move {
            let _held = (landing, turn);
            work.await
        })
        .await
    }

    /// Where in a range the file has data, as [`volume::File::ranges`] tells it; all of it where the volume
    /// cannot tell. Needs `READ_DATA` or `EXECUTE`.
    pub async fn ranges(&self, cx: &Cx, offset: u64, length: u64) -> Result<Vec<ops::Range<u64>>> {
        self.check(Access::READING)?;
        let file = self.content()?;
        let told = match self.core.caps.holes {
            true => able(file.ranges(cx, offset, length).await)?,
            false => None,
        };
        if let Some(ranges) = told {
            return Ok(ranges);
        }
        let size = file.attr(cx, Fresh::Cached).await?.size;
        let whole = offset.min(size)..offset.saturating_add(length).min(size);
        Ok(if whole.is_empty() { Vec::new() } else { vec![whole] })
    }

    /// Makes a range read as zeros, and gives its room back where the volume can; nothing beyond the end of the file.
    /// Needs `WRITE_DATA`.
    pub async fn zero(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        self.check(Access::WRITE_DATA)?;
        let (file, cx) = (self.content()?.clone(), cx.clone());
        if length == 0 {
            return Ok(());
        }
        let range = Range::new(offset, length);
        if range.check().is_err() {
            return Err(Error::InvalidArgument("a change beyond 2^64"));
        }
        let (held, holes) = (self.changing_content(&cx, range).await?, self.core.caps.holes);
        Carry::new(async move {
            let _held = held;
            match holes && able(file.zero(&cx, offset, length).await)?.is_some() {
                true => Ok(()),
                false => write_zeros(&*file, &cx, offset, length).await,
            }
        })
        .await
    }

    /// Copies up to `length` bytes from another open, at the origin where that is possible; returns how many,
    /// fewer only where the source ends. What overlaps in one file is copied as if it had been read whole first.
    /// Needs `READ_DATA` or `EXECUTE` of the source, and what writing needs.
    ///
    /// # Errors
    /// `LockConflict` for a lock in the way in either file, but not with [`Copying::Clone`]. Of the volume, with [`Copying::Clone`] alone:
    /// `Unsupported` where blocks cannot be shared, `InvalidArgument` for what is not whole blocks.
    pub async fn copy_from(
        &self,
        cx: &Cx,
        source: &Open,
        offset: u64,
        source_offset: u64,
        length: u64,
        how: Copying,
    ) -> Result<u64> {
        source.check(Access::READING)?;
        self.check(Access::WRITING)?;
        let (from, to) = (Range::new(source_offset, length), Range::new(offset, length));
        if from.check().is_err() || to.check().is_err() {
            return Err(Error::InvalidArgument("a change beyond 2^64"));
        }
        let same_volume = Arc::ptr_eq(&self.core, &source.core);
        let copy = Copy {
            source: source.content()?.clone(),
            from: source_offset,
            target: self.content()?.clone(),
            to: offset,
            length,
            within_one: same_volume && self.key.file == source.key.file,
            at_origin: same_volume && self.core.caps.copies,
        };
        if length == 0 {
            return Ok(0);
        }
        // Who shares blocks goes past locks, as with Windows.
        let (from, to) = match how {
            Copying::Clone => (Range::new(0, 0), Range::new(0, 0)),
            Copying::Any => (from, to),
        };
        source.node.locks.check_io(source.key.id, from, false)?;
        let (held, cx) = (self.changing_content(cx, to).await?, cx.clone());
        Carry::new(async move {
            let _held = held;
            copy.run(&cx, how).await
        })
        .await
    }

    /// Reserves room, so that writing up to `size` does not fail for want of it; returns the attributes as they are
    /// then. Needs `WRITE_DATA`. Of the volume `Unsupported` where it cannot.
    pub async fn reserve(&self, cx: &Cx, size: u64) -> Result<Attr> {
        self.check(Access::WRITE_DATA)?;
        let (file, cx) = (self.content()?.clone(), cx.clone());
        self.before_writing(&cx).await?;
        let (core, key, landing) = (self.core.clone(), self.key, self.landing(false)?);
        Carry::new(async move {
            let _landing = landing;
            let Some((path, parent_lease)) = core.place_if_named(key)? else {
                return Ok(file.allocate(&cx, size).await?);
            };
            let changing = core.changing(&[&path]);
            let attr = file.allocate(&cx, size).await?;
            core.modified(changing.began, &path, &attr, Filter::SIZE, Some(key.id), parent_lease);
            Ok(attr)
        })
        .await
    }

    /// Whether there may be values of these kinds. Only for streams and descriptors do the attributes know.
    async fn may_carry(&self, cx: &Cx, kinds: Carries) -> Result<bool> {
        let can = self.core.caps.named && matches!(self.key.kind, Kind::File | Kind::Dir);
        Ok(can && (kinds.contains(Carries::EXTENDED) || self.attr(cx).await?.carries.intersects(kinds)))
    }
}

async fn value_of(core: &Arc<Core>, cx: &Cx, key: OpenKey, name: &Named) -> Result<Option<Bytes>> {
    let ask = |path| async move { Ok(core.volume.named(cx, &path, Some(key.file), name).await?) };
    attributes::by_name(core, cx, key, ask).await
}

async fn list(core: &Arc<Core>, cx: &Cx, key: OpenKey) -> Result<Vec<NamedEntry>> {
    let ask = |path| async move { Ok(core.volume.list_named(cx, &path, Some(key.file)).await?) };
    attributes::by_name(core, cx, key, ask).await
}

/// The value that a client means by a name.
async fn spelling(core: &Arc<Core>, cx: &Cx, key: OpenKey, name: &Named) -> Result<Option<NamedEntry>> {
    let entries = list(core, cx, key).await?;
    let mut alike: Vec<NamedEntry> = entries.into_iter().filter(|entry| same(&entry.name, name)).collect();
    alike.sort_by(|a, b| (a.name != *name, &a.name).cmp(&(b.name != *name, &b.name)));
    Ok(alike.into_iter().next())
}

fn same(a: &Named, b: &Named) -> bool {
    match (a, b) {
        (Named::Extended(a), Named::Extended(b)) | (Named::Stream(a), Named::Stream(b)) => names::same(a, b),
        (Named::System(a), Named::System(b)) => a == b,
        (Named::Descriptor, Named::Descriptor) => true,
        (Named::Extended(_) | Named::System(_) | Named::Stream(_) | Named::Descriptor, _) => false,
    }
}

async fn set(core: Arc<Core>, cx: Cx, key: OpenKey, name: Named, value: Option<Bytes>) -> Result<Attr> {
    name.check().map_err(|_| Error::NameInvalid)?;
    let present = attributes::of_name(&core, &cx, key).await?;
    let (is_listed, was_there) = match &name {
        Named::Extended(_) => (core.caps.named, false),
        Named::Stream(_) => (present.carries.contains(Carries::STREAMS), false),
        // Its name is exactly that, and the volume knows what was there.
        Named::System(_) => (false, true),
        Named::Descriptor => (false, present.carries.contains(Carries::DESCRIPTOR)),
    };
    let there = if is_listed { spelling(&core, &cx, key, &name).await? } else { None };
    let was_there = was_there || there.is_some();
    if core.caps.named && !was_there && value.is_none() {
        return Ok(present);
    }
    let what = what_is_set(&name, was_there, value.is_some());
    let name = there.map_or(name, |entry| entry.name);
    let apply = |path| apply(&core, &cx, key, path, (&name, &value), what);
    attributes::by_name(&core, &cx, key, apply).await
}

/// Has the volume set a value under a path, and tells of it.
async fn apply(
    core: &Arc<Core>,
    cx: &Cx,
    key: OpenKey,
    path: VPath,
    (name, value): (&Named, &Option<Bytes>),
    what: Filter,
) -> Result<Attr> {
    let (_, parent_lease) = core.place_of(key.file, key.id)?;
    let changing = core.changing(&[&path]);
    let (name, value, expect) = (name.clone(), value.clone(), Some(key.file));
    let is_descriptor = name == Named::Descriptor;
    let change = Change::SetNamed { path: path.clone(), name, value, expect };
    let outcome = core.volume.apply(cx, &change).await;
    if is_descriptor {
        core.descriptors.lock().set(key.file, &path);
    }
    let attr = match outcome?.attr {
        Some(attr) => attr,
        None => attributes::stat(core, cx, key, path.clone()).await?,
    };
    core.modified(changing.began, &path, &attr, what, None, parent_lease);
    if what.intersects(STREAM) {
        core.decide(|registry, told| registry.contend_foreign_streams(key.file, told));
    }
    Ok(attr)
}

/// What watchers are told of.
fn what_is_set(name: &Named, was_there: bool, is_there: bool) -> Filter {
    match name {
        Named::Extended(_) | Named::System(_) => Filter::EA,
        Named::Descriptor => Filter::SECURITY,
        Named::Stream(_) if was_there && is_there => Filter::STREAM_SIZE | Filter::STREAM_WRITE,
        Named::Stream(_) => Filter::STREAM_NAME,
    }
}

/// `None` for what the volume cannot do for this file.
fn able<T>(answer: volume::Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if error.kind == ErrorKind::Unsupported => Ok(None),
        answer => Ok(Some(answer?)),
    }
}

/// Zeros where the volume makes no holes.
async fn write_zeros(file: &dyn File, cx: &Cx, offset: u64, length: u64) -> Result<()> {
    let size = file.attr(cx, Fresh::Cached).await?.size;
    let (mut at, end) = (offset, offset.saturating_add(length).min(size));
    while at < end {
        let piece = (end - at).min(PIECE_BYTES);
        file.write_at(cx, at, Bytes::from(vec![0; piece as usize])).await?;
        at += piece;
    }
    Ok(())
}

/// A copy on its way.
struct Copy {
    source: Arc<dyn File>,
    from: u64,
    target: Arc<dyn File>,
    to: u64,
    length: u64,
    /// Both are one file.
    within_one: bool,
    /// The volume can copy between the two.
    at_origin: bool,
}

impl Copy {
    async fn run(&self, cx: &Cx, how: Copying) -> Result<u64> {
        let apart = self.from.abs_diff(self.to) >= self.length;
        if how == Copying::Any && (!self.at_origin || self.within_one && !apart) {
            return self.through_here(cx, 0).await;
        }
        let mut done = 0;
        while done < self.length {
            let (to, from, left) = (self.to + done, self.from + done, self.length - done);
            let copied = self.target.copy_from(cx, to, &self.source, from, left, how).await;
            let copied = if how == Copying::Any { able(copied)? } else { Some(copied?) };
            match copied {
                Some(0) => break,
                Some(copied) => done += copied.min(left),
                None => return self.through_here(cx, done).await,
            }
        }
        Ok(done)
    }

    /// By reading and writing, from `done` on. Of ranges that overlap the end goes first when they move up.
    async fn through_here(&self, cx: &Cx, done: u64) -> Result<u64> {
        let size = self.source.attr(cx, Fresh::Cached).await?.size;
        let length = self.length.min(size.saturating_sub(self.from));
        let upward = self.within_one && self.to > self.from;
        let pieces = length.saturating_sub(done).div_ceil(PIECE_BYTES);
        for number in 0..pieces {
            let number = if upward { pieces - 1 - number } else { number };
            let at = done + number * PIECE_BYTES;
            let piece = PIECE_BYTES.min(length - at);
            let data = self.source.read_at(cx, self.from + at, piece as u32).await?;
            let short = (data.len() as u64) < piece;
            if !data.is_empty() {
                self.target.write_at(cx, self.to + at, data.clone()).await?;
            }
            if short && !upward {
                // The source became shorter.
                return Ok(at + data.len() as u64);
            }
        }
        Ok(length.max(done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_kind_are_the_same_in_any_spelling() {
        let (ea, stream) = (Named::extended, Named::stream);
        assert!(same(&ea("Größe"), &ea("GRÖßE")));
        assert!(same(&stream("zone.identifier"), &stream("Zone.Identifier")));
        assert!(same(&Named::Descriptor, &Named::Descriptor));
        assert!(!same(&ea("a"), &stream("a")));
        assert!(!same(&ea("a"), &ea("b")));
        assert!(!same(&Named::Descriptor, &ea("a")));
    }

    #[test]
    fn watchers_are_told_what_it_was() {
        let stream = Named::stream("s");
        for (name, before, after, what) in [
            (&stream, false, true, Filter::STREAM_NAME),
            (&stream, true, false, Filter::STREAM_NAME),
            (&stream, true, true, Filter::STREAM_SIZE | Filter::STREAM_WRITE),
            (&Named::extended("a"), true, true, Filter::EA),
            (&Named::Descriptor, false, true, Filter::SECURITY),
        ] {
            assert_eq!(what_is_set(name, before, after), what, "{name}");
        }
    }
}

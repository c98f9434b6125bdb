//! Operations on files that are there: content by handle and by name, and what files carry besides.

use super::{FILE_MAX, Model, Thing};
use crate::ease::cx;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use volume::{Caps, Carries, Change, Copying, ErrorKind, File, Named, SetAttr, VPath, Volume};

impl Model {
    pub(super) async fn write_by_handle(&mut self, caps: &Caps) {
        if !self.handles.is_empty() {
            let which = self.rng.below(self.handles.len() as u64) as usize;
            self.write(which, caps).await;
        }
    }

    pub(super) async fn write(&mut self, which: usize, caps: &Caps) {
        let (file, number) = self.handles[which].clone();
        let end = self.contents[&number].len() as u64;
        let offset = if caps.random_write { self.rng.below(FILE_MAX) } else { end };
        let length = self.rng.below(FILE_MAX / 2) as usize;
        let data = self.rng.bytes(length);
        let what = format!("write {length} bytes at {offset} of content {number}");
        let came = file.write_at(&cx(), offset, Bytes::copy_from_slice(&data)).await;
        self.agree(what, came, &Ok(()));
        let content = self.contents.entry(number).or_default();
        let (start, end) = (offset as usize, offset as usize + length);
        if length > 0 && content.len() < end {
            content.resize(end, 0);
        }
        if length > 0 {
            content[start..end].copy_from_slice(&data);
        }
    }

    /// One of the handles, if there is any.
    pub(super) fn handle(&mut self) -> Option<(Arc<dyn File>, usize)> {
        let which = self.rng.below(self.handles.len().max(1) as u64) as usize;
        self.handles.get(which).cloned()
    }

    pub(super) async fn zero(&mut self, caps: &Caps) {
        let Some((file, number)) = self.handle() else { return };
        if !(caps.holes && caps.random_write) {
            return;
        }
        let (offset, length) = (self.rng.below(FILE_MAX), self.rng.below(FILE_MAX));
        let came = file.zero(&cx(), offset, length).await;
        self.agree(format!("zeros, {length} bytes at {offset} of content {number}"), came, &Ok(()));
        let content = self.contents.entry(number).or_default();
        let end = (offset + length).min(content.len() as u64) as usize;
        let start = (offset as usize).min(end);
        content[start..end].fill(0);
        let ranges = file.ranges(&cx(), 0, u64::MAX).await.expect("ranges");
        let data = |at: usize| ranges.iter().any(|range| range.contains(&(at as u64)));
        let lost = self.contents[&number].iter().enumerate().find(|(at, byte)| **byte != 0 && !data(*at));
        assert!(lost.is_none(), "data at {lost:?} outside of {ranges:?}\n{}", self.story());
    }

    pub(super) async fn copy(&mut self, caps: &Caps) {
        let (Some((target, to)), Some((source, from))) = (self.handle(), self.handle()) else { return };
        // Who knows files by their names alone may take two opens by one name for one file.
        if !(caps.copies && caps.random_write && caps.stable_ids) {
            return;
        }
        let (offset, source_offset) = (self.rng.below(FILE_MAX), self.rng.below(FILE_MAX));
        let length = self.rng.below(FILE_MAX);
        let there = &self.contents[&from];
        let start = (source_offset as usize).min(there.len());
        let data = there[start..(start + length as usize).min(there.len())].to_vec();
        let overlaps = to == from && offset.abs_diff(source_offset) < data.len() as u64;
        if overlaps {
            // Whether it is refused depends on how much is left of the source.
            return;
        }
        let what = format!("{} bytes at {source_offset} of content {from} to {offset} of {to}", data.len());
        let came = target.copy_from(&cx(), offset, &source, source_offset, length, Copying::Any).await;
        // So little is copied in one call.
        let copied = self.agree(what, came, &Ok(()));
        assert_eq!(copied, Some(data.len() as u64), "{}", self.story());
        let content = self.contents.entry(to).or_default();
        let end = offset as usize + data.len();
        if !data.is_empty() {
            content.resize(content.len().max(end), 0);
            content[offset as usize..end].copy_from_slice(&data);
        }
    }

    pub(super) async fn resize(&mut self, volume: &dyn Volume, caps: &Caps) {
        let path = self.path();
        let size = if caps.random_write { self.rng.below(FILE_MAX) } else { 0 };
        let expected = self.thing(&path).and_then(|thing| match thing {
            Thing::File(number) => Ok(number),
            Thing::Dir => Err(ErrorKind::IsADirectory),
            Thing::Symlink(_) => Err(ErrorKind::InvalidArgument),
        });
        let set = Change::SetAttr { path: path.clone(), set: SetAttr::size(size), expect: None };
        let came = volume.apply(&cx(), &set).await;
        self.agree(format!("size of {path:?} to {size}"), came, &expected);
        if let Ok(number) = expected {
            self.contents.entry(number).or_default().resize(size as usize, 0);
        }
    }

    pub(super) async fn set_named(&mut self, volume: &dyn Volume, caps: &Caps) {
        let path = self.path();
        let name = self.rng.pick(&[Named::extended("x"), Named::stream("s"), Named::Descriptor]).clone();
        let length = self.rng.below(100) as usize;
        let value = (!self.rng.one_in(3)).then(|| self.rng.bytes(length));
        let expected = match (caps.named, self.thing(&path)) {
            (false, _) | (true, Ok(Thing::Symlink(_))) => Err(ErrorKind::Unsupported),
            (true, thing) => thing,
        };
        if expected == Ok(Thing::Dir) {
            // A directory has no number here; the contract looks at those.
            return;
        }
        let what = format!("{name} of {path:?} to {:?} bytes", value.as_ref().map(Vec::len));
        let change = Change::SetNamed {
            path,
            name: name.clone(),
            value: value.as_deref().map(Bytes::copy_from_slice),
            expect: None,
        };
        let came = volume.apply(&cx(), &change).await;
        self.agree(what, came, &expected);
        if let Ok(Thing::File(number)) = expected {
            let carried = self.carried.entry(number).or_default();
            match value {
                Some(value) => carried.insert(name, value),
                None => carried.remove(&name),
            };
        }
    }

    pub(super) async fn same_carried(&self, volume: &dyn Volume, number: usize, path: &VPath) {
        let none = BTreeMap::new();
        let wanted = self.carried.get(&number).unwrap_or(&none);
        let attr = volume.stat(&cx(), path).await.expect("stat");
        let carries = wanted.keys().map(Named::kind).fold(Carries::empty(), |all, kind| all | kind);
        assert_eq!(attr.carries, carries, "{path}\n{}", self.story());
        if !volume.caps().named {
            return;
        }
        let listed = volume.list_named(&cx(), path, Some(attr.id)).await.expect("list_named");
        let listed: BTreeMap<_, _> = listed.into_iter().map(|entry| (entry.name, entry.size)).collect();
        let sizes: BTreeMap<_, _> =
            wanted.iter().map(|(name, value)| (name.clone(), value.len() as u64)).collect();
        assert_eq!(listed, sizes, "{path}\n{}", self.story());
        for (name, value) in wanted {
            let there = volume.named(&cx(), path, None, name).await.expect("named");
            assert_eq!(there.as_deref(), Some(&value[..]), "{name} of {path}\n{}", self.story());
        }
    }
}

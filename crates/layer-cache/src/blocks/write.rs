//! Our own changes of content: the origin first, then the cached blocks.
//!
//! An [`OwnChange`] is begun before the origin is asked and ended by exactly one of: `wrote`, `replaced` (zeroed, or
//! copied at the origin), `resized`, `unchanged` (only attributes), or by dropping it, which means that nobody knows what the origin has:
//! an error, or a caller that went away. Then the blocks it touched go, and the whole content with the next
//! look at the origin.
//!
//! Requests for the same bytes that are under way while the change happens may bring either state: those who
//! wait for them get what comes (they asked before the change was acknowledged), nobody else does.

use super::content::State;
use super::disk::{DataFile, length_of, mismatches};
use super::map::{blocks_of, sum_of};
use super::own::Verdict;
use super::{Blocks, Content};
use crate::BLOCK_BYTES;
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;
use volume::{Attr, SetAttr, Time};

/// A change of ours that is under way.
pub(crate) struct OwnChange {
    blocks: Arc<Blocks>,
    content: Arc<Content>,
    /// Names it among the writes of the content.
    number: u64,
    bytes: Range<u64>,
    /// Set when no other change was under way at its beginning.
    alone: Option<usize>,
    ended: bool,
}

/// What a change of attributes sets of those that tell of content.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sets {
    pub size: Option<u64>,
    /// The time of the last write.
    pub dated: bool,
}

impl Sets {
    pub(crate) fn of(set: &SetAttr) -> Sets {
        Sets { size: set.size, dated: set.mtime.is_some() }
    }
}

/// A block to be written: where its old bytes count, and what comes over them.
struct Patch {
    block: u64,
    old_sum: Option<u64>,
}

impl Blocks {
    /// A change of `bytes` begins (empty for attributes alone). `written`: when it was last written, if the content is
    /// current now and notices are promised.
    pub(crate) fn begin_change(
        self: &Arc<Self>,
        content: &Arc<Content>,
        bytes: Range<u64>,
        written: Option<Time>,
    ) -> OwnChange {
        let number = self.tick();
        let mut state = content.state.lock();
        let touched = affected(&bytes, state.size);
        state.spoil(&touched);
        let own = state.own_changes(written);
        own.begin(number);
        let alone = own.alone();
        let mut contested = false;
        for (_, other, also) in &mut state.writes {
            let overlaps = other.start < bytes.end && bytes.start < other.end;
            (*also, contested) = (*also || overlaps, contested || overlaps);
        }
        state.writes.push((number, bytes.clone(), contested));
        drop(state);
        OwnChange { blocks: self.clone(), content: content.clone(), number, bytes, alone, ended: false }
    }

    /// After a change of a content that left the table meanwhile: what took its place may not have it.
    fn doubt_successor(&self, content: &Content) {
        if let Some(present) = self.find(content.id) {
            let mut state = present.state.lock();
            state.recheck = true;
            state.own_changes(None).doubt();
        }
    }

    /// Patches the blocks of a write on disk; `None` for those that are not here afterwards.
    async fn patch(
        &self,
        content: &Arc<Content>,
        patches: Vec<Patch>,
        old_size: u64,
        new_size: u64,
        write: (u64, Bytes),
    ) -> Vec<(u64, Option<u64>)> {
        let numbers: Vec<u64> = patches.iter().map(|patch| patch.block).collect();
        if self.health.is_degraded() || !self.has_room(write.1.len() as u64) {
            return numbers.into_iter().map(|block| (block, None)).collect();
        }
        let (here, root) = (content.clone(), self.root.clone());
        let work = move || {
            let file = here.file(&root)?;
            let one =
                |patch: Patch| Ok((patch.block, write_block(&file, &patch, old_size, new_size, &write)?));
            patches.into_iter().map(one).collect::<io::Result<Vec<_>>>()
        };
        let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(io::Error::other(e)));
        done.unwrap_or_else(|e| {
            self.health.failed("writing a data file", &e);
            numbers.into_iter().map(|block| (block, None)).collect()
        })
    }
}

/// The bytes whose blocks a change of `bytes` touches: growing a file also changes its last block.
fn affected(bytes: &Range<u64>, size: u64) -> Range<u64> {
    let start = if bytes.end > size { bytes.start.min(size.saturating_sub(1)) } else { bytes.start };
    start..bytes.end
}

/// Writes one block; `None` when its old bytes are needed and not here.
fn write_block(
    file: &DataFile,
    patch: &Patch,
    old_size: u64,
    new_size: u64,
    (offset, data): &(u64, Bytes),
) -> io::Result<Option<u64>> {
    let start = patch.block * BLOCK_BYTES;
    let length = length_of(patch.block, new_size);
    let from = (*offset).clamp(start, start + length);
    let to = (offset + data.len() as u64).clamp(from, start + length);
    let part = &data[from.saturating_sub(*offset).min(data.len() as u64) as usize..][..(to - from) as usize];
    if part.len() as u64 == length {
        file.write(start, part)?;
        return Ok(Some(sum_of(part)));
    }
    let old_length = length_of(patch.block, old_size);
    let mut whole = match patch.old_sum {
        Some(sum) => {
            let old = file.read(&(start..start + old_length))?;
            if !mismatches(&old, start, &[sum], old_size).is_empty() {
                return Ok(None);
            }
            old
        }
        None if old_length == 0 => Vec::new(),
        None => return Ok(None),
    };
    whole.resize(length as usize, 0);
    whole[(from - start) as usize..(to - start) as usize].copy_from_slice(part);
    file.write(start, &whole)?;
    Ok(Some(sum_of(&whole)))
}

impl OwnChange {
    /// The origin has `data` at the beginning of the range now. Runs to its end even when the caller goes.
    pub(crate) async fn wrote(self, data: Bytes) {
        self.finish(|change| async move { change.take_in(data).await }).await;
    }

    /// The origin has the file at `size` now.
    pub(crate) async fn resized(self, size: u64) {
        self.finish(move |change| async move { change.take_size(size).await }).await;
    }

    /// The origin has other bytes in the range now, whatever they are, and the file ends no earlier than at `end`.
    pub(crate) async fn replaced(self, end: u64) {
        self.finish(move |change| async move { change.take_replaced(end).await }).await;
    }

    /// Only attributes changed; `dated` where the time of the last write may be one of them.
    pub(crate) fn unchanged(mut self, dated: bool) {
        if let Some(own) = self.content.state.lock().own.as_mut().filter(|_| dated) {
            own.dated(Instant::now());
        }
        self.end(true);
    }

    /// `attr` is the origin's answer to this change, which has been ended by then: adopts its version if
    /// nothing else happened. Returns whether the content stays.
    pub(crate) fn settle(blocks: &Blocks, content: &Arc<Content>, alone: Option<usize>, attr: &Attr) -> bool {
        let mut state = content.state.lock();
        let told = state.beside(attr);
        let verdict = match (&mut state.own, alone) {
            (Some(own), Some(begun)) => own.settle_with_own_answer(begun, told),
            (Some(_), None) | (None, _) => Verdict::Later,
        };
        if blocks.judge(content, &mut state, attr, verdict) {
            return true;
        }
        state.recheck = true;
        false
    }

    /// For [`OwnChange::settle`].
    pub(crate) fn alone(&self) -> Option<usize> {
        self.alone
    }

    async fn finish<F: Future<Output = ()> + Send + 'static>(
        self,
        work: impl FnOnce(OwnChange) -> F + Send + 'static,
    ) {
        if tokio::spawn(work(self)).await.is_err() {
            tracing::error!("taking in an own change panicked; its blocks were dropped");
        }
    }

    async fn take_in(mut self, data: Bytes) {
        self.blocks.load(&self.content).await;
        let content = self.content.clone();
        let _turn = content.turn.lock().await;
        let (patches, old_size, new_size) = {
            let mut state = content.state.lock();
            let (old, new) = (state.size, state.size.max(self.bytes.end));
            state.spoil(&affected(&self.bytes, old));
            (patches(&state, &self.bytes), old, new)
        };
        let write = (self.bytes.start, data);
        let done = self.blocks.patch(&content, patches, old_size, new_size, write).await;
        let mut state = content.state.lock();
        state.spoil(&affected(&self.bytes, old_size));
        state.size = new_size;
        if let Some(own) = &mut state.own {
            own.wrote(&self.bytes, Instant::now());
        }
        let contested =
            state.writes.iter().any(|(number, _, contested)| *number == self.number && *contested);
        if let Some(map) = &mut state.map {
            for (block, sum) in done {
                match sum {
                    Some(sum) if !contested => map.set(block, sum),
                    Some(_) | None => {
                        map.clear(block);
                    }
                }
            }
        }
        self.blocks.account(&mut state);
        drop(state);
        self.end(true);
    }

    async fn take_replaced(mut self, end: u64) {
        self.blocks.load(&self.content).await;
        let content = self.content.clone();
        let _turn = content.turn.lock().await;
        let mut state = content.state.lock();
        let touched = affected(&self.bytes, state.size);
        state.spoil(&touched);
        state.clear(blocks_of(touched.clone()));
        state.size = state.size.max(end);
        if let Some(own) = &mut state.own {
            own.replaced(&touched, Instant::now());
        }
        self.blocks.account(&mut state);
        drop(state);
        self.end(true);
    }

    async fn take_size(mut self, size: u64) {
        self.blocks.load(&self.content).await;
        let content = self.content.clone();
        let _turn = content.turn.lock().await;
        let kept = {
            let mut state = content.state.lock();
            let kept = size.min(state.size);
            state.spoil(&(kept.saturating_sub(1)..u64::MAX - BLOCK_BYTES));
            if let Some(map) = &mut state.map {
                // A block that is cut or grows has other bytes: it goes too.
                map.clear_from(kept / BLOCK_BYTES);
            }
            state.size = size;
            if let Some(own) = &mut state.own {
                own.resized(size, Instant::now());
            }
            self.blocks.account(&mut state);
            kept
        };
        let (here, root) = (content.clone(), self.blocks.root.clone());
        let cut = tokio::task::spawn_blocking(move || here.file(&root)?.cut(kept)).await;
        if let Err(e) = cut.unwrap_or_else(|e| Err(io::Error::other(e))) {
            self.blocks.health.failed("shortening a data file", &e);
        }
        self.end(true);
    }

    fn end(&mut self, succeeded: bool) {
        self.ended = true;
        let clock = self.blocks.tick();
        self.content.place.is_doubted(clock);
        let mut state = self.content.state.lock();
        state.writes.retain(|(number, _, _)| *number != self.number);
        if let Some(own) = &mut state.own {
            own.end(clock, succeeded);
        }
        let retired = state.retired;
        drop(state);
        self.blocks.note_change(&self.content);
        if retired {
            self.blocks.doubt_successor(&self.content);
        }
    }
}

/// The blocks that a write touches, with what their old bytes hash to.
fn patches(state: &State, bytes: &Range<u64>) -> Vec<Patch> {
    let blocks = blocks_of(bytes.clone());
    let old_sum = |block| state.map.as_ref().and_then(|map| map.get(block));
    // The last block grows, unless it is full or is written anyway.
    let grows = bytes.end > state.size && !state.size.is_multiple_of(BLOCK_BYTES);
    let tail = Some(state.size / BLOCK_BYTES).filter(|tail| grows && !blocks.contains(tail));
    tail.into_iter().chain(blocks).map(|block| Patch { block, old_sum: old_sum(block) }).collect()
}

impl Drop for OwnChange {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut state = self.content.state.lock();
        let touched = affected(&self.bytes, state.size);
        state.spoil(&touched);
        state.clear(blocks_of(touched));
        state.recheck = true;
        self.blocks.account(&mut state);
        drop(state);
        self.end(false);
    }
}

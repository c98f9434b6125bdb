//! Which blocks of a file are here, and what they must hash to. Pure: no disk, no clock.
//!
//! Blocks come in groups of [`GROUP_BLOCKS`]; a group is one row of the index. A block that is in the map is
//! only *claimed* to be on disk: its bytes are believed when they match the sum.

use crate::BLOCK_BYTES;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Blocks in one row of the index: 4 MiB of content.
pub(crate) const GROUP_BLOCKS: u64 = 64;
/// What a file system allocates, bytes; for counting what a file takes on disk.
const DISK_UNIT: u64 = 4096;

/// The claimed blocks of one file.
#[derive(Default)]
pub(crate) struct BlockMap {
    groups: BTreeMap<u64, Group>,
    count: u64,
    /// Groups that differ from the index.
    dirty: BTreeSet<u64>,
}

struct Group {
    present: u64,
    sums: Box<[u64; GROUP_BLOCKS as usize]>,
}

/// A row of the index; `None` when the group is empty and the row has to go.
pub(crate) type Row = (u64, Option<Vec<u8>>);

/// The number of the block that holds `offset`.
pub(crate) fn block_of(offset: u64) -> u64 {
    offset / BLOCK_BYTES
}

/// The blocks that hold `bytes`.
pub(crate) fn blocks_of(bytes: Range<u64>) -> Range<u64> {
    block_of(bytes.start)..bytes.end.div_ceil(BLOCK_BYTES)
}

/// The bytes of `blocks` in a file of `size` bytes.
pub(crate) fn bytes_of(blocks: &Range<u64>, size: u64) -> Range<u64> {
    let start = (blocks.start * BLOCK_BYTES).min(size);
    start..(blocks.end.saturating_mul(BLOCK_BYTES)).min(size)
}

/// The checksum of a block.
pub(crate) fn sum_of(block: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(block)
}

impl BlockMap {
    pub(crate) fn get(&self, block: u64) -> Option<u64> {
        let group = self.groups.get(&(block / GROUP_BLOCKS))?;
        let at = block % GROUP_BLOCKS;
        (group.present & (1 << at) != 0).then(|| group.sums[at as usize])
    }

    pub(crate) fn set(&mut self, block: u64, sum: u64) {
        let empty = || Group { present: 0, sums: Box::new([0; GROUP_BLOCKS as usize]) };
        let group = self.groups.entry(block / GROUP_BLOCKS).or_insert_with(empty);
        let at = block % GROUP_BLOCKS;
        if group.present & (1 << at) == 0 {
            group.present |= 1 << at;
            self.count += 1;
        }
        group.sums[at as usize] = sum;
        self.dirty.insert(block / GROUP_BLOCKS);
    }

    /// Takes a block out; says whether it was there.
    pub(crate) fn clear(&mut self, block: u64) -> bool {
        let number = block / GROUP_BLOCKS;
        let Some(group) = self.groups.get_mut(&number) else { return false };
        let bit = 1 << (block % GROUP_BLOCKS);
        if group.present & bit == 0 {
            return false;
        }
        group.present &= !bit;
        self.count -= 1;
        if group.present == 0 {
            self.groups.remove(&number);
        }
        self.dirty.insert(number);
        true
    }

    /// Takes out all blocks from `first` on.
    pub(crate) fn clear_from(&mut self, first: u64) {
        let last = self.groups.last_key_value().map_or(0, |(number, _)| (number + 1) * GROUP_BLOCKS);
        self.clear_all(first..last);
    }

    pub(crate) fn clear_all(&mut self, blocks: Range<u64>) {
        let here: Vec<u64> = self.present(blocks).collect();
        here.into_iter().for_each(|block| {
            self.clear(block);
        });
    }

    /// The blocks that are here, in order.
    pub(crate) fn present(&self, blocks: Range<u64>) -> impl Iterator<Item = u64> + '_ {
        let end = blocks.end.div_ceil(GROUP_BLOCKS).max(blocks.start / GROUP_BLOCKS);
        let groups = self.groups.range(blocks.start / GROUP_BLOCKS..end);
        let in_group = |(&number, group): (&u64, &Group)| {
            let present = group.present;
            (0..GROUP_BLOCKS)
                .filter(move |at| present & (1 << at) != 0)
                .map(move |at| number * GROUP_BLOCKS + at)
        };
        groups.flat_map(in_group).filter(move |block| blocks.contains(block))
    }

    #[cfg(test)]
    fn count(&self) -> u64 {
        self.count
    }

    /// Bytes that the claimed blocks take on disk, for a file of `size` bytes.
    pub(crate) fn disk_bytes(&self, size: u64) -> u64 {
        let whole = self.count * BLOCK_BYTES;
        let tail = size % BLOCK_BYTES;
        match tail != 0 && self.get(size / BLOCK_BYTES).is_some() {
            true => whole - BLOCK_BYTES + tail.next_multiple_of(DISK_UNIT),
            false => whole,
        }
    }

    /// The rows that differ from the index, as they are to be written.
    pub(crate) fn take_dirty(&mut self) -> Vec<Row> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().map(|number| (number, self.groups.get(&number).map(encode))).collect()
    }

    /// The index lost its rows: all are to be written again.
    pub(crate) fn mark_all_dirty(&mut self) {
        self.dirty.extend(self.groups.keys());
    }

    /// These rows did not reach the index: they are to be written again, as they are then.
    pub(crate) fn mark_dirty(&mut self, rows: &[Row]) {
        self.dirty.extend(rows.iter().map(|(number, _)| number));
    }

    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Takes a row from the index, unless the group is known already; `false` when the row makes no sense.
    pub(crate) fn load(&mut self, number: u64, row: &[u8]) -> bool {
        let Some(group) = decode(row) else { return false };
        if !self.groups.contains_key(&number) && !self.dirty.contains(&number) {
            self.count += u64::from(group.present.count_ones());
            self.groups.insert(number, group);
        }
        true
    }
}

/// The bitmap, then the sums of the blocks that are there; all little-endian. See `docs/formats/cache.md`.
fn encode(group: &Group) -> Vec<u8> {
    let mut row = Vec::with_capacity(8 + 8 * group.present.count_ones() as usize);
    row.extend_from_slice(&group.present.to_le_bytes());
    for at in (0..GROUP_BLOCKS as usize).filter(|at| group.present & (1 << at) != 0) {
        row.extend_from_slice(&group.sums[at].to_le_bytes());
    }
    row
}

fn decode(row: &[u8]) -> Option<Group> {
    let (present, mut sums) = row.split_first_chunk::<8>()?;
    let present = u64::from_le_bytes(*present);
    let mut group = Group { present, sums: Box::new([0; GROUP_BLOCKS as usize]) };
    if present == 0 || sums.len() != 8 * present.count_ones() as usize {
        return None;
    }
    for at in (0..GROUP_BLOCKS as usize).filter(|at| present & (1 << at) != 0) {
        let (sum, rest) = sums.split_first_chunk::<8>()?;
        group.sums[at] = u64::from_le_bytes(*sum);
        sums = rest;
    }
    Some(group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_of_bytes_and_blocks() {
        assert_eq!(blocks_of(0..1), 0..1);
        assert_eq!(blocks_of(BLOCK_BYTES - 1..BLOCK_BYTES + 1), 0..2);
        assert_eq!(bytes_of(&(1..3), BLOCK_BYTES + 10), BLOCK_BYTES..BLOCK_BYTES + 10);
        assert_eq!(bytes_of(&(5..6), 10), 10..10);
    }

    #[test]
    fn rows_that_make_no_sense_are_refused() {
        let mut map = BlockMap::default();
        for row in [&b""[..], &[0; 8], &[1, 0, 0, 0, 0, 0, 0, 0], &[3; 17]] {
            assert!(!map.load(0, row), "{row:?}");
        }
        assert_eq!(map.count(), 0);
    }

    #[test]
    fn a_row_that_was_not_written_is_written_later_also_when_it_has_to_go() {
        let mut map = BlockMap::default();
        map.set(0, 1);
        map.set(GROUP_BLOCKS, 2);
        map.take_dirty();
        map.set(0, 3);
        map.clear(GROUP_BLOCKS);
        let lost = map.take_dirty();
        assert!(!map.is_dirty());
        map.mark_dirty(&lost);
        map.set(1, 4);
        let rows = map.take_dirty();
        assert_eq!(
            rows.iter().map(|(number, row)| (*number, row.is_some())).collect::<Vec<_>>(),
            [(0, true), (1, false)]
        );
    }

    #[test]
    fn a_short_last_block_counts_what_it_takes() {
        let mut map = BlockMap::default();
        map.set(0, 1);
        map.set(1, 2);
        assert_eq!(map.disk_bytes(BLOCK_BYTES + 5), BLOCK_BYTES + DISK_UNIT);
        assert_eq!(map.disk_bytes(2 * BLOCK_BYTES), 2 * BLOCK_BYTES);
    }

    proptest! {
        /// Against a plain map, and again after writing the rows and loading them.
        #[test]
        fn behaves_like_a_plain_map(steps in prop::collection::vec((0u64..300, 0u8..4, any::<u64>()), 0..200)) {
            let (mut map, mut plain, mut index) = (BlockMap::default(), BTreeMap::new(), BTreeMap::new());
            for (block, what, sum) in steps {
                match what {
                    0 | 1 => { map.set(block, sum); plain.insert(block, sum); }
                    2 => { prop_assert_eq!(map.clear(block), plain.remove(&block).is_some()); }
                    _ if sum % 8 == 0 => { map.clear_from(block); plain.retain(|&b, _| b < block); }
                    _ => for (number, row) in map.take_dirty() {
                        match row {
                            Some(row) => { index.insert(number, row); }
                            None => { index.remove(&number); }
                        }
                    },
                }
                prop_assert_eq!(map.count(), plain.len() as u64);
            }
            prop_assert_eq!(map.present(0..400).collect::<Vec<_>>(), plain.keys().copied().collect::<Vec<_>>());
            for (number, row) in map.take_dirty() {
                match row {
                    Some(row) => { index.insert(number, row); }
                    None => { index.remove(&number); }
                }
            }
            let mut loaded = BlockMap::default();
            for (number, row) in &index {
                prop_assert!(loaded.load(*number, row));
            }
            for block in 0..400 {
                prop_assert_eq!(loaded.get(block), plain.get(&block).copied());
            }
        }
    }
}

//! Which files a count has counted already: one bit each, in pages of neighbouring numbers.

use std::collections::HashMap;
use volume::FileId;

const PAGE_BITS: u32 = 12;
const WORDS: usize = 1 << (PAGE_BITS - 6);

#[derive(Default)]
pub(crate) struct Seen(HashMap<(u64, u64), Box<[u64; WORDS]>>);

/// The page of a file; the word there and its bit.
fn place(id: FileId) -> ((u64, u64), usize, u64) {
    let word = (id.lo >> 6) as usize % WORDS;
    ((id.hi, id.lo >> PAGE_BITS), word, 1 << (id.lo % 64))
}

impl Seen {
    pub(crate) fn contains(&self, id: FileId) -> bool {
        let (page, word, bit) = place(id);
        self.0.get(&page).is_some_and(|page| page[word] & bit != 0)
    }

    /// Whether it is new here.
    pub(crate) fn insert(&mut self, id: FileId) -> bool {
        let (page, word, bit) = place(id);
        let word = &mut self.0.entry(page).or_insert_with(|| Box::new([0; WORDS]))[word];
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_its_own_bit() {
        let mut seen = Seen::default();
        let ids: Vec<FileId> = [0, 1, 63, 64, 65, 4095, 4096, 4097, 1 << 40, u64::MAX]
            .into_iter()
            .flat_map(|lo| [0, 1, u64::MAX].map(|hi| FileId { hi, lo }))
            .collect();
        for (at, id) in ids.iter().enumerate() {
            assert!(ids[at..].iter().all(|later| !seen.contains(*later)), "{id}");
            assert!(seen.insert(*id));
            assert!(!seen.insert(*id));
        }
        assert!(ids.iter().all(|id| seen.contains(*id)));
    }
}

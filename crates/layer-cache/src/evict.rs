//! What goes when the cache is full: least recently used files first, of each from its start, as much as is
//! needed. Pure.

/// A file that has blocks in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate<K> {
    pub key: K,
    /// Bytes it takes on disk.
    pub bytes: u64,
    /// When it was last used; any clock.
    pub used: u64,
    /// Somebody has it open: it goes only when nothing else is left.
    pub open: bool,
    pub pinned: bool,
}

/// What to take from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    All,
    /// At least so many bytes, from its start.
    Start(u64),
}

/// Chooses what frees `need` bytes and `files` files, or as near as pins allow.
pub(crate) fn choose<K: Copy>(
    mut from: Vec<Candidate<K>>,
    mut need: u64,
    mut files: usize,
) -> Vec<(K, Take)> {
    from.retain(|c| !c.pinned && (c.bytes > 0 || !c.open));
    from.sort_unstable_by_key(|c| (c.open, c.used));
    let mut taken = Vec::new();
    for c in from {
        if need == 0 && files == 0 {
            break;
        }
        let take =
            if (c.bytes > need && files == 0) || c.open { Take::Start(need.min(c.bytes)) } else { Take::All };
        if take == Take::All {
            files = files.saturating_sub(1);
        }
        if take != Take::Start(0) {
            taken.push((c.key, take));
        }
        need = need.saturating_sub(c.bytes);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(key: u32, bytes: u64, used: u64) -> Candidate<u32> {
        Candidate { key, bytes, used, open: false, pinned: false }
    }

    #[test]
    fn oldest_first_and_only_as_much_as_needed() {
        let files = vec![file(1, 10, 30), file(2, 10, 10), file(3, 10, 20)];
        assert_eq!(choose(files.clone(), 15, 0), [(2, Take::All), (3, Take::Start(5))]);
        assert_eq!(choose(files, 0, 2), [(2, Take::All), (3, Take::All)]);
    }

    #[test]
    fn pins_stay_and_open_files_go_last() {
        let pinned = Candidate { pinned: true, ..file(1, 100, 1) };
        let open = Candidate { open: true, ..file(2, 100, 2) };
        let files = vec![pinned, open, file(3, 10, 99)];
        assert_eq!(choose(files.clone(), 10, 0), [(3, Take::All)]);
        assert_eq!(choose(files, 60, 0), [(3, Take::All), (2, Take::Start(50))]);
    }

    proptest! {
        #[test]
        fn frees_enough_and_never_a_pin(files in prop::collection::vec((0u64..100, 0u64..50, any::<bool>(), any::<bool>()), 0..40), need in 0u64..3000) {
            let all: Vec<_> = files.iter().enumerate()
                .map(|(key, &(bytes, used, open, pinned))| Candidate { key, bytes, used, open, pinned }).collect();
            let taken = choose(all.clone(), need, 0);
            let freed: u64 = taken.iter().map(|(key, take)| match take {
                Take::All => all[*key].bytes,
                Take::Start(bytes) => *bytes,
            }).sum();
            let possible: u64 = all.iter().filter(|c| !c.pinned).map(|c| c.bytes).sum();
            prop_assert!(freed >= need.min(possible));
            prop_assert!(taken.iter().all(|(key, _)| !all[*key].pinned));
        }
    }
}

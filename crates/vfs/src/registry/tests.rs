//! Opens come, go and move; names that are to go away; who keeps whom from working where.

use super::*;
use crate::caching::Caching;
use crate::{Owner, Share};

const FILE: FileId = FileId { hi: 0, lo: 7 };

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

fn registry(opens: usize) -> Registry {
    Registry::new(&Limits { opens, ..Limits::default() }, Case::Folded)
}

fn record(id: u64, at: &str, access: Access, share: Share, delete_on_close: bool) -> Record {
    let owner = Owner(1);
    let (lease, parent_lease) = (None, None);
    let (id, path) = (OpenId(id), path(at));
    let (account, for_stream, unlinks, unnamed) = (None, false, false, false);
    let content = access.contains(Access::READ_DATA);
    Record {
        id,
        owner,
        account,
        access,
        share,
        path,
        delete_on_close,
        unlinks,
        unnamed,
        content,
        lease,
        parent_lease,
        for_stream,
    }
}

fn admit(registry: &mut Registry, id: u64, at: &str, delete_on_close: bool) -> Result<()> {
    let record = record(id, at, Access::READ_DATA, Share::all(), delete_on_close);
    admit_as(registry, record, Coming::Opens)
}

fn admit_as(registry: &mut Registry, record: Record, coming: Coming) -> Result<()> {
    let ask = Ask { needs: Access::READ_DATA, coming, caching: Caching::empty(), epoch: None };
    registry.admit(FILE, false, record, ask, &mut Vec::new()).map(drop)
}

#[test]
fn a_name_goes_with_its_last_open_and_not_with_that_of_another_name() {
    let mut registry = registry(10);
    admit(&mut registry, 1, "a", true).unwrap();
    admit(&mut registry, 2, "A", false).unwrap();
    admit(&mut registry, 3, "hard-link", false).unwrap();
    assert_eq!(registry.leave(FILE, OpenId(1)), None);
    assert!(registry.is_doomed(FILE, &path("a")) && registry.is_path_doomed(&path("a")));
    assert!(matches!(admit(&mut registry, 4, "a", false), Err(Error::DeletePending)));
    admit(&mut registry, 5, "hard-link", false).unwrap();
    let removal = registry.leave(FILE, OpenId(2)).unwrap();
    assert_eq!(registry.doomed_at(FILE, removal.doomed_by), Some(path("a")));
    assert!(matches!(admit(&mut registry, 6, "a", false), Err(Error::DeletePending)));
    let former = record(7, "a", Access::READ_DATA, Share::all(), false);
    admit_as(&mut registry, former, Coming::Returns).unwrap();
    assert_eq!(registry.leave(FILE, OpenId(7)), Some(removal), "it was the last again");
    registry.removed(FILE, removal.doomed_by);
    assert_eq!(registry.leave(FILE, OpenId(3)), None);
    assert_eq!(registry.leave(FILE, OpenId(5)), None);
    assert_eq!(registry.counts(), (0, 0, 0));
    assert!(registry.places.at_and_below(&VPath::root()).is_empty());
}

/// Each is found by its id, in whatever order they go.
#[test]
fn of_many_opens_of_one_file_each_is_found() {
    const OPENS: u64 = 100;
    let mut registry = registry(OPENS as usize);
    (0..OPENS).for_each(|id| admit(&mut registry, id, &format!("name {id}"), false).unwrap());
    let mut left: Vec<u64> = (0..OPENS).collect();
    let mut rng = testkit::Rng::new(7);
    while !left.is_empty() {
        let id = left.swap_remove(rng.below(left.len() as u64) as usize);
        registry.leave(FILE, OpenId(id));
        assert!(registry.record(FILE, OpenId(id)).is_none());
        assert_eq!(registry.leave(FILE, OpenId(id)), None, "it has left before");
        for id in &left {
            let there = registry.record(FILE, OpenId(*id)).unwrap();
            assert_eq!((there.id, &there.path), (OpenId(*id), &path(&format!("name {id}"))));
        }
    }
    assert!(registry.slots.is_empty() && registry.stands_at.is_empty());
}

#[test]
fn doom_is_taken_back_and_a_withdrawn_open_dooms_nothing() {
    let mut registry = registry(10);
    admit(&mut registry, 1, "a", false).unwrap();
    registry.set_doomed(FILE, OpenId(1), true).unwrap();
    registry.set_doomed(FILE, OpenId(1), false).unwrap();
    admit(&mut registry, 2, "a", true).unwrap();
    registry.spare(FILE, OpenId(2));
    assert_eq!(registry.leave(FILE, OpenId(2)), None);
    assert_eq!(registry.leave(FILE, OpenId(1)), None);
}

/// Another file may have its name and its number by the time of its end.
#[test]
fn who_marks_a_name_that_another_is_removing_takes_nothing_along() {
    let mut registry = registry(10);
    admit(&mut registry, 1, "a", true).unwrap();
    admit(&mut registry, 2, "a", false).unwrap();
    registry.set_unlinks(FILE, OpenId(1), true);
    let removal = registry.leave(FILE, OpenId(1)).unwrap();
    registry.set_doomed(FILE, OpenId(2), true).unwrap();
    registry.lost_name(FILE, &path("a"));
    registry.removed(FILE, removal.doomed_by);
    assert!(!registry.is_path_doomed(&path("a")));
    assert_eq!(registry.leave(FILE, OpenId(2)), None);
    assert!(registry.slots.is_empty() && registry.places.at_and_below(&VPath::root()).is_empty());
}

/// The volume gives the number of what is gone to another.
#[test]
fn who_is_left_behind_without_content_keeps_nobody_out() {
    for (access, kept_out) in [(Access::DELETE, false), (Access::READ_DATA, true)] {
        let mut registry = registry(10);
        let open = record(1, "a", access, Share::empty(), false);
        admit_as(&mut registry, open, Coming::Opens).unwrap();
        assert!(registry.is_open(FILE));
        registry.lost_name(FILE, &path("a"));
        assert_eq!(registry.is_open(FILE), kept_out, "{access:?}");
        // By another name, where it has more than one.
        assert_eq!(admit(&mut registry, 2, "b", false).is_err(), kept_out, "{access:?}");
        registry.leave(FILE, OpenId(2));
        registry.leave(FILE, OpenId(1));
        assert_eq!(registry.counts(), (0, 0, 0));
        assert!(registry.places.at_and_below(&VPath::root()).is_empty());
    }
}

#[test]
fn moving_a_directory_and_working_below_it_exclude_each_other() {
    let mut registry = registry(10);
    let below = registry.enter(&path("Dir/file")).unwrap();
    let beside = registry.enter(&path("dir2/file")).unwrap();
    assert!(!registry.seal(&path("dir"), beside));
    registry.exit(below);
    let own = registry.enter(&path("DIR/to")).unwrap();
    assert!(!registry.seal(&path("dir"), beside) && registry.seal(&path("dir"), own));
    assert!(registry.enter(&path("DIR/file")).is_none());
    registry.unseal(&path("dir"));
    assert!(registry.enter(&path("DIR/file")).is_some());
}

#[test]
fn opens_follow_a_move_and_so_do_doomed_names() {
    let mut registry = registry(10);
    admit(&mut registry, 1, "a/b/c", true).unwrap();
    admit(&mut registry, 2, "a/b/c", false).unwrap();
    assert_eq!(registry.leave(FILE, OpenId(1)), None);
    assert!(registry.has_open_below(&path("A")) && !registry.has_open_below(&path("a/b/c")));
    registry.moved(None, &path("a"), &path("x/y"));
    assert!(!registry.is_removing_below(&path("x")));
    let by = registry.leave(FILE, OpenId(2)).unwrap().doomed_by;
    assert_eq!(registry.doomed_at(FILE, by), Some(path("x/y/b/c")));
    assert!(registry.is_path_doomed(&path("X/y/b/c")) && registry.is_removing_below(&path("x")));
    registry.moved(None, &path("x"), &path("z"));
    assert_eq!(registry.doomed_at(FILE, by), Some(path("z/y/b/c")));
    registry.removed(FILE, by);
    assert!(registry.places.at_and_below(&VPath::root()).is_empty());
}

#[test]
fn an_open_directory_is_found_where_it_is() {
    let mut registry = registry(10);
    admit(&mut registry, 1, "a", false).unwrap();
    let dir = FileId { hi: 0, lo: 8 };
    let ask = Ask { needs: Access::READ_DATA, coming: Coming::Opens, caching: Caching::empty(), epoch: None };
    let open = record(2, "d", Access::READ_DATA, Share::all(), false);
    registry.admit(dir, true, open, ask, &mut Vec::new()).unwrap();
    assert_eq!((registry.dirs_at(&path("D")), registry.dirs_at(&path("a"))), (vec![dir], vec![]));
    registry.moved(None, &path("d"), &path("e"));
    assert_eq!((registry.dirs_at(&path("d")), registry.dirs_at(&path("e"))), (vec![], vec![dir]));
    registry.leave(dir, OpenId(2));
    assert_eq!(registry.dirs_at(&path("e")), []);
}

#[test]
fn the_limit_counts_opens_and_those_on_their_way() {
    let mut registry = registry(2);
    admit(&mut registry, 1, "a", false).unwrap();
    let entry = registry.enter_to_open(&path("b"), None).unwrap().unwrap();
    assert!(matches!(registry.enter_to_open(&path("c"), None), Err(Error::LimitReached("opens"))));
    assert!(registry.enter(&path("c")).is_some(), "who opens nothing takes no room");
    registry.exit(entry);
    assert!(registry.enter_to_open(&path("c"), None).is_ok());
}

#[test]
fn what_stands_at_a_path_and_below_it_is_found_and_nothing_beside_it() {
    let mut places = Places::default();
    let all =
        ["", "d", "dir", "dir 2", "dir-2", "dir/file", "DIR/Sub", "dir/sub/x", "dir0", "dirs/file", "DIR"];
    let id = |at: usize| FileId { hi: 0, lo: at as u64 };
    all.iter().enumerate().for_each(|(at, name)| places.enter(&path(name), id(at)));
    for (at, found_at, below) in [
        ("", vec![0], (1..all.len()).collect()),
        ("Dir", vec![2, 10], vec![5, 6, 7]),
        ("dir/sub", vec![6], vec![7]),
        ("di", vec![], vec![]),
        ("dir/sub/x", vec![7], vec![]),
    ] {
        let ids = |places: &mut dyn Iterator<Item = FileId>| {
            let mut ids: Vec<usize> = places.map(|file| file.lo as usize).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&mut places.at(&path(at))), found_at, "at {at:?}");
        assert_eq!(ids(&mut places.below(&path(at))), below, "below {at:?}");
    }
    places.enter(&path("dir"), id(2));
    places.leave(&path("DIR"), id(2));
    assert_eq!(places.at(&path("dir")).count(), 2, "it stands there once more");
    places.leave(&path("dir"), id(2));
    assert_eq!(places.at(&path("dir")).collect::<Vec<_>>(), [id(10)]);
}

#[test]
fn what_has_a_name_of_other_case_is_replaced_where_names_do_not_tell_them_apart() {
    for (case, replaced, left) in [
        (Case::Told, "A", Caching::READ),
        (Case::Told, "a", Caching::empty()),
        (Case::Folded, "A", Caching::empty()),
    ] {
        let mut registry = Registry::new(&Limits::default(), case);
        let ask =
            Ask { needs: Access::READ_DATA, coming: Coming::Opens, caching: Caching::READ, epoch: None };
        let open = record(1, "a", Access::READ_DATA, Share::all(), false);
        registry.admit(FILE, false, open, ask, &mut Vec::new()).unwrap();
        registry.contend_replaced(&path(replaced), FileId { hi: 0, lo: 8 }, &mut Vec::new());
        assert_eq!(registry.granted(FILE, OpenId(1)).caching, left, "{case:?}, {replaced}");
    }
}

/// A walk over all that is cached for each of these takes many seconds.
#[test]
fn that_something_was_replaced_costs_little_beside_much_that_is_cached() {
    const FILES: u64 = 20_000;
    let began = std::time::Instant::now();
    let mut registry = registry(FILES as usize);
    let mut told = Vec::new();
    let ask = Ask { needs: Access::READ_DATA, coming: Coming::Opens, caching: Caching::READ, epoch: None };
    let id = |at: u64| FileId { hi: 1, lo: at };
    for at in 0..FILES {
        let open = record(at, &format!("dir/{at}"), Access::READ_DATA, Share::all(), false);
        registry.admit(id(at), false, open, ask, &mut told).unwrap();
    }
    for at in 0..FILES {
        let (name, other) = (path(&format!("dir/{at}")), id(FILES));
        registry.contend_replaced(&name, if at % 2 == 0 { id(at) } else { other }, &mut told);
        assert_eq!(registry.granted(id(at), OpenId(at)).caching.is_empty(), at % 2 == 1, "{at}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

fn leased(id: u64, share: Share) -> Record {
    let lease = Some(LeaseId { client: 1, key: id.into() });
    Record { lease, ..record(id, "a", Access::READ_DATA, share, false) }
}

/// A file with so many opens that do not share deleting, each of a lease of its own.
fn registry_of_leases(opens: u64, caching: Caching) -> Registry {
    let mut registry = registry(opens as usize);
    let ask = Ask { needs: Access::READ_DATA, coming: Coming::Opens, caching, epoch: None };
    for id in 0..opens {
        let open = leased(id, Share::READ | Share::WRITE);
        registry.admit(FILE, true, open, ask, &mut Vec::new()).unwrap();
    }
    registry
}

/// What each does to one that is there: deletes it, or needs it alone.
fn stand_against(registry: &mut Registry, id: u64) -> [Result<bool>; 2] {
    let ask = Ask { needs: Access::DELETE, coming: Coming::Opens, caching: Caching::empty(), epoch: None };
    let open = record(id, "a", Access::DELETE, Share::all(), false);
    let admitted = registry.admit(FILE, true, open, ask, &mut Vec::new());
    let alone = registry.contend_dir(&path("a"), Access::DELETE, Share::empty(), &mut Vec::new());
    [admitted.map(|admitted| matches!(admitted, Admission::Wait(..))), alone.map(|waits| waits.is_some())]
}

#[test]
fn what_stands_against_an_open_is_found_by_looking_at_each_other_once() {
    const OPENS: u64 = 500;
    let handles = Caching::READ | Caching::HANDLE;
    for (caching, waits, most) in [(Caching::READ, false, 1), (handles, true, 2 * OPENS as usize)] {
        let mut registry = registry_of_leases(OPENS, caching);
        for again in 0..3 {
            let before = registry.slots[&FILE].caching.steps;
            let got = stand_against(&mut registry, OPENS + again);
            for got in got {
                match got {
                    Ok(got) => assert!(got && waits, "{caching:?}"),
                    Err(error) => assert!(matches!(error, Error::SharingViolation) && !waits, "{error}"),
                }
            }
            let steps = registry.slots[&FILE].caching.steps - before;
            assert!(steps <= most, "{steps} steps, {caching:?}");
        }
    }
}

#[test]
fn who_waits_for_many_is_woken_when_there_is_less_to_wait_for() {
    let mut registry = registry_of_leases(3, Caching::READ | Caching::HANDLE);
    let node = registry.node(FILE).unwrap();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(stand_against(&mut registry, 3).into_iter().all(|waits| waits.unwrap()));
    let mut settled = std::pin::pin!(node.settled.notified());
    settled.as_mut().enable();
    for key in [2, 0] {
        let lease = LeaseId { client: 1, key };
        registry.acknowledge_lease(lease, Caching::READ, &mut Vec::new()).unwrap();
        assert!(settled.as_mut().poll(&mut cx).is_pending());
    }
    registry.leave(FILE, OpenId(1));
    assert!(settled.as_mut().poll(&mut cx).is_ready());
    assert_eq!(registry.breaking_until(FILE, Instant::now()), None);
}

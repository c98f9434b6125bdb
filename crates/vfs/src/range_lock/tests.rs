//! Which ranges meet, which locks stand together, who is served when; random steps against the plain rules.

use super::*;
use std::time::{Duration, Instant};
use testkit::Rng;

const A: OpenId = OpenId(1);
const B: OpenId = OpenId(2);
const C: OpenId = OpenId(3);

fn held(table: &LockTable) -> Vec<RangeLock> {
    (0..8).flat_map(|owner| table.of(OpenId(owner))).collect()
}

/// In the order in which a table tells them.
fn sorted(locks: &[RangeLock]) -> Vec<RangeLock> {
    let mut locks = locks.to_vec();
    locks.sort_by_key(|lock| (lock.owner, !lock.exclusive, lock.range.offset, lock.range.length));
    locks
}

fn waits(table: &mut LockTable, lock: RangeLock) -> Ticket {
    table.lock_or_wait(lock).unwrap().expect("must wait")
}

fn lock(owner: OpenId, offset: u64, length: u64, exclusive: bool) -> RangeLock {
    RangeLock { owner, range: Range { offset, length }, exclusive }
}

#[test]
fn ranges_that_meet() {
    let max = u64::MAX;
    for (a, b, meet) in [
        ((0, 10), (9, 1), true),
        ((0, 10), (10, 1), false),
        ((max, 1), (0, max), false),
        ((max, 1), (max - 1, 2), true),
        ((max, 1), (max, 1), true),
        ((10, 0), (5, 10), true),
        ((10, 0), (10, 10), false),
        ((10, 0), (5, 5), false),
        ((10, 0), (10, 0), false),
        ((0, 0), (0, 10), false),
        ((0, 0), (0, 0), false),
    ] {
        let (x, y) = (Range::new(a.0, a.1), Range::new(b.0, b.1));
        assert_eq!((x.overlaps(y), y.overlaps(x)), (meet, meet), "{a:?} and {b:?}");
    }
    assert!(Range::new(max, 1).check().is_ok() && Range::new(max, 0).check().is_ok());
    assert!(matches!(Range::new(max, 2).check(), Err(Error::RangeInvalid)));
    assert!(Range::new(1, max).check().is_ok());
}

#[test]
fn which_locks_stand_together() {
    for (first, second, granted) in [
        (lock(A, 0, 10, true), lock(B, 5, 1, false), false),
        (lock(A, 0, 10, true), lock(A, 5, 1, false), true),
        (lock(A, 0, 10, true), lock(A, 0, 10, true), false),
        (lock(A, 0, 10, false), lock(B, 5, 10, false), true),
        (lock(A, 0, 10, false), lock(A, 0, 10, false), true),
        (lock(A, 0, 10, false), lock(A, 0, 10, true), false),
        (lock(A, 0, 10, true), lock(B, 10, 10, true), true),
    ] {
        let mut table = LockTable::default();
        table.try_lock(first).unwrap();
        assert_eq!(table.try_lock(second).is_ok(), granted, "{first:?}, {second:?}");
    }
}

#[test]
fn reads_and_writes_that_meet_locks() {
    let mut table = LockTable::default();
    table.try_lock(lock(A, 0, 10, true)).unwrap();
    table.try_lock(lock(A, 20, 10, false)).unwrap();
    for (owner, offset, write, refused) in [
        (A, 5, false, false),
        (A, 5, true, false),
        (B, 5, false, true),
        (B, 5, true, true),
        (B, 10, true, false),
        (B, 25, false, false),
        (B, 25, true, true),
        (A, 25, true, true),
    ] {
        let got = table.refuses_io(owner, Range::new(offset, 1), write);
        assert_eq!(got, refused, "{owner:?} at {offset}, write {write}");
    }
}

#[test]
fn unlocking_is_exact_and_takes_the_exclusive_one_first() {
    let mut table = LockTable::default();
    table.try_lock(lock(A, 5, 0, false)).unwrap();
    table.try_lock(lock(A, 5, 0, true)).unwrap();
    assert!(table.unlock(A, Range::new(5, 1)).is_err());
    assert!(table.unlock(B, Range::new(5, 0)).is_err());
    table.unlock(A, Range::new(5, 0)).unwrap();
    assert_eq!(held(&table), [lock(A, 5, 0, false)]);
    table.unlock(A, Range::new(5, 0)).unwrap();
    assert!(matches!(table.unlock(A, Range::new(5, 0)), Err(Error::RangeNotLocked)));
}

#[test]
fn those_who_wait_are_served_in_their_order() {
    let mut table = LockTable::default();
    table.try_lock(lock(A, 0, 10, false)).unwrap();
    let first = waits(&mut table, lock(B, 0, 10, true));
    // A shared lock would fit beside A's, but B asked before; elsewhere nobody is in the way.
    let second = waits(&mut table, lock(C, 0, 10, false));
    assert_eq!(table.lock_or_wait(lock(C, 50, 1, true)).unwrap(), None);
    assert_eq!(table.unlock(A, Range::new(0, 10)).unwrap(), [first]);
    assert_eq!(table.release(B), Released { ended: vec![], granted: vec![second] });
}

#[test]
fn who_withdraws_or_closes_lets_the_next_pass() {
    let mut table = LockTable::default();
    table.try_lock(lock(A, 0, 10, false)).unwrap();
    let writer = waits(&mut table, lock(B, 0, 10, true));
    let reader = waits(&mut table, lock(C, 0, 10, false));
    assert_eq!(table.withdraw(writer), Some(vec![reader]));
    assert_eq!(table.withdraw(writer), None);
    let again = waits(&mut table, lock(B, 0, 10, true));
    assert_eq!(table.release(B), Released { ended: vec![again], granted: vec![] });
    assert_eq!((table.held(), table.waiting.len()), (2, 0));
}

#[test]
fn only_so_many_wait() {
    let mut table = LockTable::default();
    table.try_lock(lock(A, 0, 10, true)).unwrap();
    for owner in 2.. {
        for _ in 0..WAITING_LOCKS_PER_OPEN_MAX {
            waits(&mut table, lock(OpenId(owner), 0, 10, true));
        }
        let refused = table.lock_or_wait(lock(OpenId(owner), 0, 10, true));
        assert!(matches!(refused, Err(Error::LimitReached(_))));
        if table.waiting.len() == WAITING_LOCKS_PER_FILE_MAX {
            break;
        }
    }
    let refused = table.lock_or_wait(lock(OpenId(1000), 0, 10, true));
    assert!(matches!(refused, Err(Error::LimitReached(_))));
    assert_eq!(table.lock_or_wait(lock(OpenId(1000), 10, 10, true)).unwrap(), None);
}

/// Asking every waiting request whenever something goes is cubic: many seconds here.
#[test]
fn many_held_and_many_waiting_cost_little() {
    const HELD: u64 = 4_000;
    let began = Instant::now();
    let mut table = LockTable::default();
    for at in 0..HELD {
        table.try_lock(lock(A, at * 10, 10, true)).unwrap();
    }
    for round in 0..8 {
        let everything = |at| lock(OpenId(10 + at % 8), 0, HELD * 10, at % 3 == 0);
        let tickets: Vec<Ticket> =
            (0..WAITING_LOCKS_PER_FILE_MAX as u64).map(|at| waits(&mut table, everything(at))).collect();
        for ticket in tickets {
            assert_eq!(table.withdraw(ticket), Some(vec![]), "round {round}");
        }
    }
    for at in 0..WAITING_LOCKS_PER_FILE_MAX as u64 {
        waits(&mut table, lock(OpenId(10 + at % 8), at * 10, 10, true));
    }
    for at in (0..HELD).rev() {
        let granted = table.unlock(A, Range::new(at * 10, 10)).unwrap();
        assert_eq!(granted.len(), usize::from(at < WAITING_LOCKS_PER_FILE_MAX as u64));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// The rules as they are said: after each step, all who wait are asked in their order.
#[derive(Default)]
struct Naive {
    held: Vec<RangeLock>,
    waiting: Vec<(Ticket, RangeLock)>,
}

impl Naive {
    fn grant(&mut self) -> Vec<Ticket> {
        let (mut granted, mut still) = (Vec::new(), Vec::<(Ticket, RangeLock)>::new());
        for (ticket, lock) in std::mem::take(&mut self.waiting) {
            let ahead = still.iter().map(|(_, other)| other);
            if self.held.iter().chain(ahead).any(|other| other.excludes(&lock)) {
                still.push((ticket, lock));
            } else {
                self.held.push(lock);
                granted.push(ticket);
            }
        }
        self.waiting = still;
        granted
    }
}

#[test]
fn any_order_of_steps_grants_what_the_rules_grant() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let (mut table, mut naive) = (LockTable::default(), Naive::default());
        for _ in 0..60 {
            let owner = OpenId(1 + rng.below(4));
            let range = Range::new(rng.below(6), rng.below(4));
            let lock = RangeLock { owner, range, exclusive: rng.one_in(2) };
            let granted = match rng.below(8) {
                0 => {
                    let free = !naive.held.iter().any(|held| held.excludes(&lock));
                    assert_eq!(table.try_lock(lock).is_ok(), free);
                    naive.held.extend(free.then_some(lock));
                    vec![]
                }
                1..4 => match table.lock_or_wait(lock).unwrap() {
                    Some(ticket) => {
                        naive.waiting.push((ticket, lock));
                        vec![]
                    }
                    None => {
                        let ahead = naive.waiting.iter().map(|(_, other)| other);
                        assert!(!naive.held.iter().chain(ahead).any(|other| other.excludes(&lock)));
                        naive.held.push(lock);
                        vec![]
                    }
                },
                4 if !naive.waiting.is_empty() => {
                    let (ticket, _) = naive.waiting.remove(rng.below(naive.waiting.len() as u64) as usize);
                    table.withdraw(ticket).unwrap()
                }
                5 if rng.one_in(4) => {
                    naive.held.retain(|held| held.owner != owner);
                    naive.waiting.retain(|(_, waiting)| waiting.owner != owner);
                    table.release(owner).granted
                }
                _ if !naive.held.is_empty() => {
                    let RangeLock { owner, range, .. } = *rng.pick(&naive.held);
                    let mine = |held: &RangeLock| held.owner == owner && held.range == range;
                    let at = naive.held.iter().position(|held| mine(held) && held.exclusive);
                    naive.held.remove(at.or(naive.held.iter().rposition(mine)).unwrap());
                    table.unlock(owner, range).unwrap()
                }
                _ => vec![],
            };
            assert_eq!(granted, naive.grant(), "seed {seed}");
            assert_eq!(held(&table), sorted(&naive.held), "seed {seed}");
        }
    }
}

/// As a walk over all locks finds it, among many of them, at both ends of what can be locked.
#[test]
fn any_set_of_locks_is_in_the_way_of_what_a_walk_over_it_says() {
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let base = if rng.one_in(2) { 0 } else { u64::MAX - 99 };
        let (mut table, mut walk) = (Held::default(), Vec::<(Ticket, RangeLock)>::new());
        for ticket in 1..300 {
            let owner = OpenId(1 + rng.below(3));
            let offset = rng.below(100);
            let length = if rng.one_in(8) { rng.below(100 - offset) } else { rng.below(3.min(100 - offset)) };
            let lock = lock(owner, base + offset, length, rng.one_in(2));
            let mut against = walk.iter().filter(|(_, held)| held.excludes(&lock));
            match table.excludes(&lock) {
                Some(found) => assert!(against.any(|(ticket, _)| *ticket == found), "seed {seed}: {lock:?}"),
                None => assert_eq!(against.next(), None, "seed {seed}: {lock:?}"),
            }
            for write in [false, true] {
                let mut met =
                    walk.iter().map(|(_, held)| held).filter(|held| held.range.overlaps(lock.range));
                let refused = met.any(|held| if held.exclusive { held.owner != owner } else { write });
                assert_eq!(table.refuses_io(owner, lock.range, write), refused, "seed {seed}: {lock:?}");
            }
            // Now and then all of one goes, now and then one; what stands against others is never taken.
            if rng.one_in(60) {
                let mut gone = table.remove_all(owner);
                gone.sort_unstable();
                let his: Vec<_> =
                    walk.extract_if(.., |(_, held)| held.owner == owner).map(|(t, _)| t).collect();
                assert_eq!(gone, his, "seed {seed}");
            } else if rng.one_in(3) && !walk.is_empty() {
                let like = rng.pick(&walk).1;
                let at = walk.iter().rposition(|(_, held)| *held == like).unwrap();
                assert_eq!(table.remove_one(&like), Some(walk.remove(at).0), "seed {seed}");
                assert_eq!(table.remove_one(&RangeLock { owner: OpenId(9), ..like }), None);
            } else if !walk.iter().any(|(_, held)| held.excludes(&lock)) {
                table.insert(ticket, lock);
                walk.push((ticket, lock));
            }
            assert_eq!(table.len(), walk.len());
        }
    }
}

/// A walk over all locks for each of these takes minutes.
#[test]
fn one_lock_among_many_costs_little() {
    const HELD: u64 = 50_000;
    let began = Instant::now();
    let mut table = LockTable::default();
    // Shared ones that reach far, and overlap; exclusive ones in an order that is worst for a tree without balance.
    for at in 0..HELD / 2 {
        table.try_lock(lock(A, 10 * HELD + at, HELD, false)).unwrap();
        table.try_lock(lock(B, at * 10, 5, true)).unwrap();
    }
    for at in 0..HELD / 2 {
        assert!(table.refuses_io(A, Range::new(at * 10, 1), false));
        assert!(!table.refuses_io(B, Range::new(0, HELD * 10), true));
        assert!(!table.refuses_io(A, Range::new(at * 10 + 5, 5), true));
        assert!(table.try_lock(lock(C, 10 * HELD + at, 1, true)).is_err());
    }
    for at in 0..HELD / 4 {
        assert_eq!(table.unlock(B, Range::new(at * 10, 5)).unwrap(), []);
    }
    assert_eq!(table.release(A), Released { ended: vec![], granted: vec![] });
    assert_eq!(table.held() as u64, HELD / 4);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

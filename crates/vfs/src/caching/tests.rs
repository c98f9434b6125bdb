//! Who gets what, what breaks to what, and how breaks are answered.

use super::*;
use parking_lot::Mutex;

const A: Holder = Holder::Open(OpenId(1));
const B: Holder = Holder::Open(OpenId(2));
const NONE: Caching = Caching::empty();
const R: Caching = Caching::READ;
const RW: Caching = Caching::READ.union(Caching::WRITE);
const RWH: Caching = Caching::all();
const OPEN: Contest = Contest::Open { looks: false };

/// A table in which `A` holds `held` and hears of breaks.
fn held(held: Caching) -> (CachingTable, Arc<Mutex<Vec<Break>>>) {
    let mut table = CachingTable::default();
    assert_eq!(grant(&mut table, A, held, Beside::default()), held);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    table.listen(A, Arc::new(move |what| ear.lock().push(what)), &mut Vec::new());
    (table, heard)
}

fn grant(table: &mut CachingTable, holder: Holder, wanted: Caching, beside: Beside) -> Caching {
    table.grant(Wish { holder, wanted, epoch: None }, beside, Instant::now()).caching
}

/// What is told of an oplock.
fn broken(held: Caching, left: Caching, acknowledge: bool) -> Break {
    Break { held, left, acknowledge, epoch: 0 }
}

fn tell(told: Vec<Told>) {
    told.into_iter().for_each(Told::tell);
}

#[test]
fn who_gets_what() {
    for (wanted, others, locked, got) in [
        (RWH, false, false, RWH),
        (RW, false, false, RW),
        (R, false, false, R),
        (R | Caching::HANDLE, false, false, R),
        (Caching::WRITE, false, false, NONE),
        (RWH, true, false, R),
        (RWH, true, true, NONE),
        (R, false, true, NONE),
        (RWH, false, true, RWH),
    ] {
        let beside = Beside { others, locked, dir: false };
        assert_eq!(grant(&mut CachingTable::default(), A, wanted, beside), got, "{wanted:?}");
    }
    let (mut table, _) = held(RW);
    assert_eq!(grant(&mut table, B, RWH, Beside::default()), NONE, "somebody keeps writes back");
    let (mut table, _) = held(R);
    assert_eq!(grant(&mut table, B, RWH, Beside::default()), R);
}

#[test]
fn what_breaks_to_what() {
    use Contest::*;
    // The contest, what is held, what is left, whether one waits for the answer.
    for (contest, has, left, waits) in [
        (OPEN, R, R, false),
        (OPEN, RW, R, true),
        (OPEN, RWH, R, true),
        (Empty, R, NONE, false),
        (Empty, RW, NONE, true),
        (Empty, RWH, NONE, true),
        (Handle, R, R, false),
        (Handle, RW, RW, false),
        (Handle, RWH, R, true),
        (Change, R, NONE, false),
        (Change, RWH, NONE, false),
        (Foreign, R, NONE, false),
        (Foreign, RW, NONE, false),
        (Foreign, RWH, NONE, false),
    ] {
        let (mut table, heard) = held(has);
        let (mut told, now) = (Vec::new(), Instant::now());
        let wait = table.contend(Some(B), contest, now, &mut told);
        tell(told);
        assert_eq!(wait, waits.then(|| now + BREAK_TIMEOUT), "{contest:?} against {has:?}");
        let acknowledge = has != R;
        let expect = (left != has).then_some(broken(has, left, acknowledge));
        assert_eq!(heard.lock().first().copied(), expect, "{contest:?} against {has:?}");
        assert_eq!(table.held(A), if acknowledge { has } else { left });
    }
}

#[test]
fn in_doubt_those_keep_theirs_who_may_have_written_and_no_others() {
    for (has, writes, left) in [(RWH, true, RWH), (R, true, NONE), (RWH, false, NONE), (R, false, NONE)] {
        let (mut table, heard) = held(has);
        let (writers, mut told) = (writes.then_some(A).into_iter().collect(), Vec::new());
        table.doubt(&writers, Instant::now(), &mut told);
        tell(told);
        let expect = (left != has).then_some(broken(has, left, has != R));
        assert_eq!(heard.lock().first().copied(), expect, "{has:?}, {writes}");
    }
}

#[test]
fn ones_own_doing_breaks_level_two_alone() {
    for (has, stays) in [(RWH, RWH), (RW, RW), (R, NONE)] {
        let (mut table, _) = held(has);
        table.contend(Some(A), Contest::Change, Instant::now(), &mut Vec::new());
        assert_eq!(table.held(A), stays);
    }
}

#[test]
fn acknowledgements() {
    for (contest, keeps, outcome, stays) in [
        (Some(OPEN), R, Ok(R), R),
        (Some(OPEN), NONE, Ok(NONE), NONE),
        (Some(OPEN), RW, Err(AckRefused::TooMuch), NONE),
        (Some(Contest::Empty), R, Err(AckRefused::TooMuch), NONE),
        (Some(Contest::Empty), NONE, Ok(NONE), NONE),
        (None, R, Err(AckRefused::NotBreaking), RWH),
        (None, RWH, Err(AckRefused::TooMuch), RWH),
    ] {
        let (mut table, _) = held(RWH);
        if let Some(contest) = contest {
            assert!(table.contend(Some(B), contest, Instant::now(), &mut Vec::new()).is_some());
        }
        assert_eq!(
            table.acknowledge(A, keeps, Instant::now(), &mut Vec::new()),
            outcome,
            "{contest:?}, {keeps:?}"
        );
        assert_eq!(table.held(A), stays, "{contest:?}, {keeps:?}");
    }
}

#[test]
fn who_does_not_answer_in_time_has_lost_all() {
    let (mut table, _) = held(RWH);
    let now = Instant::now();
    let until = table.contend(Some(B), OPEN, now, &mut Vec::new()).unwrap();
    assert_eq!(table.breaking_until(now), Some(until));
    assert_eq!(table.contend(Some(B), OPEN, until, &mut Vec::new()), None);
    assert_eq!((table.held(A), table.breaking_until(until)), (NONE, None));
    assert_eq!(table.acknowledge(A, R, until, &mut Vec::new()), Err(AckRefused::TooMuch));
}

#[test]
fn a_second_reason_during_a_break_is_told_after_the_answer() {
    let (mut table, heard) = held(RWH);
    let (mut told, now) = (Vec::new(), Instant::now());
    table.contend(Some(B), OPEN, now, &mut told);
    table.contend(None, Contest::Foreign, now, &mut told);
    assert_eq!(table.acknowledge(A, R, now, &mut told), Ok(R));
    tell(told);
    let expect = [broken(RWH, R, true), broken(R, NONE, false)];
    assert_eq!(*heard.lock(), expect);
    assert!(table.is_empty());
}

#[test]
fn a_break_before_the_client_knows_its_open_is_told_when_it_does() {
    let mut table = CachingTable::default();
    grant(&mut table, A, R, Beside::default());
    let mut told = Vec::new();
    table.contend(Some(B), Contest::Change, Instant::now(), &mut told);
    assert!(told.is_empty() && table.readers() == 0);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    table.listen(A, Arc::new(move |what| ear.lock().push(what)), &mut told);
    tell(told);
    assert_eq!(*heard.lock(), [broken(R, NONE, false)]);
    assert!(table.is_empty());
}

const LEASE: Holder = Holder::Lease(LeaseId { client: 1, key: 2 });

fn of_lease(wanted: Caching) -> Wish {
    Wish { holder: LEASE, wanted, epoch: Some(9) }
}

/// What the client of `LEASE` hears when it can be told again.
fn listen(table: &mut CachingTable) -> Vec<Break> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (ear, mut told) = (heard.clone(), Vec::new());
    table.listen(LEASE, Arc::new(move |what| ear.lock().push(what)), &mut told);
    table.returned(LEASE, &mut told);
    tell(told);
    heard.lock().clone()
}

#[test]
fn who_has_a_lease_is_told_though_an_open_of_it_is_taken_up_and_lost() {
    let (mut table, now) = (CachingTable::default(), Instant::now());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    table.grant(of_lease(R), Beside::default(), now);
    table.grant(of_lease(R), Beside::default(), now);
    table.listen(LEASE, Arc::new(move |what| ear.lock().push(what)), &mut Vec::new());
    // Two come back at a time, and the second hears nothing.
    assert_eq!([table.take_up(LEASE, now), table.take_up(LEASE, now)].map(|granted| granted.caching), [R; 2]);
    let mut told = Vec::new();
    table.contend(Some(B), Contest::Change, now, &mut told);
    table.returned(LEASE, &mut told);
    assert!(told.is_empty(), "the first may not have its answer yet");
    table.returned(LEASE, &mut told);
    tell(told);
    assert_eq!(*heard.lock(), [Break { epoch: 11, ..broken(R, NONE, false) }]);
}

#[test]
fn what_was_held_before_the_process_ended_is_not_given_back() {
    let rh = Caching::READ | Caching::HANDLE;
    for (held, answer, news) in [
        (NONE, Granted { caching: NONE, breaking: false, epoch: Some(9) }, None),
        (R, Granted { caching: NONE, breaking: false, epoch: Some(9) }, None),
        (rh, Granted { caching: rh, breaking: false, epoch: Some(9) }, Some(rh)),
        (RWH, Granted { caching: RWH, breaking: false, epoch: Some(9) }, Some(RWH)),
    ] {
        let mut table = CachingTable::default();
        let now = Instant::now();
        assert_eq!(table.come_back(of_lease(held), Beside::default()).caching, held);
        assert_eq!(table.take_up(LEASE, now), answer);
        let news = news.map(|held| Break { held, left: NONE, acknowledge: true, epoch: 10 });
        assert_eq!(listen(&mut table).first().copied(), news, "{held:?}");
        if news.is_some() {
            assert_eq!(table.acknowledge(LEASE, NONE, now, &mut Vec::new()), Ok(NONE));
        }
        assert_eq!(table.held(LEASE), NONE);
        // Now it is as any: what it asks for anew it keeps.
        assert_eq!(table.grant(of_lease(RWH), Beside::default(), now).caching, RWH);
        assert_eq!(table.take_up(LEASE, now).caching, RWH);
    }
}

#[test]
fn a_new_open_of_a_lease_that_came_back_does_not_get_it_either() {
    let mut table = CachingTable::default();
    table.come_back(of_lease(RWH), Beside::default());
    table.come_back(of_lease(RWH), Beside::default());
    let granted = table.grant(of_lease(RWH), Beside::default(), Instant::now());
    assert_eq!((granted.caching, granted.breaking), (RWH, false));
    assert_eq!(listen(&mut table).len(), 1);
}

#[test]
fn what_comes_back_keeps_others_out_until_its_time_is_up() {
    let mut table = CachingTable::default();
    table.come_back(of_lease(RWH), Beside::default());
    let now = Instant::now();
    let until = table.contend(Some(B), OPEN, now, &mut Vec::new()).unwrap();
    // Somebody waits for writes alone; its client is to give back all.
    assert_eq!(table.take_up(LEASE, now).caching, RWH);
    assert_eq!(listen(&mut table)[0].left, NONE);
    assert_eq!(table.contend(Some(B), OPEN, until, &mut Vec::new()), None);
    assert_eq!(table.held(LEASE), NONE);
}

#[test]
fn what_is_asked_back_of_a_client_that_is_away_it_hears_when_it_is_back() {
    let mut table = CachingTable::default();
    let now = Instant::now();
    table.grant(of_lease(RWH), Beside::default(), now);
    table.listen(LEASE, Arc::new(|_| {}), &mut Vec::new());
    table.contend(Some(B), OPEN, now, &mut Vec::new());
    let answer = table.take_up(LEASE, now);
    assert_eq!(answer, Granted { caching: RWH, breaking: false, epoch: Some(11) });
    let news = Break { held: RWH, left: Caching::READ | Caching::HANDLE, acknowledge: true, epoch: 12 };
    assert_eq!(listen(&mut table), [news]);
}

#[test]
fn a_client_that_comes_back_late_has_all_its_time_to_give_back() {
    let mut table = CachingTable::default();
    let now = Instant::now();
    table.grant(of_lease(RWH), Beside::default(), now);
    let first = table.contend(Some(B), OPEN, now, &mut Vec::new()).unwrap();
    let late = first - Duration::from_millis(100);
    assert_eq!(table.take_up(LEASE, late).caching, RWH);
    assert_eq!(table.breaking_until(first), Some(late + BREAK_TIMEOUT));
    // Coming once more it has what is left of that.
    assert_eq!(table.take_up(LEASE, first).caching, RWH);
    assert_eq!(table.breaking_until(first), Some(late + BREAK_TIMEOUT));
}

#[test]
fn who_has_nothing_that_a_contest_concerns_is_left_alone() {
    for contest in [
        Contest::Open { looks: true },
        OPEN,
        Contest::Empty,
        Contest::Handle,
        Contest::Change,
        Contest::Foreign,
    ] {
        for (holder, bits) in [A, LEASE].into_iter().flat_map(|holder| (0..8).map(move |bits| (holder, bits)))
        {
            let held = Caching::from_bits_truncate(bits);
            let is_concerned = held.intersects(contest.concerns());
            assert!(
                is_concerned || contest.leaves(holder, held) == held,
                "{contest:?}, {holder:?}, {held:?}"
            );
        }
    }
}

#[test]
fn what_is_counted_along_is_what_is_there() {
    let holders: Vec<Holder> = (0..3)
        .flat_map(|n| [Holder::Open(OpenId(n)), Holder::Lease(LeaseId { client: 1, key: n.into() })])
        .collect();
    for seed in 0..300 {
        let (mut rng, mut table, mut now) =
            (testkit::Rng::new(seed), CachingTable::default(), Instant::now());
        for _ in 0..60 {
            let (holder, other) = (*rng.pick(&holders), *rng.pick(&holders));
            let rights = Caching::from_bits_truncate(rng.below(8) as u8);
            let contest =
                *rng.pick(&[OPEN, Contest::Empty, Contest::Handle, Contest::Change, Contest::Foreign]);
            let (beside, told) = (Beside::default(), &mut Vec::new());
            now += Duration::from_secs(rng.below(20));
            match rng.below(11) {
                0..=2 => drop(grant(&mut table, holder, rights, beside)),
                3 => drop(table.come_back(Wish { holder, wanted: rights, epoch: None }, beside)),
                4 => drop(table.contend(Some(other), contest, now, told)),
                5 => drop(table.contend_with(other, contest, now, told)),
                6 => drop(table.acknowledge(other, rights, now, told)),
                7 => drop(table.breaking_until(now)),
                8 => drop(table.take_up(holder, now)),
                9 => table.returned(holder, told),
                _ if table.find(holder).is_some() => table.release(holder),
                _ => table.give_up(other),
            }
            let mut counted = Tally::default();
            table.grants.values().for_each(|grant| counted.add(grant.counted()));
            assert_eq!(table.tally, counted, "seed {seed}");
            assert!(table.grants.iter().all(|(holder, grant)| *holder == grant.holder && grant.is_kept()));
        }
    }
}

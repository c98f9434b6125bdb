//! The credit window against a plain set of granted and unused message ids.

use std::collections::BTreeSet;

use proptest::prelude::*;
use smb_core::credits::{BYTES_PER_CREDIT, CreditError, CreditWindow, MAX_WINDOW, charge_for, covers};

struct Model {
    unused: BTreeSet<u64>,
    next: u64,
    limit: u64,
}

impl Model {
    fn charge(&mut self, message_id: u64, charge: u16) -> Result<(), CreditError> {
        let lowest = self.unused.first().copied().unwrap_or(self.next);
        let ids: Vec<u64> = (0..u64::from(charge.max(1))).map(|n| message_id.saturating_add(n)).collect();
        if ids.iter().any(|id| *id < lowest || *id >= self.next) {
            return Err(CreditError::OutsideWindow);
        }
        if ids.iter().any(|id| !self.unused.contains(id)) {
            return Err(CreditError::Used);
        }
        for id in ids {
            self.unused.remove(&id);
        }
        Ok(())
    }

    fn grant(&mut self, requested: u16) -> u16 {
        let lowest = self.unused.first().copied().unwrap_or(self.next);
        let room = self.limit.saturating_sub(self.next - lowest);
        let granted = u64::from(requested.max(1)).min(room);
        self.unused.extend(self.next..self.next + granted);
        self.next += granted;
        granted as u16
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// An id given as distance from the newest granted one.
    Charge(i64, u16),
    /// The oldest unused id.
    ChargeLowest(u16),
    Grant(u16),
    Limit(u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (-40i64..5, 0u16..6).prop_map(|(distance, charge)| Op::Charge(distance, charge)),
        4 => (0u16..6).prop_map(Op::ChargeLowest),
        4 => (0u16..20).prop_map(Op::Grant),
        1 => Just(Op::Grant(u16::MAX)),
        1 => (any::<i64>(), any::<u16>()).prop_map(|(distance, charge)| Op::Charge(distance, charge)),
        1 => prop_oneof![Just(1), Just(32), Just(MAX_WINDOW)].prop_map(Op::Limit),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_set(ops in prop::collection::vec(op(), 1..300)) {
        let mut window = CreditWindow::new(64);
        let mut model = Model { unused: BTreeSet::from([0]), next: 1, limit: 64 };
        for op in ops {
            match op {
                Op::Charge(distance, charge) => {
                    let id = model.next.wrapping_add_signed(distance);
                    prop_assert_eq!(window.charge(id, charge), model.charge(id, charge));
                }
                Op::ChargeLowest(charge) => {
                    let id = model.unused.first().copied().unwrap_or(model.next);
                    prop_assert_eq!(window.charge(id, charge), model.charge(id, charge));
                }
                Op::Grant(requested) => {
                    prop_assert_eq!(window.grant(requested), model.grant(requested));
                    prop_assert!(window.outstanding() >= 1, "the client is left without a credit");
                }
                Op::Limit(limit) => {
                    window.set_limit(limit);
                    model.limit = u64::from(limit);
                }
            }
            prop_assert_eq!(window.outstanding() as usize, model.unused.len());
            prop_assert!(window.outstanding() <= MAX_WINDOW);
        }
    }
}

#[test]
fn a_million_requests_leak_nothing() {
    let mut window = CreditWindow::new(MAX_WINDOW);
    assert_eq!(window.grant(u16::MAX), 8191);
    for id in 0..1_000_000 {
        window.charge(id, 1).unwrap();
        assert_eq!(window.grant(1), 1);
    }
    assert_eq!(window.outstanding(), MAX_WINDOW);
    assert_eq!(window.charge(5, 1), Err(CreditError::OutsideWindow));
}

#[test]
fn a_hole_stops_the_grants_until_it_is_filled() {
    let mut window = CreditWindow::new(MAX_WINDOW);
    window.grant(u16::MAX);
    for id in 1..u64::from(MAX_WINDOW) {
        window.charge(id, 1).unwrap();
        assert_eq!(window.grant(1), 0);
    }
    assert_eq!(window.outstanding(), 1);
    window.charge(0, 0).unwrap();
    assert_eq!(window.grant(u16::MAX), 8192);
}

#[test]
fn ids_at_the_far_end_do_not_overflow() {
    let mut window = CreditWindow::new(MAX_WINDOW);
    assert_eq!(window.charge(u64::MAX, u16::MAX), Err(CreditError::OutsideWindow));
    assert_eq!(window.charge(u64::MAX - 1, 1), Err(CreditError::OutsideWindow));
}

#[test]
fn payload_is_paid_in_steps_of_64_kib() {
    for (bytes, credits) in [(0, 1), (1, 1), (BYTES_PER_CREDIT, 1), (BYTES_PER_CREDIT + 1, 2), (8 << 20, 128)]
    {
        assert_eq!(charge_for(bytes), credits);
        assert!(covers(credits, bytes));
        assert!(credits == 1 || !covers(credits - 1, bytes));
    }
    assert!(covers(0, BYTES_PER_CREDIT));
    assert!(!covers(0, BYTES_PER_CREDIT + 1));
    assert!(!covers(u16::MAX, u32::MAX));
}

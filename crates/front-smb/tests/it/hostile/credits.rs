//! Credits and message ids through the wire (MS-SMB2 3.3.5.2.3), against a model that knows only sets.

use crate::site::{ALICE, Site, User};
use proptest::prelude::*;
use smb_core::credits::MAX_WINDOW;
use smb_raw::{Fault, Message, requests};
use smb_wire::NtStatus;
use std::collections::BTreeSet;

/// One request: which id, by how much it costs, and how many credits it asks for.
#[derive(Clone, Debug)]
struct Step {
    id: Id,
    charge: u16,
    asks: u16,
}

#[derive(Clone, Debug)]
enum Id {
    Next,
    /// Any that is left.
    Some(prop::sample::Index),
    /// One that was used.
    Used(prop::sample::Index),
    /// So far behind the last one granted.
    Beyond(u64),
    Highest,
}

fn step() -> impl Strategy<Value = Step> {
    let id = prop_oneof![
        400 => Just(Id::Next),
        40 => any::<prop::sample::Index>().prop_map(Id::Some),
        2 => any::<prop::sample::Index>().prop_map(Id::Used),
        1 => (0u64..3).prop_map(Id::Beyond),
        1 => Just(Id::Highest),
    ];
    let charge =
        prop_oneof![300 => Just(1u16), 60 => Just(0), 60 => 2u16..20, 1 => Just(65_535), 1 => 100u16..9000];
    let asks = prop_oneof![Just(1u16), Just(0), 2u16..200, Just(65_535)];
    (id, charge, asks).prop_map(|(id, charge, asks)| Step { id, charge, asks })
}

/// The ids that an honest count leaves to the client.
struct Model {
    left: BTreeSet<u64>,
    used: Vec<u64>,
    high: u64,
}

impl Model {
    fn of(user: &User) -> Model {
        let next = user.client.next_id;
        let high = next + user.client.credits as u64;
        Model { left: (next..high).collect(), used: (0..next).collect(), high }
    }

    fn id(&self, id: &Id) -> u64 {
        match id {
            Id::Next => self.left.first().copied().unwrap_or(self.high),
            Id::Some(index) if !self.left.is_empty() => {
                *index.get(&self.left.iter().copied().collect::<Vec<_>>())
            }
            Id::Some(_) => self.high,
            Id::Used(index) => *index.get(&self.used),
            Id::Beyond(by) => self.high + by,
            Id::Highest => u64::MAX,
        }
    }

    /// Whether all ids of a request are the client's to use; then they are used.
    fn takes(&mut self, id: u64, charge: u16) -> bool {
        let Some(end) = id.checked_add(u64::from(charge.max(1))) else { return false };
        if end - id > self.left.len() as u64 || !(id..end).all(|id| self.left.contains(&id)) {
            return false;
        }
        for id in id..end {
            self.left.remove(&id);
            self.used.push(id);
        }
        true
    }

    fn granted(&mut self, credits: u16) {
        self.left.extend(self.high..self.high + u64::from(credits));
        self.high += u64::from(credits);
        assert!(self.left.len() <= MAX_WINDOW as usize, "{} credits outstanding", self.left.len());
        let low = self.left.first().copied().unwrap_or(self.high);
        assert!(self.high - low <= u64::from(MAX_WINDOW), "a window of {}", self.high - low);
        assert!(!self.left.is_empty(), "a client without credits can never ask again");
    }
}

/// Runs the steps; a connection that the server ends, and rightly, is followed by a new one.
async fn run(site: &Site, steps: &[Step]) {
    let mut user = site.log_in(&ALICE).await;
    let mut model = Model::of(&user);
    for step in steps {
        let id = model.id(&step.id);
        let right = model.takes(id, step.charge);
        let mut message = Message::of(&requests::echo()).session(user.session.id).id(id);
        message.header.credit_charge = step.charge;
        message.header.credits = step.asks;
        user.client.send(&[message], user.session.guard()).await.unwrap();
        match user.client.replies().await {
            Ok(replies) => {
                assert!(right, "{step:?} was answered: id {id}");
                assert_eq!(replies.len(), 1);
                assert_eq!((replies[0].header.message_id, replies[0].status()), (id, NtStatus::SUCCESS));
                assert!(replies[0].header.credits <= step.asks.max(1), "more than was asked for");
                model.granted(replies[0].header.credits);
            }
            Err(fault) => {
                assert_eq!(fault, Fault::Gone);
                assert!(!right, "{step:?} ended the connection: id {id}");
                user = site.log_in(&ALICE).await;
                model = Model::of(&user);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn ten_thousand_requests_and_never_a_credit_too_many(steps in prop::collection::vec(step(), 1000)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { run(&Site::new().await, &steps).await });
    }
}

/// A payload larger than what the charge pays for (MS-SMB2 3.3.5.2.5).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_costs_its_credits() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    for (charge, length, expected) in [
        (0, 65_536, NtStatus::SUCCESS),
        (1, 65_536, NtStatus::SUCCESS),
        (0, 65_537, NtStatus::INVALID_PARAMETER),
        (1, 65_537, NtStatus::INVALID_PARAMETER),
        (2, 65_537, NtStatus::SUCCESS),
        (127, 8 << 20, NtStatus::INVALID_PARAMETER),
        (128, 8 << 20, NtStatus::SUCCESS),
        (129, (8 << 20) + 1, NtStatus::INVALID_PARAMETER),
        (2, u32::MAX, NtStatus::INVALID_PARAMETER),
    ] {
        while user.client.credits < 200 {
            let message = Message::of(&requests::echo()).session(user.session.id).charge(1);
            let mut message = message;
            message.header.credits = 200;
            user.client.exchange(message, user.session.guard()).await.unwrap();
        }
        let mut message = Message::of(&requests::read(file, 0, length));
        message.header.credit_charge = charge;
        let message = message.session(user.session.id).tree(user.tree);
        let reply = user.client.exchange(message, user.session.guard()).await.unwrap();
        assert_eq!(reply.status(), expected, "charge {charge}, {length} bytes");
    }
}

/// Before anybody logged in, credits are few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_few_credits() {
    let site = Site::new().await;
    let mut client = site.greet(smb_raw::offer(&[smb_wire::negotiate::Dialect::SMB_3_1_1])).await;
    for _ in 0..20 {
        let mut message = Message::of(&requests::echo());
        message.header.credits = 8192;
        client.exchange(message, smb_raw::Guard::Plain).await.unwrap();
        assert!(client.credits <= i64::from(front_smb::limits::ANONYMOUS_CREDITS_MAX), "{}", client.credits);
    }
}

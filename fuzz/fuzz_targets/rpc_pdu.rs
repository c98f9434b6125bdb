//! PDUs written to the pipes, one after the other: whatever comes, the answers are whole PDUs, and little is kept.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use smb_wire::{
    Sid,
    rpc::{
        Account, AccountFacts, Accounts, Conversation, MAX_FRAGMENT_LEN, MAX_REQUEST_LEN, ServerFacts, Service,
        ShareFacts, pdu::PacketHeader, srvsvc::STYPE_DISKTREE,
    },
};

fn facts() -> ServerFacts {
    ServerFacts {
        name: "FAR".into(),
        comment: String::new(),
        domain: "WORKGROUP".into(),
        version: (10, 0),
        server_type: 0x9003,
        users: 1,
        now_unix_ms: 1_700_000_000_000,
        timezone_minutes_west: 0,
        uptime_ms: 1,
        shares: vec![ShareFacts {
            name: "data".into(),
            comment: String::new(),
            share_type: STYPE_DISKTREE,
            path: "C:\\data".into(),
            max_users: u32::MAX,
            current_users: 0,
            flags: 0,
            hidden: false,
        }],
        accounts: Arc::new(AccountFacts {
            machine: Sid::new(5, &[21, 1, 2, 3]),
            users: Accounts::new([Account {
                name: "ann".into(),
                relative_id: 1000,
                groups: vec![2000],
                ..Account::default()
            }]),
            unix_users: vec![(0, "root".into())],
            ..AccountFacts::default()
        }),
        caller: "ann".into(),
    }
}

/// The length that a PDU has by its own words, or all there is.
fn next_pdu(data: &[u8]) -> usize {
    let length = data.get(8..10).map_or(data.len(), |length| usize::from(u16::from_le_bytes([length[0], length[1]])));
    length.clamp(1, data.len())
}

fuzz_target!(|data: &[u8]| {
    for service in Service::ALL {
        let mut conversation = Conversation::new(service);
        let mut rest = data;
        while !rest.is_empty() {
            let (pdu, more) = rest.split_at(next_pdu(rest));
            rest = more;
            for answer in conversation.answer(pdu, facts) {
                let (_, body) = PacketHeader::decode(&answer).expect("a whole PDU");
                assert_eq!(16 + body.len(), answer.len());
                assert!(answer.len() <= MAX_FRAGMENT_LEN);
            }
            assert!(conversation.kept() <= 2 * MAX_REQUEST_LEN);
        }
    }
});

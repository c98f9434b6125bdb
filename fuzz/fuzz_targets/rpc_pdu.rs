//! PDUs written to the pipes: whatever comes, the answer is made of whole PDUs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use smb_wire::{
    Sid,
    rpc::{
        Account, AccountFacts, Accounts, MAX_FRAGMENT_LEN, ServerFacts, Service, ShareFacts, answer, pdu::PacketHeader,
        srvsvc::STYPE_DISKTREE,
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

fuzz_target!(|data: &[u8]| {
    let facts = facts();
    for service in Service::ALL {
        let answers = answer(service, data, &facts);
        let mut rest = &answers[..];
        while !rest.is_empty() {
            let (_, body) = PacketHeader::decode(rest).expect("a whole PDU");
            assert!(16 + body.len() <= MAX_FRAGMENT_LEN);
            rest = &rest[16 + body.len()..];
        }
    }
});

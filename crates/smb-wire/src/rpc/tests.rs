//! Calls as a client makes them, and what comes back.

use super::*;
use crate::cursor::Put;
use proptest::prelude::*;

fn facts() -> ServerFacts {
    let share = |name: &str, share_type| ShareFacts {
        name: name.into(),
        comment: String::new(),
        share_type,
        path: format!("C:\\{name}"),
        max_users: u32::MAX,
        current_users: 0,
        flags: 0,
    };
    ServerFacts {
        name: "FAR".into(),
        comment: "far away".into(),
        domain: "WORKGROUP".into(),
        version: (10, 0),
        server_type: 0x9003,
        users: 1,
        now_unix_ms: 1_795_219_200_340,
        timezone_minutes_west: 0,
        uptime_ms: 5,
        shares: vec![share("data", srvsvc::STYPE_DISKTREE), share("IPC$", srvsvc::STYPE_IPC)],
    }
}

fn pdu(packet_type: PacketType, body: &[u8]) -> Vec<u8> {
    let mut out = vec![5, 0, packet_type.0, 3, 0x10, 0, 0, 0];
    out.size16(16 + body.len());
    out.u16(0);
    out.u32(77);
    out.bytes(body);
    out
}

fn bind(interface: &pdu::Syntax, transfer: &pdu::Syntax) -> Vec<u8> {
    let mut body = Vec::new();
    body.u16(5840);
    body.u16(5840);
    body.u32(0);
    body.u32(1);
    body.u16(0);
    body.u16(1);
    for syntax in [interface, transfer] {
        body.bytes(&syntax.uuid);
        body.u32(syntax.version);
    }
    pdu(PacketType::BIND, &body)
}

fn request(opnum: u16, stub: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.u32(0);
    body.u16(0);
    body.u16(opnum);
    body.bytes(stub);
    pdu(PacketType::REQUEST, &body)
}

/// The result of a bind: result, reason.
fn bind_result(answer: &[u8]) -> (u16, u16) {
    let at = answer.len() - 24;
    (u16::from_le_bytes([answer[at], answer[at + 1]]), u16::from_le_bytes([answer[at + 2], answer[at + 3]]))
}

fn last_u32(answer: &[u8]) -> u32 {
    u32::from_le_bytes(*answer.last_chunk().unwrap())
}

#[test]
fn bind_accepts_the_pipe_s_interface_alone() {
    let accepted = answer(Service::Srvsvc, &bind(&srvsvc::INTERFACE, &pdu::NDR), &facts());
    assert_eq!(accepted[2], PacketType::BIND_ACK.0);
    assert_eq!(accepted.len(), usize::from(u16::from_le_bytes([accepted[8], accepted[9]])));
    assert_eq!(bind_result(&accepted), (0, 0));
    let other = answer(Service::Srvsvc, &bind(&wkssvc::INTERFACE, &pdu::NDR), &facts());
    assert_eq!(bind_result(&other), (2, 1));
    let syntax = answer(Service::Srvsvc, &bind(&srvsvc::INTERFACE, &srvsvc::INTERFACE), &facts());
    assert_eq!(bind_result(&syntax), (2, 2));
}

#[test]
fn unknown_operations_and_bad_arguments_are_faults() {
    let fault = |answer: Vec<u8>| (answer[2], u32::from_le_bytes(answer[24..28].try_into().unwrap()));
    let unknown = answer(Service::Srvsvc, &request(99, &[]), &facts());
    assert_eq!(fault(unknown), (PacketType::FAULT.0, 0x1C01_0002));
    let short = answer(Service::Srvsvc, &request(15, &[1, 0, 0, 0]), &facts());
    assert_eq!(fault(short), (PacketType::FAULT.0, 0x0000_06F7));
    let garbage = answer(Service::Wkssvc, b"GET / HTTP/1.0\r\n\r\n", &facts());
    assert_eq!(fault(garbage), (PacketType::FAULT.0, 0x1C01_000B));
}

/// NetrServerGetInfo level 100 with a null server name, byte for byte.
#[test]
fn server_info_layout() {
    let mut stub = Vec::new();
    stub.u32(0);
    stub.u32(100);
    let answer = answer(Service::Srvsvc, &request(21, &stub), &facts());
    let expect = [
        100, 0, 0, 0, 4, 0, 2, 0, 0xF4, 1, 0, 0, 8, 0, 2, 0, // level, pointer, platform, name
        4, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, b'F', 0, b'A', 0, b'R', 0, 0, 0, // the name
        0, 0, 0, 0,
    ];
    assert_eq!(answer[24..], expect);
}

#[test]
fn every_level_of_every_call_answers() {
    let with_name = |level: u32| {
        let mut stub = Vec::new();
        stub.u32(0);
        stub.u32(5);
        stub.u32(0);
        stub.u32(5);
        stub.utf16("DATA");
        stub.u16(0);
        stub.align(0, 4);
        stub.u32(level);
        stub
    };
    for level in [0, 1, 2, 501, 502, 1005] {
        assert_eq!(last_u32(&answer(Service::Srvsvc, &request(16, &with_name(level)), &facts())), 0);
    }
    assert_eq!(last_u32(&answer(Service::Srvsvc, &request(16, &with_name(7)), &facts())), 124);
    let enumerate = |level: u32| {
        let mut stub = Vec::new();
        for word in [0, level, level, 0x20000, 0, 0, u32::MAX, 0] {
            stub.u32(word);
        }
        last_u32(&answer(Service::Srvsvc, &request(15, &stub), &facts()))
    };
    assert_eq!([0, 1, 2, 501, 502].map(enumerate), [0; 5]);
    assert_eq!([1005, 3].map(enumerate), [124; 2]);
    for (service, opnum) in [(Service::Srvsvc, 21), (Service::Wkssvc, 0)] {
        let status = |level: u32| {
            let mut stub = Vec::new();
            stub.u32(0);
            stub.u32(level);
            last_u32(&answer(service, &request(opnum, &stub), &facts()))
        };
        assert_eq!([100, 101, 102, 103].map(status), [0, 0, 0, 124]);
    }
}

#[test]
fn long_answers_are_cut_into_fragments() {
    let mut facts = facts();
    facts.shares = vec![facts.shares[0].clone(); 200];
    let mut stub = Vec::new();
    for word in [0, 1, 1, 0x20000, 0, 0, u32::MAX, 0] {
        stub.u32(word);
    }
    let whole = answer(Service::Srvsvc, &request(15, &stub), &facts);
    let mut rest = &whole[..];
    let mut flags = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16::from_le_bytes([rest[8], rest[9]]));
        assert!(length <= MAX_FRAGMENT_LEN);
        flags.push(rest[3]);
        rest = &rest[length..];
    }
    assert!(flags.len() > 2);
    assert_eq!((flags[0], flags[1], *flags.last().unwrap()), (1, 0, 2));
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(opnum in 0u16..40, stub in prop::collection::vec(any::<u8>(), 0..120)) {
        for service in [Service::Srvsvc, Service::Wkssvc] {
            answer(service, &request(opnum, &stub), &facts());
            answer(service, &pdu(PacketType::BIND, &stub), &facts());
            answer(service, &stub, &facts());
        }
    }
}

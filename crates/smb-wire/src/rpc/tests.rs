//! Calls as a client makes them, and what comes back.

mod fragments;

use super::*;
use crate::{
    cursor::{Put, Reader},
    sid::Sid,
    status::NtStatus,
};
use proptest::prelude::*;

const FIRST: u8 = 1;
const LAST: u8 = 2;
/// The number of every call.
const CALL: u32 = 77;

fn facts() -> ServerFacts {
    let share = |name: &str, share_type| ShareFacts {
        name: name.into(),
        comment: String::new(),
        share_type,
        path: format!("C:\\{name}"),
        max_users: u32::MAX,
        current_users: 0,
        flags: 0,
        hidden: name.ends_with('$') && share_type == srvsvc::STYPE_DISKTREE,
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
        shares: vec![
            share("data", srvsvc::STYPE_DISKTREE),
            share("data$", srvsvc::STYPE_DISKTREE),
            share("IPC$", srvsvc::STYPE_IPC),
        ],
        accounts: Arc::new(AccountFacts {
            machine: Sid::new(5, &[21, 1, 2, 3]),
            users: Accounts::new([Account {
                name: "ann".into(),
                full_name: "Ann A.".into(),
                relative_id: 1000,
                groups: vec![2000, 2001],
            }]),
            groups: Accounts::new([Account {
                name: "staff".into(),
                relative_id: 2000,
                ..Account::default()
            }]),
            unix_users: vec![(0, "root".into())],
            unix_groups: vec![(0, "wheel".into())],
        }),
        caller: "ann".into(),
    }
}

fn pdu(packet_type: PacketType, body: &[u8]) -> Vec<u8> {
    fragment(packet_type, FIRST | LAST, CALL, body)
}

fn fragment(packet_type: PacketType, flags: u8, call_id: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![5, 0, packet_type.0, flags, 0x10, 0, 0, 0];
    out.size16(16 + body.len());
    out.u16(0);
    out.u32(call_id);
    out.bytes(body);
    out
}

/// The answer to one PDU, its own PDUs one after the other.
fn answer(service: Service, pdu: &[u8], facts: &ServerFacts) -> Vec<u8> {
    Conversation::new(service).answer(pdu, || facts.clone()).concat()
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
    part(FIRST | LAST, CALL, opnum, stub)
}

/// A fragment of a request.
fn part(flags: u8, call_id: u32, opnum: u16, stub: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.u32(0);
    body.u16(0);
    body.u16(opnum);
    body.bytes(stub);
    fragment(PacketType::REQUEST, flags, call_id, &body)
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
fn lsarpc_says_what_the_machine_is_to_a_domain_over_a_second_interface() {
    let mut talk = Conversation::new(Service::Lsarpc);
    let facts = facts();
    let mut ask = |pdu: &[u8]| talk.answer(pdu, || facts.clone()).concat();
    assert_eq!(bind_result(&ask(&bind(&dssetup::INTERFACE, &pdu::NDR))), (0, 0));
    let asked = |level: u16| request(0, &level.to_le_bytes());
    let told = ask(&asked(1));
    assert_eq!(told[2], PacketType::RESPONSE.0);
    let mut reader = Reader::new(&told[24..], "result");
    let mut words = |count: usize| (0..count).map(|_| reader.u32().unwrap()).collect::<Vec<_>>();
    // The pointer and the level; a standalone server without flags; its name, no DNS names, no GUID.
    assert_eq!(words(4)[1..], [1, 2, 0]);
    assert_ne!(words(1), [0]);
    assert_eq!(words(6), [0; 6]);
    assert_eq!(words(3), [10, 0, 10]);
    assert_eq!(
        reader.take(20).unwrap(),
        "WORKGROUP\0".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()
    );
    assert_eq!(reader.u32().unwrap(), 0);
    for (level, length, status) in [(2, 20, 0), (3, 16, 0), (4, 8, 87), (0, 8, 87)] {
        let told = ask(&asked(level));
        assert_eq!((told.len() - 24, last_u32(&told)), (length, status), "level {level}");
    }
    let other = ask(&request(1, &[]));
    assert_eq!((other[2], &other[24..28]), (PacketType::FAULT.0, &0x1C01_0002u32.to_le_bytes()[..]));
    // The same number for the first interface is the first interface's from then on.
    assert_eq!(bind_result(&ask(&bind(&lsarpc::INTERFACE, &pdu::NDR))), (0, 0));
    assert_eq!(ask(&asked(1))[2], PacketType::FAULT.0);
    let elsewhere = answer(Service::Samr, &bind(&dssetup::INTERFACE, &pdu::NDR), &facts);
    assert_eq!(bind_result(&elsewhere), (2, 1));
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

/// The arguments of NetrShareGetInfo.
fn share_named(name: &str, level: u32) -> Vec<u8> {
    let units = name.len() as u32 + 1;
    let mut stub = Vec::new();
    stub.u32(0);
    stub.u32(units);
    stub.u32(0);
    stub.u32(units);
    stub.utf16(name);
    stub.u16(0);
    stub.align(0, 4);
    stub.u32(level);
    stub
}

#[test]
fn hidden_shares_are_told_to_who_knows_their_names() {
    let mut stub = Vec::new();
    for word in [0, 1, 1, 0x20000, 0, 0, u32::MAX, 0] {
        stub.u32(word);
    }
    let listed = stub_of(Service::Srvsvc, 15, &stub);
    let count = u32::from_le_bytes(listed[12..16].try_into().unwrap());
    assert_eq!(count, 2, "data and IPC$");
    let asked = |name| last_u32(&stub_of(Service::Srvsvc, 16, &share_named(name, 1)));
    assert_eq!(["data", "DATA$", "IPC$", "other$"].map(asked), [0, 0, 0, 2310]);
}

#[test]
fn every_level_of_every_call_answers() {
    let with_name = |level: u32| share_named("DATA", level);
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
    fn any_bytes_get_an_answer(opnum in 0u16..140, stub in prop::collection::vec(any::<u8>(), 0..120)) {
        for service in Service::ALL {
            answer(service, &request(opnum, &stub), &facts());
            answer(service, &pdu(PacketType::BIND, &stub), &facts());
            answer(service, &stub, &facts());
        }
    }
}

/// The stub of an answer.
fn stub_of(service: Service, opnum: u16, stub: &[u8]) -> Vec<u8> {
    let answer = answer(service, &request(opnum, stub), &facts());
    assert_eq!(answer[2], PacketType::RESPONSE.0, "operation {opnum}");
    answer[24..].to_vec()
}

fn status_of(stub: &[u8]) -> NtStatus {
    NtStatus(last_u32(stub))
}

/// Arguments as a client writes them.
#[derive(Default)]
struct Arguments(Vec<u8>);

impl Arguments {
    fn handle(handle: &[u8]) -> Self {
        Self(handle[..20].to_vec())
    }

    fn words(mut self, words: &[u32]) -> Self {
        self.0.align(0, 4);
        words.iter().for_each(|word| self.0.u32(*word));
        self
    }

    fn sid(mut self, sid: &Sid) -> Self {
        self = self.words(&[sid.sub_authorities().len() as u32]);
        sid.encode(&mut self.0);
        self
    }

    /// Elements of an array of counted strings.
    fn counted(mut self, texts: &[&str]) -> Self {
        for text in texts {
            let length = text.encode_utf16().count() as u32 * 2;
            self = self.words(&[length << 16 | length, 0x20000]);
        }
        for text in texts {
            let count = text.encode_utf16().count() as u32;
            self = self.words(&[count, 0, count]);
            self.0.utf16(text);
        }
        self
    }

    fn sids(mut self, sids: &[Sid]) -> Self {
        let count = sids.len() as u32;
        self = self.words(&[count, 0x20000, count]).words(&vec![0x20004; sids.len()]);
        sids.iter().fold(self, Arguments::sid)
    }
}

fn policy() -> Vec<u8> {
    let opened = stub_of(Service::Lsarpc, 44, &[]);
    assert_eq!((opened.len(), status_of(&opened)), (24, NtStatus::SUCCESS));
    opened
}

/// LsarLookupSids with one SID, byte for byte (MS-LSAT 2.2, C706 14).
#[test]
fn lookup_of_a_sid_layout() {
    let arguments = Arguments::handle(&policy()).sids(&[Sid::administrators()]).words(&[0, 0, 1, 0]);
    let expect = [
        &[4, 0, 2, 0, 1, 0, 0, 0, 8, 0, 2, 0, 1, 0, 0, 0][..], // list of domains, behind pointers
        &[1, 0, 0, 0, 14, 0, 14, 0, 12, 0, 2, 0, 16, 0, 2, 0], // its array: name and SID
        &[7, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0],
        b"B\0U\0I\0L\0T\0I\0N\0\0\0",
        &[1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0],
        &[1, 0, 0, 0, 20, 0, 2, 0, 1, 0, 0, 0], // names, behind a pointer
        &[4, 0, 0, 0, 28, 0, 28, 0, 24, 0, 2, 0, 0, 0, 0, 0], // alias, name, domain 0
        &[14, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0],
        b"A\0d\0m\0i\0n\0i\0s\0t\0r\0a\0t\0o\0r\0s\0",
        &[1, 0, 0, 0, 0, 0, 0, 0], // one found, success
    ];
    assert_eq!(stub_of(Service::Lsarpc, 15, &arguments.0), expect.concat());
}

#[test]
fn sids_of_every_kind_have_names() {
    let facts = facts();
    let name = |sid: &str| {
        let named = accounts::by_sid(&facts, &sid.parse().unwrap())?;
        Some(format!("{}\\{} {:?}", named.domain, named.name, named.name_use))
    };
    for (sid, expect) in [
        ("S-1-1-0", "\\Everyone WellKnownGroup"),
        ("S-1-3-4", "\\OWNER RIGHTS WellKnownGroup"),
        ("S-1-5-11", "NT AUTHORITY\\Authenticated Users WellKnownGroup"),
        ("S-1-5-32-545", "BUILTIN\\Users Alias"),
        ("S-1-5-32", "BUILTIN\\ Domain"),
        ("S-1-5-21-1-2-3", "FAR\\ Domain"),
        ("S-1-5-21-1-2-3-1000", "FAR\\ann User"),
        ("S-1-5-21-1-2-3-513", "FAR\\None Group"),
        ("S-1-5-21-1-2-3-501", "FAR\\Guest User"),
        ("S-1-5-21-1-2-3-2000", "FAR\\staff Alias"),
        ("S-1-22-1-0", "Unix User\\root User"),
        ("S-1-22-1-77", "Unix User\\77 User"),
        ("S-1-22-2-0", "Unix Group\\wheel Alias"),
    ] {
        assert_eq!(name(sid).as_deref(), Some(expect), "{sid}");
    }
    for nobody in ["S-1-5-21-1-2-3-1001", "S-1-5-21-9-9-9-1000", "S-1-22-3-1", "S-1-16-8192"] {
        assert_eq!(name(nobody), None);
    }
    for text in
        ["ann", "FAR\\Ann", "far\\staff", "far\\guest", "everyone", "builtin\\users", "Unix User\\root"]
    {
        assert!(accounts::by_name(&facts, text).is_some(), "{text}");
    }
    assert_eq!(accounts::by_name(&facts, "Far").unwrap().name_use, accounts::NameUse::Domain);
    for text in ["bob", "builtin\\ann", "FAR\\Everyone", "OTHER\\ann", "", "FAR\\"] {
        assert_eq!(accounts::by_name(&facts, text), None, "{text}");
    }
}

#[test]
fn lookups_say_how_many_were_found() {
    let machine = Sid::new(5, &[21, 1, 2, 3]).unwrap();
    let (ann, nobody) = (machine.child(1000).unwrap(), machine.child(9).unwrap());
    let of_sids = |opnum: u16, sids: &[Sid]| {
        let arguments = if opnum == 76 { Arguments::default() } else { Arguments::handle(&policy()) };
        let stub = stub_of(Service::Lsarpc, opnum, &arguments.sids(sids).words(&[0, 0, 1, 0, 0, 2]).0);
        (u32::from_le_bytes(stub[stub.len() - 8..][..4].try_into().unwrap()), status_of(&stub))
    };
    for opnum in [15, 57, 76] {
        assert_eq!(of_sids(opnum, &[ann.clone(), Sid::everyone()]), (2, NtStatus::SUCCESS));
        assert_eq!(of_sids(opnum, &[ann.clone(), nobody.clone()]), (1, NtStatus::SOME_NOT_MAPPED));
        assert_eq!(of_sids(opnum, std::slice::from_ref(&nobody)), (0, NtStatus::NONE_MAPPED));
    }
    let of_names = |opnum: u16, names: &[&str]| {
        let arguments = if opnum == 77 { Arguments::default() } else { Arguments::handle(&policy()) };
        let arguments = arguments.words(&[names.len() as u32; 2]).counted(names).words(&[0, 0, 1, 0, 0, 2]);
        let stub = stub_of(Service::Lsarpc, opnum, &arguments.0);
        (u32::from_le_bytes(stub[stub.len() - 8..][..4].try_into().unwrap()), status_of(&stub))
    };
    for opnum in [14, 58, 68, 77] {
        assert_eq!(of_names(opnum, &["ann", "FAR\\staff"]), (2, NtStatus::SUCCESS));
        assert_eq!(of_names(opnum, &["x", "everyone"]), (1, NtStatus::SOME_NOT_MAPPED));
        assert_eq!(of_names(opnum, &["x"]), (0, NtStatus::NONE_MAPPED));
    }
    let closed = Arguments::handle(&[0; 20]).sids(&[ann]);
    assert_eq!(status_of(&stub_of(Service::Lsarpc, 15, &closed.0)), NtStatus::INVALID_HANDLE);
}

#[test]
fn policy_and_user_name() {
    let query = |class: u32| stub_of(Service::Lsarpc, 7, &Arguments::handle(&policy()).words(&[class]).0);
    let account = [
        &[4, 0, 2, 0, 5, 0, 0, 0, 6, 0, 6, 0, 8, 0, 2, 0, 12, 0, 2, 0][..],
        &[3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0],
        b"F\0A\0R\0\0\0",
        &[4, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0],
        &[0; 4],
    ];
    assert_eq!(query(5), account.concat());
    for class in [3, 6, 12] {
        assert_eq!(status_of(&query(class)), NtStatus::SUCCESS, "{class}");
    }
    assert_eq!(query(2), [&[0; 4][..], &[0x0D, 0, 0, 0xC0]].concat());
    let opened = stub_of(Service::Lsarpc, 130, &[]);
    assert_eq!((opened.len(), &opened[16..36]), (40, &policy()[..20]));
    let closed = stub_of(Service::Lsarpc, 0, &policy()[..20]);
    assert_eq!(closed, [0; 24]);

    let user = stub_of(Service::Lsarpc, 45, &Arguments::default().words(&[0, 0, 1, 0]).0);
    let text: String = char::decode_utf16(user.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])))
        .map(|unit| unit.unwrap_or(' '))
        .collect();
    assert!(text.contains("ann") && text.contains("FAR"), "{text:?}");
    assert_eq!(status_of(&user), NtStatus::SUCCESS);
}

/// The calls of a client that asks for a user's groups, in its order.
#[test]
fn users_and_their_groups() {
    let call = |opnum: u16, arguments: Arguments| stub_of(Service::Samr, opnum, &arguments.0);
    let connected = call(64, Arguments::default().words(&[0, 0x30, 1, 1, 3, 0]));
    let server = &connected[16..];
    assert_eq!((connected.len(), status_of(&connected)), (40, NtStatus::SUCCESS));
    let domains = call(6, Arguments::handle(server).words(&[0, 0xFFFF]));
    assert_eq!(domains[..16], [2, 0, 0, 0, 4, 0, 2, 0, 2, 0, 0, 0, 8, 0, 2, 0]);
    assert_eq!(status_of(&domains), NtStatus::SUCCESS);
    let machine = call(5, Arguments::handle(server).counted(&["far"]));
    let mut reader = Reader::new(&machine[8..], "SID");
    let sid = Sid::read(&mut reader).unwrap();
    assert_eq!(sid.to_string(), "S-1-5-21-1-2-3");
    assert_eq!(status_of(&call(5, Arguments::handle(server).counted(&["x"]))), NtStatus::NO_SUCH_DOMAIN);

    let opened = call(7, Arguments::handle(server).words(&[0x300]).sid(&sid));
    assert_eq!(status_of(&opened), NtStatus::SUCCESS);
    let domain = &opened[..20];
    let lookup = |names: &[&str]| {
        let count = names.len() as u32;
        call(17, Arguments::handle(domain).words(&[count, 1000, 0, count]).counted(names))
    };
    let found =
        [1, 0, 0, 0, 4, 0, 2, 0, 1, 0, 0, 0, 0xE8, 3, 0, 0, 1, 0, 0, 0, 8, 0, 2, 0, 1, 0, 0, 0, 1, 0, 0, 0];
    assert_eq!(lookup(&["ANN"]), [&found[..], &[0; 4]].concat());
    assert_eq!(status_of(&lookup(&["ann", "x"])), NtStatus::SOME_NOT_MAPPED);
    assert_eq!(status_of(&lookup(&["x"])), NtStatus::NONE_MAPPED);
    let ids = call(18, Arguments::handle(domain).words(&[2, 1000, 0, 2, 1000, 7]));
    assert_eq!(status_of(&ids), NtStatus::SOME_NOT_MAPPED);
    assert_eq!(status_of(&call(13, Arguments::handle(domain).words(&[0, 0x10, 0xFFFF]))), NtStatus::SUCCESS);
    let shown = |opnum: u16, words: [u32; 4]| {
        let stub = call(opnum, Arguments::handle(domain).words(&words));
        let words: Vec<_> = stub.chunks_exact(4).map(last_u32).collect();
        (words, status_of(&stub))
    };
    for opnum in [40, 48, 51] {
        let (users, status) = shown(opnum, [1, 0, 100, 0xFFFF]);
        assert_eq!(
            (&users[2..4], &users[5..9], status),
            (&[1, 1][..], &[1, 1, 1000, 0x10][..], NtStatus::SUCCESS)
        );
        assert!(users[0] == users[1] && users[0] > 0);
        let (groups, status) = shown(opnum, [3, 0, 100, 0xFFFF]);
        assert_eq!(
            (&groups[2..4], &groups[5..9], status),
            (&[3, 1][..], &[1, 1, 513, 7][..], NtStatus::SUCCESS)
        );
    }
    // None that are wanted, none behind the last, no machines; one whatever the buffer; and what is not told.
    assert_eq!(shown(40, [1, 0, 0, 0xFFFF]).0[1..5], [0, 1, 0, 0]);
    assert_eq!(shown(40, [1, 0, 0, 0xFFFF]).1, NtStatus::MORE_ENTRIES);
    assert_eq!(shown(40, [1, 1, 100, 0xFFFF]).1, NtStatus::SUCCESS);
    assert_eq!(shown(40, [1, 0, 100, 0]).0[3], 1);
    assert_eq!(shown(40, [2, 0, 100, 0xFFFF]).0[3], 0);
    assert_eq!(shown(40, [4, 0, 100, 0xFFFF]).1, NtStatus::INVALID_INFO_CLASS);

    let user = call(34, Arguments::handle(domain).words(&[0x11B, 1000]));
    assert_eq!(status_of(&user), NtStatus::SUCCESS);
    assert_eq!(status_of(&call(34, Arguments::handle(domain).words(&[0x11B, 9]))), NtStatus::NO_SUCH_USER);
    let groups = call(39, Arguments::handle(&user));
    let expect = [4, 0, 2, 0, 1, 0, 0, 0, 8, 0, 2, 0, 1, 0, 0, 0, 1, 2, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(groups, expect);
    for class in [6, 7, 8, 9, 16] {
        assert_eq!(
            status_of(&call(36, Arguments::handle(&user).words(&[class]))),
            NtStatus::SUCCESS,
            "{class}"
        );
    }
    assert_eq!(status_of(&call(36, Arguments::handle(&user).words(&[21]))), NtStatus::INVALID_INFO_CLASS);
    let aliases = call(16, Arguments::handle(domain).sids(&[sid.child(1000).unwrap()]));
    assert_eq!(aliases[..4], [2, 0, 0, 0]);
    assert_eq!(aliases[12..20], [0xD0, 7, 0, 0, 0xD1, 7, 0, 0]);
    assert_eq!(status_of(&call(39, Arguments::handle(domain))), NtStatus::INVALID_HANDLE);
    assert_eq!(call(1, Arguments::handle(&user)), [0; 24]);
}

#[test]
fn accounts_that_are_too_many_come_in_several_answers() {
    let users = (0..4100).map(|nth| Account {
        name: format!("u{nth}"),
        relative_id: 1000 + nth,
        ..Account::default()
    });
    let machine = Sid::new(5, &[21, 1, 2, 3]);
    let accounts = AccountFacts { machine, users: Accounts::new(users), ..AccountFacts::default() };
    let facts = ServerFacts { accounts: Arc::new(accounts), ..facts() };
    let domain = handle::Handle::AccountDomain.encode();
    let from = |start: u32| {
        let arguments = Arguments::handle(&domain).words(&[start, 0x10, 0xFFFF]);
        let mut result = NdrWriter::new();
        samr::call(13, &mut NdrReader::new(&arguments.0), &facts, &mut result).unwrap();
        let stub = result.finish();
        let count = u32::from_le_bytes(stub[stub.len() - 8..][..4].try_into().unwrap());
        (u32::from_le_bytes(stub[..4].try_into().unwrap()), count, status_of(&stub))
    };
    assert_eq!(from(0), (4096, 4096, NtStatus::MORE_ENTRIES));
    assert_eq!(from(4096), (4100, 4, NtStatus::SUCCESS));
    assert_eq!(from(4100), (4100, 0, NtStatus::SUCCESS));
    assert_eq!(from(u32::MAX), (u32::MAX, 0, NtStatus::SUCCESS));
}

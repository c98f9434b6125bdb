//! Requests in several fragments.

use super::*;

/// A request cut as a client cuts it.
fn parts(opnum: u16, stub: &[u8]) -> Vec<Vec<u8>> {
    let chunks = stub.chunks(MAX_FRAGMENT_LEN - 24);
    let last = chunks.len() - 1;
    let flags = |at| if at == 0 { FIRST } else { 0 } | if at == last { LAST } else { 0 };
    chunks.enumerate().map(|(at, chunk)| part(flags(at), CALL, opnum, chunk)).collect()
}

/// A thousand SIDs do not fit into one fragment.
#[test]
fn long_requests_come_in_fragments() {
    let machine = facts().accounts.machine.clone().unwrap();
    let sids: Vec<Sid> = (0..1000).map(|number| machine.child(number + 500).unwrap()).collect();
    let stub = Arguments::handle(&policy()).sids(&sids).words(&[0, 0, 1, 0]).0;
    let cut = parts(15, &stub);
    assert!(cut.len() > 5);
    let mut conversation = Conversation::new(Service::Lsarpc);
    let (last, before) = cut.split_last().unwrap();
    for part in before {
        assert_eq!(conversation.answer(part, || panic!("it is not whole")), Vec::<Vec<u8>>::new());
    }
    assert!(conversation.kept() > 30_000);
    let joined = conversation.answer(last, facts);
    assert_eq!(conversation.kept(), 0);
    assert!(joined.iter().all(|pdu| pdu[2] == PacketType::RESPONSE.0));
    // The same as in one PDU, which could be that long.
    assert_eq!(joined.concat(), answer(Service::Lsarpc, &request(15, &stub), &facts()));
}

/// What becomes of these fragments: of each the code of a fault, or nothing; a result counts as 0.
fn check_parts(conversation: &mut Conversation, expect: &[(Vec<u8>, Option<u32>)]) {
    for (nth, (part, expect)) in expect.iter().enumerate() {
        let answered = conversation.answer(part, facts);
        let code = answered.first().map(|pdu| match PacketType(pdu[2]) {
            PacketType::FAULT => u32::from_le_bytes(pdu[24..28].try_into().unwrap()),
            _ => 0,
        });
        assert_eq!(code, *expect, "PDU {nth}");
    }
}

#[test]
fn fragments_out_of_place_are_refused_once() {
    let proto = Some(Fault::PROTOCOL_ERROR.0);
    let mut stub = Vec::new();
    stub.u32(0);
    stub.u32(100);
    let (head, tail) = stub.split_at(4);
    let (fine, other) = (|flags, stub| part(flags, CALL, 21, stub), |flags, stub| part(flags, 78, 21, stub));
    let orphaned = fragment(PacketType::ORPHANED, FIRST | LAST, CALL, &[]);
    let signed = |flags| {
        let mut signed = fine(flags, head);
        signed[10] = 16;
        signed
    };
    for expect in [
        vec![(fine(FIRST, head), None), (fine(0, &[]), None), (fine(LAST, tail), Some(0))],
        // None has begun.
        vec![(fine(0, head), proto), (fine(0, head), None), (fine(LAST, tail), None)],
        vec![(fine(LAST, tail), proto), (fine(LAST, tail), proto)],
        // Another call, another operation.
        vec![(fine(FIRST, head), None), (other(LAST, tail), proto), (fine(LAST, tail), proto)],
        vec![(fine(FIRST, head), None), (other(FIRST, head), proto), (other(LAST, tail), None)],
        vec![(fine(FIRST, head), None), (part(LAST, CALL, 28, tail), proto)],
        vec![(fine(FIRST, head), None), (other(FIRST | LAST, &stub), proto)],
        // One that was given up.
        vec![(fine(FIRST, head), None), (orphaned, None), (other(FIRST | LAST, &stub), Some(0))],
        vec![(signed(FIRST), proto), (fine(LAST, tail), None)],
    ] {
        let mut conversation = Conversation::new(Service::Srvsvc);
        check_parts(&mut conversation, &expect);
        assert_eq!(conversation.kept(), 0);
        // The next call is answered as ever.
        check_parts(&mut conversation, &[(request(21, &stub), Some(0))]);
    }
}

#[test]
fn a_request_is_no_longer_than_its_limit() {
    let mut conversation = Conversation::new(Service::Srvsvc);
    let chunk = [0; 4096];
    check_parts(&mut conversation, &[(part(FIRST, CALL, 21, &chunk), None)]);
    for _ in 1..MAX_REQUEST_LEN / chunk.len() {
        check_parts(&mut conversation, &[(part(0, CALL, 21, &chunk), None)]);
    }
    assert!((MAX_REQUEST_LEN..=2 * MAX_REQUEST_LEN).contains(&conversation.kept()));
    let too_much = Some(Fault::NO_MEMORY.0);
    check_parts(&mut conversation, &[(part(0, CALL, 21, &[0]), too_much)]);
    assert_eq!(conversation.kept(), 0);
    check_parts(
        &mut conversation,
        &[(part(0, CALL, 21, &chunk), None), (part(LAST, CALL, 21, &chunk), None)],
    );
    // Let go of by who keeps it.
    check_parts(&mut conversation, &[(part(FIRST, CALL, 21, &chunk), None)]);
    conversation.refuse();
    assert_eq!(conversation.kept(), 0);
    check_parts(&mut conversation, &[(part(LAST, CALL, 21, &chunk), None)]);
}

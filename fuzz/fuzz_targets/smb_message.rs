//! Any request of any command: what is read must survive being written and read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use smb_wire::{Command, Header, Request};

/// StructureSize of each command's request, so that the fuzzer need not find it.
const STRUCTURE_SIZES: [u8; 19] = [36, 25, 4, 9, 4, 57, 24, 24, 49, 49, 48, 57, 4, 4, 33, 32, 41, 33, 36];

fuzz_target!(|data: &[u8]| {
    let [selector, body @ ..] = data else { return };
    let index = usize::from(*selector) % Command::ALL.len();
    let header = Header::request(Command::ALL[index], 1);
    let mut message = Vec::new();
    header.encode_into(&mut message);
    message.extend_from_slice(&[STRUCTURE_SIZES[index], 0]);
    message.extend_from_slice(body);
    let Ok(request) = Request::decode(&header, &Bytes::from(message)) else { return };

    let mut again = Vec::new();
    header.encode_into(&mut again);
    request.encode(&mut again);
    assert_eq!(Request::decode(&header, &Bytes::from(again)).as_ref(), Ok(&request));
});

//! What an entrypoint asks of a gateway: what is read must survive being written and read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use peer_wire::{Frame, Request};

fuzz_target!(|parts: (&[u8], &[u8])| {
    let (head, body) = parts;
    let Ok(message) = Request::decode(head, Bytes::copy_from_slice(body)) else { return };
    let Frame { head, body } = message.clone().encode();
    assert_eq!(Request::decode(&head, body).as_ref(), Ok(&message));
});

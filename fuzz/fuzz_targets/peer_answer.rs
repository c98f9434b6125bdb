//! What a gateway answers: what is read must survive being written and read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use peer_wire::{Frame, Answer};

fuzz_target!(|parts: (&[u8], &[u8])| {
    let (head, body) = parts;
    let Ok(message) = Answer::decode(head, Bytes::copy_from_slice(body)) else { return };
    let Frame { head, body } = message.clone().encode();
    assert_eq!(Answer::decode(&head, body).as_ref(), Ok(&message));
});

//! What a gateway tells unasked: what is read must survive being written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peer_wire::{Frame, Push};

fuzz_target!(|parts: (&[u8], &[u8])| {
    let (head, body) = parts;
    let Ok(push) = Push::decode(head, body) else { return };
    let Frame { head, body } = push.encode();
    assert_eq!(Push::decode(&head, &body).as_ref(), Ok(&push));
});

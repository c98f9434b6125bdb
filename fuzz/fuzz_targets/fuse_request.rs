//! Any request of the kernel's FUSE: what is read must survive being written and read again.
#![no_main]

use bytes::Bytes;
use fuse_wire::{Header, InitFlags, Opcode, Request};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/fuse-wire/tests/it/message.rs"]
mod message;

fuzz_target!(|data: &[u8]| {
    let _ = Header::decode(data);
    let _ = Request::decode(&Bytes::copy_from_slice(data), InitFlags::empty());

    // With a header whose lengths are right, so that the fuzzer need not find them.
    let [selector, extended, rest @ ..] = data else { return };
    let agreed = if extended & 1 == 0 { InitFlags::empty() } else { InitFlags::SETXATTR_EXT };
    let extensions_len = usize::from(extended >> 1) / 8 * 8;
    let Some((extensions, body)) = rest.split_at_checked(extensions_len) else { return };
    let opcode = Opcode(u32::from(*selector) % 56);
    let Ok(request) = Request::decode(&message::framed(opcode, body, extensions), agreed) else { return };
    assert_eq!(Request::decode(&message::encode(&request, agreed), agreed), Ok(request));
});

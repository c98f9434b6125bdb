//! Transport messages as they come: chains, encrypted and compressed heads, SMB1.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use smb_wire::{
    HEADER_LEN, Protocol, Request,
    compression_transform::CompressedMessage,
    smb1::Smb1NegotiateRequest,
    split_compound,
    transform::TransformHeader,
};

fuzz_target!(|data: &[u8]| {
    match Protocol::of(data) {
        Ok(Protocol::Smb1) => drop(Smb1NegotiateRequest::decode(data)),
        Ok(Protocol::Encrypted) => drop(TransformHeader::decode(data)),
        Ok(Protocol::Compressed) => drop(CompressedMessage::decode(&Bytes::copy_from_slice(data))),
        Ok(Protocol::Smb2) | Err(_) => {}
    }
    let mut length = 0;
    for (header, message) in split_compound(Bytes::copy_from_slice(data)).map_while(Result::ok) {
        assert!(message.len() >= HEADER_LEN);
        length += message.len();
        let _ = Request::decode(&header, &message);
    }
    assert!(length <= data.len());
});

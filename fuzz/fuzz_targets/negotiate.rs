//! NEGOTIATE in both directions.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use smb_wire::{
    Command, Header,
    negotiate::{NegotiateRequest, NegotiateResponse},
};

fn message(structure_size: u8, body: &[u8]) -> Bytes {
    let mut message = Vec::new();
    Header::request(Command::Negotiate, 0).encode_into(&mut message);
    message.extend_from_slice(&[structure_size, 0]);
    message.extend_from_slice(body);
    message.into()
}

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = NegotiateRequest::decode(&message(36, data)) {
        let mut body = Vec::new();
        request.encode(&mut body);
        assert_eq!(NegotiateRequest::decode(&message(36, &body[2..])), Ok(request));
    }
    if let Ok(response) = NegotiateResponse::decode(&message(65, data)) {
        let mut body = Vec::new();
        response.encode(&mut body);
        assert_eq!(NegotiateResponse::decode(&message(65, &body[2..])), Ok(response));
    }
});

//! Lists of create contexts, in both directions.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use smb_wire::create::context::{
    decode_request_list, decode_response_list, encode_request_list, encode_response_list,
};

fuzz_target!(|data: &[u8]| {
    let list = Bytes::copy_from_slice(data);
    if let Ok(contexts) = decode_request_list(&list) {
        let mut again = Vec::new();
        encode_request_list(&contexts, &mut again);
        assert_eq!(decode_request_list(&again.into()), Ok(contexts));
    }
    if let Ok(contexts) = decode_response_list(&list) {
        let mut again = Vec::new();
        encode_response_list(&contexts, &mut again);
        assert_eq!(decode_response_list(&again.into()), Ok(contexts));
    }
});

//! The first bytes of a connection between two nodes.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// What a greeting begins with, so that the fuzzer need not find it.
const MAGIC: &[u8; 8] = b"farlink\n";

fuzz_target!(|data: &[u8]| {
    link::fuzzing::greeting(data);
    let length = (data.len() as u16).to_le_bytes();
    link::fuzzing::greeting(&[&MAGIC[..], &length, data].concat());
});

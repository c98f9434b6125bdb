//! The codec against the layouts of `fuse.h`, against broken messages, and against everything that properties
//! can think of.
#![cfg(target_endian = "little")]

mod answers;
mod malformed;
mod message;
mod requests;
mod round_trip;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

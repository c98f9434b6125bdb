//! Compressed messages: whatever comes, no more is restored than allowed; what is compressed survives.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use smb_core::compression::{Compression, CompressionAgreement, compress, decompress};
use smb_wire::{compression_transform::CompressedMessage, negotiate::compression};

const LIMIT: usize = 1 << 18;

fuzz_target!(|data: &[u8]| {
    let [selector, data @ ..] = data else { return };
    let all = CompressionAgreement { algorithms: Compression::PREFERENCE.to_vec(), is_chained: true };
    if let Ok(restored) = decompress(&Bytes::copy_from_slice(data), &all, LIMIT) {
        assert!(restored.len() <= LIMIT);
    }
    let algorithm = [compression::LZNT1, compression::LZ77, compression::LZ77_HUFFMAN, compression::LZ4][usize::from(selector & 3)];
    for original_size in [64, 5000, 200_000] {
        let mut message = Vec::new();
        let plain = Bytes::from_static(b"\xFESMB");
        let data = Bytes::copy_from_slice(data);
        CompressedMessage::Unchained { plain, algorithm, original_size, data }.encode(&mut message);
        if let Ok(restored) = decompress(&message.into(), &all, LIMIT) {
            assert_eq!(restored.len(), 4 + original_size as usize);
        }
    }
    let algorithms: Vec<_> = [Compression::PatternV1].into_iter().chain(Compression::from_wire(algorithm)).collect();
    let agreed = CompressionAgreement { algorithms, is_chained: selector & 4 != 0 };
    let message = [b"\xFESMB", &data.repeat(1 + usize::from(selector >> 3))[..]].concat();
    if let Some(smaller) = compress(&message, &agreed) {
        assert!(smaller.len() < message.len());
        assert_eq!(decompress(&smaller.into(), &agreed, message.len()).as_deref(), Ok(&message[..]));
    }
});

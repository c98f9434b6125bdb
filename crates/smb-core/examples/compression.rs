//! How small each algorithm makes messages of 1 MiB of some files, and how quickly.
//!
//! ```text
//! compression FILE...
//! ```

use bytes::Bytes;
use smb_core::compression::{
    Compression, CompressionAgreement, PLAIN_HEAD_BYTES, compress_behind, decompress,
};
use std::time::{Duration, Instant};

const MESSAGE_BYTES: usize = 1 << 20;
/// Each direction is repeated for as long.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

fn main() -> std::io::Result<()> {
    println!("{:<24} {:<12} {:>8} {:>14} {:>14}", "file", "algorithm", "to", "compress", "restore");
    for path in std::env::args_os().skip(1) {
        let content = std::fs::read(&path)?;
        for algorithm in Compression::PREFERENCE {
            measure(&path.to_string_lossy(), &content, algorithm);
        }
    }
    Ok(())
}

fn measure(path: &str, content: &[u8], algorithm: Compression) {
    let agreed = CompressionAgreement { algorithms: vec![algorithm], is_chained: true };
    let mut head = [0; PLAIN_HEAD_BYTES];
    head[..4].copy_from_slice(b"\xFESMB");
    let bodies: Vec<&[u8]> = content.chunks(MESSAGE_BYTES).collect();
    let compressed = || bodies.iter().map(|body| compress_behind(&head, body, &agreed));
    let messages: Vec<Bytes> = compressed().flatten().map(Bytes::from).collect();
    let travels: usize =
        compressed().zip(&bodies).map(|(made, body)| made.map_or(body.len(), |made| made.len())).sum();
    let compress = rate(content.len(), || compressed().for_each(|made| drop(std::hint::black_box(made))));
    let restored = messages.len() * MESSAGE_BYTES.min(content.len());
    let restore = rate(restored, || {
        for message in &messages {
            let limit = 2 * MESSAGE_BYTES;
            std::hint::black_box(decompress(message, &agreed, limit).expect("what was compressed here"));
        }
    });
    let share = 100.0 * travels as f64 / content.len().max(1) as f64;
    println!(
        "{path:<24} {:<12} {share:>6.1} % {compress:>8.0} MiB/s {restore:>8.0} MiB/s",
        format!("{algorithm:?}")
    );
}

/// MiB a second of work that goes over so many bytes.
fn rate(bytes: usize, work: impl Fn()) -> f64 {
    let begun = Instant::now();
    let mut times = 0;
    while begun.elapsed() < LONG_ENOUGH {
        work();
        times += 1;
    }
    (bytes * times) as f64 / f64::from(1 << 20) / begun.elapsed().as_secs_f64()
}

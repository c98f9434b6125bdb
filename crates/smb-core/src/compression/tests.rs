//! Published examples (MS-XCA 3), round trips, hostile bytes.

use super::*;
use proptest::prelude::*;

type Compress = fn(&[u8], usize, &mut Vec<u8>) -> bool;
type Decompress = fn(&[u8], usize, &mut Vec<u8>) -> Result<(), Malformed>;

const ALGORITHMS: [(&str, Compress, Decompress); 3] = [
    ("LZNT1", lznt1::compress, lznt1::decompress),
    ("LZ77", lz77::compress, lz77::decompress),
    ("LZ77+Huffman", huffman::compress, huffman::decompress),
];

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A table of code lengths with these bytes at these places, and what follows it.
fn with_table(bytes: &[(usize, &str)], stream: &str) -> Vec<u8> {
    let mut table = vec![0; 256];
    for (at, digits) in bytes {
        let digits = hex(digits);
        table[*at..at + digits.len()].copy_from_slice(&digits);
    }
    [table, hex(stream)].concat()
}

fn restored(decompress: Decompress, data: &[u8], size: usize) -> Vec<u8> {
    let mut out = b"before".to_vec();
    decompress(data, size, &mut out).unwrap();
    out.split_off(6)
}

fn packed(compress: Compress, data: &[u8]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    assert!(compress(data, usize::MAX, &mut out));
    out.split_off(6)
}

/// MS-XCA 3.1, in both directions: these have only one good answer.
#[test]
fn published_plain_lz77() {
    let literals = [&hex("3f000000")[..], ALPHABET].concat();
    assert_eq!(restored(lz77::decompress, &literals, 26), ALPHABET);
    assert_eq!(packed(lz77::compress, ALPHABET), literals);
    let repeated = b"abc".repeat(100);
    let run = hex("ffffff1f 616263 1700 0f ff 2601");
    assert_eq!(restored(lz77::decompress, &run, 300), repeated);
    assert_eq!(packed(lz77::compress, &repeated), run);
}

/// MS-XCA 3.2.
#[test]
fn published_lz77_with_huffman() {
    let table = [(0x30, "50 55555555555555555555 45 44 04"), (0x80, "04")];
    let literals = with_table(&table, "d8523ed7 94115be9 195ff9d6 7cdf8d04 00000000");
    assert_eq!(restored(huffman::decompress, &literals, 26), ALPHABET);
    let repeated = b"abc".repeat(100);
    let run = with_table(&[(0x30, "30 23"), (0x80, "02"), (0x8F, "20")], "a8dc 0000 ff 2601");
    assert_eq!(restored(huffman::decompress, &run, 300), repeated);
    assert_eq!(packed(huffman::compress, &repeated).len(), run.len());
    assert_eq!(packed(huffman::compress, ALPHABET).len(), literals.len());
}

/// MS-XCA 3.3.
#[test]
fn published_lznt1() {
    let tune = b"F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\0";
    let packed =
        hex("38b08846 23200020 47204100 10a24701 a0452044 00084501 507900c0 45200524 138805b4 024a44ef
         03580 28c 09160148 450 0be00 9e000401 189000");
    assert_eq!(restored(lznt1::decompress, &packed, tune.len()), tune);
}

fn text(words: usize) -> Vec<u8> {
    let mut state = 1u32;
    let vocabulary =
        ["the ", "quick ", "brown ", "fox", "jumps ", "over ", "lazy ", "dog\n", "0x00", "\0\0\0\0"];
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    (0..words).flat_map(|_| vocabulary[next() % vocabulary.len()].bytes()).collect()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn large_data_survives() {
    let mixed = [text(20_000), vec![7; 300_000], noise(70_000), text(9)].concat();
    for data in [Vec::new(), vec![0], vec![5; 65_536], vec![5; 65_537], text(60_000), noise(140_000), mixed] {
        for (name, compress, decompress) in ALGORITHMS {
            let small = packed(compress, &data);
            assert!(restored(decompress, &small, data.len()) == data, "{name} of {}", data.len());
        }
    }
}

#[test]
fn what_repeats_becomes_small_and_noise_stays() {
    let data = text(60_000);
    for ((name, compress, _), most_percent) in ALGORITHMS.into_iter().zip([60, 50, 35]) {
        let percent = packed(compress, &data).len() * 100 / data.len();
        assert!(percent <= most_percent, "{name}: {percent} %");
        assert!(packed(compress, &noise(100_000)).len() < 113_000, "{name}");
        assert!(!compress(&noise(100_000), 99_000, &mut Vec::new()), "{name} keeps to its budget");
    }
}

/// Codes of more than 15 bits: weights that grow like Fibonacci numbers make the deepest tree.
#[test]
fn deep_trees_are_flattened() {
    let (mut a, mut b) = (1usize, 1usize);
    let mut data = Vec::new();
    for byte in 0..21u8 {
        data.extend(std::iter::repeat_n(byte, a));
        (a, b) = (b, a + b);
    }
    // Not in runs: matches would take them.
    let mut order: Vec<usize> = (0..data.len()).collect();
    let keys = noise(data.len() * 4);
    order.sort_by_key(|at| u32::from_le_bytes(*keys[at * 4..].first_chunk().unwrap()));
    let data: Vec<u8> = order.into_iter().map(|at| data[at]).collect();
    let small = packed(huffman::compress, &data);
    assert!(restored(huffman::decompress, &small, data.len()) == data);
}

proptest! {
    #[test]
    fn anything_survives(
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..20), 1usize..60), 0..20),
    ) {
        let data: Vec<u8> = parts.iter().flat_map(|(bytes, times)| bytes.repeat(*times)).collect();
        for (name, compress, decompress) in ALGORITHMS {
            let small = packed(compress, &data);
            prop_assert!(restored(decompress, &small, data.len()) == data, "{}", name);
        }
    }

    /// Whatever comes, no more is made than asked for, and nothing panics.
    #[test]
    fn any_bytes_are_restored_or_refused(
        mut data in prop::collection::vec(any::<u8>(), 0..600),
        size in 0usize..5000,
        flags in any::<u8>(),
    ) {
        if let [_, head, ..] = &mut data[..] {
            *head = flags & 0x8F | 0x30;
        }
        for (_, _, decompress) in ALGORITHMS {
            let mut out = vec![9];
            let result = decompress(&data, size, &mut out);
            prop_assert!(out.len() <= 1 + size + 65_536 && (result.is_err() || out.len() == 1 + size));
        }
    }

    /// A damaged stream with a good table.
    #[test]
    fn damaged_streams_are_restored_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let data = text(500);
        for (_, compress, decompress) in ALGORITHMS {
            let mut small = packed(compress, &data);
            let at = at.index(small.len());
            small[at] = byte;
            let _ = decompress(&small, data.len(), &mut Vec::new());
            small.truncate(cut.index(small.len()));
            let _ = decompress(&small, data.len(), &mut Vec::new());
        }
    }
}

fn agreed(algorithms: &[Compression], is_chained: bool) -> CompressionAgreement {
    CompressionAgreement { algorithms: algorithms.to_vec(), is_chained }
}

fn message(body: &[u8]) -> Vec<u8> {
    let mut message = b"\xFESMB\x40\0".to_vec();
    message.resize(PLAIN_HEAD_BYTES, 3);
    message.extend_from_slice(body);
    message
}

const LIMIT: usize = 1 << 20;

#[test]
fn messages_survive_every_agreement() {
    let bodies = [
        text(4000),
        [vec![0; 5000], text(2000), vec![1; 64]].concat(),
        [vec![0; 5000], noise(2000)].concat(),
        vec![0; 5000],
        [text(3000), vec![7; 9000]].concat(),
    ];
    for algorithm in Compression::PREFERENCE {
        for is_chained in [false, true] {
            let agreed = agreed(&[Compression::PatternV1, algorithm], is_chained);
            for body in &bodies {
                let message = message(body);
                let Some(small) = compress(&message, &agreed) else {
                    let needs_chain =
                        algorithm == Compression::PatternV1 || body.ends_with(&noise(2000)[1990..]);
                    assert!(needs_chain, "{algorithm:?} in a chain: {is_chained}, {} bytes", body.len());
                    continue;
                };
                assert!(small.len() < message.len());
                assert_eq!(
                    decompress(&small.into(), &agreed, LIMIT).as_deref(),
                    Ok(&message[..]),
                    "{algorithm:?}"
                );
            }
        }
    }
}

#[test]
fn what_does_not_pay_is_left() {
    for is_chained in [false, true] {
        let agreed = agreed(&Compression::PREFERENCE, is_chained);
        assert_eq!(compress(&message(&noise(20_000)), &agreed), None);
        assert_eq!(compress(&message(&[0; 1000]), &agreed), None, "short");
        let little = message(&[noise(20_000), vec![0; 500]].concat());
        assert_eq!(compress(&little, &agreed), None, "a run at the end is not enough");
    }
    assert_eq!(compress(&message(&text(4000)), &agreed(&[Compression::PatternV1], true)), None);
}

#[test]
fn runs_become_patterns() {
    let agreed = agreed(&[Compression::PatternV1, Compression::Lz77], true);
    let body = [vec![1; 4000], text(2000), vec![2; 4000]].concat();
    let small = compress(&message(&body), &agreed).unwrap();
    let decoded = CompressedMessage::decode(&small.into()).unwrap();
    let CompressedMessage::Chained { payloads, .. } = decoded else { panic!("{decoded:?}") };
    let [ChainedPayload::Plain(head), front, ChainedPayload::Compressed { algorithm, .. }, back] =
        &payloads[..]
    else {
        panic!("{payloads:?}")
    };
    assert_eq!((head.len(), *algorithm), (PLAIN_HEAD_BYTES, Compression::Lz77.wire()));
    assert_eq!(*front, ChainedPayload::Pattern { byte: 1, repetitions: 4000 });
    assert_eq!(*back, ChainedPayload::Pattern { byte: 2, repetitions: 4000 });
}

fn encoded(message: &CompressedMessage) -> Bytes {
    let mut out = Vec::new();
    message.encode(&mut out);
    out.into()
}

fn pattern(repetitions: u32) -> ChainedPayload {
    ChainedPayload::Pattern { byte: 0, repetitions }
}

#[test]
fn hostile_messages_are_refused_before_memory_is_taken() {
    let all = agreed(&Compression::PREFERENCE, true);
    let refuse = |message: &CompressedMessage, agreed: &CompressionAgreement| {
        decompress(&encoded(message), agreed, LIMIT).unwrap_err()
    };
    let head = || ChainedPayload::Plain(message(&[]).into());
    let chain = |original_size, payloads| CompressedMessage::Chained { original_size, payloads };
    let bomb = chain(u32::MAX, vec![head(), pattern(u32::MAX - PLAIN_HEAD_BYTES as u32)]);
    assert_eq!(refuse(&bomb, &all), Refused::TooLong);
    assert_eq!(refuse(&chain(1000, vec![head(), pattern(u32::MAX)]), &all), Refused::Malformed);
    assert_eq!(refuse(&chain(1000, vec![head(), pattern(900)]), &all), Refused::Malformed, "short");
    assert_eq!(refuse(&chain(1000, vec![pattern(1000)]), &all), Refused::Malformed, "no SMB2 message");
    assert_eq!(refuse(&chain(0, Vec::new()), &all), Refused::Malformed);
    let unchained = |algorithm, original_size, data: Vec<u8>| CompressedMessage::Unchained {
        plain: message(&[]).into(),
        algorithm,
        original_size,
        data: data.into(),
    };
    let limit = LIMIT as u32 - PLAIN_HEAD_BYTES as u32;
    assert_eq!(refuse(&unchained(wire::LZ4, limit + 1, vec![0; 64]), &all), Refused::TooLong);
    assert_eq!(
        refuse(&unchained(wire::LZ4, limit, vec![0; 64]), &all),
        Refused::Malformed,
        "beyond its ratio"
    );
    assert_eq!(refuse(&unchained(wire::LZ77, limit, hex("ffffffff")), &all), Refused::Malformed);
    assert_eq!(refuse(&unchained(0, 0, Vec::new()), &all), Refused::NotAgreed);
    assert_eq!(refuse(&unchained(wire::PATTERN_V1, 9, vec![0; 8]), &all), Refused::Malformed);
    assert_eq!(refuse(&unchained(9, 9, vec![0; 8]), &all), Refused::NotAgreed);

    let only = agreed(&[Compression::Lz77], false);
    assert_eq!(refuse(&unchained(wire::LZNT1, 9, vec![0; 8]), &only), Refused::NotAgreed);
    assert_eq!(refuse(&chain(80, vec![head()]), &only), Refused::NotAgreed);
    let no_pattern = agreed(&[Compression::Lz77], true);
    assert_eq!(refuse(&chain(1080, vec![head(), pattern(1000)]), &no_pattern), Refused::NotAgreed);
    assert!(decompress(&encoded(&chain(1080, vec![head(), pattern(1000)])), &all, LIMIT).is_ok());
}

/// Messages in messages: what is restored must be a plain one.
#[test]
fn compression_is_not_nested() {
    let all = agreed(&Compression::PREFERENCE, true);
    let inner = compress(&message(&[0; 5000]), &all).unwrap();
    let original_size = inner.len() as u32;
    let outer =
        CompressedMessage::Chained { original_size, payloads: vec![ChainedPayload::Plain(inner.into())] };
    assert_eq!(decompress(&encoded(&outer), &all, LIMIT), Err(Refused::Malformed));
}

#[test]
fn offers_meet() {
    let ours = Compression::PREFERENCE;
    let offer = |flags, offered: &[u16]| CompressionAgreement::from_offer(flags, offered, &ours);
    let lz77 = wire::LZ77;
    assert_eq!(offer(0, &[lz77, wire::PATTERN_V1, 77]), Some(agreed(&[Compression::Lz77], false)));
    let chained = offer(wire::FLAG_CHAINED, &[lz77, wire::PATTERN_V1, wire::LZ4]).unwrap();
    assert_eq!(chained, agreed(&[Compression::PatternV1, Compression::Lz4, Compression::Lz77], true));
    assert_eq!(offer(1, &[0, 77]), None);
    assert_eq!(offer(0, &[wire::PATTERN_V1]), None);
    for algorithm in ours {
        assert_eq!(Compression::from_wire(algorithm.wire()), Some(algorithm));
    }
}

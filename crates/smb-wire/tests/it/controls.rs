//! Inputs and outputs of file system controls, bytes against fields.

use bytes::Bytes;
use smb_wire::{
    FileId, FileTime, HEADER_LEN, WireError,
    error_response::ErrorResponse,
    fscc::reparse::Symlink,
    ioctl::{
        Fsctl,
        control::encode_snapshots,
        copy_chunk::{DuplicateExtents, DuplicateFlags},
        integrity::{ChecksumAlgorithm, IntegrityInformation, SetIntegrity},
        offload::{
            OffloadReadRequest, OffloadReadResponse, OffloadToken, OffloadWriteRequest, TOKEN_ID_LEN,
            TOKEN_LEN, encode_offload_write_response,
        },
        read_hash::{HASH_TYPE_PEER_DIST, HashRetrieval, ReadHashRequest},
        regions::{FileRegion, RegionUsage, RegionsRequest, encode_regions},
        sparse::{FileRange, encode_trim_output},
        volume_info::OnDiskVolumeInformation,
    },
};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn written(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

/// Every code is made of device, access, function and method (MS-FSCC 2.3), so that a wrong digit shows.
#[test]
fn codes_have_names() {
    for (code, name) in [
        (0x0009_8344, "FSCTL_DUPLICATE_EXTENTS_TO_FILE"),
        (0x0009_83E8, "FSCTL_DUPLICATE_EXTENTS_TO_FILE_EX"),
        (0x0009_0284, "FSCTL_QUERY_FILE_REGIONS"),
        (0x0009_0304, "FSCTL_SVHDX_SYNC_TUNNEL_REQUEST"),
        (0x0009_0364, "FSCTL_SVHDX_ASYNC_TUNNEL_REQUEST"),
        (0x0009_0300, "FSCTL_QUERY_SHARED_VIRTUAL_DISK_SUPPORT"),
        (0x0009_0350, "FSCTL_STORAGE_QOS_CONTROL"),
        (0x0014_41BB, "FSCTL_SRV_READ_HASH"),
        (0x0014_01D4, "FSCTL_LMR_REQUEST_RESILIENCY"),
    ] {
        assert_eq!(Fsctl(code).name(), Some(name));
    }
}

#[test]
fn duplicate_extents() {
    let extents = DuplicateExtents {
        source: FileId { persistent: 1, volatile: 2 },
        source_offset: 0x1000,
        target_offset: 0x2000,
        byte_count: 0x3000,
    };
    let plain = "0100000000000000 0200000000000000 0010000000000000 0020000000000000 0030000000000000";
    assert_eq!(written(|out| extents.encode(out)), hex(plain));
    assert_eq!(DuplicateExtents::decode(&hex(plain)), Ok(extents));
    let extended = hex(&format!("3000000000000000 {plain} 01000000 00000000"));
    let flags = DuplicateFlags::SOURCE_ATOMIC;
    assert_eq!(written(|out| extents.encode_extended(flags, out)), extended);
    assert_eq!(DuplicateExtents::decode_extended(&extended), Ok((extents, flags)));
    let wrong = hex(&format!("2800000000000000 {plain} 01000000 00000000"));
    assert!(DuplicateExtents::decode_extended(&wrong).is_err());
    assert!(DuplicateExtents::decode_extended(&extended[..55]).is_err());
}

#[test]
fn offload() {
    let read = OffloadReadRequest { time_to_live_ms: 0x1234, offset: 0x1_0000, length: 0x2_0000 };
    let bytes = hex("20000000 00000000 34120000 00000000 0000010000000000 0000020000000000");
    assert_eq!(written(|out| read.encode(out)), bytes);
    assert_eq!(OffloadReadRequest::decode(&bytes), Ok(read));
    assert!(OffloadReadRequest::decode(&[&[0x1F], &bytes[1..]].concat()).is_err(), "its own size");

    let token = OffloadToken::Id { token_type: 0x0102_0304, id: vec![7; 16] };
    let token_bytes = written(|out| token.encode(out));
    assert_eq!(token_bytes.len(), TOKEN_LEN);
    assert_eq!(token_bytes[..10], hex("01020304 0000 0010 0707"), "high byte first");
    assert_eq!(written(|out| OffloadToken::ZeroData.encode(out))[..10], hex("FFFF0001 0000 01F8 0000"));
    let mut long = token_bytes.clone();
    long[6..8].copy_from_slice(&(TOKEN_ID_LEN as u16 + 1).to_be_bytes());
    assert!(OffloadToken::decode(&long).is_err());

    let answer = OffloadReadResponse { flags: 1, transfer_length: 0x2_0000, token: token.clone() };
    let bytes = written(|out| answer.encode(out));
    assert_eq!(bytes[..16], hex("10020000 01000000 0000020000000000"));
    assert_eq!(OffloadReadResponse::decode(&bytes), Ok(answer));
    for token in [token, OffloadToken::ZeroData] {
        let write = OffloadWriteRequest { offset: 1, length: 2, transfer_offset: 3, token };
        let bytes = written(|out| write.encode(out));
        assert_eq!(bytes[..32], hex("20020000 00000000 0100000000000000 0200000000000000 0300000000000000"));
        assert_eq!(OffloadWriteRequest::decode(&bytes), Ok(write));
        assert!(OffloadWriteRequest::decode(&bytes[..bytes.len() - 1]).is_err());
    }
    let done = written(|out| encode_offload_write_response(2, out));
    assert_eq!(done, hex("10000000 00000000 0200000000000000"));
}

#[test]
fn file_regions() {
    let whole = RegionsRequest::decode(&[]).unwrap();
    assert_eq!(whole.range, FileRange { offset: 0, length: i64::MAX as u64 });
    assert_eq!(whole.usage, RegionUsage::VALID_CACHED_DATA);
    let input = hex("0100000000000000 0200000000000000 02000000 00000000");
    let request = RegionsRequest::decode(&input).unwrap();
    assert_eq!(request.range, FileRange { offset: 1, length: 2 });
    assert_eq!(request.usage, RegionUsage::VALID_NONCACHED_DATA);
    assert!(RegionsRequest::decode(&input[..23]).is_err());

    let range = FileRange { offset: 1, length: 2 };
    let regions = [FileRegion { range, usage: RegionUsage::VALID_CACHED_DATA }; 2];
    let one = "0100000000000000 0200000000000000 01000000 00000000";
    let both = hex(&format!("00000000 02000000 02000000 00000000 {one} {one}"));
    assert_eq!(written(|out| assert!(encode_regions(&regions, 64, out))), both);
    let cut = hex(&format!("00000000 02000000 01000000 00000000 {one}"));
    assert_eq!(written(|out| assert!(!encode_regions(&regions, 63, out))), cut);
    assert!(written(|out| assert!(!encode_regions(&regions, 15, out))).is_empty());
}

#[test]
fn integrity_hashes_and_trim() {
    let answer = IntegrityInformation {
        algorithm: ChecksumAlgorithm::CRC64,
        flags: 1,
        checksum_chunk_bytes: 0x4000,
        cluster_bytes: 0x1000,
    };
    assert_eq!(written(|out| answer.encode(out)), hex("0200 0000 01000000 00400000 00100000"));
    let set = SetIntegrity { algorithm: ChecksumAlgorithm::UNCHANGED, flags: 1 };
    assert_eq!(SetIntegrity::decode(&hex("FFFF 0000 01000000")), Ok(set));
    assert!(SetIntegrity::decode(&hex("FFFF 0000 010000")).is_err());

    let request = ReadHashRequest {
        hash_type: HASH_TYPE_PEER_DIST,
        hash_version: 2,
        retrieval: HashRetrieval::FILE_BASED,
        length: 3,
        offset: 4,
    };
    let bytes = hex("01000000 02000000 02000000 03000000 0400000000000000");
    assert_eq!(ReadHashRequest::decode(&bytes), Ok(request));
    assert!(ReadHashRequest::decode(&bytes[..23]).is_err());
    assert_eq!(written(|out| encode_trim_output(3, out)), hex("03000000"));
}

#[test]
fn snapshot_lists() {
    let names = ["@GMT-2026.11.21-07.05.09".to_owned(), "@GMT-2026.11.20-07.05.09".to_owned()];
    let all = written(|out| encode_snapshots(&names, 4096, out));
    assert_eq!(all[..12], hex("02000000 02000000 66000000"));
    assert_eq!(all.len(), 12 + 0x66);
    assert_eq!(all[12..22], hex("4000 4700 4D00 5400 2D00"));
    assert!(all.ends_with(&[0, 0, 0, 0]));
    let room_for_count = written(|out| encode_snapshots(&names, 16, out));
    assert_eq!(room_for_count, hex("02000000 00000000 66000000 00000000"));
    assert_eq!(written(|out| encode_snapshots(&[], 16, out)), hex("00000000 00000000 00000000 00000000"));
}

#[test]
fn on_disk_volume() {
    let information = OnDiskVolumeInformation {
        directory_count: u64::MAX,
        file_count: 5,
        format_version: (2, 1),
        format_name: "UDF".into(),
        format_time: FileTime(6),
        last_update_time: FileTime(7),
        copyright: "c".repeat(50),
        ..Default::default()
    };
    let bytes = written(|out| information.encode(out));
    assert_eq!(bytes.len(), OnDiskVolumeInformation::LEN);
    assert_eq!(bytes[..26], hex("FFFFFFFFFFFFFFFF 0500000000000000 0200 0100 5500 4400 4600"));
    assert_eq!(bytes[44..60], hex("0600000000000000 0700000000000000"));
    assert_eq!(bytes[60..128], "c\0".repeat(34).into_bytes());
    assert_eq!(bytes[128..130], [0, 0], "cut at the end of its field");
}

/// MS-SMB2 2.2.2.2.1 in both forms: alone before 3.1.1, in a context from there on.
#[test]
fn stopped_on_a_symbolic_link() {
    let link = Symlink { substitute_name: "b\\c".into(), print_name: "b/c".into(), relative: true };
    for in_context in [false, true] {
        let error = ErrorResponse::stopped_on_symlink(&link, 12, in_context);
        let mut message = vec![0; HEADER_LEN];
        error.encode(&mut message);
        let back = ErrorResponse::decode(&message.into()).unwrap();
        assert_eq!(back, error);
        assert_eq!(back.contexts.len(), usize::from(in_context));
        let data = back.contexts.first().map_or(&back.data, |context| &context.data);
        assert_eq!(Symlink::decode_error(data), Ok((link.clone(), 12)));
    }
    let not_one = Bytes::from_static(&[0; 40]);
    assert!(matches!(Symlink::decode_error(&not_one), Err(WireError::BadValue { .. })));
}

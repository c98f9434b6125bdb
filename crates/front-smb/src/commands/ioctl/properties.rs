//! What a file has besides its content: an object id, compression, checksums.

use super::Output;
use crate::commands::file_info;
use crate::request::Request;
use crate::status::failed;
use smb_wire::ioctl::IoctlRequest;
use smb_wire::ioctl::control::ObjectIdBuffer;
use smb_wire::ioctl::integrity::{ChecksumAlgorithm, IntegrityInformation, SetIntegrity};
use smb_wire::{AccessMask, NtStatus};
use volume::{DosAttributes, SetAttr};

const OBJECT_ID_BYTES: u32 = 64;
/// The formats that clients know (MS-FSCC 2.3.18, 2.3.67). How the origin compresses is its own affair: it is told as
/// the one format that Windows has.
const COMPRESSION_NONE: [u8; 2] = [0, 0];
const COMPRESSION_DEFAULT: [u8; 2] = [1, 0];
const COMPRESSION_LZNT1: [u8; 2] = [2, 0];

pub(super) fn object_id(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    let id = open.file()?.vfs.file_id();
    if decoded.max_output_response < OBJECT_ID_BYTES {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let object_id = file_info::object_id(id);
    let value = ObjectIdBuffer {
        object_id,
        birth_volume_id: file_info::volume_object_id(id),
        birth_object_id: object_id,
        ..ObjectIdBuffer::default()
    };
    let mut output = Vec::new();
    value.encode(&mut output);
    Output::of(output)
}

/// Whether a file is kept compressed, or what is made in a directory (MS-FSCC 2.3.17).
pub(super) async fn compression(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    if (decoded.max_output_response as usize) < COMPRESSION_NONE.len() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let attr = file.vfs.attr(&request.cx()).await.map_err(failed)?;
    let compressed = attr.dos.contains(DosAttributes::COMPRESSED);
    Output::of(if compressed { COMPRESSION_LZNT1 } else { COMPRESSION_NONE }.to_vec())
}

/// Has a file compressed from now on, or not (MS-FSCC 2.3.67). Where no file is, "none" is what there is.
pub(super) async fn set_compression(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    let format = decoded.input.first_chunk::<2>().ok_or(NtStatus::INVALID_PARAMETER)?;
    open.needs_any(AccessMask::WRITE_DATA)?;
    let compressed = match *format {
        COMPRESSION_NONE => false,
        COMPRESSION_DEFAULT | COMPRESSION_LZNT1 => true,
        _ => return Err(NtStatus::INVALID_PARAMETER),
    };
    let able = request.tree()?.share().is_some_and(|share| share.vfs.caps().compression);
    if !able {
        return if compressed { Err(NtStatus::NOT_SUPPORTED) } else { Output::empty() };
    }
    let set = SetAttr { compressed: Some(compressed), ..SetAttr::default() };
    file.vfs.set_attr(&request.cx(), &set).await.map_err(failed)?;
    Output::empty()
}

/// Who shares blocks between files asks first whether both keep checksums alike. No file has any; without shared
/// blocks nobody needs to know.
pub(super) async fn integrity(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    open.file()?;
    let share = request.disk()?;
    if !share.vfs.caps().clones {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    if (decoded.max_output_response as usize) < IntegrityInformation::LEN {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let unit = share.vfs.space(&request.cx()).await.map_err(failed)?.unit;
    let value = IntegrityInformation {
        algorithm: ChecksumAlgorithm::NONE,
        flags: 0,
        checksum_chunk_bytes: 0,
        cluster_bytes: unit,
    };
    let mut output = Vec::new();
    value.encode(&mut output);
    Output::of(output)
}

/// "As before" and "none" are what there is.
pub(super) fn set_integrity(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    open.file()?;
    let share = request.disk()?;
    if !share.vfs.caps().clones {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let asked = SetIntegrity::decode(&decoded.input).map_err(|error| error.status())?;
    open.needs_any(AccessMask::WRITE_DATA | AccessMask::WRITE_ATTRIBUTES)?;
    match asked.algorithm {
        ChecksumAlgorithm::NONE | ChecksumAlgorithm::UNCHANGED => Output::empty(),
        ChecksumAlgorithm::CRC32 | ChecksumAlgorithm::CRC64 => Err(NtStatus::NOT_SUPPORTED),
        _ => Err(NtStatus::INVALID_PARAMETER),
    }
}

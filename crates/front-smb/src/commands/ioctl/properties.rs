//! What a file has besides its content: an object id, compression, checksums.

use super::Output;
use crate::commands::file_info;
use crate::request::Request;
use crate::session::Target;
use crate::status::failed;
use smb_wire::ioctl::IoctlRequest;
use smb_wire::ioctl::control::ObjectIdBuffer;
use smb_wire::ioctl::integrity::{ChecksumAlgorithm, IntegrityInformation, SetIntegrity};
use smb_wire::{AccessMask, NtStatus};

const OBJECT_ID_BYTES: u32 = 64;
const COMPRESSION_NONE: [u8; 2] = [0, 0];
/// The formats that there are besides (MS-FSCC 2.3.65).
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

/// Nothing is stored compressed (MS-FSCC 2.3.17).
pub(super) fn compression(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    request.open(decoded.file_id)?.file()?;
    if (decoded.max_output_response as usize) < COMPRESSION_NONE.len() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    Output::of(COMPRESSION_NONE.to_vec())
}

/// Only to "none", which it is (MS-FSCC 2.3.65).
pub(super) fn set_compression(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    open.file()?;
    let format = decoded.input.first_chunk::<2>().ok_or(NtStatus::INVALID_PARAMETER)?;
    open.needs_any(AccessMask::WRITE_DATA)?;
    match *format {
        COMPRESSION_NONE => Output::empty(),
        COMPRESSION_DEFAULT | COMPRESSION_LZNT1 => Err(NtStatus::NOT_SUPPORTED),
        _ => Err(NtStatus::INVALID_PARAMETER),
    }
}

/// Who shares blocks between files asks first whether both keep checksums alike. No file has any; without shared
/// blocks nobody needs to know.
pub(super) async fn integrity(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    open.file()?;
    let Target::Disk(share) = &request.tree()?.target else { return Err(NtStatus::INVALID_DEVICE_REQUEST) };
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
    let Target::Disk(share) = &request.tree()?.target else { return Err(NtStatus::INVALID_DEVICE_REQUEST) };
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

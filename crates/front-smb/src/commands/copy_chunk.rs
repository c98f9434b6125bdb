//! Server-side copy (MS-SMB2 3.3.5.15.6): the client names ranges, the bytes never reach it.

use super::io;
use crate::open::{FileOpen, Open};
use crate::request::Request;
use crate::status::failed;
use smb_wire::ioctl::copy_chunk::{
    CopyChunk, CopyChunkRequest, CopyChunkResponse, ResumeKey, encode_resume_key,
};
use smb_wire::ioctl::{Fsctl, IoctlRequest};
use smb_wire::{AccessMask, FileId, NtStatus};
use volume::Cx;

/// Ranges of one request (Windows: 256).
const CHUNKS_MAX: usize = 256;
/// Bytes of one range (Windows: 1 MiB).
const CHUNK_MAX_BYTES: u32 = 1024 * 1024;
/// Bytes of one request (Windows: 16 MiB).
const TOTAL_MAX_BYTES: u64 = 16 * 1024 * 1024;
const RESPONSE_BYTES: u32 = 12;

/// The key that names an open as the source of a copy: its id.
pub(super) fn resume_key(request: &Request, id: FileId, room: u32) -> Result<Vec<u8>, NtStatus> {
    let open = request.open(id)?;
    open.file()?;
    let mut key: ResumeKey = [0; 24];
    key[..8].copy_from_slice(&open.id.persistent.to_le_bytes());
    key[8..16].copy_from_slice(&open.id.volatile.to_le_bytes());
    let mut output = Vec::new();
    encode_resume_key(&key, &mut output);
    if room < output.len() as u32 { Err(NtStatus::INVALID_PARAMETER) } else { Ok(output) }
}

fn id_of(key: &ResumeKey) -> FileId {
    let word =
        |at: usize| u64::from_le_bytes(key[at..at + 8].try_into().expect("eight bytes of a longer array"));
    FileId { persistent: word(0), volatile: word(8) }
}

pub(super) async fn copy(request: &Request, decoded: &IoctlRequest) -> Result<(NtStatus, Vec<u8>), NtStatus> {
    if decoded.max_output_response < RESPONSE_BYTES {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let asked = CopyChunkRequest::decode(&decoded.input).map_err(|_| NtStatus::INVALID_PARAMETER)?;
    let target = request.open(decoded.file_id)?;
    let source = request.session()?.open(id_of(&asked.source_key)).ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
    let total: u64 = asked.chunks.iter().map(|chunk| u64::from(chunk.length)).sum();
    let fits = asked.chunks.len() <= CHUNKS_MAX
        && total <= TOTAL_MAX_BYTES
        && asked.chunks.iter().all(|chunk| (1..=CHUNK_MAX_BYTES).contains(&chunk.length));
    if !fits {
        // The client is told what it may ask for.
        let limits = CopyChunkResponse {
            chunks_written: CHUNKS_MAX as u32,
            chunk_bytes_written: CHUNK_MAX_BYTES,
            total_bytes_written: TOTAL_MAX_BYTES as u32,
        };
        return Ok((NtStatus::INVALID_PARAMETER, encoded(&limits)));
    }
    check_rights(decoded, &source, &target)?;
    let (status, done) = copy_all(&request.cx(), source.file()?, &target, &asked.chunks).await;
    // What was done is told with a failure too.
    Ok((status, encoded(&done)))
}

fn encoded(response: &CopyChunkResponse) -> Vec<u8> {
    let mut output = Vec::new();
    response.encode(&mut output);
    output
}

fn check_rights(decoded: &IoctlRequest, source: &Open, target: &Open) -> Result<(), NtStatus> {
    source.needs_any(AccessMask::READ_DATA | AccessMask::EXECUTE)?;
    target.needs_any(AccessMask::WRITE_DATA | AccessMask::APPEND_DATA)?;
    // Only the _WRITE form may do without the right to read the target.
    if decoded.ctl_code == Fsctl::SRV_COPYCHUNK {
        target.needs_any(AccessMask::READ_DATA)?;
    }
    if source.file()?.vfs.is_dir() || target.file()?.vfs.is_dir() {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    Ok(())
}

async fn copy_all(
    cx: &Cx,
    source: &FileOpen,
    target: &Open,
    chunks: &[CopyChunk],
) -> (NtStatus, CopyChunkResponse) {
    let mut done = CopyChunkResponse { chunks_written: 0, chunk_bytes_written: 0, total_bytes_written: 0 };
    for chunk in chunks {
        if let Err(status) = copy_one(cx, source, target, chunk).await {
            return (status, done);
        }
        done.chunks_written += 1;
        done.total_bytes_written += chunk.length;
    }
    (NtStatus::SUCCESS, done)
}

async fn copy_one(cx: &Cx, source: &FileOpen, target: &Open, chunk: &CopyChunk) -> Result<(), NtStatus> {
    io::check_range(chunk.source_offset, u64::from(chunk.length))?;
    io::check_range(chunk.target_offset, u64::from(chunk.length))?;
    let data = source.vfs.read(cx, chunk.source_offset, chunk.length).await.map_err(failed)?;
    if data.len() < chunk.length as usize {
        return Err(NtStatus::INVALID_VIEW_SIZE);
    }
    if !target.granted.contains(AccessMask::WRITE_DATA) {
        // As with WRITE: who may only append overwrites nothing.
        return target.file()?.vfs.append(cx, data).await.map(drop).map_err(failed);
    }
    target.file()?.vfs.write(cx, chunk.target_offset, data).await.map_err(failed)
}

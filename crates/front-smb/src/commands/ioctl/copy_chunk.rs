//! Server-side copy (MS-SMB2 3.3.5.15.6): the client names ranges, the bytes never reach it, nor, where the origin
//! copies by itself, this server.
//!
//! Ranges that follow each other in both files are copied at once: a client cuts its file into pieces of a megabyte,
//! and each would be a round trip. When that fails they are copied one by one, so that the client hears how
//! far it went.

use super::{Output, copy_file};
use crate::commands::io;
use crate::open::{FileOpen, Open};
use crate::request::Request;
use crate::status::failed;
use smb_wire::create::apple::AppleServerCapabilities;
use smb_wire::ioctl::copy_chunk::{
    CopyChunk, CopyChunkRequest, CopyChunkResponse, ResumeKey, encode_resume_key,
};
use smb_wire::ioctl::{Fsctl, IoctlRequest};
use smb_wire::{AccessMask, FileId, NtStatus};
use volume::{Copying, Cx};

/// Ranges of one request (Windows: 256).
const CHUNKS_MAX: usize = 256;
/// Bytes of one range (Windows: 1 MiB).
const CHUNK_MAX_BYTES: u32 = 1024 * 1024;
/// Bytes of one request (Windows: 16 MiB).
const TOTAL_MAX_BYTES: u64 = 16 * 1024 * 1024;
const RESPONSE_BYTES: u32 = 12;

/// The key that names an open as the source of a copy: its id.
pub(super) fn resume_key(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    open.file()?;
    let mut key: ResumeKey = [0; 24];
    key[..8].copy_from_slice(&open.id.persistent.to_le_bytes());
    key[8..16].copy_from_slice(&open.id.volatile.to_le_bytes());
    let mut output = Vec::new();
    encode_resume_key(&key, &mut output);
    if (decoded.max_output_response as usize) < output.len() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    Output::of(output)
}

fn id_of(key: &ResumeKey) -> FileId {
    let word =
        |at: usize| u64::from_le_bytes(key[at..at + 8].try_into().expect("eight bytes of a longer array"));
    FileId { persistent: word(0), volatile: word(8) }
}

pub(super) async fn copy(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    if decoded.max_output_response < RESPONSE_BYTES {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let asked = CopyChunkRequest::decode(&decoded.input).map_err(|_| NtStatus::INVALID_PARAMETER)?;
    let target = request.open(decoded.file_id)?;
    let source = request.session()?.open(id_of(&asked.source_key)).ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
    if asked.chunks.is_empty() && request.session()?.apple().contains(AppleServerCapabilities::OSX_COPYFILE) {
        check_rights(decoded, &source, &target)?;
        let (status, copied) = copy_file::copy(request, &source, &target).await?;
        let total_bytes_written = u32::try_from(copied).unwrap_or(u32::MAX);
        let done = CopyChunkResponse { chunks_written: 0, chunk_bytes_written: 0, total_bytes_written };
        return Ok(Output { status, bytes: encoded(&done) });
    }
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
        return Ok(Output { status: NtStatus::INVALID_PARAMETER, bytes: encoded(&limits) });
    }
    check_rights(decoded, &source, &target)?;
    let (status, done) = copy_all(&request.cx(), source.file()?, &target, &asked.chunks).await;
    // What was done is told with a failure too.
    Ok(Output { status, bytes: encoded(&done) })
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
    for run in chunks.chunk_by(|one, next| may_join(source, target, one, next)) {
        if run.len() > 1
            && !target.tenure.is_over()
            && copy_range(cx, source, target, &joined(run)).await.is_ok()
        {
            note(&mut done, run);
            continue;
        }
        for chunk in run {
            if target.tenure.is_over() {
                return (NtStatus::FILE_CLOSED, done);
            }
            if let Err(status) = copy_range(cx, source, target, &Stretch::of(chunk)).await {
                return (status, done);
            }
            note(&mut done, std::slice::from_ref(chunk));
        }
    }
    (NtStatus::SUCCESS, done)
}

fn note(done: &mut CopyChunkResponse, copied: &[CopyChunk]) {
    done.chunks_written += copied.len() as u32;
    done.total_bytes_written += copied.iter().map(|chunk| chunk.length).sum::<u32>();
}

/// A range to copy, perhaps longer than a chunk can be.
struct Stretch {
    source_offset: u64,
    target_offset: u64,
    length: u64,
}

impl Stretch {
    fn of(chunk: &CopyChunk) -> Stretch {
        let CopyChunk { source_offset, target_offset, length } = *chunk;
        Stretch { source_offset, target_offset, length: u64::from(length) }
    }
}

/// Whether two chunks follow each other in both files. Within one file each has to see what the one before it wrote,
/// and who only appends does so chunk by chunk.
fn may_join(source: &FileOpen, target: &Open, one: &CopyChunk, next: &CopyChunk) -> bool {
    let length = u64::from(one.length);
    one.source_offset.checked_add(length) == Some(next.source_offset)
        && one.target_offset.checked_add(length) == Some(next.target_offset)
        && target.granted.contains(AccessMask::WRITE_DATA)
        && target.file().is_ok_and(|target| target.vfs.file_id() != source.vfs.file_id())
}

fn joined(run: &[CopyChunk]) -> Stretch {
    Stretch { length: run.iter().map(|chunk| u64::from(chunk.length)).sum(), ..Stretch::of(&run[0]) }
}

async fn copy_range(cx: &Cx, source: &FileOpen, target: &Open, range: &Stretch) -> Result<(), NtStatus> {
    let Stretch { source_offset, target_offset, length } = *range;
    io::check_range(source_offset, length)?;
    io::check_range(target_offset, length)?;
    let to = &target.file()?.vfs;
    if !target.granted.contains(AccessMask::WRITE_DATA) {
        // As with WRITE: who may only append overwrites nothing.
        let data = source.vfs.read(cx, source_offset, length as u32).await.map_err(failed)?;
        return match data.len() as u64 {
            read if read == length => to.append(cx, data).await.map(drop).map_err(failed),
            _ => Err(NtStatus::INVALID_VIEW_SIZE),
        };
    }
    // A range that the source has not is not copied in part.
    let size = source.vfs.attr(cx).await.map_err(failed)?.size;
    if source_offset + length > size {
        return Err(NtStatus::INVALID_VIEW_SIZE);
    }
    let copied = to.copy_from(cx, &source.vfs, target_offset, source_offset, length, Copying::Any);
    match copied.await.map_err(failed)? {
        copied if copied == length => Ok(()),
        _ => Err(NtStatus::INVALID_VIEW_SIZE),
    }
}

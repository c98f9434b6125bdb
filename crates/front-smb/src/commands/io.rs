//! READ, WRITE and FLUSH (MS-SMB2 3.3.5.12, 3.3.5.13, 3.3.5.11).

use crate::limits;
use crate::open::Kind;
use crate::reply::Answer;
use crate::request::Request;
use crate::status::failed;
use bytes::Bytes;
use smb_wire::create::CreateOptions;
use smb_wire::flush::{FlushRequest, FlushResponse};
use smb_wire::read::{READ_REQUEST_COMPRESSED, ReadRequest, ReadResponse};
use smb_wire::write::{WriteFlags, WriteRequest, WriteResponse};
use smb_wire::{AccessMask, NtStatus};
use std::sync::atomic::Ordering;
use volume::{Pages, SyncKind};

/// Last byte that a file can have.
const OFFSET_MAX: u64 = i64::MAX as u64;

pub(super) async fn read(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = ReadRequest::decode(&request.message).map_err(|error| error.status())?;
    if decoded.length > request.payload_max() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    request.check_charge(decoded.length)?;
    let open = request.open(decoded.file_id)?;
    let compress = decoded.flags & READ_REQUEST_COMPRESSED != 0 && request.connection.compression().is_some();
    let as_pages = decoded.length >= limits::PAGES_MIN_BYTES && request.takes_pages() && !compress;
    let room;
    let mut answer = match &open.kind {
        Kind::Pipe(pipe) => {
            request.read_pipe();
            let (data, more) = pipe.read(decoded.length as usize).await?;
            let status = if more { NtStatus::BUFFER_OVERFLOW } else { NtStatus::SUCCESS };
            return Ok(Answer { status, ..data_answer(data) });
        }
        Kind::Quota(_) => return Err(NtStatus::INVALID_DEVICE_REQUEST),
        Kind::File(file) => {
            open.needs_any(AccessMask::READ_DATA | AccessMask::EXECUTE)?;
            if file.vfs.is_dir() {
                return Err(NtStatus::INVALID_DEVICE_REQUEST);
            }
            check_range(decoded.offset, u64::from(decoded.length))?;
            room = request.read_room(decoded.length).await?;
            let (cx, offset, length) = (request.cx(), decoded.offset, decoded.length);
            let pages = match as_pages {
                true => file.vfs.pages(&cx, offset, length).await.map_err(failed)?,
                false => None,
            };
            match pages {
                Some(pages) => pages_answer(pages),
                None => data_answer(file.vfs.read(&cx, offset, length).await.map_err(failed)?),
            }
        }
    };
    let length = answer.payload_len() as u64;
    if length < u64::from(decoded.minimum_count) || (length == 0 && decoded.length > 0) {
        return Err(NtStatus::END_OF_FILE);
    }
    if let Kind::File(file) = &open.kind {
        file.position.store(decoded.offset + length, Ordering::Relaxed);
    }
    request.connection.server.counters.read_bytes.fetch_add(length, Ordering::Relaxed);
    match request.connection.read_padding.load(Ordering::Relaxed) {
        0 => {}
        padding => pad(&mut answer.body, padding),
    }
    Ok(room.with(Answer { compress, ..answer }))
}

fn data_answer(data: Bytes) -> Answer {
    let head = ReadResponse::head(data.len() as u32).to_vec();
    Answer { body: head, payload: data, ..Answer::default() }
}

fn pages_answer(pages: Pages) -> Answer {
    let head = ReadResponse::head(pages.len() as u32).to_vec();
    Answer { body: head, pages: Some(pages), ..Answer::default() }
}

/// Moves the data further back, for tests (MS-SMB2 2.2.20, DataOffset).
fn pad(head: &mut Vec<u8>, padding: u8) {
    const DATA_OFFSET_AT: usize = 2;
    head[DATA_OFFSET_AT] += padding;
    head.resize(head.len() + usize::from(padding), 0);
}

/// No byte of a file lies at or beyond 2^63.
pub(super) fn check_range(offset: u64, length: u64) -> Result<(), NtStatus> {
    match offset.checked_add(length) {
        Some(end) if end <= OFFSET_MAX => Ok(()),
        _ => Err(NtStatus::INVALID_PARAMETER),
    }
}

pub(super) async fn write(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = WriteRequest::decode(&request.message).map_err(|error| error.status())?;
    let length = decoded.data.len();
    if length > request.payload_max() as usize {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    request.check_charge(length as u32)?;
    let open = request.open(decoded.file_id)?;
    match &open.kind {
        Kind::Pipe(pipe) => pipe.write(&decoded.data, &request.connection.server, request.session()?)?,
        Kind::Quota(_) => return Err(NtStatus::INVALID_DEVICE_REQUEST),
        Kind::File(file) => {
            open.needs_any(AccessMask::WRITE_DATA | AccessMask::APPEND_DATA)?;
            if file.vfs.is_dir() {
                return Err(NtStatus::INVALID_DEVICE_REQUEST);
            }
            let cx = request.cx();
            check_range(decoded.offset, length as u64)?;
            if !open.granted.contains(AccessMask::WRITE_DATA) {
                // Only appending was granted: it goes to the end wherever it says (MS-FSA 2.1.5.4).
                file.vfs.append(&cx, decoded.data).await.map_err(failed)?;
            } else if length > 0 {
                file.vfs.write(&cx, decoded.offset, decoded.data).await.map_err(failed)?;
            }
            let through = decoded.flags.contains(WriteFlags::WRITE_THROUGH)
                || file.mode().contains(CreateOptions::WRITE_THROUGH);
            if through && length > 0 {
                file.vfs.sync(&cx, SyncKind::Data).await.map_err(failed)?;
            }
            request.connection.server.counters.written_bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
    }
    Ok(Answer::ok(|body| WriteResponse { count: length as u32 }.encode(body)))
}

pub(super) async fn flush(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = FlushRequest::decode(&request.message).map_err(|error| error.status())?;
    let open = request.open(decoded.file_id)?;
    if let Kind::File(file) = &open.kind {
        open.needs_any(AccessMask::WRITE_DATA | AccessMask::APPEND_DATA)?;
        file.vfs.sync(&request.cx(), SyncKind::Full).await.map_err(failed)?;
    }
    Ok(Answer::ok(|body| FlushResponse.encode(body)))
}

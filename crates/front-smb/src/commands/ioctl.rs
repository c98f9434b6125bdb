//! IOCTL: the FSCTLs that clients need (MS-SMB2 3.3.5.15, MS-FSCC 2.3). What is not served is answered
//! INVALID_DEVICE_REQUEST, which clients take as "not here" and go on.

use crate::commands::io::check_range;
use crate::commands::{copy_chunk, file_info};
use crate::connection::Disconnect;
use crate::interfaces;
use crate::open::{FileOpen, Kind};
use crate::reply::Answer;
use crate::request::Request;
use crate::status::failed;
use bytes::Bytes;
use smb_wire::ioctl::control::{ObjectIdBuffer, encode_snapshots};
use smb_wire::ioctl::negotiate_info::{ValidateNegotiateRequest, ValidateNegotiateResponse};
use smb_wire::ioctl::sparse::{
    FileRange, decode_allocated_ranges_query, decode_set_sparse, decode_zero_data, encode_allocated_ranges,
};
use smb_wire::ioctl::{Fsctl, IOCTL_IS_FSCTL, IoctlRequest, IoctlResponse};
use smb_wire::{AccessMask, FileId, NtStatus};
use volume::{Cx, DosAttributes, SetAttr};

/// Zeros written at a time, bytes.
const ZEROS: &[u8] = &[0; 256 * 1024];

/// An `Err` outside drops the connection.
pub(super) async fn ioctl(request: &Request) -> Result<Result<Answer, NtStatus>, Disconnect> {
    let decoded = match IoctlRequest::decode(&request.message) {
        Ok(decoded) => decoded,
        Err(error) => return Ok(Err(error.status())),
    };
    if decoded.ctl_code == Fsctl::VALIDATE_NEGOTIATE_INFO {
        return validate_negotiate(request, &decoded).map(Ok);
    }
    Ok(run(request, &decoded).await)
}

/// A client of 3.0 asks whether its NEGOTIATE arrived as it was sent; if not, someone edits what passes, and
/// the connection ends (MS-SMB2 3.3.5.15.12).
fn validate_negotiate(request: &Request, decoded: &IoctlRequest) -> Result<Answer, Disconnect> {
    let agreement = request.connection.negotiated.get().ok_or("an IOCTL before NEGOTIATE")?;
    let asked = ValidateNegotiateRequest::decode(&decoded.input)?;
    let policy = request.connection.policy();
    let unaltered = agreement.is_unaltered(
        policy,
        asked.capabilities,
        &asked.client_guid,
        asked.security_mode,
        &asked.dialects,
    );
    if !unaltered {
        return Err(Disconnect("the negotiation was edited on its way".to_owned()));
    }
    let response = ValidateNegotiateResponse {
        capabilities: agreement.capabilities,
        server_guid: request.connection.server.config.server_guid,
        security_mode: agreement.security_mode,
        dialect: agreement.dialect,
    };
    let mut output = Vec::new();
    response.encode(&mut output);
    Ok(answer(decoded, NtStatus::SUCCESS, output.into()))
}

fn answer(decoded: &IoctlRequest, status: NtStatus, output: Bytes) -> Answer {
    let response = IoctlResponse { ctl_code: decoded.ctl_code, file_id: decoded.file_id, output };
    Answer::with(status, |body| response.encode(body))
}

async fn run(request: &Request, decoded: &IoctlRequest) -> Result<Answer, NtStatus> {
    if decoded.flags & IOCTL_IS_FSCTL == 0 {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let room = decoded.max_output_response;
    if room > request.payload_max() || decoded.input.len() > request.payload_max() as usize {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    request.check_charge(room.max(decoded.max_input_response).max(decoded.input.len() as u32))?;
    let done = |output: Vec<u8>| Ok(answer(decoded, NtStatus::SUCCESS, output.into()));
    match decoded.ctl_code {
        Fsctl::DFS_GET_REFERRALS | Fsctl::DFS_GET_REFERRALS_EX => Err(NtStatus::FS_DRIVER_REQUIRED),
        // It is about the server, not a file (MS-SMB2 3.3.5.15).
        Fsctl::QUERY_NETWORK_INTERFACE_INFO if decoded.file_id != FileId::RELATED => {
            Err(NtStatus::INVALID_PARAMETER)
        }
        Fsctl::QUERY_NETWORK_INTERFACE_INFO => done(interfaces::answer(request, room as usize).await?),
        // The pipes that are served are always there.
        Fsctl::PIPE_WAIT => done(Vec::new()),
        Fsctl::PIPE_TRANSCEIVE => transceive(request, decoded),
        Fsctl::SRV_REQUEST_RESUME_KEY => done(copy_chunk::resume_key(request, decoded.file_id, room)?),
        Fsctl::SRV_COPYCHUNK | Fsctl::SRV_COPYCHUNK_WRITE => {
            let (status, output) = copy_chunk::copy(request, decoded).await?;
            Ok(answer(decoded, status, output.into()))
        }
        Fsctl::SRV_ENUMERATE_SNAPSHOTS => {
            request.open(decoded.file_id)?.file()?;
            let mut output = Vec::new();
            encode_snapshots(&[], room as usize, &mut output);
            done(output)
        }
        Fsctl::CREATE_OR_GET_OBJECT_ID | Fsctl::GET_OBJECT_ID => done(object_id(request, decoded)?),
        Fsctl::GET_REPARSE_POINT => {
            request.open(decoded.file_id)?.file()?;
            Err(NtStatus::NOT_A_REPARSE_POINT)
        }
        Fsctl::GET_COMPRESSION => done(no_compression(request, decoded)?),
        Fsctl::SET_COMPRESSION => {
            set_compression(request, decoded)?;
            done(Vec::new())
        }
        Fsctl::SET_SPARSE => {
            set_sparse(request, decoded).await?;
            done(Vec::new())
        }
        Fsctl::SET_ZERO_DATA => {
            set_zero(request, decoded).await?;
            done(Vec::new())
        }
        Fsctl::QUERY_ALLOCATED_RANGES => done(allocated_ranges(request, decoded).await?),
        _ => {
            // A handle that is not there is said before the code is.
            request.open(decoded.file_id)?;
            Err(NtStatus::INVALID_DEVICE_REQUEST)
        }
    }
}

fn object_id(request: &Request, decoded: &IoctlRequest) -> Result<Vec<u8>, NtStatus> {
    const OUTPUT_BYTES: u32 = 64;
    let open = request.open(decoded.file_id)?;
    let id = open.file()?.vfs.file_id();
    if decoded.max_output_response < OUTPUT_BYTES {
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
    Ok(output)
}

fn transceive(request: &Request, decoded: &IoctlRequest) -> Result<Answer, NtStatus> {
    let open = request.open(decoded.file_id)?;
    let Kind::Pipe(pipe) = &open.kind else { return Err(NtStatus::INVALID_DEVICE_REQUEST) };
    pipe.write(&decoded.input, &request.connection.server)?;
    let (output, more) = pipe.read(decoded.max_output_response as usize)?;
    let status = if more { NtStatus::BUFFER_OVERFLOW } else { NtStatus::SUCCESS };
    Ok(answer(decoded, status, output))
}

/// Nothing is stored compressed (MS-FSCC 2.3.10): format 0, two bytes.
fn no_compression(request: &Request, decoded: &IoctlRequest) -> Result<Vec<u8>, NtStatus> {
    request.open(decoded.file_id)?.file()?;
    if decoded.max_output_response < 2 { Err(NtStatus::INVALID_PARAMETER) } else { Ok(vec![0, 0]) }
}

/// Only to format 0, which it has (MS-FSCC 2.3.59).
fn set_compression(request: &Request, decoded: &IoctlRequest) -> Result<(), NtStatus> {
    let open = request.open(decoded.file_id)?;
    open.file()?;
    let format = decoded.input.first_chunk::<2>().ok_or(NtStatus::INVALID_PARAMETER)?;
    open.needs_any(AccessMask::WRITE_DATA)?;
    if *format == [0, 0] { Ok(()) } else { Err(NtStatus::NOT_SUPPORTED) }
}

async fn set_sparse(request: &Request, decoded: &IoctlRequest) -> Result<(), NtStatus> {
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    open.needs_any(AccessMask::WRITE_DATA | AccessMask::APPEND_DATA | AccessMask::WRITE_ATTRIBUTES)?;
    if file.vfs.is_dir() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let cx = request.cx();
    let mut dos = file.vfs.attr(&cx).await.map_err(failed)?.dos;
    dos.set(DosAttributes::SPARSE, decode_set_sparse(&decoded.input));
    file.vfs.set_attr(&cx, &SetAttr { dos: Some(dos), ..SetAttr::default() }).await.map_err(failed)?;
    Ok(())
}

/// Zeros a range, never beyond the end of the file (MS-FSCC 2.3.67).
async fn set_zero(request: &Request, decoded: &IoctlRequest) -> Result<(), NtStatus> {
    let range = decode_zero_data(&decoded.input).map_err(|_| NtStatus::INVALID_PARAMETER)?;
    check_range(range.offset, range.length)?;
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    open.needs_any(AccessMask::WRITE_DATA)?;
    if file.vfs.is_dir() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let cx = request.cx();
    let size = file.vfs.attr(&cx).await.map_err(failed)?.size;
    zero(&cx, file, range.offset, range.offset.saturating_add(range.length).min(size)).await
}

async fn zero(cx: &Cx, file: &FileOpen, mut at: u64, end: u64) -> Result<(), NtStatus> {
    while at < end {
        let length = (end - at).min(ZEROS.len() as u64);
        file.vfs.write(cx, at, Bytes::from_static(&ZEROS[..length as usize])).await.map_err(failed)?;
        at += length;
    }
    Ok(())
}

/// Holes are not told apart: what lies inside the file counts as allocated, which is always allowed.
async fn allocated_ranges(request: &Request, decoded: &IoctlRequest) -> Result<Vec<u8>, NtStatus> {
    let asked = decode_allocated_ranges_query(&decoded.input).map_err(|_| NtStatus::INVALID_PARAMETER)?;
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    open.needs_any(AccessMask::READ_DATA)?;
    let size = file.vfs.attr(&request.cx()).await.map_err(failed)?.size;
    let end = asked.offset.saturating_add(asked.length).min(size);
    let mut output = Vec::new();
    if asked.offset < end {
        let range = FileRange { offset: asked.offset, length: end - asked.offset };
        if !encode_allocated_ranges(&[range], decoded.max_output_response as usize, &mut output) {
            return Err(NtStatus::BUFFER_TOO_SMALL);
        }
    }
    Ok(output)
}

//! IOCTL: the FSCTLs that clients need (MS-SMB2 3.3.5.15, MS-FSCC 2.3). What is not served is answered
//! INVALID_DEVICE_REQUEST, which clients take as "not here" and go on.
//!
//! | module | what is in it |
//! |---|---|
//! | `copy_chunk`, `clone` | copies between files, at the origin |
//! | `ranges` | holes, and where data is |
//! | `properties` | what a file has besides: object id, compression, checksums |
//! | `reparse` | symbolic links |
//! | `snapshots` | previous versions |
//! | `resilience` | opens that outlive connections |
//! | `pipes` | what is for pipes |
//! | `torture` | what conformance tests send, switched off |
//!
//! A handler gets the request and its input, and gives an output and a status ([`Output`]).

mod clone;
mod copy_chunk;
mod copy_file;
mod pipes;
mod properties;
mod ranges;
pub(crate) mod reparse;
mod resilience;
mod snapshots;
pub(crate) mod torture;

use crate::connection::Disconnect;
use crate::interfaces;
use crate::reply::Answer;
use crate::request::Request;
use smb_wire::ioctl::negotiate_info::{ValidateNegotiateRequest, ValidateNegotiateResponse};
use smb_wire::ioctl::{Fsctl, IOCTL_IS_FSCTL, IoctlRequest, IoctlResponse};
use smb_wire::{FileId, NtStatus};

/// What a handler answers: an error, or bytes for the client. A status that is not SUCCESS and comes with bytes is
/// answered with them.
struct Output {
    status: NtStatus,
    bytes: Vec<u8>,
}

impl Output {
    fn of(bytes: Vec<u8>) -> Result<Output, NtStatus> {
        Ok(Output { status: NtStatus::SUCCESS, bytes })
    }

    fn empty() -> Result<Output, NtStatus> {
        Output::of(Vec::new())
    }
}

/// An `Err` outside drops the connection.
pub(super) async fn ioctl(request: &Request) -> Result<Result<Answer, NtStatus>, Disconnect> {
    let decoded = match IoctlRequest::decode(&request.message) {
        Ok(decoded) => decoded,
        Err(error) => return Ok(Err(error.status())),
    };
    if decoded.ctl_code == Fsctl::VALIDATE_NEGOTIATE_INFO {
        return validate_negotiate(request, &decoded).map(Ok);
    }
    Ok(answered(request, &decoded).await)
}

async fn answered(request: &Request, decoded: &IoctlRequest) -> Result<Answer, NtStatus> {
    check(request, decoded)?;
    if decoded.ctl_code == Fsctl::PIPE_TRANSCEIVE {
        // A message of a pipe has the pipe's own room, and may be long in coming.
        return Ok(answer(decoded, run(request, decoded).await?));
    }
    let room = request.answer_room(decoded.max_output_response).await?;
    Ok(room.with(answer(decoded, run(request, decoded).await?)))
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
    let mut bytes = Vec::new();
    response.encode(&mut bytes);
    Ok(answer(decoded, Output { status: NtStatus::SUCCESS, bytes }))
}

fn answer(decoded: &IoctlRequest, output: Output) -> Answer {
    let Output { status, bytes } = output;
    let response =
        IoctlResponse { ctl_code: decoded.ctl_code, file_id: decoded.file_id, output: bytes.into() };
    Answer::with(status, |body| {
        response.encode(body);
        torture::pad(decoded, body);
    })
}

/// What is wrong with a request whatever its code.
fn check(request: &Request, decoded: &IoctlRequest) -> Result<(), NtStatus> {
    if decoded.flags & IOCTL_IS_FSCTL == 0 {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let room = decoded.max_output_response;
    if room > request.payload_max() || decoded.input.len() > request.payload_max() as usize {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    request.check_charge(room.max(decoded.max_input_response).max(decoded.input.len() as u32))
}

async fn run(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    if let Some(output) = torture::run(request, decoded).await {
        return output;
    }
    let room = decoded.max_output_response as usize;
    match decoded.ctl_code {
        // No namespace of DFS is served: clients take the path as it is.
        Fsctl::DFS_GET_REFERRALS | Fsctl::DFS_GET_REFERRALS_EX => Err(NtStatus::FS_DRIVER_REQUIRED),
        // They are about the server, not a file (MS-SMB2 3.3.5.15).
        Fsctl::QUERY_NETWORK_INTERFACE_INFO | Fsctl::PIPE_WAIT if decoded.file_id != FileId::RELATED => {
            Err(NtStatus::INVALID_PARAMETER)
        }
        Fsctl::QUERY_NETWORK_INTERFACE_INFO => Output::of(interfaces::answer(request, room).await?),
        Fsctl::PIPE_WAIT => pipes::wait(request, decoded),
        Fsctl::PIPE_TRANSCEIVE => pipes::transceive(request, decoded).await,
        Fsctl::PIPE_PEEK => pipes::peek(request, decoded),
        Fsctl::SRV_REQUEST_RESUME_KEY => copy_chunk::resume_key(request, decoded),
        Fsctl::SRV_COPYCHUNK | Fsctl::SRV_COPYCHUNK_WRITE => copy_chunk::copy(request, decoded).await,
        Fsctl::DUPLICATE_EXTENTS_TO_FILE | Fsctl::DUPLICATE_EXTENTS_TO_FILE_EX => {
            clone::duplicate(request, decoded).await
        }
        Fsctl::SRV_ENUMERATE_SNAPSHOTS => snapshots::enumerate(request, decoded).await,
        // No hashes of content are kept for branch caches (MS-SMB2 3.3.5.15.7).
        Fsctl::SRV_READ_HASH => refuse(request, decoded, NtStatus::HASH_NOT_SUPPORTED),
        Fsctl::CREATE_OR_GET_OBJECT_ID | Fsctl::GET_OBJECT_ID => properties::object_id(request, decoded),
        // They are made of what a file is, and are nobody's to change.
        Fsctl::SET_OBJECT_ID | Fsctl::SET_OBJECT_ID_EXTENDED | Fsctl::DELETE_OBJECT_ID => {
            refuse(request, decoded, NtStatus::ACCESS_DENIED)
        }
        Fsctl::GET_REPARSE_POINT => reparse::get(request, decoded).await,
        Fsctl::SET_REPARSE_POINT => reparse::set(request, decoded).await,
        Fsctl::DELETE_REPARSE_POINT => reparse::delete(request, decoded).await,
        Fsctl::LMR_REQUEST_RESILIENCY => resilience::request(request, decoded).await,
        Fsctl::GET_COMPRESSION => properties::compression(request, decoded).await,
        Fsctl::SET_COMPRESSION => properties::set_compression(request, decoded).await,
        Fsctl::GET_INTEGRITY_INFORMATION => properties::integrity(request, decoded).await,
        Fsctl::SET_INTEGRITY_INFORMATION => properties::set_integrity(request, decoded),
        Fsctl::SET_SPARSE => ranges::set_sparse(request, decoded).await,
        Fsctl::SET_ZERO_DATA => ranges::zero(request, decoded).await,
        Fsctl::FILE_LEVEL_TRIM => ranges::trim(request, decoded).await,
        Fsctl::QUERY_ALLOCATED_RANGES => ranges::allocated(request, decoded).await,
        Fsctl::QUERY_FILE_REGIONS => ranges::regions(request, decoded).await,
        // No tokens for copies are given out.
        Fsctl::OFFLOAD_READ | Fsctl::OFFLOAD_WRITE => refuse(request, decoded, NtStatus::NOT_SUPPORTED),
        _ => refuse(request, decoded, NtStatus::INVALID_DEVICE_REQUEST),
    }
}

/// What is not served. A handle that is not there is said before the code is.
fn refuse(request: &Request, decoded: &IoctlRequest, status: NtStatus) -> Result<Output, NtStatus> {
    request.open(decoded.file_id)?;
    Err(status)
}

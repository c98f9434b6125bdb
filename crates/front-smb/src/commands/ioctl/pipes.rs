//! FSCTLs of pipes (MS-FSCC 2.3.47 to 2.3.52).

use super::Output;
use crate::open::Kind;
use crate::pipe;
use crate::request::Request;
use smb_wire::NtStatus;
use smb_wire::ioctl::IoctlRequest;
use smb_wire::ioctl::control::PipeWaitRequest;

/// A pipe with both ends there (MS-FSCC 2.3.48, FILE_PIPE_CONNECTED_STATE).
const CONNECTED: u32 = 3;
/// The answer to a look without its data, bytes.
const PEEK_HEAD_BYTES: usize = 16;

/// Waits until a pipe can be opened. Those that are served always can, and of others there is nothing to wait for
/// (MS-FSCC 2.3.50).
pub(super) fn wait(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    if request.tree()?.share().is_some() {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let wanted = PipeWaitRequest::decode(&decoded.input).map_err(|error| error.status())?;
    match pipe::service_of(&wanted.name) {
        Some(_) => Output::empty(),
        None => Err(NtStatus::OBJECT_NAME_NOT_FOUND),
    }
}

/// Writes a request and reads its answer.
pub(super) async fn transceive(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    let Kind::Pipe(pipe) = &open.kind else { return Err(NtStatus::INVALID_DEVICE_REQUEST) };
    pipe.write(&decoded.input, &request.connection.server, request.session()?)?;
    request.read_pipe();
    let (output, more) = pipe.read(decoded.max_output_response as usize).await?;
    let status = if more { NtStatus::BUFFER_OVERFLOW } else { NtStatus::SUCCESS };
    Ok(Output { status, bytes: output.into() })
}

/// Looks at what would be read, and leaves it there.
pub(super) fn peek(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let open = request.open(decoded.file_id)?;
    let Kind::Pipe(pipe) = &open.kind else { return Err(NtStatus::INVALID_DEVICE_REQUEST) };
    let Some(room) = (decoded.max_output_response as usize).checked_sub(PEEK_HEAD_BYTES) else {
        return Err(NtStatus::INFO_LENGTH_MISMATCH);
    };
    let seen = pipe.peek(room);
    let mut bytes = Vec::with_capacity(PEEK_HEAD_BYTES + seen.data.len());
    for word in [CONNECTED, seen.bytes as u32, seen.messages as u32, seen.message_bytes as u32] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(&seen.data);
    let more = seen.data.len() < seen.message_bytes;
    let status = if more { NtStatus::BUFFER_OVERFLOW } else { NtStatus::SUCCESS };
    Ok(Output { status, bytes })
}

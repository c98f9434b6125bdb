//! FSCTLs that conformance tests send to bring a server into states that no client could (`FSCTL_SMBTORTURE_*` of
//! Samba's test suite). They are served where [`crate::ServerConfig::protocol_tests`] says so (`[smb] protocol_tests`),
//! and one of them before anybody has logged in: it is for test servers alone. Everywhere else they are as unknown as
//! any other code.

use super::Output;
use crate::request::Request;
use smb_wire::ioctl::{Fsctl, IoctlRequest};
use smb_wire::{HEADER_LEN, NtStatus};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// From now on nothing that is sent on this connection counts as received.
const FORCE_UNACKED_TIMEOUT: Fsctl = Fsctl(0x8384_8003);
/// The answer has eight bytes before its output.
const IOCTL_RESPONSE_BODY_PADDING8: Fsctl = Fsctl(0x8384_8013);
/// From now on the answers to READ on this connection have eight bytes before their data.
const GLOBAL_READ_RESPONSE_BODY_PADDING8: Fsctl = Fsctl(0x8384_8023);
/// Takes as many milliseconds as its input says.
const FSP_ASYNC_SLEEP: Fsctl = Fsctl(0x8384_8043);

/// Bytes before output or data, where a test wants some.
const PADDING_BYTES: u8 = 8;
/// Where the offset of the output stands in the body of an answer (MS-SMB2 2.2.32).
const OUTPUT_OFFSET_AT: usize = 32;
/// Where the output begins in the body.
const OUTPUT_AT: usize = 48;

/// Whether this request is for the connection itself and needs no session.
pub(crate) fn is_for_connection(request: &Request) -> bool {
    request.connection.server.config.protocol_tests
        && IoctlRequest::decode(&request.message)
            .is_ok_and(|decoded| decoded.ctl_code == FORCE_UNACKED_TIMEOUT)
}

/// Runs one of these; `None` for all others, and where they are not served.
pub(super) async fn run(request: &Request, decoded: &IoctlRequest) -> Option<Result<Output, NtStatus>> {
    if !request.connection.server.config.protocol_tests {
        return None;
    }
    let without_input = |work: &dyn Fn()| {
        if !decoded.input.is_empty() {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        work();
        Output::empty()
    };
    let connection = &request.connection;
    Some(match decoded.ctl_code {
        FORCE_UNACKED_TIMEOUT => without_input(&|| connection.delivery.let_nothing_arrive()),
        GLOBAL_READ_RESPONSE_BODY_PADDING8 => {
            without_input(&|| connection.read_padding.store(PADDING_BYTES, Ordering::Release))
        }
        IOCTL_RESPONSE_BODY_PADDING8 if !decoded.input.is_empty() => Err(NtStatus::INVALID_PARAMETER),
        IOCTL_RESPONSE_BODY_PADDING8 => Output::of(vec![PADDING_BYTES; decoded.max_output_response as usize]),
        FSP_ASYNC_SLEEP => sleep(request, decoded).await,
        _ => return None,
    })
}

/// Uses an open for a while. What is under way when its CLOSE comes runs to its end all the same.
async fn sleep(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    let [milliseconds] = decoded.input[..] else { return Err(NtStatus::INVALID_PARAMETER) };
    let open = request.open(decoded.file_id)?;
    open.file()?;
    tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
    Output::empty()
}

/// Moves the output of an answer to where the test wants it.
pub(super) fn pad(decoded: &IoctlRequest, body: &mut Vec<u8>) {
    if decoded.ctl_code == IOCTL_RESPONSE_BODY_PADDING8 {
        let offset = (HEADER_LEN + OUTPUT_AT + usize::from(PADDING_BYTES)) as u32;
        body[OUTPUT_OFFSET_AT..OUTPUT_OFFSET_AT + 4].copy_from_slice(&offset.to_le_bytes());
        body.splice(OUTPUT_AT..OUTPUT_AT, [0; PADDING_BYTES as usize]);
    }
}

//! NEGOTIATE, in its SMB2 form and in the SMB1 form that old clients begin with (MS-SMB2 3.3.5.3, 3.3.5.4).

use crate::commands::file_info;
use crate::connection::{Connection, Disconnect};
use crate::reply::{self, Answer, Reply};
use crate::request::Request;
use smb_core::negotiate::{Agreement, negotiate};
use smb_core::spnego;
use smb_wire::negotiate::{Dialect, NegotiateRequest, NegotiateResponse};
use smb_wire::smb1::Smb1NegotiateRequest;
use smb_wire::{Command, Header, NtStatus};
use std::sync::Arc;
use volume::Time;

/// An SMB2 NEGOTIATE.
pub(crate) fn smb2(request: &Request) -> Result<Result<Answer, NtStatus>, Disconnect> {
    let connection = &request.connection;
    let decoded = match NegotiateRequest::decode(&request.message) {
        Ok(decoded) => decoded,
        Err(error) => return Ok(Err(error.status())),
    };
    let mut salt = [0; smb_core::negotiate::SALT_LEN];
    getrandom::fill(&mut salt)?;
    let agreement = match negotiate(&decoded, connection.policy(), salt) {
        Ok(agreement) => agreement,
        Err(status) => return Ok(Err(status)),
    };
    connection.preauth.lock().update(&[&request.message]);
    let answer = answer(connection, &agreement);
    if !connection.agree(agreement) {
        return Err(Disconnect("a second NEGOTIATE".to_owned()));
    }
    Ok(Ok(answer))
}

/// An SMB1 NEGOTIATE that may lead to SMB2.
pub(crate) fn multi_protocol(connection: &Arc<Connection>, message: &[u8]) -> Result<(), Disconnect> {
    if connection.negotiated.get().is_some() {
        return Err(Disconnect("SMB1 after SMB2".to_owned()));
    }
    let request = Smb1NegotiateRequest::decode(message)?;
    let agreement = smb_core::negotiate::multi_protocol(&request, connection.policy())
        .map_err(|_| "the client knows only SMB1, which is not served")?;
    // It uses message id 0; the client goes on with 1 after the wildcard, and after 2.0.2 too.
    connection.credits.lock().charge(0, 1)?;
    let credits = connection.credits.lock().grant(1);
    let answer = answer(connection, &agreement);
    if agreement.dialect != Dialect::WILDCARD && !connection.agree(agreement) {
        return Err(Disconnect("a second NEGOTIATE".to_owned()));
    }
    let header = Header::request(Command::Negotiate, 0).reply(NtStatus::SUCCESS, credits);
    connection.outbox.push(reply::frame(vec![Reply { header, answer, signer: None }], None, None)?);
    Ok(())
}

fn answer(connection: &Connection, agreement: &Agreement) -> Answer {
    let response = NegotiateResponse {
        security_mode: agreement.security_mode,
        dialect: agreement.dialect,
        server_guid: connection.server.config.server_guid,
        capabilities: agreement.capabilities,
        max_transact_size: agreement.max_transfer_bytes,
        max_read_size: agreement.max_transfer_bytes,
        max_write_size: agreement.max_transfer_bytes,
        system_time: file_info::file_time(Time::now()),
        security_buffer: spnego::server_hint(connection.server.config.offer()).into(),
        contexts: agreement.contexts.clone(),
    };
    Answer::ok(|body| response.encode(body))
}

/// The answer to NEGOTIATE goes into the connection's hash (MS-SMB2 3.3.5.4).
pub(crate) fn hash_response(connection: &Connection, message: &[u8]) {
    connection.preauth.lock().update(&[message]);
}

//! One file per command or family; here is which is which.
//!
//! A handler takes the request and gives an answer or a status. Handlers know `vfs` and `smb-wire`; they know
//! nothing of sockets, signatures or chains.

mod apple;
mod close;
pub(crate) mod create;
mod directory;
mod extended;
pub(crate) mod file_info;
mod io;
pub(crate) mod ioctl;
mod lock;
pub(crate) mod logon;
mod notify;
mod oplock;
mod posix;
mod query_info;
pub(crate) mod quota;
mod security;
pub(crate) mod set_info;
mod tree;

use crate::connection::Disconnect;
use crate::negotiate;
use crate::reply::Answer;
use crate::request::Request;
use smb_wire::echo::{EchoRequest, EchoResponse};
use smb_wire::{Command, NtStatus};

/// Runs one command to its answer. An `Err` drops the connection.
pub(crate) async fn run(request: &Request) -> Result<Answer, Disconnect> {
    let outcome = match request.header.command {
        Command::Negotiate => negotiate::smb2(request)?,
        Command::SessionSetup => logon::session_setup(request).await?,
        Command::Logoff => logon::logoff(request).await,
        Command::TreeConnect => tree::connect(request),
        Command::TreeDisconnect => tree::disconnect(request).await,
        Command::Create => Box::pin(create::create(request)).await,
        Command::Close => close::close(request).await,
        Command::Flush => io::flush(request).await,
        Command::Read => io::read(request).await,
        Command::Write => io::write(request).await,
        Command::Lock => lock::lock(request).await,
        Command::Ioctl => Box::pin(ioctl::ioctl(request)).await?,
        Command::Echo => echo(request),
        Command::QueryDirectory => Box::pin(directory::query(request)).await,
        Command::ChangeNotify => notify::notify(request).await,
        Command::QueryInfo => Box::pin(query_info::query(request)).await,
        Command::SetInfo => Box::pin(set_info::set(request)).await,
        Command::OplockBreak => oplock::acknowledge(request),
        Command::Cancel | Command::Other(_) => Err(NtStatus::INVALID_PARAMETER),
    };
    Ok(outcome.unwrap_or_else(|status| {
        tracing::debug!(peer = %request.connection.peer, command = ?request.header.command, %status, "refused");
        request.refusal(status)
    }))
}

fn echo(request: &Request) -> Result<Answer, NtStatus> {
    EchoRequest::decode(&request.message).map_err(|error| error.status())?;
    Ok(Answer::ok(|body| EchoResponse.encode(body)))
}

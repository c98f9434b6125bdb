//! The loop that serves a connection.
//!
//! It is one task. It reads frames, lets each run as a future of its own, and writes what they answer: requests of one
//! connection overlap (a slow read does not hold up an echo) without a hop between threads. Each future is polled first in
//! the order in which its request came, and the steps that must happen in order (credits, log-in, cancel) come before its
//! first wait. A compressed message waits once before them, for room to be restored in: what its client sent after it may be
//! taken first, as the credits allow for requests that it has not heard of yet.

use super::{Connection, Disconnect, Work};
use crate::dispatch;
use crate::inbox::{self, Inbox, Next};
use crate::limits;
use crate::outbox::{Outgoing, Piece};
use crate::transport::Transport;
use bytes::BytesMut;
use futures_util::FutureExt;
use futures_util::stream::StreamExt;
use std::future::poll_fn;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

pub(super) async fn run<T: Transport>(
    connection: &Arc<Connection>,
    transport: &mut T,
    work: &mut Work,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Disconnect> {
    let mut inbox = Inbox::new(connection.message_limit());
    let mut nobody_since = Some(Instant::now());
    let mut stopping = *stop.borrow();
    let mut at_work_bytes = 0;
    let mut sent_at = Instant::now();
    loop {
        if !stopping {
            begin(connection, transport, work, &mut inbox, &mut at_work_bytes, &mut sent_at)?;
        }
        send(connection, transport, &mut sent_at)?;
        inbox.rest();
        if stopping && work.is_empty() && connection.outbox.waiting_bytes() == 0 {
            return Ok(());
        }
        nobody_since = match connection.live_sessions() {
            0 => nobody_since.or_else(|| Some(Instant::now())),
            _ => None,
        };
        let sending = connection.outbox.waiting_bytes() > 0;
        let reading = !stopping && may_read(connection, work.len(), at_work_bytes);
        let look_at = connection.delivery.look_at();
        tokio::select! {
            ready = poll_fn(|cx| transport.poll_ready(cx, reading, sending)), if reading || sending => {
                if ready? {
                    if !receive(transport, &mut inbox)? {
                        return Ok(());
                    }
                    connection.delivery.heard();
                }
            }
            Some(done) = work.next(), if !work.is_empty() => at_work_bytes -= done?,
            () = connection.outbox.pushed() => {}
            () = until(look_at) => connection.look_after_breaks(transport)?,
            changed = stop.changed(), if !stopping => {
                stopping = changed.is_err() || *stop.borrow();
                connection.waiting.cancel_all();
            }
            () = tokio::time::sleep_until(sent_at + limits::SEND_PATIENCE), if sending => {
                return Err(Disconnect("the client takes no answers".to_owned()));
            }
            () = until(nobody_since.map(|since| since + limits::LOGON_PATIENCE)) => {
                return if connection.is_let_in() { Ok(()) } else { Err("nobody logged in in time".into()) };
            }
        }
    }
}

/// Begins the requests that have arrived, as many as fit beside what is under way.
fn begin<T: Transport>(
    connection: &Arc<Connection>,
    transport: &mut T,
    work: &mut Work,
    inbox: &mut Inbox,
    at_work_bytes: &mut usize,
    sent_at: &mut Instant,
) -> Result<(), Disconnect> {
    while may_read(connection, work.len(), *at_work_bytes) {
        inbox.set_limit(connection.message_limit());
        if connection.is_let_in() {
            transport.let_in();
        }
        match inbox.next()? {
            Next::Message(message) => {
                *at_work_bytes += inbox::kept_bytes(message.len());
                work.push(Box::pin(answer(Arc::clone(connection), message)));
            }
            Next::More => break,
            Next::TooLong(length) => {
                return Err(Disconnect(format!("a message of {length} bytes is over the limit")));
            }
            // NetBIOS positive session response (RFC 1002 4.3.3).
            Next::SessionRequest => {
                connection.outbox.push(Outgoing { head: vec![0x82, 0, 0, 0], ..Outgoing::default() });
            }
        }
        // One poll at once: most requests are done by it, and the next message is looked at after it.
        while let Some(Some(done)) = work.next().now_or_never() {
            *at_work_bytes -= done?;
        }
        if connection.outbox.waiting_bytes() >= limits::SEND_AT_ONCE_BYTES {
            send(connection, transport, sent_at)?;
        }
    }
    Ok(())
}

/// Sends what it can. `sent_at` is when the client last took something, or nothing waited for it.
fn send(
    connection: &Connection,
    transport: &mut impl Transport,
    sent_at: &mut Instant,
) -> Result<(), Disconnect> {
    let waited = connection.outbox.waiting_bytes();
    connection.outbox.flush(|piece| match piece {
        Piece::Slices { slices, more } => transport.try_write(slices, more),
        Piece::Pages(pages) => transport.try_send(pages),
    })?;
    if waited == 0 || connection.outbox.waiting_bytes() < waited {
        *sent_at = Instant::now();
    }
    Ok(())
}

/// Waits for a point in time, or for ever.
async fn until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// Answers one frame; gives back what it was counted for, so that it can be counted off.
async fn answer(connection: Arc<Connection>, message: BytesMut) -> Result<usize, Disconnect> {
    let kept_bytes = inbox::kept_bytes(message.len());
    dispatch::frame(connection, message).await.map(|()| kept_bytes)
}

/// Whether one more request fits beside what is under way and what waits to be sent.
fn may_read(connection: &Connection, at_work: usize, at_work_bytes: usize) -> bool {
    at_work < limits::REQUESTS_AT_WORK_MAX
        && at_work_bytes < connection.at_work_limit()
        && connection.outbox.waiting_bytes() < connection.outbox_limit()
}

/// Reads what has arrived; false at the end of the stream.
fn receive(transport: &mut impl Transport, inbox: &mut Inbox) -> Result<bool, Disconnect> {
    match transport.try_read(inbox.space()) {
        Ok(0) => Ok(false),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(false),
        Err(error) => Err(error.into()),
    }
}

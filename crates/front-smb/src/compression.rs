//! Compressed messages on their way in and out (MS-SMB2 3.3.5.2.1.2, 3.3.4.1.4).
//!
//! Nothing is restored before there is room for all that it announces; what a connection has restored and not answered
//! is bounded like what it has sent in full. Only answers are compressed whose requests ask for it, before they are
//! sealed and after they are signed. Large messages are worked on beside the loop of their connection, which serves
//! its other requests meanwhile.

use crate::connection::{Connection, Disconnect};
use crate::limits;
use crate::outbox::Outgoing;
use crate::reply::{self, Reply};
use crate::session::Session;
use bytes::Bytes;
use smb_core::compression::Compressed;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// A message that came compressed.
pub(crate) struct Restored {
    pub(crate) message: Bytes,
    /// Room that it takes up until it is answered.
    pub(crate) room: OwnedSemaphorePermit,
}

/// Restores a message, once there is room for it.
pub(crate) async fn restore(connection: &Arc<Connection>, message: &Bytes) -> Result<Restored, Disconnect> {
    let not_agreed = "a compressed message, and compression was not agreed";
    let agreed = connection.compression().ok_or(not_agreed)?.clone();
    let compressed = Compressed::read(message, connection.restored_limit())?;
    let bytes = compressed.restored_len();
    let room = connection.rooms.restored(bytes).await?;
    let message = aside(bytes, move || compressed.restore(&agreed)).await??;
    Ok(Restored { message, room })
}

/// The frame of a chain of replies, compressed where that makes it smaller.
pub(crate) async fn frame(
    connection: &Arc<Connection>,
    replies: Vec<Reply>,
    seal: Option<Arc<Session>>,
) -> Result<Outgoing, Disconnect> {
    let bytes = replies.iter().map(|reply| reply.answer.payload.len()).sum();
    let connection = Arc::clone(connection);
    let framed =
        aside(bytes, move || reply::frame(replies, seal.as_deref(), connection.compression())).await?;
    Ok(framed?)
}

/// Does what takes long for a long message: here when it is about few bytes, else on another thread.
async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Disconnect> {
    match bytes <= limits::COMPRESSED_HERE_MAX_BYTES {
        true => Ok(work()),
        false => Ok(tokio::task::spawn_blocking(work).await?),
    }
}

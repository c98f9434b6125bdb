//! A file that is open at the gateway.

use crate::peer::{Handle, Peer};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use link::LinkError;
use parking_lot::Mutex;
use peer_wire::{Answer, Ask, IO_MAX_BYTES};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Mutex as AsyncMutex;
use volume::{
    Access, Attr, Close, Copying, Cx, Error, ErrorKind, File, FileId, Fresh, OpenHow, Opened, Pages, Result,
    SetAttr, SyncKind, Ticket, VPath,
};

/// Pieces of one long read or write that are under way at once.
const PIECES_AT_ONCE: usize = 8;

pub(crate) struct PeerFile {
    peer: Arc<Peer>,
    handle: Handle,
    id: FileId,
    ticket: Option<Ticket>,
    /// How to open it again after a restart of the gateway; `None` when that would not be honest.
    again: Option<VPath>,
    /// What the gateway said last.
    known: Mutex<Attr>,
    /// How often it was opened again. Held while that is being done.
    reopened: AsyncMutex<u64>,
}

/// Opens a file and makes its handle's owner.
pub(crate) async fn open(peer: &Arc<Peer>, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
    let again = (!how.access.contains(Access::WRITE)).then(|| path.clone());
    // A longer first range would not fit into the answer.
    let first = how.first.map(|(offset, length)| (offset, length.min(IO_MAX_BYTES)));
    let how = OpenHow { first, ..how };
    let volume = peer.volume.clone();
    let ask = |handle| Ask::Open { volume, path: path.clone(), handle, how };
    open_by(peer, cx, again, ask).await
}

/// Opens what a ticket stands for.
pub(crate) async fn reopen(peer: &Arc<Peer>, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
    let (volume, ticket) = (peer.volume.clone(), ticket.clone());
    open_by(peer, cx, None, |handle| Ask::Reopen { volume, ticket, handle }).await
}

async fn open_by(
    peer: &Arc<Peer>,
    cx: &Cx,
    again: Option<VPath>,
    ask: impl FnOnce(u64) -> Ask,
) -> Result<Opened> {
    // From here on the gateway may have it open, whatever becomes of the answer and of this future.
    let handle = Handle::new(peer);
    match peer.ask(cx, ask(handle.number)).await {
        Ok(Answer::Opened { attr, created, ticket, first }) => {
            let file = PeerFile {
                peer: peer.clone(),
                handle,
                id: attr.id,
                ticket,
                again,
                known: Mutex::new(attr),
                reopened: AsyncMutex::new(0),
            };
            Ok(Opened { file: Arc::new(file), attr, created, first })
        }
        Ok(_) => Err(peer.unexpected("open")),
        Err(why) => {
            if is_refusal(&why) {
                handle.let_go();
            }
            Err(why)
        }
    }
}

/// What the link says of a call, when it was the link that failed.
fn link_error(error: &Error) -> Option<&LinkError> {
    error.source.as_ref()?.downcast_ref()
}

/// Whether the gateway answered, and so surely has nothing open.
fn is_refusal(error: &Error) -> bool {
    error.kind != ErrorKind::Corrupt && link_error(error).is_none()
}

impl PeerFile {
    /// Asks about this handle; opens it again once if the gateway has lost it.
    async fn ask(&self, cx: &Cx, ask: Ask) -> Result<Answer> {
        if !self.handle.is_held() {
            return Err(self.stale(ask.name(), "the handle is closed"));
        }
        let op = ask.name();
        let before = *self.reopened.lock().await;
        let answer = self.peer.ask(cx, ask.clone()).await;
        match self.after_restart(op, answer)? {
            Answer::UnknownHandle => {}
            answer => return Ok(answer),
        }
        self.open_again(cx, op, before).await?;
        match self.peer.ask(cx, ask).await? {
            Answer::UnknownHandle => Err(self.stale(op, "the gateway lost the handle twice")),
            answer => Ok(answer),
        }
    }

    /// A change that was under way when the gateway was replaced: the handle went with the old one.
    fn after_restart(&self, op: &'static str, answer: Result<Answer>) -> Result<Answer> {
        match answer {
            Err(why) if link_error(&why) == Some(&LinkError::Restarted) => {
                Err(self.stale(op, "the gateway was restarted meanwhile"))
            }
            other => other,
        }
    }

    async fn open_again(&self, cx: &Cx, op: &'static str, before: u64) -> Result<()> {
        let Some(path) = self.again.clone() else {
            return Err(self.stale(op, "the gateway was restarted after it was opened for writing"));
        };
        let mut reopened = self.reopened.lock().await;
        if *reopened != before {
            return Ok(());
        }
        let how = OpenHow { expect: Some(self.id), ..OpenHow::read() };
        let volume = self.peer.volume.clone();
        let ask = Ask::Open { volume, path, handle: self.handle.number, how };
        match self.peer.ask(cx, ask).await {
            Ok(Answer::Opened { .. }) => {
                *reopened += 1;
                Ok(())
            }
            Ok(_) => Err(self.peer.unexpected(op)),
            Err(why) if matches!(why.kind, ErrorKind::NotFound | ErrorKind::Stale) => {
                Err(self.stale(op, "another file has its name since the gateway was restarted"))
            }
            Err(why) => Err(why),
        }
    }

    fn stale(&self, op: &'static str, why: &'static str) -> Error {
        Error::new(ErrorKind::Stale, op, format!("{} file {}", self.peer.name(), self.id)).because(why)
    }

    async fn ask_attr(&self, cx: &Cx, ask: Ask) -> Result<Attr> {
        let op = ask.name();
        match self.ask(cx, ask).await? {
            Answer::Attr(attr) => {
                *self.known.lock() = attr;
                Ok(attr)
            }
            _ => Err(self.peer.unexpected(op)),
        }
    }

    async fn ask_done(&self, cx: &Cx, ask: Ask) -> Result<()> {
        let op = ask.name();
        match self.ask(cx, ask).await? {
            Answer::Done => Ok(()),
            _ => Err(self.peer.unexpected(op)),
        }
    }

    /// Asks for a copy; opens the source again once if the gateway has lost it, which shows before anything is copied.
    async fn ask_copy(&self, cx: &Cx, source: &PeerFile, ask: Ask) -> Result<u64> {
        if !(self.handle.is_held() && source.handle.is_held()) {
            return Err(self.stale("copy", "a handle is closed"));
        }
        let before = *source.reopened.lock().await;
        for last in [false, true] {
            let answer = self.peer.ask(cx, ask.clone()).await;
            match self.after_restart("copy", answer)? {
                Answer::Copied(bytes) => return Ok(bytes),
                Answer::UnknownHandle if !last => source.open_again(cx, "copy", before).await?,
                Answer::UnknownHandle => break,
                _ => return Err(self.peer.unexpected("copy")),
            }
        }
        Err(self.stale("copy", "the gateway was restarted after it was opened for writing"))
    }

    async fn read_piece(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        match self.ask(cx, Ask::Read { handle: self.handle.number, offset, length }).await? {
            Answer::Data(data) if data.len() <= length as usize => Ok(data),
            _ => Err(self.peer.unexpected("read")),
        }
    }
}

#[async_trait]
impl File for PeerFile {
    fn id(&self) -> FileId {
        self.id
    }

    async fn attr(&self, cx: &Cx, fresh: Fresh) -> Result<Attr> {
        self.ask_attr(cx, Ask::FileAttr { handle: self.handle.number, fresh }).await
    }

    async fn set_attr(&self, cx: &Cx, set: &SetAttr) -> Result<Attr> {
        self.ask_attr(cx, Ask::SetAttr { handle: self.handle.number, set: *set }).await
    }

    async fn read_at(&self, cx: &Cx, offset: u64, length: u32) -> Result<Bytes> {
        if length <= IO_MAX_BYTES {
            return self.read_piece(cx, offset, length).await;
        }
        let pieces = (0..length).step_by(IO_MAX_BYTES as usize).map(|at| {
            let (from, wanted) = (offset.saturating_add(u64::from(at)), IO_MAX_BYTES.min(length - at));
            async move { self.read_piece(cx, from, wanted).await.map(|data| (data, wanted)) }
        });
        let mut pieces = std::pin::pin!(iter(pieces).buffered(PIECES_AT_ONCE));
        let mut whole = BytesMut::new();
        while let Some((data, wanted)) = pieces.try_next().await? {
            whole.extend_from_slice(&data);
            if data.len() < wanted as usize {
                // The end of the file. Later pieces may tell of growth since: not joined to this.
                break;
            }
        }
        Ok(whole.freeze())
    }

    async fn pages(&self, _cx: &Cx, _offset: u64, _length: u32) -> Result<Option<Pages>> {
        Ok(None)
    }

    async fn write_at(&self, cx: &Cx, offset: u64, data: Bytes) -> Result<()> {
        let handle = self.handle.number;
        if data.len() <= IO_MAX_BYTES as usize {
            return self.ask_done(cx, Ask::Write { handle, offset, data }).await;
        }
        let piece = IO_MAX_BYTES as usize;
        let pieces = (0..data.len()).step_by(piece).map(|at| {
            let data = data.slice(at..data.len().min(at + piece));
            self.ask_done(cx, Ask::Write { handle, offset: offset.saturating_add(at as u64), data })
        });
        iter(pieces).buffer_unordered(PIECES_AT_ONCE).try_collect().await
    }

    async fn ranges(&self, cx: &Cx, offset: u64, length: u64) -> Result<Vec<Range<u64>>> {
        match self.ask(cx, Ask::Ranges { handle: self.handle.number, offset, length }).await? {
            Answer::Ranges(ranges) => Ok(ranges),
            _ => Err(self.peer.unexpected("ranges")),
        }
    }

    async fn zero(&self, cx: &Cx, offset: u64, length: u64) -> Result<()> {
        self.ask_done(cx, Ask::Zero { handle: self.handle.number, offset, length }).await
    }

    /// The gateway copies between two of its handles: no byte of it crosses the link.
    async fn copy_from(
        &self,
        cx: &Cx,
        offset: u64,
        source: &Arc<dyn File>,
        source_offset: u64,
        length: u64,
        how: Copying,
    ) -> Result<u64> {
        let own = source.as_own::<PeerFile>().filter(|own| Arc::ptr_eq(&own.peer, &self.peer));
        let Some(own) = own else {
            return Err(Error::new(ErrorKind::Unsupported, "copy", "a file of another volume"));
        };
        let (handle, source) = (self.handle.number, own.handle.number);
        let ask = Ask::Copy { handle, offset, source, source_offset, length, how };
        self.ask_copy(cx, own, ask).await
    }

    async fn allocate(&self, cx: &Cx, size: u64) -> Result<Attr> {
        self.ask_attr(cx, Ask::Allocate { handle: self.handle.number, size }).await
    }

    async fn sync(&self, cx: &Cx, kind: SyncKind) -> Result<()> {
        self.ask_done(cx, Ask::Sync { handle: self.handle.number, kind }).await
    }

    /// A file that was only read is closed unheard: its last known attributes are returned at once.
    async fn close(&self, cx: &Cx, how: Close) -> Result<Attr> {
        if !self.handle.is_held() {
            return Err(self.stale("close", "the handle is closed"));
        }
        if self.again.is_some() {
            self.handle.close_unheard();
            return Ok(*self.known.lock());
        }
        let closed = self.ask_attr(cx, Ask::Close { handle: self.handle.number, how }).await;
        if closed.as_ref().map_or_else(is_refusal, |_| true) {
            self.handle.let_go();
        }
        closed
    }

    fn ticket(&self) -> Option<Ticket> {
        self.ticket.clone()
    }
}

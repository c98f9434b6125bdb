//! One request as its handler sees it, and what a chain of requests hands from one to the next.

use crate::config::Share;
use crate::connection::Connection;
use crate::handles;
use crate::limits;
use crate::open::Open;
use crate::order::{Counted, Overtaken};
use crate::reply::Answer;
use crate::rooms::{Room, Taken};
use crate::session::{Channel, Coming, Session, Tree};
use crate::tenure::Doing;
use bytes::Bytes;
use parking_lot::Mutex;
use smb_wire::error_response::ErrorResponse;
use smb_wire::fscc::reparse::Symlink;
use smb_wire::negotiate::Dialect;
use smb_wire::{Command, FileId, Flags, Header, NtStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;
use volume::{Cx, Priority, Who};

pub(crate) struct Request {
    pub(crate) connection: Arc<Connection>,
    pub(crate) header: Header,
    /// The whole message, its header first.
    pub(crate) message: Bytes,
    /// Its answer is signed.
    pub(crate) sign: bool,
    /// Its answer is neither signed nor sealed, and ends its frame.
    pub(crate) ends_plain: bool,
    pub(crate) channel: Option<Channel>,
    pub(crate) tree: Option<Arc<Tree>>,
    /// The file of the request before, in a related chain; or why there is none.
    chain_file: Option<Result<FileId, NtStatus>>,
    /// The file that this request worked on: the next of the chain may mean it.
    used_file: OnceLock<FileId>,
    /// Told when the request waits for somebody, and its client is to know.
    waits: Notify,
    /// It waits before it does anything, see [`Request::hold_back`].
    held_back: AtomicBool,
    /// Told when it begins to.
    holding_back: Notify,
    /// It has done something, and goes on to its end.
    committed: AtomicBool,
    /// Its end is wanted, see [`Request::is_end_wanted`].
    end_wanted: AtomicBool,
    /// It reads a pipe.
    reads_pipe: AtomicBool,
    /// It has not found room for its answer at once.
    wants_room: AtomicBool,
    /// What the error response says besides its status.
    explanation: OnceLock<ErrorResponse>,
    /// Counted among the requests of its open.
    under_way: OnceLock<UnderWay>,
    /// Counted among those that may change something.
    doing: OnceLock<Doing>,
    /// Room for the open that it will make.
    coming: Mutex<Option<Coming>>,
}

/// A request of an open, until it is answered.
struct UnderWay {
    open: Arc<Open>,
    counted: Counted,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.open.order.lock().end(self.counted);
    }
}

impl Request {
    pub(crate) fn new(connection: &Arc<Connection>, header: Header, message: Bytes) -> Request {
        Request {
            connection: Arc::clone(connection),
            header,
            message,
            sign: false,
            ends_plain: false,
            channel: None,
            tree: None,
            chain_file: None,
            used_file: OnceLock::new(),
            waits: Notify::new(),
            held_back: AtomicBool::new(false),
            holding_back: Notify::new(),
            committed: AtomicBool::new(false),
            end_wanted: AtomicBool::new(false),
            reads_pipe: AtomicBool::new(false),
            wants_room: AtomicBool::new(false),
            explanation: OnceLock::new(),
            under_way: OnceLock::new(),
            doing: OnceLock::new(),
            coming: Mutex::default(),
        }
    }

    pub(crate) fn session(&self) -> Result<&Arc<Session>, NtStatus> {
        self.channel.as_ref().map(|channel| &channel.session).ok_or(NtStatus::USER_SESSION_DELETED)
    }

    pub(crate) fn tree(&self) -> Result<&Arc<Tree>, NtStatus> {
        self.tree.as_ref().ok_or(NtStatus::NETWORK_NAME_DELETED)
    }

    /// The share that the tree connect is of.
    ///
    /// # Errors
    /// `INVALID_DEVICE_REQUEST` for pipes.
    pub(crate) fn disk(&self) -> Result<&Arc<Share>, NtStatus> {
        self.tree()?.share().ok_or(NtStatus::INVALID_DEVICE_REQUEST)
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.connection.negotiated.get().map_or(Dialect::SMB_2_0_2, |agreement| agreement.dialect)
    }

    /// The largest payload of one request on this connection, bytes.
    pub(crate) fn payload_max(&self) -> u32 {
        self.connection.negotiated.get().map_or(0, |agreement| agreement.max_transfer_bytes)
    }

    /// The context for `vfs`: who asks, how urgently, until when.
    pub(crate) fn cx(&self) -> Cx {
        let who = match &self.channel {
            Some(channel) => Who::User(Arc::clone(&channel.session.user)),
            None => Who::System,
        };
        Cx::new(who, Priority::Interactive).within(limits::REQUEST_PATIENCE)
    }

    /// The open that a request names, by itself or through its chain (MS-SMB2 3.3.5.2.7.2).
    pub(crate) fn open(&self, id: FileId) -> Result<Arc<Open>, NtStatus> {
        let id = self.file_id(id)?;
        let open = self.session()?.open(id).ok_or(NtStatus::FILE_CLOSED)?;
        if open.tree_id != self.header.tree_id {
            return Err(NtStatus::FILE_CLOSED);
        }
        self.count(&open)?;
        self.begin_changing(&open)?;
        Ok(open)
    }

    /// Counts it among what the open is not handed on beside, where it may change something.
    fn begin_changing(&self, open: &Open) -> Result<(), NtStatus> {
        let may_change =
            matches!(self.header.command, Command::Write | Command::SetInfo | Command::Ioctl | Command::Lock);
        if may_change && self.doing.get().is_none() {
            // Nothing was there: looked at before.
            let _first = self.doing.set(open.tenure.begin().ok_or(NtStatus::FILE_CLOSED)?);
        }
        Ok(())
    }

    /// For what goes on to its end though the request may not: the open is not handed on before.
    pub(crate) fn doing(&self) -> Option<Doing> {
        self.doing.get().cloned()
    }

    /// Takes its place among the requests of the open, unless a later one has overtaken it (MS-SMB2 3.3.5.2.10).
    fn count(&self, open: &Arc<Open>) -> Result<(), NtStatus> {
        if self.dialect() < Dialect::SMB_3_0 || self.under_way.get().is_some() {
            return Ok(());
        }
        let again = self.header.flags.contains(Flags::REPLAY);
        let changes = matches!(self.header.command, Command::Write | Command::SetInfo | Command::Ioctl);
        let counted = open.order.lock().begin(self.header.channel_sequence(), again, changes);
        let counted = counted.map_err(|Overtaken| NtStatus::FILE_NOT_AVAILABLE)?;
        // Who names an open knows of it, and does not ask for it again; a chain may be sent before its CREATE is answered.
        if self.chain_file.is_none() {
            open.unused.store(false, Ordering::Relaxed);
        }
        // Nothing was there: looked at above.
        let _first = self.under_way.set(UnderWay { open: Arc::clone(open), counted });
        Ok(())
    }

    /// Takes room for an open in the session, until that enters it or the request ends.
    ///
    /// # Errors
    /// `INSUFFICIENT_RESOURCES` where the session has too many, or would have with those on their way.
    pub(crate) fn take_room_for_open(&self) -> Result<(), NtStatus> {
        let session = self.session()?;
        handles::ask_for_some(session);
        let coming = session.take_room().ok_or(NtStatus::INSUFFICIENT_RESOURCES)?;
        *self.coming.lock() = Some(coming);
        Ok(())
    }

    /// The room that was taken.
    pub(crate) fn give_room(&self) -> Option<Coming> {
        self.coming.lock().take()
    }

    /// The id that is meant.
    pub(crate) fn file_id(&self, id: FileId) -> Result<FileId, NtStatus> {
        let id = match self.chain_file {
            Some(of_chain) => of_chain?,
            None => id,
        };
        self.use_file(id);
        Ok(id)
    }

    /// The next request of the chain may mean this file.
    pub(crate) fn use_file(&self, id: FileId) {
        // A request works on one file; a second mention of it changes nothing.
        let _first = self.used_file.set(id);
    }

    /// A link is in the way of this request: its client is told where it leads (MS-SMB2 2.2.2.2.1).
    pub(crate) fn stopped_on(&self, link: &Symlink, unparsed_bytes: u16) {
        let in_context = self.dialect() == Dialect::SMB_3_1_1;
        let error = ErrorResponse::stopped_on_symlink(link, unparsed_bytes, in_context);
        // One request is stopped once.
        let _first = self.explanation.set(error);
    }

    /// The answer to a request that failed.
    pub(crate) fn refusal(&self, status: NtStatus) -> Answer {
        match self.explanation.get() {
            Some(error) if status == NtStatus::STOPPED_ON_SYMLINK => {
                Answer::with(status, |body| error.encode(body))
            }
            Some(_) | None => Answer::error(status),
        }
    }

    /// Waits for what another client has to do first. Its own is told so at once, and may give it up
    /// meanwhile: nothing has happened so far.
    pub(crate) async fn hold_back<T>(&self, wait: impl Future<Output = T>) -> T {
        self.held_back.store(true, Ordering::Relaxed);
        self.waits.notify_one();
        self.holding_back.notify_one();
        let outcome = wait.await;
        self.held_back.store(false, Ordering::Relaxed);
        outcome
    }

    /// Returns when it waits so.
    pub(crate) async fn holds_back(&self) {
        while !self.held_back.load(Ordering::Relaxed) {
            self.holding_back.notified().await;
        }
    }

    pub(crate) async fn waits_for_others(&self) {
        self.waits.notified().await;
    }

    /// Up to here the request could be given up. What it has done by now its client must learn of.
    pub(crate) fn commit(&self) {
        self.committed.store(true, Ordering::Relaxed);
    }

    /// Its client has sent CANCEL, or the connection ends.
    pub(crate) fn want_end(&self) {
        self.end_wanted.store(true, Ordering::Relaxed);
    }

    /// Whether long work is to end with the step that it has done, saying how far it came.
    pub(crate) fn is_end_wanted(&self) -> bool {
        self.end_wanted.load(Ordering::Relaxed)
    }

    /// From here on the request reads a pipe, to which nothing may ever come.
    pub(crate) fn read_pipe(&self) {
        self.reads_pipe.store(true, Ordering::Relaxed);
    }

    /// Whether the request, as it waits now, can be given up and nothing has happened.
    pub(crate) fn only_waits(&self) -> bool {
        let may_wait = matches!(self.header.command, Command::ChangeNotify | Command::Lock);
        (may_wait || self.reads_pipe.load(Ordering::Relaxed)) && !self.committed.load(Ordering::Relaxed)
    }

    /// Room for the payload that the answer to a READ will carry.
    pub(crate) async fn read_room(&self, bytes: u32) -> Result<Taken, NtStatus> {
        self.take(&self.connection.rooms.reads, bytes).await
    }

    /// Whether the payload of its answer can go from the file to the client as it is.
    pub(crate) fn takes_pages(&self) -> bool {
        self.ends_plain && self.connection.kind.takes_pages()
    }

    /// Room for an answer of at most `bytes` other than a READ's.
    pub(crate) async fn answer_room(&self, bytes: u32) -> Result<Taken, NtStatus> {
        self.take(&self.connection.rooms.answers, bytes).await
    }

    /// Takes room. It is the first that a request waits for.
    async fn take(&self, room: &Room, bytes: u32) -> Result<Taken, NtStatus> {
        let taken = match room.try_take(bytes) {
            Some(taken) => Some(taken),
            None => {
                self.wants_room.store(true, Ordering::Relaxed);
                room.take(bytes).await
            }
        };
        taken.ok_or(NtStatus::INSUFFICIENT_RESOURCES)
    }

    /// Whether it has come to wait for room, which what is answered before it in its chain may hold.
    pub(crate) fn wants_room(&self) -> bool {
        self.wants_room.load(Ordering::Relaxed)
    }

    /// Whether the credits charged cover a payload of `bytes` (MS-SMB2 3.3.5.2.5).
    pub(crate) fn check_charge(&self, bytes: u32) -> Result<(), NtStatus> {
        if self.dialect() > Dialect::SMB_2_0_2 && !smb_core::credits::covers(self.header.credit_charge, bytes)
        {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(())
    }
}

/// What a related request takes from the one before it.
#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) session_id: Option<u64>,
    pub(crate) tree_id: Option<u32>,
    file: Option<FileId>,
    /// The request before was not let in: nothing can follow from it.
    refused: bool,
    /// The CREATE that should have given a file failed so.
    failed: Option<NtStatus>,
}

impl Chain {
    /// A request of the chain was not let in.
    pub(crate) fn refuse(&mut self) {
        self.refused = true;
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Fills a related request from the chain.
    pub(crate) fn relate(&self, request: &mut Request) {
        if let Some(id) = self.session_id {
            request.header.session_id = id;
        }
        if let Some(id) = self.tree_id {
            request.header.tree_id = id;
        }
        request.chain_file =
            Some(self.file.ok_or_else(|| self.failed.unwrap_or(NtStatus::INVALID_PARAMETER)));
    }

    /// Remembers what a request did for those that follow.
    pub(crate) fn note(&mut self, request: &Request, answer: &Answer) {
        if let Some(id) = answer.tree_id {
            self.tree_id = Some(id);
        }
        if let Some(id) = answer.session_id {
            self.session_id = Some(id);
        }
        match request.used_file.get() {
            Some(id) => self.file = Some(*id),
            None if request.header.command == Command::Create && !answer.status.is_success() => {
                self.file = None;
                self.failed = Some(answer.status);
            }
            None => {}
        }
    }

    pub(crate) fn session_id_or(&self, header: &Header) -> u64 {
        self.session_id.unwrap_or(header.session_id)
    }

    pub(crate) fn tree_id_or(&self, header: &Header) -> u32 {
        self.tree_id.unwrap_or(header.tree_id)
    }
}

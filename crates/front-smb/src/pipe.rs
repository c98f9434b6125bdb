//! Named pipes of IPC$: DCE/RPC over a pipe, answered at once (MS-RPCE, MS-SRVS, MS-WKST, MS-LSAT, MS-SAMR).
//!
//! A pipe holds what was answered and not read yet, a message for each PDU, and what has come of a request that is not
//! whole. Requests are answered from the lists of shares and accounts; there is no server behind. Strangers (an anonymous
//! session, a guest's) are told of shares and the server, never of users.
//!
//! Who reads waits for a message, until he gives up or the open is closed. Messages go to readers in the order in which
//! these came. Lock order: the reader's turn, then the talk.

use crate::limits;
use crate::server::State;
use crate::session::Session;
use bytes::Bytes;
use parking_lot::Mutex;
use smb_wire::NtStatus;
use smb_wire::rpc::srvsvc::{STYPE_DISKTREE, STYPE_IPC, STYPE_SPECIAL};
use smb_wire::rpc::{Conversation, ServerFacts, Service, ShareFacts};
use smb_wire::tree::ShareFlags;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use volume::Time;

/// MS-SRVS 2.2.2.7.
const SV_TYPE_WORKSTATION: u32 = 0x0000_0001;
const SV_TYPE_SERVER: u32 = 0x0000_0002;
const SV_TYPE_SERVER_NT: u32 = 0x0000_8000;

pub(crate) struct Pipe {
    service: Service,
    talk: Mutex<Talk>,
    /// Who reads: one at a time, in the order in which they came.
    reader: AsyncMutex<()>,
    /// Told to the reader when there is an answer, or the end.
    changed: Notify,
}

/// How far the talk over a pipe has come.
struct Talk {
    conversation: Conversation,
    /// Answered and not read, one message for each PDU.
    answers: VecDeque<Bytes>,
    /// Bytes of these.
    unread: usize,
    /// Bytes of what is here of a request, and of the answers.
    kept: Kept,
    /// The open is closed.
    ended: bool,
}

/// Bytes that one pipe keeps, counted among those of all pipes of its session.
struct Kept {
    bytes: usize,
    of_session: Arc<AtomicUsize>,
}

impl Kept {
    /// False, and nothing is changed, where that would be more than `most` for the session.
    fn set(&mut self, bytes: usize, most: usize) -> bool {
        let others = |all: usize| all - self.bytes;
        let fits = |all| Some(others(all) + bytes).filter(|all| *all <= most || bytes <= self.bytes);
        let done = self.of_session.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if done {
            self.bytes = bytes;
        }
        done
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.of_session.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What is behind a pipe of this name, with or without `\PIPE\` before.
pub(crate) fn service_of(name: &str) -> Option<Service> {
    let name = name.trim_start_matches('\\').to_ascii_lowercase();
    Service::of_pipe(name.strip_prefix("pipe\\").unwrap_or(&name))
}

/// What a look at a pipe sees.
pub(crate) struct Sight {
    /// The beginning of the first message.
    pub(crate) data: Bytes,
    pub(crate) message_bytes: usize,
    pub(crate) messages: usize,
    /// Of all messages.
    pub(crate) bytes: usize,
}

impl Pipe {
    /// Opens a pipe by its name; only those served are there.
    pub(crate) fn open(name: &str, caller: &Session) -> Option<Pipe> {
        let service = service_of(name)?;
        let talk = Talk {
            conversation: Conversation::new(service),
            answers: VecDeque::new(),
            unread: 0,
            kept: Kept { bytes: 0, of_session: Arc::clone(&caller.pipe_bytes) },
            ended: false,
        };
        Some(Pipe { service, talk: Mutex::new(talk), reader: AsyncMutex::default(), changed: Notify::new() })
    }

    /// Refuses who may not ask here.
    pub(crate) fn admit(&self, caller: &Session) -> Result<(), NtStatus> {
        match self.service {
            Service::Srvsvc | Service::Wkssvc => Ok(()),
            Service::Lsarpc | Service::Samr if caller.is_strangers() => Err(NtStatus::ACCESS_DENIED),
            Service::Lsarpc | Service::Samr => Ok(()),
        }
    }

    /// Takes one PDU; its answer waits to be read.
    pub(crate) fn write(&self, pdu: &[u8], server: &State, caller: &Session) -> Result<(), NtStatus> {
        // A pipe may be older than that its user has left.
        self.admit(caller)?;
        let most = match caller.nobodys {
            true => limits::ANONYMOUS_PIPES_MAX_BYTES,
            false => limits::PIPES_MAX_BYTES,
        };
        let talk = &mut *self.talk.lock();
        let answer = talk.conversation.answer(pdu, || facts(server, caller));
        let more: usize = answer.iter().map(Vec::len).sum();
        if !talk.keep(talk.unread + more, most) {
            talk.conversation.refuse();
            talk.keep_less(talk.unread);
            return Err(NtStatus::PIPE_BUSY);
        }
        talk.answers.extend(answer.into_iter().map(Bytes::from));
        self.changed.notify_one();
        Ok(())
    }

    /// Reads up to `length` bytes of the next message, and whether more of it waits. Waits for a message
    /// (MS-SMB2 3.3.5.12), and may be given up.
    ///
    /// # Errors
    /// `PIPE_BROKEN` at the end of the pipe.
    pub(crate) async fn read(&self, length: usize) -> Result<(Bytes, bool), NtStatus> {
        let _reader = self.reader.lock().await;
        loop {
            if let Some(read) = self.talk.lock().read(length)? {
                return Ok(read);
            }
            self.changed.notified().await;
        }
    }

    /// The open is closed: who still waits for a message waits no longer.
    pub(crate) fn end(&self) {
        self.talk.lock().ended = true;
        self.changed.notify_one();
    }

    /// What would be read, left there, up to `length` bytes of it.
    pub(crate) fn peek(&self, length: usize) -> Sight {
        let talk = self.talk.lock();
        let first = talk.answers.front().cloned().unwrap_or_default();
        Sight {
            data: first.slice(..length.min(first.len())),
            message_bytes: first.len(),
            messages: talk.answers.len(),
            bytes: talk.unread,
        }
    }
}

impl Talk {
    /// Up to `length` bytes of the next message, where there is one.
    fn read(&mut self, length: usize) -> Result<Option<(Bytes, bool)>, NtStatus> {
        if self.ended {
            return Err(NtStatus::PIPE_BROKEN);
        }
        let Some(message) = self.answers.front_mut() else { return Ok(None) };
        let part = message.split_to(length.min(message.len()));
        let more = !message.is_empty();
        if !more {
            self.answers.pop_front();
        }
        self.keep_less(self.unread - part.len());
        Ok(Some((part, more)))
    }

    /// Counts what is kept, with so many bytes of answers; false where that is more than `most` for the session.
    fn keep(&mut self, unread: usize, most: usize) -> bool {
        let fits = self.kept.set(self.conversation.kept() + unread, most);
        if fits {
            self.unread = unread;
        }
        fits
    }

    /// The same for what has become less, which fits.
    fn keep_less(&mut self, unread: usize) {
        let fits = self.keep(unread, 0);
        debug_assert!(fits, "it is less than before");
    }
}

/// What the pipes may tell: of hidden shares those that the caller may connect to, for who knows their names.
fn facts(server: &State, caller: &Session) -> ServerFacts {
    let shares = server.shares();
    let told = shares.iter().filter(|share| !share.hidden || caller.may_connect_to(share));
    let disks = told.map(|share| ShareFacts {
        hidden: share.hidden,
        ..share_facts(&share.name, &share.comment, STYPE_DISKTREE, share.flags())
    });
    let pipes = share_facts("IPC$", "", STYPE_IPC | STYPE_SPECIAL, ShareFlags::NO_CACHING);
    ServerFacts {
        name: server.config.server_name.clone(),
        comment: "farshare".to_owned(),
        domain: server.config.server_name.clone(),
        version: (10, 0),
        server_type: SV_TYPE_WORKSTATION | SV_TYPE_SERVER | SV_TYPE_SERVER_NT,
        users: server.session_count() as u32,
        now_unix_ms: (Time::now().unix_nanos() / 1_000_000) as i64,
        timezone_minutes_west: 0,
        uptime_ms: server.started.elapsed().as_millis() as u64,
        shares: disks.chain([pipes]).collect(),
        accounts: server.accounts.facts(),
        caller: caller.user.to_string(),
    }
}

fn share_facts(name: &str, comment: &str, share_type: u32, flags: ShareFlags) -> ShareFacts {
    ShareFacts {
        name: name.to_owned(),
        comment: comment.to_owned(),
        share_type,
        path: format!("C:\\{name}"),
        max_users: u32::MAX,
        current_users: 0,
        flags: flags.bits(),
        hidden: false,
    }
}

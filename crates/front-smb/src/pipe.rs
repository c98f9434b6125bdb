//! Named pipes of IPC$: DCE/RPC over a pipe, answered at once (MS-RPCE, MS-SRVS, MS-WKST, MS-LSAT, MS-SAMR).
//!
//! A pipe holds what was answered and not read yet. Requests are small and answered from the lists of shares and
//! accounts; there is no server behind. Strangers (an anonymous session, a guest's) are told of shares and the server, never
//! of users.

use crate::limits;
use crate::server::State;
use crate::session::Session;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use smb_wire::NtStatus;
use smb_wire::rpc::srvsvc::{STYPE_DISKTREE, STYPE_IPC, STYPE_SPECIAL};
use smb_wire::rpc::{self, ServerFacts, Service, ShareFacts};
use smb_wire::tree::ShareFlags;
use volume::Time;

/// MS-SRVS 2.2.2.7.
const SV_TYPE_WORKSTATION: u32 = 0x0000_0001;
const SV_TYPE_SERVER: u32 = 0x0000_0002;
const SV_TYPE_SERVER_NT: u32 = 0x0000_8000;

pub(crate) struct Pipe {
    service: Service,
    /// Answered and not read.
    answer: Mutex<BytesMut>,
}

impl Pipe {
    /// Opens a pipe by its name, with or without `\PIPE\` before; only those served are there.
    pub(crate) fn open(name: &str) -> Option<Pipe> {
        let name = name.trim_start_matches('\\').to_ascii_lowercase();
        let name = name.strip_prefix("pipe\\").unwrap_or(&name);
        Some(Pipe { service: Service::of_pipe(name)?, answer: Mutex::default() })
    }

    /// Refuses who may not ask here.
    pub(crate) fn admit(&self, caller: &Session) -> Result<(), NtStatus> {
        match self.service {
            Service::Srvsvc | Service::Wkssvc => Ok(()),
            Service::Lsarpc | Service::Samr if caller.is_strangers() => Err(NtStatus::ACCESS_DENIED),
            Service::Lsarpc | Service::Samr => Ok(()),
        }
    }

    /// Takes one request PDU; its answer waits to be read.
    pub(crate) fn write(&self, request: &[u8], server: &State, caller: &Session) -> Result<(), NtStatus> {
        // A pipe may be older than that its user has left.
        self.admit(caller)?;
        let answer = rpc::answer(self.service, request, &facts(server, caller));
        let most = match caller.nobodys {
            true => limits::ANONYMOUS_PIPE_ANSWER_MAX_BYTES,
            false => limits::PIPE_ANSWER_MAX_BYTES,
        };
        let mut waiting = self.answer.lock();
        if waiting.len() + answer.len() > most {
            return Err(NtStatus::PIPE_BUSY);
        }
        waiting.extend_from_slice(&answer);
        Ok(())
    }

    /// Reads up to `length` bytes of the answer, and whether more of it waits.
    pub(crate) fn read(&self, length: usize) -> Result<(Bytes, bool), NtStatus> {
        let mut waiting = self.answer.lock();
        if waiting.is_empty() {
            return Err(NtStatus::PIPE_DISCONNECTED);
        }
        let taken = length.min(waiting.len());
        let part = waiting.split_to(taken).freeze();
        Ok((part, !waiting.is_empty()))
    }

    /// Up to `length` bytes of what would be read, left there, and how many wait in all.
    pub(crate) fn peek(&self, length: usize) -> (Bytes, usize) {
        let waiting = self.answer.lock();
        (Bytes::copy_from_slice(&waiting[..length.min(waiting.len())]), waiting.len())
    }
}

/// What the pipes may tell: hidden shares are left out.
fn facts(server: &State, caller: &Session) -> ServerFacts {
    let visible = server.shares();
    let disks = visible
        .iter()
        .filter(|share| !share.hidden)
        .map(|share| share_facts(&share.name, &share.comment, STYPE_DISKTREE, share.flags()));
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
    }
}

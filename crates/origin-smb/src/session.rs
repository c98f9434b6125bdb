//! One connection to the server, logged on and connected to the share; and single requests over it.
//!
//! A session lives until it is lost, which is for good: [`Session::is_lost`]. Requests wait their turn when
//! [`crate::SmbLimits::requests`] are under way.

use crate::carrier::{self, Failure};
use crate::config::SmbConfig;
use crate::error::{Outcome, Trouble};
use bytes::Bytes;
use smb_wire::fscc::file::FileClass;
use smb_wire::fscc::file_system::FileSystemClass;
use smb_wire::query_info::{InfoType, QueryInfoFlags, QueryInfoRequest, QueryInfoResponse};
use smb_wire::tree::{ShareFlags, ShareType, TreeConnectFlags, TreeConnectRequest, TreeConnectResponse};
use smb_wire::{AccessMask, FileId, NtStatus};
use smb2::client::connection::{CompoundOp, Connection};
use smb2::crypto::encryption::Cipher;
use smb2::pack::{Pack, WriteCursor};
use smb2::transport::ConnectOptions;
use smb2::types::{Command, CreditCharge, TreeId};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Semaphore, SemaphorePermit};
use volume::{Error, ErrorKind};

/// Bytes that one credit pays for (MS-SMB2 3.1.5.2).
const BYTES_PER_CREDIT: u32 = 64 * 1024;
/// What makes a share writable at all: with none of these rights it is read-only.
const ANY_WRITING: AccessMask = AccessMask::WRITE_DATA.union(AccessMask::APPEND_DATA);

pub(crate) struct Session {
    connection: Connection,
    tree: TreeId,
    turns: Semaphore,
    lost: AtomicBool,
    /// Largest READ or WRITE, bytes.
    pub(crate) io_size: u32,
    /// Largest answer to a listing, bytes.
    pub(crate) listing_size: u32,
    pub(crate) read_only: bool,
}

/// One request: its body as `smb-wire` writes it, and the credits it costs.
pub(crate) struct Step {
    command: Command,
    body: Vec<u8>,
    charge: CreditCharge,
}

/// One answer that was not refused: the whole message.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: NtStatus,
    pub(crate) message: Bytes,
}

struct Body<'a>(&'a [u8]);

impl Pack for Body<'_> {
    fn pack(&self, cursor: &mut WriteCursor) {
        cursor.write_bytes(self.0);
    }
}

impl Step {
    /// A request that sends and gets little.
    pub(crate) fn new(command: Command, encode: impl FnOnce(&mut Vec<u8>)) -> Step {
        Step::sized(command, 0, encode)
    }

    /// A request that carries, or asks for, so many bytes of payload.
    pub(crate) fn sized(command: Command, payload: u32, encode: impl FnOnce(&mut Vec<u8>)) -> Step {
        let mut body = Vec::new();
        encode(&mut body);
        let charge = payload.div_ceil(BYTES_PER_CREDIT).max(1);
        Step { command, body, charge: CreditCharge(u16::try_from(charge).unwrap_or(u16::MAX)) }
    }

    /// Asks about a file.
    pub(crate) fn query(file_id: FileId, class: FileClass, length: u32) -> Step {
        Step::query_info(InfoType::FILE, class.0, file_id, length)
    }

    /// Asks about the file system behind a file.
    pub(crate) fn query_file_system(file_id: FileId, class: FileSystemClass, length: u32) -> Step {
        Step::query_info(InfoType::FILE_SYSTEM, class.0, file_id, length)
    }

    fn query_info(info_type: InfoType, information_class: u8, file_id: FileId, length: u32) -> Step {
        let request = QueryInfoRequest {
            info_type,
            information_class,
            output_buffer_length: length,
            additional_information: 0,
            flags: QueryInfoFlags::empty(),
            file_id,
            input: Bytes::new(),
        };
        Step::new(Command::QueryInfo, |body| request.encode(body))
    }
}

impl Answer {
    /// The output of a QUERY_INFO.
    pub(crate) fn info(&self) -> Outcome<Bytes> {
        Ok(QueryInfoResponse::decode(&self.message)?.data)
    }
}

impl Session {
    /// Dials, logs on and connects to the share.
    ///
    /// # Errors
    /// Already in words for the administrator: `Offline`, `PermissionDenied`, `NotFound`.
    pub(crate) async fn dial(config: &SmbConfig) -> Result<Session, Error> {
        let say = |why: Trouble| why.into_error("connect", config.label());
        let options = ConnectOptions::with_timeout(config.limits.dial);
        let prepare = |connection: &mut Connection| {
            connection.set_compression_requested(false);
            connection.set_response_timeout(Some(config.limits.answer));
        };
        let negotiated = carrier::negotiated(&config.address(), options, prepare).await;
        let mut connection = negotiated.map_err(|why| match why {
            Failure::Unreachable(why) => advice::unreachable(config, why),
            Failure::NotSmb(why) => advice::not_smb(config, why),
        })?;
        let (user, password) = (&config.user, config.password.reveal());
        let logon = smb2::Session::setup(&mut connection, user, password, &config.domain).await;
        let logon = logon.map_err(|why| advice::logon_refused(config, why))?;
        let mut session = Session {
            connection,
            tree: TreeId(0),
            turns: Semaphore::new(config.limits.requests.max(1)),
            lost: AtomicBool::new(false),
            io_size: 0,
            listing_size: 0,
            read_only: false,
        };
        session.take_sizes(config).map_err(say)?;
        session.connect_share(config, &logon).await?;
        Ok(session)
    }

    fn take_sizes(&mut self, config: &SmbConfig) -> Outcome<()> {
        let Some(said) = self.connection.params() else {
            return Err(Trouble::Broken("the negotiation left no parameters".into()));
        };
        self.io_size = config.limits.io_size.min(said.max_read_size).min(said.max_write_size).max(1);
        self.listing_size = crate::listing::BUFFER_BYTES.min(said.max_transact_size);
        Ok(())
    }

    async fn connect_share(&mut self, config: &SmbConfig, logon: &smb2::Session) -> Result<(), Error> {
        let path = format!(r"\\{}\{}", self.connection.server_name(), config.share);
        let request = TreeConnectRequest { flags: TreeConnectFlags::empty(), path };
        let step = Step::new(Command::TreeConnect, |body| request.encode(body));
        let sent = self.connection.execute(step.command, &Body(&step.body), None).await;
        let frame = sent.map_err(|why| Trouble::of_carrier(why).into_error("connect", config.label()))?;
        let status = NtStatus(frame.header.status.0);
        if status.is_error() {
            return Err(advice::share_refused(config, status));
        }
        let answer = TreeConnectResponse::decode(&frame.raw.into())
            .map_err(|why| Trouble::from(why).into_error("connect", config.label()))?;
        let Some(tree) = frame.header.tree_id.filter(|_| answer.share_type == ShareType::Disk) else {
            return Err(advice::not_a_disk(config));
        };
        self.tree = tree;
        self.read_only = !answer.maximal_access.intersects(ANY_WRITING);
        if answer.share_flags.contains(ShareFlags::ENCRYPT_DATA) && !self.connection.should_encrypt() {
            let (Some(ours), Some(theirs)) = (&logon.encryption_key, &logon.decryption_key) else {
                return Err(advice::cannot_encrypt(config));
            };
            let cipher = self.connection.params().and_then(|said| said.cipher).unwrap_or(Cipher::Aes128Ccm);
            self.connection.activate_encryption(ours.clone(), theirs.clone(), cipher);
        }
        Ok(())
    }

    /// Whether it is gone. A session that was lost stays lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire) || self.connection.is_disconnected()
    }

    /// How many requests could be sent without waiting.
    pub(crate) fn turns_free(&self) -> usize {
        self.turns.available_permits()
    }

    async fn turn(&self) -> Outcome<SemaphorePermit<'_>> {
        self.turns.acquire().await.map_err(|closed| Trouble::Lost(closed.into()))
    }

    /// Sends a request and waits for its answer. Dropping the future forgets the answer, not the effect.
    pub(crate) async fn ask(&self, step: &Step) -> Outcome<Answer> {
        let _turn = self.turn().await?;
        self.ask_unbounded(step).await
    }

    /// The same for a request whose answer may take for ever and which therefore takes no turn.
    pub(crate) async fn ask_unbounded(&self, step: &Step) -> Outcome<Answer> {
        let body = Body(&step.body);
        let tree = Some(self.tree);
        let sent = Box::pin(self.connection.execute_with_credits(step.command, &body, tree, step.charge));
        self.judge(sent.await)
    }

    /// Sends requests as one chain, each about the handle of the one before (MS-SMB2 3.2.4.1.4), and gives
    /// the answer to each.
    pub(crate) async fn chain(&self, steps: &[Step]) -> Outcome<Vec<Outcome<Answer>>> {
        let _turn = self.turn().await?;
        let bodies: Vec<Body<'_>> = steps.iter().map(|step| Body(&step.body)).collect();
        let parts: Vec<CompoundOp<'_>> = steps
            .iter()
            .zip(&bodies)
            .map(|(step, body)| CompoundOp {
                credit_charge: step.charge,
                ..CompoundOp::new(step.command, body, Some(self.tree))
            })
            .collect();
        let sent = Box::pin(self.connection.execute_compound(&parts));
        let answers = sent.await.map_err(|why| self.mark(Trouble::of_carrier(why)))?;
        if answers.len() != steps.len() {
            return Err(Trouble::Broken("a chain of another length came back".into()));
        }
        Ok(answers.into_iter().map(|answer| self.judge(answer)).collect())
    }

    fn judge(&self, answer: smb2::Result<smb2::Frame>) -> Outcome<Answer> {
        let frame = answer.map_err(|why| self.mark(Trouble::of_carrier(why)))?;
        let status = NtStatus(frame.header.status.0);
        // A warning that comes with its answer: the part of it that fitted.
        if status.is_success() || status == NtStatus::BUFFER_OVERFLOW {
            return Ok(Answer { status, message: frame.raw.into() });
        }
        Err(self.mark(Trouble::of_status(status)))
    }

    fn mark(&self, trouble: Trouble) -> Trouble {
        if matches!(trouble, Trouble::Lost(_)) {
            self.lost.store(true, Ordering::Release);
        }
        trouble
    }
}

/// Errors of dialing, with what to do about them.
mod advice {
    use super::*;

    fn say(config: &SmbConfig, kind: ErrorKind, what: String) -> Error {
        Error::new(kind, "connect", config.label()).because(what)
    }

    pub(super) fn unreachable(config: &SmbConfig, why: smb2::Error) -> Error {
        let address = config.address();
        let what = format!(
            "nobody answers at {address}: {why}; is the name right, the file server up, and the port open in \
             firewalls on the way?"
        );
        say(config, ErrorKind::Offline, what)
    }

    pub(super) fn not_smb(config: &SmbConfig, why: smb2::Error) -> Error {
        let address = config.address();
        let what = format!("no SMB 2 or 3 could be agreed on with {address}: {why}; is that an SMB server?");
        say(config, ErrorKind::Offline, what)
    }

    pub(super) fn logon_refused(config: &SmbConfig, why: smb2::Error) -> Error {
        use smb2::ErrorKind as K;
        let user = match config.domain.is_empty() {
            true => config.user.clone(),
            false => format!("{}\\{}", config.domain, config.user),
        };
        match why.kind() {
            K::AuthRequired | K::GuestSessionRefused | K::AccessDenied => {
                let what = format!("the file server refuses {user}: {why}; check user, domain and password");
                say(config, ErrorKind::PermissionDenied, what)
            }
            K::SignatureInvalid => {
                let what = format!("the server cannot prove that it knows the password of {user}: {why}");
                say(config, ErrorKind::PermissionDenied, what)
            }
            _ => say(config, ErrorKind::Offline, format!("the logon of {user} failed: {why}")),
        }
    }

    pub(super) fn share_refused(config: &SmbConfig, status: NtStatus) -> Error {
        let (share, user) = (&config.share, &config.user);
        match status {
            NtStatus::BAD_NETWORK_NAME => {
                let what = format!(
                    "the file server has no share {share:?} ({status}); `smbclient -L {} -U {user}` lists them",
                    config.server
                );
                say(config, ErrorKind::NotFound, what)
            }
            NtStatus::ACCESS_DENIED => {
                let what = format!("{user} may not use the share {share:?} ({status}); give it rights there");
                say(config, ErrorKind::PermissionDenied, what)
            }
            status => Trouble::of_status(status).into_error("connect", config.label()),
        }
    }

    pub(super) fn not_a_disk(config: &SmbConfig) -> Error {
        say(config, ErrorKind::InvalidArgument, format!("{:?} is no share of files", config.share))
    }

    pub(super) fn cannot_encrypt(config: &SmbConfig) -> Error {
        let what = format!("{:?} wants encryption, which the server's dialect does not have", config.share);
        say(config, ErrorKind::Unsupported, what)
    }
}

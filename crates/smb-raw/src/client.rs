//! One connection of the raw client: frames out, replies in.

use crate::message::{Guard, Message, chain};
use crate::session::{Agreed, Session};
use bytes::{Bytes, BytesMut};
use smb_core::algorithm::{Cipher, SigningAlgorithm};
use smb_core::compression::{Compression, CompressionAgreement, decompress};
use smb_core::preauth::PreauthHash;
use smb_wire::frame::Frame;
use smb_wire::negotiate::{Capabilities, Dialect, NegotiateContext, NegotiateRequest, NegotiateResponse};
use smb_wire::transform::TransformHeader;
use smb_wire::{Flags, Header, NtStatus, Request, split_compound};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long a reply may take: longer than any deadline of a server, so that a test ends.
const PATIENCE: Duration = Duration::from_secs(100);

/// Room to read into where the size of what comes is not known, bytes.
const READ_AHEAD_BYTES: usize = 16 * 1024;

/// Most that a compressed reply may become, bytes.
const RESTORED_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Why there is no reply that could be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server has closed the connection.
    Gone,
    /// It has not answered in time.
    Silent,
    /// It has answered with this status where the client cannot go on.
    Refused(NtStatus),
    /// Its answer does not bear the signature of the key that the client computed.
    Forged,
    /// Its answer is no SMB2, or names none of the client's sessions.
    Garbled,
}

/// How a reply was protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Not at all.
    None,
    /// By the right signature.
    Signed,
    /// Its SIGNED bit is set, and the signature is not that of the session asked for.
    Wrong,
    Sealed,
}

/// One reply.
#[derive(Clone, Debug)]
pub struct Reply {
    pub header: Header,
    /// The whole message, its header first.
    pub message: Bytes,
    pub proof: Proof,
    /// It came compressed.
    pub compressed: bool,
}

impl Reply {
    pub fn status(&self) -> NtStatus {
        self.header.status
    }
}

/// One connection.
pub struct Client<S> {
    pub stream: S,
    pub preauth: PreauthHash,
    /// What NEGOTIATE has agreed on.
    pub agreed: Option<Agreed>,
    pub compression: Option<CompressionAgreement>,
    pub next_id: u64,
    /// Credits granted and not used, as an honest client counts.
    pub credits: i64,
    /// Goes on where the server has not proved to know the session's key.
    pub careless: bool,
    /// Replies to other requests than the one waited for, and what nobody asked for.
    pub others: VecDeque<Reply>,
    /// Sessions whose replies are understood.
    sessions: Vec<Session>,
    /// Read and not looked at yet.
    incoming: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S) -> Client<S> {
        Client {
            stream,
            preauth: PreauthHash::new(),
            agreed: None,
            compression: None,
            next_id: 0,
            credits: 1,
            careless: false,
            others: VecDeque::new(),
            sessions: Vec::new(),
            incoming: BytesMut::new(),
        }
    }

    /// Replies of this session are understood from now on.
    pub fn knows(&mut self, session: &Session) {
        self.sessions.retain(|known| known.id != session.id);
        self.sessions.push(session.clone());
    }

    /// Sends bytes, no frame header before them.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.stream.write_all(bytes).await.map_err(|_| Fault::Gone)
    }

    /// Sends one frame.
    pub async fn send_frame(&mut self, message: &[u8]) -> Result<(), Fault> {
        let header = Frame::message_header(message.len()).expect("a frame holds 16 MiB");
        self.send_bytes(&[&header, message].concat()).await
    }

    /// Sends a chain as it stands.
    pub async fn send(&mut self, messages: &[Message], guard: Guard<'_>) -> Result<(), Fault> {
        self.send_frame(&chain(messages, guard)).await
    }

    /// Gives a message the next ids.
    pub fn number(&mut self, message: &mut Message) {
        message.header.message_id = self.next_id;
        let charge = u64::from(message.header.credit_charge.max(1));
        self.next_id += charge;
        self.credits -= charge as i64;
    }

    /// The next frame, without its header. May be given up at any time and asked again.
    pub async fn frame(&mut self) -> Result<Bytes, Fault> {
        timeout(PATIENCE, self.next_frame()).await.map_err(|_| Fault::Silent)?
    }

    async fn next_frame(&mut self) -> Result<Bytes, Fault> {
        loop {
            if let Some(header) = self.incoming.first_chunk::<4>() {
                let length = 4 + (u32::from_be_bytes(*header) as usize & 0x00FF_FFFF);
                if self.incoming.len() >= length {
                    return Ok(self.incoming.split_to(length).freeze().slice(4..));
                }
            }
            self.incoming.reserve(self.missing().max(READ_AHEAD_BYTES));
            match self.stream.read_buf(&mut self.incoming).await {
                Ok(read) if read > 0 => {}
                _ => return Err(Fault::Gone),
            }
        }
    }

    /// Bytes of the frame under way that have not come.
    fn missing(&self) -> usize {
        let announced = self.incoming.first_chunk::<4>();
        let length = announced.map_or(0, |header| 4 + (u32::from_be_bytes(*header) as usize & 0x00FF_FFFF));
        length.saturating_sub(self.incoming.len())
    }

    /// The replies of the next frame.
    pub async fn replies(&mut self) -> Result<Vec<Reply>, Fault> {
        let frame = self.frame().await?;
        let sealed = frame.starts_with(b"\xFDSMB");
        let plain = if sealed {
            let id = TransformHeader::decode(&frame).map_err(|_| Fault::Garbled)?.session_id;
            let session = self.sessions.iter().find(|session| session.id == id);
            session.and_then(|session| session.open_in_place(frame)).ok_or(Fault::Garbled)?
        } else {
            frame
        };
        let compressed = plain.starts_with(b"\xFCSMB");
        let plain = if compressed {
            let agreed = self.compression.as_ref().ok_or(Fault::Garbled)?;
            decompress(&plain, agreed, RESTORED_MAX_BYTES).map_err(|_| Fault::Garbled)?
        } else {
            plain
        };
        let mut replies = Vec::new();
        for part in split_compound(plain) {
            let (header, message) = part.map_err(|_| Fault::Garbled)?;
            self.credits += i64::from(header.credits);
            let proof = if sealed { Proof::Sealed } else { self.proof(&header, &message) };
            replies.push(Reply { header, message, proof, compressed });
        }
        Ok(replies)
    }

    fn proof(&self, header: &Header, message: &[u8]) -> Proof {
        if !header.flags.contains(Flags::SIGNED) {
            return Proof::None;
        }
        let known = self.sessions.iter().find(|session| session.id == header.session_id);
        match known {
            Some(session) if session.signer.verify(message) => Proof::Signed,
            _ => Proof::Wrong,
        }
    }

    /// The final reply to this message id. Interim ones are passed over, those to others are kept.
    pub async fn reply_to(&mut self, message_id: u64) -> Result<Reply, Fault> {
        let is_it =
            |reply: &Reply| reply.header.message_id == message_id && reply.status() != NtStatus::PENDING;
        loop {
            if let Some(at) = self.others.iter().position(is_it) {
                return self.others.remove(at).ok_or(Fault::Garbled);
            }
            let replies = self.replies().await?;
            self.others.extend(replies);
        }
    }

    /// Sends one request with the next id, and waits for its final reply.
    pub async fn exchange(&mut self, mut message: Message, guard: Guard<'_>) -> Result<Reply, Fault> {
        self.number(&mut message);
        self.send(&[message.clone()], guard).await?;
        self.reply_to(message.header.message_id).await
    }

    /// A request as an honest client sends it: protected as the session is.
    pub async fn call(&mut self, session: &Session, tree: u32, request: &Request) -> Result<Reply, Fault> {
        let message = Message::of(request).session(session.id).tree(tree);
        self.exchange(message, session.guard()).await
    }

    /// The first message of a connection, and what came of it.
    pub async fn negotiate(&mut self, request: NegotiateRequest) -> Result<NegotiateResponse, Fault> {
        let mut message = Message::of(&Request::Negotiate(request));
        message.header.credit_charge = 0;
        message.header.credits = 32;
        self.number(&mut message);
        self.preauth.update(&[&message.bytes()]);
        self.send(&[message], Guard::Plain).await?;
        let reply = self.replies().await?.pop().ok_or(Fault::Garbled)?;
        if reply.status() != NtStatus::SUCCESS {
            return Err(Fault::Refused(reply.status()));
        }
        self.preauth.update(&[&reply.message]);
        let response = NegotiateResponse::decode(&reply.message).map_err(|_| Fault::Garbled)?;
        self.agreed = Some(agreed(&response));
        self.compression = response.contexts.iter().find_map(compression);
        Ok(response)
    }
}

impl Session {
    /// How this session's requests are protected.
    pub fn guard(&self) -> Guard<'_> {
        match (self.plain, self.sealed) {
            (true, _) => Guard::Plain,
            (false, true) => Guard::Seal(self),
            (false, false) => Guard::Sign(&self.signer),
        }
    }
}

/// What the server says of compression.
fn compression(context: &NegotiateContext) -> Option<CompressionAgreement> {
    let NegotiateContext::Compression { flags, algorithms } = context else { return None };
    CompressionAgreement::from_offer(*flags, algorithms, &Compression::PREFERENCE)
}

/// What follows from the server's response; a client of 3.1.1 believes its contexts only.
fn agreed(response: &NegotiateResponse) -> Agreed {
    let mut agreed = Agreed {
        dialect: response.dialect,
        cipher: None,
        signing: SigningAlgorithm::default_of(response.dialect),
    };
    if response.dialect >= Dialect::SMB_3_0 && response.capabilities.contains(Capabilities::ENCRYPTION) {
        agreed.cipher = Some(Cipher::Aes128Ccm);
    }
    for context in &response.contexts {
        match context {
            NegotiateContext::Encryption { ciphers } => {
                agreed.cipher = ciphers.first().and_then(|number| Cipher::from_wire(*number));
            }
            NegotiateContext::Signing { algorithms } => {
                let first = algorithms.first().and_then(|number| SigningAlgorithm::from_wire(*number));
                agreed.signing = first.unwrap_or(agreed.signing);
            }
            _ => {}
        }
    }
    agreed
}

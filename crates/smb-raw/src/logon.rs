//! SESSION_SETUP from the client's side: a log-in, the same again, or a binding, leg by leg.

use crate::client::{Client, Fault, Reply};
use crate::message::{Guard, Message};
use crate::ntlm;
use crate::session::Session;
use bytes::Bytes;
use smb_core::preauth::PreauthHash;
use smb_core::signing::Signer;
use smb_wire::session_setup::{SessionFlags, SessionSetupFlags, SessionSetupRequest, SessionSetupResponse};
use smb_wire::{NtStatus, Request};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// One log-in of a user, with every choice that a client has.
pub struct Logon<'a> {
    pub who: &'a ntlm::Client,
    pub flags: SessionSetupFlags,
    pub previous: u64,
    /// The session that the first leg names.
    pub id: u64,
    /// Signs every leg.
    pub signs: Option<Arc<Signer>>,
    pub security_mode: u8,
    /// Hash over NEGOTIATE and the legs so far.
    pub preauth: PreauthHash,
    /// The first NTLM message.
    pub negotiate: Vec<u8>,
}

impl<'a> Logon<'a> {
    /// A new session.
    pub fn new(who: &'a ntlm::Client) -> Logon<'a> {
        Logon {
            who,
            flags: SessionSetupFlags::empty(),
            previous: 0,
            id: 0,
            signs: None,
            security_mode: 1,
            preauth: PreauthHash::new(),
            negotiate: who.negotiate(),
        }
    }

    /// A further channel of a session, signed with its key.
    pub fn binding(who: &'a ntlm::Client, session: &Session) -> Logon<'a> {
        let signs = Some(Arc::clone(&session.main));
        Logon { flags: SessionSetupFlags::BINDING, id: session.id, signs, ..Logon::new(who) }
    }

    /// The user of a session of this connection proves himself again.
    pub fn again(who: &'a ntlm::Client, session: &Session) -> Logon<'a> {
        let signs = Some(Arc::clone(&session.signer));
        Logon { id: session.id, signs, ..Logon::new(who) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// One leg with this token.
    pub async fn leg(&mut self, logon: &mut Logon<'_>, token: &[u8]) -> Result<Reply, Fault> {
        let request = SessionSetupRequest {
            flags: logon.flags,
            security_mode: logon.security_mode,
            capabilities: 0,
            previous_session_id: logon.previous,
            security_buffer: Bytes::copy_from_slice(token),
        };
        let mut message = Message::of(&Request::SessionSetup(request)).session(logon.id);
        message.header.credits = 256;
        self.number(&mut message);
        let guard = logon.signs.as_deref().map_or(Guard::Plain, Guard::Sign);
        let bytes = crate::chain(&[message.clone()], guard);
        logon.preauth.update(&[&bytes]);
        self.send_frame(&bytes).await?;
        let reply = self.reply_to(message.header.message_id).await?;
        logon.id = reply.header.session_id;
        if reply.status() == NtStatus::MORE_PROCESSING_REQUIRED {
            logon.preauth.update(&[&reply.message]);
        }
        Ok(reply)
    }

    /// The first leg: the server's challenge, or the status that there is none.
    pub async fn challenge(&mut self, logon: &mut Logon<'_>) -> Result<Vec<u8>, Fault> {
        logon.preauth = self.preauth;
        let negotiate = logon.negotiate.clone();
        let reply = self.leg(logon, &negotiate).await?;
        match reply.status() {
            NtStatus::MORE_PROCESSING_REQUIRED => Ok(token(&reply)?.1.to_vec()),
            status => Err(Fault::Refused(status)),
        }
    }

    /// The second leg: a session whose keys the server has proved to know.
    pub async fn answer(&mut self, mut logon: Logon<'_>, challenge: &[u8]) -> Result<Session, Fault> {
        let authenticated = logon.who.authenticate(&logon.negotiate, challenge);
        let reply = self.leg(&mut logon, &authenticated.message).await?;
        if reply.status() != NtStatus::SUCCESS {
            return Err(Fault::Refused(reply.status()));
        }
        let agreed = self.agreed.ok_or(Fault::Garbled)?;
        let mut session = Session::new(logon.id, agreed, &authenticated.session_key, &logon.preauth);
        session.proven = session.signer.verify(&reply.message);
        if !session.proven && !self.careless {
            return Err(Fault::Forged);
        }
        let flags = token(&reply)?.0;
        session.sealed = flags.contains(SessionFlags::ENCRYPT_DATA);
        session.plain = flags.contains(SessionFlags::IS_GUEST);
        Ok(session)
    }

    /// A whole log-in.
    pub async fn log_in(&mut self, who: &ntlm::Client) -> Result<Session, Fault> {
        let mut logon = Logon::new(who);
        let challenge = self.challenge(&mut logon).await?;
        let session = self.answer(logon, &challenge).await?;
        self.knows(&session);
        Ok(session)
    }

    /// This connection becomes a further channel of `session`.
    pub async fn bind(&mut self, who: &ntlm::Client, session: &Session) -> Result<Session, Fault> {
        let mut logon = Logon::binding(who, session);
        let challenge = self.challenge(&mut logon).await?;
        let bound = self.answer(logon, &challenge).await?;
        let channel = session.channel(bound);
        self.knows(&channel);
        Ok(channel)
    }
}

fn token(reply: &Reply) -> Result<(SessionFlags, Bytes), Fault> {
    let response = SessionSetupResponse::decode(&reply.message).map_err(|_| Fault::Garbled)?;
    Ok((response.session_flags, response.security_buffer))
}

//! From a client's AP-REQ to who it is (RFC 4120 3.2.3, RFC 4121 4.1).

use super::encryption::{Confounder, EncryptionType, Key, Usage};
use super::keytab::Keytab;
use super::membership::{self, Membership};
use super::messages::{self, Authenticator, Request, TicketPart};
use super::mic::MicSigner;
use super::principal::{Principal, Realms};
use super::replay::{Fingerprint, Novelty};
use super::{CLOCK_SKEW, Refusal};
use smb_wire::FileTime;
use std::time::Duration;
use zeroize::Zeroizing;

/// The checksum of an authenticator that says what the client wants of GSS-API (RFC 4121 4.1.1).
const GSS_CHECKSUM: i64 = 0x8003;
/// Its shortest form: a length, channel bindings, flags.
const GSS_CHECKSUM_LEN: usize = 24;
const GSS_FLAGS: std::ops::Range<usize> = 20..24;
/// GSS_C_MUTUAL_FLAG
const MUTUAL: u32 = 2;
/// GSS_C_DCE_STYLE
const DCE_STYLE: u32 = 0x1000;
/// Most keys that are tried on one ticket.
const MAX_TRIES: usize = 64;

/// Fresh random numbers, used once.
pub struct Fresh {
    /// Becomes the session's key, when the client wants a reply.
    pub subkey: Zeroizing<[u8; 32]>,
    /// Encrypted before the reply.
    pub confounder: Confounder,
    /// Our first sequence number.
    pub sequence: u32,
}

/// What tickets are judged by.
pub struct Tickets<'a> {
    /// The keys of this service.
    pub keytab: &'a Keytab,
    /// Whose users may log in.
    pub realms: &'a Realms,
    /// Draws for this log-in alone, once the ticket is found good; `None` when there are none to be had.
    pub fresh: &'a mut dyn FnMut() -> Option<Fresh>,
    /// Enters an authenticator among those that were seen.
    pub enter: &'a mut dyn FnMut(Fingerprint) -> Novelty,
}

/// A client that has proved who it is.
pub struct Accepted {
    /// What the user is called here.
    pub user: String,
    /// The user in Kerberos.
    pub principal: Principal,
    /// When the ticket ends.
    pub ends: FileTime,
    /// Who that is to Windows, if the realm says so.
    pub membership: Option<Membership>,
    /// The key that SMB derives all others from.
    pub session_key: Key,
    /// The reply, if the client wants one.
    pub reply: Option<Vec<u8>>,
    /// Signs for both.
    pub signer: MicSigner,
}

/// Judges a client's token.
pub fn accept(token: &[u8], tickets: &mut Tickets<'_>, now: FileTime) -> Result<Accepted, Refusal> {
    let request = messages::request(token).ok_or(Refusal::Malformed)?;
    if request.user_to_user {
        return Err(Refusal::Unsupported("user-to-user authentication"));
    }
    let (text, service) = open_ticket(&request, tickets.keytab)?;
    let ticket = messages::ticket_part(&text).ok_or(Refusal::Malformed)?;
    let text = ticket.key.decrypt(Usage::Authenticator, request.authenticator.cipher);
    let text = text.ok_or(Refusal::BadAuthenticator)?;
    let authenticator = messages::authenticator(&text).ok_or(Refusal::Malformed)?;
    if authenticator.client != ticket.client {
        return Err(Refusal::BadAuthenticator);
    }
    check_times(&ticket, &authenticator, now)?;
    check_client(&ticket)?;
    let wishes = wishes(&authenticator)?;
    if wishes & DCE_STYLE != 0 {
        return Err(Refusal::Unsupported("a log-in in the style of DCE"));
    }
    let (user, membership) = identify(&ticket, service, tickets.realms)?;
    match (tickets.enter)(Fingerprint::of(&user, request.authenticator.cipher)) {
        Novelty::New => {}
        Novelty::Seen => return Err(Refusal::Replayed),
        Novelty::Full => return Err(Refusal::TooManyLogons),
        Novelty::ShareFull => return Err(Refusal::TooManyLogonsOf(user)),
    }
    let mutual = request.mutual || wishes & MUTUAL != 0;
    let fresh = (tickets.fresh)().ok_or(Refusal::NoRandomNumbers)?;
    let (session_key, reply) = agree(&ticket, &authenticator, mutual, &fresh);
    Ok(Accepted {
        user,
        principal: ticket.client.clone(),
        ends: ticket.ends,
        membership,
        signer: MicSigner { key: session_key.clone(), acceptor_subkey: mutual, sequence: fresh.sequence },
        session_key,
        reply,
    })
}

/// Decrypts the ticket, and says which key it was.
fn open_ticket<'k>(
    request: &Request<'_>,
    keytab: &'k Keytab,
) -> Result<(Zeroizing<Vec<u8>>, &'k Key), Refusal> {
    let sealed = &request.ticket;
    let kind = EncryptionType::from_code(sealed.kind).ok_or(Refusal::Encryption(sealed.kind))?;
    let candidates = keytab.candidates(kind, &request.service, sealed.version);
    let opened = candidates
        .into_iter()
        .take(MAX_TRIES)
        .find_map(|entry| entry.key.decrypt(Usage::Ticket, sealed.cipher).map(|text| (text, &entry.key)));
    opened.ok_or_else(|| Refusal::NoKey {
        service: request.service.to_string(),
        version: sealed.version,
        kind,
    })
}

/// A ticket is good until its end and not a moment longer: a session that began later would be over at once, and
/// its client would come back with the same ticket, for ever.
fn check_times(
    ticket: &TicketPart<'_>,
    authenticator: &Authenticator<'_>,
    now: FileTime,
) -> Result<(), Refusal> {
    if now >= ticket.ends {
        return Err(Refusal::Expired);
    }
    let apart = Duration::from_nanos(now.0.abs_diff(authenticator.time.0).saturating_mul(100));
    if apart > CLOCK_SKEW {
        return Err(Refusal::Clock(apart));
    }
    let starts = ticket.starts.unwrap_or(ticket.authenticated);
    if ticket.invalid || starts.0 > now.0.saturating_add((CLOCK_SKEW.as_nanos() / 100) as u64) {
        return Err(Refusal::NotYetValid);
    }
    Ok(())
}

/// Whether the ticket is somebody's, and nobody was out of place on the way from there. Whose realm it is counts for
/// nothing in that: what the ticket says of the service, only the client vouches for.
fn check_client(ticket: &TicketPart<'_>) -> Result<(), Refusal> {
    let client = &ticket.client;
    if client.is_nobody() {
        return Err(Refusal::Nobody);
    }
    match ticket.path.is_empty() || ticket.path_checked {
        true => Ok(()),
        false => Err(foreign(client)),
    }
}

/// What the user is called here, and who that is to Windows.
fn identify(
    ticket: &TicketPart<'_>,
    service: &Key,
    realms: &Realms,
) -> Result<(String, Option<Membership>), Refusal> {
    let client = &ticket.client;
    let membership = match ticket.pac {
        Some(pac) => membership::of_ticket(ticket, pac, service)?,
        None => None,
    };
    let user = realms.user(client, membership.is_some()).ok_or_else(|| foreign(client))?;
    if ticket.pac.is_none() && realms.needs_pac {
        return Err(Refusal::NoPac(client.to_string()));
    }
    Ok((user, membership))
}

fn foreign(client: &Principal) -> Refusal {
    Refusal::Realm(client.realm().to_owned())
}

fn wishes(authenticator: &Authenticator<'_>) -> Result<u32, Refusal> {
    let Some((GSS_CHECKSUM, content)) = authenticator.checksum else { return Err(Refusal::Malformed) };
    if content.len() < GSS_CHECKSUM_LEN {
        return Err(Refusal::Malformed);
    }
    let mut flags = [0; 4];
    flags.copy_from_slice(&content[GSS_FLAGS]);
    Ok(u32::from_le_bytes(flags))
}

/// The session's key, and the reply that tells it. Who wants no reply gets no key of ours: it is the client's own
/// then, or the ticket's.
fn agree(
    ticket: &TicketPart<'_>,
    authenticator: &Authenticator<'_>,
    mutual: bool,
    fresh: &Fresh,
) -> (Key, Option<Vec<u8>>) {
    let theirs = authenticator.subkey.as_ref().unwrap_or(&ticket.key);
    if !mutual {
        return (theirs.clone(), None);
    }
    let kind = theirs.kind();
    let ours = Key::new(kind, &fresh.subkey[..kind.key_len()]).expect("as long as keys of its kind");
    let text = Zeroizing::new(messages::reply_part(authenticator, &ours, fresh.sequence));
    let cipher = ticket.key.encrypt(Usage::Reply, &fresh.confounder, &text);
    let reply = messages::reply(ticket.key.kind(), &cipher);
    (ours, Some(reply))
}

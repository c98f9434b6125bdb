//! The messages of the last step of Kerberos (RFC 4120 5), inside the framing of GSS-API (RFC 4121 4.1).
//!
//! ```text
//! token      ::= [APPLICATION 0] { OID, 01 00 (request) or 02 00 (reply), message }
//! AP-REQ     ::= [APPLICATION 14] { pvno, msg-type, ap-options, ticket, authenticator EncryptedData }
//! Ticket     ::= [APPLICATION 1]  { tkt-vno, realm, sname, enc-part EncryptedData }
//! enc-part   ::= [APPLICATION 3]  { flags, key, crealm, cname, transited, authtime, starttime, endtime,
//!                                   renew-till, caddr, authorization-data }
//! authenticator ::= [APPLICATION 2] { vno, crealm, cname, cksum, cusec, ctime, subkey, seq-number,
//!                                     authorization-data }
//! AP-REP     ::= [APPLICATION 15] { pvno, msg-type, enc-part EncryptedData }
//! enc-part   ::= [APPLICATION 27] { ctime, cusec, subkey, seq-number }
//! ```
//!
//! Fields are numbered from 0 in this order; the encodings are DER, so they come in it. What a service has no use
//! for is passed over.

use super::encryption::{EncryptionType, Key};
use super::principal::Principal;
use crate::der::{
    Reader, TAG_BIT_STRING, TAG_GENERAL_STRING, TAG_GENERALIZED_TIME, TAG_INTEGER, TAG_OCTET_STRING, TAG_OID,
    TAG_SEQUENCE, application, context, wrap, wrap_all,
};
use smb_wire::time::{FileTime, days_since_1970};

/// 1.2.840.113554.1.2.2
pub(crate) const OID_KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
/// 1.2.840.48018.1.2.2: the same, as an early Windows wrote it. Windows still puts it first.
pub(crate) const OID_MS_KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02];

const TOKEN_REQUEST: [u8; 2] = [1, 0];
const TOKEN_REPLY: [u8; 2] = [2, 0];
const PROTOCOL_VERSION: i64 = 5;
const MESSAGE_REQUEST: i64 = 14;
const MESSAGE_REPLY: u8 = 15;
/// AD-IF-RELEVANT: elements that may be passed over.
const IF_RELEVANT: i64 = 1;
/// AD-WIN2K-PAC (MS-PAC 2.1)
const PAC: i64 = 128;

/// An encrypted part.
pub(super) struct Sealed<'m> {
    pub kind: i32,
    pub version: Option<u32>,
    pub cipher: &'m [u8],
}

/// A client's first message.
pub(super) struct Request<'m> {
    /// The ticket is encrypted with another ticket's key.
    pub user_to_user: bool,
    /// The client wants a reply.
    pub mutual: bool,
    pub service: Principal,
    pub ticket: Sealed<'m>,
    pub authenticator: Sealed<'m>,
}

/// What the realm says in a ticket.
pub(super) struct TicketPart<'m> {
    pub invalid: bool,
    /// The realm has checked that no realm on the way was out of place.
    pub path_checked: bool,
    pub key: Key,
    pub client: Principal,
    /// The realms between the client's and ours, encoded; empty when there was none.
    pub path: &'m [u8],
    pub authenticated: FileTime,
    pub starts: Option<FileTime>,
    pub ends: FileTime,
    pub pac: Option<&'m [u8]>,
}

/// What the client says of itself.
pub(super) struct Authenticator<'m> {
    pub client: Principal,
    pub checksum: Option<(i64, &'m [u8])>,
    /// `ctime` and `cusec` as encoded, for the reply.
    pub time_encoded: &'m [u8],
    pub microseconds_encoded: &'m [u8],
    pub time: FileTime,
    pub subkey: Option<Key>,
}

/// Reads the token; `None` if it is malformed.
pub(super) fn request(token: &[u8]) -> Option<Request<'_>> {
    let mut body = Reader::new(Reader::new(token).expect(application(0))?);
    let mechanism = body.expect(TAG_OID)?;
    if mechanism != OID_KERBEROS && mechanism != OID_MS_KERBEROS {
        return None;
    }
    let message = body.rest().strip_prefix(&TOKEN_REQUEST)?;
    let mut fields = sequence(Reader::new(message).expect(application(14))?)?;
    let (version, kind) = (integer(fields.expect(context(0))?)?, integer(fields.expect(context(1))?)?);
    if version != PROTOCOL_VERSION || kind != MESSAGE_REQUEST {
        return None;
    }
    let options = flags(fields.expect(context(2))?)?;
    let mut ticket = sequence(Reader::new(fields.expect(context(3))?).expect(application(1))?)?;
    if integer(ticket.expect(context(0))?)? != PROTOCOL_VERSION {
        return None;
    }
    let realm = string(ticket.expect(context(1))?)?;
    Some(Request {
        user_to_user: bit(options, 1),
        mutual: bit(options, 2),
        service: principal(ticket.expect(context(2))?, realm)?,
        ticket: sealed(ticket.expect(context(3))?)?,
        authenticator: sealed(fields.expect(context(4))?)?,
    })
}

/// Reads the part of a ticket that was encrypted.
pub(super) fn ticket_part(text: &[u8]) -> Option<TicketPart<'_>> {
    let mut fields = sequence(Reader::new(text).expect(application(3))?)?;
    let flags = flags(fields.expect(context(0))?)?;
    let key = key(fields.expect(context(1))?)?;
    let realm = string(fields.expect(context(2))?)?;
    let client = principal(fields.expect(context(3))?, realm)?;
    let mut transited = sequence(fields.expect(context(4))?)?;
    transited.expect(context(0))?;
    let path = Reader::new(transited.expect(context(1))?).expect(TAG_OCTET_STRING)?;
    let authenticated = time(fields.expect(context(5))?)?;
    let starts = match fields.optional(context(6))? {
        Some(field) => Some(time(field)?),
        None => None,
    };
    let ends = time(fields.expect(context(7))?)?;
    // renew-till, caddr
    fields.optional(context(8))?;
    fields.optional(context(9))?;
    let pac = match fields.optional(context(10))? {
        Some(field) => find_pac(field)?,
        None => None,
    };
    Some(TicketPart {
        invalid: bit(flags, 7),
        path_checked: bit(flags, 12),
        key,
        client,
        path,
        authenticated,
        starts,
        ends,
        pac,
    })
}

/// Reads an authenticator that was decrypted.
pub(super) fn authenticator(text: &[u8]) -> Option<Authenticator<'_>> {
    let mut fields = sequence(Reader::new(text).expect(application(2))?)?;
    if integer(fields.expect(context(0))?)? != PROTOCOL_VERSION {
        return None;
    }
    let realm = string(fields.expect(context(1))?)?;
    let client = principal(fields.expect(context(2))?, realm)?;
    let checksum = match fields.optional(context(3))? {
        Some(field) => {
            let mut field = sequence(field)?;
            let kind = integer(field.expect(context(0))?)?;
            Some((kind, Reader::new(field.expect(context(1))?).expect(TAG_OCTET_STRING)?))
        }
        None => None,
    };
    let microseconds_encoded = fields.expect(context(4))?;
    let time_encoded = fields.expect(context(5))?;
    let subkey = match fields.optional(context(6))? {
        Some(field) => Some(key(field)?),
        None => None,
    };
    let time = time(time_encoded)?;
    Some(Authenticator { client, checksum, time_encoded, microseconds_encoded, time, subkey })
}

/// The text that a reply encrypts: the client's own time, our key and our first sequence number.
pub(super) fn reply_part(authenticator: &Authenticator<'_>, subkey: &Key, sequence: u32) -> Vec<u8> {
    let kind = wrap(context(0), &unsigned(subkey.kind().code() as u32));
    let value = wrap(context(1), &wrap(TAG_OCTET_STRING, subkey.as_bytes()));
    let fields = [
        wrap(context(0), authenticator.time_encoded),
        wrap(context(1), authenticator.microseconds_encoded),
        wrap(context(2), &wrap_all(TAG_SEQUENCE, &[&kind, &value])),
        wrap(context(3), &unsigned(sequence)),
    ];
    wrap(application(27), &wrap(TAG_SEQUENCE, &fields.concat()))
}

/// The token around a reply.
pub(super) fn reply(kind: EncryptionType, cipher: &[u8]) -> Vec<u8> {
    let kind = wrap(context(0), &unsigned(kind.code() as u32));
    let cipher = wrap(context(2), &wrap(TAG_OCTET_STRING, cipher));
    let fields = [
        wrap(context(0), &unsigned(PROTOCOL_VERSION as u32)),
        wrap(context(1), &unsigned(u32::from(MESSAGE_REPLY))),
        wrap(context(2), &wrap_all(TAG_SEQUENCE, &[&kind, &cipher])),
    ];
    let message = wrap(application(15), &wrap(TAG_SEQUENCE, &fields.concat()));
    wrap_all(application(0), &[&wrap(TAG_OID, OID_KERBEROS), &TOKEN_REPLY, &message])
}

/// The PAC among the elements that may be passed over. An element that may not be, and that is not known here, ends
/// the log-in: it may limit what the ticket is good for (RFC 4120 5.2.6).
fn find_pac(field: &[u8]) -> Option<Option<&[u8]>> {
    let mut elements = sequence(field)?;
    let mut found = None;
    while !elements.is_empty() {
        let (kind, data) = element(&mut elements)?;
        if kind == PAC {
            found = found.or(Some(data));
        } else if kind == IF_RELEVANT {
            let mut inner = sequence(data)?;
            while !inner.is_empty() {
                let (kind, data) = element(&mut inner)?;
                if kind == PAC {
                    found = found.or(Some(data));
                }
            }
        } else {
            return None;
        }
    }
    Some(found)
}

fn element<'m>(elements: &mut Reader<'m>) -> Option<(i64, &'m [u8])> {
    let mut element = Reader::new(elements.expect(TAG_SEQUENCE)?);
    let kind = integer(element.expect(context(0))?)?;
    Some((kind, Reader::new(element.expect(context(1))?).expect(TAG_OCTET_STRING)?))
}

fn sequence(bytes: &[u8]) -> Option<Reader<'_>> {
    Reader::new(bytes).expect(TAG_SEQUENCE).map(Reader::new)
}

fn sealed(field: &[u8]) -> Option<Sealed<'_>> {
    let mut fields = sequence(field)?;
    let kind = i32::try_from(integer(fields.expect(context(0))?)?).ok()?;
    let version = match fields.optional(context(1))? {
        // Some encode a large number as a negative one.
        Some(field) => Some(integer(field)? as u32),
        None => None,
    };
    let cipher = Reader::new(fields.expect(context(2))?).expect(TAG_OCTET_STRING)?;
    Some(Sealed { kind, version, cipher })
}

/// `None` for a key of a type that is not taken, too: nothing could be said with it.
fn key(field: &[u8]) -> Option<Key> {
    let mut fields = sequence(field)?;
    let kind = i32::try_from(integer(fields.expect(context(0))?)?).ok()?;
    let value = Reader::new(fields.expect(context(1))?).expect(TAG_OCTET_STRING)?;
    Key::new(EncryptionType::from_code(kind)?, value)
}

fn principal(field: &[u8], realm: &[u8]) -> Option<Principal> {
    let mut fields = sequence(field)?;
    fields.expect(context(0))?;
    let mut names = sequence(fields.expect(context(1))?)?;
    let mut parts = Vec::new();
    while !names.is_empty() {
        parts.push(names.expect(TAG_GENERAL_STRING)?);
    }
    Principal::new(parts, realm)
}

fn string(field: &[u8]) -> Option<&[u8]> {
    Reader::new(field).expect(TAG_GENERAL_STRING)
}

fn integer(field: &[u8]) -> Option<i64> {
    let bytes = Reader::new(field).expect(TAG_INTEGER)?;
    let negative = *bytes.first()? & 0x80 != 0;
    let start = if negative { -1 } else { 0 };
    (bytes.len() <= 8).then(|| bytes.iter().fold(start, |number, byte| number << 8 | i64::from(*byte)))
}

/// A number as INTEGER, which has a sign.
fn unsigned(number: u32) -> Vec<u8> {
    let bytes = i64::from(number).to_be_bytes();
    let skipped = (0..7).take_while(|at| bytes[*at] == 0 && bytes[at + 1] & 0x80 == 0).count();
    wrap(TAG_INTEGER, &bytes[skipped..])
}

/// Flags count from the highest bit of the first byte.
fn flags(field: &[u8]) -> Option<u32> {
    let bits = Reader::new(field).expect(TAG_BIT_STRING)?;
    let (unused, bytes) = bits.split_first()?;
    let mut word = [0; 4];
    let taken = bytes.len().min(4);
    word[..taken].copy_from_slice(&bytes[..taken]);
    (*unused < 8).then_some(u32::from_be_bytes(word))
}

fn bit(flags: u32, number: u32) -> bool {
    flags & (1 << (31 - number)) != 0
}

/// `YYYYMMDDHHMMSSZ`
fn time(field: &[u8]) -> Option<FileTime> {
    let text = Reader::new(field).expect(TAG_GENERALIZED_TIME)?.strip_suffix(b"Z")?;
    if text.len() != 14 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        text[range].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    let day = days_since_1970(number(0..4), number(4..6), number(6..8))?;
    let (hour, minute, second) = (number(8..10), number(10..12), number(12..14));
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = day * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    FileTime::from_unix_seconds(seconds)
}

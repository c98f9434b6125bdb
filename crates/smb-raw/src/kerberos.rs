//! A Kerberos client that is its own KDC: it has the service's key and makes the tickets it likes, right or wrong,
//! straight from RFC 4120 and RFC 4121. Encoded apart from the acceptor, encrypted with the same keys.

pub mod pac;

use crate::spnego::{KERBEROS, MS_KERBEROS, NTLMSSP, neg_token_init, wrap};
use smb_core::kerberos::encryption::Usage;
use smb_core::kerberos::{EncryptionType, Key};
use smb_wire::FileTime;
use smb_wire::time::civil_date;

const SECOND: u64 = 10_000_000;

/// A ticket and what is said with it. Times are seconds from `now`.
#[derive(Clone)]
pub struct TicketClient {
    pub service_key: Key,
    pub service: Vec<&'static str>,
    pub service_realm: &'static str,
    pub version: Option<u32>,
    pub user: Vec<&'static str>,
    pub realm: &'static str,
    /// The name in the authenticator, if it is another one.
    pub claimed: Option<&'static str>,
    pub session_key: Key,
    pub subkey: Option<Key>,
    pub now: FileTime,
    pub authenticated: i64,
    pub starts: Option<i64>,
    pub ends: i64,
    /// How far the client's clock is from `now`.
    pub clock: i64,
    pub ticket_flags: u32,
    pub options: u32,
    /// Of GSS-API; `None`: no checksum.
    pub gss_flags: Option<u32>,
    /// Realms on the way.
    pub path: &'static [u8],
    /// `authorization-data`, from its SEQUENCE on.
    pub authorization: Option<Vec<u8>>,
    pub confounder: [u8; 16],
}

/// What the service replies.
pub struct ServiceReply {
    pub subkey: Key,
    pub sequence: u64,
    /// `ctime` and `cusec`, encoded.
    pub time: Vec<u8>,
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    wrap(0xa0 | number, content)
}

fn sequence(fields: &[Vec<u8>]) -> Vec<u8> {
    wrap(0x30, &fields.concat())
}

fn integer(number: i64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let redundant = |at: &usize| {
        let sign = bytes[at + 1] & 0x80;
        bytes[*at] == 0 && sign == 0 || bytes[*at] == 0xff && sign != 0
    };
    wrap(0x02, &bytes[(0..7).take_while(redundant).count()..])
}

fn string(text: &str) -> Vec<u8> {
    wrap(0x1b, text.as_bytes())
}

fn names(parts: &[&str]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = parts.iter().map(|part| string(part)).collect();
    sequence(&[field(0, &integer(1)), field(1, &sequence(&parts))])
}

fn bits(bits: u32) -> Vec<u8> {
    wrap(0x03, &[&[0][..], &bits.to_be_bytes()].concat())
}

fn key(key: &Key) -> Vec<u8> {
    let kind = integer(i64::from(key.kind().code()));
    sequence(&[field(0, &kind), field(1, &wrap(0x04, key.as_bytes()))])
}

fn sealed(kind: EncryptionType, version: Option<u32>, cipher: &[u8]) -> Vec<u8> {
    let version = version.map_or(Vec::new(), |version| field(1, &integer(i64::from(version))));
    sequence(&[field(0, &integer(i64::from(kind.code()))), version, field(2, &wrap(0x04, cipher))])
}

/// One element of `authorization-data`.
pub fn element(kind: i64, data: &[u8]) -> Vec<u8> {
    sequence(&[field(0, &integer(kind)), field(1, &wrap(0x04, data))])
}

/// AD-IF-RELEVANT with a PAC.
pub fn with_pac(pac: &[u8]) -> Vec<u8> {
    wrap(0x30, &element(1, &wrap(0x30, &element(128, pac))))
}

/// The token as Windows sends it first: Kerberos under both names, then NTLM.
pub fn first_token(request: &[u8]) -> Vec<u8> {
    neg_token_init(&[MS_KERBEROS, KERBEROS, NTLMSSP], Some(request)).0
}

impl TicketClient {
    /// A good ticket of `user` for ten hours.
    pub fn new(service_key: &Key, user: &'static str, realm: &'static str, now: FileTime) -> TicketClient {
        let kind = service_key.kind();
        let made = |byte: u8| Key::new(kind, &vec![byte; kind.key_len()]).expect("of the right length");
        TicketClient {
            service_key: service_key.clone(),
            service: vec!["cifs", "files.home.test"],
            service_realm: realm,
            version: Some(1),
            user: vec![user],
            realm,
            claimed: None,
            session_key: made(0x11),
            subkey: Some(made(0x22)),
            now,
            authenticated: -60,
            starts: Some(-60),
            ends: 36_000,
            clock: 0,
            ticket_flags: 0,
            options: 1 << 29,
            gss_flags: Some(0x2 | 0x20),
            path: b"",
            authorization: None,
            confounder: [0x33; 16],
        }
    }

    /// When the ticket ends.
    pub fn end(&self) -> FileTime {
        self.at(self.ends)
    }

    pub fn at(&self, seconds: i64) -> FileTime {
        FileTime((self.now.0 / SECOND * SECOND).wrapping_add_signed(seconds * SECOND as i64))
    }

    fn time(&self, seconds: i64) -> Vec<u8> {
        let seconds = self.at(seconds).to_unix().0;
        let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, date) = civil_date(day);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        wrap(0x18, format!("{year:04}{month:02}{date:02}{hour:02}{minute:02}{second:02}Z").as_bytes())
    }

    /// The part of a ticket that is encrypted for the service.
    fn ticket_part(&self) -> Vec<u8> {
        let starts = self.starts.map_or(Vec::new(), |starts| field(6, &self.time(starts)));
        let authorization = self.authorization.as_ref().map_or(Vec::new(), |data| field(10, data));
        let transited = sequence(&[field(0, &integer(1)), field(1, &wrap(0x04, self.path))]);
        let part = sequence(&[
            field(0, &bits(self.ticket_flags)),
            field(1, &key(&self.session_key)),
            field(2, &string(self.realm)),
            field(3, &names(&self.user)),
            field(4, &transited),
            field(5, &self.time(self.authenticated)),
            starts,
            field(7, &self.time(self.ends)),
            authorization,
        ]);
        wrap(0x63, &part)
    }

    fn ticket(&self, cipher: &[u8]) -> Vec<u8> {
        let ticket = sequence(&[
            field(0, &integer(5)),
            field(1, &string(self.service_realm)),
            field(2, &names(&self.service)),
            field(3, &sealed(self.service_key.kind(), self.version, cipher)),
        ]);
        wrap(0x61, &ticket)
    }

    /// The token of an AP-REQ.
    pub fn request(&self) -> Vec<u8> {
        let part = self.ticket_part();
        self.request_with(&self.service_key.encrypt(Usage::Ticket, &self.confounder, &part))
    }

    /// The same with this as the encrypted part of the ticket.
    pub fn request_with(&self, ticket: &[u8]) -> Vec<u8> {
        let checksum = self.gss_flags.map_or(Vec::new(), |flags| {
            let content = [&16u32.to_le_bytes()[..], &[0; 16], &flags.to_le_bytes()].concat();
            field(3, &sequence(&[field(0, &integer(0x8003)), field(1, &wrap(0x04, &content))]))
        });
        let user = self.claimed.map_or(self.user.clone(), |name| vec![name]);
        let authenticator = sequence(&[
            field(0, &integer(5)),
            field(1, &string(self.realm)),
            field(2, &names(&user)),
            checksum,
            field(4, &integer(123_456)),
            field(5, &self.time(self.clock)),
            self.subkey.as_ref().map_or(Vec::new(), |subkey| field(6, &key(subkey))),
            field(7, &integer(0xf000_0001)),
        ]);
        let cipher =
            self.session_key.encrypt(Usage::Authenticator, &self.confounder, &wrap(0x62, &authenticator));
        let request = sequence(&[
            field(0, &integer(5)),
            field(1, &integer(14)),
            field(2, &bits(self.options)),
            field(3, &self.ticket(ticket)),
            field(4, &sealed(self.session_key.kind(), None, &cipher)),
        ]);
        wrap(0x60, &[KERBEROS, &[1, 0], &wrap(0x6e, &request)].concat())
    }

    /// Reads the service's reply where it stands in a token of SPNEGO. `None` when there is none, or none that the
    /// ticket's key opens.
    pub fn reply(&self, token: &[u8]) -> Option<ServiceReply> {
        let start = [KERBEROS, &[2, 0]].concat();
        let at = token.windows(start.len()).position(|window| window == start)? + start.len();
        let message = content(&token[at..], 0x6f)?;
        let sealed = content(content(message, 0x30)?.get(10..)?, 0xa2)?;
        let fields = content(sealed, 0x30)?;
        // The encryption type takes five bytes.
        let cipher = content(content(fields.get(5..)?, 0xa2)?, 0x04)?;
        let text = self.session_key.decrypt(Usage::Reply, cipher)?;
        let fields = content(content(&text, 0x7b)?, 0x30)?;
        let time_len = 2 + usize::from(*fields.get(1)?);
        let micros_len = 2 + usize::from(*fields.get(time_len + 1)?);
        let rest = &fields[time_len + micros_len..];
        let subkey = content(rest, 0xa2)?;
        let kind = EncryptionType::from_code(i32::from(*subkey.get(6)?))?;
        let bytes = content(content(content(subkey, 0x30)?.get(5..)?, 0xa1)?, 0x04)?;
        let number = content(content(&rest[2 + usize::from(rest[1])..], 0xa3)?, 0x02)?;
        Some(ServiceReply {
            subkey: Key::new(kind, bytes)?,
            sequence: number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
            time: fields[..time_len + micros_len].to_vec(),
        })
    }
}

impl ServiceReply {
    /// The client's signature of a message with the service's key.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let header = [&[4, 4, 4, 0xff, 0xff, 0xff, 0xff, 0xff][..], &0xf000_0001u64.to_be_bytes()].concat();
        let signature = self.subkey.checksum(Usage::InitiatorSign, &[message, &header]);
        [header, signature].concat()
    }

    /// The signature that the service owes for it.
    pub fn expect(&self, message: &[u8]) -> Vec<u8> {
        let header = [&[4, 4, 5, 0xff, 0xff, 0xff, 0xff, 0xff][..], &self.sequence.to_be_bytes()].concat();
        let signature = self.subkey.checksum(Usage::AcceptorSign, &[message, &header]);
        [header, signature].concat()
    }
}

/// The content of the first element, if it has this tag.
fn content(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (found, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match *length {
        length @ ..=0x80 => (usize::from(length), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        _ => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), &rest[2..]),
    };
    if *found == tag { rest.get(..length) } else { None }
}

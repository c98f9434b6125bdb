//! SPNEGO tokens (RFC 4178, MS-SPNG): just enough DER to offer NTLM and to find it in what a client offers.
//!
//! The structure is fixed and its depth with it: nothing here recurses. Unknown fields are passed over; lengths
//! are checked against what is left. A decoded token borrows from its bytes.
//!
//! ```text
//! NegTokenInit  ::= [APPLICATION 0] { spnego OID, [0] SEQUENCE {
//!     [0] mechTypes SEQUENCE OF OID, [1] reqFlags, [2] mechToken OCTET STRING,
//!     [3] mechListMIC OCTET STRING or negHints SEQUENCE, [4] mechListMIC after negHints } }
//! NegTokenResp  ::= [1] SEQUENCE {
//!     [0] negState ENUMERATED, [1] supportedMech OID, [2] responseToken OCTET STRING, [3] mechListMIC }
//! ```

mod der;

use der::{Reader, wrap, wrap_all};

const TAG_APPLICATION_0: u8 = 0x60;
const TAG_SEQUENCE: u8 = 0x30;
const TAG_OCTET_STRING: u8 = 0x04;
const TAG_OID: u8 = 0x06;
const TAG_ENUMERATED: u8 = 0x0a;
const TAG_GENERAL_STRING: u8 = 0x1b;

/// 1.3.6.1.5.5.2
const OID_SPNEGO: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];
/// 1.3.6.1.4.1.311.2.2.10
const OID_NTLMSSP: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a];
/// The hint that every server sends (MS-SPNG 3.2.5.2).
const HINT_NAME: &[u8] = b"not_defined_in_RFC4178@please_ignore";
/// Most mechanisms that a client may offer.
const MAX_MECHANISMS: usize = 64;
/// Longest list of them, in bytes: it is kept until the client answers, by whoever asks.
const MAX_MECHANISMS_LEN: usize = 1024;

/// Context-specific, constructed tag `[n]`.
const fn context(n: u8) -> u8 {
    0xa0 | n
}

/// State of a negotiation as a server reports it (RFC 4178 4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NegState {
    /// Done.
    AcceptCompleted = 0,
    /// Go on.
    AcceptIncomplete = 1,
    /// Not the client's first choice: go on, and sign the mechanism list.
    RequestMic = 3,
}

/// A client's token.
pub enum ClientToken<'t> {
    /// The first one.
    Init(NegTokenInit<'t>),
    /// A later one.
    Response(NegTokenResp<'t>),
}

/// What a client offers.
pub struct NegTokenInit<'t> {
    /// The mechanism list as encoded, tag included: what its signature covers.
    pub mechanisms: &'t [u8],
    /// Where NTLM stands in the list, 0 being the client's first choice.
    pub ntlm_place: Option<usize>,
    /// The first token of the client's first choice.
    pub token: Option<&'t [u8]>,
}

/// What a client goes on with.
pub struct NegTokenResp<'t> {
    /// The mechanism's token.
    pub token: Option<&'t [u8]>,
    /// Signature of the mechanism list.
    pub mic: Option<&'t [u8]>,
}

/// Reads a client's token; `None` if it is malformed.
pub fn decode(token: &[u8]) -> Option<ClientToken<'_>> {
    let (tag, body) = Reader::new(token).next()?;
    match tag {
        TAG_APPLICATION_0 => {
            let mut reader = Reader::new(body);
            if reader.expect(TAG_OID)? != OID_SPNEGO {
                return None;
            }
            decode_init(reader.expect(context(0))?).map(ClientToken::Init)
        }
        // Some clients leave out the GSS-API header.
        tag if tag == context(0) => decode_init(body).map(ClientToken::Init),
        tag if tag == context(1) => decode_response(body).map(ClientToken::Response),
        _ => None,
    }
}

fn decode_init(body: &[u8]) -> Option<NegTokenInit<'_>> {
    let mut fields = Reader::new(Reader::new(body).expect(TAG_SEQUENCE)?);
    let mechanisms = fields.expect(context(0))?;
    if mechanisms.len() > MAX_MECHANISMS_LEN {
        return None;
    }
    let mut list = Reader::new(Reader::new(mechanisms).expect(TAG_SEQUENCE)?);
    let (mut count, mut ntlm_place) = (0, None);
    while !list.is_empty() {
        let mechanism = list.expect(TAG_OID)?;
        if mechanism == OID_NTLMSSP && ntlm_place.is_none() {
            ntlm_place = Some(count);
        }
        count += 1;
        if count > MAX_MECHANISMS {
            return None;
        }
    }
    let mut token = None;
    while !fields.is_empty() {
        let (tag, field) = fields.next()?;
        if tag == context(2) {
            token = Some(Reader::new(field).expect(TAG_OCTET_STRING)?);
        }
    }
    Some(NegTokenInit { mechanisms, ntlm_place, token })
}

fn decode_response(body: &[u8]) -> Option<NegTokenResp<'_>> {
    let mut fields = Reader::new(Reader::new(body).expect(TAG_SEQUENCE)?);
    let mut response = NegTokenResp { token: None, mic: None };
    while !fields.is_empty() {
        let (tag, field) = fields.next()?;
        let mut field = Reader::new(field);
        if tag == context(2) {
            response.token = Some(field.expect(TAG_OCTET_STRING)?);
        } else if tag == context(3) {
            response.mic = Some(field.expect(TAG_OCTET_STRING)?);
        }
    }
    Some(response)
}

/// The token of a NEGOTIATE response: this server offers NTLM (`NegTokenInit2`, MS-SPNG 2.2.1).
pub fn server_hint() -> Vec<u8> {
    let mechanisms = wrap(TAG_SEQUENCE, &wrap(TAG_OID, OID_NTLMSSP));
    let hint = wrap(TAG_SEQUENCE, &wrap(context(0), &wrap(TAG_GENERAL_STRING, HINT_NAME)));
    let init = wrap_all(TAG_SEQUENCE, &[&wrap(context(0), &mechanisms), &wrap(context(3), &hint)]);
    wrap_all(TAG_APPLICATION_0, &[&wrap(TAG_OID, OID_SPNEGO), &wrap(context(0), &init)])
}

/// A server's `NegTokenResp`. `names_ntlm` puts NTLM in as the supported mechanism, for the first response.
pub fn response(state: NegState, names_ntlm: bool, token: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
    let mut fields = wrap(context(0), &wrap(TAG_ENUMERATED, &[state as u8]));
    if names_ntlm {
        fields.extend(wrap(context(1), &wrap(TAG_OID, OID_NTLMSSP)));
    }
    if let Some(token) = token {
        fields.extend(wrap(context(2), &wrap(TAG_OCTET_STRING, token)));
    }
    if let Some(mic) = mic {
        fields.extend(wrap(context(3), &wrap(TAG_OCTET_STRING, mic)));
    }
    wrap(context(1), &wrap(TAG_SEQUENCE, &fields))
}

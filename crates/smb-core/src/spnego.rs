//! SPNEGO tokens (RFC 4178, MS-SPNG): just enough to offer Kerberos and NTLM and to find them in what a client offers.
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

use crate::der::{
    Reader, TAG_ENUMERATED, TAG_GENERAL_STRING, TAG_OCTET_STRING, TAG_OID, TAG_SEQUENCE, application,
    context, wrap, wrap_all,
};

use crate::kerberos::{OID_KERBEROS, OID_MS_KERBEROS};

const TAG_APPLICATION_0: u8 = application(0);

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

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Kerberos.
    Kerberos,
    /// Kerberos under the name that Windows puts first.
    MsKerberos,
    /// NTLM.
    Ntlm,
}

impl Mechanism {
    fn oid(self) -> &'static [u8] {
        match self {
            Self::Kerberos => OID_KERBEROS,
            Self::MsKerberos => OID_MS_KERBEROS,
            Self::Ntlm => OID_NTLMSSP,
        }
    }

    fn of(oid: &[u8]) -> Option<Mechanism> {
        [Self::Kerberos, Self::MsKerberos, Self::Ntlm].into_iter().find(|mechanism| mechanism.oid() == oid)
    }
}

/// What this server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Log-ins by ticket.
    pub kerberos: bool,
    /// Log-ins by password.
    pub ntlm: bool,
}

impl Offer {
    /// Whether that is among it.
    pub fn has(self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::Kerberos | Mechanism::MsKerberos => self.kerberos,
            Mechanism::Ntlm => self.ntlm,
        }
    }
}

/// What a client offers.
pub struct NegTokenInit<'t> {
    /// The mechanism list as encoded, tag included: what its signature covers.
    pub mechanisms: &'t [u8],
    /// The same in order, the client's first choice first; `None` is one that is not known here.
    pub choices: Vec<Option<Mechanism>>,
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
    let mut choices = Vec::new();
    while !list.is_empty() {
        choices.push(Mechanism::of(list.expect(TAG_OID)?));
        if choices.len() > MAX_MECHANISMS {
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
    Some(NegTokenInit { mechanisms, choices, token })
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

/// The token of a NEGOTIATE response: what this server offers (`NegTokenInit2`, MS-SPNG 2.2.1).
pub fn server_hint(offer: Offer) -> Vec<u8> {
    let all = [Mechanism::MsKerberos, Mechanism::Kerberos, Mechanism::Ntlm];
    let offered = all.into_iter().filter(|mechanism| offer.has(*mechanism));
    let names: Vec<u8> = offered.flat_map(|mechanism| wrap(TAG_OID, mechanism.oid())).collect();
    let mechanisms = wrap(TAG_SEQUENCE, &names);
    let hint = wrap(TAG_SEQUENCE, &wrap(context(0), &wrap(TAG_GENERAL_STRING, HINT_NAME)));
    let init = wrap_all(TAG_SEQUENCE, &[&wrap(context(0), &mechanisms), &wrap(context(3), &hint)]);
    wrap_all(TAG_APPLICATION_0, &[&wrap(TAG_OID, OID_SPNEGO), &wrap(context(0), &init)])
}

/// A server's `NegTokenResp`. The first one names the mechanism that is used.
pub fn response(
    state: NegState,
    names: Option<Mechanism>,
    token: Option<&[u8]>,
    mic: Option<&[u8]>,
) -> Vec<u8> {
    let mut fields = wrap(context(0), &wrap(TAG_ENUMERATED, &[state as u8]));
    if let Some(mechanism) = names {
        fields.extend(wrap(context(1), &wrap(TAG_OID, mechanism.oid())));
    }
    if let Some(token) = token {
        fields.extend(wrap(context(2), &wrap(TAG_OCTET_STRING, token)));
    }
    if let Some(mic) = mic {
        fields.extend(wrap(context(3), &wrap(TAG_OCTET_STRING, mic)));
    }
    wrap(context(1), &wrap(TAG_SEQUENCE, &fields))
}

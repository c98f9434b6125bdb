//! The three NTLM messages as bytes (MS-NLMP 2.2.1).
//!
//! A field of variable length is described by length, maximum length and offset; every offset is checked
//! against the message before it is used.

use smb_wire::name;

use super::MAX_NAME_UNITS;

/// First bytes of every NTLM message.
pub const SIGNATURE: [u8; 8] = *b"NTLMSSP\0";

const NEGOTIATE: u32 = 1;
const CHALLENGE: u32 = 2;
const AUTHENTICATE: u32 = 3;
/// Length of CHALLENGE before its payload, version included.
const CHALLENGE_HEAD_LEN: usize = 56;
/// Length of AUTHENTICATE up to its flags, without version and message integrity code.
const AUTHENTICATE_HEAD_LEN: usize = 64;
/// Where the message integrity code stands in AUTHENTICATE, if there is one.
pub(super) const MIC: std::ops::Range<usize> = 72..88;
/// Version 6.1 with NTLM revision 15 (MS-NLMP 2.2.2.10): clients look at the revision only.
const VERSION: [u8; 8] = [6, 1, 0, 0, 0, 0, 0, 15];

/// Negotiate flags (MS-NLMP 2.2.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegotiateFlags(pub u32);

impl NegotiateFlags {
    /// Strings in UTF-16LE.
    pub const UNICODE: Self = Self(0x0000_0001);
    /// Strings in the client's code page.
    pub const OEM: Self = Self(0x0000_0002);
    /// The server shall name its target.
    pub const REQUEST_TARGET: Self = Self(0x0000_0004);
    /// Message signatures.
    pub const SIGN: Self = Self(0x0000_0010);
    /// Message encryption.
    pub const SEAL: Self = Self(0x0000_0020);
    /// NTLM, not LM alone.
    pub const NTLM: Self = Self(0x0000_0200);
    /// The client logs in as nobody.
    pub const ANONYMOUS: Self = Self(0x0000_0800);
    /// A session key is made in any case.
    pub const ALWAYS_SIGN: Self = Self(0x0000_8000);
    /// The target name is a server's.
    pub const TARGET_TYPE_SERVER: Self = Self(0x0002_0000);
    /// Extended session security.
    pub const EXTENDED_SESSION_SECURITY: Self = Self(0x0008_0000);
    /// The challenge has target information.
    pub const TARGET_INFO: Self = Self(0x0080_0000);
    /// Version fields are there.
    pub const VERSION: Self = Self(0x0200_0000);
    /// Keys of 128 bits.
    pub const KEY_128: Self = Self(0x2000_0000);
    /// The client sends a session key of its own, encrypted.
    pub const KEY_EXCHANGE: Self = Self(0x4000_0000);
    /// Keys of 56 bits.
    pub const KEY_56: Self = Self(0x8000_0000);

    /// What the server grants if the client asks for it.
    const GRANTED: u32 = Self::UNICODE.0
        | Self::OEM.0
        | Self::REQUEST_TARGET.0
        | Self::SIGN.0
        | Self::SEAL.0
        | Self::ALWAYS_SIGN.0
        | Self::EXTENDED_SESSION_SECURITY.0
        | Self::VERSION.0
        | Self::KEY_128.0
        | Self::KEY_EXCHANGE.0
        | Self::KEY_56.0;

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits set in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The flags of our CHALLENGE for these flags of a NEGOTIATE; `None` without a common character set.
    pub(super) fn answered(self) -> Option<Self> {
        let mut flags = self.0 & Self::GRANTED | Self::NTLM.0 | Self::TARGET_INFO.0;
        if self.contains(Self::UNICODE) {
            flags &= !Self::OEM.0;
        } else if !self.contains(Self::OEM) {
            return None;
        }
        if self.contains(Self::REQUEST_TARGET) {
            flags |= Self::TARGET_TYPE_SERVER.0;
        }
        Some(Self(flags))
    }
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(message: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(message.get(at..at + 4)?.try_into().ok()?))
}

fn is_message(message: &[u8], kind: u32) -> bool {
    message.starts_with(&SIGNATURE) && u32_at(message, 8) == Some(kind)
}

pub(super) fn utf16(text: &str) -> Vec<u8> {
    name::units(text).flat_map(u16::to_le_bytes).collect()
}

/// The flags of a NEGOTIATE; its names say nothing that counts. `None` if it is none.
pub(super) fn read_negotiate(message: &[u8]) -> Option<NegotiateFlags> {
    if is_message(message, NEGOTIATE) { u32_at(message, 12).map(NegotiateFlags) } else { None }
}

/// Builds a CHALLENGE (MS-NLMP 2.2.1.2).
pub(super) fn write_challenge(
    flags: NegotiateFlags,
    challenge: [u8; 8],
    target_name: &str,
    target_info: &[u8],
) -> Vec<u8> {
    let name = match (flags.contains(NegotiateFlags::REQUEST_TARGET), flags.contains(NegotiateFlags::UNICODE))
    {
        (false, _) => Vec::new(),
        (true, true) => utf16(target_name),
        (true, false) => target_name.as_bytes().to_vec(),
    };
    let name_at = CHALLENGE_HEAD_LEN;
    let info_at = name_at + name.len();
    let mut out = Vec::with_capacity(info_at + target_info.len());
    out.extend_from_slice(&SIGNATURE);
    out.extend_from_slice(&CHALLENGE.to_le_bytes());
    push_field(&mut out, name.len(), name_at);
    out.extend_from_slice(&flags.0.to_le_bytes());
    out.extend_from_slice(&challenge);
    out.extend_from_slice(&[0; 8]);
    push_field(&mut out, target_info.len(), info_at);
    out.extend_from_slice(if flags.contains(NegotiateFlags::VERSION) { &VERSION } else { &[0; 8] });
    out.extend_from_slice(&name);
    out.extend_from_slice(target_info);
    out
}

/// Names come from our configuration and are short: see `TargetNames`.
fn push_field(out: &mut Vec<u8>, len: usize, offset: usize) {
    let len = len as u16;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&(offset as u32).to_le_bytes());
}

/// An AUTHENTICATE, cut into its fields (MS-NLMP 2.2.1.3).
pub(super) struct Authenticate<'m> {
    pub flags: NegotiateFlags,
    pub lm_response: &'m [u8],
    pub nt_response: &'m [u8],
    pub encrypted_session_key: &'m [u8],
    pub domain: Name,
    pub user: Name,
    pub workstation: Name,
    /// The message integrity code, if no field's bytes lie where it would stand.
    pub mic: Option<&'m [u8; 16]>,
}

/// A name as text and as the UTF-16 units that keys are made of.
pub(super) struct Name {
    pub text: String,
    pub units: Vec<u16>,
}

impl<'m> Authenticate<'m> {
    /// `None` if the message is malformed or a name is longer than [`MAX_NAME_UNITS`].
    pub fn read(message: &'m [u8]) -> Option<Self> {
        if !is_message(message, AUTHENTICATE) {
            return None;
        }
        let flags = NegotiateFlags(u32_at(message, 60)?);
        let mut payload_start = message.len();
        let mut field = |at| {
            let len = usize::from(u16_at(message, at)?);
            let offset = usize::try_from(u32_at(message, at + 4)?).ok()?;
            if len == 0 {
                return Some(&message[..0]);
            }
            payload_start = payload_start.min(offset);
            message.get(offset..offset.checked_add(len)?)
        };
        let (lm_response, nt_response) = (field(12)?, field(20)?);
        let (domain, user, workstation) = (field(28)?, field(36)?, field(44)?);
        let encrypted_session_key = field(52)?;
        if payload_start < AUTHENTICATE_HEAD_LEN {
            return None;
        }
        let mic = message.get(MIC).filter(|_| payload_start >= MIC.end).and_then(|mic| mic.try_into().ok());
        let unicode = flags.contains(NegotiateFlags::UNICODE);
        Some(Self {
            flags,
            lm_response,
            nt_response,
            encrypted_session_key,
            domain: Name::read(domain, unicode)?,
            user: Name::read(user, unicode)?,
            workstation: Name::read(workstation, unicode)?,
            mic,
        })
    }

    /// Whether it asks to be let in as nobody (MS-NLMP 3.2.5.1.2): no name, and no response to the challenge.
    pub fn is_anonymous(&self) -> bool {
        self.user.units.is_empty() && self.nt_response.is_empty() && matches!(self.lm_response, [] | [0])
    }
}

impl Name {
    /// Code pages are not named on the wire, so of OEM strings only UTF-8, and so ASCII, is understood.
    fn read(bytes: &[u8], unicode: bool) -> Option<Self> {
        let text = match unicode {
            true => name::decode(bytes, "NTLM name").ok()?,
            false => String::from_utf8(bytes.to_vec()).ok()?,
        };
        let units: Vec<u16> = name::units(&text).collect();
        (units.len() <= MAX_NAME_UNITS).then_some(Self { text, units })
    }
}

//! The greeting: the first bytes in each direction after TLS.
//!
//! The dialing side sends a Hello, the accepting side answers with a Welcome (the same fields, its own values, the
//! version chosen) or a Refusal with a reason for people. The layout of a greeting never changes; fields may be
//! appended, and readers ignore what follows the fields they know. So any two releases can tell each other why
//! they do not get along. Layout: `docs/formats/link.md`.

use crate::Class;
use bytes::{Buf, BufMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Lowest protocol version spoken.
pub const VERSION_MIN: u16 = 1;
/// Highest protocol version spoken.
pub const VERSION_MAX: u16 = 1;

/// Feature bit: this side sends with BBR.
pub(crate) const FEATURE_BBR: u64 = 1;

const MAGIC: &[u8; 8] = b"farlink\n";
/// Longest greeting after magic and length, bytes.
const MAX_GREETING: usize = 4096;
/// Longest reason of a refusal, bytes.
const MAX_REASON: usize = 1024;

const KIND_HELLO: u8 = 1;
const KIND_WELCOME: u8 = 2;
const KIND_REFUSAL: u8 = 3;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LaneKind {
    pub(crate) class: Class,
    /// Number among the connections of this class, from 0.
    pub(crate) index: u8,
}

/// What one side says about itself and the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// Versions spoken; in a Welcome both are the version chosen.
    pub(crate) versions: (u16, u16),
    pub(crate) lane: LaneKind,
    /// Random number of this process, never 0.
    pub(crate) boot: u64,
    pub(crate) features: u64,
    /// Number of the next notification this side will send.
    pub(crate) next_notice: u64,
    pub(crate) site: String,
    pub(crate) software: String,
}

/// One packet of the greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    Hello(Greeting),
    Welcome(Greeting),
    Refusal(String),
}

/// The highest version both sides speak, or why there is none.
pub(crate) fn agree(ours: (u16, u16), theirs: (u16, u16)) -> Result<u16, String> {
    let version = ours.1.min(theirs.1);
    if version >= ours.0.max(theirs.0) {
        return Ok(version);
    }
    let (older, say) = if ours.1 < theirs.0 { ("here", ours) } else { ("at the other side", theirs) };
    Err(format!(
        "no common link protocol version: {}..={} here, {}..={} there; update farshare {older} (speaks up to {})",
        ours.0, ours.1, theirs.0, theirs.1, say.1
    ))
}

impl Packet {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(128);
        match self {
            Packet::Hello(greeting) => greeting.encode(KIND_HELLO, &mut fields),
            Packet::Welcome(greeting) => greeting.encode(KIND_WELCOME, &mut fields),
            Packet::Refusal(reason) => {
                let end = reason.floor_char_boundary(MAX_REASON);
                fields.put_u8(KIND_REFUSAL);
                fields.put_u16_le(end as u16);
                fields.put_slice(&reason.as_bytes()[..end]);
            }
        }
        let mut out = Vec::with_capacity(MAGIC.len() + 2 + fields.len());
        out.put_slice(MAGIC);
        out.put_u16_le(fields.len() as u16);
        out.put_slice(&fields);
        out
    }

    /// Decodes what follows magic and length.
    fn decode(mut fields: &[u8]) -> Option<Packet> {
        match fields.try_get_u8().ok()? {
            KIND_HELLO => Some(Packet::Hello(Greeting::decode(fields)?)),
            KIND_WELCOME => Some(Packet::Welcome(Greeting::decode(fields)?)),
            KIND_REFUSAL => {
                let length = usize::from(fields.try_get_u16_le().ok()?);
                let reason = std::str::from_utf8(fields.get(..length)?).ok()?;
                Some(Packet::Refusal(reason.chars().filter(|c| !c.is_control()).collect()))
            }
            _ => None,
        }
    }

    /// Sends the packet.
    pub(crate) async fn send(&self, io: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        io.write_all(&self.encode()).await?;
        io.flush().await
    }

    /// Receives one packet; `InvalidData` when the other side speaks something else.
    pub(crate) async fn receive(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Packet> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut start = [0; MAGIC.len() + 2];
        io.read_exact(&mut start).await?;
        if &start[..MAGIC.len()] != MAGIC {
            return Err(invalid("the other side does not speak the link protocol"));
        }
        let length = usize::from(u16::from_le_bytes([start[8], start[9]]));
        if length > MAX_GREETING {
            return Err(invalid("greeting too long"));
        }
        let mut fields = vec![0; length];
        io.read_exact(&mut fields).await?;
        Packet::decode(&fields).ok_or_else(|| invalid("malformed greeting"))
    }
}

impl Greeting {
    fn encode(&self, kind: u8, out: &mut Vec<u8>) {
        out.put_u8(kind);
        out.put_u16_le(self.versions.0);
        out.put_u16_le(self.versions.1);
        out.put_u8(match self.lane.class {
            Class::Interactive => 0,
            Class::Bulk => 1,
        });
        out.put_u8(self.lane.index);
        out.put_u64_le(self.boot);
        out.put_u64_le(self.features);
        out.put_u64_le(self.next_notice);
        for text in [&self.site, &self.software] {
            let end = text.floor_char_boundary(usize::from(u8::MAX));
            out.put_u8(end as u8);
            out.put_slice(&text.as_bytes()[..end]);
        }
    }

    fn decode(mut fields: &[u8]) -> Option<Greeting> {
        let fields = &mut fields;
        let versions = (fields.try_get_u16_le().ok()?, fields.try_get_u16_le().ok()?);
        let class = match fields.try_get_u8().ok()? {
            0 => Class::Interactive,
            1 => Class::Bulk,
            _ => return None,
        };
        let lane = LaneKind { class, index: fields.try_get_u8().ok()? };
        let boot = fields.try_get_u64_le().ok().filter(|boot| *boot != 0)?;
        let features = fields.try_get_u64_le().ok()?;
        let next_notice = fields.try_get_u64_le().ok()?;
        let site = text(fields)?;
        let software = text(fields)?;
        Some(Greeting { versions, lane, boot, features, next_notice, site, software })
    }
}

fn text(fields: &mut &[u8]) -> Option<String> {
    let length = usize::from(fields.try_get_u8().ok()?);
    let text = std::str::from_utf8(fields.get(..length)?).ok()?.chars().filter(|c| !c.is_control()).collect();
    fields.advance(length);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting() -> Greeting {
        Greeting {
            versions: (1, 3),
            lane: LaneKind { class: Class::Bulk, index: 7 },
            boot: 0x1122_3344_5566_7788,
            features: FEATURE_BBR,
            next_notice: 42,
            site: "dc1".into(),
            software: "farshare 0.1.0".into(),
        }
    }

    #[test]
    fn packets_survive_the_wire_and_future_fields_are_ignored() {
        for packet in [
            Packet::Hello(greeting()),
            Packet::Welcome(greeting()),
            Packet::Refusal("no common version".into()),
        ] {
            let mut bytes = packet.encode();
            assert_eq!(Packet::decode(&bytes[10..]), Some(packet.clone()));
            bytes.extend_from_slice(b"later");
            assert_eq!(Packet::decode(&bytes[10..]), Some(packet));
        }
    }

    #[test]
    fn every_cut_is_malformed() {
        let bytes = Packet::Hello(greeting()).encode();
        for end in 10..bytes.len() {
            assert_eq!(Packet::decode(&bytes[10..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn versions_agree_or_say_who_is_older() {
        assert_eq!(agree((1, 3), (2, 5)), Ok(3));
        assert_eq!(agree((1, 1), (1, 1)), Ok(1));
        assert!(agree((1, 1), (2, 3)).unwrap_err().contains("update farshare here"));
        assert!(agree((4, 5), (2, 3)).unwrap_err().contains("update farshare at the other side"));
    }
}

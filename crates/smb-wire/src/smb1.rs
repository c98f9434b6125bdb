//! The one SMB1 message that a modern server understands: the multi-protocol NEGOTIATE (MS-SMB2 3.3.5.3),
//! by which old clients ask for SMB2.

use crate::{cursor::Reader, error::WireError};

/// Length of the SMB1 header in bytes.
const HEADER_LEN: usize = 32;
const COMMAND_NEGOTIATE: u8 = 0x72;

/// The dialect string for SMB 2.0.2.
pub const DIALECT_SMB_2_002: &str = "SMB 2.002";
/// The dialect string for "2.1 or later": answered with the wildcard revision 0x02FF.
pub const DIALECT_SMB_2_WILDCARD: &str = "SMB 2.???";

/// An SMB1 NEGOTIATE request (MS-CIFS 2.2.4.52.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smb1NegotiateRequest {
    /// The dialect strings in the client's order.
    pub dialects: Vec<String>,
}

impl Smb1NegotiateRequest {
    /// Reads the whole SMB1 message. Any other SMB1 command is an error: the server closes the connection.
    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        let what = "SMB1 NEGOTIATE request";
        let mut reader = Reader::new(message, what);
        let header = reader.take(HEADER_LEN)?;
        if header[..4] != *b"\xFFSMB" || header[4] != COMMAND_NEGOTIATE {
            return Err(WireError::BadValue { what: "SMB1 command", value: u64::from(header[4]) });
        }
        let words = usize::from(reader.u8()?);
        reader.skip(words * 2)?;
        let length = usize::from(reader.u16()?);
        let mut dialects = Vec::new();
        let mut rest = reader.take(length)?;
        while let [format, text @ ..] = rest {
            if *format != 2 {
                return Err(WireError::BadValue { what: "SMB1 dialect format", value: u64::from(*format) });
            }
            let end = text.iter().position(|byte| *byte == 0).ok_or(WireError::BadName { what })?;
            dialects.push(String::from_utf8_lossy(&text[..end]).into_owned());
            rest = &text[end + 1..];
        }
        Ok(Self { dialects })
    }

    /// Whether the client offers this dialect string.
    pub fn offers(&self, dialect: &str) -> bool {
        self.dialects.iter().any(|offered| offered == dialect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(dialects: &[u8]) -> Vec<u8> {
        let mut out = b"\xFFSMBr".to_vec();
        out.resize(HEADER_LEN, 0);
        out.push(0);
        out.extend_from_slice(&(dialects.len() as u16).to_le_bytes());
        out.extend_from_slice(dialects);
        out
    }

    #[test]
    fn dialect_strings() {
        let request =
            Smb1NegotiateRequest::decode(&message(b"\x02NT LM 0.12\0\x02SMB 2.002\0\x02SMB 2.???\0"))
                .unwrap();
        assert_eq!(request.dialects, ["NT LM 0.12", "SMB 2.002", "SMB 2.???"]);
        assert!(request.offers(DIALECT_SMB_2_WILDCARD) && !request.offers("SMB 3"));
    }

    #[test]
    fn malformed_lists_are_refused() {
        for bad in [&b"\x02NT LM 0.12"[..], b"\x03NT\0"] {
            assert!(Smb1NegotiateRequest::decode(&message(bad)).is_err());
        }
        let mut other = message(b"");
        other[4] = 0x73;
        assert!(Smb1NegotiateRequest::decode(&other).is_err());
    }
}

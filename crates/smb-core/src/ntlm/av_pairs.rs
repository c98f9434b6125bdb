//! Target information: the attribute-value pairs of CHALLENGE and of the NTLMv2 response (MS-NLMP 2.2.2.1).

use smb_wire::time::FileTime;

use super::messages::utf16;

const END: u16 = 0x0000;
const NETBIOS_COMPUTER: u16 = 0x0001;
const NETBIOS_DOMAIN: u16 = 0x0002;
const DNS_COMPUTER: u16 = 0x0003;
const DNS_DOMAIN: u16 = 0x0004;
const FLAGS: u16 = 0x0006;
const TIMESTAMP: u16 = 0x0007;

/// In `MsvAvFlags`: the AUTHENTICATE message carries a message integrity code.
const FLAG_MIC: u32 = 0x0000_0002;

/// What the server calls itself in its challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetNames {
    /// NetBIOS name of the server: at most 15 characters, upper case by custom.
    pub netbios_computer: String,
    /// NetBIOS name of its domain or workgroup; a standalone server repeats its own name.
    pub netbios_domain: String,
    /// Fully qualified DNS name of the server.
    pub dns_computer: String,
    /// DNS name of its domain; may be empty.
    pub dns_domain: String,
}

impl TargetNames {
    /// The names of a standalone server called `host`: a DNS name or a bare host name.
    pub fn standalone(host: &str) -> Self {
        let (label, domain) = host.split_once('.').unwrap_or((host, ""));
        let netbios: String = label.chars().take(15).flat_map(char::to_uppercase).collect();
        Self {
            netbios_computer: netbios.clone(),
            netbios_domain: netbios,
            dns_computer: host.to_owned(),
            dns_domain: domain.to_owned(),
        }
    }

    /// The target information of a challenge made `now`.
    ///
    /// The timestamp makes clients leave out the LM response and add the message integrity code.
    pub(super) fn target_info(&self, now: FileTime) -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out, NETBIOS_DOMAIN, &utf16(&self.netbios_domain));
        push(&mut out, NETBIOS_COMPUTER, &utf16(&self.netbios_computer));
        push(&mut out, DNS_DOMAIN, &utf16(&self.dns_domain));
        push(&mut out, DNS_COMPUTER, &utf16(&self.dns_computer));
        push(&mut out, TIMESTAMP, &now.0.to_le_bytes());
        push(&mut out, END, &[]);
        out
    }
}

fn push(out: &mut Vec<u8>, id: u16, value: &[u8]) {
    // DNS names have at most 255 characters; a longer configured name is cut to what the field can say.
    let len = value.len().min(usize::from(u16::MAX) & !1) as u16;
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&value[..usize::from(len)]);
}

/// Whether the pairs of a client's response announce a message integrity code; `None` if they are malformed.
pub(super) fn announces_mic(mut pairs: &[u8]) -> Option<bool> {
    let mut announced = false;
    loop {
        let (head, rest) = pairs.split_at_checked(4)?;
        let id = u16::from_le_bytes([head[0], head[1]]);
        let len = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let (value, rest) = rest.split_at_checked(len)?;
        match id {
            END => return Some(announced),
            FLAGS => announced |= u32::from_le_bytes(value.try_into().ok()?) & FLAG_MIC != 0,
            _ => {}
        }
        pairs = rest;
    }
}

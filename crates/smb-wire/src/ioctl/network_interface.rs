//! FSCTL_QUERY_NETWORK_INTERFACE_INFO (MS-SMB2 2.2.32.5): the addresses for further channels.

use crate::{
    cursor::{Fixed, Put},
    error::WireError,
};
use bitflags::bitflags;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

bitflags! {
    /// What an interface can do.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct InterfaceCapability: u32 {
        /// Receive-side scaling: several channels are worth while.
        const RSS = 0x0000_0001;
        /// Remote direct memory access.
        const RDMA = 0x0000_0002;
        const _ = !0;
    }
}

/// One address of one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkInterface {
    /// Index of the interface; its addresses share it.
    pub index: u32,
    /// What it can do.
    pub capability: InterfaceCapability,
    /// Speed in bits per second.
    pub link_speed: u64,
    /// The address.
    pub address: IpAddr,
}

const ENTRY_LEN: usize = 152;
const FAMILY_IPV4: u16 = 0x0002;
const FAMILY_IPV6: u16 = 0x0017;

/// Appends the output buffer: as many whole interfaces as fit into `max_length` bytes. Gives false when
/// some did not fit (`BUFFER_TOO_SMALL`).
pub fn encode_network_interfaces(
    interfaces: &[NetworkInterface],
    max_length: usize,
    out: &mut Vec<u8>,
) -> bool {
    let fitting = interfaces.len().min(max_length / ENTRY_LEN);
    for (index, interface) in interfaces[..fitting].iter().enumerate() {
        let start = out.len();
        out.size32(if index + 1 == fitting { 0 } else { ENTRY_LEN });
        out.u32(interface.index);
        out.u32(interface.capability.bits());
        out.u32(0);
        out.u64(interface.link_speed);
        match interface.address {
            IpAddr::V4(address) => {
                out.u16(FAMILY_IPV4);
                out.u16(0);
                out.bytes(&address.octets());
            }
            IpAddr::V6(address) => {
                out.u16(FAMILY_IPV6);
                out.zeros(6);
                out.bytes(&address.octets());
            }
        }
        out.resize(start + ENTRY_LEN, 0);
    }
    fitting == interfaces.len()
}

/// Reads the output buffer; addresses of other families are left out.
pub fn decode_network_interfaces(output: &[u8]) -> Result<Vec<NetworkInterface>, WireError> {
    let what = "NETWORK_INTERFACE_INFO";
    let mut interfaces = Vec::new();
    let mut rest = output;
    while !rest.is_empty() {
        let fixed = Fixed::<ENTRY_LEN>::new(rest, what)?;
        let address = match fixed.u16(24) {
            FAMILY_IPV4 => Some(IpAddr::V4(Ipv4Addr::from(fixed.array::<4>(28)))),
            FAMILY_IPV6 => Some(IpAddr::V6(Ipv6Addr::from(fixed.array::<16>(32)))),
            _ => None,
        };
        interfaces.extend(address.map(|address| NetworkInterface {
            index: fixed.u32(4),
            capability: InterfaceCapability::from_bits_retain(fixed.u32(8)),
            link_speed: fixed.u64(16),
            address,
        }));
        rest = match fixed.size32(0) {
            0 => &[],
            next if next >= ENTRY_LEN && next < rest.len() => &rest[next..],
            next => return Err(WireError::BadRange { what, offset: next, length: rest.len() }),
        };
    }
    Ok(interfaces)
}

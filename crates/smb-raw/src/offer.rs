//! What a client of today offers in its NEGOTIATE; tests bend it from there.

use bytes::Bytes;
use smb_wire::ids::Guid;
use smb_wire::negotiate::{
    Capabilities, Dialect, NegotiateContext, NegotiateRequest, SecurityMode, cipher, hash, signing,
};

/// The client that all connections of a test belong to.
pub const CLIENT_GUID: Guid = *b"a raw SMB client";

/// An offer of these dialects; with 3.1.1 among them AES-128-GCM, GMAC and CMAC.
pub fn offer(dialects: &[Dialect]) -> NegotiateRequest {
    let smb3 = Capabilities::LEASING
        | Capabilities::LARGE_MTU
        | Capabilities::MULTI_CHANNEL
        | Capabilities::DIRECTORY_LEASING
        | Capabilities::ENCRYPTION;
    NegotiateRequest {
        security_mode: SecurityMode::SIGNING_ENABLED,
        capabilities: if dialects.iter().any(|dialect| *dialect >= Dialect::SMB_3_0) {
            smb3
        } else {
            Capabilities::empty()
        },
        client_guid: CLIENT_GUID,
        dialects: dialects.to_vec(),
        contexts: if dialects.contains(&Dialect::SMB_3_1_1) { contexts() } else { Vec::new() },
    }
}

fn contexts() -> Vec<NegotiateContext> {
    vec![
        NegotiateContext::PreauthIntegrity {
            hash_algorithms: vec![hash::SHA_512],
            salt: Bytes::from_static(&[7; 32]),
        },
        NegotiateContext::Encryption { ciphers: vec![cipher::AES_128_GCM] },
        NegotiateContext::Signing { algorithms: vec![signing::AES_GMAC, signing::AES_CMAC] },
    ]
}

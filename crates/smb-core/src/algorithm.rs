//! Ciphers and signing algorithms that this server has, and what each dialect can do.
//!
//! Numbers that this server does not know become `None` and are passed over, as MS-SMB2 asks for lists that a
//! newer client may have extended.

use smb_wire::negotiate::{Dialect, cipher, signing};

/// The dialects that this server speaks, oldest first.
pub const DIALECTS: [Dialect; 5] =
    [Dialect::SMB_2_0_2, Dialect::SMB_2_1, Dialect::SMB_3_0, Dialect::SMB_3_0_2, Dialect::SMB_3_1_1];

/// Whether this is one of the 3.x dialects, which have encryption and a key for each purpose.
pub fn is_smb3(dialect: Dialect) -> bool {
    dialect >= Dialect::SMB_3_0
}

/// An encryption algorithm (MS-SMB2 2.2.3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Cipher {
    /// AES-128 in CCM mode: the only cipher of SMB 3.0 and 3.0.2.
    Aes128Ccm = cipher::AES_128_CCM,
    /// AES-128 in GCM mode.
    Aes128Gcm = cipher::AES_128_GCM,
    /// AES-256 in CCM mode.
    Aes256Ccm = cipher::AES_256_CCM,
    /// AES-256 in GCM mode.
    Aes256Gcm = cipher::AES_256_GCM,
}

impl Cipher {
    /// All ciphers in this server's order of preference: fastest first.
    pub const PREFERENCE: [Self; 4] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::Aes128Ccm, Self::Aes256Ccm];

    /// The cipher of this wire number, or `None` for an unknown one.
    pub fn from_wire(number: u16) -> Option<Self> {
        Self::PREFERENCE.into_iter().find(|cipher| cipher.wire() == number)
    }

    /// The number on the wire.
    pub const fn wire(self) -> u16 {
        self as u16
    }

    /// Length of the key in bytes: 16 or 32.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Ccm | Self::Aes128Gcm => 16,
            Self::Aes256Ccm | Self::Aes256Gcm => 32,
        }
    }

    /// Length of the nonce in bytes at the front of the transform header's nonce field (MS-SMB2 2.2.41).
    pub const fn nonce_len(self) -> usize {
        match self {
            Self::Aes128Ccm | Self::Aes256Ccm => 11,
            Self::Aes128Gcm | Self::Aes256Gcm => 12,
        }
    }
}

/// A signing algorithm (MS-SMB2 2.2.3.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum SigningAlgorithm {
    /// HMAC-SHA256, its first 16 bytes: dialects 2.0.2 and 2.1.
    HmacSha256 = signing::HMAC_SHA256,
    /// AES-128-CMAC: dialects 3.x.
    AesCmac = signing::AES_CMAC,
    /// AES-128-GMAC: dialect 3.1.1, when both sides name it.
    AesGmac = signing::AES_GMAC,
}

impl SigningAlgorithm {
    /// All signing algorithms in this server's order of preference: fastest first.
    pub const PREFERENCE: [Self; 3] = [Self::AesGmac, Self::AesCmac, Self::HmacSha256];

    /// The algorithm of this wire number, or `None` for an unknown one.
    pub fn from_wire(number: u16) -> Option<Self> {
        Self::PREFERENCE.into_iter().find(|algorithm| algorithm.wire() == number)
    }

    /// The number on the wire.
    pub const fn wire(self) -> u16 {
        self as u16
    }

    /// What a dialect signs with when no signing capabilities were exchanged (MS-SMB2 3.3.5.4).
    pub fn default_of(dialect: Dialect) -> Self {
        if is_smb3(dialect) { Self::AesCmac } else { Self::HmacSha256 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_numbers_round_trip_and_unknown_ones_are_none() {
        for cipher in Cipher::PREFERENCE {
            assert_eq!(Cipher::from_wire(cipher.wire()), Some(cipher));
        }
        for algorithm in SigningAlgorithm::PREFERENCE {
            assert_eq!(SigningAlgorithm::from_wire(algorithm.wire()), Some(algorithm));
        }
        assert_eq!(Cipher::from_wire(0), None);
        assert_eq!(SigningAlgorithm::from_wire(3), None);
    }
}

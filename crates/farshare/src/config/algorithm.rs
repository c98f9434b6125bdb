//! `[smb] signing_algorithms` and `ciphers`: what clients of 3.1.1 may choose from, preferred ones first.

use super::ConfigError;
use super::settle::Source;
use serde::Deserialize;
use smb_core::algorithm::{Cipher, SigningAlgorithm};
use toml::Spanned;

#[derive(Clone, Copy, Deserialize)]
pub enum SigningName {
    #[serde(rename = "aes-gmac")]
    AesGmac,
    #[serde(rename = "aes-cmac")]
    AesCmac,
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

#[derive(Clone, Copy, Deserialize)]
pub enum CipherName {
    #[serde(rename = "aes-128-gcm")]
    Aes128Gcm,
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
    #[serde(rename = "aes-128-ccm")]
    Aes128Ccm,
    #[serde(rename = "aes-256-ccm")]
    Aes256Ccm,
}

impl From<SigningName> for SigningAlgorithm {
    fn from(name: SigningName) -> SigningAlgorithm {
        match name {
            SigningName::AesGmac => SigningAlgorithm::AesGmac,
            SigningName::AesCmac => SigningAlgorithm::AesCmac,
            SigningName::HmacSha256 => SigningAlgorithm::HmacSha256,
        }
    }
}

impl From<CipherName> for Cipher {
    fn from(name: CipherName) -> Cipher {
        match name {
            CipherName::Aes128Gcm => Cipher::Aes128Gcm,
            CipherName::Aes256Gcm => Cipher::Aes256Gcm,
            CipherName::Aes128Ccm => Cipher::Aes128Ccm,
            CipherName::Aes256Ccm => Cipher::Aes256Ccm,
        }
    }
}

/// What is in a list, or the default where none is written.
pub(super) fn settle<N: Copy, T: From<N>>(
    source: &Source<'_>,
    written: Option<Spanned<Vec<N>>>,
    default: Vec<T>,
    instead: &str,
) -> Result<Vec<T>, ConfigError> {
    match written {
        Some(list) if list.get_ref().is_empty() => {
            source.wrong(list.span(), format!("an empty list; leave it out for all of them, or {instead}"))
        }
        Some(list) => Ok(list.into_inner().into_iter().map(T::from).collect()),
        None => Ok(default),
    }
}

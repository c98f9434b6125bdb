//! Which dialect, algorithms and capabilities a connection gets (MS-SMB2 3.3.5.3, 3.3.5.4, 3.3.5.15.12).
//!
//! [`negotiate`] answers an SMB2 NEGOTIATE, [`multi_protocol`] the SMB1 one that old clients begin with, and
//! [`Agreement::is_unaltered`] checks afterwards (3.0 and 3.0.2) that nobody edited the first exchange.
//!
//! The newest common dialect wins. Of ciphers and signing algorithms the server's order of preference counts.
//! A capability is answered only if the server has it, the dialect knows it and, where MS-SMB2 asks for it, the
//! client has it too. In 3.1.1 encryption is agreed by context, never by capability bit.

use bytes::Bytes;
use smb_wire::ids::Guid;
use smb_wire::negotiate::context::POSIX_VERSION;
use smb_wire::negotiate::{
    Capabilities, Dialect, NegotiateContext, NegotiateRequest, SecurityMode, compression, hash,
};
use smb_wire::smb1::{DIALECT_SMB_2_002, DIALECT_SMB_2_WILDCARD, Smb1NegotiateRequest};
use smb_wire::status::NtStatus;

use crate::algorithm::{Cipher, DIALECTS, SigningAlgorithm, is_smb3};
use crate::compression::{Compression, CompressionAgreement};

/// Largest read, write or transaction without `LARGE_MTU`, in bytes.
pub const SMALL_TRANSFER_BYTES: u32 = 65536;
/// Length of the salt in the preauthentication integrity answer, in bytes (as Windows sends).
pub const SALT_LEN: usize = 32;

/// Whether this server encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncryptionPolicy {
    /// No cipher is ever agreed.
    Off,
    /// A cipher is agreed with every client that has one.
    Desired,
    /// Clients without a common cipher are refused.
    Required,
}

/// What this server offers and demands.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Oldest dialect accepted.
    pub min_dialect: Dialect,
    /// Newest dialect accepted.
    pub max_dialect: Dialect,
    /// Ciphers, preferred ones first.
    pub ciphers: Vec<Cipher>,
    /// Signing algorithms for 3.1.1, preferred ones first.
    pub signing_algorithms: Vec<SigningAlgorithm>,
    /// Whether every session must sign or encrypt.
    pub signing_required: bool,
    /// Whether sessions encrypt.
    pub encryption: EncryptionPolicy,
    /// Compression algorithms for 3.1.1, preferred ones first; with none nothing is ever compressed.
    pub compression: Vec<Compression>,
    /// Whether the SMB3 POSIX extensions are agreed with clients that ask for them, in 3.1.1.
    pub posix_extensions: bool,
    /// What the server really has, whatever the dialect. `ENCRYPTION` is ignored: it follows from `encryption`.
    pub capabilities: Capabilities,
    /// Largest read, write or transaction with `LARGE_MTU`, in bytes.
    pub max_transfer_bytes: u32,
}

impl Default for Policy {
    /// 3.0.2 to 3.1.1, signing required, encryption desired, 8 MiB transfers, leases and multichannel; no
    /// compression, no POSIX extensions.
    fn default() -> Self {
        Self {
            min_dialect: Dialect::SMB_3_0_2,
            max_dialect: Dialect::SMB_3_1_1,
            ciphers: Cipher::PREFERENCE.to_vec(),
            signing_algorithms: SigningAlgorithm::PREFERENCE.to_vec(),
            signing_required: true,
            encryption: EncryptionPolicy::Desired,
            compression: Vec::new(),
            posix_extensions: false,
            capabilities: Capabilities::LEASING
                | Capabilities::LARGE_MTU
                | Capabilities::MULTI_CHANNEL
                | Capabilities::DIRECTORY_LEASING,
            max_transfer_bytes: 8 << 20,
        }
    }
}

/// What a connection has agreed on. Keep it with the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The dialect; [`Dialect::WILDCARD`] when the client must send an SMB2 NEGOTIATE next.
    pub dialect: Dialect,
    /// The cipher, if sessions may encrypt.
    pub cipher: Option<Cipher>,
    /// The signing algorithm.
    pub signing: SigningAlgorithm,
    /// How messages may be compressed, if they may.
    pub compression: Option<CompressionAgreement>,
    /// Whether the client may use the SMB3 POSIX extensions.
    pub posix_extensions: bool,
    /// Whether sessions must sign: either side demands it.
    pub signing_required: bool,
    /// The server's security mode for the response.
    pub security_mode: SecurityMode,
    /// The server's capabilities for the response.
    pub capabilities: Capabilities,
    /// `MaxTransactSize`, `MaxReadSize` and `MaxWriteSize` for the response, in bytes.
    pub max_transfer_bytes: u32,
    /// Negotiate contexts for the response, 3.1.1 only.
    pub contexts: Vec<NegotiateContext>,
    /// The client's GUID; zero from an SMB1 NEGOTIATE.
    pub client_guid: Guid,
    /// The client's security mode.
    pub client_security_mode: SecurityMode,
    /// The client's capabilities.
    pub client_capabilities: Capabilities,
}

/// Decides on an SMB2 NEGOTIATE. `salt` is fresh random bytes. On error answer with the status.
pub fn negotiate(
    request: &NegotiateRequest,
    policy: &Policy,
    salt: [u8; SALT_LEN],
) -> Result<Agreement, NtStatus> {
    if request.dialects.is_empty() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let dialect = newest_common(&request.dialects, policy).ok_or(NtStatus::NOT_SUPPORTED)?;
    let mut agreement = Agreement {
        signing_required: policy.signing_required
            || request.security_mode.contains(SecurityMode::SIGNING_REQUIRED),
        client_guid: request.client_guid,
        client_security_mode: request.security_mode,
        client_capabilities: request.capabilities,
        ..plain_agreement(dialect, policy)
    };
    if dialect == Dialect::SMB_3_1_1 {
        agree_by_contexts(&mut agreement, &request.contexts, policy, salt)?;
    } else if is_smb3(dialect) && request.capabilities.contains(Capabilities::ENCRYPTION) {
        agreement.cipher = usable_ciphers(policy).find(|cipher| *cipher == Cipher::Aes128Ccm);
    }
    if policy.encryption == EncryptionPolicy::Required && agreement.cipher.is_none() {
        return Err(NtStatus::ACCESS_DENIED);
    }
    agreement.capabilities = capabilities_for(&agreement, policy);
    Ok(agreement)
}

/// Decides on an SMB1 NEGOTIATE that offers SMB2: the wildcard or 2.0.2. On error answer with the status.
pub fn multi_protocol(request: &Smb1NegotiateRequest, policy: &Policy) -> Result<Agreement, NtStatus> {
    let required = policy.encryption == EncryptionPolicy::Required;
    let dialect = if request.offers(DIALECT_SMB_2_WILDCARD) && policy.max_dialect > Dialect::SMB_2_0_2 {
        Dialect::WILDCARD
    } else if request.offers(DIALECT_SMB_2_002) && policy.min_dialect <= Dialect::SMB_2_0_2 && !required {
        Dialect::SMB_2_0_2
    } else {
        return Err(NtStatus::NOT_SUPPORTED);
    };
    let mut agreement = plain_agreement(dialect, policy);
    agreement.capabilities = capabilities_for(&agreement, policy);
    Ok(agreement)
}

impl Agreement {
    /// Checks an `FSCTL_VALIDATE_NEGOTIATE_INFO` request against this agreement (MS-SMB2 3.3.5.15.12).
    ///
    /// If it returns `false`, someone edited the negotiation: drop the connection without an answer. Otherwise
    /// answer with this agreement's capabilities, server GUID, security mode and dialect. A 3.1.1 client never
    /// asks.
    pub fn is_unaltered(
        &self,
        policy: &Policy,
        capabilities: Capabilities,
        client_guid: &Guid,
        security_mode: SecurityMode,
        dialects: &[Dialect],
    ) -> bool {
        self.dialect != Dialect::SMB_3_1_1
            && newest_common(dialects, policy) == Some(self.dialect)
            && *client_guid == self.client_guid
            && security_mode == self.client_security_mode
            && capabilities == self.client_capabilities
    }
}

fn newest_common(offered: &[Dialect], policy: &Policy) -> Option<Dialect> {
    let oldest = match policy.encryption {
        EncryptionPolicy::Required => policy.min_dialect.max(Dialect::SMB_3_0),
        EncryptionPolicy::Off | EncryptionPolicy::Desired => policy.min_dialect,
    };
    let accepted = oldest..=policy.max_dialect;
    DIALECTS.into_iter().rev().find(|dialect| accepted.contains(dialect) && offered.contains(dialect))
}

/// What follows from the dialect and the policy alone.
fn plain_agreement(dialect: Dialect, policy: &Policy) -> Agreement {
    let mut security_mode = SecurityMode::SIGNING_ENABLED;
    security_mode.set(SecurityMode::SIGNING_REQUIRED, policy.signing_required);
    let large = policy.capabilities.contains(Capabilities::LARGE_MTU) && dialect > Dialect::SMB_2_0_2;
    Agreement {
        dialect,
        cipher: None,
        signing: SigningAlgorithm::default_of(dialect),
        compression: None,
        posix_extensions: false,
        signing_required: policy.signing_required,
        security_mode,
        capabilities: Capabilities::empty(),
        max_transfer_bytes: if large { policy.max_transfer_bytes } else { SMALL_TRANSFER_BYTES },
        contexts: Vec::new(),
        client_guid: Guid::default(),
        client_security_mode: SecurityMode::empty(),
        client_capabilities: Capabilities::empty(),
    }
}

fn usable_ciphers(policy: &Policy) -> impl Iterator<Item = Cipher> + '_ {
    let allowed = policy.encryption != EncryptionPolicy::Off;
    policy.ciphers.iter().copied().filter(move |_| allowed)
}

/// The contexts of 3.1.1: preauthentication integrity must be there, each kind may be there once.
fn agree_by_contexts(
    agreement: &mut Agreement,
    offered: &[NegotiateContext],
    policy: &Policy,
    salt: [u8; SALT_LEN],
) -> Result<(), NtStatus> {
    let (mut preauth, mut ciphers, mut algorithms) = (None, None, None);
    let mut compression = None;
    for context in offered {
        let repeated = match context {
            NegotiateContext::PreauthIntegrity { hash_algorithms, .. } => preauth.replace(hash_algorithms),
            NegotiateContext::Encryption { ciphers: offered } => ciphers.replace(offered),
            NegotiateContext::Signing { algorithms: offered } => algorithms.replace(offered),
            NegotiateContext::Compression { flags, algorithms: offered } => {
                compression.replace((*flags, offered)).map(|(_, offered)| offered)
            }
            NegotiateContext::Posix(versions) => {
                let knows_ours =
                    versions.chunks_exact(POSIX_VERSION.len()).any(|version| version == POSIX_VERSION);
                agreement.posix_extensions |= policy.posix_extensions && knows_ours;
                None
            }
            _ => None,
        };
        if repeated.is_some() {
            return Err(NtStatus::INVALID_PARAMETER);
        }
    }
    let hashes = preauth.filter(|hashes| !hashes.is_empty()).ok_or(NtStatus::INVALID_PARAMETER)?;
    if !hashes.contains(&hash::SHA_512) {
        return Err(NtStatus::SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP);
    }
    let hash_algorithms = vec![hash::SHA_512];
    let salt = Bytes::copy_from_slice(&salt);
    agreement.contexts.push(NegotiateContext::PreauthIntegrity { hash_algorithms, salt });
    if let Some(offered) = ciphers {
        if offered.is_empty() {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        agreement.cipher = usable_ciphers(policy).find(|cipher| offered.contains(&cipher.wire()));
        // Cipher 0 says that there is none in common (MS-SMB2 3.3.5.4).
        let ciphers = vec![agreement.cipher.map_or(0, Cipher::wire)];
        agreement.contexts.push(NegotiateContext::Encryption { ciphers });
    }
    if let Some(offered) = algorithms {
        if offered.is_empty() {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let common = policy.signing_algorithms.iter().find(|algorithm| offered.contains(&algorithm.wire()));
        if let Some(algorithm) = common {
            agreement.signing = *algorithm;
            let algorithms = vec![algorithm.wire()];
            agreement.contexts.push(NegotiateContext::Signing { algorithms });
        }
    }
    if let Some((flags, offered)) = compression {
        agree_on_compression(agreement, flags, offered, policy)?;
    }
    if agreement.posix_extensions {
        agreement.contexts.push(NegotiateContext::Posix(Bytes::from_static(&POSIX_VERSION)));
    }
    Ok(())
}

/// The answer to an offer of compression; where nothing is in common it says so, unless this server never compresses.
fn agree_on_compression(
    agreement: &mut Agreement,
    flags: u32,
    offered: &[u16],
    policy: &Policy,
) -> Result<(), NtStatus> {
    if offered.is_empty() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    if policy.compression.is_empty() {
        return Ok(());
    }
    agreement.compression = CompressionAgreement::from_offer(flags, offered, &policy.compression);
    let (flags, algorithms) = match &agreement.compression {
        None => (0, vec![compression::NONE]),
        Some(agreed) => {
            let flags = if agreed.is_chained { compression::FLAG_CHAINED } else { 0 };
            (flags, agreed.algorithms.iter().map(|algorithm| algorithm.wire()).collect())
        }
    };
    agreement.contexts.push(NegotiateContext::Compression { flags, algorithms });
    Ok(())
}

fn capabilities_for(agreement: &Agreement, policy: &Policy) -> Capabilities {
    let mut known = Capabilities::DFS;
    if agreement.dialect > Dialect::SMB_2_0_2 {
        known |= Capabilities::LEASING | Capabilities::LARGE_MTU;
    }
    if is_smb3(agreement.dialect) {
        let both_sides = Capabilities::MULTI_CHANNEL
            | Capabilities::PERSISTENT_HANDLES
            | Capabilities::DIRECTORY_LEASING
            | Capabilities::NOTIFICATIONS;
        known |= both_sides & agreement.client_capabilities;
    }
    if agreement.dialect != Dialect::SMB_3_1_1 {
        known -= Capabilities::NOTIFICATIONS;
    }
    let mut capabilities = policy.capabilities & known;
    let by_capability = agreement.cipher.is_some() && agreement.dialect != Dialect::SMB_3_1_1;
    capabilities.set(Capabilities::ENCRYPTION, by_capability);
    capabilities
}

//! Negotiation: what each kind of client gets, and what must be refused.

use bytes::Bytes;
use smb_core::algorithm::{Cipher, SigningAlgorithm};
use smb_core::compression::Compression;
use smb_core::negotiate::{Agreement, EncryptionPolicy, Policy, SALT_LEN, multi_protocol, negotiate};
use smb_wire::negotiate::context::POSIX_VERSION;
use smb_wire::negotiate::{Capabilities, Dialect, NegotiateContext, NegotiateRequest, SecurityMode};
use smb_wire::smb1::Smb1NegotiateRequest;
use smb_wire::status::NtStatus;

const ALL: [Dialect; 5] =
    [Dialect::SMB_2_0_2, Dialect::SMB_2_1, Dialect::SMB_3_0, Dialect::SMB_3_0_2, Dialect::SMB_3_1_1];
const SALT: [u8; SALT_LEN] = [4; SALT_LEN];

fn preauth(hash_algorithms: Vec<u16>) -> NegotiateContext {
    NegotiateContext::PreauthIntegrity { hash_algorithms, salt: Bytes::from_static(&[1; 32]) }
}

fn request(dialects: &[Dialect], contexts: Vec<NegotiateContext>) -> NegotiateRequest {
    NegotiateRequest {
        security_mode: SecurityMode::SIGNING_ENABLED,
        capabilities: Capabilities::from_bits_retain(0x7f),
        client_guid: [8; 16],
        dialects: dialects.to_vec(),
        contexts,
    }
}

fn windows_11() -> NegotiateRequest {
    let contexts = vec![
        preauth(vec![1]),
        NegotiateContext::Encryption { ciphers: vec![2, 1, 4, 3] },
        NegotiateContext::Signing { algorithms: vec![2, 1, 0] },
        NegotiateContext::Other { context_type: 0x7777, data: Bytes::new() },
    ];
    request(&ALL, contexts)
}

fn open_policy() -> Policy {
    Policy { min_dialect: Dialect::SMB_2_0_2, signing_required: false, ..Policy::default() }
}

fn agree(request: &NegotiateRequest, policy: &Policy) -> Agreement {
    negotiate(request, policy, SALT).unwrap()
}

#[test]
fn windows_11_gets_the_fastest_of_everything() {
    let agreement = agree(&windows_11(), &Policy::default());
    assert_eq!(agreement.dialect, Dialect::SMB_3_1_1);
    assert_eq!(agreement.cipher, Some(Cipher::Aes128Gcm));
    assert_eq!(agreement.signing, SigningAlgorithm::AesGmac);
    assert!(agreement.signing_required);
    assert_eq!(agreement.security_mode, SecurityMode::SIGNING_ENABLED | SecurityMode::SIGNING_REQUIRED);
    assert_eq!(agreement.max_transfer_bytes, 8 << 20);
    assert_eq!(agreement.capabilities, Policy::default().capabilities, "no ENCRYPTION bit in 3.1.1");
    let salt = Bytes::copy_from_slice(&SALT);
    let contexts = [
        NegotiateContext::PreauthIntegrity { hash_algorithms: vec![1], salt },
        NegotiateContext::Encryption { ciphers: vec![2] },
        NegotiateContext::Signing { algorithms: vec![2] },
    ];
    assert_eq!(agreement.contexts, contexts);
}

#[test]
fn each_dialect_gets_the_capabilities_it_knows() {
    let leasing = Capabilities::LEASING | Capabilities::LARGE_MTU;
    let smb3 =
        leasing | Capabilities::MULTI_CHANNEL | Capabilities::DIRECTORY_LEASING | Capabilities::ENCRYPTION;
    for (dialect, capabilities, bytes) in [
        (Dialect::SMB_2_0_2, Capabilities::empty(), 65536),
        (Dialect::SMB_2_1, leasing, 8 << 20),
        (Dialect::SMB_3_0, smb3, 8 << 20),
        (Dialect::SMB_3_0_2, smb3, 8 << 20),
    ] {
        let agreement = agree(&request(&[dialect], Vec::new()), &open_policy());
        assert_eq!(agreement.dialect, dialect);
        assert_eq!(agreement.capabilities, capabilities, "{dialect}");
        assert_eq!(agreement.max_transfer_bytes, bytes);
        assert_eq!(agreement.contexts, []);
        assert_eq!(agreement.signing, SigningAlgorithm::default_of(dialect));
        let encrypts = dialect >= Dialect::SMB_3_0;
        assert_eq!(agreement.cipher, encrypts.then_some(Cipher::Aes128Ccm));
    }
}

#[test]
fn capabilities_that_need_both_sides() {
    let mut plain = request(&[Dialect::SMB_3_0_2], Vec::new());
    plain.capabilities = Capabilities::empty();
    let agreement = agree(&plain, &open_policy());
    assert_eq!(agreement.capabilities, Capabilities::LEASING | Capabilities::LARGE_MTU);
    assert_eq!(agreement.cipher, None);
}

#[test]
fn policy_bounds_the_dialects() {
    let newest = |dialects: &[Dialect], policy: &Policy| {
        negotiate(&request(dialects, vec![preauth(vec![1])]), policy, SALT).map(|agreement| agreement.dialect)
    };
    let default = Policy::default();
    assert_eq!(newest(&[Dialect::SMB_2_1, Dialect::SMB_3_0], &default), Err(NtStatus::NOT_SUPPORTED));
    assert_eq!(newest(&[Dialect(0x0399)], &default), Err(NtStatus::NOT_SUPPORTED));
    assert_eq!(newest(&[], &default), Err(NtStatus::INVALID_PARAMETER));
    assert_eq!(newest(&[Dialect::WILDCARD], &open_policy()), Err(NtStatus::NOT_SUPPORTED));
    let capped = Policy { max_dialect: Dialect::SMB_3_0, ..open_policy() };
    assert_eq!(newest(&ALL, &capped), Ok(Dialect::SMB_3_0));
    assert_eq!(newest(&[Dialect(0x0399), Dialect::SMB_3_1_1], &default), Ok(Dialect::SMB_3_1_1));
}

#[test]
fn contexts_of_3_1_1_are_checked() {
    let refuse = |contexts, status| {
        let request = request(&[Dialect::SMB_3_1_1], contexts);
        assert_eq!(negotiate(&request, &Policy::default(), SALT), Err(status));
    };
    refuse(vec![], NtStatus::INVALID_PARAMETER);
    refuse(vec![preauth(vec![])], NtStatus::INVALID_PARAMETER);
    refuse(vec![preauth(vec![2])], NtStatus::SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP);
    refuse(vec![preauth(vec![1]), preauth(vec![1])], NtStatus::INVALID_PARAMETER);
    let encryption = |ciphers| NegotiateContext::Encryption { ciphers };
    refuse(vec![preauth(vec![1]), encryption(vec![])], NtStatus::INVALID_PARAMETER);
    refuse(vec![preauth(vec![1]), encryption(vec![2]), encryption(vec![2])], NtStatus::INVALID_PARAMETER);
    let signing = |algorithms| NegotiateContext::Signing { algorithms };
    refuse(vec![preauth(vec![1]), signing(vec![])], NtStatus::INVALID_PARAMETER);
    refuse(vec![preauth(vec![1]), signing(vec![1]), signing(vec![1])], NtStatus::INVALID_PARAMETER);
}

#[test]
fn nothing_in_common() {
    let contexts = vec![
        preauth(vec![1]),
        NegotiateContext::Encryption { ciphers: vec![99] },
        NegotiateContext::Signing { algorithms: vec![99] },
    ];
    let request = request(&[Dialect::SMB_3_1_1], contexts);
    let agreement = agree(&request, &Policy::default());
    assert_eq!(agreement.cipher, None);
    assert_eq!(agreement.signing, SigningAlgorithm::AesCmac);
    assert_eq!(agreement.contexts.len(), 2);
    assert_eq!(agreement.contexts[1], NegotiateContext::Encryption { ciphers: vec![0] });
}

#[test]
fn encryption_policy() {
    let off = Policy { encryption: EncryptionPolicy::Off, ..open_policy() };
    assert_eq!(agree(&windows_11(), &off).cipher, None);
    let old = agree(&request(&[Dialect::SMB_3_0], Vec::new()), &off);
    assert!(!old.capabilities.contains(Capabilities::ENCRYPTION));

    let required = Policy { encryption: EncryptionPolicy::Required, ..open_policy() };
    assert!(agree(&windows_11(), &required).cipher.is_some());
    let outcome = |request: &NegotiateRequest| negotiate(request, &required, SALT).map(|_| ());
    assert_eq!(outcome(&request(&[Dialect::SMB_2_1], Vec::new())), Err(NtStatus::NOT_SUPPORTED));
    let without = request(&[Dialect::SMB_3_1_1], vec![preauth(vec![1])]);
    assert_eq!(outcome(&without), Err(NtStatus::ACCESS_DENIED));
    let only_256 = Policy { ciphers: vec![Cipher::Aes256Gcm], ..Policy::default() };
    assert_eq!(agree(&windows_11(), &only_256).cipher, Some(Cipher::Aes256Gcm));
    assert_eq!(agree(&request(&[Dialect::SMB_3_0_2], Vec::new()), &only_256).cipher, None);
}

#[test]
fn a_client_may_demand_signing() {
    let mut request = windows_11();
    assert!(!agree(&request, &open_policy()).signing_required);
    request.security_mode |= SecurityMode::SIGNING_REQUIRED;
    let agreement = agree(&request, &open_policy());
    assert!(agreement.signing_required);
    assert_eq!(agreement.security_mode, SecurityMode::SIGNING_ENABLED);
}

#[test]
fn smb1_clients_are_led_on_or_refused() {
    let ask = |dialects: &[&str], policy: &Policy| {
        let request = Smb1NegotiateRequest { dialects: dialects.iter().map(ToString::to_string).collect() };
        multi_protocol(&request, policy).map(|agreement| (agreement.dialect, agreement.max_transfer_bytes))
    };
    let both = ["NT LM 0.12", "SMB 2.002", "SMB 2.???"];
    assert_eq!(ask(&both, &Policy::default()), Ok((Dialect::WILDCARD, 8 << 20)));
    assert_eq!(ask(&both[..2], &open_policy()), Ok((Dialect::SMB_2_0_2, 65536)));
    assert_eq!(ask(&both[..2], &Policy::default()), Err(NtStatus::NOT_SUPPORTED));
    assert_eq!(ask(&both[..1], &open_policy()), Err(NtStatus::NOT_SUPPORTED));
    let required = Policy { encryption: EncryptionPolicy::Required, ..open_policy() };
    assert_eq!(ask(&both[..2], &required), Err(NtStatus::NOT_SUPPORTED));
}

/// A man in the middle takes dialects out, or edits another field: each edit must show.
#[test]
fn validation_notices_every_edit() {
    let policy = open_policy();
    let sent = [Dialect::SMB_2_1, Dialect::SMB_3_0, Dialect::SMB_3_0_2];
    let request = request(&sent, Vec::new());
    let agreement = agree(&request, &policy);
    let check = |capabilities, guid, mode, dialects: &[Dialect]| {
        agreement.is_unaltered(&policy, capabilities, &guid, mode, dialects)
    };
    let (capabilities, guid, mode) = (request.capabilities, request.client_guid, request.security_mode);
    assert!(check(capabilities, guid, mode, &sent));
    assert!(!check(Capabilities::empty(), guid, mode, &sent));
    assert!(!check(capabilities, [9; 16], mode, &sent));
    assert!(!check(capabilities, guid, SecurityMode::empty(), &sent));
    assert!(!check(capabilities, guid, mode, &ALL), "the client offered 3.1.1 as well");
    assert!(!check(capabilities, guid, mode, &sent[..2]));
    assert!(!check(capabilities, guid, mode, &[]));
    let newest = agree(&windows_11(), &policy);
    assert!(!newest.is_unaltered(&policy, newest.client_capabilities, &[8; 16], mode, &ALL));
}

#[test]
fn compression_is_agreed_when_both_have_it() {
    let offer = |flags, algorithms: &[u16]| {
        let algorithms = algorithms.to_vec();
        let mut request = request(&[Dialect::SMB_3_1_1], vec![preauth(vec![1])]);
        request.contexts.push(NegotiateContext::Compression { flags, algorithms });
        request
    };
    let answer = |agreement: &Agreement| {
        agreement.contexts.iter().find_map(|context| match context {
            NegotiateContext::Compression { flags, algorithms } => Some((*flags, algorithms.clone())),
            _ => None,
        })
    };
    let policy = Policy { compression: vec![Compression::PatternV1, Compression::Lz77], ..Policy::default() };
    let chained = agree(&offer(1, &[3, 2, 4, 5]), &policy);
    assert_eq!(answer(&chained), Some((1, vec![4, 2])));
    assert!(chained.compression.is_some_and(|agreed| agreed.is_chained));
    let plain = agree(&offer(0, &[2, 4]), &policy);
    assert_eq!(answer(&plain), Some((0, vec![2])));
    let nothing = agree(&offer(1, &[1]), &policy);
    assert_eq!((answer(&nothing), nothing.compression), (Some((0, vec![0])), None));
    let off = agree(&offer(1, &[2]), &Policy::default());
    assert_eq!((answer(&off), off.compression), (None, None));
    assert_eq!(negotiate(&offer(1, &[]), &policy, SALT), Err(NtStatus::INVALID_PARAMETER));
    let mut twice = offer(1, &[2]);
    twice.contexts.push(NegotiateContext::Compression { flags: 0, algorithms: vec![2] });
    assert_eq!(negotiate(&twice, &policy, SALT), Err(NtStatus::INVALID_PARAMETER));
}

#[test]
fn posix_extensions_are_agreed_by_their_version() {
    let policy = Policy { posix_extensions: true, ..Policy::default() };
    let mut request = request(&[Dialect::SMB_3_1_1], vec![preauth(vec![1])]);
    assert!(!agree(&request, &policy).posix_extensions);
    let versions = [&[7; 16][..], &POSIX_VERSION].concat();
    request.contexts.push(NegotiateContext::Posix(versions.into()));
    let agreement = agree(&request, &policy);
    assert!(agreement.posix_extensions);
    assert!(agreement.contexts.contains(&NegotiateContext::Posix(POSIX_VERSION.to_vec().into())));
    let off = agree(&request, &Policy::default());
    assert!(!off.posix_extensions && !off.contexts.iter().any(|c| matches!(c, NegotiateContext::Posix(_))));
    request.contexts.pop();
    request.contexts.push(NegotiateContext::Posix(vec![7; 20].into()));
    assert!(!agree(&request, &policy).posix_extensions);
}

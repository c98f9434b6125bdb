//! Making certificates.

use super::{CA, CA_LIFETIME, SITE_LIFETIME, file_error, files};
use crate::LinkError;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber, SubjectPublicKeyInfo,
};
use rustls_pki_types::CertificateDer;
use std::path::Path;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates begin this long before they are made, for clocks that are behind.
const BACKDATED: Duration = Duration::from_secs(3600);

fn failed(error: impl std::fmt::Display) -> LinkError {
    LinkError::Certificate(error.to_string())
}

pub(super) fn new_key() -> Result<KeyPair, LinkError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)
}

/// A self-signed authority, PEM.
pub(super) fn authority(key: &KeyPair) -> Result<String, LinkError> {
    let mut params = params("farshare certificate authority", CA_LIFETIME)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params.self_signed(key).map_err(failed)?.pem())
}

/// The authority with its key, ready to sign.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn open(dir: &Path) -> Result<Authority, LinkError> {
        let (cert_path, key_path) = (dir.join(format!("{CA}.crt")), dir.join(format!("{CA}.key")));
        let cert = files::read_cert(&cert_path)?;
        let key = KeyPair::from_pem(&files::read_key_text(&key_path)?)
            .map_err(|error| file_error(&key_path, format_args!("not a PEM key: {error}")))?;
        let parsed = X509Certificate::from_der(&cert).map_err(|error| file_error(&cert_path, error))?.1;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(file_error(&key_path, "does not belong to ca.crt beside it; bring the right one"));
        }
        let issuer = Issuer::from_ca_cert_der(&cert, key).map_err(|error| file_error(&cert_path, error))?;
        Ok(Authority { issuer })
    }

    pub(super) fn key(&self) -> &KeyPair {
        self.issuer.key()
    }

    /// A certificate for `site` and `key`, PEM.
    pub(super) fn site(&self, site: &str, key: &impl PublicKeyData) -> Result<String, LinkError> {
        let mut params = params(site, SITE_LIFETIME)?;
        params.subject_alt_names = vec![rcgen::SanType::DnsName(site.try_into().map_err(failed)?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer).map_err(failed)?.pem())
    }

    /// A new certificate for the key of an `old` one, PEM.
    pub(super) fn renewed(
        &self,
        site: &str,
        old: &CertificateDer<'_>,
        path: &Path,
    ) -> Result<String, LinkError> {
        let parsed = X509Certificate::from_der(old).map_err(|error| file_error(path, error))?.1;
        let key = SubjectPublicKeyInfo::from_der(parsed.public_key().raw)
            .map_err(|error| file_error(path, error))?;
        self.site(site, &key)
    }
}

fn params(common_name: &str, lifetime: Duration) -> Result<CertificateParams, LinkError> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(failed)?;
    serial[0] = serial[0] & 0x7f | 0x40; // positive and of full length, RFC 5280 section 4.1.2.2
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + lifetime).into();
    Ok(params)
}

//! Whom a node believes: the authority, less the certificates that were taken back.
//!
//! `revoked` in the directory of the certificates has one entry a line, in hexadecimal: a serial number, or the
//! SHA-256 of a certificate or of a public key (its SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7). Colons do not
//! count, `#` begins a comment. [`revoke`](super::revoke) writes the key, because renewed certificates keep it: with
//! one of them taken back the others would still open the door. TLS has verified a peer's certificate at its
//! handshake; [`Trust::judge`] is asked once more then, and for connections that live when any of this changes.

use super::{file_error, files, hex, sha256};
use crate::LinkError;
use rustls_pki_types::CertificateDer;
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Name of the list in the directory of the certificates.
pub const REVOKED: &str = "revoked";

/// A peer's certificate, as it was shown.
#[derive(Debug, Clone)]
pub(crate) struct PeerCertificate {
    der: CertificateDer<'static>,
    not_after: SystemTime,
}

impl PeerCertificate {
    pub(crate) fn new(der: &CertificateDer<'_>) -> Result<PeerCertificate, String> {
        let parsed = X509Certificate::from_der(der).map_err(|error| error.to_string())?.1;
        let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        let not_after = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Ok(PeerCertificate { der: der.clone().into_owned(), not_after })
    }

    pub(crate) fn has_ended(&self, now: SystemTime) -> bool {
        now >= self.not_after
    }

    /// For tests of what does not look at it.
    #[cfg(test)]
    pub(crate) fn none() -> PeerCertificate {
        let not_after = SystemTime::now() + super::SITE_LIFETIME;
        PeerCertificate { der: CertificateDer::from(Vec::new()), not_after }
    }
}

/// The authority and the list.
#[derive(Debug)]
pub(crate) struct Trust {
    authority: CertificateDer<'static>,
    revoked: Revoked,
}

impl Trust {
    pub(super) fn open(dir: &Path, authority: CertificateDer<'static>) -> Result<Trust, LinkError> {
        Ok(Trust { authority, revoked: Revoked::read(dir)? })
    }

    /// Whether a peer's certificate is good now; else why not.
    pub(crate) fn judge(&self, certificate: &PeerCertificate) -> Result<(), String> {
        let parsed = X509Certificate::from_der(&certificate.der).map_err(|error| error.to_string())?.1;
        let authority = X509Certificate::from_der(&self.authority).map_err(|error| error.to_string())?.1;
        if parsed.verify_signature(Some(authority.public_key())).is_err() {
            return Err("the certificate is of another authority".into());
        }
        if certificate.has_ended(SystemTime::now()) {
            return Err("the certificate has ended".into());
        }
        self.revoked.check(&parsed, &certificate.der)
    }
}

/// What was taken back.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    entries: HashSet<String>,
}

impl Revoked {
    pub(super) fn read(dir: &Path) -> Result<Revoked, LinkError> {
        let path = dir.join(REVOKED);
        let mut entries = HashSet::new();
        for (at, line) in files::read_list(&path)?.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim().replace(':', "").to_lowercase();
            if entry.is_empty() {
                continue;
            }
            if !entry.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let what = format!("line {}: not a serial number or SHA-256 in hexadecimal", at + 1);
                return Err(file_error(&path, what));
            }
            entries.insert(entry.trim_start_matches('0').to_owned());
        }
        Ok(Revoked { entries })
    }

    pub(super) fn check(&self, certificate: &X509Certificate<'_>, der: &[u8]) -> Result<(), String> {
        let ways = [hex(certificate.raw_serial()), sha256(der), sha256(certificate.public_key().raw)];
        match ways.iter().any(|way| self.entries.contains(way.trim_start_matches('0'))) {
            true => Err("the certificate is revoked".into()),
            false => Ok(()),
        }
    }
}

/// Adds the key of `der` to the list, unless it is there.
pub(super) fn add(dir: &Path, name: &str, der: &[u8], path: &Path) -> Result<(), LinkError> {
    let parsed = X509Certificate::from_der(der).map_err(|error| file_error(path, error))?.1;
    if Revoked::read(dir)?.check(&parsed, der).is_err() {
        return Ok(());
    }
    let list = dir.join(REVOKED);
    let mut text = files::read_list(&list)?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("{} # key of {name}\n", sha256(parsed.public_key().raw)));
    files::replace(&list, text.as_bytes(), files::CERT_MODE)
}

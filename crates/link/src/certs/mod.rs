//! The certificates of an installation: one directory, one authority, a certificate per site.
//!
//! ```text
//! ca.crt  ca.key        the authority, 10 years; ca.key is needed only where certificates are issued
//! NAME.crt  NAME.key    site NAME, 1 year; belongs on the node of that site, together with ca.crt
//! revoked               what was taken back, if there is such; belongs on every node
//! ```
//!
//! Keys are ECDSA P-256 in PKCS #8 PEM (RFC 5958), certificates X.509 v3 PEM (RFC 5280). The site name is the one
//! DNS name of the certificate's subject alternative names. Files are written whole: temporary file, fsync,
//! rename, fsync of the directory. Keys have mode 0600 and are refused when group or others can read them.
//! Renewing keeps the key, so a crash never leaves a certificate beside the wrong key.

mod files;
mod identity;
mod issue;
mod trust;

pub use identity::Identity;
pub(crate) use identity::site_of;
pub(crate) use trust::PeerCertificate;
pub use trust::REVOKED;

use crate::LinkError;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Life of the authority.
pub const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Life of a site certificate.
pub const SITE_LIFETIME: Duration = Duration::from_secs(365 * 86_400);
/// A certificate that ends sooner than this is warned of when loaded.
pub const WARN_BEFORE_END: Duration = Duration::from_secs(30 * 86_400);
/// Longest site name, characters (one DNS label, RFC 1035 section 2.3.4).
pub const MAX_SITE_NAME: usize = 63;

/// File stem of the authority; no site can have this name.
const CA: &str = "ca";

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertRole {
    /// Issues the others.
    Authority,
    /// Proves to be a site.
    Site,
}

/// One certificate, for showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertInfo {
    /// Site name, or `ca`.
    pub name: String,
    /// What it is for.
    pub role: CertRole,
    /// When it ends.
    pub not_after: SystemTime,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint: String,
    /// It was taken back.
    pub revoked: bool,
    /// Where it lies.
    pub path: PathBuf,
}

/// Makes the authority in `dir`, which is created (0700) when missing.
///
/// # Errors
/// `Certificate` when there is one already, or the directory cannot be written.
pub fn init(dir: &Path) -> Result<CertInfo, LinkError> {
    files::make_dir(dir)?;
    files::refuse_existing(
        dir,
        CA,
        "keep it, or move both files away to start anew (all sites need new certificates)",
    )?;
    let key = issue::new_key()?;
    let cert = issue::authority(&key)?;
    files::write_new(&dir.join("ca.key"), key.serialize_pem().as_bytes(), files::KEY_MODE)?;
    files::write_new(&dir.join("ca.crt"), cert.as_bytes(), files::CERT_MODE)?;
    info(dir, CA)
}

/// Makes key and certificate of a site with the authority in `dir`.
///
/// # Errors
/// `Certificate` for a name that cannot be one, a site that has a certificate already, a missing authority.
pub fn issue(dir: &Path, site: &str) -> Result<CertInfo, LinkError> {
    check_site_name(site)?;
    files::refuse_existing(dir, site, "renew it, or remove both files to issue a new key")?;
    let authority = issue::Authority::open(dir)?;
    let key = issue::new_key()?;
    let cert = authority.site(site, &key)?;
    files::write_new(&dir.join(format!("{site}.key")), key.serialize_pem().as_bytes(), files::KEY_MODE)?;
    files::write_new(&dir.join(format!("{site}.crt")), cert.as_bytes(), files::CERT_MODE)?;
    info(dir, site)
}

/// Gives a site (or the authority, `"ca"`) a new certificate for the same key, with a full life from now on.
/// Nodes use it after [`Node::reload`](crate::Node::reload).
///
/// # Errors
/// `Certificate` when the site has none in `dir`, was revoked, or the authority's key is missing.
pub fn renew(dir: &Path, name: &str) -> Result<CertInfo, LinkError> {
    let authority = issue::Authority::open(dir)?;
    let path = dir.join(format!("{name}.crt"));
    if name != CA && info(dir, name)?.revoked {
        return Err(file_error(&path, "is revoked; remove it and its key, and issue a new one"));
    }
    let cert = if name == CA {
        issue::authority(authority.key())?
    } else {
        check_site_name(name)?;
        authority.renewed(name, &files::read_cert(&path)?, &path)?
    };
    files::replace(&path, cert.as_bytes(), files::CERT_MODE)?;
    info(dir, name)
}

/// Takes back all certificates of a site's key, in the list `revoked` of `dir`. The list comes into force on each node
/// where it is copied to, with the next [`Node::reload`](crate::Node::reload).
///
/// # Errors
/// `Certificate` when the site has no certificate in `dir`, or the list cannot be read or written.
pub fn revoke(dir: &Path, site: &str) -> Result<CertInfo, LinkError> {
    check_site_name(site)?;
    let path = dir.join(format!("{site}.crt"));
    trust::add(dir, site, &files::read_cert(&path)?, &path)?;
    info(dir, site)
}

/// Renews all sites in `dir` that are not revoked, and the authority first when it would end before them.
///
/// # Errors
/// As [`renew`]; certificates before the failing one are renewed.
pub fn renew_all(dir: &Path) -> Result<Vec<CertInfo>, LinkError> {
    let ends_early = |cert: &CertInfo| cert.not_after < SystemTime::now() + 2 * SITE_LIFETIME;
    let all = show(dir)?;
    let due = all.iter().filter(|cert| match cert.role {
        CertRole::Site => !cert.revoked,
        CertRole::Authority => ends_early(cert),
    });
    due.map(|cert| renew(dir, &cert.name)).collect()
}

/// All certificates in `dir`, the authority first, then by name.
///
/// # Errors
/// `Certificate` when the directory or a certificate cannot be read.
pub fn show(dir: &Path) -> Result<Vec<CertInfo>, LinkError> {
    let mut all = Vec::new();
    for name in files::cert_names(dir)? {
        all.push(info(dir, &name)?);
    }
    all.sort_by(|a, b| (a.role == CertRole::Site, &a.name).cmp(&(b.role == CertRole::Site, &b.name)));
    Ok(all)
}

/// Loads the one site in `dir`.
///
/// # Errors
/// `Certificate` when there is none or more than one ([`load_site`] chooses), and as [`load_site`].
pub fn load(dir: &Path) -> Result<Identity, LinkError> {
    let mut sites = files::cert_names(dir)?;
    sites.retain(|name| name != CA && dir.join(format!("{name}.key")).exists());
    match sites.as_slice() {
        [site] => load_site(dir, site),
        [] => Err(LinkError::Certificate(format!(
            "{}: no site certificate with its key; copy NAME.crt, NAME.key and ca.crt here",
            dir.display()
        ))),
        many => Err(LinkError::Certificate(format!(
            "{}: several sites ({}); keep only this node's, or name it",
            dir.display(),
            many.join(", ")
        ))),
    }
}

/// Loads the identity of `site` from `ca.crt`, `SITE.crt` and `SITE.key` in `dir`.
///
/// # Errors
/// `Certificate` for missing or malformed files, a key that others can read or that belongs to another
/// certificate, a certificate that has ended, is revoked, is of another site or another authority.
pub fn load_site(dir: &Path, site: &str) -> Result<Identity, LinkError> {
    check_site_name(site)?;
    Identity::open(dir, site)
}

/// Refuses what cannot be a site name: 1 to [`MAX_SITE_NAME`] of `a-z`, `0-9` and `-`, beginning with a letter and
/// not ending in `-`, and not `ca`.
pub(crate) fn check_site_name(site: &str) -> Result<(), LinkError> {
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let shape = site.starts_with(|c: char| c.is_ascii_lowercase()) && !site.ends_with('-');
    if shape && site.len() <= MAX_SITE_NAME && site.bytes().all(legal) && site != CA {
        return Ok(());
    }
    Err(LinkError::Certificate(format!(
        "site name {site:?}: 1 to {MAX_SITE_NAME} of a-z, 0-9 and '-', beginning with a letter, not \"ca\""
    )))
}

fn info(dir: &Path, name: &str) -> Result<CertInfo, LinkError> {
    let path = dir.join(format!("{name}.crt"));
    let der = files::read_cert(&path)?;
    let facts = identity::facts(dir, &der, &path)?;
    let role = if name == CA { CertRole::Authority } else { CertRole::Site };
    Ok(CertInfo {
        name: name.to_owned(),
        role,
        not_after: facts.not_after,
        serial: facts.serial,
        fingerprint: sha256(&der),
        revoked: facts.revoked,
        path,
    })
}

/// Lower-case hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An error about a file, with what can be done.
fn file_error(path: &Path, what: impl std::fmt::Display) -> LinkError {
    LinkError::Certificate(format!("{}: {what}", path.display()))
}

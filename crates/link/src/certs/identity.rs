//! Who this node is, ready for TLS 1.3 in both roles.
//!
//! Both roles demand a certificate of our authority. The dialing role also demands the name it dialed, so a site
//! cannot pass for another; the accepting role takes the name from the certificate ([`site_of`]).

use super::trust::{PeerCertificate, Revoked, Trust};
use super::{WARN_BEFORE_END, check_site_name, file_error, files, hex};
use crate::LinkError;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Application protocol named in TLS (RFC 7301).
const ALPN: &[u8] = b"farshare-link";

/// The name, key and certificate of a site and the authority it trusts. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    site: Arc<str>,
    not_after: SystemTime,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    trust: Arc<Trust>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("site", &self.site).finish_non_exhaustive()
    }
}

impl Identity {
    /// The site's name.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// When its certificate ends.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }

    /// Whether a peer's certificate is good now; else why not.
    pub(crate) fn judge(&self, certificate: &PeerCertificate) -> Result<(), String> {
        self.trust.judge(certificate)
    }

    pub(super) fn open(dir: &Path, site: &str) -> Result<Identity, LinkError> {
        let (ca_path, cert_path) = (dir.join("ca.crt"), dir.join(format!("{site}.crt")));
        let key_path = dir.join(format!("{site}.key"));
        let ca = files::read_cert(&ca_path)?;
        let cert = files::read_cert(&cert_path)?;
        let key = files::read_key(&key_path)?;
        let Facts { not_after, revoked, .. } = facts(dir, &cert, &cert_path)?;
        check(&cert, site, &ca).map_err(|what| file_error(&cert_path, what))?;
        if revoked {
            return Err(file_error(&cert_path, "is revoked; issue a new key and certificate"));
        }
        let left = not_after.duration_since(SystemTime::now()).unwrap_or_default();
        if left < WARN_BEFORE_END {
            let days = left.as_secs() / 86_400;
            tracing::warn!(file = %cert_path.display(), days, "the site certificate ends soon; renew it");
        }
        let roles = Roles::new(&ca, cert, key).map_err(|error| {
            file_error(&key_path, format_args!("unusable with {site}.crt and ca.crt beside it: {error}"))
        })?;
        let trust = Arc::new(Trust::open(dir, ca)?);
        Ok(Identity { site: site.into(), not_after, server: roles.server, client: roles.client, trust })
    }
}

/// The TLS configurations of the accepting and the dialing role.
struct Roles {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Roles {
    fn new(
        ca: &CertificateDer<'static>,
        cert: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Roles, rustls::Error> {
        let provider = Arc::new(provider());
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone())?;
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![cert.clone()], key.clone_key())?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        // No resumption: each connection proves both certificates anew.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![cert], key)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        Ok(Roles { server: Arc::new(server), client: Arc::new(client) })
    }
}

/// AES-128-GCM first: the cheapest per byte of the three.
fn provider() -> CryptoProvider {
    use aws_lc_rs::cipher_suite::{
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    CryptoProvider {
        cipher_suites: vec![
            TLS13_AES_128_GCM_SHA256,
            TLS13_AES_256_GCM_SHA384,
            TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }
}

/// What a certificate says about itself.
pub(super) struct Facts {
    pub(super) not_after: SystemTime,
    pub(super) serial: String,
    pub(super) revoked: bool,
}

pub(super) fn facts(dir: &Path, der: &[u8], path: &Path) -> Result<Facts, LinkError> {
    let cert = X509Certificate::from_der(der).map_err(|error| file_error(path, error))?.1;
    let not_after = u64::try_from(cert.validity().not_after.timestamp()).unwrap_or(0);
    Ok(Facts {
        not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(not_after),
        serial: hex(cert.raw_serial()),
        revoked: Revoked::read(dir)?.check(&cert, der).is_err(),
    })
}

/// Says what is wrong with a site's certificate, before a peer would.
fn check(cert: &CertificateDer<'_>, site: &str, ca: &CertificateDer<'_>) -> Result<(), String> {
    let found = site_of(cert).map_err(|error| error.to_string())?;
    if found != site {
        return Err(format!("is the certificate of site {found}, not {site}"));
    }
    let parsed = X509Certificate::from_der(cert).map_err(|error| error.to_string())?.1;
    let authority = X509Certificate::from_der(ca).map_err(|error| error.to_string())?.1;
    if parsed.verify_signature(Some(authority.public_key())).is_err() {
        return Err("was not issued by ca.crt beside it; copy the authority's ca.crt here".into());
    }
    if !parsed.validity().is_valid() {
        return Err(format!(
            "is valid from {} to {} only; run `farshare certs renew` where ca.key is, and check the clock",
            parsed.validity().not_before,
            parsed.validity().not_after
        ));
    }
    Ok(())
}

/// The site a certificate is for: its one DNS name. TLS has verified the certificate already.
pub(crate) fn site_of(cert: &[u8]) -> Result<String, LinkError> {
    let malformed = |what: &str| LinkError::Certificate(format!("not a site certificate: {what}"));
    let parsed = X509Certificate::from_der(cert).map_err(|error| malformed(&error.to_string()))?.1;
    let names = parsed.subject_alternative_name().map_err(|error| malformed(&error.to_string()))?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    match names {
        [GeneralName::DNSName(site)] => {
            check_site_name(site)?;
            Ok((*site).to_owned())
        }
        _ => Err(malformed("it must have exactly one DNS name")),
    }
}

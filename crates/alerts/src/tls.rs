//! Whom to believe: the authorities of the system, or those of a file. Read anew for each message, as both change by themselves.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whether a file has certificates to believe.
pub fn check_ca(file: &Path) -> Result<(), String> {
    of_file(file).map(drop)
}

/// Those of `ca`, or of the system.
pub async fn roots(ca: Option<PathBuf>) -> Result<Vec<CertificateDer<'static>>, String> {
    crate::blocking(move || match ca {
        Some(file) => of_file(&file),
        None => of_system(),
    })
    .await
}

/// TLS to a server that shows a certificate of one of `roots`; 1.2 or 1.3.
pub fn client(roots: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, String> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|cause| cause.to_string())?;
    Ok(Arc::new(config.with_root_certificates(store).with_no_client_auth()))
}

fn of_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = file.display();
    let failed = |cause| format!("{shown}: {cause}");
    let roots = CertificateDer::pem_file_iter(file).map_err(failed)?;
    let roots = usable(roots.collect::<Result<_, _>>().map_err(failed)?);
    match roots.is_empty() {
        true => Err(format!("{shown}: no certificate in it (PEM)")),
        false => Ok(roots),
    }
}

fn of_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    let roots = usable(found.certs);
    if roots.is_empty() {
        let why: String = found.errors.first().map(|cause| format!(" ({cause})")).unwrap_or_default();
        let mend = "install ca-certificates, or name a file with `ca`";
        return Err(format!("this system has no certificates of authorities{why}; {mend}"));
    }
    Ok(roots)
}

/// Bundles have certificates that nobody can use; one of them must not take the others along.
fn usable(mut roots: Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
    roots.retain(|root| RootCertStore::empty().add(root.clone()).is_ok());
    roots
}

//! Certificates that are made up.

use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;

/// A server's certificate, of an authority that nobody else knows.
pub struct Certificate {
    dir: tempfile::TempDir,
    pub acceptor: TlsAcceptor,
}

impl Certificate {
    /// For `name`.
    pub fn of(name: &str) -> Certificate {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), made.cert.pem()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        Certificate { dir, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    /// For `ca = "..."`.
    pub fn ca(&self) -> Option<PathBuf> {
        Some(self.dir.path().join("ca.pem"))
    }
}

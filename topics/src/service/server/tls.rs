//! A server that proves who it is and encrypts what it says.

use std::path::Path;

use anyhow::Context;
use native_tls::{Identity, Protocol, TlsAcceptor};

/// A server's certificate with its key.
#[derive(Clone)]
pub struct ServerCertificate(pub(super) tokio_native_tls::TlsAcceptor);

impl ServerCertificate {
    /// Reads the certificate, followed by those that certify it if there are any, and the key (PKCS #8), both PEM.
    ///
    /// # Errors
    /// When a file cannot be read, or the two do not belong together.
    pub fn read(certificate_file: &Path, key_file: &Path) -> anyhow::Result<Self> {
        let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let (certificate, key) = (read(certificate_file)?, read(key_file)?);
        let acceptor = Identity::from_pkcs8(&certificate, &key).and_then(|identity| {
            TlsAcceptor::builder(identity)
                .min_protocol_version(Some(Protocol::Tlsv12))
                .build()
        });
        let unusable = || {
            let (certificate, key) = (certificate_file.display(), key_file.display());
            format!("the certificate {certificate} cannot be used with the key {key}")
        };
        Ok(Self(acceptor.with_context(unusable)?.into()))
    }
}

//! HTTPS to the schema registry and to the payment provider: whose certificates are believed.

use std::error::Error;
use std::fmt;

use reqwest::{Certificate, ClientBuilder};

/// Those who certify servers, as read from a file in PEM.
#[derive(Clone)]
pub struct Authorities(Vec<Certificate>);

impl Authorities {
    /// Reads a file; for options.
    ///
    /// # Errors
    /// When it cannot be read, or has no certificate in it.
    pub fn in_file(path: &str) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let certificates =
            Certificate::from_pem_bundle(&text).map_err(|error| format!("is no certificate: {error}"))?;
        if certificates.is_empty() {
            return Err("has no certificate in it".to_owned());
        }
        Ok(Self(certificates))
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Authorities({})", self.0.len())
    }
}

/// A client that believes these and nobody else; without them, those whom the system believes.
pub fn trusting(client: ClientBuilder, authorities: Option<&Authorities>) -> ClientBuilder {
    match authorities {
        Some(Authorities(certificates)) => client.tls_certs_only(certificates.iter().cloned()),
        None => client,
    }
}

/// An error and what caused it, in one line: that of an HTTP client says nothing but the address.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let refused = |path: &str| Authorities::in_file(path).err().unwrap_or_default();
        assert!(refused("/does/not/exist").contains("cannot be read"));
        assert!(refused("/dev/null").contains("no certificate in it"));
    }
}

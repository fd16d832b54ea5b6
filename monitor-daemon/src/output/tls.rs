//! The sender's side of TLS, by rustls with ring: TLS 1.2 and 1.3.
//!
//! Files are read for each connection, so that renewed certificates are used without a restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::secret;

/// Where distributions keep the authorities that they trust.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom to trust and who to be. Files are PEM; `credential:NAME` stands for a credential of systemd's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsFiles {
    /// `tls_ca`: authorities of which one must have signed the server's certificate; without it
    /// those that the system trusts.
    pub ca: Option<PathBuf>,
    /// `tls_certificate` and `tls_key`: ours, for servers that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{}` holds no {wanted} in PEM form: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// Why.
        source: pem::Error,
    },
    /// No authorities of the system's.
    #[error("the system has no list of authorities: set `tls_ca`")]
    NoAuthorities,
    /// A certificate or the key cannot be used.
    #[error("`{}` cannot be used: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The library cannot be set up.
    #[error("cannot set up TLS: {0}")]
    SetUp(#[from] rustls::Error),
}

impl TlsFiles {
    /// What a connection is made with.
    ///
    /// # Errors
    ///
    /// A file is missing, or not what it should be.
    pub fn load(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.authorities()?);
        let Some((certificate, key)) = &self.identity else {
            return Ok(Arc::new(builder.with_no_client_auth()));
        };
        let chain = certificates(certificate)?;
        let text = read(key)?;
        let private = PrivateKeyDer::from_pem_slice(&text).map_err(|source| TlsError::Pem {
            path: key.clone(),
            wanted: "private key",
            source,
        })?;
        let config = builder.with_client_auth_cert(chain, private);
        config.map(Arc::new).map_err(|source| TlsError::Unusable {
            path: key.clone(),
            source,
        })
    }

    fn authorities(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca else {
            let system = SYSTEM_AUTHORITIES.map(Path::new);
            let found = system.into_iter().find(|path| path.exists());
            let found = found.ok_or(TlsError::NoAuthorities)?;
            // Systems have some that nobody can use.
            roots.add_parsable_certificates(certificates(found)?);
            return Ok(roots);
        };
        for certificate in certificates(path)? {
            let added = roots.add(certificate);
            added.map_err(|source| TlsError::Unusable {
                path: path.clone(),
                source,
            })?;
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = found.and_then(|found| {
        if found.is_empty() {
            Err(pem::Error::NoItemsFound)
        } else {
            Ok(found)
        }
    });
    found.map_err(|source| TlsError::Pem {
        path: path.to_owned(),
        wanted: "certificate",
        source,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let content = secret::file(path).and_then(fs::read);
    content.map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

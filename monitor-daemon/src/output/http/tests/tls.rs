//! TLS: whom the output trusts, and who it says that it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::server::{Server, answer};
use super::{numbers, settings, start};

/// An authority of our own.
pub(in crate::output) struct Authority(CertifiedIssuer<'static, KeyPair>);

pub(in crate::output) struct Identity {
    pub(in crate::output) certificate: CertificateDer<'static>,
    pub(in crate::output) key: Vec<u8>,
}

impl Authority {
    pub(in crate::output) fn new() -> Self {
        let mut about = CertificateParams::new(Vec::new()).unwrap();
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(about, KeyPair::generate().unwrap()).unwrap())
    }

    pub(in crate::output) fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let about = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = about.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    pub(in crate::output) fn file(&self, folder: &Path) -> PathBuf {
        write(folder, "ca.pem", "CERTIFICATE", self.0.der())
    }
}

pub(in crate::output) fn write(folder: &Path, name: &str, label: &str, der: &[u8]) -> PathBuf {
    let path = folder.join(name);
    let text = format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    );
    fs::write(&path, text).unwrap();
    path
}

pub(in crate::output) fn config(
    authority: &Authority,
    name: &str,
    clients: Option<&Authority>,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let own = authority.sign(name);
    let key = PrivateKeyDer::try_from(own.key).unwrap();
    let config = builder.with_single_cert(vec![own.certificate], key);
    config.unwrap()
}

fn server(authority: &Authority, name: &str, clients: Option<&Authority>) -> Server {
    let config = config(authority, name, clients);
    Server::judging(Some(Arc::new(config)), |_| answer(200))
}

#[test]
fn a_server_of_an_authority_that_is_trusted_gets_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = authority.file(folder.path());
    let server = server(&authority, "localhost", None);
    let port = server.address.port();
    let keys = format!("url: 'https://localhost:{port}/', tls_ca: {}", ca.display());
    let subject = start(&settings(&keys, None));
    subject.push([1]);
    assert_eq!(numbers(&server.next().body), [1]);
    subject.wait(1, 0);
}

#[test]
fn no_other_server_gets_any() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, others) = (Authority::new(), Authority::new());
    let ca = ours.file(folder.path());
    for (authority, name) in [(&ours, "other.example"), (&others, "localhost")] {
        let server = server(authority, name, None);
        let port = server.address.port();
        let keys = format!("url: 'https://localhost:{port}/', tls_ca: {}", ca.display());
        let mut subject = start(&settings(&keys, None));
        subject.push([1]);
        subject.outputs.stop(super::PATIENCE);
        assert_eq!(subject.metrics.written.get(), 0, "{name}");
        assert!(subject.metrics.write_errors.get() > 0, "{name}");
        assert!(server.received.try_recv().is_err(), "{name}");
    }
}

#[test]
fn a_server_that_asks_who_is_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = authority.file(folder.path());
    let server = server(&authority, "localhost", Some(&authority));
    let port = server.address.port();
    let keys = format!("url: 'https://localhost:{port}/', tls_ca: {}", ca.display());
    let mut nobody = start(&settings(&keys, None));
    nobody.push([1]);
    nobody.outputs.stop(super::PATIENCE);
    assert_eq!(nobody.metrics.written.get(), 0);
    let own = authority.sign("web-1");
    let certificate = write(folder.path(), "own.pem", "CERTIFICATE", &own.certificate);
    let key = write(folder.path(), "own.key", "PRIVATE KEY", &own.key);
    let keys = format!(
        "{keys}, tls_certificate: {}, tls_key: {}",
        certificate.display(),
        key.display()
    );
    let subject = start(&settings(&keys, None));
    subject.push([2]);
    assert_eq!(numbers(&server.next().body), [2]);
    subject.wait(1, 0);
}
